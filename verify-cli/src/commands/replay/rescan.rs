//! The link of a scan, worked out anew: the layers of the pack are read again, and looked up in the same advisories.
//!
//! It takes what was there then: layers, advisories, and the rules that were given. Where one is missing the link isn't
//! worked out, and the answer says so: never as if it were.

use image_scan::Rules;
use serde_json::Value;
use verifier_lib::{Verdict, VerifiedImage};

use super::{Claim, links, text};
use crate::access::{Access, now};
use crate::advisory_db::AdvisoryDb;
use crate::args::ChainArgs;
use crate::commands::scan::{self, Rulings};
use crate::evidence;
use crate::failure::Failure;
use crate::pack_args::{ReplayArgs, Skipped};
use crate::policy::Applied;
use crate::record::Sighting;

/// How a scan without advisories says so in its link.
const NO_DATABASE: &str = "nothing was looked up: there is no database";

/// A scan to be made again.
pub(super) struct Rescan {
    db: Option<AdvisoryDb>,
    rules: Option<Rules>,
    vex_keys: Vec<std::path::PathBuf>,
}

impl Rescan {
    /// What is needed, where the report tells of a scan and all of it is here. Before anything is read: wrong advisories
    /// are no reason to hash an image.
    pub(super) fn of(
        claim: &Claim,
        args: &ReplayArgs,
        chain: &ChainArgs,
        applied: Option<&Applied>,
    ) -> Result<Option<Self>, Failure> {
        let skipped = args.skip.contains(&Skipped::Scan);
        let demanded = applied.and_then(|applied| applied.scan.as_ref());
        let Some(link) = claim.scan() else {
            if args.gate.is_given() {
                let what = "the rules of a scan were given, and the report tells of none";
                return Err(Failure::usage(what).hint("leave them out"));
            }
            return match demanded {
                Some(_) if !skipped => {
                    let what = format!("refused {}: the rules demand a scan", claim.name);
                    Err(Failure::refused(format!("{what}, and the report tells of none"))
                        .hint("leave it out with --skip scan"))
                }
                _ => Ok(None),
            };
        };
        let named = args.gate.db.as_deref().or_else(|| demanded.and_then(|(db, _)| db.as_deref()));
        let looked_up = claim.advisories.is_some() || !link.contains(NO_DATABASE);
        // The advisories that this machine has by now are others than those of then.
        if skipped || !claim.pack.index().layers || (named.is_none() && looked_up) {
            return Ok(None);
        }
        let db = named.map(|named| AdvisoryDb::open(named, now(chain))).transpose()?;
        claim.expect_same(db.as_ref())?;
        let (rules, vex_keys) = match (demanded, applied) {
            (Some((_, rules)), Some(applied)) => (Some(rules.clone()), applied.vex_keys.clone()),
            _ => (args.gate.rules()?, args.gate.vex_keys.clone()),
        };
        Ok(Some(Self { db, rules, vex_keys }))
    }

    /// The link, as it comes out.
    pub(super) fn link(
        &self,
        access: &Access,
        image: Box<VerifiedImage>,
        chain: &ChainArgs,
        seen: &mut Sighting,
    ) -> Result<Verdict, Failure> {
        let vex = evidence::vex(&self.vex_keys, chain, &image)?;
        let rulings = Rulings { rules: self.rules.as_ref(), vex: &vex, vex_keys: &self.vex_keys };
        scan::last_link(access, image, self.db.as_ref(), &rulings, now(chain), seen)
    }
}

impl Claim {
    /// What the report's link of a scan says.
    fn scan(&self) -> Option<&str> {
        let link = links(&self.report).find(|link| text(link, "stage") == Some(Skipped::Scan.stage()));
        link.map(|link| link.get("detail").and_then(Value::as_str).unwrap_or_default())
    }

    /// That the advisories are those of then, where the proof names them.
    fn expect_same(&self, db: Option<&AdvisoryDb>) -> Result<(), Failure> {
        let (Some(expected), Some(db)) = (&self.advisories, db) else { return Ok(()) };
        let got = db.digest()?.hex();
        if *expected == got {
            return Ok(());
        }
        let what = format!(
            "could not tell: the scan was made with advisories of sha256 {}, those that are given have {got}",
            crate::style::in_a_line(expected)
        );
        Err(Failure::unknown(what)
            .hint("give the database of then with --db, or leave the link out with --skip scan"))
    }

    /// What to give, so that the scan can be made again.
    pub(super) fn missing_for_a_scan(&self) -> String {
        let needed = match self.pack.index().layers {
            true => "give the advisories that it was made with, --db FILE",
            false => {
                "give a pack that holds the layers, --pack FILE, and the advisories that it was made with, --db FILE"
            }
        };
        format!("{needed}, and the rules that were given then; or leave it out with --skip scan")
    }
}

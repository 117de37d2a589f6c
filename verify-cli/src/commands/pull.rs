//! `verify pull`: runs the chain, then writes only verified bytes.

use oci_image::{LayoutWriter, Location};
use verifier_lib::{Layers, PullError, Status, Verdict, VerifiedImage};

use crate::access::{Access, now};
use crate::advisory_db::AdvisoryDb;
use crate::args::{ChainArgs, PullArgs};
use crate::commands::image::{demanded, verify};
use crate::commands::scan::{self, Rulings};
use crate::evidence;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy::{self, Applied};
use crate::progress::Blobs;
use crate::record::Sighting;
use crate::report;
use crate::style::{say, shown};

pub(crate) fn run(args: &PullArgs) -> Result<Exit, Failure> {
    let Location::Layout { dir, tag, digest: None } = &args.destination else {
        let what = format!("expected a destination oci:DIR[:TAG], got {}", args.destination);
        return Err(Failure::usage(what));
    };
    evidence::expect_demand(&args.demand, args.record.record.is_some())?;
    let mut seen = Sighting::begin(&args.record, &args.chain)?;
    let applied = match policy::apply(args.policy.policy.as_deref(), &args.chain, Some(&mut seen))? {
        Ok(applied) => applied,
        Err((name, verdict)) => {
            seen.end(&verdict)?;
            return Ok(report::print(&name.to_string(), &verdict, args.printing));
        }
    };
    let chain = applied.as_ref().map_or(&args.chain, |applied| &applied.chain);
    let done = trusted(args, chain, applied.as_ref(), &mut seen);
    let done = done.map_err(|failure| seen.failed(&failure).err().unwrap_or(failure));
    let (access, verdict) = done.inspect_err(|failure| {
        report::print_failure(&args.chain.image.to_string(), failure, args.printing);
    })?;
    let reference = access.name.to_string();
    let verdict = match verdict {
        Verdict::Trusted(image) => {
            let writer =
                LayoutWriter::open(dir).map_err(|error| Failure::unknown(shown(&error.to_string())))?;
            written(&access, *image, writer, tag.as_deref())?
        }
        other => other,
    };
    seen.end(&verdict)?;
    if matches!(verdict, Verdict::Trusted(_)) {
        access.trusted()?;
        say!("wrote {}", args.destination);
    }
    Ok(report::print(&reference, &verdict, args.printing))
}

/// The chain, and all that is demanded besides. What a scan stops is never written.
fn trusted(
    args: &PullArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
    seen: &mut Sighting,
) -> Result<(Access, Verdict), Failure> {
    let rules = match applied.and_then(|applied| applied.scan.as_ref()) {
        Some((db, rules)) => Some((AdvisoryDb::needed(db.as_deref(), chain)?, rules)),
        None => None,
    };
    let access = Access::of(chain)?;
    let verdict = verify(&access, chain, Layers::Defer);
    seen.chain(&access, &verdict);
    let verdict = demanded(verdict, &args.demand, chain, applied, seen)?;
    let verdict = match (verdict, &rules) {
        (Verdict::Trusted(image), Some((db, rules))) => {
            let keys = applied.map_or(&[][..], |applied| &applied.vex_keys);
            let vex = evidence::vex(keys, chain, &image)?;
            let rules = Rulings { rules: Some(rules), vex: &vex, vex_keys: keys };
            scan::last_link(&access, image, Some(db), &rules, now(chain), seen)?
        }
        (other, _) => other,
    };
    let verdict = match applied {
        Some(applied) => applied.weigh_condition(verdict, seen.facts()),
        None => verdict,
    };
    Ok((access, verdict))
}

/// Copies the layers. A bad one turns the verdict.
fn written(
    access: &Access,
    image: VerifiedImage,
    writer: LayoutWriter,
    tag: Option<&str>,
) -> Result<Verdict, Failure> {
    let mut blobs = Blobs::new();
    let copied =
        image.write(access.source.as_ref(), writer, tag, &mut |(blob, done)| blobs.update(blob, done));
    drop(blobs);
    match copied {
        Ok(_) => Ok(Verdict::Trusted(Box::new(image.layers_hashed()))),
        Err(PullError::Source(broken)) if broken.link.status == Status::Unknown => {
            Ok(Verdict::Unknown(broken))
        }
        Err(PullError::Source(broken)) => Ok(Verdict::Refused(broken)),
        Err(PullError::Write(error)) => Err(Failure::unknown(shown(&error.to_string()))),
    }
}

//! `verify db update`: the newest database that a TUF repository signs, verified as an image's manifest is.
//!
//! Metadata first (rollback, freeze and mix-and-match are refused there), then the target: of the length and the
//! hashes that the metadata states, compared as it is written beside its place, opened, and only then installed. It is
//! never held in memory. Whatever fails on the way, the database that was there stays.

use advisories::Database;
use chrono::{DateTime, Utc};
use oci_image::Digest;
use tuf_client::{Client, ClientError, DirStore, Found, Refreshed};
use tuf_core::TrustedTargets;
use tuf_core::schema::Target;

use super::{Delivered, Report, failure, print};
use crate::access::{ChosenRoot, absolute, state_dir, transport_options};
use crate::db_args::DbUpdateArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::installed_db::{Installed, Shelf};
use crate::pins::{Pin, private_dir};
use crate::style::{say, shown};

/// What the pin is called: there is one.
const PIN: &str = "advisories";

/// The longest database: what a disk must have room for, beside the one before it. OSV's whole bucket makes some 300 MB.
const DATABASE_MAX: u64 = 1 << 30;

pub(super) fn run(args: &DbUpdateArgs) -> Result<Exit, Failure> {
    let state = state_dir(&args.state)?;
    private_dir(&state).map_err(|error| Failure::unknown(format!("{}: {error}", state.display())))?;
    let shelf = Shelf::of(&state);
    let _lock = shelf.lock()?;
    shelf.clear()?;
    let last = shelf.installed()?;
    let root = root(args, &shelf)?;
    let path = args.target(last.as_ref().map(|last| last.target.as_str()));
    let now = args.at.unwrap_or_else(Utc::now);

    let refreshed = client(args, &shelf, &root, now)?.refresh().map_err(|error| refusal(&error))?;
    let (target, chain) = match refreshed.find(&path).map_err(|error| refusal(&error))? {
        Found::Target { target, chain } => (target, chain),
        Found::Absent(absent) => return Err(refusal(&ClientError::NotListed { path, absent })),
    };
    let installed = said_of(&root, &path, &target, &chain, &refreshed, now)?;
    let (database, fetched) = match &last {
        Some(last) if last.sha256 == installed.sha256 && shelf.is_whole(last) => (None, false),
        _ => {
            let came = refreshed.copy_target(&path, &target, || shelf.begin());
            (Some(came.map_err(|error| refusal(&error))?), true)
        }
    };
    let file = database.as_ref().map_or_else(|| shelf.database(&installed), |file| file.path().to_owned());
    let info = Database::open(&file).map_err(|error| failure(&error))?.info();
    root.remember(&shelf)?;
    shelf.install(&installed, database)?;
    let delivered = Delivered { fetched: Some(fetched), ..Delivered::of(&installed, now) };
    print(&Report { delivered: Some(delivered), ..Report::of(&info, now, None) }, args.format);
    say!("{}", if fetched { "fetched the newest database" } else { "the newest database was here already" });
    Ok(Exit::Trusted)
}

/// The root that speaks for the database, and the pin to make of it once all held.
struct Root {
    chosen: ChosenRoot,
    new: bool,
}

impl Root {
    fn remember(&self, shelf: &Shelf) -> Result<(), Failure> {
        if !self.new {
            return Ok(());
        }
        let pin = Pin {
            name: PIN.to_owned(),
            scope: Vec::new(),
            repo: absolute(&self.chosen.repo),
            root_sha256: self.chosen.sha256.clone(),
            origin: self.chosen.origin.to_owned(),
        };
        shelf.pins().add(&pin, &self.chosen.bytes)?;
        say!("pinned root sha256:{} of {} for advisories", pin.root_sha256, pin.repo);
        Ok(())
    }
}

/// Given now, or pinned by an update before.
fn root(args: &DbUpdateArgs, shelf: &Shelf) -> Result<Root, Failure> {
    if args.root.trust_on_first_use {
        let hint = "give --root FILE or --root-sha256 HEX, as the repository's owner gave it to you";
        return Err(Failure::usage("advisories are not trusted on first use").hint(hint));
    }
    let pins = shelf.pins();
    let given = args.root.root.is_some() || args.root.root_sha256.is_some();
    match pins.find(PIN)? {
        Some(pin) if !given => {
            let chosen = ChosenRoot::pinned(&pins, &pin, args.root.repo.as_ref())?;
            Ok(Root { chosen, new: false })
        }
        None if !given => {
            let what = "no repository of advisories is pinned";
            Err(Failure::usage(what).hint("verify db update --repo URL --root root.json"))
        }
        _ => Ok(Root { chosen: ChosenRoot::given(&args.root, &args.access, false)?, new: true }),
    }
}

fn client(args: &DbUpdateArgs, shelf: &Shelf, root: &Root, now: DateTime<Utc>) -> Result<Client, Failure> {
    let repo = &root.chosen.repo;
    let options = transport_options(repo, &args.access)?;
    let targets = repo.targets(&options).ok_or_else(|| {
        let what = format!("{repo} has no folder of target files");
        Failure::usage(what).hint("expected a repository with target files: --repo DIR|URL|oci://HOST/NAME")
    })?;
    let store = DirStore::open(shelf.metadata(&root.chosen.sha256)).map_err(Failure::unknown)?;
    let client = Client::new(root.chosen.bytes.clone(), repo.transport(&options), Box::new(store), now);
    Ok(client.asking_ahead().with_targets(targets))
}

/// What the metadata says of the target.
fn said_of(
    root: &Root,
    path: &str,
    target: &Target,
    chain: &[TrustedTargets],
    refreshed: &Refreshed,
    now: DateTime<Utc>,
) -> Result<Installed, Failure> {
    let sha256 = target.hashes.get("sha256").map(|hex| hex.to_ascii_lowercase()).unwrap_or_default();
    if Digest::from_hex(&sha256).is_err() {
        let what = format!("target {path:?}: expected a sha256, got {}", shown(&sha256));
        return Err(Failure::refused(what));
    }
    if target.length > DATABASE_MAX {
        let what = format!("target {path:?}: expected at most {DATABASE_MAX} bytes, got {}", target.length);
        return Err(Failure::refused(what));
    }
    let snapshot = refreshed.snapshot();
    let ends = [snapshot.expires(), snapshot.timestamp().expires(), snapshot.timestamp().root().expires()];
    let expires = chain.iter().map(TrustedTargets::expires).chain(ends).min().unwrap_or(now);
    let lister = chain.last().unwrap_or(refreshed.targets());
    Ok(Installed {
        repo: absolute(&root.chosen.repo),
        root_sha256: root.chosen.sha256.clone(),
        target: path.to_owned(),
        role: lister.role().name().to_owned(),
        version: lister.version(),
        sha256,
        length: target.length,
        updated_at: now,
        expires,
    })
}

fn refusal(error: &ClientError) -> Failure {
    let what = shown(&error.to_string());
    let kept = "the database that was here, if any, stays in use";
    match error.unreachable() {
        true => Failure::unknown(format!("could not update: {what}")).hint(kept),
        false => Failure::refused(format!("refused the database: {what}")).hint(kept),
    }
}

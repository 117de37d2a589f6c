//! `signer remove`: a name means nothing any more, from the next publish on.

use std::path::Path;

use oci_image::Reference;
use tuf_core::schema::Target;

use crate::Surroundings;
use crate::args::RemoveArgs;
use crate::config::Config;
use crate::failure::Failure;
use crate::places;
use crate::published::Published;
use crate::report::{self, Removal, VERSION};
use crate::repository::Repository;
use crate::staged::{Change, Staged, Was, digest_of};
use crate::terminal;

pub(crate) fn run(dir: &Path, args: &RemoveArgs, around: &Surroundings) -> Result<report::Remove, Failure> {
    let repository = Repository::open(dir)?;
    let _lock = repository.lock_unless(args.rehearsal)?;
    let config = Config::read(&repository.config())?;
    let store = places::open(&repository, &config, around)?;
    let published = Published::read(&repository, store.as_ref())?;
    let mut staged = Staged::read(&repository)?;
    // A repository that was imported may have targets that are no images.
    let path = match published.target(&args.name)?.is_some() {
        true => args.name.clone(),
        false => path_of(&args.name.parse().map_err(Failure::usage)?)?,
    };
    let was_staged = staged.changes.remove(&*path).is_some_and(|was| matches!(*was, Change::Add { .. }));
    let outcome = match (published.target(&path)?, was_staged) {
        (Some(target), _) => {
            note_digest(&path, &target, &published)?;
            staged.set(&path, Change::Remove { was: Was::of(Some(&target)) });
            Removal::Staged
        }
        (None, true) => Removal::Unstaged,
        (None, false) => {
            return Err(Failure::refused(format!("{path} is neither published nor staged"))
                .hint("`signer status` lists what is"));
        }
    };
    let dry_run = args.rehearsal.dry_run;
    if !dry_run {
        staged.write()?;
    }
    Ok(report::Remove { version: VERSION, dry_run, name: path, outcome })
}

/// One path: that of the tag, or that of the digest.
fn path_of(name: &Reference) -> Result<String, Failure> {
    match (name.tag_path(), name.digest()) {
        (Some(path), None) => Ok(path),
        (None, Some(digest)) => Ok(name.digest_path(digest)),
        _ => Err(Failure::usage(format!("expected a tag or a digest, got both: {name}"))),
    }
}

/// Who removes a tag because the image is bad wants to know that the digest is a name of its own.
fn note_digest(path: &str, target: &Target, published: &Published<'_>) -> Result<(), Failure> {
    let (Some(digest), Ok(name)) = (digest_of(target), path.parse::<Reference>()) else { return Ok(()) };
    let by_digest = name.digest_path(digest);
    if name.digest().is_none() && published.target(&by_digest)?.is_some() {
        terminal::note(&format!("{by_digest} stays trusted; if nobody should run it, remove that too"));
    }
    Ok(())
}

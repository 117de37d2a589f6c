//! `signer add --file`: a file that is no image, staged for the next publish. Its bytes are served beside the
//! metadata, under their hash.

use std::path::Path;

use oci_image::Digest;

use super::add::described;
use crate::Surroundings;
use crate::args::RehearsalArgs;
use crate::config::Config;
use crate::custom::Custom;
use crate::draft::custom;
use crate::failure::Failure;
use crate::files;
use crate::places;
use crate::published::Published;
use crate::report::{self, Added, Outcome, VERSION};
use crate::repository::Repository;
use crate::staged::{Change, Staged, TARGET_MAX, Was, digest_of, is_file_path};

/// What is said of a file whose kind nobody told.
const ANY_KIND: &str = "application/octet-stream";

pub(super) fn run(
    repository: &Repository,
    config: &Config,
    (file, path): (&Path, &str),
    rehearsal: RehearsalArgs,
    around: &Surroundings,
) -> Result<report::Add, Failure> {
    if !is_file_path(path) {
        let what = format!("expected a path of letters, digits, '.', '_', '-' and '/', got {path:?}");
        return Err(Failure::usage(what).hint("such as --path advisories/osv.db"));
    }
    config.expect_path_in_scope(path)?;
    let bytes = files::read(file, TARGET_MAX)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let digest = Digest::of(&bytes);

    let _lock = repository.lock_unless(rehearsal)?;
    let store = places::open(repository, config, around)?;
    let published = Published::read(repository, store.as_ref())?;
    let mut staged = Staged::read(repository)?;
    let listed = published.target(path)?;
    let before = listed.as_ref().and_then(digest_of);
    let previous = before.filter(|before| *before != digest);
    let custom = custom(ANY_KIND, None, previous);
    let change = Change::Add {
        length,
        digest,
        custom: Custom::of(&custom),
        listed: false,
        was: Was::of(listed.as_ref()),
        role: None,
    };
    let outcome = match before == Some(digest) {
        true => {
            staged.forget_other_bytes(path, digest);
            Outcome::AlreadyPublished
        }
        false if staged.changes.get(path).is_some_and(|staged| **staged == change) => Outcome::AlreadyStaged,
        false => {
            staged.set(path, change);
            Outcome::Staged
        }
    };
    let dry_run = rehearsal.dry_run;
    if !dry_run {
        if outcome != Outcome::AlreadyPublished {
            staged.keep(digest, &bytes)?;
        }
        staged.write()?;
    }
    let names = vec![Added { outcome, image: described(path, length, digest, Some(&custom)) }];
    Ok(report::Add { version: VERSION, dry_run, names, listed: None })
}

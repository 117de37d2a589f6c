//! `signer add`: what an image's tag and digest mean, staged for the next publish.

use std::path::Path;

use oci_image::{Digest, Location, Reference};
use serde_json::Value;

use super::{add_file, add_list};
use crate::Surroundings;
use crate::args::AddArgs;
use crate::config::Config;
use crate::custom::Custom;
use crate::draft::custom;
use crate::evidence;
use crate::failure::Failure;
use crate::image::Image;
use crate::places;
use crate::published::Published;
use crate::report::{self, Added, Outcome, VERSION};
use crate::repository::Repository;
use crate::staged::{Change, Staged, Was, digest_of};
use crate::terminal;

pub(crate) fn run(dir: &Path, args: &AddArgs, around: &Surroundings) -> Result<report::Add, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    if let (Some(file), Some(path)) = (&args.file, &args.path) {
        return add_file::run(&repository, &config, (file, path), args.rehearsal, around);
    }
    let Some(location) = &args.image else { return list(&repository, &config, args, around) };
    let name = signed_name(args, location)?;
    // Before anything is asked of a registry; and outside the lock, for it may take its time.
    config.expect_in_scope(&name)?;
    let image = Image::fetch(location, &args.access, around)?;
    expect_same_digest(&name, &image)?;
    config.expect_in_scope(&name.with_digest(image.digest))?;
    terminal::note(&format!("{} has {} as {}", image.source, image.digest, image.manifest.media_type()));

    let _lock = repository.lock_unless(args.rehearsal)?;
    let store = places::open(&repository, &config, around)?;
    let published = Published::read(&repository, store.as_ref())?;
    let mut staged = Staged::read(&repository)?;
    let evidence = evidence::of_image(&name, image.digest, &published, &staged)?;
    let mut names = Vec::new();
    for path in name.tag_path().into_iter().chain([name.digest_path(image.digest)]) {
        names.push(stage(&path, (&image, &evidence), &published, &mut staged, &config)?);
    }
    let dry_run = args.rehearsal.dry_run;
    if !dry_run {
        let is_new = staged.manifest(image.digest).is_err();
        // Also where it was kept before: what was damaged since is repaired.
        if names.iter().any(|added| added.outcome != Outcome::AlreadyPublished) {
            staged.keep(image.digest, &image.bytes)?;
        }
        if let Err(failure) = staged.write() {
            if is_new {
                staged.drop_manifest(image.digest)?;
            }
            return Err(failure);
        }
    }
    Ok(report::Add { version: VERSION, dry_run, names, listed: None })
}

fn list(
    repository: &Repository,
    config: &Config,
    args: &AddArgs,
    around: &Surroundings,
) -> Result<report::Add, Failure> {
    let Some(file) = &args.list else {
        return Err(Failure::usage("expected an image or --list, got neither"));
    };
    let _lock = repository.lock_unless(args.rehearsal)?;
    let store = places::open(repository, config, around)?;
    let published = Published::read(repository, store.as_ref())?;
    let mut staged = Staged::read(repository)?;
    let report = add_list::stage(file, config, &published, &mut staged)?;
    let dry_run = args.rehearsal.dry_run;
    if !dry_run {
        staged.write()?;
    }
    Ok(report::Add { dry_run, ..report })
}

/// The name under which the image will be trusted.
fn signed_name(args: &AddArgs, image: &Location) -> Result<Reference, Failure> {
    match (&args.known_as, image) {
        (Some(name), _) => Ok(name.clone()),
        (None, Location::Registry(reference)) => Ok(reference.clone()),
        (None, Location::Layout { .. }) => {
            Err(Failure::usage(format!("{image} has no name that could be signed"))
                .hint("say which with --as, such as --as registry.example.com/acme/web:1.4"))
        }
    }
}

fn expect_same_digest(name: &Reference, image: &Image) -> Result<(), Failure> {
    match name.digest() {
        Some(expected) if expected != image.digest => Err(Failure::refused(format!("refused {name}"))
            .detail(format!("expected {expected}, got {} from {}", image.digest, image.source))),
        _ => Ok(()),
    }
}

/// Stages one path. What is published already needs no stage; what was staged for it falls away, but for what else
/// shall be said of the same image.
fn stage(
    path: &str,
    (image, evidence): (&Image, &[String]),
    published: &Published<'_>,
    staged: &mut Staged,
    config: &Config,
) -> Result<Added, Failure> {
    let listed = published.target(path)?;
    let before = listed.as_ref().and_then(digest_of);
    let previous = before.filter(|before| *before != image.digest);
    let media_type = image.manifest.media_type();
    let length = u64::try_from(image.bytes.len()).unwrap_or(u64::MAX);
    let mut custom = custom(media_type, image.platforms(), previous);
    config.rule(path).keep(path, listed.as_ref().zip(before), image.digest, &mut custom)?;
    // What belongs to the image belongs to each of its names.
    evidence::name(&mut custom, evidence.to_vec());
    let change = Change::Add {
        length,
        digest: image.digest,
        custom: Custom::of(&custom),
        listed: false,
        was: Was::of(listed.as_ref()),
        role: None,
    };
    let outcome = if before == Some(image.digest) {
        staged.forget_other_bytes(path, image.digest);
        Outcome::AlreadyPublished
    } else if staged.changes.get(path).is_some_and(|staged| **staged == change) {
        Outcome::AlreadyStaged
    } else {
        staged.set(path, change);
        Outcome::Staged
    };
    Ok(Added { outcome, image: described(path, length, image.digest, Some(&custom)) })
}

/// A target, as reports say it.
pub(super) fn described(path: &str, length: u64, digest: Digest, custom: Option<&Value>) -> report::Image {
    let hallmark = custom.and_then(|custom| custom.get("hallmark"));
    let text = |name: &str| Some(hallmark?.get(name)?.as_str()?.to_owned());
    let platforms = hallmark.and_then(|hallmark| hallmark.get("platforms")?.as_array());
    let platforms =
        platforms.map(|all| all.iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect());
    report::Image {
        name: path.to_owned(),
        digest: digest.to_string(),
        length,
        media_type: text("media_type"),
        platforms,
        previous: text("previous"),
    }
}

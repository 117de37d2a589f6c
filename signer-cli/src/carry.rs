//! A repository carried over to a place where nothing is yet: all of its state, with every root.

use oci_image::MANIFEST_MAX;
use publish_store::{DirStore, Store, StoreError};
use tuf_core::authoring::Document;
use tuf_core::schema::Target;
use tuf_core::{Role, metadata_file_name};

use crate::failure::Failure;
use crate::files::stored_name;
use crate::published::{Published, malformed};
use crate::repository::Repository;
use crate::terminal;

/// Fills an empty place with what is in the folder beside signer.toml. Where something is already, nothing
/// is done.
pub(crate) fn fill(repository: &Repository, to: &dyn Store) -> Result<(), Failure> {
    let failed = |error: StoreError| Failure::of_store(to, &error);
    let Some(from) = source(repository, to)? else { return Ok(()) };
    let published = Published::read(repository, &from)?;
    targets(&published, &from, to)?;
    let delegated = published.delegated(true)?;
    let mut files = delegated.iter().map(|loaded| {
        let role = loaded.trusted.role().name();
        (metadata_file_name(role, Some(loaded.statement.version)), loaded.statement.bytes.to_vec())
    });
    to.put_all_metadata(&mut files, &|_| {}).map_err(failed)?;
    for (role, statement) in
        [(Role::Targets, &published.targets().statement), (Role::Snapshot, &published.snapshot)]
    {
        let name = metadata_file_name(role.name(), Some(statement.version));
        to.put_metadata(&name, &statement.bytes).map_err(failed)?;
    }
    let mut roots = Vec::new();
    for bytes in &published.roots {
        let version = Document::parse(bytes).map_err(malformed("root"))?.version();
        roots.push((metadata_file_name("root", Some(version)), bytes.clone()));
    }
    match to.advance(None, &published.timestamp.bytes, &roots) {
        Ok(_) => terminal::note(&format!("carried what was published over to {}", to.describe())),
        // Another publisher began at the same moment: theirs is there now.
        Err(StoreError::Moved) => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(())
}

/// The folder beside signer.toml, where `to` is empty and is to be filled from it.
pub(crate) fn source(repository: &Repository, to: &dyn Store) -> Result<Option<DirStore>, Failure> {
    if to.head().map_err(|error| Failure::of_store(to, &error))?.is_some() {
        return Ok(None);
    }
    let from = DirStore::new(repository.published());
    if from.describe() == to.describe() {
        // Nothing to carry from: what is missing there is missed when it is read.
        return Ok(None);
    }
    if from.head().map_err(|error| Failure::of_store(&from, &error))?.is_none() {
        return Err(Failure::refused(format!("nothing is published in {} yet", to.describe()))
            .detail(format!("and there is nothing in {} to begin with", from.describe()))
            .hint("name the place where the repository is with --to"));
    }
    Ok(Some(from))
}

/// The files of the targets. One that isn't kept beside the metadata, but in a registry, stays there.
fn targets(published: &Published<'_>, from: &dyn Store, to: &dyn Store) -> Result<(), Failure> {
    let mut all: Vec<(String, Target)> = published.targets().trusted.document().targets().collect();
    for loaded in published.delegated(true)? {
        all.extend(loaded.trusted.document().targets());
    }
    for (path, target) in all {
        // One that was imported may be larger than a manifest, and clients may ask for it by either hash.
        let limit = target.length.max(MANIFEST_MAX);
        for hash in ["sha256", "sha512"].into_iter().filter_map(|kind| target.hashes.get(kind)) {
            let Some(name) = stored_name(&path, hash) else { continue };
            let bytes = from.target(&name, limit).map_err(|error| Failure::of_store(from, &error))?;
            let Some(bytes) = bytes else { continue };
            target.check(&bytes).map_err(|why| {
                Failure::refused(format!("{name} in {} is damaged", from.describe())).detail(why)
            })?;
            to.put_target(&name, &bytes).map_err(|error| Failure::of_store(to, &error))?;
        }
    }
    Ok(())
}

//! Where a repository is published: what `--to` or signer.toml names, else the folder beside it.

use publish_store::{DirStore, Store};

use crate::config::Config;
use crate::failure::Failure;
use crate::repository::Repository;

/// Opens the place. Nothing is read yet.
pub(crate) fn open(
    repository: &Repository,
    config: &Config,
    to: Option<&str>,
) -> Result<Box<dyn Store>, Failure> {
    match to.or(config.publish_to.as_deref()) {
        None => Ok(Box::new(DirStore::new(repository.published()))),
        Some(dir) => Ok(Box::new(DirStore::new(dir))),
    }
}

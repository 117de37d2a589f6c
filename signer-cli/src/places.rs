//! Where a repository is published: what `--to` or signer.toml names, else the folder beside it.

use oci_image::Credentials;
use publish_store::{Access, Place, Store};

use crate::Surroundings;
use crate::config::Config;
use crate::failure::Failure;
use crate::repository::Repository;

/// Opens the place. Nothing is asked of it yet.
pub(crate) fn open(
    repository: &Repository,
    config: &Config,
    around: &Surroundings,
) -> Result<Box<dyn Store>, Failure> {
    let place = named(repository, config, around)?;
    let mut access = Access { aws: around.aws.clone(), ..Access::default() };
    if matches!(place, Place::Oci { .. }) {
        access.registry.credentials = Credentials::load(around.credentials.find()).map_err(Failure::usage)?;
    }
    publish_store::open(&place, &access).map_err(|error| Failure::usage(error).hint(HINT))
}

/// The place that is meant.
pub(crate) fn named(
    repository: &Repository,
    config: &Config,
    around: &Surroundings,
) -> Result<Place, Failure> {
    let named = around.publish_to.as_deref().or(config.publish_to.as_deref());
    Ok(match named.map(str::parse).transpose().map_err(Failure::usage)? {
        None => Place::Dir(repository.published()),
        // A folder that signer.toml names is one beside it, wherever signer is started.
        Some(Place::Dir(dir)) if around.publish_to.is_none() => Place::Dir(repository.dir().join(dir)),
        Some(Place::Git { dir, branch }) if around.publish_to.is_none() => {
            Place::Git { dir: repository.dir().join(dir), branch }
        }
        Some(Place::Oci { name, tag, ca_file: Some(file) }) if around.publish_to.is_none() => {
            Place::Oci { name, tag, ca_file: Some(repository.dir().join(file)) }
        }
        Some(place) => place,
    })
}

const HINT: &str = "the keys of an object store are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

//! From what the user named to the bytes that will be signed: asked for once, hashed here, believed never.

use oci_image::{
    CredentialPlaces, Credentials, Digest, ImageName, ImageSource, LayoutSource, Location, Manifest,
    Reference, Registry, RegistryOptions, Selector, SourceError,
};

use crate::Surroundings;
use crate::args::AccessArgs;
use crate::failure::Failure;

/// A manifest or index, read and hashed.
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
    pub(crate) manifest: Manifest,
    /// Where it came from.
    pub(crate) source: String,
}

impl Image {
    /// Resolves the tag once, and takes the digest of the bytes that came.
    pub(crate) fn fetch(
        location: &Location,
        access: &AccessArgs,
        around: &Surroundings,
    ) -> Result<Self, Failure> {
        let failed = |error: SourceError| source_failure(location, &error);
        match location {
            Location::Registry(reference) => {
                Self::fetch_from(&registry(reference.name(), access, around)?, reference)
            }
            Location::Layout { dir, tag, digest } => {
                let source = LayoutSource::open(dir).map_err(failed)?;
                let wanted = source.resolve(tag.as_deref(), *digest).map_err(failed)?.digest;
                Self::read(&source, Selector::Digest(wanted)).map_err(failed)?.check(location)
            }
        }
    }

    /// As [`Self::fetch`], from a registry that may have been asked before.
    pub(crate) fn fetch_from(source: &Registry, reference: &Reference) -> Result<Self, Failure> {
        let location = &Location::Registry(reference.clone());
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Selector::Digest(digest),
            (None, Some(tag)) => Selector::Tag(tag.as_str()),
            // Docker's default, which the reference has filled in already.
            (None, None) => Selector::Tag("latest"),
        };
        let fetched = Self::read(source, wanted).map_err(|error| source_failure(location, &error))?;
        fetched.check(location)
    }

    /// The platforms of an index, without what BuildKit attests about them.
    pub(crate) fn platforms(&self) -> Option<Vec<String>> {
        let Manifest::Index(index) = &self.manifest else { return None };
        let mut platforms = Vec::new();
        for platform in index.images().filter_map(|entry| entry.platform.as_ref()) {
            let platform = platform.normalised().to_string();
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        Some(platforms)
    }

    fn read<'s>(source: &'s dyn ImageSource, wanted: Selector<'s>) -> Result<Fetched<'s>, SourceError> {
        let manifest = source.manifest(wanted)?;
        Ok(Fetched { bytes: manifest.bytes, media_type: manifest.media_type, wanted, source })
    }
}

/// Bytes that nobody has looked at.
struct Fetched<'s> {
    bytes: Vec<u8>,
    media_type: Option<String>,
    wanted: Selector<'s>,
    source: &'s dyn ImageSource,
}

impl Fetched<'_> {
    fn check(self, location: &Location) -> Result<Image, Failure> {
        let digest = Digest::of(&self.bytes);
        let refused = |detail: String| Failure::refused(format!("refused {location}")).detail(detail);
        if let Selector::Digest(expected) = self.wanted
            && expected != digest
        {
            let source = self.source.describe();
            return Err(refused(format!("{source} sent other bytes: expected {expected}, got {digest}")));
        }
        let manifest = Manifest::parse(&self.bytes, self.media_type.as_deref())
            .map_err(|why| refused(why.to_string()))?;
        Ok(Image { bytes: self.bytes, digest, manifest, source: self.source.describe() })
    }
}

/// A repository in a registry, with the logins for it. Nothing is asked of it yet.
pub(crate) fn registry(
    name: &ImageName,
    access: &AccessArgs,
    around: &Surroundings,
) -> Result<Registry, Failure> {
    let places = CredentialPlaces {
        authfile: access.authfile.clone().or_else(|| around.credentials.authfile.clone()),
        ..around.credentials.clone()
    };
    let options = RegistryOptions {
        credentials: Credentials::load(places.find()).map_err(Failure::usage)?,
        ca_file: access.ca_file.clone(),
        allow_http: access.allow_http,
        ..RegistryOptions::default()
    };
    Registry::new(name, options).map_err(Failure::usage)
}

/// A registry that doesn't answer says nothing about the image; one that answers wrongly does.
fn source_failure(location: &Location, error: &SourceError) -> Failure {
    let failure = match error {
        SourceError::Ambiguous { .. } => Failure::usage(format!("{location} could be several images")),
        error if error.unreachable() => Failure::unknown(format!("could not read {location}")),
        _ => Failure::refused(format!("refused {location}")),
    };
    let failure = failure.detail(error);
    match error {
        SourceError::Ambiguous { .. } => failure.hint("name one of them: oci:DIR:TAG"),
        SourceError::Denied { .. } => {
            failure.hint("log in with docker or podman, or name logins with --authfile")
        }
        _ => failure,
    }
}

//! A verdict as programs read it: the same JSON from the program `verify` and from every language that embeds the
//! verifier.
//!
//! It restates what a verification found and decides nothing: whoever holds a [`Report`] holds words, not a
//! [`verifier_lib::VerifiedImage`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod hint;
mod hints;

use image_pack::Embedded;
use serde::Serialize;
use verifier_lib::{
    Broken, Link, Node, Status, Verdict, VerifiedImage, VerifiedManifest, tree_of, tree_of_image,
};

pub use hint::hint;

/// The version of the JSON form. It grows only by new members.
pub const REPORT_VERSION: u32 = 1;

/// The answer of `verify image` and `verify pull`. Schema: `docs/schema/verify-image.json`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of this form.
    pub version: u32,
    /// The verdict.
    pub verdict: Word,
    /// The name that was verified.
    pub reference: String,
    /// What to pull, where the image is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// The digest of the manifest or index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The targets role that speaks for the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The platforms that were verified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformReport>,
    /// Every link of the chain, in order.
    pub links: Vec<Link>,
    /// The same links as a tree: what hangs on what, from the name and its root of trust to each blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Node>,
    /// The link that broke, or could not be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Link>,
    /// Why the chain was not even begun: no root, or no image to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Everything that a trusted verdict rests on, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Embedded>,
}

/// One platform of an image that is trusted.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlatformReport {
    /// The platform, where an index names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The digest of its manifest.
    pub digest: String,
    /// Whether its layers were hashed now, or are hashed by whoever reads them.
    pub layers: LayersReport,
}

/// When layers are hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LayersReport {
    /// Every layer was read and hashed.
    Hashed,
    /// Their digests are known; the bytes are hashed when they are read.
    Deferred,
}

/// The verdict in a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// The chain held.
    Trusted,
    /// A link is broken.
    Refused,
    /// A link could not be told: no permission.
    Unknown,
}

impl Report {
    /// What a verification of `reference` found.
    #[must_use]
    pub fn of(reference: &str, verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Trusted(image) => Self::of_image(reference, image),
            Verdict::Refused(broken) => Self::broken(reference, broken, Word::Refused),
            Verdict::Unknown(broken) => Self::broken(reference, broken, Word::Unknown),
        }
    }

    /// What a verification of a manifest at hand found. No platform was looked at, so none is listed.
    #[must_use]
    pub fn of_manifest(reference: &str, verdict: &Verdict<VerifiedManifest>) -> Self {
        match verdict {
            Verdict::Trusted(manifest) => Self {
                pinned: Some(manifest.pinned()),
                digest: Some(manifest.digest().to_string()),
                role: Some(manifest.role().to_owned()),
                links: manifest.proof().links.clone(),
                tree: tree_of(&manifest.proof().links),
                ..Self::empty(reference, Word::Trusted)
            },
            Verdict::Refused(broken) => Self::broken(reference, broken, Word::Refused),
            Verdict::Unknown(broken) => Self::broken(reference, broken, Word::Unknown),
        }
    }

    /// Refused before the chain was begun, and why.
    #[must_use]
    pub fn refused(reference: &str, error: &str, hint: Option<&str>) -> Self {
        Self::not_begun(reference, Word::Refused, error, hint)
    }

    /// It could not be told, before the chain was begun, and why.
    #[must_use]
    pub fn unknown(reference: &str, error: &str, hint: Option<&str>) -> Self {
        Self::not_begun(reference, Word::Unknown, error, hint)
    }

    fn not_begun(reference: &str, verdict: Word, error: &str, hint: Option<&str>) -> Self {
        let error = Some(error.to_owned());
        Self { error, hint: hint.map(str::to_owned), ..Self::empty(reference, verdict) }
    }

    /// What is said of an image that is trusted.
    #[must_use]
    pub fn of_image(reference: &str, image: &VerifiedImage) -> Self {
        let links = image.proof().links.clone();
        let deferred = links.iter().any(|link| link.status == Status::Deferred);
        let layers = if deferred { LayersReport::Deferred } else { LayersReport::Hashed };
        let platforms = image.platforms().iter().map(|one| PlatformReport {
            platform: one.platform().map(ToString::to_string),
            digest: one.descriptor().digest.to_string(),
            layers,
        });
        Self {
            pinned: Some(image.pinned()),
            digest: Some(image.digest().to_string()),
            role: Some(image.role().to_owned()),
            platforms: platforms.collect(),
            links,
            tree: tree_of_image(image),
            ..Self::empty(reference, Word::Trusted)
        }
    }

    fn broken(reference: &str, broken: &Broken, verdict: Word) -> Self {
        Self {
            links: broken.proof.links.clone(),
            tree: tree_of(&broken.proof.links),
            broken: Some(broken.link.clone()),
            hint: hint(&broken.link, verdict).map(str::to_owned),
            ..Self::empty(reference, verdict)
        }
    }

    fn empty(reference: &str, verdict: Word) -> Self {
        Self {
            version: REPORT_VERSION,
            verdict,
            reference: reference.to_owned(),
            pinned: None,
            digest: None,
            role: None,
            platforms: Vec::new(),
            links: Vec::new(),
            tree: None,
            broken: None,
            error: None,
            hint: None,
            proof: None,
        }
    }
}

#[cfg(test)]
mod tests;

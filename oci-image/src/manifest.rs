//! Manifests and indexes, read so that no other reader can read them differently.
//!
//! A manifest is chosen by its digest, which says nothing about whether it is an image or an index:
//! CVE-2021-41190 was a document that one reader took for the first and another for the second. Here
//! the media type, inside and outside, and the members must all say the same.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::descriptor::{Descriptor, null_is_empty};
use crate::json;
use crate::media::{self, Kind};
use crate::platform::Platform;

/// The largest manifest (distribution specification 1.1, "Pushing manifests": registries should refuse
/// more than 4 MiB, so no client can count on more).
pub const MANIFEST_MAX: u64 = 4 * 1024 * 1024;

/// The most descriptors in one manifest. Runtimes stop at 128 layers and cosign writes up to 1,000
/// signatures as layers; an index of every platform and its attestations stays well below.
const DESCRIPTORS_MAX: usize = 4096;

/// A manifest of either kind.
#[expect(clippy::large_enum_variant, reason = "one at a time, and matched on at once")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Manifest {
    /// One image, or an artifact in the form of one.
    Image(ImageManifest),
    /// A choice of manifests.
    Index(ImageIndex),
}

/// One image: a config and layers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageManifest {
    /// The media type of this manifest.
    pub media_type: String,
    /// The image's config.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// Whatever the author added.
    pub annotations: BTreeMap<String, String>,
    /// The type of the artifact, if it is no image.
    pub artifact_type: Option<String>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
}

/// A choice of manifests, mostly one for each platform.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageIndex {
    /// The media type of this index.
    pub media_type: String,
    /// What can be chosen.
    pub manifests: Vec<Descriptor>,
    /// Whatever the author added.
    pub annotations: BTreeMap<String, String>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
}

impl Manifest {
    /// Reads a manifest. `declared` is the media type of the descriptor that led here, or the
    /// `Content-Type` that came with it.
    ///
    /// # Errors
    /// When the bytes are not a manifest of OCI or of Docker's version 2 schema 2, disagree with
    /// `declared`, or could be read in two ways.
    pub fn parse(bytes: &[u8], declared: Option<&str>) -> Result<Self, ManifestError> {
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if got > MANIFEST_MAX {
            return Err(ManifestError::TooLarge { limit: MANIFEST_MAX, got });
        }
        let text = str::from_utf8(bytes).map_err(|_| ManifestError::NotUtf8)?;
        let members = json::check(bytes)?;
        let has = |member: &str| members.contains(member);
        if has("fsLayers") || declared.map(media::essence).is_some_and(|d| media::kind(&d) == Kind::Schema1) {
            return Err(ManifestError::Schema1);
        }
        let wire: Wire = serde_json::from_str(text)?;
        let shape = match (has("manifests"), has("config") || has("layers")) {
            (true, true) => return Err(ManifestError::TwoKinds),
            (true, false) => Kind::Index,
            (false, true) => Kind::Manifest,
            (false, false) => return Err(ManifestError::NoKind),
        };
        let media_type = wire.media_type(declared, shape)?;
        wire.bounds()?;
        wire.into_manifest(media_type, shape)
    }

    /// The media type, inside or as declared.
    pub fn media_type(&self) -> &str {
        match self {
            Self::Image(image) => &image.media_type,
            Self::Index(index) => &index.media_type,
        }
    }

    /// The manifest that this one is about.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }
}

impl ImageManifest {
    /// The sum of the sizes of config and layers.
    pub fn size(&self) -> u64 {
        self.layers.iter().fold(self.config.size, |sum, layer| sum.saturating_add(layer.size))
    }
}

impl ImageIndex {
    /// The image that suits this platform best; the first of equals.
    pub fn select(&self, platform: &Platform) -> Option<&Descriptor> {
        let rank = |entry: &&Descriptor| entry.platform.as_ref().and_then(|offer| platform.rank(offer));
        self.images().filter(|entry| rank(entry).is_some()).min_by_key(rank)
    }

    /// The entries that are images, without what BuildKit attests about them.
    pub fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|entry| !entry.is_attestation())
    }
}

/// Both kinds as they are written, before it is clear which one it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: u64,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    manifests: Vec<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    subject: Option<Descriptor>,
}

impl Wire {
    /// The media type that the inside, the outside and the members agree on.
    fn media_type(&self, declared: Option<&str>, shape: Kind) -> Result<String, ManifestError> {
        match self.schema_version {
            2 => {}
            1 => return Err(ManifestError::Schema1),
            got => return Err(ManifestError::SchemaVersion { got }),
        }
        let declared = declared.map(media::essence).filter(|declared| !is_generic(declared));
        let inside = self.media_type.clone();
        let media_type = match (declared, inside) {
            (Some(declared), Some(inside)) if declared != inside => {
                return Err(ManifestError::Disagree { declared, inside });
            }
            (Some(agreed), _) | (None, Some(agreed)) => agreed,
            // OCI manifests may leave the media type out; Docker's may not.
            (None, None) if shape == Kind::Index => media::OCI_INDEX.to_owned(),
            (None, None) => media::OCI_MANIFEST.to_owned(),
        };
        match media::kind(&media_type) {
            kind if kind == shape => Ok(media_type),
            Kind::Manifest | Kind::Index => Err(ManifestError::WrongMembers { media_type }),
            _ => Err(ManifestError::Unsupported { media_type }),
        }
    }

    fn bounds(&self) -> Result<(), ManifestError> {
        let got = self.layers.len().saturating_add(self.manifests.len());
        if got > DESCRIPTORS_MAX {
            return Err(ManifestError::TooMany { limit: DESCRIPTORS_MAX, got });
        }
        self.config
            .iter()
            .chain(&self.layers)
            .chain(&self.manifests)
            .try_fold(0_u64, |sum, descriptor| sum.checked_add(descriptor.size))
            .map(|_| ())
            .ok_or(ManifestError::SizeOverflow)
    }

    fn into_manifest(self, media_type: String, shape: Kind) -> Result<Manifest, ManifestError> {
        if shape == Kind::Index {
            return Ok(Manifest::Index(ImageIndex {
                media_type,
                manifests: self.manifests,
                annotations: self.annotations,
                subject: self.subject,
            }));
        }
        Ok(Manifest::Image(ImageManifest {
            media_type,
            config: self.config.ok_or(ManifestError::NoConfig)?,
            layers: self.layers,
            annotations: self.annotations,
            artifact_type: self.artifact_type,
            subject: self.subject,
        }))
    }
}

/// Types that plain file servers send for any file, and that say nothing about it.
fn is_generic(media_type: &str) -> bool {
    matches!(
        media_type,
        "" | "application/json" | "application/octet-stream" | "binary/octet-stream" | "text/plain"
    )
}

/// Why bytes are not a manifest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Larger than registries must accept.
    #[error("a manifest has at most {limit} bytes, got {got}")]
    TooLarge {
        /// The most that is allowed.
        limit: u64,
        /// The size found.
        got: u64,
    },
    /// Not UTF-8, which JSON must be.
    #[error("the manifest is not UTF-8")]
    NotUtf8,
    /// Not JSON, not the members of a manifest, or JSON that can be read in two ways.
    #[error("the manifest is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Docker's schema 1, whose digest does not cover the whole document.
    #[error(
        "the manifest is of Docker's schema 1, which can't be verified by its digest: push the image again with a current tool"
    )]
    Schema1,
    /// A schema version that is not known.
    #[error("expected schemaVersion 2, got {got}")]
    SchemaVersion {
        /// The version found.
        got: u64,
    },
    /// Members of an image and of an index at once (CVE-2021-41190).
    #[error(
        "the manifest has both manifests and layers or config: it could be read as an index and as an image"
    )]
    TwoKinds,
    /// Neither the members of an image nor of an index.
    #[error("the manifest has neither manifests nor layers and config")]
    NoKind,
    /// An image without config.
    #[error("the image manifest has no config")]
    NoConfig,
    /// The media type inside is not the one declared outside.
    #[error("expected a manifest of type {declared}, got {inside}")]
    Disagree {
        /// What the descriptor or the `Content-Type` said.
        declared: String,
        /// What the manifest says.
        inside: String,
    },
    /// The members are not those of the media type.
    #[error("the manifest says {media_type} but has the members of the other kind")]
    WrongMembers {
        /// The type agreed on inside and outside.
        media_type: String,
    },
    /// Neither OCI nor Docker's version 2 schema 2.
    #[error("not a manifest type that can be read: {media_type:?}")]
    Unsupported {
        /// The type found.
        media_type: String,
    },
    /// More descriptors than any image has.
    #[error("a manifest has at most {limit} entries, got {got}")]
    TooMany {
        /// The most that is allowed.
        limit: usize,
        /// The number found.
        got: usize,
    },
    /// Sizes whose sum can't be counted.
    #[error("the sizes in the manifest overflow when added up")]
    SizeOverflow,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    fn blob(media_type: &str, more: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{HEX}","size":7{more}}}"#)
    }

    fn image(more: &str) -> String {
        let (config, layer) = (blob(media::OCI_CONFIG, ""), blob(media::OCI_LAYER, ""));
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]{more}}}"#)
    }

    fn index(entries: &[String]) -> String {
        format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","))
    }

    fn for_platform(architecture: &str, more: &str) -> String {
        let platform = format!(r#","platform":{{"os":"linux","architecture":"{architecture}"{more}}}"#);
        blob(media::OCI_MANIFEST, &platform)
    }

    #[test]
    fn an_image_is_read() {
        let Ok(Manifest::Image(read)) = Manifest::parse(image("").as_bytes(), None) else {
            panic!("no image")
        };
        assert_eq!(read.media_type, media::OCI_MANIFEST);
        assert_eq!((read.layers.len(), read.size()), (1, 14));
    }

    #[test]
    fn the_type_inside_and_outside_agree_or_one_is_missing() {
        let docker = format!(r#","mediaType":"{}""#, media::DOCKER_MANIFEST);
        for (more, declared, expected) in [
            ("", None, media::OCI_MANIFEST),
            ("", Some(media::DOCKER_MANIFEST), media::DOCKER_MANIFEST),
            (docker.as_str(), None, media::DOCKER_MANIFEST),
            (&docker, Some(media::DOCKER_MANIFEST), media::DOCKER_MANIFEST),
            (&docker, Some("application/json; charset=utf-8"), media::DOCKER_MANIFEST),
            ("", Some("application/vnd.oci.image.manifest.v1+json; charset=x"), media::OCI_MANIFEST),
        ] {
            let read = Manifest::parse(image(more).as_bytes(), declared).unwrap();
            assert_eq!(read.media_type(), expected, "{more} {declared:?}");
        }
    }

    #[test]
    fn null_lists_are_empty_as_go_writes_them() {
        let config = blob(media::OCI_CONFIG, "");
        let text = format!(r#"{{"schemaVersion":2,"config":{config},"layers":null,"annotations":null}}"#);
        assert!(
            matches!(Manifest::parse(text.as_bytes(), None), Ok(Manifest::Image(i)) if i.layers.is_empty())
        );
    }

    #[test]
    fn what_is_refused_says_why() {
        let layer = blob(media::OCI_LAYER, "");
        let large = format!(r#"{{"mediaType":"x/y","digest":"{HEX}","size":9223372036854775807}}"#);
        let sized = |size: &str| index(&[format!(r#"{{"mediaType":"x/y","digest":"{HEX}","size":{size}}}"#)]);
        let cases: Vec<(&str, String, Option<&str>, &str)> = vec![
            ("CVE-2021-41190", image(r#","manifests":[]"#), None, "has both manifests and layers"),
            ("null counts too", image(r#","manifests":null"#), None, "has both manifests and layers"),
            (
                "confused by declaration",
                image(""),
                Some(media::OCI_INDEX),
                "says application/vnd.oci.image.index.v1+json but has the members of the other kind",
            ),
            (
                "confused by the inside",
                image(&format!(r#","mediaType":"{}""#, media::OCI_INDEX)),
                None,
                "but has the members of the other kind",
            ),
            (
                "disagreement",
                image(&format!(r#","mediaType":"{}""#, media::DOCKER_MANIFEST)),
                Some(media::OCI_MANIFEST),
                "expected a manifest of type application/vnd.oci.image.manifest.v1+json, got application/vnd.docker.distribution.manifest.v2+json",
            ),
            ("neither", r#"{"schemaVersion":2}"#.into(), None, "has neither manifests nor layers"),
            ("no config", format!(r#"{{"schemaVersion":2,"layers":[{layer}]}}"#), None, "has no config"),
            ("schema 1", r#"{"schemaVersion":1,"fsLayers":[]}"#.into(), None, "Docker's schema 1"),
            (
                "schema 1 declared",
                "{}".into(),
                Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
                "Docker's schema 1",
            ),
            ("schema 3", image("").replace(":2,", ":3,"), None, "expected schemaVersion 2, got 3"),
            (
                "other type",
                image(r#","mediaType":"a/b""#),
                None,
                "not a manifest type that can be read: \"a/b\"",
            ),
            ("duplicate", image(r#","config":{}"#), None, "member \"config\" twice"),
            ("wrong case", image(r#","Layers":[]"#), None, "member \"Layers\" in the wrong case"),
            ("negative size", sized("-1"), None, "invalid value: integer `-1`"),
            ("half a byte", sized("1.5"), None, "invalid type: floating point"),
            ("size beyond int64", sized("9223372036854775808"), None, "is above 9223372036854775807"),
            ("sum of sizes", index(&[large.clone(), large.clone(), large]), None, "overflow when added up"),
            ("too many", index(&vec![layer; 4097]), None, "at most 4096 entries, got 4097"),
            ("other digest", sized("1").replace("sha256:", "sha512:"), None, "starts with sha256:"),
            ("not JSON", "<html>".into(), None, "malformed"),
            ("nothing", String::new(), None, "malformed"),
            ("too large", " ".repeat(4_194_305), None, "at most 4194304 bytes, got 4194305"),
        ];
        for (name, text, declared, why) in cases {
            let got = Manifest::parse(text.as_bytes(), declared).expect_err(name).to_string();
            assert!(got.contains(why), "{name}: {got}");
        }
        assert!(matches!(Manifest::parse(b"\xff{}", None), Err(ManifestError::NotUtf8)));
    }

    #[test]
    fn any_bytes_give_an_answer() {
        let whole = index(&[for_platform("amd64", "")]);
        for end in 0..whole.len() {
            assert!(Manifest::parse(whole.get(..end).unwrap().as_bytes(), None).is_err());
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone().into_bytes();
            flipped[at] ^= 0x80;
            assert!(Manifest::parse(&flipped, None).is_err());
        }
    }

    #[test]
    fn the_best_image_for_a_platform_is_chosen() {
        let attestation = r#""annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
        let unknown = r#""platform":{"os":"unknown","architecture":"unknown"}"#;
        let text = index(&[
            for_platform("arm", r#","variant":"v6""#),
            for_platform("arm", r#","variant":"v7""#),
            for_platform("amd64", ""),
            blob(media::OCI_MANIFEST, &format!(",{attestation},{unknown}")),
            blob(media::OCI_MANIFEST, &format!(",{unknown}")),
        ]);
        let Ok(Manifest::Index(index)) = Manifest::parse(text.as_bytes(), None) else { panic!("no index") };
        let chosen = |platform: &str| {
            let entry = index.select(&platform.parse().unwrap())?;
            entry.platform.as_ref().map(ToString::to_string)
        };
        assert_eq!(index.images().count(), 3);
        assert_eq!(chosen("linux/arm").as_deref(), Some("linux/arm/v7"));
        assert_eq!(chosen("linux/arm/v6").as_deref(), Some("linux/arm/v6"));
        assert_eq!(chosen("linux/x86_64").as_deref(), Some("linux/amd64"));
        assert_eq!(chosen("linux/s390x"), None);
        assert_eq!(chosen("unknown/unknown"), None);
    }

    /// containerd, Docker and podman go by the platform alone, and take the first of equals.
    #[test]
    fn no_annotation_hides_an_image_that_a_runtime_would_take() {
        let annotated = r#""annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
        let hidden = format!(r#","platform":{{"os":"linux","architecture":"amd64"}},{annotated}"#);
        let text = index(&[blob(media::OCI_MANIFEST, &hidden), for_platform("amd64", "")]);
        let Ok(Manifest::Index(index)) = Manifest::parse(text.as_bytes(), None) else { panic!("no index") };
        assert_eq!(index.images().count(), 2);
        let chosen = index.select(&"linux/amd64".parse().unwrap());
        assert_eq!(chosen, index.manifests.first());
    }
}

//! The index of a pack: what it is of, and what is in it. All of it is a claim, until the chain has been weighed.

use std::collections::BTreeMap;

use oci_image::{Digest, REF_NAME, Reference, media};
use serde::{Deserialize, Serialize};

use crate::error::PackError;
use crate::limits;

/// The version of the form. It grows by members that a reader may leave unread; anything else is a new version.
pub const PACK_VERSION: u32 = 1;

/// Where the index itself is: always first.
pub(crate) const INDEX: &str = "hallmark/pack.json";
/// The rules that the pack was made under.
pub(crate) const POLICY: &str = "hallmark/policy.toml";
/// The names of the OCI layout (image specification, "Image Layout").
pub(crate) const LAYOUT: &str = "oci-layout";
pub(crate) const LAYOUT_INDEX: &str = "index.json";
pub(crate) const LAYOUT_MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
pub(crate) const BLOBS: &str = "blobs/sha256/";
/// The trust repository's metadata, under the names that a server would have for it.
pub(crate) const METADATA: &str = "tuf/metadata/";

/// The index of a pack: `hallmark/pack.json`. Schema: `docs/schema/pack.json`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PackIndex {
    /// The version of this form.
    pub version: u32,
    /// The name that was verified.
    pub reference: String,
    /// The digest of the manifest or index that it stood for.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub digest: Digest,
    /// The media type of that manifest or index.
    pub media_type: String,
    /// The platforms that are in the pack, where the image has an index that names them.
    pub platforms: Vec<String>,
    /// Whether everything that the image's index lists is in the pack.
    pub complete: bool,
    /// Whether the layers are in the pack.
    pub layers: bool,
    /// The tags under which evidence was looked for, and what was there; null where nothing was.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, Option<String>>"))]
    pub tags: BTreeMap<String, Option<Digest>>,
    /// What was said to refer to the image and its parts, by their digest.
    pub referrers: BTreeMap<String, Listing>,
    /// Evidence that there may be, and that could not be looked at.
    pub gaps: Vec<Missing>,
    /// Everything else that is in the pack, by name, in the order of the archive.
    pub parts: Vec<Part>,
}

/// One file of the pack.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Part {
    /// Its name.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

/// What a place of images said to refer to a manifest.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Listing {
    /// Where it was said: `referrers` or `referrers-tag`.
    pub place: String,
    /// The manifests.
    pub manifests: Vec<Listed>,
}

/// A manifest that was said to refer to another.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Listed {
    /// Its media type, as listed.
    pub media_type: String,
    /// Its digest.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub digest: Digest,
    /// Its size, as listed.
    pub size: u64,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Missing {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

impl PackIndex {
    /// The text, as it is in the pack: the same for the same index.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, PackError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|why| unusable(&why))?;
        text.push(b'\n');
        Ok(text)
    }

    /// An index whose every statement about parts can be relied on to be well formed: known names, each once, in
    /// order, and no more than may be.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, PackError> {
        /// The version alone: a later form may look otherwise.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let version = serde_json::from_slice::<Versioned>(bytes).map_err(|why| unusable(&why))?.version;
        expect_version(version)?;
        let index: Self = serde_json::from_slice(bytes).map_err(|why| unusable(&why))?;
        index.check()?;
        Ok(index)
    }

    pub(crate) fn check(&self) -> Result<(), PackError> {
        expect_version(self.version)?;
        if self.parts.len() > limits::PARTS {
            let (expected, got) = (format!("at most {} parts", limits::PARTS), self.parts.len().to_string());
            return Err(PackError::part(INDEX, expected, got));
        }
        let mut last: Option<&str> = None;
        for part in &self.parts {
            part.check()?;
            if last.is_some_and(|last| last >= part.name.as_str()) {
                let got = format!("it after {}", last.unwrap_or_default());
                return Err(PackError::part(&shown(&part.name), "parts in order, each name once", got));
            }
            last = Some(&part.name);
        }
        Ok(())
    }

    /// What the files of the OCI layout must be: other tools find the image by them, and must find this one.
    pub(crate) fn layout_files(&self) -> Result<[(&'static str, Vec<u8>); 2], PackError> {
        let name: Reference = self
            .reference
            .parse()
            .map_err(|why| PackError::part(INDEX, "a name", format!("{}: {why}", shown(&self.reference))))?;
        let missing = || PackError::part(INDEX, format!("a part {}", self.digest), "none");
        let size = self.part(&blob_path(self.digest)).ok_or_else(missing)?.size;
        let index = layout_index(self.digest, &self.media_type, size, name.tag().map(|tag| tag.as_str()));
        Ok([(LAYOUT, LAYOUT_MARKER.to_vec()), (LAYOUT_INDEX, index)])
    }

    /// The part of that name.
    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        let at = self.parts.binary_search_by(|part| part.name.as_str().cmp(name)).ok()?;
        self.parts.get(at)
    }
}

impl Part {
    fn check(&self) -> Result<(), PackError> {
        let expected = match self.name.as_str() {
            LAYOUT | LAYOUT_INDEX | POLICY => return self.is_hash(),
            name if name.starts_with(BLOBS) => "a blob's name to be its SHA-256",
            name if name.starts_with(METADATA) => "a metadata file's name without folders",
            _ => "the name of a part that a pack may have",
        };
        let rest = |folder: &str| self.name.strip_prefix(folder);
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~' | b'%');
        let is_file = |name: &str| {
            name.len() <= limits::NAME_BYTES && name.ends_with(".json") && name.bytes().all(plain)
        };
        let good = rest(BLOBS).is_some_and(|hex| hex == self.sha256) || rest(METADATA).is_some_and(is_file);
        match good {
            true => self.is_hash(),
            false => Err(PackError::part(INDEX, expected, shown(&self.name))),
        }
    }

    fn is_hash(&self) -> Result<(), PackError> {
        match Digest::from_hex(&self.sha256) {
            Ok(_) => Ok(()),
            Err(_) => Err(PackError::part(INDEX, "a SHA-256 in hex", shown(&self.sha256))),
        }
    }
}

fn expect_version(got: u32) -> Result<(), PackError> {
    match got {
        PACK_VERSION => Ok(()),
        _ => Err(PackError::part(INDEX, format!("version {PACK_VERSION}"), format!("version {got}"))),
    }
}

fn unusable(why: &serde_json::Error) -> PackError {
    PackError::Index { why: why.to_string() }
}

/// Text from outside, in bounds and on one line.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(120).collect::<String>())
}

/// Where a metadata file is in a pack. A name that the archive's header can't hold stands there by its hash.
pub(crate) fn metadata_path(name: &str) -> String {
    match name.len() <= limits::NAME_BYTES {
        true => format!("{METADATA}{name}"),
        false => format!("{METADATA}sha256-{}.json", Digest::of(name.as_bytes()).hex()),
    }
}

/// The layout's index: the image alone, so that tools need no name to find it.
pub(crate) fn layout_index(digest: Digest, media_type: &str, size: u64, tag: Option<&str>) -> Vec<u8> {
    // Written by structs: the order of their members is the order of the text, for every reader.
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Layout<'a> {
        schema_version: u8,
        media_type: &'a str,
        manifests: [Entry<'a>; 1],
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry<'a> {
        media_type: &'a str,
        digest: Digest,
        size: u64,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        annotations: BTreeMap<&'a str, &'a str>,
    }
    let annotations = tag.into_iter().map(|tag| (REF_NAME, tag)).collect();
    let entry = Entry { media_type, digest, size, annotations };
    let layout = Layout { schema_version: 2, media_type: media::OCI_INDEX, manifests: [entry] };
    serde_json::to_vec(&layout).unwrap_or_default()
}

/// Where a blob is in a pack.
pub(crate) fn blob_path(digest: Digest) -> String {
    format!("{BLOBS}{}", digest.hex())
}

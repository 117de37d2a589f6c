//! What lies under which tag, and the manifests that hold it.
//!
//! What clients read is as docker/attest has it: `oci_image::tuf_layout`. Beside it each version has a tag of its
//! own, by which it is claimed and found before clients are led to it.

use std::collections::BTreeMap;

pub(super) use oci_image::tuf_layout::target_tag;
use oci_image::tuf_layout::{Asked, ENCODED, FILE_NAME, is_target_encoded};
use oci_image::{Descriptor, Digest, Manifest, Tag, media};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// The config of each manifest.
pub(super) const CONFIG: &[u8] = b"{}";
/// The manifest that stood under the tag before.
pub(super) const PREVIOUS: &str = "hallmark.previous";
/// What RFC 3986 leaves as it is, as in the names of files (TUF 6.2).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Layers by the files that they are.
pub(super) type Files = BTreeMap<String, Descriptor>;

/// What stands under a tag.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) digest: Digest,
    pub(super) files: Files,
    pub(super) annotations: BTreeMap<String, String>,
}

impl Held {
    /// Reads a manifest that somebody else may have put there.
    pub(super) fn parse(bytes: &[u8], declared: Option<&str>) -> Result<Self, String> {
        let image = match Manifest::parse(bytes, declared).map_err(|error| error.to_string())? {
            Manifest::Image(image) => image,
            Manifest::Index(_) => return Err("expected files of a trust repository, got an index".into()),
        };
        let mut files = Files::new();
        for layer in image.layers {
            let Some(name) = layer.annotations.get(FILE_NAME).cloned() else { continue };
            if files.get(&name).is_some_and(|other| other.digest != layer.digest) {
                return Err(format!("it has two files {name:?}"));
            }
            files.insert(name, layer);
        }
        Ok(Self { digest: Digest::of(bytes), files, annotations: image.annotations })
    }

    /// The manifest that stood there before this one, as its writer says.
    pub(super) fn previous(&self) -> Option<Digest> {
        self.annotations.get(PREVIOUS)?.parse().ok()
    }
}

/// A file as a layer.
pub(super) fn layer(name: &str, media_type: &str, bytes: &[u8]) -> Descriptor {
    let mut layer = Descriptor::of(media_type, bytes);
    layer.annotations.insert(FILE_NAME.into(), name.into());
    layer
}

/// A manifest of these layers.
pub(super) fn manifest<'l>(
    layers: impl Iterator<Item = &'l Descriptor>,
    annotations: &Annotations,
) -> Vec<u8> {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_MANIFEST,
        "config": {
            "mediaType": media::OCI_EMPTY,
            "digest": Digest::of(CONFIG),
            "size": CONFIG.len(),
            "data": "e30=",
        },
        "layers": layers.collect::<Vec<_>>(),
    });
    if let (false, Some(manifest)) = (annotations.is_empty(), manifest.as_object_mut()) {
        manifest.insert("annotations".into(), json!(annotations));
    }
    manifest.to_string().into_bytes()
}

pub(super) type Annotations = BTreeMap<String, String>;

/// The version and the role, percent-encoded, of `VERSION.ROLE.json`.
pub(super) fn version_and_role(name: &str) -> Option<(u64, &str)> {
    let (digits, role) = name.strip_suffix(".json")?.split_once('.')?;
    let version = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some((version, role))
}

/// The tag of one version of a role. It can be no role's, and no two versions have the same.
pub(super) fn version_tag(name: &str) -> Option<Tag> {
    let (version, role) = version_and_role(name)?;
    format!("{ENCODED}{}.{version}", Digest::of(role.as_bytes()).hex()).parse().ok()
}

/// The delegated role that a file is of, percent-encoded.
pub(super) fn delegated(name: &str) -> Option<&str> {
    match Asked::of(name) {
        Asked::Delegated(role) => Some(role),
        Asked::Root(_) | Asked::Timestamp | Asked::Stated => None,
    }
}

/// The tag of the index of the targets in a folder: the folder's name up to the first `/`, where that is a tag.
pub(super) fn folder_tag(name: &str) -> Option<Tag> {
    let (folder, _) = name.split_once('/')?;
    folder.parse().ok().filter(|_| !is_target_encoded(folder))
}

/// What a timestamp or a snapshot says of other files. Nothing is verified: whoever signed it did.
pub(super) struct Stated(Value);

impl Stated {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map(Self).map_err(|error| error.to_string())
    }

    /// The name of the file that is stated of a top-level role.
    pub(super) fn file(&self, role: &str) -> Option<String> {
        let version = self.meta()?.get(&format!("{role}.json"))?.get("version")?.as_u64()?;
        Some(format!("{version}.{role}.json"))
    }

    /// The delegated roles, percent-encoded, and their files.
    pub(super) fn delegated(&self) -> BTreeMap<String, String> {
        let roles = self.meta().into_iter().flatten().filter_map(|(key, meta)| {
            let role = key.strip_suffix(".json").filter(|role| *role != "targets")?;
            let role = utf8_percent_encode(role, RESERVED).to_string();
            let name = format!("{}.{role}.json", meta.get("version")?.as_u64()?);
            Some((role, name))
        });
        roles.collect()
    }

    fn meta(&self) -> Option<&serde_json::Map<String, Value>> {
        self.0.get("signed")?.get("meta")?.as_object()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_tags_that_no_role_has() {
        let tag = version_tag("7.a%2Fb.json").unwrap();
        assert_eq!(tag.as_str(), format!("role-sha256-{}.7", Digest::of(b"a%2Fb").hex()));
        assert!(oci_image::tuf_layout::tag_of(tag.as_str(), "latest") != tag.as_str());
        let long = format!("{}.{}.json", u64::MAX, "x".repeat(5000));
        assert!(version_tag(&long).is_some());
        for name in
            ["timestamp.json", "x.role.json", "99999999999999999999.role.json", ".role.json", "1.role"]
        {
            assert!(version_tag(name).is_none(), "{name}");
        }
    }

    #[test]
    fn targets_are_found_by_name_or_by_its_hash() {
        assert_eq!(target_tag("0f.policy"), "0f.policy");
        for name in ["r.example.com/acme/0f.web:1", "0f.a b", "target-sha256-x", &"x".repeat(200)] {
            assert_eq!(target_tag(name), format!("target-sha256-{}", Digest::of(name.as_bytes()).hex()));
        }
        assert_eq!(folder_tag("r.example.com/acme/0f.web").unwrap().as_str(), "r.example.com");
        assert!(folder_tag("127.0.0.1:5000/0f.web").is_none() && folder_tag("0f.web").is_none());
    }

    #[test]
    fn what_is_stated_names_files() {
        let text = br#"{"signed":{"meta":{"targets.json":{"version":3},"a/b.json":{"version":2},"x":1}}}"#;
        let stated = Stated::parse(text).unwrap();
        assert_eq!(stated.file("targets").unwrap(), "3.targets.json");
        assert_eq!(stated.file("snapshot"), None);
        assert_eq!(stated.delegated(), BTreeMap::from([("a%2Fb".to_owned(), "2.a%2Fb.json".to_owned())]));
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let files = [layer("1.a.json", "x", b"1"), layer("2.a.json", "x", b"2")];
        let annotations = Annotations::from([(PREVIOUS.to_owned(), Digest::of(b"before").to_string())]);
        let held = Held::parse(&manifest(files.iter(), &annotations), Some(media::OCI_MANIFEST)).unwrap();
        assert_eq!(held.files.keys().collect::<Vec<_>>(), ["1.a.json", "2.a.json"]);
        assert_eq!(held.previous(), Some(Digest::of(b"before")));
        let twice = [layer("1.a.json", "x", b"1"), layer("1.a.json", "x", b"2")];
        let refused = Held::parse(&manifest(twice.iter(), &Annotations::new()), None).unwrap_err();
        assert_eq!(refused, "it has two files \"1.a.json\"");
    }
}

//! A simulated repository as docker/attest lays it out in a registry: one manifest for the top-level
//! roles, one for each delegated role, and a layer for each file.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use oci_image::Digest;
use test_repos::registry::Registry;
use test_repos::simulator::Simulator;
use tuf_core::metadata_file_name;

pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

const TOP: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// Manifests by their tags, in no order, and all blobs they name.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    pub manifests: BTreeMap<String, String>,
    pub blobs: Vec<Vec<u8>>,
}

impl Publication {
    /// What the last release of a repository is in this layout.
    pub fn of(repo: &Simulator) -> Self {
        let fetch = |name: &str| (name.to_owned(), repo.fetch(name).unwrap().unwrap());
        let release = repo.release(0);
        let mut top: Vec<_> = TOP.iter().map(|role| fetch(release.name(role).unwrap())).collect();
        let roots = repo.names().into_iter().filter(|name| name.ends_with(".root.json"));
        top.extend(roots.filter(|name| Some(name.as_str()) != release.name("root")).map(|name| fetch(&name)));
        let mut publication = Self::default();
        publication.add("latest", &top);
        for role in repo.documents.keys().filter(|role| !TOP.contains(&role.as_str())) {
            publication.add(&tag_of(role), &[fetch(release.name(role).unwrap())]);
        }
        publication
    }

    /// A manifest for these files, under this tag.
    pub fn add(&mut self, tag: &str, files: &[(String, Vec<u8>)]) {
        let layers: Vec<_> = files.iter().map(|(name, bytes)| layer(name, bytes, bytes.len())).collect();
        self.manifests.insert(tag.into(), manifest(&layers));
        self.blobs.extend(files.iter().map(|(_, bytes)| bytes.clone()));
    }

    /// Pushes all of it, the tag of the top-level roles last.
    pub fn push(&self, registry: &Registry, repo: &str) {
        registry.put_blob(repo, b"{}");
        self.blobs.iter().for_each(|blob| drop(registry.put_blob(repo, blob)));
        let delegated = self.manifests.iter().filter(|(tag, _)| *tag != "latest");
        for (tag, manifest) in delegated.chain(self.manifests.get_key_value("latest")) {
            registry.put_manifest(repo, tag, MANIFEST_TYPE, manifest.as_bytes());
        }
    }

    /// Writes all of it into an OCI layout.
    pub fn write_layout(&self, dir: &Path) {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let manifests = self.manifests.values().map(|manifest| manifest.as_bytes());
        for bytes in self.blobs.iter().map(Vec::as_slice).chain(manifests).chain([&b"{}"[..]]) {
            fs::write(blobs.join(Digest::of(bytes).hex()), bytes).unwrap();
        }
        let entries: Vec<_> = self.manifests.iter().map(|(tag, manifest)| entry(tag, manifest)).collect();
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        fs::write(dir.join("index.json"), index).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
}

/// A layer that is this file, and says that it has this many bytes.
pub fn layer(name: &str, bytes: &[u8], size: usize) -> String {
    let digest = Digest::of(bytes);
    format!(
        r#"{{"mediaType":"application/vnd.tuf.metadata+json","digest":"{digest}","size":{size},"annotations":{{"tuf.io/filename":"{name}"}}}}"#
    )
}

pub fn manifest(layers: &[String]) -> String {
    let empty = Digest::of(b"{}");
    let config = format!(
        r#"{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{empty}","size":2,"data":"e30="}}"#
    );
    let layers = layers.join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{config},"layers":[{layers}]}}"#)
}

fn entry(tag: &str, manifest: &str) -> String {
    let (digest, size) = (Digest::of(manifest.as_bytes()), manifest.len());
    format!(
        r#"{{"mediaType":"{MANIFEST_TYPE}","digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}}}"#
    )
}

/// The documented rule, written down once more: of plain names, the name; of others, a hash.
pub fn tag_of(role: &str) -> String {
    const ENCODED: &str = "role-sha256-";
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let named = metadata_file_name(role, None);
    let name = named.strip_suffix(".json").unwrap();
    let is_tag = name.bytes().all(is_plain) && name.len() <= 128 && !name.starts_with(['.', '-']);
    if is_tag && name != "latest" && !name.starts_with(ENCODED) {
        return name.into();
    }
    format!("{ENCODED}{}", Digest::of(name.as_bytes()).hex())
}

//! Images of a few kilobytes, made in memory: layers with whatever entries a test asks for.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod program;
pub(crate) mod random;
pub(crate) mod rpm;

use std::collections::HashMap;
use std::io::{Cursor, Read, Write as _};

use image_scan::{Component, Inventory, ScanError, Subject};
use oci_image::{Descriptor, Digest, FetchedManifest, ImageSource, Selector, SourceError};
use tar::{EntryType, Header};

pub(crate) const DEBIAN_12: &str = "ID=debian\nVERSION_ID=\"12\"\n";

/// One layer, as an archive in the making.
pub(crate) struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, path: &str, link: Option<&str>, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        // Paths are put in as they are, also those that a builder would refuse.
        let name = &mut header.as_old_mut().name;
        assert!(path.len() <= name.len());
        name[..path.len()].copy_from_slice(path.as_bytes());
        if let Some(link) = link {
            let name = &mut header.as_old_mut().linkname;
            name[..link.len()].copy_from_slice(link.as_bytes());
        }
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, path, None, content.as_ref())
    }

    pub(crate) fn folder(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, None, b"")
    }

    pub(crate) fn symlink(self, path: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, path, Some(to), b"")
    }

    pub(crate) fn hard_link(self, path: &str, to: &str) -> Self {
        self.entry(EntryType::Link, path, Some(to), b"")
    }

    pub(crate) fn whiteout(self, path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let slash = if folder.is_empty() { "" } else { "/" };
        self.file(&format!("{folder}{slash}.wh.{name}"), "")
    }

    pub(crate) fn opaque(self, folder: &str) -> Self {
        self.file(&format!("{folder}/.wh..wh..opq"), "")
    }

    /// A Python distribution.
    pub(crate) fn python(self, folder: &str, name: &str, version: &str) -> Self {
        let text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n");
        self.file(&format!("{folder}/{name}-{version}.dist-info/METADATA"), text)
    }

    /// A Node.js package.
    pub(crate) fn npm(self, folder: &str, name: &str, version: &str) -> Self {
        let text = format!(r#"{{"name":"{name}","version":"{version}"}}"#);
        self.file(&format!("{folder}/package.json"), text)
    }

    pub(crate) fn dpkg(self, stanzas: &[&str]) -> Self {
        self.file("var/lib/dpkg/status", stanzas.join("\n"))
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A stanza of dpkg's status.
pub(crate) fn deb(name: &str, version: &str) -> String {
    format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// An image: its blobs, and what names them.
#[derive(Default)]
pub(crate) struct Image {
    blobs: HashMap<Digest, Vec<u8>>,
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) diff_ids: Vec<Digest>,
}

impl Image {
    /// An image of gzipped layers, the lowest first.
    pub(crate) fn of(layers: impl IntoIterator<Item = Layer>) -> Self {
        let mut image = Self::default();
        for layer in layers {
            let bytes = layer.bytes();
            image.add(gzip(&bytes), Digest::of(&bytes));
        }
        image
    }

    pub(crate) fn add(&mut self, blob: Vec<u8>, diff_id: Digest) {
        let descriptor = Descriptor::of("application/vnd.oci.image.layer.v1.tar+gzip", &blob);
        self.blobs.insert(descriptor.digest, blob);
        self.layers.push(descriptor);
        self.diff_ids.push(diff_id);
    }

    /// Puts other bytes where a layer's should be.
    pub(crate) fn replace(&mut self, layer: usize, bytes: Vec<u8>) {
        self.blobs.insert(self.layers[layer].digest, bytes);
    }

    pub(crate) fn scan(&self) -> Result<Inventory, ScanError> {
        let ids: Vec<_> = self.diff_ids.iter().map(|id| format!("\"{id}\"")).collect();
        let config = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#, ids.join(","));
        let subject = Subject { digest: Digest::of(b""), config: config.as_bytes(), layers: &self.layers };
        Inventory::take(&subject, self, &mut |_| ())
    }

    /// `kind name version layer`, a component a line; of those that aren't the distribution's own.
    pub(crate) fn components(&self) -> Vec<String> {
        let inventory = self.scan().unwrap();
        assert!(inventory.unread.is_empty(), "{:?}", inventory.unread);
        inventory.components.iter().filter(|one| one.owner.is_none()).map(brief).collect()
    }

    pub(crate) fn refused(&self) -> String {
        self.scan().expect_err("refused").to_string()
    }
}

pub(crate) fn brief(one: &Component) -> String {
    format!("{} {} {} {}", one.kind.name(), one.name, one.version, one.layer)
}

impl ImageSource for Image {
    fn manifest(&self, which: Selector<'_>) -> Result<FetchedManifest, SourceError> {
        panic!("nobody needs manifest {which}")
    }

    fn blob(&self, want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(Box::new(Cursor::new(self.blobs[&want.digest].clone())))
    }

    fn describe(&self) -> String {
        "an image in memory".into()
    }
}

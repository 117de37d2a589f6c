//! An image made of whatever bytes: kept in memory, and scanned as one that was verified is.

use std::io::{Cursor, Read};

use image_scan::{Inventory, ScanError, Subject};
use oci_image::{Descriptor, Digest, FetchedManifest, ImageSource, Selector, SourceError};

/// The layers of an image, uncompressed.
pub struct Layers(pub Vec<Vec<u8>>);

impl Layers {
    /// What the scan says of it.
    pub fn scan(&self) -> Result<Inventory, ScanError> {
        let ids: Vec<_> = self.0.iter().map(|layer| format!("\"{}\"", Digest::of(layer))).collect();
        let config = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#, ids.join(","));
        let layers: Vec<_> = self
            .0
            .iter()
            .map(|layer| Descriptor::of("application/vnd.oci.image.layer.v1.tar", layer))
            .collect();
        let subject = Subject { digest: Digest::of(b""), config: config.as_bytes(), layers: &layers };
        Inventory::take(&subject, self, &mut |_| ())
    }
}

impl ImageSource for Layers {
    fn manifest(&self, which: Selector<'_>) -> Result<FetchedManifest, SourceError> {
        panic!("nobody needs manifest {which}")
    }

    fn blob(&self, want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let layer = self.0.iter().find(|layer| Digest::of(layer) == want.digest);
        Ok(Box::new(Cursor::new(layer.expect("a layer of this image").clone())))
    }

    fn describe(&self) -> String {
        "an image in memory".into()
    }
}

/// What holds for every inventory: what is in it can be shown, and is in a layer that there is.
pub fn holds(inventory: &Inventory, layers: usize) {
    for one in &inventory.components {
        for text in [&one.name, &one.version] {
            assert!(!text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control), "{one:?}");
        }
        assert!(one.layer < layers && one.path.starts_with('/') && !one.path.contains("/../"), "{one:?}");
        assert!(one.guess.as_ref().is_none_or(|guess| !guess.names.is_empty()), "{one:?}");
    }
    assert!(inventory.components.is_sorted());
    assert!(inventory.unread.len() <= 1000);
    assert!(inventory.unread.iter().all(|one| one.layer < layers && !one.why.is_empty()));
}

/// An archive of these files, as a layer is one.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, bytes) in files {
        archive.extend(entry(name, b'0', "", bytes.len()));
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// The header of an entry (POSIX ustar).
pub fn entry(name: &str, kind: u8, link: &str, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(124, &format!("{size:011o}\0"));
    put(148, "        ");
    put(157, link);
    put(257, "ustar\x0000");
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

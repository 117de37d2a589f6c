//! An archive in which one byte is another: never a panic, and noticed wherever it isn't a claim of the index.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::fs;

use image_pack::{Pack, PackError};
use oci_image::{Digest, ImageSource as _, Selector, SourceError};
use tuf_client::{Fetch, Fetched, Transport as _};

/// A pack written by hand: what the documentation says, and no code of the crate.
fn pack() -> (Vec<u8>, usize) {
    let manifest = br#"{"schemaVersion":2,"manifests":[]}"#;
    let digest = Digest::of(manifest);
    let (kind, size) = ("application/vnd.oci.image.index.v1+json", manifest.len());
    let layout = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{{"mediaType":"{kind}","digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.ref.name":"1"}}}}]}}"#
    );
    let long = format!("tuf/metadata/{}.json", "r".repeat(95));
    let mut files = vec![
        (format!("blobs/sha256/{}", digest.hex()), manifest.to_vec()),
        ("index.json".to_owned(), layout.into_bytes()),
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        (long, vec![b'x'; 700]),
        ("tuf/metadata/timestamp.json".to_owned(), vec![b't'; 512]),
    ];
    files.sort();
    let part = |(name, bytes): &(String, Vec<u8>)| serde_json::json!({"name": name, "size": bytes.len(), "sha256": Digest::of(bytes).hex()});
    let parts: Vec<_> = files.iter().map(part).collect();
    let index = serde_json::json!({
        "version": 1, "reference": "registry.example.com/acme/web:1", "digest": digest, "media_type": kind,
        "platforms": [], "complete": true, "layers": false, "tags": {"1": digest, "none": null}, "referrers": {},
        "gaps": [], "parts": parts,
    });
    let index = index.to_string().into_bytes();
    let claims = 512 + index.len();
    files.insert(0, ("hallmark/pack.json".to_owned(), index));
    let mut out = Vec::new();
    for (name, bytes) in &files {
        out.extend(header(name, bytes.len()));
        out.extend(bytes);
        out.resize(out.len().div_ceil(512) * 512, 0);
    }
    out.resize(out.len() + 1024, 0);
    (out, claims)
}

fn header(name: &str, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    let (prefix, name) = if name.len() > 100 { name.rsplit_once('/').unwrap() } else { ("", name) };
    put(0, name);
    put(100, "0000644\x000000000\x000000000\0");
    put(124, &format!("{size:011o}\x0000000000000\0        0"));
    put(257, "ustar\x0000");
    put(345, prefix);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    header
}

/// A file that is written again and again.
struct Place(tempfile::NamedTempFile);

impl Place {
    fn new() -> Self {
        Self(tempfile::NamedTempFile::new().unwrap())
    }

    fn open(&self, bytes: &[u8]) -> Result<Pack, PackError> {
        fs::write(self.0.path(), bytes).unwrap();
        Pack::open(self.0.path())
    }
}

#[test]
fn a_pack_that_is_written_by_hand_is_read() {
    let (bytes, _) = pack();
    let place = Place::new();
    let pack = place.open(&bytes).unwrap();
    let source = pack.source();
    let fetched = source.manifest(Selector::Tag("1")).unwrap();
    assert_eq!(Digest::of(&fetched.bytes), pack.index().digest);
    assert!(matches!(source.manifest(Selector::Tag("none")), Err(SourceError::NotFound { .. })));
    let unseen = source.manifest(Selector::Tag("2")).unwrap_err();
    assert!(unseen.unreachable(), "not in the pack is not seen: {unseen}");
    let fetch = |name: &str, limit| {
        pack.transport().fetch(&Fetch { name, limit, known: None, time: std::time::Duration::from_secs(1) })
    };
    assert!(matches!(fetch("timestamp.json", 512), Ok(Fetched::File { bytes, .. }) if bytes.len() == 512));
    assert!(matches!(
        fetch("timestamp.json", 511),
        Err(SourceError::TooLarge { limit: 511, got: Some(512), .. })
    ));
    for name in ["1.root.json", "../index.json", "", "../../blobs/sha256/x"] {
        assert_eq!(fetch(name, 512).unwrap(), Fetched::Absent, "{name}");
    }
}

#[test]
fn every_byte_that_is_another_is_noticed_but_for_claims() {
    let (good, claims) = pack();
    let place = Place::new();
    place.open(&good).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let opened = place.open(&bad);
        // What the index claims is weighed by whoever judges the image.
        assert!(opened.is_err() || (512..claims).contains(&at), "byte {at}");
    }
}

#[test]
fn a_file_that_ends_early_or_late_is_noticed() {
    let (good, _) = pack();
    let place = Place::new();
    for length in (0..good.len()).step_by(13) {
        assert!(place.open(&good[..length]).is_err(), "{length} bytes");
    }
    assert!(place.open(&[good.as_slice(), &[0]].concat()).is_err());
    assert!(place.open(&[good.as_slice(), &[0; 512]].concat()).is_err());
}

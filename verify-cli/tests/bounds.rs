//! Images with more files than anybody has: refused in little memory, or read.
//!
//! A layer of gigabytes is a block of a hundred thousand entries, compressed once, as often as it takes: frames of
//! Zstandard after one another are one stream (RFC 8878, 3). All three take some 15 s of one core.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

#[path = "engines/support.rs"]
#[allow(dead_code, reason = "a part is for other tests")]
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use oci_image::{Descriptor, Digest, Hasher};
use serde_json::json;
use support::{Run, verify_measured};

const ENTRIES: u32 = 100_000;

/// What `verify` may take for an image of any number of files that it passes over.
const MEMORY_MAX: u64 = 64 << 20;

/// No image may hold a scan for long: many times what it takes on a slow machine.
const TIME_MAX: Duration = Duration::from_secs(240);

/// The header of an empty file (POSIX.1-2017, pax, "ustar Interchange Format").
fn header(path: &str, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644\0");
    put(124, &format!("{size:011o}\0"));
    put(156, "0");
    put(257, "ustar\x0000");
    // The sum counts itself as spaces.
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Entries of these paths, and their frame.
fn block(path: impl Fn(u32) -> String) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = Vec::with_capacity(512 * ENTRIES as usize);
    (0..ENTRIES).for_each(|number| bytes.extend_from_slice(&header(&path(number), 0)));
    let frame = zstd::encode_all(bytes.as_slice(), 1).unwrap();
    (bytes, frame)
}

/// Files whose names differ enough that a byte of the layer is no more than a hundred of its entries.
fn scattered(number: u32) -> String {
    format!("var/cache/{:08x}", number.wrapping_mul(2_654_435_761))
}

fn put(dir: &Path, media_type: &str, bytes: &[u8]) -> Descriptor {
    let descriptor = Descriptor::of(media_type, bytes);
    fs::write(dir.join("blobs/sha256").join(descriptor.digest.hex()), bytes).unwrap();
    descriptor
}

/// An image of one layer in a layout.
fn image(dir: &Path, layer: &[u8], diff_id: Digest) -> String {
    fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    let layer = put(dir, "application/vnd.oci.image.layer.v1.tar+zstd", layer);
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [diff_id.to_string()] },
    });
    let config = put(dir, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer] });
    let mut manifest = put(dir, kind, manifest.to_string().as_bytes());
    manifest.annotations.insert(oci_image::REF_NAME.into(), "1".into());
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    format!("oci:{}:1", dir.display())
}

/// Scans an image, in the time and the memory that any may take.
#[track_caller]
fn scan(home: &Path, image: &str) -> Run {
    let began = Instant::now();
    let (run, peak) = verify_measured(home, &["scan", image, "--unverified", "--format", "json"]);
    let took = began.elapsed();
    eprintln!("{:.1} s, {} MiB: exit code {}", took.as_secs_f32(), peak >> 20, run.code);
    assert!(peak < MEMORY_MAX, "expected less than {MEMORY_MAX} bytes of memory, got {peak}");
    assert!(took < TIME_MAX, "expected an answer within {TIME_MAX:?}, got {took:?}");
    run
}

#[test]
fn ten_million_files_are_more_than_are_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, frame) = block(scattered);
    assert!(bytes.len() / frame.len() < 200, "the bound on the ratio isn't what this is about");
    let image = image(&folder.path().join("image"), &frame.repeat(100), Digest::of(b"nobody gets as far"));
    let run = scan(folder.path(), &image);
    run.failed(
        3,
        &["the image has more files than can be looked through: expected at most 5000000", "hint: "],
    );
}

#[test]
fn ten_million_files_that_compress_as_no_files_do_are_a_bomb() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, frame) = block(|_| "var/cache/again".to_owned());
    assert!(bytes.len() / frame.len() > 1000, "{} bytes", frame.len());
    let image = image(&folder.path().join("image"), &frame.repeat(100), Digest::of(b"nobody gets as far"));
    let run = scan(folder.path(), &image);
    run.failed(1, &["expected at most 200 bytes for each compressed one, got more"]);
}

#[test]
fn just_below_the_bound_every_file_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, frame) = block(scattered);
    let text = "Metadata-Version: 2.1\nName: last\nVersion: 1.0\n\n";
    let mut last = header("opt/last-1.0.dist-info/METADATA", text.len()).to_vec();
    last.extend_from_slice(text.as_bytes());
    last.resize(3 * 512, 0);
    let mut layer = frame.repeat(49);
    layer.extend(zstd::encode_all(last.as_slice(), 1).unwrap());
    let mut hasher = Hasher::new();
    (0..49).for_each(|_| hasher.update(&bytes));
    hasher.update(&last);
    let image = image(&folder.path().join("image"), &layer, hasher.finish());
    let run = scan(folder.path(), &image);
    assert_eq!(run.code, 0, "{}", run.err);
    let report = run.json();
    assert_eq!(report["components"][0]["name"], "last");
    assert_eq!(report["layers"][0]["uncompressed"], u64::from(ENTRIES) * 49 * 512 + 3 * 512);
}

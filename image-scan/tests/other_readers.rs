//! Where the files of a layer end up, as umoci says, which reads archives as Docker, containerd and podman do, with Go's
//! `archive/tar`. What is elsewhere here than in a container would hide it.
//!
//! Needs `umoci`; else it says SKIPPED, and fails where `HALLMARK_NO_SKIPS` is set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use oci_image::{Descriptor, Digest};
use support::random::packages;
use support::{Image, Layer};

/// A header as tar(5) has it, without its sum.
fn header(name: &str, flag: u8, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, b"0000755\0");
    put(&mut block, 108, b"0000000\0");
    put(&mut block, 116, b"0000000\0");
    put(&mut block, 124, format!("{size:011o}\0").as_bytes());
    put(&mut block, 136, b"00000000000\0");
    block[156] = flag;
    put(&mut block, 257, b"ustar\x0000");
    block
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// An entry of that header.
fn entry(mut block: Vec<u8>, body: &[u8]) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(body);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn long(flag: u8, text: &str) -> Vec<u8> {
    let body = format!("{text}\0");
    let mut block = header("././@LongLink", flag, body.len());
    put(&mut block, 257, b"ustar  \0");
    entry(block, body.as_bytes())
}

/// Those for all that follow aren't here: Go gives them as entries, and umoci refuses such an entry.
fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let length = (1..).find(|length: &usize| length.to_string().len() + rest.len() == *length).unwrap();
        body.push_str(&format!("{length}{rest}"));
    }
    entry(header("PaxHeaders/x", b'x', body.len()), body.as_bytes())
}

const BODY: &[u8] = b"Name: a\nVersion: 1.0\n\n";

/// What names a package, at that place.
fn at(folder: &str) -> String {
    format!("{folder}.dist-info/METADATA")
}

fn package(folder: &str) -> Vec<u8> {
    entry(header(&at(folder), b'0', BODY.len()), BODY)
}

/// A package whose folder is in the prefix of a header, by its magic bytes, with more put into it.
fn prefixed(magic: &[u8], more: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = header("own.dist-info/METADATA", b'0', BODY.len());
    put(&mut block, 257, magic);
    for (at, bytes) in more {
        put(&mut block, *at, bytes);
    }
    entry(block, BODY)
}

fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let sparse = |records: &[(&str, &str)]| {
        let path = [("path", "posix.dist-info/METADATA")];
        [pax(&[&path[..], records].concat()), package("own")].concat()
    };
    let mut folder = header(&at("own"), 0, BODY.len());
    put(&mut folder, 0, b"own.dist-info/METADATA/");
    vec![
        ("POSIX's prefix", prefixed(b"ustar\x0000", &[(345, b"folder")])),
        ("no version of POSIX's", prefixed(b"ustar\0\0\0", &[(345, b"folder")])),
        ("star's prefix", prefixed(b"ustar\x0000", &[(345, b"folder"), (508, b"tar\0")])),
        ("a prefix in GNU's form", prefixed(b"ustar  \0", &[(345, b"folder")])),
        ("times in GNU's form", prefixed(b"ustar  \0", &[(345, b"14371573622\0"), (357, b"14371573622\0")])),
        (
            "a time before 1970",
            prefixed(b"ustar  \0", &[(345, b"14371573622\0"), (357, &[0xff; 8]), (365, &[0, 0, 0, 1])]),
        ),
        ("a time beyond all", prefixed(b"ustar  \0", &[(345, b"14371573622\0"), (357, &[0x80, 1])])),
        ("a prefix beyond ASCII", prefixed(b"ustar  \0", &[(345, "f\u{f6}lder".as_bytes())])),
        ("before POSIX", prefixed(b"\0\0\0\0\0\0\0\0", &[(345, b"folder")])),
        (
            "POSIX's name, then GNU's",
            [pax(&[("path", &at("posix"))]), long(b'L', &at("gnu")), package("own")].concat(),
        ),
        (
            "GNU's name, then POSIX's",
            [long(b'L', &at("gnu")), pax(&[("path", &at("posix"))]), package("own")].concat(),
        ),
        ("an empty name of GNU's", [long(b'L', ""), pax(&[("path", &at("posix"))]), package("own")].concat()),
        ("two of POSIX's", [pax(&[("path", &at("posix"))]), pax(&[("mtime", "1")]), package("own")].concat()),
        ("taken back", [pax(&[("path", &at("posix")), ("path", "")]), package("own")].concat()),
        ("a name of a file with holes, which has none", sparse(&[("GNU.sparse.name", "harmless")])),
        ("an unknown form of holes", sparse(&[("GNU.sparse.name", "harmless"), ("GNU.sparse.major", "9")])),
        ("a size of holes alone", sparse(&[("GNU.sparse.size", "22")])),
        ("a folder as of old", [entry(folder, b""), package("next")].concat()),
        (
            "a size in an extended header",
            [
                pax(&[("size", "22")]),
                {
                    let mut bytes = package("own");
                    let without = entry(header(&at("own"), b'0', 0), b"");
                    put(&mut bytes, 0, &without);
                    bytes
                },
                package("next"),
            ]
            .concat(),
        ),
        ("a size in bytes", {
            let mut block = header(&at("own"), b'0', 0);
            put(&mut block, 124, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 22]);
            [entry(block, BODY), package("next")].concat()
        }),
        ("a checksum of signed bytes", {
            let mut block = header("f\u{f6}.dist-info/METADATA", b'0', BODY.len());
            block[148..156].fill(b' ');
            let sum: i32 = block.iter().map(|byte| i32::from(byte.cast_signed())).sum();
            put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
            [block, BODY.to_vec(), vec![0; 512 - BODY.len()]].concat()
        }),
        ("no padding at the end", {
            let mut bytes = package("own");
            bytes.truncate(512 + BODY.len());
            bytes
        }),
        ("dots and slashes", package("./a//b/../c")),
        ("a folder from the root", package("/a")),
        ("a link of the same layer", {
            let mut link = header("l", b'2', 0);
            put(&mut link, 157, b"real");
            [entry(header("real/", b'5', 0), b""), entry(link, b""), package("l/x")].concat()
        }),
        ("a second name", {
            let mut link = header(&at("second"), b'1', 0);
            put(&mut link, 157, at("own").as_bytes());
            [package("own"), entry(header("second.dist-info", b'5', 0), b""), entry(link, b"")].concat()
        }),
    ]
}

/// Writes an image of these layers as a layout with the tag `1`.
fn layout(dir: &Path, layers: &[Vec<u8>]) {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let descriptor = Descriptor::of(media_type, bytes);
        fs::write(blobs.join(descriptor.digest.hex()), bytes).unwrap();
        serde_json::json!({ "mediaType": media_type, "digest": descriptor.digest, "size": descriptor.size })
    };
    let ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let layers: Vec<_> =
        layers.iter().map(|layer| put("application/vnd.oci.image.layer.v1.tar", layer)).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": ids },
    });
    let config = put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        serde_json::json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers });
    let mut manifest = put(kind, manifest.to_string().as_bytes());
    manifest["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": "1" });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// Whether umoci is there.
fn have_umoci() -> bool {
    let there = Command::new("umoci").arg("--version").output().is_ok_and(|said| said.status.success());
    if !there {
        assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "umoci is not installed");
        eprintln!("SKIPPED: umoci is not installed");
    }
    there
}

/// What umoci unpacks of these layers: the files that name packages, with their versions; or why it can't.
fn unpacked(layers: &[Vec<u8>]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    layout(&folder.path().join("image"), layers);
    let bundle = folder.path().join("bundle");
    let unpacked = Command::new("umoci")
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:1", folder.path().join("image").display()))
        .arg(&bundle)
        .output()
        .unwrap();
    match unpacked.status.success() {
        true => Ok(packages(&bundle.join("rootfs"))),
        false => Err(String::from_utf8_lossy(&unpacked.stderr).into_owned()),
    }
}

/// What is listed of these layers, likewise; or why not all.
fn listed(layers: &[Vec<u8>]) -> Result<Vec<String>, String> {
    let mut image = Image::default();
    layers.iter().for_each(|layer| image.add(layer.clone(), Digest::of(layer)));
    let inventory = image.scan().map_err(|error| error.to_string())?;
    match inventory.unread.first() {
        Some(unread) => Err(format!("{unread:?}")),
        None => {
            let all = inventory.components.iter();
            let mut lines: Vec<_> = all.map(|one| format!("{} {}", one.path, one.version)).collect();
            lines.sort();
            Ok(lines)
        }
    }
}

#[test]
fn files_are_where_a_runtime_puts_them() {
    if !have_umoci() {
        return;
    }
    for (what, entries) in archives() {
        // Where an end is missing, it is missing on purpose.
        let end = if entries.len() % 512 == 0 { vec![0; 1024] } else { Vec::new() };
        let layers = [[entries, end].concat()];
        let expected = unpacked(&layers).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert!(!expected.is_empty(), "{what}");
        assert_eq!(listed(&layers), Ok(expected), "{what}");
    }
}

#[test]
fn layers_made_at_random_leave_what_a_runtime_leaves() {
    if !have_umoci() {
        return;
    }
    let mut compared = 0;
    for seed in 1..200 {
        let (layers, said) = support::random::layers(seed);
        // Of an opaque folder where a lower layer has a link, umoci empties what that leads to; others don't.
        if said.iter().flatten().any(|entry| entry.starts_with("7 ")) {
            continue;
        }
        let layers: Vec<_> = layers.into_iter().map(Layer::bytes).collect();
        let (Ok(expected), Ok(listed)) = (unpacked(&layers), listed(&layers)) else { continue };
        compared += usize::from(!expected.is_empty());
        assert_eq!(listed, expected, "{seed}: {said:#?}");
    }
    assert!(compared > 50, "expected images with packages, got {compared}");
}

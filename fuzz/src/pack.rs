//! A pack: an archive from a stranger. The first byte says how the bytes become one. Most become it with right headers,
//! sizes and hashes, because a fuzzer would spend its time on them: an index after its length in two bytes, then files,
//! each after the length of its name in one byte and of its body in two.
//!
//! What was taken is read by another reader of archives, too: every part is there and nothing else, each of its hash.

use std::io::{Cursor, Read as _};
use std::time::Duration;

use image_pack::{Pack, PackIndex};
use oci_image::{Descriptor, Digest, ImageSource as _, Selector};
use serde_json::{Value, json};
use tuf_client::{Fetch, Fetched, Transport as _};

use crate::image;

/// The bytes after it are the archive.
pub const RAW: u8 = 1;
/// The parts are those of the index, and not made of the files.
pub const PARTS_AS_SAID: u8 = 2;
/// The files come in the order of the bytes.
pub const UNSORTED: u8 = 4;

/// The most files that are read of the bytes.
const FILES: usize = 24;
const INDEX: &str = "hallmark/pack.json";
const METADATA: &str = "tuf/metadata/";

/// Opens it, and asks it for all that it has.
pub fn run(bytes: &[u8]) -> bool {
    let Some((flags, rest)) = bytes.split_first() else { return false };
    let archive = if flags & RAW != 0 { rest.to_vec() } else { made(*flags, rest) };
    let open = || Pack::from_bytes("fuzzed", archive.clone());
    let pack = match (open(), open()) {
        (Ok(one), Ok(two)) => {
            assert_eq!(one.index(), two.index(), "the same pack is the same twice");
            one
        }
        (Err(one), Err(two)) => {
            let said = one.to_string();
            assert_eq!(said, two.to_string());
            assert!(!said.is_empty() && !said.chars().any(char::is_control), "{said:?}");
            return false;
        }
        (one, two) => panic!("the same pack is {one:?} and {two:?}"),
    };
    holds(&pack, &archive);
    true
}

/// Index, parts and archive say the same, also for other programs.
fn holds(pack: &Pack, archive: &[u8]) {
    let index = pack.index();
    let files = by_others(archive);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let parts = index.parts.iter().map(|part| part.name.as_str());
    assert_eq!(names, [INDEX].into_iter().chain(parts).collect::<Vec<_>>());
    let read: PackIndex = serde_json::from_slice(&files[0].1).expect("what was read is JSON");
    assert_eq!(&read, index);
    let (transport, source) = (pack.transport(), pack.source());
    for (part, (name, body)) in index.parts.iter().zip(&files[1..]) {
        let digest = Digest::of(body);
        assert_eq!((part.size, &part.sha256), (body.len() as u64, &digest.hex()), "{name}");
        assert!(
            !name.starts_with('/') && name.split('/').all(|step| !matches!(step, "" | "." | "..")),
            "{name}"
        );
        if let Some(hex) = name.strip_prefix("blobs/sha256/") {
            assert_eq!(hex, digest.hex());
            let want = Descriptor { size: part.size, digest, ..Descriptor::of("x/y", b"") };
            let mut came = Vec::new();
            source.blob(&want).expect("it is there").read_to_end(&mut came).expect("it is in memory");
            assert_eq!(&came, body);
        }
        if let Some(name) = name.strip_prefix(METADATA) {
            let ask = |limit| transport.fetch(&Fetch { name, limit, known: None, time: Duration::MAX });
            match ask(part.size) {
                Ok(Fetched::File { bytes, .. }) => assert_eq!(&bytes, body),
                // A name that stands there by its hash has another one when it is asked for.
                other => assert!(matches!(other, Ok(Fetched::Absent)) && name.len() > 90, "{other:?}"),
            }
            assert!(
                part.size == 0 || !matches!(ask(part.size - 1), Ok(Fetched::File { .. })),
                "a bound holds"
            );
        }
    }
    for (tag, digest) in &index.tags {
        if let Ok(fetched) = source.manifest(Selector::Tag(tag)) {
            assert_eq!(Some(Digest::of(&fetched.bytes)), *digest);
        }
    }
    let layout = &files.iter().find(|(name, _)| name == "index.json").expect("other tools find it").1;
    let layout: Value = serde_json::from_slice(layout).expect("JSON");
    assert_eq!(layout["manifests"].as_array().map(Vec::len), Some(1));
    assert_eq!(layout["manifests"][0]["digest"], index.digest.to_string());
}

/// What another program finds in the archive.
fn by_others(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = tar::Archive::new(Cursor::new(archive));
    let entries = reader.entries().expect("an archive");
    let file = |entry: std::io::Result<tar::Entry<'_, Cursor<&[u8]>>>| {
        let mut entry = entry.expect("an entry");
        assert!(entry.header().entry_type().is_file());
        let name = entry.path().expect("a path").to_str().expect("text").to_owned();
        let mut body = Vec::new();
        entry.read_to_end(&mut body).expect("a body");
        (name, body)
    };
    entries.map(file).collect()
}

/// An archive of an index and files, whatever they are. In the index, `#N` is the hash of file N; in a name, `#` that of
/// its own body; and a layout's index that is `#` is made of what the index says.
fn made(flags: u8, bytes: &[u8]) -> Vec<u8> {
    let Some((length, rest)) = two(bytes) else { return Vec::new() };
    let (text, mut rest) = rest.split_at(length.min(rest.len()));
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    while let Some((length, after)) = rest.split_first()
        && let Some((body, after)) = two(after)
        && files.len() < FILES
    {
        let (name, after) = after.split_at(usize::from(*length).min(after.len()));
        let (body, after) = after.split_at(body.min(after.len()));
        files.push((String::from_utf8_lossy(name).into_owned(), body.to_vec()));
        rest = after;
    }
    let mut text = String::from_utf8_lossy(text).into_owned();
    for (number, (name, body)) in files.iter_mut().enumerate() {
        let hex = Digest::of(body).hex();
        text = text.replace(&format!("#{number}"), &hex);
        *name = name.replace('#', &hex);
    }
    let mut index: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(layout) = files.iter().position(|(name, body)| name == "index.json" && body == b"#") {
        files[layout].1 = layout_of(&index, &files).into_bytes();
    }
    if flags & UNSORTED == 0 {
        files.sort();
    }
    let part = |(name, body): &(String, Vec<u8>)| json!({ "name": name, "size": body.len(), "sha256": Digest::of(body).hex() });
    if let (Some(index), 0) = (index.as_object_mut(), flags & PARTS_AS_SAID) {
        index.insert("parts".to_owned(), files.iter().map(part).collect());
        text = Value::Object(index.clone()).to_string();
    }
    files.insert(0, (INDEX.to_owned(), text.into_bytes()));
    let mut archive = Vec::new();
    for (name, body) in &files {
        archive.extend(header(name, body.len()));
        archive.extend_from_slice(body);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn two(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    Some((usize::from(u16::from_be_bytes(*length)), rest))
}

/// The image that other tools are to find (image specification, "Image Layout").
fn layout_of(index: &Value, files: &[(String, Vec<u8>)]) -> String {
    let text = |member: &str| index[member].as_str().unwrap_or_default().to_owned();
    let (kind, digest, reference) = (text("media_type"), text("digest"), text("reference"));
    let blob = digest.replace("sha256:", "blobs/sha256/");
    let size = files.iter().find(|(name, _)| *name == blob).map_or(0, |(_, body)| body.len());
    let named = reference.split('@').next().unwrap_or_default();
    let tag = named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map(|(_, tag)| tag);
    let annotations = tag.map_or_else(String::new, |tag| {
        format!(",\"annotations\":{{\"org.opencontainers.image.ref.name\":\"{tag}\"}}")
    });
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":\
         [{{\"mediaType\":\"{kind}\",\"digest\":\"{digest}\",\"size\":{size}{annotations}}}]}}"
    )
}

/// The one header that a pack has for a name and a size.
fn header(name: &str, size: usize) -> [u8; 512] {
    let (prefix, name) = match name.len() {
        0..=100 => ("", name),
        _ => name.rsplit_once('/').unwrap_or(("", name)),
    };
    let cut =
        |text: &str, most: usize| (0..=text.len().min(most)).rev().find(|end| text.is_char_boundary(*end));
    let (name, prefix) = (&name[..cut(name, 100).unwrap_or(0)], &prefix[..cut(prefix, 155).unwrap_or(0)]);
    let mut header = image::entry(name, b'0', "", size);
    header[108..124].copy_from_slice(b"0000000\x000000000\0");
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].fill(b' ');
    header[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    header
}

use std::fs;
use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;

fn parsed(part: &Part) -> Value {
    serde_json::from_slice(&part.bytes).unwrap()
}

fn unzipped(layer: &Part) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(layer.bytes.as_slice()).read_to_end(&mut tar).unwrap();
    tar
}

fn paths(layer: &Part) -> Vec<String> {
    let tar = unzipped(layer);
    let mut archive = tar::Archive::new(tar.as_slice());
    let path = |entry: io::Result<tar::Entry<'_, _>>| entry.unwrap().path().unwrap().display().to_string();
    archive.entries().unwrap().map(path).collect()
}

fn two_layers() -> ImageBuilder {
    ImageBuilder::new()
        .file("/etc/app/a.conf", b"a")
        .program("etc/run", b"#!/bin/sh\n")
        .layer()
        .whiteout("etc/app/a.conf")
        .link("etc/b", "run")
        .env("PATH", "/bin")
        .cmd(&["/etc/run"])
}

#[test]
fn the_same_description_makes_the_same_bytes() {
    assert_eq!(two_layers().build().unwrap(), two_layers().build().unwrap());
    assert_ne!(Image::named("a").unwrap().digest(), Image::named("b").unwrap().digest());
}

#[test]
fn each_layer_holds_its_own_entries_and_the_folders_above() {
    let image = two_layers().build().unwrap();
    let found: Vec<_> = image.layers.iter().map(paths).collect();
    let first: &[&str] = &["etc/", "etc/app/", "etc/app/a.conf", "etc/run"];
    assert_eq!(found, [first, &["etc/", "etc/app/", "etc/app/.wh.a.conf", "etc/b"]]);
}

#[test]
fn the_config_states_the_uncompressed_digests_and_how_each_layer_was_made() {
    let image = two_layers().platform("linux/arm/v7").build().unwrap();
    let config = parsed(&image.config);
    let diff_ids: Vec<_> = image.layers.iter().map(|layer| sha256_digest(&unzipped(layer))).collect();
    assert_eq!(config["rootfs"]["diff_ids"], json!(diff_ids));
    assert_eq!(config["architecture"], "arm");
    assert_eq!(config["variant"], "v7");
    assert_eq!(config["config"]["Env"], json!(["PATH=/bin"]));
    let history = config["history"].as_array().unwrap();
    let with_layer = history.iter().filter(|step| step.get("empty_layer").is_none());
    assert_eq!((history.len(), with_layer.count()), (3, 2));
}

#[test]
fn a_manifest_names_its_parts_in_either_format() {
    for (format, image) in [(Format::Oci, two_layers()), (Format::Docker, two_layers().docker())] {
        let image = image.annotation("a", "b").build().unwrap();
        let manifest = parsed(&image.manifest);
        assert_eq!(manifest["mediaType"], format.manifest());
        assert_eq!(manifest["config"]["mediaType"], format.config());
        assert_eq!(manifest["config"]["digest"], image.config.digest());
        assert_eq!(manifest["layers"][1]["mediaType"], format.layer());
        assert_eq!(manifest["layers"][1]["size"], image.layers[1].bytes.len());
        assert_eq!(manifest.get("annotations").is_some(), format == Format::Oci);
    }
}

#[test]
fn an_index_names_each_image_with_its_platform() {
    let image = |platform| Image::named(platform).map(|image| Image { platform: platform.into(), ..image });
    let index = IndexBuilder::new()
        .image(image("linux/amd64").unwrap())
        .image(image("linux/arm/v7").unwrap())
        .build()
        .unwrap();
    let document = parsed(&index.manifest);
    assert_eq!(document["mediaType"], Format::Oci.index());
    assert_eq!(document["manifests"][0]["platform"], json!({"os": "linux", "architecture": "amd64"}));
    assert_eq!(document["manifests"][1]["platform"]["variant"], "v7");
    assert_eq!(document["manifests"][1]["digest"], index.images[1].digest());
}

#[test]
fn a_layout_keeps_other_tags_and_moves_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Image::named("old").unwrap(), Image::named("new").unwrap());
    old.write_layout(folder.path(), "1").unwrap();
    old.write_layout(folder.path(), "2").unwrap();
    new.write_layout(folder.path(), "2").unwrap();
    let index: Value = serde_json::from_slice(&fs::read(folder.path().join("index.json")).unwrap()).unwrap();
    let tags: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["annotations"]["org.opencontainers.image.ref.name"].clone(), &entry["digest"]))
        .collect();
    assert_eq!(tags, [(json!("1"), &json!(old.digest())), (json!("2"), &json!(new.digest()))]);
    let hex = new.digest().replace("sha256:", "");
    assert_eq!(fs::read(folder.path().join("blobs/sha256").join(hex)).unwrap(), new.manifest.bytes);
}

#[test]
fn filler_is_as_long_as_asked_and_does_not_compress() {
    let image = ImageBuilder::new().filler("big", 100_001).build().unwrap();
    assert!(image.layers[0].bytes.len() > 100_001);
    let again = ImageBuilder::new().filler("big", 100_001).build().unwrap();
    assert_eq!(image, again);
}

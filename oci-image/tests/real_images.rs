//! Images that others made: every blob verified, every manifest read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

use std::path::{Path, PathBuf};

use oci_image::{
    Descriptor, Digest, ImageSource, LayoutSource, LayoutWriter, Manifest, Selector, verify_blob,
};

/// Test data beside the repository; not everyone has it.
fn images() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/images");
    let Ok(entries) = std::fs::read_dir(&dir) else {
        eprintln!("SKIPPED: no images in {}", dir.display());
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.join("oci-layout").exists()).collect()
}

/// Reads an entry, and everything below it, and calls `blob` for each blob.
fn walk(source: &LayoutSource, entry: &Descriptor, blob: &mut dyn FnMut(&Descriptor, Option<&[u8]>)) {
    let fetched = source.manifest(Selector::Digest(entry.digest)).unwrap();
    assert_eq!(Digest::of(&fetched.bytes), entry.digest);
    match Manifest::parse(&fetched.bytes, Some(&entry.media_type)).unwrap() {
        Manifest::Index(index) => index.images().for_each(|image| walk(source, image, blob)),
        Manifest::Image(image) => {
            image.layers.iter().chain([&image.config]).for_each(|layer| blob(layer, None));
        }
    }
    blob(entry, Some(&fetched.bytes));
}

#[test]
fn every_blob_of_every_image_is_what_its_descriptor_says() {
    for dir in images() {
        let source = LayoutSource::open(&dir).unwrap();
        for tag in source.tags() {
            let image = source.resolve(Some(&tag), None).unwrap();
            walk(&source, &image, &mut |want, _| {
                verify_blob(source.blob(want).unwrap(), want, &mut |_| {})
                    .unwrap_or_else(|error| panic!("{}:{tag} {}: {error}", dir.display(), want.digest));
            });
        }
    }
}

#[test]
fn an_image_is_copied_to_another_layout() {
    for dir in images() {
        let source = LayoutSource::open(&dir).unwrap();
        let Some(tag) = source.tags().first().cloned() else { continue };
        let image = source.resolve(Some(&tag), None).unwrap();
        let target = tempfile::tempdir().unwrap();
        let mut writer = LayoutWriter::open(target.path()).unwrap();
        walk(&source, &image, &mut |want, bytes| match bytes {
            Some(bytes) => drop(writer.put_manifest(want, bytes).unwrap()),
            None => drop(writer.put_blob(want, source.blob(want).unwrap(), &mut |_| {}).unwrap()),
        });
        writer.commit(Some("copy"), image.clone()).unwrap();
        let copy = LayoutSource::open(target.path()).unwrap().resolve(Some("copy"), None).unwrap();
        assert_eq!((copy.digest, copy.size), (image.digest, image.size));
    }
}

#[test]
fn one_platform_of_six_is_found() {
    let Some(dir) = images().into_iter().find(|dir| dir.ends_with("busybox-official")) else { return };
    let source = LayoutSource::open(&dir).unwrap();
    let index = source.resolve(Some("multi"), None).unwrap();
    let bytes = source.manifest(Selector::Digest(index.digest)).unwrap().bytes;
    let Ok(Manifest::Index(index)) = Manifest::parse(&bytes, Some(&index.media_type)) else {
        panic!("no index")
    };
    assert_eq!(index.images().count(), 6);
    for platform in ["linux/amd64", "linux/aarch64"] {
        let chosen = index.select(&platform.parse().unwrap()).expect(platform);
        assert!(source.resolve(None, Some(chosen.digest)).unwrap().size > 0);
    }
    assert!(index.select(&"windows/amd64".parse().unwrap()).is_none());
}

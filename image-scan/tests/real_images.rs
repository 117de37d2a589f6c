//! Images made by others, as OCI layouts: `HALLMARK_IMAGES`, or `../shared/data/images` beside the repository.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::Read as _;
use std::path::PathBuf;

use image_scan::{Inventory, Subject};
use oci_image::{Descriptor, ImageSource, LayoutSource, Manifest, Selector};

fn images() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/images");
    let found = std::env::var_os("HALLMARK_IMAGES").map_or_else(beside, PathBuf::from);
    if found.is_dir() {
        return Some(found);
    }
    eprintln!("SKIPPED: no images at {}", found.display());
    None
}

fn scan(dir: PathBuf, tag: &str) -> Inventory {
    let source = LayoutSource::open(dir).unwrap();
    let fetched = source.manifest(Selector::Tag(tag)).unwrap();
    let Manifest::Image(image) = Manifest::parse(&fetched.bytes, None).unwrap() else { panic!("an index") };
    let mut config = Vec::new();
    source.blob(&image.config).unwrap().read_to_end(&mut config).unwrap();
    let digest = Descriptor::of("", &fetched.bytes).digest;
    let subject = Subject { digest, config: &config, layers: &image.layers };
    Inventory::take(&subject, &source, &mut |_| ()).unwrap()
}

#[test]
fn real_images_have_what_their_package_managers_say() {
    let Some(images) = images() else { return };
    for (dir, tag, os, count, package) in [
        ("alpine-v3.19", "v3.19", "alpine-3.19.4", 15, "apk musl 1.2.4_git20230717-r4"),
        ("alpine-v3.10", "v3.10", "alpine-3.10.9", 14, "apk musl 1.1.22-r4"),
        ("four-layers-whiteouts", "1", "alpine-3.10.1", 14, "apk musl 1.1.22-r2"),
        ("alma8-micro-s390x", "8", "almalinux-8.9", 0, "rpm glibc"),
        ("alma9-micro-arm64", "9", "almalinux-9.3", 0, "rpm glibc"),
    ] {
        let inventory = scan(images.join(dir), tag);
        assert_eq!(inventory.os.as_ref().unwrap().label(), os);
        assert!(inventory.unread.is_empty(), "{dir}: {:?}", inventory.unread);
        let of_others = inventory.components.iter().filter(|one| one.vendor.is_some());
        assert_eq!(of_others.collect::<Vec<_>>(), Vec::<&image_scan::Component>::new(), "{dir}");
        let lines: Vec<_> = inventory
            .components
            .iter()
            .map(|one| format!("{} {} {}", one.kind.name(), one.name, one.version))
            .collect();
        assert!(lines.iter().any(|line| line.starts_with(package)), "{dir}: {lines:#?}");
        assert!(count == 0 && lines.len() > 10 || lines.len() == count, "{dir}: {lines:#?}");
    }
}

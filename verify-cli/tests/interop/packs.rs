//! Packs in the hands of others: skopeo and podman load the image, python-tuf follows the metadata.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use test_repos::images::ImageBuilder;

use crate::publisher::{Publisher, verify};
use crate::python_tuf::python;
use crate::support::{have, oci, raw_digest, run, same_blobs, skopeo, succeeds};

const NAME: &str = "registry.example.com/acme/web:1.4";

/// An image that `signer` signed, packed with its layers.
struct Packed {
    publisher: Publisher,
    layout: PathBuf,
    digest: String,
}

fn packed() -> Option<Packed> {
    let publisher = Publisher::init()?;
    let layout = publisher.path("image");
    let image = ImageBuilder::new().file("etc/motd", b"hello").layer().cmd(&["/bin/true"]).build().unwrap();
    image.write_layout(&layout, "1.4").unwrap();
    publisher.sign(&["add", &oci(&layout, "1.4"), "--as", NAME]);
    publisher.sign(&["publish"]);
    // A second publish, so that there is a chain of versions to follow.
    publisher.sign(&["publish"]);
    let file = publisher.path("web.hpk");
    let words = ["pack", &oci(&layout, "1.4"), "--as", NAME, "--with-layers", "-o", file.to_str().unwrap()];
    let ran = publisher.verify(&words);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    Some(Packed { publisher, layout, digest: image.digest() })
}

impl Packed {
    fn file(&self) -> PathBuf {
        self.publisher.path("web.hpk")
    }

    fn archive(&self) -> String {
        format!("oci-archive:{}", self.file().display())
    }
}

#[test]
fn skopeo_finds_the_image_in_a_pack_and_copies_every_byte() {
    let Some(packed) = have(&["skopeo"]).then(packed).flatten() else { return };
    // Without a name: there is only one image to find. And by its tag.
    for archive in [packed.archive(), format!("{}:1.4", packed.archive())] {
        assert_eq!(raw_digest(&archive), packed.digest);
    }
    let copied = packed.publisher.path("copied");
    let to = oci(&copied, "1.4");
    succeeds(skopeo(&["copy", "--quiet", "--all", "--preserve-digests"]).args([&packed.archive(), &to]));
    same_blobs(&packed.layout, &copied);
    // What skopeo copied is still what was signed, and the pack is judged by whoever has the root.
    packed.publisher.trusted(&[&to, "--as", NAME]);
    let file = packed.file();
    let root = packed.publisher.root();
    let words = ["image", "--pack", file.to_str().unwrap(), "--root", root.to_str().unwrap()];
    let judged = succeeds(&mut verify(&packed.publisher.path("other"), &words));
    assert_eq!(judged, format!("registry.example.com/acme/web@{}", packed.digest));
}

#[test]
fn podman_loads_a_pack() {
    let Some(packed) = have(&["podman"]).then(packed).flatten() else { return };
    let home = packed.publisher.path("podman");
    let podman = |arguments: &[&str]| {
        let mut command = Command::new("podman");
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        command.arg("--root").arg(home.join("root")).arg("--runroot").arg(home.join("run")).args(arguments);
        command
    };
    let said = succeeds(podman(&["load", "--input"]).arg(packed.file()));
    assert!(said.contains("Loaded image"), "{said}");
    let id = said.rsplit(": ").next().unwrap().trim().to_owned();
    let config = succeeds(&mut podman(&["image", "inspect", "--format", "{{.Id}}", &id]));
    // podman calls an image after its configuration.
    let manifest = packed.layout.join("blobs/sha256").join(packed.digest.trim_start_matches("sha256:"));
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    assert_eq!(format!("sha256:{}", config.trim_start_matches("sha256:")), manifest["config"]["digest"]);
    // A container store is mounted where it was used.
    let _ = run(&mut podman(&["rmi", "--force", &id]));
}

#[test]
fn python_tuf_follows_the_metadata_in_a_pack_to_the_target() {
    let Some(mut python) = python() else { return };
    let Some(packed) = packed() else { return };
    python.args(["-c", include_str!("pack.py")]).arg(packed.file()).arg(packed.publisher.root()).arg(NAME);
    let got = succeeds(python.arg(packed.publisher.path("client")));
    assert_eq!(got, packed.digest);
}

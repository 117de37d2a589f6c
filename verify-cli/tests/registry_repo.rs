//! The trust repository in a registry: an image is verified against it, with the login for images.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use oci_image::Digest;
use serde_json::{Value, json};
use test_repos::registry::{Access, Credentials, Registry};
use test_repos::surface::{Surface, SurfaceKind};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Pushes a folder of metadata, all of it top-level roles, as one manifest.
fn push(registry: &Registry, repo: &str, metadata: &Path) {
    let layer = |path: &Path| -> Value {
        let bytes = fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        json!({
            "mediaType": "application/vnd.tuf.metadata+json",
            "digest": registry.put_blob(repo, &bytes),
            "size": bytes.len(),
            "annotations": { "tuf.io/filename": name },
        })
    };
    let files = fs::read_dir(metadata).unwrap().map(|entry| entry.unwrap().path());
    let layers: Vec<_> = files.map(|path| layer(&path)).collect();
    let config =
        json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2 });
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    registry.put_manifest(repo, "latest", MANIFEST, manifest.to_string().as_bytes());
}

#[test]
fn an_image_is_verified_against_a_repository_in_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let surface = Surface::start(SurfaceKind::Directory, folder.path()).unwrap();
    let endpoints = surface.endpoints().unwrap();
    let login = Credentials::new("reader", "s3cret");
    let registry = Registry::start_with(Access::Bearer(login)).unwrap();
    push(&registry, "acme/trust", &Path::new(&endpoints.repo).join("metadata"));
    let (root, auth) = (folder.path().join("root.json"), folder.path().join("auth.json"));
    fs::write(&root, &endpoints.root).unwrap();
    // reader:s3cret
    let auths = json!({ "auths": { registry.host(): { "auth": "cmVhZGVyOnMzY3JldA==" } } });
    fs::write(&auth, auths.to_string()).unwrap();

    let verify = |more: &[&str]| -> Output {
        let repo = format!("oci://{}/acme/trust", registry.host());
        let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
        command.args(["image", &endpoints.image, "--as", &endpoints.name, "--repo", &repo]);
        command.args(["--platform", endpoints.platform, "--at", &endpoints.now.to_rfc3339()]);
        command.arg("--root").arg(&root).args(more);
        command.env_clear().env("HOME", folder.path().join("home")).output().unwrap()
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();

    let denied = verify(&[]);
    let said = text(&denied.stderr);
    assert_eq!(denied.status.code(), Some(3), "{said}");
    assert!(said.contains("denied access (HTTP status 401)"), "{said}");

    let trusted = verify(&["--authfile", auth.to_str().unwrap()]);
    assert_eq!(trusted.status.code(), Some(0), "{}", text(&trusted.stderr));
    let world = surface.world();
    assert_eq!(text(&trusted.stdout).trim_end(), format!("{}@{}", world.name, world.index()));

    // Offline, a registry isn't asked: what was accepted before is enough.
    registry.clear_log();
    let offline = verify(&["--offline"]);
    assert_eq!(offline.status.code(), Some(0), "{}", text(&offline.stderr));
    assert!(registry.log().is_empty());
}

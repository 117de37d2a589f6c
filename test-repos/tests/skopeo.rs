//! Our images and our registry, as skopeo sees them: made by others, so that what our own client reads
//! is not only what our own builder meant.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy knows helper functions of tests by #[cfg(test)] only"
)]

use std::path::Path;
use std::process::{Command, Output};

use test_repos::images::{Image, ImageBuilder, Index, IndexBuilder};
use test_repos::registry::{Access, Credentials, Registry};

/// Runs skopeo, away from this machine's own configuration. `None`, loudly, where there is none.
fn skopeo(home: &Path, arguments: &[&str]) -> Option<Output> {
    let policy = home.join("policy.json");
    std::fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let run = Command::new("skopeo")
        .arg("--policy")
        .arg(policy)
        .args(arguments)
        .env("HOME", home)
        .env("REGISTRY_AUTH_FILE", home.join("auth.json"))
        .env("CONTAINERS_REGISTRIES_CONF", "/dev/null")
        .output();
    match run {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: skopeo is not installed, so nothing here was tested");
            None
        }
        run => Some(run.unwrap()),
    }
}

/// As [`skopeo`], and it must succeed. Its standard output.
fn succeeds(home: &Path, arguments: &[&str]) -> Option<String> {
    let output = skopeo(home, arguments)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {arguments:?}: {stderr}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn builder() -> ImageBuilder {
    ImageBuilder::new()
        .file("etc/motd", b"hello")
        .program("bin/run", b"#!/bin/sh\n")
        .layer()
        .whiteout("etc/motd")
        .env("PATH", "/bin")
        .cmd(&["/bin/run"])
}

fn two_platforms() -> Index {
    let arm = builder().file("arm", b"").platform("linux/arm64/v8").build().unwrap();
    IndexBuilder::new().image(builder().build().unwrap()).image(arm).build().unwrap()
}

fn oci(folder: &Path, tag: &str) -> String {
    format!("oci:{}:{tag}", folder.display())
}

#[test]
fn skopeo_reads_our_layouts() {
    let home = tempfile::tempdir().unwrap();
    let layout = home.path().join("layout");
    let image = builder().build().unwrap();
    image.write_layout(&layout, "1.4").unwrap();
    let Some(seen) = succeeds(home.path(), &["inspect", &oci(&layout, "1.4")]) else { return };
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["Digest"], image.digest());
    assert_eq!(seen["Architecture"], "amd64");
    assert_eq!(seen["Env"][0], "PATH=/bin");
    assert_eq!(seen["Layers"][1], image.layers[1].digest());
    // Writing an archive unpacks each layer.
    let archive = format!("docker-archive:{}:web:1.4", home.path().join("web.tar").display());
    succeeds(home.path(), &["copy", &oci(&layout, "1.4"), &archive]);
}

/// Pushes to our registry with skopeo, pulls back, and finds every byte as it was.
fn round_trip(registry: &Registry, digest: &str, layout: &Path, home: &Path, creds: [&str; 2]) -> Option<()> {
    let remote = format!("docker://{}/acme/web:1.4", registry.host());
    let back = home.join("back");
    let (source, target) = (oci(layout, "1.4"), oci(&back, "1.4"));
    let flags = ["copy", "--all", "--preserve-digests"];
    let push = [&flags[..], &["--dest-tls-verify=false", creds[0], &source, &remote]].concat();
    succeeds(home, &push)?;
    assert_eq!(test_repos::sha256_digest(&registry.manifest("acme/web", "1.4")?.1), digest);
    let pull = [&flags[..], &["--src-tls-verify=false", creds[1], &remote, &target]].concat();
    succeeds(home, &pull)?;
    for blob in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        let copy = back.join("blobs/sha256").join(blob.file_name());
        assert_eq!(std::fs::read(copy).unwrap(), std::fs::read(blob.path()).unwrap());
    }
    Some(())
}

#[test]
fn skopeo_pushes_to_our_registry_and_pulls_the_same_bytes_back() {
    let alice = || Credentials::new("alice", "s3cret");
    for access in [Access::Open, Access::Basic(alice()), Access::Bearer(alice())] {
        let home = tempfile::tempdir().unwrap();
        let layout = home.path().join("layout");
        let index = two_platforms();
        index.write_layout(&layout, "1.4").unwrap();
        let creds = match access {
            Access::Open => ["--dest-no-creds", "--src-no-creds"],
            _ => ["--dest-creds=alice:s3cret", "--src-creds=alice:s3cret"],
        };
        let registry = Registry::start_with(access).unwrap();
        round_trip(&registry, &index.digest(), &layout, home.path(), creds);
    }
}

#[test]
fn skopeo_pulls_dockers_format_and_is_refused_the_wrong_password() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::start_with(Access::Bearer(Credentials::new("alice", "s3cret"))).unwrap();
    let image: Image = builder().docker().build().unwrap();
    image.push_to(&registry, "web", "1.4");
    let remote = format!("docker://{}/web:1.4", registry.host());
    let inspect = |creds| ["inspect", "--tls-verify=false", creds, "--format={{.Digest}}", &remote];
    let Some(seen) = succeeds(home.path(), &inspect("--creds=alice:s3cret")) else { return };
    assert_eq!(seen.trim(), image.digest());
    let refused = skopeo(home.path(), &inspect("--creds=alice:wrong")).unwrap();
    assert!(!refused.status.success());
}

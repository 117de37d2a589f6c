//! Images made by buildah and by their publishers, through docker-registry, to skopeo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_repos::tree::Tree;

use crate::publisher::Publisher;
use crate::registry::Registry;
use crate::support::{copy, have, oci, raw_digest, same_blobs, say, skopeo, succeeds};

/// Builds an image of one program, Debian's static busybox. `None`, loudly, where it can't.
pub(crate) fn busybox(home: &Path, says: &str) -> Option<PathBuf> {
    if !have(&["buildah", "busybox"]) {
        return None;
    }
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs", "--root"]).arg(home.join("buildah/root"));
        command.arg("--runroot").arg(home.join("buildah/run")).args(arguments);
        succeeds(command.env("BUILDAH_ISOLATION", "chroot").env("HOME", home))
    };
    let layout = home.join(format!("built-{says}"));
    let container = buildah(&["from", "scratch"]);
    let program = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file())?;
    buildah(&["copy", "--quiet", &container, program, "/bin/busybox"]);
    let command = format!(r#"["echo","{says}"]"#);
    buildah(&["config", "--entrypoint", r#"["/bin/busybox"]"#, "--cmd", &command, &container]);
    buildah(&["commit", "--quiet", &container, &oci(&layout, "1.4")]);
    Some(layout)
}

/// The folders of images by others, where they are present.
fn real_images() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/images");
    let Ok(entries) = fs::read_dir(&folder) else {
        // Not counted as a skip that fails: nobody else has this folder.
        say(&format!("SKIPPED: there are no images by others at {}", folder.display()));
        return Vec::new();
    };
    let mut layouts: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    layouts.retain(|layout| layout.join("index.json").is_file());
    layouts.sort();
    layouts
}

fn tags(layout: &Path) -> Vec<String> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let tag =
        |one: &Value| one["annotations"]["org.opencontainers.image.ref.name"].as_str().map(str::to_owned);
    index["manifests"].as_array().unwrap().iter().filter_map(tag).collect()
}

#[test]
fn an_image_from_buildah_is_signed_verified_and_pulled_and_skopeo_agrees() {
    let Some(publisher) = have(&["docker-registry", "skopeo"]).then(Publisher::init).flatten() else {
        return;
    };
    let Some(built) = busybox(&publisher.path(""), "hello") else { return };
    let registry = Registry::start();
    let (name, remote) = (registry.name("web:1.4"), registry.docker("web:1.4"));
    copy(&oci(&built, "1.4"), &remote);
    publisher.publish(&[&name]);

    let digest = raw_digest(&remote);
    assert_eq!(publisher.trusted(&[&name]), format!("{}@{digest}", registry.name("web")));
    let out = publisher.pull(&name, "out", "1.4", &[]);
    assert_eq!(raw_digest(&oci(&out, "1.4")), digest);
    same_blobs(&built, &out);
    let seen: Value = serde_json::from_str(&succeeds(&mut skopeo(&["inspect", &oci(&out, "1.4")]))).unwrap();
    assert_eq!(seen["Digest"], digest);
    // Writing an archive unpacks each layer.
    let archive = format!("docker-archive:{}:acme/web:1.4", publisher.path("web.tar").display());
    succeeds(&mut skopeo(&["copy", "--quiet", &oci(&out, "1.4"), &archive]));
}

#[test]
fn a_tag_that_was_moved_in_the_registry_is_refused_and_nothing_is_written() {
    let Some(publisher) = have(&["docker-registry", "skopeo"]).then(Publisher::init).flatten() else {
        return;
    };
    let Some(built) = busybox(&publisher.path(""), "hello") else { return };
    let Some(other) = busybox(&publisher.path(""), "goodbye") else { return };
    let registry = Registry::start();
    let (name, remote) = (registry.name("web:1.4"), registry.docker("web:1.4"));
    copy(&oci(&built, "1.4"), &remote);
    publisher.publish(&[&name]);
    publisher.trusted(&[&name]);
    let signed = raw_digest(&remote);
    copy(&oci(&other, "1.4"), &remote);

    let before = Tree::of(publisher.path("")).unwrap();
    let target = oci(&publisher.path("out"), "1.4");
    for arguments in [&["image", &name][..], &["pull", &name, &target]] {
        let ran = publisher.verify(arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
        let expected = format!("expected {signed}, got {}", raw_digest(&remote));
        assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
        before.assert_unchanged();
    }
}

#[test]
fn a_registry_that_does_not_answer_is_not_a_refusal() {
    let Some(publisher) = have(&["docker-registry", "skopeo"]).then(Publisher::init).flatten() else {
        return;
    };
    let Some(built) = busybox(&publisher.path(""), "hello") else { return };
    let registry = Registry::start();
    let name = registry.name("web:1.4");
    copy(&oci(&built, "1.4"), &registry.docker("web:1.4"));
    publisher.publish(&[&name]);
    drop(registry);
    let ran = publisher.verify(&["image", &name]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
}

#[test]
fn images_of_others_come_out_as_they_went_in() {
    let images = real_images();
    if images.is_empty() || !have(&["docker-registry", "skopeo"]) {
        return;
    }
    let Some(publisher) = Publisher::init() else { return };
    let registry = Registry::start();
    let mut signed = Vec::new();
    for layout in &images {
        let repository = layout.file_name().unwrap().to_str().unwrap();
        for tag in tags(layout) {
            let name = format!("{repository}:{tag}");
            copy(&oci(layout, &tag), &registry.docker(&name));
            publisher.sign(&["add", &registry.name(&name)]);
            signed.push((layout, repository, tag));
        }
    }
    publisher.sign(&["publish"]);
    for (layout, repository, tag) in signed {
        let name = registry.name(&format!("{repository}:{tag}"));
        let digest = raw_digest(&oci(layout, &tag));
        let pinned = publisher.trusted(&[&name, "--all-platforms"]);
        assert_eq!(pinned, format!("{}@{digest}", registry.name(repository)));
        let out = publisher.pull(&name, &format!("out-{repository}"), &tag, &["--all-platforms"]);
        assert_eq!(raw_digest(&oci(&out, &tag)), digest);
        same_blobs(layout, &out);
    }
}

#[test]
fn six_architectures_are_pulled_together_or_one_by_one() {
    let Some(layout) = real_images().into_iter().find(|layout| layout.ends_with("busybox-official")) else {
        return;
    };
    let Some(publisher) = have(&["docker-registry", "skopeo"]).then(Publisher::init).flatten() else {
        return;
    };
    let registry = Registry::start();
    let name = registry.name("busybox:multi");
    copy(&oci(&layout, "multi"), &registry.docker("busybox:multi"));
    publisher.publish(&[&name]);

    let all = publisher.pull(&name, "all", "multi", &["--all-platforms"]);
    let index: Value =
        serde_json::from_str(&succeeds(&mut skopeo(&["inspect", "--raw", &oci(&all, "multi")]))).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 6);
    copy(&oci(&all, "multi"), &oci(&publisher.path("copy"), "multi"));
    same_blobs(&layout, &publisher.path("copy"));

    let one = publisher.pull(&name, "one", "s390x", &["--platform", "linux/s390x"]);
    assert_eq!(raw_digest(&oci(&one, "s390x")), raw_digest(&oci(&layout, "s390x")));
    let ran = publisher.verify(&["image", &name, "--platform", "plan9/amd64"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
}

#[test]
fn an_image_in_dockers_own_format_is_verified_and_pulled() {
    let Some(publisher) = have(&["docker-registry", "skopeo"]).then(Publisher::init).flatten() else {
        return;
    };
    let Some(built) = busybox(&publisher.path(""), "hello") else { return };
    let registry = Registry::start();
    let (name, remote) = (registry.name("web:v2s2"), registry.docker("web:v2s2"));
    let flags = ["copy", "--quiet", "--format=v2s2", "--dest-tls-verify=false", &oci(&built, "1.4"), &remote];
    succeeds(&mut skopeo(&flags));
    publisher.publish(&[&name]);
    publisher.trusted(&[&name]);
    let out = publisher.pull(&name, "out", "v2s2", &[]);
    // In a layout, skopeo finds manifests of this format only where it needn't look for a tag.
    let only = format!("oci:{}", out.display());
    assert_eq!(raw_digest(&only), raw_digest(&remote));
    let raw = succeeds(&mut skopeo(&["inspect", "--raw", &only]));
    assert!(raw.contains("application/vnd.docker.distribution.manifest.v2+json"), "{raw}");
    let local = publisher.trusted(&[&oci(&out, "v2s2"), "--as", &name]);
    assert_eq!(local, publisher.trusted(&[&name]));
}

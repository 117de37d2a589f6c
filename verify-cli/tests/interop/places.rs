//! Where `signer` publishes to, `verify` reads from: a registry, and a folder of a git work tree.

use std::process::Command;

use crate::images::busybox;
use crate::publisher::{Publisher, verify};
use crate::registry::Registry;
use crate::support::{copy, have, oci, raw_digest, run, succeeds};

#[test]
fn a_repository_in_a_registry_or_a_work_tree_speaks_for_an_image_beside_it() {
    if !have(&["docker-registry", "skopeo", "git"]) {
        return;
    }
    let Some(publisher) = Publisher::init() else { return };
    let Some(built) = busybox(&publisher.path(""), "hello") else { return };
    let registry = Registry::start();
    let name = registry.name("web:1.4");
    copy(&oci(&built, "1.4"), &registry.docker("web:1.4"));
    let pinned = format!("{}@{}", registry.name("web"), raw_digest(&registry.docker("web:1.4")));
    publisher.sign(&["publish"]);
    let site = publisher.path("site");
    succeeds(Command::new("git").args(["init", "--quiet", "--initial-branch=main"]).arg(&site));
    let folder = site.join("trust").display().to_string();
    let places = [(format!("oci://{}", registry.name("tuf")), None), (format!("git:{folder}"), Some(folder))];
    for (place, read_from) in places {
        publisher.sign(&["publish", "--to", &place]);
        publisher.sign(&["add", &name, "--to", &place]);
        publisher.sign(&["publish", "--to", &place]);
        let repo = read_from.unwrap_or(place);
        let root = publisher.path("trust/root.json");
        let asked = |image: &str| {
            let state = tempfile::tempdir().unwrap();
            let mut command = verify(state.path(), &["image", image, "--repo", &repo]);
            run(command.arg("--root").arg(&root))
        };
        let said = asked(&name);
        assert_eq!(
            (said.code, said.stdout.trim_end()),
            (Some(0), pinned.as_str()),
            "{repo}: {}",
            said.stderr
        );
        let refused = asked(&registry.name("web:2"));
        assert_eq!(refused.code, Some(1), "{repo}: {}", refused.stderr);
        // What is published in one place is not older than what was in the other.
        std::fs::remove_file(publisher.path("trust/timestamp.json")).unwrap();
    }
}

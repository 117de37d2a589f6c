//! Adding from a registry: the tag is asked for once, and what comes is hashed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::{Desk, NAME, Said};
use test_repos::images::ImageBuilder;
use test_repos::registry::{Fault, Place, Registry};
use test_repos::tree::Tree;

fn image(content: &str) -> test_repos::images::Image {
    ImageBuilder::new().file("content", content.as_bytes()).build().unwrap()
}

#[test]
fn a_tag_is_resolved_once() {
    let desk = Desk::with_trust();
    let registry = Registry::start().unwrap();
    let digest = image("one").push_to(&registry, "acme/web", "1.4");
    registry.clear_log();
    let name = format!("{}/acme/web:1.4", registry.host());
    desk.signer(&["add", &name]).ok();
    let asked = registry.log().len();
    assert_eq!(asked, 1, "one question");
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.trusted(&name), Some(digest.clone()));
    desk.signer(&["add", &format!("{}/acme/web@{digest}", registry.host()), "--as", NAME]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.trusted(NAME), Some(digest));
}

#[test]
fn a_registry_that_lies_is_refused_and_one_that_is_silent_tells_nothing() {
    let registry = Registry::start().unwrap();
    let digest = image("one").push_to(&registry, "acme/web", "1.4");
    let host = registry.host();
    let desk = Desk::with_trust();
    let before = Tree::of(desk.path("trust")).unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    let by_tag = format!("{host}/acme/web:1.4");
    let by_digest = format!("{host}/acme/web@{digest}");
    for (name, fault, code, said) in [
        (&by_tag, Fault::LieInDigestHeader { digest: other }, 1, "lies about its digest"),
        (&by_digest, Fault::FlipByte, 1, "lies about its digest"),
        (&by_tag, Fault::Truncate, 1, "its bytes have sha256:"),
        (&by_tag, Fault::Missing, 1, "has no tag 1.4"),
        (&by_tag, Fault::Unavailable, 3, "could not read"),
    ] {
        registry.clear_faults();
        registry.set_fault(Place::manifests("acme/web"), fault);
        desk.signer(&["add", name]).failed(code, &["error: ", said]);
    }
    drop(registry);
    desk.signer(&["add", &by_tag]).failed(3, &["error: could not read ", "could not reach"]);
    before.assert_unchanged();
}

#[test]
fn logins_come_from_dockers_places_or_a_named_file() {
    let access = test_repos::registry::Access::Basic(test_repos::registry::Credentials {
        user: "ann".into(),
        password: "secret".into(),
    });
    let registry = Registry::start_with(access).unwrap();
    image("one").push_to(&registry, "acme/web", "1.4");
    let desk = Desk::with_trust();
    let name = format!("{}/acme/web:1.4", registry.host());
    desk.signer(&["add", &name]).failed(3, &["denied access", "hint: log in"]);
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"YW5uOnNlY3JldA=="}}}}}}"#, registry.host());
    std::fs::create_dir(desk.path("docker")).unwrap();
    std::fs::write(desk.path("docker/config.json"), config).unwrap();
    desk.signer(&["add", &name, "--authfile", "docker/config.json"]).ok();
    let said = desk.command(&["add", &name]).env("DOCKER_CONFIG", "docker").output().unwrap();
    assert!(Said::of(&said).ok().stdout.starts_with("already staged"));
    desk.signer(&["add", &name, "--authfile", "nowhere"]).failed(2, &["nowhere"]);
}

//! Writing to a registry: blobs, manifests, tags, referrers; with logins, against lies, beside others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oci_image::{
    Credentials, Descriptor, Digest, ImageSource, ReferrersPlace, Registry, RegistryOptions, Secret,
    Selector, SourceError, Tag, media,
};
use serde_json::{Value, json};
use support::{Server, quick, reply};
use test_repos::registry::{Access, Credentials as Wanted, Registry as Fake};

const SIGNATURE: &str = "application/vnd.example.signature";

fn at(fake: &Fake, credentials: Credentials) -> Registry {
    let name = format!("{}/acme/web", fake.host()).parse().unwrap();
    Registry::new(&name, RegistryOptions { credentials, limits: quick(), ..RegistryOptions::default() })
        .unwrap()
}

fn anonymous(fake: &Fake) -> Registry {
    at(fake, Credentials::anonymous())
}

/// Pushes the empty config, and returns a manifest that has it and nothing else.
fn artifact(registry: &Registry, subject: Option<&Descriptor>, note: &str) -> Vec<u8> {
    let config = registry.push_blob(b"{}").unwrap();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_MANIFEST,
        "artifactType": SIGNATURE,
        "config": {"mediaType": media::OCI_EMPTY, "digest": config, "size": 2},
        "layers": [],
        "annotations": {"note": note},
    });
    if let Some(subject) = subject {
        let subject = serde_json::to_value(subject).unwrap();
        manifest.as_object_mut().unwrap().insert("subject".into(), subject);
    }
    serde_json::to_vec(&manifest).unwrap()
}

fn push(registry: &Registry, tag: &str) -> Descriptor {
    let bytes = artifact(registry, None, tag);
    registry.push_manifest(Selector::Tag(tag), &bytes, media::OCI_MANIFEST).unwrap()
}

#[test]
fn what_was_pushed_is_read_back_whoever_must_log_in() {
    let wanted = || Wanted::new("alice", "s3cret");
    for access in
        [Access::Open, Access::Basic(wanted()), Access::Bearer(wanted()), Access::BearerOpenToRead(wanted())]
    {
        let fake = Fake::start_with(access.clone()).unwrap();
        let login = Credentials::password(&fake.host(), "alice", Secret::from("s3cret".to_owned()));
        let registry = at(&fake, login);
        assert!(!registry.tag_exists(&"1".parse().unwrap()).unwrap(), "{access:?}");
        let pushed = push(&registry, "1");
        assert!(registry.tag_exists(&"1".parse().unwrap()).unwrap(), "{access:?}");
        assert_eq!(registry.resolve(&"1".parse().unwrap()).unwrap(), pushed, "{access:?}");
    }
}

#[test]
fn without_a_login_nothing_is_written() {
    let fake = Fake::start_with(Access::Basic(Wanted::new("alice", "s3cret"))).unwrap();
    let error = anonymous(&fake).push_blob(b"x").unwrap_err();
    assert!(matches!(error, SourceError::Denied { status: 401, .. }), "{error}");
    assert_eq!(fake.blob("acme/web", &Digest::of(b"x").to_string()), None);
}

#[test]
fn a_blob_that_is_there_is_not_sent_again() {
    let fake = Fake::start().unwrap();
    let registry = anonymous(&fake);
    registry.push_blob(b"x").unwrap();
    fake.clear_log();
    registry.push_blob(b"x").unwrap();
    assert_eq!(fake.log().len(), 1);
}

#[test]
fn referrers_are_listed_by_the_registry_or_under_the_tag() {
    for (api, place) in [(true, ReferrersPlace::Api), (false, ReferrersPlace::Tag)] {
        let fake = Fake::start().unwrap();
        fake.set_referrers(api);
        let registry = anonymous(&fake);
        let image = push(&registry, "1");
        for note in ["a", "b", "b"] {
            let bytes = artifact(&registry, Some(&image), note);
            assert_eq!(registry.push_referrer(&bytes, media::OCI_MANIFEST).unwrap().1, place);
        }
        let found = registry.referrers(image.digest, Some(SIGNATURE)).unwrap();
        assert_eq!((found.manifests.len(), found.place), (2, place));
        assert!(found.manifests.iter().all(|entry| entry.artifact_type.as_deref() == Some(SIGNATURE)));
        assert!(found.manifests.iter().any(|entry| entry.annotations.get("note").unwrap() == "a"));
        let others = registry.referrers(image.digest, Some("application/other")).unwrap();
        assert_eq!(others.manifests.len(), if api { 0 } else { 2 });
    }
}

#[test]
fn what_others_wrote_in_the_index_stays_as_it_is() {
    let fake = Fake::start().unwrap();
    fake.set_referrers(false);
    let registry = anonymous(&fake);
    let image = push(&registry, "1");
    let theirs =
        registry.push_referrer(&artifact(&registry, Some(&image), "a"), media::OCI_MANIFEST).unwrap().0;
    let tag = image.digest.to_string().replace(':', "-");
    let entry = json!({"mediaType": theirs.media_type, "digest": theirs.digest, "size": theirs.size, "x": 1});
    let index = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [entry], "y": 2});
    fake.put_manifest("acme/web", &tag, media::OCI_INDEX, &serde_json::to_vec(&index).unwrap());
    registry.push_referrer(&artifact(&registry, Some(&image), "b"), media::OCI_MANIFEST).unwrap();
    let bytes = registry.manifest(Selector::Tag(&tag)).unwrap().bytes;
    let index: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        (&index["y"], &index["manifests"][0], index["manifests"].as_array().unwrap().len()),
        (&json!(2), &entry, 2)
    );
}

#[test]
fn what_is_under_the_tag_and_no_index_is_not_written_over() {
    let fake = Fake::start().unwrap();
    fake.set_referrers(false);
    let registry = anonymous(&fake);
    let image = push(&registry, "1");
    let tag = image.digest.to_string().replace(':', "-");
    let other = push(&registry, &tag);
    let error =
        registry.push_referrer(&artifact(&registry, Some(&image), "a"), media::OCI_MANIFEST).unwrap_err();
    assert!(error.to_string().ends_with("expected an index under the referrers tag"), "{error}");
    assert_eq!(registry.resolve(&tag.parse().unwrap()).unwrap().digest, other.digest);
}

#[test]
fn another_digest_than_ours_is_a_lie() {
    let lie = format!("201 Created\r\nDocker-Content-Digest: sha256:{}", "0".repeat(64));
    let server = Server::fixed(&lie, b"");
    let error = server.registry().push_manifest(Selector::Tag("1"), b"{}", media::OCI_MANIFEST).unwrap_err();
    assert!(matches!(error, SourceError::FalseDigest { .. }), "{error}");
}

#[test]
fn a_manifest_is_not_sent_under_the_digest_of_another() {
    let server = Server::fixed("201 Created", b"");
    let which = Selector::Digest(Digest::of(b"other"));
    let error = server.registry().push_manifest(which, b"{}", media::OCI_MANIFEST).unwrap_err();
    assert!(error.to_string().contains(&Digest::of(b"{}").to_string()), "{error}");
    assert_eq!(server.count(), 0);
}

#[test]
fn an_upload_elsewhere_gets_no_login_and_begins_once() {
    let storage = Server::fixed("201 Created", b"");
    let place = format!("202 Accepted\r\nLocation: http://{}/up?x=1", storage.host);
    let begun = AtomicUsize::new(0);
    let server = Server::start(move |head, stream| match head.split(' ').next() {
        _ if !head.contains("authorization") => {
            reply(stream, "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"", b"");
        }
        Some("post") if begun.fetch_add(1, Ordering::Relaxed) == 0 => reply(stream, &place, b""),
        _ => reply(stream, "404 Not Found", b""),
    });
    let credentials = Credentials::password(&server.host, "alice", Secret::from("s3cret".to_owned()));
    let options = RegistryOptions { credentials, limits: quick(), ..RegistryOptions::default() };
    let digest = server.registry_with(options).push_blob(b"x").unwrap();
    let requests = storage.requests.lock().unwrap();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0].starts_with(&format!("put /up?x=1&digest={}", digest.to_string().replace(':', "%3a")))
    );
    assert!(!requests[0].contains("authorization"), "{requests:?}");
}

#[test]
fn what_is_written_follows_no_redirect() {
    let storage = Server::fixed("201 Created", b"");
    let server = Server::fixed(&format!("307 Temporary Redirect\r\nLocation: http://{}/", storage.host), b"");
    let error = server.registry().push_manifest(Selector::Tag("1"), b"{}", media::OCI_MANIFEST).unwrap_err();
    assert!(error.to_string().ends_with("what is written must not travel on"), "{error}");
    assert_eq!(storage.count(), 0);
}

#[test]
fn what_another_writer_overwrote_is_written_again() {
    let fake = Fake::start().unwrap();
    let registry = anonymous(&fake);
    let tag: Tag = "list".parse().unwrap();
    let mut rounds = 0;
    let amended = registry.amend_manifest(&tag, media::OCI_INDEX, &mut |there| {
        rounds += 1;
        let mut list: Vec<String> = there.map_or(vec![], |bytes| serde_json::from_slice(bytes).unwrap());
        if rounds == 2 {
            // What we wrote is there no more: another one had read what was there before it.
            fake.put_manifest("acme/web", "list", media::OCI_INDEX, br#"["theirs"]"#);
            list = vec!["theirs".into()];
        }
        if list.contains(&"ours".into()) {
            return Ok(None);
        }
        list.push("ours".into());
        Ok(Some(serde_json::to_vec(&list).unwrap()))
    });
    let both = br#"["theirs","ours"]"#.to_vec();
    assert_eq!(amended.unwrap().digest, Digest::of(&both));
    assert_eq!((rounds, fake.manifest("acme/web", "list").unwrap().1), (3, both));
}

#[test]
fn an_entry_that_another_writers_index_lost_is_written_again() {
    let fake = Fake::start().unwrap();
    fake.set_referrers(false);
    let registry = anonymous(&fake);
    let image = push(&registry, "1");
    let tag = image.digest.to_string().replace(':', "-");
    let theirs = push(&registry, "theirs");
    let index =
        json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [&theirs]}).to_string();
    // Twice, as two others do who had read the index before ours was in it.
    for _ in 0..2 {
        fake.overwrite_after_next("acme/web", &tag, media::OCI_INDEX, index.as_bytes());
    }
    let bytes = artifact(&registry, Some(&image), "ours");
    fake.clear_log();
    let (ours, place) = registry.push_referrer(&bytes, media::OCI_MANIFEST).unwrap();
    assert_eq!(place, ReferrersPlace::Tag);
    let writes = |log: Vec<test_repos::http::LoggedRequest>| {
        log.iter().filter(|one| one.method == "PUT" && one.path.ends_with(&tag)).count()
    };
    assert_eq!(writes(fake.log()), 3);
    let found = registry.referrers(image.digest, None).unwrap().manifests;
    let digests: Vec<_> = found.iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [theirs.digest, ours.digest]);
}

#[test]
fn who_is_overwritten_again_and_again_gives_up_and_says_so() {
    let fake = Fake::start().unwrap();
    let tag: Tag = "list".parse().unwrap();
    let error = anonymous(&fake)
        .amend_manifest(&tag, media::OCI_INDEX, &mut |_| Ok(Some(b"{}".to_vec())))
        .unwrap_err();
    let expected = "expected what was written under tag list, got it without that 5 times";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn writers_at_once_lose_no_entry() {
    let fake = Fake::start().unwrap();
    fake.set_referrers(false);
    let image = push(&anonymous(&fake), "1");
    let notes = ["a", "b", "c", "d"];
    std::thread::scope(|scope| {
        for note in notes {
            let (fake, image) = (&fake, &image);
            scope.spawn(move || {
                let limits = oci_image::HttpLimits { back_off: Duration::from_millis(300), ..quick() };
                let options = RegistryOptions { limits, ..RegistryOptions::default() };
                let name = format!("{}/acme/web", fake.host()).parse().unwrap();
                let registry = Registry::new(&name, options).unwrap();
                registry.push_referrer(&artifact(&registry, Some(image), note), media::OCI_MANIFEST).unwrap();
            });
        }
    });
    let found = anonymous(&fake).referrers(image.digest, None).unwrap();
    let mut got: Vec<_> = found.manifests.iter().map(|entry| entry.annotations["note"].as_str()).collect();
    got.sort_unstable();
    assert_eq!(got, notes);
}

#[test]
fn a_busy_registry_is_asked_again_at_each_step_of_a_push() {
    // Turned away once at each step: HEAD, POST, PUT of the blob, PUT of the manifest.
    let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let server = Server::start(move |head, stream| {
        let line = head.lines().next().unwrap_or_default().to_owned();
        if seen.lock().unwrap().insert(line.clone()) {
            return reply(stream, "429 Too Many Requests\r\nRetry-After: 0", b"");
        }
        match line.split(' ').next() {
            Some("head") => reply(stream, "404 Not Found", b""),
            Some("post") => reply(stream, "202 Accepted\r\nLocation: /v2/acme/web/blobs/uploads/1", b""),
            _ => reply(stream, "201 Created", b""),
        }
    });
    let registry = server.registry();
    let blob = registry.push_blob(b"x").unwrap();
    let manifest = registry.push_manifest(Selector::Tag("1"), b"{}", media::OCI_MANIFEST).unwrap();
    assert_eq!((blob, manifest.digest), (Digest::of(b"x"), Digest::of(b"{}")));
    assert_eq!(server.count(), 8);
}

#[test]
fn an_upload_is_not_begun_twice_when_nobody_knows_what_became_of_it() {
    for (fault, requests) in
        [("503 Busy", 1), ("429 Slow Down\r\nRetry-After: 3600", 1), ("429 Slow Down", 3)]
    {
        let server = Server::start(move |head, stream| match head.starts_with("head") {
            true => reply(stream, "404 Not Found", b""),
            false => reply(stream, fault, b""),
        });
        let error = server.registry().push_blob(b"x").unwrap_err();
        assert!(error.unreachable(), "{error}");
        assert_eq!(server.count() - 1, requests, "{fault}");
    }
}

#[test]
fn where_the_list_of_referrers_leads_elsewhere_or_is_none_the_tag_is_asked_for() {
    // As one registry has it: a page for people on another host, which turns programs away.
    let people = Server::fixed("429 Slow Down", b"<html>");
    let elsewhere = format!("303 See Other\r\nLocation: {}", people.url("/packages"));
    for list in [&elsewhere, "403 Forbidden", "405 Not Allowed", "400 Bad Request", "404 Not Found"] {
        let list = list.to_owned();
        let server = Server::start(move |head, stream| match head.contains("/referrers/") {
            true => reply(stream, &list, b""),
            false => reply(stream, "404 Not Found", b""),
        });
        let found = server.registry().referrers(Digest::of(b"image"), None).unwrap();
        assert_eq!((found.manifests, found.place), (vec![], ReferrersPlace::Tag));
    }
    assert_eq!(people.count(), 0);
    // On the same host it may lead further; and a registry that is busy has said nothing.
    let server = Server::start(move |head, stream| match head.contains("/referrers/") {
        true => reply(stream, "307 Moved\r\nLocation: /list", b""),
        false => reply(stream, "200 OK", br#"{"manifests":[]}"#),
    });
    assert_eq!(server.registry().referrers(Digest::of(b"image"), None).unwrap().place, ReferrersPlace::Api);
    let busy = Server::fixed("503 Busy", b"");
    assert!(busy.registry().referrers(Digest::of(b"image"), None).unwrap_err().unreachable());
}

#[test]
fn pages_of_referrers_are_followed_on_the_same_host_only() {
    let entry =
        |name: &[u8]| json!({"mediaType": media::OCI_MANIFEST, "digest": Digest::of(name), "size": 1});
    let page = move |name: &[u8]| serde_json::to_vec(&json!({"manifests": [entry(name)]})).unwrap();
    let elsewhere = Server::fixed("200 OK", &page(b"elsewhere"));
    for (next, expected) in
        [("/v2/acme/web/referrers/x?page=2".to_owned(), Some(2)), (elsewhere.url("/").to_string(), None)]
    {
        let link = format!("200 OK\r\nLink: <{next}>; rel=\"next\"");
        let server = Server::start(move |head, stream| match head.contains("page=2") {
            true => reply(stream, "200 OK", &page(b"second")),
            false => reply(stream, &link, &page(b"first")),
        });
        let found = server.registry().referrers(Digest::of(b"image"), None);
        assert_eq!(found.map(|found| found.manifests.len()).ok(), expected);
    }
    assert_eq!(elsewhere.count(), 0);
}

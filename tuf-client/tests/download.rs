//! Target files (TUF 5.7): under which name they are asked for, and what is accepted.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use support::{Mirror, client, first_root, list, repository};
use tuf_client::{Fetched, Refreshed, Transport};
use tuf_core::hash::sha256_hex;

/// A state whose repository lists these, and the place of their files.
fn state(targets: &[(&str, &[u8])]) -> (Refreshed, Arc<Mirror>) {
    let mut repo = repository();
    for (path, bytes) in targets {
        list(&mut repo, path, bytes);
    }
    let (mirror, files) = (Mirror::of("mirror", &repo), Mirror::of("files", &repo));
    let client = client(&first_root(&repo), &mirror).with_targets(Arc::clone(&files) as Arc<dyn Transport>);
    (client.refresh().unwrap(), files)
}

#[test]
fn a_target_comes_by_its_hash_and_only_once() {
    let (state, files) = state(&[("acme/web app:1", b"web")]);
    files.serve_target("acme/web%20app%3A1", b"web");
    // The name in the store is that of the path, percent-encoded segment by segment.
    let hash = sha256_hex(b"web");
    let download = state.download("acme/web app:1").unwrap();
    assert_eq!((download.bytes.as_slice(), download.fetched), (&b"web"[..], true));
    assert_eq!(files.asked(), [format!("acme/{hash}.web%20app%3A1")]);

    let kept = state.download_unless("acme/web app:1", |_| Some(b"web".to_vec())).unwrap();
    assert!(!kept.fetched && files.asked().is_empty());
    // What is kept but isn't the target is fetched.
    assert!(state.download_unless("acme/web app:1", |_| Some(b"wet".to_vec())).unwrap().fetched);
}

#[test]
fn what_is_not_as_stated_is_refused_and_another_mirror_is_asked() {
    let mut repo = repository();
    list(&mut repo, "web", b"web");
    let name = format!("{}.web", sha256_hex(b"web"));
    let (mirror, bad, good) =
        (Mirror::of("mirror", &repo), Mirror::of("bad", &repo), Mirror::of("good", &repo));
    good.serve_target("web", b"web");
    let metadata = client(&first_root(&repo), &mirror).with_targets(bad.clone());
    let state = metadata.refresh().unwrap();
    for (came, why) in [
        (
            Some(&b"wet"[..]),
            format!(
                "target \"web\" expected sha256:{}, got sha256:{} (TUF 5.7.3)",
                sha256_hex(b"web"),
                sha256_hex(b"wet")
            ),
        ),
        (Some(b"we"), "target \"web\" expected 3 bytes, got 2 (TUF 5.7.3)".into()),
        (None, format!("target \"web\" is stated but not there: expected {name:?}, got nothing (TUF 5.7.3)")),
    ] {
        bad.conduct(move |wanted, _| {
            assert_eq!(wanted.limit, 3);
            Ok(came.map_or(Fetched::Absent, |bytes| Fetched::File { bytes: bytes.to_vec(), tag: None }))
        });
        let error = state.download("web").unwrap_err();
        assert_eq!(error.to_string(), why);
        assert!(!error.unreachable());
        let both = metadata.clone().with_targets(good.clone()).refresh().unwrap();
        assert_eq!(both.download("web").unwrap().bytes, b"web");
    }
}

#[test]
fn a_path_that_no_address_can_have_is_never_asked_for() {
    for path in ["../web", "acme/../web", "/web", "acme//web", "./web"] {
        let (state, files) = state(&[(path, b"web")]);
        let error = state.download(path).unwrap_err();
        let why = "is malformed: its path has a segment that no address can have (TUF 5.7.3)";
        assert_eq!(error.to_string(), format!("target {path:?} {why}"));
        assert!(files.asked().is_empty());
    }
}

#[test]
fn what_is_not_listed_and_what_has_no_place_is_said() {
    let (state, _) = state(&[("web", b"web")]);
    let error = state.download("none").unwrap_err();
    assert_eq!(error.to_string(), "target \"none\": expected a role that lists it, got none (TUF 5.7.2)");
    let mut repo = repository();
    list(&mut repo, "web", b"web");
    let state = client(&first_root(&repo), &Mirror::of("mirror", &repo)).refresh().unwrap();
    let error = state.download("web").unwrap_err();
    assert_eq!(error.to_string(), "target \"web\": expected a place where target files are, got none");
}

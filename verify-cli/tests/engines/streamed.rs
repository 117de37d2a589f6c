//! `verify db update` writes a database as it comes: whatever a source does, the one that was there stays, nothing is
//! left beside it, and memory stays small.

use std::fs::{self, File};
use std::sync::{Arc, Mutex};

use oci_image::Hasher;
use test_repos::http::{Body, Response, Server, folder};
use test_repos::registry::{Fault, Place, Registry};
use tuf_core::schema::Target;

use crate::delivery::{Desk, TARGET, push, push_target};
use crate::support::{Run, verify_measured};

/// The repository on a web server that says something else of the target, when told.
struct Web {
    server: Server,
    instead: Arc<Mutex<Option<Response>>>,
}

impl Web {
    fn of(desk: &Desk) -> Self {
        let instead: Arc<Mutex<Option<Response>>> = Arc::default();
        let (told, honest) = (Arc::clone(&instead), folder(desk.path("repo")));
        let server = Server::start(move |request| match told.lock().unwrap().clone() {
            Some(response) if request.path().starts_with("/targets/") => response,
            _ => honest(request),
        });
        Self { server: server.unwrap(), instead }
    }

    fn instead(&self, response: Option<Response>) {
        *self.instead.lock().unwrap() = response;
    }
}

fn update_from(desk: &Desk, repo: &str) -> Run {
    let root = desk.path("repo/metadata/1.root.json").display().to_string();
    desk.verify(&["db", "update", "--repo", repo, "--root", &root, "--format", "json"])
}

/// A machine that has the first database, a repository that has the second, and the bytes of that.
fn one_behind(repo: impl Fn(&Desk) -> String) -> (Desk, Vec<u8>) {
    let mut desk = Desk::new();
    desk.publish(1);
    let first = update_from(&desk, &repo(&desk));
    assert_eq!(first.code, 0, "{}", first.err);
    let stored = desk.publish(2);
    let bytes = fs::read(stored).unwrap();
    (desk, bytes)
}

/// The files of a machine's database that aren't complete.
fn leftovers(desk: &Desk) -> Vec<String> {
    let dir = desk.path(".local/share/hallmark/advisories");
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".new")).collect()
}

#[track_caller]
fn refused(desk: &Desk, story: &str, code: i32, words: &[&str]) {
    let before = desk.installed();
    let run = desk.update();
    assert_eq!((run.code, run.out.as_str()), (code, ""), "{story}: {}", run.err);
    let hint = "the database that was here, if any, stays in use";
    for words in words.iter().chain([&hint]) {
        assert!(run.err.contains(words), "{story}: expected {words:?} in\n{}", run.err);
    }
    before.assert_unchanged();
    assert_eq!(leftovers(desk), [""; 0], "{story}");
}

#[track_caller]
fn mended(desk: &Desk) {
    assert_eq!(desk.update().json()["delivered"]["fetched"], true);
    assert_eq!(desk.scanned(), ["CVE-2026-2"]);
}

#[test]
fn whatever_a_folder_has_instead_nothing_is_installed_or_left() {
    let (desk, good) = one_behind(|desk| desk.path("repo").display().to_string());
    let stored =
        fs::read_dir(desk.path("repo/targets/advisories")).unwrap().map(|entry| entry.unwrap().path());
    let stored = stored.into_iter().find(|path| fs::read(path).unwrap() == good).unwrap();
    let length = good.len();
    let mut other = good.clone();
    *other.last_mut().unwrap() ^= 1;
    for (story, bytes, words) in [
        (
            "longer",
            [good.as_slice(), b"x"].concat(),
            format!("expected at most {length} bytes, got {}", length + 1),
        ),
        ("shorter", good[..length - 1].to_vec(), format!("expected {length} bytes, got {}", length - 1)),
        ("empty", Vec::new(), format!("expected {length} bytes, got 0")),
        ("other", other, "expected sha256:".to_owned()),
    ] {
        fs::write(&stored, bytes).unwrap();
        refused(&desk, story, 1, &[&words]);
    }
    fs::remove_file(&stored).unwrap();
    refused(&desk, "missing", 1, &[TARGET, "got nothing"]);
    fs::create_dir(&stored).unwrap();
    refused(&desk, "a folder", 1, &["it is no file"]);
    fs::remove_dir(&stored).unwrap();
    fs::write(&stored, good).unwrap();
    mended(&desk);
}

#[test]
fn whatever_a_web_server_sends_instead_nothing_is_installed_or_left() {
    let served = Mutex::new(None);
    let (desk, good) = one_behind(|desk| {
        let web = Web::of(desk);
        let url = web.server.url();
        *served.lock().unwrap() = Some(web);
        url
    });
    let web = served.into_inner().unwrap().unwrap();
    let length = good.len();
    let half = good[..length / 2].to_vec();
    let mut other = good.clone();
    *other.last_mut().unwrap() ^= 1;
    let ok = |bytes: Vec<u8>| Response::ok(bytes);
    let body = |body| Response::new(200).body(body);
    for (story, response, code, words) in [
        (
            "longer",
            ok([good.as_slice(), b"x"].concat()),
            1,
            format!("at most {length} bytes, got {}", length + 1),
        ),
        ("for ever", body(Body::Endless(good.clone())), 1, format!("at most {length} bytes, got more")),
        ("shorter", ok(half.clone()), 1, format!("expected {length} bytes, got {}", length / 2)),
        ("other", ok(other), 1, "expected sha256:".to_owned()),
        ("cut", body(Body::Reset(good.clone())), 3, "the answer broke off".to_owned()),
        ("promised", body(Body::Declared { length: length as u64, bytes: half }), 3, "broke off".to_owned()),
        ("missing", Response::not_found(), 1, "got nothing".to_owned()),
        ("busy", Response::new(503), 3, "HTTP status 503".to_owned()),
        ("no content", Response::new(204), 1, "expected HTTP status 200, got 204".to_owned()),
    ] {
        web.instead(Some(response));
        refused(&desk, story, code, &[&words]);
    }
    web.instead(None);
    mended(&desk);
}

#[test]
fn whatever_a_registry_sends_instead_nothing_is_installed_or_left() {
    let registry = Registry::start().unwrap();
    let repo = format!("oci://{}/acme/trust", registry.host());
    let publish = |desk: &Desk| {
        push(&registry, "acme/trust", "latest", &desk.metadata());
        for entry in fs::read_dir(desk.path("repo/targets/advisories")).unwrap() {
            let stored = entry.unwrap().path();
            push_target(&registry, &stored, fs::read(&stored).unwrap());
        }
        repo.clone()
    };
    let (desk, good) = one_behind(publish);
    publish(&desk);
    let length = good.len();
    for (fault, code, words) in [
        (Fault::Extend, 1, format!("expected at most {length} bytes, got")),
        (Fault::Endless, 1, format!("expected at most {length} bytes, got")),
        (Fault::Truncate, 1, format!("expected {length} bytes, got {}", length - 1)),
        (Fault::FlipByte, 1, "expected sha256:".to_owned()),
        (Fault::Reset, 3, "broke off".to_owned()),
        (Fault::Missing, 1, "has no blob".to_owned()),
        (Fault::Unavailable, 3, "HTTP status 503".to_owned()),
    ] {
        registry.set_fault(Place::blobs("acme/trust-targets"), fault.clone());
        refused(&desk, &format!("{fault:?}"), code, &[&words]);
        registry.clear_faults();
    }
    mended(&desk);
}

#[test]
fn what_an_update_left_that_was_killed_is_gone_after_the_next() {
    let (desk, _) = one_behind(|desk| desk.path("repo").display().to_string());
    fs::write(desk.path(".local/share/hallmark/advisories/.new-a1b2c3"), "the first half of").unwrap();
    mended(&desk);
    assert_eq!(leftovers(&desk), [""; 0]);
}

/// More than the bound on memory by far: what `verify` has without any database is some 15 MB.
const LARGE: u64 = 200 << 20;
const MEMORY_MAX: u64 = 64 << 20;

#[test]
fn a_large_database_is_never_in_memory() {
    let mut desk = Desk::new();
    let mut hasher = Hasher::new();
    let zeros = vec![0; 1 << 20];
    (0..LARGE >> 20).for_each(|_| hasher.update(&zeros));
    let sha256 = hasher.finish().hex();
    let stored =
        desk.list(&Target { length: LARGE, hashes: [("sha256".to_owned(), sha256)].into(), custom: None });
    // With a hole in it, so that it takes no room.
    File::create(&stored).unwrap().set_len(LARGE).unwrap();
    let web = Web::of(&desk);
    let registry = Registry::start().unwrap();
    push(&registry, "acme/trust", "latest", &desk.metadata());
    push_target(&registry, &stored, vec![0; usize::try_from(LARGE).unwrap()]);
    let root = desk.path("repo/metadata/1.root.json").display().to_string();
    for repo in [
        desk.path("repo").display().to_string(),
        web.server.url(),
        format!("oci://{}/acme/trust", registry.host()),
    ] {
        let words = ["db", "update", "--repo", &repo, "--root", &root];
        let (run, peak) = verify_measured(desk.home.path(), &words);
        // All of it came, was what is signed, and is no database: that is found out last.
        run.failed(1, &["expected a database of advisories"]);
        assert!(peak < MEMORY_MAX, "{repo}: expected at most {MEMORY_MAX} bytes of memory, got {peak}");
        assert_eq!(leftovers(&desk), [""; 0], "{repo}");
    }
}

#[test]
fn a_large_archive_of_a_bucket_is_never_in_memory() {
    let desk = Desk::new();
    let bucket = desk.path("bucket");
    fs::create_dir_all(bucket.join("Debian")).unwrap();
    File::create(bucket.join("Debian/all.zip")).unwrap().set_len(LARGE).unwrap();
    let server = Server::start(folder(&bucket)).unwrap();
    let (url, out) = (server.url(), desk.path("made.db").display().to_string());
    let words = ["db", "build", "--from", &url, "--ecosystem", "Debian", "--out", &out];
    let (run, peak) = verify_measured(desk.home.path(), &words);
    // All of it came, and is no archive: that is found out last.
    run.failed(1, &["all.zip"]);
    assert!(peak < MEMORY_MAX, "expected at most {MEMORY_MAX} bytes of memory, got {peak}");
    let left = fs::read_dir(desk.home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("hallmark-osv-")));
}

#[test]
fn whatever_a_bucket_sends_instead_no_database_is_made() {
    let desk = Desk::new();
    let bytes = fs::read(crate::support::database(desk.home.path(), 1)).unwrap();
    let archive = fs::read(desk.path("osv-1/Debian/all.zip")).unwrap();
    let half = archive[..archive.len() / 2].to_vec();
    let body = |body| Response::new(200).body(body);
    for (story, response, code, words) in [
        ("cut", body(Body::Reset(archive.clone())), 3, "broke off"),
        (
            "promised",
            body(Body::Declared { length: archive.len() as u64, bytes: half.clone() }),
            3,
            "broke off",
        ),
        ("too long", body(Body::Declared { length: 1 << 40, bytes: half.clone() }), 1, "sent too much"),
        ("half", Response::ok(half), 1, "all.zip"),
        ("busy", Response::new(503), 3, "HTTP status 503"),
        ("missing", Response::not_found(), 3, "has no archive of Debian"),
    ] {
        let told = Mutex::new(response);
        let server = Server::start(move |_| told.lock().unwrap().clone()).unwrap();
        let (url, out) = (server.url(), desk.path("1.db").display().to_string());
        let run = desk.verify(&["db", "build", "--from", &url, "--ecosystem", "Debian", "--out", &out]);
        assert_eq!((run.code, run.out.as_str()), (code, ""), "{story}: {}", run.err);
        assert!(run.err.contains(words), "{story}: {}", run.err);
        assert_eq!(fs::read(desk.path("1.db")).unwrap(), bytes, "{story}: the one that was there stays");
    }
}

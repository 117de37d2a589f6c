//! A target that is copied as it comes: from whom, how far, and what becomes of a copy that isn't it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod mirror;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mirror::{Mirror, client, first_root, list, repository};
use oci_image::SourceError;
use tuf_client::{ClientError, Fetch, Fetched, Found, Refreshed, Transport};
use tuf_core::hash::{sha256_hex, sha512_hex};
use tuf_core::schema::Target;

/// Longer than what is read at once.
const LENGTH: usize = 200_000;

fn good() -> Vec<u8> {
    vec![7; LENGTH]
}

/// A place that streams these bytes and then, if told, spaces for ever; and counts what was taken of it.
struct Stream {
    name: &'static str,
    bytes: Vec<u8>,
    endless: bool,
    taken: Arc<AtomicU64>,
    asked: AtomicU64,
}

impl Stream {
    fn of(name: &'static str, bytes: Vec<u8>, endless: bool) -> Arc<Self> {
        Arc::new(Self { name, bytes, endless, taken: Arc::default(), asked: AtomicU64::new(0) })
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Transport for Stream {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        panic!("{} is asked for all of {}", self.name, wanted.name)
    }

    fn stream(&self, _: &Fetch<'_>) -> Result<Option<Box<dyn Read + Send>>, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let rest = io::repeat(b' ').take(if self.endless { u64::MAX } else { 0 });
        let bytes = io::Cursor::new(self.bytes.clone()).chain(rest);
        Ok(Some(Box::new(Counted { reader: bytes, taken: Arc::clone(&self.taken) })))
    }

    fn describe(&self) -> String {
        self.name.to_owned()
    }
}

struct Counted<R> {
    reader: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A copy that says what was written to it, and has room for so much.
struct Copy {
    bytes: Vec<u8>,
    room: usize,
    /// The lengths of the copies that are over.
    over: Arc<Mutex<Vec<usize>>>,
}

impl Write for Copy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.over.lock().unwrap().push(self.bytes.len());
    }
}

/// A repository whose targets are at these places, in this order.
fn state(target: &Target, places: &[&Arc<Stream>]) -> Refreshed {
    let mut repo = repository();
    repo.role_mut("targets").set_target("web", target).unwrap();
    repo.publish().unwrap();
    let client = client(&first_root(&repo), &Mirror::of("metadata", &repo));
    let with =
        |client: tuf_client::Client, place: &&Arc<Stream>| client.with_targets(Arc::clone(*place) as _);
    places.iter().fold(client, with).refresh().unwrap()
}

fn copied(state: &Refreshed, room: usize) -> (Result<Vec<u8>, ClientError>, Vec<usize>) {
    let Found::Target { target, .. } = state.find("web").unwrap() else { panic!("it is listed") };
    let over = Arc::new(Mutex::new(Vec::new()));
    let begin = || Ok(Copy { bytes: Vec::new(), room, over: Arc::clone(&over) });
    let copy = state.copy_target("web", &target, begin).map(|mut copy| std::mem::take(&mut copy.bytes));
    let over = over.lock().unwrap().clone();
    (copy, over)
}

#[test]
fn what_a_place_has_instead_is_refused_with_both_values_and_no_more_of_it_is_read() {
    let mut other = good();
    *other.last_mut().unwrap() = 8;
    let (right, wrong) = (sha256_hex(&good()), sha256_hex(&other));
    for (story, bytes, endless, taken, sentence) in [
        (
            "longer",
            vec![7; LENGTH + 50_000],
            false,
            LENGTH + 1,
            "place sent too much: expected at most 200000 bytes, got more".to_owned(),
        ),
        (
            "for ever",
            good(),
            true,
            LENGTH + 1,
            "place sent too much: expected at most 200000 bytes, got more".to_owned(),
        ),
        (
            "shorter",
            good()[1..].to_vec(),
            false,
            LENGTH - 1,
            "target \"web\" expected 200000 bytes, got 199999 (TUF 5.7.3)".to_owned(),
        ),
        (
            "nothing",
            Vec::new(),
            false,
            0,
            "target \"web\" expected 200000 bytes, got 0 (TUF 5.7.3)".to_owned(),
        ),
        (
            "other",
            other,
            false,
            LENGTH,
            format!("target \"web\" expected sha256:{right}, got sha256:{wrong} (TUF 5.7.3)"),
        ),
    ] {
        let place = Stream::of("place", bytes, endless);
        let (copy, over) = copied(&state(&Target::of(&good()), &[&place]), usize::MAX);
        let error = copy.unwrap_err();
        assert!(error.to_string().ends_with(&sentence), "{story}: {error}");
        assert!(!error.unreachable(), "{story}");
        assert_eq!(place.taken(), taken as u64, "{story}");
        assert_eq!(over, [taken.min(LENGTH)], "{story}: one copy, which was dropped");
    }
}

#[test]
fn the_next_place_is_asked_for_all_of_it_and_the_first_ones_copy_is_dropped() {
    let (bad, other) = (Stream::of("bad", vec![8; LENGTH], false), Stream::of("other", good(), false));
    let state = state(&Target::of(&good()), &[&bad, &other]);
    let (copy, over) = copied(&state, usize::MAX);
    assert!(copy.unwrap() == good());
    assert_eq!(over, [LENGTH, 0], "the bad one, then the one whose bytes were taken out");
    assert_eq!((bad.taken(), other.taken()), (LENGTH as u64, LENGTH as u64));
}

#[test]
fn none_of_several_that_has_it_is_said_of_each() {
    let (bad, short) = (Stream::of("bad", vec![8; LENGTH], false), Stream::of("short", Vec::new(), false));
    let (copy, over) = copied(&state(&Target::of(&good()), &[&bad, &short]), usize::MAX);
    let error = copy.unwrap_err();
    assert_eq!(error.blames().len(), 2, "{error}");
    assert!(!error.unreachable());
    assert_eq!(over, [LENGTH, 0]);
}

#[test]
fn a_full_disk_is_no_fault_of_the_place_and_no_other_one_is_asked() {
    let (first, second) = (Stream::of("first", good(), false), Stream::of("second", good(), false));
    let (copy, over) = copied(&state(&Target::of(&good()), &[&first, &second]), 100_000);
    let error = copy.unwrap_err();
    assert!(error.to_string().starts_with("target \"web\": could not write it: "), "{error}");
    assert!(error.unreachable(), "nothing was learnt of the target");
    assert_eq!(second.asked.load(Ordering::Relaxed), 0);
    assert_eq!(over.len(), 1);
}

#[test]
fn every_hash_that_we_know_must_fit_and_without_sha256_nothing_is_read() {
    let (sha256, sha512) = (sha256_hex(&good()), sha512_hex(&good()));
    let of = |hashes: &[(&str, &str)]| Target {
        hashes: hashes
            .iter()
            .map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        ..Target::of(&good())
    };
    let upper = sha256.to_ascii_uppercase();
    for hashes in [
        &[("sha256", sha256.as_str())][..],
        &[("sha256", &upper)],
        &[("sha256", &sha256), ("sha512", &sha512)],
        &[("sha256", &sha256), ("whirlpool", "00")],
    ] {
        let place = Stream::of("place", good(), false);
        let (copy, _) = copied(&state(&of(hashes), &[&place]), usize::MAX);
        assert!(copy.unwrap() == good(), "{hashes:?}");
    }
    let zeros = "0".repeat(128);
    for (hashes, taken, sentence) in [
        (&[("sha256", sha256.as_str()), ("sha512", &zeros)][..], LENGTH, format!("got sha512:{sha512}")),
        (&[("sha512", &sha512)], 0, "expected a sha256, got none".to_owned()),
        (&[("sha256", "ab"), ("sha512", &sha512)], 0, "expected a sha256, got ab".to_owned()),
    ] {
        let place = Stream::of("place", good(), false);
        let (copy, over) = copied(&state(&of(hashes), &[&place]), usize::MAX);
        let error = copy.unwrap_err();
        assert!(error.to_string().contains(&sentence) && !error.unreachable(), "{error}");
        assert_eq!(place.taken(), taken as u64);
        assert_eq!(over.len(), usize::from(taken > 0), "no copy is begun for nothing");
    }
}

#[test]
fn a_transport_that_knows_no_streams_serves_too() {
    let mut repo = repository();
    list(&mut repo, "web", b"web");
    let mirror = Mirror::of("mirror", &repo);
    mirror.serve_target("web", b"web");
    let state = client(&first_root(&repo), &mirror).with_targets(Arc::clone(&mirror) as _).refresh().unwrap();
    assert_eq!(copied(&state, usize::MAX).0.unwrap(), b"web");
    mirror.conduct(|_, _| Ok(Fetched::Absent));
    let error = copied(&state, usize::MAX).0.unwrap_err().to_string();
    assert!(error.ends_with("got nothing (TUF 5.7.3)"), "{error}");
}

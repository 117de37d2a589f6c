//! Several repositories and a map (TAP 4): who is heard, in which order, and when that is enough.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use test_repos::simulator::Simulator;
use tuf_client::{Consensus, Missed, MultiRepo, NoConsensus, RepositoryMap, Said, TransportOptions};
use tuf_core::Instant;
use tuf_core::schema::Target;

const PATH: &str = "acme/web";

fn now() -> Instant {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

/// Repositories in folders, each with a root of its own, and what a client keeps of them.
struct Repositories {
    folder: tempfile::TempDir,
    addresses: BTreeMap<String, String>,
    roots: BTreeMap<String, Vec<u8>>,
    simulators: BTreeMap<String, Simulator>,
}

impl Repositories {
    /// Each by its name and what it lists at [`PATH`], if anything.
    fn of(listing: &[(&str, Option<&[u8]>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (addresses, roots, simulators) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut all = Self { folder, addresses, roots, simulators };
        for (name, content) in listing {
            let mut simulator = Simulator::new(now()).unwrap();
            // The simulator's keys are the same each time; its roots must not be.
            simulator.role_mut("root").signed_mut().insert("x-name".into(), (*name).into());
            if let Some(content) = content {
                simulator.role_mut("targets").set_target(PATH, &Target::of(content)).unwrap();
            }
            simulator.publish().unwrap();
            all.roots.insert((*name).into(), simulator.fetch("2.root.json").unwrap().unwrap());
            all.addresses.insert((*name).into(), all.repo(name).display().to_string());
            all.serve(name, &simulator);
            all.simulators.insert((*name).into(), simulator);
        }
        all
    }

    fn repo(&self, name: &str) -> PathBuf {
        self.folder.path().join("repo").join(name)
    }

    fn serve(&self, name: &str, simulator: &Simulator) {
        let metadata = self.repo(name).join("metadata");
        fs::create_dir_all(&metadata).unwrap();
        for file in simulator.names() {
            if let Some(bytes) = simulator.fetch(&file).unwrap() {
                fs::write(metadata.join(&file), bytes).unwrap();
            }
        }
    }

    /// Publishes what a change makes of a repository.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Simulator)) {
        let mut simulator = self.simulators.remove(name).unwrap();
        change(&mut simulator);
        self.serve(name, &simulator);
        self.simulators.insert(name.into(), simulator);
    }

    /// Nobody answers there any more.
    fn silence(&mut self, name: &str) {
        let port = test_repos::http::Server::start(|_| test_repos::http::Response::not_found()).unwrap();
        self.addresses.insert(name.into(), port.url());
    }

    fn open(&self, mapping: &str) -> Result<MultiRepo, tuf_client::MapError> {
        let addresses: Vec<_> =
            self.addresses.iter().map(|(name, place)| format!("{name:?}: [{place:?}]")).collect();
        let map = format!("{{ \"repositories\": {{ {} }}, \"mapping\": [{mapping}] }}", addresses.join(", "));
        let mut options = TransportOptions::default();
        options.http.allow_http = true;
        let state = self.folder.path().join("state");
        MultiRepo::open(RepositoryMap::parse(map.as_bytes())?, &self.roots, &state, &options, now())
    }

    fn find(&self, mapping: &str) -> Result<Consensus, NoConsensus> {
        self.open(mapping).unwrap().find(PATH)
    }
}

/// A mapping of all paths below `acme/`.
fn needs(threshold: usize, repositories: &[&str], terminating: bool) -> String {
    format!(
        "{{ \"paths\": [\"acme/*\"], \"repositories\": {repositories:?}, \"terminating\": {terminating}, \
         \"threshold\": {threshold} }}"
    )
}

fn says(name: &str, content: &[u8]) -> String {
    let target = Target::of(content);
    format!("{name:?} says {} bytes, sha256:{}", target.length, target.hashes["sha256"])
}

#[test]
fn repositories_that_agree_are_believed_and_one_that_lies_is_named() {
    let all = Repositories::of(&[("a", Some(b"good")), ("b", Some(b"good")), ("c", Some(b"evil"))]);
    let found = all.find(&needs(2, &["a", "b"], true)).unwrap();
    assert_eq!((found.mapping, &found.target), (1, &Target::of(b"good")));
    // The liar comes first, and changes nothing.
    let found = all.find(&needs(2, &["c", "a", "b"], true)).unwrap();
    assert_eq!(found.target, Target::of(b"good"));
    assert_eq!(found.agreeing().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(found.dissenting().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn repositories_that_do_not_agree_are_refused_with_what_each_says() {
    let all = Repositories::of(&[("a", Some(b"good")), ("b", Some(b"evil")), ("c", None)]);
    let refused = all.find(&needs(2, &["a", "b", "c"], true)).unwrap_err();
    assert!(!refused.unreachable());
    assert_eq!(
        refused.to_string(),
        format!(
            "target \"acme/web\", mapping 1 expected 2 of 3 repositories to agree, got 1: {}; {}; \"c\" does \
             not list it",
            says("a", b"good"),
            says("b", b"evil"),
        )
    );
}

#[test]
fn one_that_cannot_be_asked_is_not_needed_where_enough_others_agree() {
    let mut all = Repositories::of(&[("a", Some(b"good")), ("b", Some(b"good")), ("c", Some(b"good"))]);
    all.silence("a");
    let found = all.find(&needs(2, &["a", "b", "c"], true)).unwrap();
    assert_eq!(found.agreeing().collect::<Vec<_>>(), ["b", "c"]);
    assert!(matches!(&found.statements[0].said, Said::Failed(error) if error.unreachable()));
}

#[test]
fn silence_is_no_agreement_and_no_reason_to_ask_others() {
    let mut all = Repositories::of(&[("a", Some(b"good")), ("b", Some(b"good")), ("c", Some(b"evil"))]);
    all.silence("b");
    // Whoever silences `b` must not get `c` believed.
    let mappings = [needs(2, &["a", "b"], false), needs(1, &["c"], true)].join(",");
    let unknown = all.find(&mappings).unwrap_err();
    assert!(unknown.unreachable());
    assert_eq!((unknown.tried.len(), unknown.tried[0].missed), (1, Missed::Unreachable));
    let sentence = unknown.to_string();
    let start = format!(
        "target \"acme/web\", mapping 1 expected 2 of 2 repositories to agree, got 1: {}; \"b\" could not \
         be asked: root: ",
        says("a", b"good")
    );
    assert!(sentence.starts_with(&start), "{sentence}");
}

#[test]
fn where_silence_changes_nothing_the_answer_is_a_refusal() {
    let mut all = Repositories::of(&[("a", Some(b"good")), ("b", Some(b"evil")), ("c", None)]);
    all.silence("c");
    // `c` could not make three of them.
    let refused = all.find(&needs(3, &["a", "b", "c"], true)).unwrap_err();
    assert!(!refused.unreachable());
    assert_eq!((refused.tried[0].got, refused.tried[0].missed), (1, Missed::Heard));
}

#[test]
fn a_repository_whose_metadata_is_refused_does_not_agree_and_sends_nobody_on() {
    let mut all = Repositories::of(&[("a", Some(b"good")), ("b", Some(b"good")), ("c", Some(b"evil"))]);
    let mappings = [needs(2, &["a", "b"], false), needs(1, &["c"], true)].join(",");
    assert_eq!(all.find(&mappings).unwrap().target, Target::of(b"good"));
    // An old timestamp of `b`, which the client has passed.
    let old = all.simulators["b"].release(1).of("timestamp").cloned().unwrap();
    all.change("b", |simulator| drop(simulator.overrides.insert("timestamp.json".into(), old)));
    let refused = all.find(&mappings).unwrap_err();
    assert!(!refused.unreachable());
    assert_eq!(refused.tried[0].missed, Missed::Refused);
    assert_eq!(
        refused.to_string(),
        format!(
            "target \"acme/web\", mapping 1 expected 2 of 2 repositories to agree, got 1: {}; \"b\" is \
             refused: timestamp expected version 2, got 1 (TUF 5.4.3.1)",
            says("a", b"good")
        )
    );
    // With one more that agrees, it isn't needed.
    all.change("c", |simulator| {
        simulator.role_mut("targets").set_target(PATH, &Target::of(b"good")).unwrap();
        simulator.publish().unwrap();
    });
    assert_eq!(all.find(&needs(2, &["a", "b", "c"], true)).unwrap().target, Target::of(b"good"));
}

#[test]
fn a_terminating_mapping_ends_the_search_and_another_does_not() {
    let all = Repositories::of(&[("a", None), ("b", Some(b"good"))]);
    let others = needs(1, &["b"], true);
    let ended = all.find(&[needs(1, &["a"], true), others.clone()].join(",")).unwrap_err();
    assert_eq!(
        ended.to_string(),
        "target \"acme/web\", mapping 1 expected 1 of 1 repositories to agree, got 0: \"a\" does not list it"
    );
    let found = all.find(&[needs(1, &["a"], false), others].join(",")).unwrap();
    assert_eq!((found.mapping, found.target), (2, Target::of(b"good")));
    assert_eq!(found.statements.len(), 2);
}

#[test]
fn the_first_mapping_and_the_first_repository_come_first() {
    let all = Repositories::of(&[("a", Some(b"one")), ("b", Some(b"other"))]);
    for (mappings, expected) in [
        (needs(1, &["a", "b"], true), b"one".as_slice()),
        (needs(1, &["b", "a"], true), b"other"),
        ([needs(1, &["b"], true), needs(1, &["a"], true)].join(","), b"other"),
    ] {
        assert_eq!(all.find(&mappings).unwrap().target, Target::of(expected), "{mappings}");
    }
}

#[test]
fn a_path_that_no_mapping_covers_is_refused_and_nobody_is_asked() {
    let all = Repositories::of(&[("a", Some(b"good"))]);
    let refused = all.open(&needs(1, &["a"], true)).unwrap().find("other/web").unwrap_err();
    assert!(!refused.unreachable() && refused.statements.is_empty());
    assert_eq!(refused.to_string(), "target \"other/web\": expected a mapping that covers it, got none");
}

#[test]
fn custom_may_differ_and_is_not_part_of_what_was_agreed_on() {
    let mut all = Repositories::of(&[("a", Some(b"good")), ("b", None)]);
    all.change("b", |simulator| {
        let custom = serde_json::value::RawValue::from_string("{\"team\":\"b\"}".into()).unwrap();
        let target = Target { custom: Some(custom), ..Target::of(b"good") };
        simulator.role_mut("targets").set_target(PATH, &target).unwrap();
        simulator.publish().unwrap();
    });
    let found = all.find(&needs(2, &["b", "a"], true)).unwrap();
    assert_eq!(found.target, Target::of(b"good"));
    let Said::Listed(theirs) = &found.statements[0].said else { panic!("{found:?}") };
    assert_eq!(theirs.custom.as_ref().unwrap().get(), "{\"team\":\"b\"}");
}

#[test]
fn one_repository_under_two_names_is_refused_before_anything_is_fetched() {
    let mut all = Repositories::of(&[("a", Some(b"good")), ("b", Some(b"good"))]);
    all.roots.insert("b".into(), all.roots["a"].clone());
    let refused = all.open(&needs(2, &["a", "b"], true)).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "repository map, repository \"b\": expected a root of its own, got that of \"a\""
    );
    assert!(!all.folder.path().join("state").exists());
}

#[test]
fn each_repository_needs_a_root_and_only_they_do() {
    let mut all = Repositories::of(&[("a", Some(b"good")), ("b", Some(b"good"))]);
    let root = all.roots.remove("b").unwrap();
    let refused = all.open(&needs(1, &["a"], true)).err().unwrap();
    assert_eq!(refused.to_string(), "repository map, repository \"b\": expected a root file, got none");
    all.roots.extend([("b".into(), root.clone()), ("c".into(), root)]);
    let refused = all.open(&needs(1, &["a"], true)).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "repository map, roots: expected those of its repositories, got one for \"c\""
    );
}

#[test]
fn each_repository_keeps_its_state_in_a_folder_of_its_own() {
    let all = Repositories::of(&[("a", Some(b"good")), ("..", Some(b"good"))]);
    all.find(&needs(2, &["a", ".."], true)).unwrap();
    let state = all.folder.path().join("state");
    let mut kept: Vec<_> = fs::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, ["%2E%2E", "a"]);
    assert!(state.join("%2E%2E/metadata/timestamp.json").is_file());
}

#[test]
fn another_address_of_a_repository_is_asked_where_one_gives_nothing() {
    let mut all = Repositories::of(&[("a", Some(b"good"))]);
    let good = all.addresses["a"].clone();
    all.silence("a");
    let dead = all.addresses["a"].clone();
    let map = format!("{{ \"repositories\": {{ \"a\": [\"{dead}\", \"{good}\"] }}, \"mapping\": [{}] }}", {
        needs(1, &["a"], true)
    });
    let map = RepositoryMap::parse(map.as_bytes()).unwrap();
    let mut options = TransportOptions::default();
    options.http.allow_http = true;
    let state = all.folder.path().join("state");
    let found = MultiRepo::open(map, &all.roots, &state, &options, now()).unwrap().find(PATH).unwrap();
    assert_eq!(found.target, Target::of(b"good"));
}

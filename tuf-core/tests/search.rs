//! The search of 5.6.7: who is asked, in which order, and who is believed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use support::{Repository, later, signed, signer, why};
use tuf_core::authoring::{Delegation, Document};
use tuf_core::crypto::Sign as _;
use tuf_core::limits::SEARCH_ROLES;
use tuf_core::schema::Target;
use tuf_core::{NotFound, Search, Step};

/// The key of all delegated roles, where a test doesn't say otherwise.
const TEAM: u8 = 10;
const PATH: &str = "acme/web";

fn to(name: &str, key: u8, terminating: bool, paths: &[&str]) -> Delegation {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    let keys = vec![signer(key).key().clone()];
    Delegation { name: name.to_owned(), keys, threshold: 1, terminating, paths }
}

/// Targets that delegate the path to `names`; one with `!` ends the search.
fn delegating(names: &[&str]) -> Document {
    let mut document = Document::targets(later());
    for name in names {
        document.delegate(&to(name.trim_end_matches('!'), TEAM, name.ends_with('!'), &["acme/*"]));
    }
    document
}

fn listing(content: &[u8]) -> Document {
    let mut document = Document::targets(later());
    document.set_target(PATH, &Target::of(content)).unwrap();
    document
}

fn repository(top: &Document, roles: &[(&str, Document)]) -> Repository {
    let mut repository = Repository::new();
    repository.targets = top.clone();
    for (name, document) in roles {
        repository.role(name, document, &[TEAM]);
    }
    repository.relink();
    repository
}

fn start(repository: &Repository, path: &str) -> Search {
    repository.snap().search(repository.top(), path)
}

/// Supplies what is asked for until the search ends.
fn drive(repository: &Repository, path: &str) -> Step {
    let mut search = start(repository, path);
    loop {
        match search.step().unwrap() {
            Step::Need(wanted) => drop(search.supply(&repository.files[wanted.role.name()]).unwrap()),
            end => return end,
        }
    }
}

fn searched(repository: &Repository) -> String {
    let Step::NotFound(NotFound { searched, exhausted: false }) = drive(repository, PATH) else {
        panic!("expected a search without a result")
    };
    searched.iter().map(tuf_core::Role::name).collect::<Vec<_>>().join(" ")
}

fn found(step: Step) -> (Target, String) {
    let Step::Found { target, chain } = step else { panic!("expected a target, got {step:?}") };
    (target, chain.iter().map(|targets| targets.role().name()).collect::<Vec<_>>().join(" "))
}

#[test]
fn roles_are_asked_in_pre_order_and_in_order_of_appearance() {
    let none = || delegating(&[]);
    let roles = [("a", delegating(&["c", "d"])), ("b", none()), ("c", none()), ("d", none())];
    assert_eq!(searched(&repository(&delegating(&["a", "b"]), &roles)), "targets a c d b");
}

#[test]
fn the_first_role_that_lists_the_target_is_believed() {
    let roles = [("a", delegating(&["c"])), ("b", listing(b"b")), ("c", listing(b"c"))];
    let (target, chain) = found(drive(&repository(&delegating(&["a", "b"]), &roles), PATH));
    assert_eq!((target, chain.as_str()), (Target::of(b"c"), "targets a c"));
}

#[test]
fn a_terminating_delegation_ends_the_search() {
    let none = || delegating(&[]);
    let siblings = repository(&delegating(&["a!", "b"]), &[("a", none()), ("b", listing(b"b"))]);
    assert_eq!(searched(&siblings), "targets a");
    let roles = [("a", delegating(&["c!"])), ("b", listing(b"b")), ("c", none())];
    assert_eq!(searched(&repository(&delegating(&["a", "b"]), &roles)), "targets a c");
    let below = [("a", delegating(&["c"])), ("b", listing(b"b")), ("c", none())];
    assert_eq!(searched(&repository(&delegating(&["a!", "b"]), &below)), "targets a c");
}

#[test]
fn a_cycle_of_delegations_ends() {
    let roles = [("a", delegating(&["b"])), ("b", delegating(&["a", "b"]))];
    assert_eq!(searched(&repository(&delegating(&["a"]), &roles)), "targets a b");
}

#[test]
fn a_search_weighs_so_many_roles_and_no_more() {
    let names: Vec<String> = (0..SEARCH_ROLES).map(|number| format!("r{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut roles: Vec<_> = all.iter().map(|&name| (name, delegating(&[]))).collect();
    let over = drive(&repository(&delegating(&all), &roles), PATH);
    let Step::NotFound(NotFound { searched, exhausted }) = over else { panic!("{over:?}") };
    assert_eq!((searched.len(), exhausted), (SEARCH_ROLES, true));
    roles.pop();
    let within = drive(&repository(&delegating(&all[..SEARCH_ROLES - 1]), &roles), PATH);
    let Step::NotFound(NotFound { searched, exhausted }) = within else { panic!("{within:?}") };
    assert_eq!((searched.len(), exhausted), (SEARCH_ROLES, false));
}

#[test]
fn only_a_role_whose_paths_cover_the_target_is_asked() {
    let cases: &[(&str, &str)] = &[
        ("acme/*", "targets a"),
        ("acme/we?", "targets a"),
        ("*", "targets"),
        ("acme", "targets"),
        ("ACME/*", "targets"),
        ("acme/web/*", "targets"),
    ];
    for (pattern, expected) in cases {
        let mut top = Document::targets(later());
        top.delegate(&to("a", TEAM, false, &[pattern]));
        assert_eq!(searched(&repository(&top, &[("a", delegating(&[]))])), *expected, "{pattern}");
    }
}

/// The delegation of the path to `a`, with its paths replaced by prefixes.
fn by_prefixes(prefixes: Value) -> Document {
    let mut top = delegating(&["a"]);
    let role = top.signed_mut()["delegations"]["roles"][0].as_object_mut().unwrap();
    role.remove("paths");
    role.insert("path_hash_prefixes".into(), prefixes);
    top
}

#[test]
fn only_a_role_whose_prefixes_cover_the_hash_of_the_path_is_asked() {
    let hash = tuf_core::hash::sha256_hex(PATH.as_bytes());
    let other = if hash.starts_with('0') { "1" } else { "0" };
    let cases = [
        ("two digits", json!([other, hash[..2]]), "targets a"),
        ("the whole hash", json!([hash]), "targets a"),
        ("another digit", json!([other]), "targets"),
        ("none", json!([]), "targets"),
    ];
    for (name, prefixes, expected) in cases {
        let repository = repository(&by_prefixes(prefixes), &[("a", delegating(&[]))]);
        assert_eq!(searched(&repository), expected, "{name}");
    }
}

/// TAP 15 as its reference implementation writes it: the first bits, and the width of the last bin.
fn bin_name(bits: u32, path: &str) -> String {
    let hash = tuf_core::hash::sha256_hex(path.as_bytes());
    let number = u64::from_str_radix(&hash[..8], 16).unwrap() / 2_u64.pow(32 - bits);
    let width = format!("{:x}", 2_u64.pow(bits) - 1).len();
    format!("prefix-{number:0>width$x}")
}

fn succinct(bits: u32) -> Document {
    let key = signer(TEAM);
    let mut top = Document::targets(later());
    let bins =
        json!({ "keyids": [key.key_id()], "threshold": 1, "bit_length": bits, "name_prefix": "prefix" });
    let keys = json!({ key.key_id(): key.key().to_value() });
    top.signed_mut().insert("delegations".into(), json!({ "keys": keys, "succinct_roles": bins }));
    top
}

#[test]
fn a_succinct_delegation_leads_to_the_bin_of_the_path() {
    for bits in [1, 4, 8, 9, 32] {
        let bin = bin_name(bits, PATH);
        let repository = repository(&succinct(bits), &[(&bin, listing(b"web"))]);
        let (target, chain) = found(drive(&repository, PATH));
        assert_eq!((target, chain), (Target::of(b"web"), format!("targets {bin}")), "{bits} bits");
    }
    // The SHA-256 of the empty path is e3b0c442….
    for (bits, expected) in [(1, "prefix-1"), (4, "prefix-e"), (8, "prefix-e3"), (32, "prefix-e3b0c442")] {
        let mut search = start(&repository(&succinct(bits), &[(expected, delegating(&[]))]), "");
        let Step::Need(wanted) = search.step().unwrap() else { panic!("expected to need {expected}") };
        assert_eq!(wanted.role.name(), expected);
    }
}

#[test]
fn a_role_that_the_snapshot_does_not_list_is_refused() {
    let repository = repository(&delegating(&["a", "b"]), &[("b", listing(b"b"))]);
    let mut search = start(&repository, PATH);
    assert!(search.step().is_err());
    assert_eq!(
        why(search.step()),
        "delegated role \"a\" is stated but not there: expected \"a.json in snapshot\", got nothing (TUF 5.6.1)"
    );
}

#[test]
fn a_role_is_weighed_under_the_keys_of_the_one_that_delegates_to_it() {
    // `shared` is signed with the key that `b` names, and `a`, which is asked first, names another.
    let mut a = Document::targets(later());
    a.delegate(&to("shared", 11, false, &["acme/*"]));
    let roles = [("a", a), ("b", delegating(&["shared"])), ("shared", listing(b"x"))];
    let repository = repository(&delegating(&["a", "b"]), &roles);
    let mut search = start(&repository, PATH);
    assert!(matches!(search.step().unwrap(), Step::Need(wanted) if wanted.role.name() == "a"));
    search.supply(&repository.files["a"]).unwrap();
    assert!(matches!(search.step().unwrap(), Step::Need(wanted) if wanted.role.name() == "shared"));
    assert_eq!(
        why(search.supply(&repository.files["shared"])),
        "delegated role \"shared\" needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.6.3)"
    );
}

#[test]
fn after_a_refusal_another_copy_may_be_supplied_and_the_role_is_never_skipped() {
    let repository = repository(&delegating(&["a", "b"]), &[("a", listing(b"a")), ("b", listing(b"b"))]);
    let mut search = start(&repository, PATH);
    assert!(matches!(search.step().unwrap(), Step::Need(_)));
    let bad = signed(&listing(b"evil"), &[11]);
    assert!(why(search.supply(&bad)).ends_with("(TUF 5.6.2)"));
    assert!(matches!(search.step().unwrap(), Step::Need(wanted) if wanted.role.name() == "a"));
    search.supply(&repository.files["a"]).unwrap();
    let (target, chain) = found(search.step().unwrap());
    assert_eq!((target, chain.as_str()), (Target::of(b"a"), "targets a"));
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let repository = repository(&delegating(&["a"]), &[("a", listing(b"a"))]);
    let refused = why(start(&repository, PATH).supply(&repository.files["a"]));
    assert_eq!(refused, "targets is malformed: no file was asked for (TUF 5.6.1)");
}

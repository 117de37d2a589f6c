//! The signed part of the top-level targets (TUF 4.5, TAP 15) as any text, sealed by the targets key, and
//! the search for some targets in it, beside the search by recursion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tuf_core::authoring::Document;
use tuf_core::schema::Target;
use tuf_core::{FreshSnapshot, Receipt, Refusal, Step, TrustedTargets};

use crate::ground::{
    TARGETS, in_any_words, later, now, root_paper, says_why, sealed, snapshot, stated_version,
};
use crate::reference::{Paper, Searched, search};
use crate::seal::{enveloped, sha256};

/// What is looked for besides what the document lists.
const PATHS: [&str; 3] = ["app/a", "app/b", "x"];
/// How many of the listed targets are looked for: a document of 8 KB lists hardly more.
const LISTED: usize = 128;

/// Weighs the document, then searches.
pub fn run(signed: &[u8]) -> bool {
    in_any_words(signed, weigh)
}

fn weigh(signed: &[u8]) -> bool {
    let bytes = enveloped(signed, &[TARGETS]);
    let paper = Paper::read(&bytes);
    let snapshot = snapshot(&files(paper.as_ref()));
    let file = Arc::new(bytes.clone());
    let targets = match snapshot.targets_shared(&file) {
        Ok(targets) => targets,
        Err(refusal) => return says_why(&refusal),
    };
    let paper = paper.expect("accepted, but it is no envelope");
    assert!(paper.holds_under(root_paper(), "targets"), "accepted below threshold");
    assert_eq!(targets.version(), paper.version());
    assert!(targets.expires() > now());
    let listed = paper.signed()["targets"].as_object().expect("accepted without targets");
    // What isn't listed, but lies between two that are, isn't found either.
    let between = listed.keys().step_by(7).map(|path| format!("{path}\0")).take(LISTED / 7);
    let paths = listed.keys().take(LISTED).cloned().chain(between).chain(PATHS.map(String::from));
    // By turns as weighed now, and as weighed before and known by its receipt.
    let known = targets.receipt(&file).map_or(targets.clone(), |receipt| {
        let kept = Receipt::from_bytes(&receipt.to_bytes()).expect("what we print, we read");
        assert_eq!(kept, receipt);
        snapshot.targets_known(&kept, &file).expect("the very bytes, at the same time")
    });
    for (path, targets) in paths.zip([&targets, &known].into_iter().cycle()) {
        if let Err(refusal) = look(&snapshot, targets, &paper, &path) {
            says_why(&refusal);
        }
    }
    true
}

/// What the snapshot states: the document under test, and every delegated role that it names.
fn files(paper: Option<&Paper>) -> Vec<(String, u64)> {
    let roles = paper.map(|paper| &paper.signed()["delegations"]["roles"]);
    let names = roles.and_then(|roles| roles.as_array()).into_iter().flatten();
    let delegated = names.filter_map(|role| Some((role["name"].as_str()?.to_owned(), 1)));
    let top = ("targets".to_owned(), stated_version(paper));
    delegated.filter(|(name, _)| name != "targets").chain([top]).collect()
}

/// The file of a delegated role. About half of them list a target.
fn delegated(role: &str) -> Vec<u8> {
    let mut document = Document::targets(later());
    if sha256(role.as_bytes()).as_str() < "8" {
        document.set_target(PATHS[0], &Target::of(role.as_bytes())).expect("no custom");
    }
    sealed(&document, &[TARGETS])
}

fn look(
    snapshot: &FreshSnapshot,
    targets: &TrustedTargets,
    paper: &Paper,
    path: &str,
) -> Result<(), Refusal> {
    let mut papers = BTreeMap::from([("targets".to_owned(), paper.clone())]);
    let mut search_of_ours = snapshot.search(targets.clone(), path);
    let end = loop {
        match search_of_ours.step()? {
            Step::Need(wanted) => {
                let bytes = delegated(wanted.role.name());
                search_of_ours.supply(&bytes)?;
                papers.insert(wanted.role.name().to_owned(), Paper::read(&bytes).expect("ours"));
            }
            Step::Found { target, chain } => {
                let role = chain.last().expect("a chain has an end").role().name().to_owned();
                let stated = papers[&role].target(path).expect("found, but not listed");
                assert_eq!(stated["length"].as_u64(), Some(target.length));
                break Searched::In(role);
            }
            // The reference has no bound on the roles that it visits (5.6.7.1).
            Step::NotFound(end) if end.exhausted => return Ok(()),
            Step::NotFound(_) => break Searched::On,
        }
    };
    let by_recursion = match search(&papers, "targets", path, &mut BTreeSet::new()) {
        Searched::Ended => Searched::On,
        other => other,
    };
    assert_eq!(end, by_recursion, "the search for {path:?}");
    Ok(())
}

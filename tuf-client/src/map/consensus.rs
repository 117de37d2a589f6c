//! Whether enough repositories say the same of a target. Statements in, an outcome out: nothing here asks
//! anybody, and nothing here knows how an answer came about.

use std::collections::BTreeMap;

use tuf_core::schema::Target;

use super::answer::{Missed, Said};

/// The hashes over which two statements can be compared: those that `tuf-core` can check on the file
/// itself. Two that agree only in another one have agreed on nothing.
const ALGORITHMS: [&str; 2] = ["sha256", "sha512"];

/// What a mapping's repositories come to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// As many as needed agree on this.
    Agreed(Target),
    /// At most `most` agree.
    Short { most: usize, missed: Missed },
}

/// Hears the repositories in the order of the map, until `threshold` of them agree.
///
/// The order of the list decides between two groups that are both large enough, as if the repositories
/// had been asked one after the other (TAP 4).
pub(super) fn decide(said: &[&Said], threshold: usize) -> Outcome {
    let mut heard: Vec<&Target> = Vec::new();
    let (mut open, mut unreachable) = (0_usize, 0_usize);
    let mut most = 0;
    for statement in said {
        match statement {
            Said::Listed(target) => heard.push(target),
            Said::Absent(absent) if !absent.exhausted => continue,
            Said::Absent(_) => open = open.saturating_add(1),
            Said::Failed(error) => {
                open = open.saturating_add(1);
                unreachable = unreachable.saturating_add(usize::from(error.unreachable()));
            }
        }
        let group = largest_group(&heard);
        most = group.len();
        if most >= threshold {
            return Outcome::Agreed(common(&group));
        }
    }
    // Who could not be heard is counted against the search, never for the target: whoever can silence a
    // repository must not be able to send us on to a mapping that asks for less.
    let missed = if most.saturating_add(open) < threshold {
        Missed::Heard
    } else if most.saturating_add(unreachable) >= threshold {
        Missed::Unreachable
    } else {
        Missed::Refused
    };
    Outcome::Short { most, missed }
}

/// Whether two statements are about the same bytes: one length, at least one hash in common, and none
/// that differs. `custom` may differ (TAP 4).
pub(super) fn agree(one: &Target, other: &Target) -> bool {
    let pairs = || {
        ALGORITHMS.iter().filter_map(|name| {
            let (one, other) = (one.hashes.get(*name)?, other.hashes.get(*name)?);
            Some(one.eq_ignore_ascii_case(other))
        })
    };
    one.length == other.length && pairs().next().is_some() && pairs().all(|same| same)
}

/// The most statements of which each agrees with every other, the first such group where there are two.
///
/// Agreement doesn't carry over: SHA-256 alone and SHA-512 alone both agree with a statement of both, and
/// not with each other. But the members of a group always have one hash in common, and two of them state
/// between them all that any of them states. So it is enough to look at each pair, and each hash.
fn largest_group<'t>(heard: &[&'t Target]) -> Vec<&'t Target> {
    let mut largest: Vec<&Target> = Vec::new();
    for (index, one) in heard.iter().enumerate() {
        for other in heard.iter().skip(index).filter(|other| agree(one, other)) {
            let union: BTreeMap<&str, &str> =
                one.hashes.iter().chain(&other.hashes).map(|(name, hash)| (&**name, &**hash)).collect();
            for shared in ALGORITHMS.iter().filter(|name| union.contains_key(**name)) {
                let same = |target: &Target, name: &str| match (target.hashes.get(name), union.get(name)) {
                    (None, _) => name != *shared,
                    (Some(hash), Some(stated)) => hash.eq_ignore_ascii_case(stated),
                    (Some(_), None) => false,
                };
                let fits = |target: &&Target| {
                    target.length == one.length && ALGORITHMS.iter().all(|name| same(target, name))
                };
                let group: Vec<&Target> = heard.iter().copied().filter(fits).collect();
                if group.len() > largest.len() {
                    largest = group;
                }
            }
        }
    }
    largest
}

/// What all of a group state: the length, and the hashes that each of them states. What only some state,
/// and `custom`, is not agreed on.
fn common(group: &[&Target]) -> Target {
    let length = group.first().map_or(0, |target| target.length);
    let stated = |name: &&str| {
        let hash = group.first()?.hashes.get(*name)?;
        let by_all = group.iter().all(|target| target.hashes.contains_key(*name));
        by_all.then(|| ((*name).to_owned(), hash.to_ascii_lowercase()))
    };
    Target { length, hashes: ALGORITHMS.iter().filter_map(stated).collect(), custom: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length, SHA-256 and SHA-512, with `-` for what isn't stated.
    fn target(text: &str) -> Target {
        let mut words = text.split(' ');
        let length = words.next().unwrap().parse().unwrap();
        let hashes = ALGORITHMS.iter().zip(words).filter(|(_, hash)| *hash != "-");
        let hashes = hashes.map(|(name, hash)| ((*name).to_owned(), hash.to_owned())).collect();
        Target { length, hashes, custom: None }
    }

    #[test]
    fn two_statements_agree_on_length_and_on_each_hash_that_both_state() {
        for (one, other, expected) in [
            ("5 aa -", "5 aa -", true),
            ("5 aa -", "5 AA -", true),
            ("5 aa -", "6 aa -", false),
            ("5 aa -", "5 ab -", false),
            ("5 aa bb", "5 aa -", true),
            ("5 aa bb", "5 - bb", true),
            ("5 aa bb", "5 aa bc", false),
            ("5 aa -", "5 - bb", false),
            ("5 - -", "5 - -", false),
        ] {
            assert_eq!(agree(&target(one), &target(other)), expected, "{one} and {other}");
            assert_eq!(agree(&target(other), &target(one)), expected, "{other} and {one}");
        }
    }

    #[test]
    fn a_hash_that_we_cannot_check_is_no_agreement() {
        let mut one = target("5 aa -");
        let mut other = target("5 - bb");
        for target in [&mut one, &mut other] {
            target.hashes.insert("md5".into(), "cc".into());
        }
        assert!(!agree(&one, &other));
    }

    #[test]
    fn a_group_is_those_of_whom_each_agrees_with_every_other() {
        let cases: &[(&[&str], usize)] = &[
            (&[], 0),
            (&["5 - -"], 0),
            (&["5 aa -", "5 - bb", "5 aa bb"], 2),
            // One of SHA-256 alone would shut out the two of SHA-512 alone.
            (&["5 aa -", "5 aa bb", "5 - bb", "5 - bb"], 3),
            (&["5 aa -", "5 aa bb", "5 aa bc", "5 aa bb"], 3),
            (&["5 aa bb", "5 ab bb", "6 aa bb"], 1),
        ];
        for (texts, expected) in cases {
            let targets: Vec<Target> = texts.iter().map(|text| target(text)).collect();
            let heard: Vec<&Target> = targets.iter().collect();
            assert_eq!(largest_group(&heard).len(), *expected, "{texts:?}");
        }
    }

    fn agreed(texts: &[&str], threshold: usize) -> Option<Target> {
        let said: Vec<Said> = texts.iter().map(|text| Said::Listed(target(text))).collect();
        match decide(&said.iter().collect::<Vec<_>>(), threshold) {
            Outcome::Agreed(target) => Some(target),
            Outcome::Short { .. } => None,
        }
    }

    #[test]
    fn of_two_groups_the_one_that_is_complete_first_wins() {
        assert_eq!(agreed(&["5 aa -", "5 ab -", "5 ab -", "5 aa -"], 2), Some(target("5 ab -")));
        assert_eq!(agreed(&["5 aa -", "5 ab -"], 1), Some(target("5 aa -")));
        assert_eq!(agreed(&["5 aa -", "5 ab -"], 2), None);
    }

    #[test]
    fn only_what_all_of_them_state_is_agreed_on() {
        assert_eq!(agreed(&["5 aa bb", "5 AA -"], 2), Some(target("5 aa -")));
        assert_eq!(agreed(&["5 aa bb", "5 aa bb"], 2), Some(target("5 aa bb")));
    }
}

//! Answers of other scanners: the first byte chooses whose, the rest is what it said. What is taken can be shown: every
//! finding has a name and a package, of a line each, and there are no more than a report can hold.

use scan_engines::protocol::{self, Description, Input};
use scan_engines::{Answer, BadAnswer, FINDINGS_MAX, atomic, clair, grype, oval, trivy};

/// What the answers are about.
const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// OVAL, of which the harness knows what was said.
const SAID: &[u8] = b"Definition oval:example:def:1: true\nDefinition oval:example:def:2: true\n";

/// Reads it as one engine's.
pub fn run(bytes: &[u8]) -> bool {
    let Some((whose, said)) = bytes.split_first() else { return false };
    let answer = match whose % 9 {
        0 => trivy::parse(said),
        1 => grype::parse(said),
        2 => clair::parse(said, DIGEST),
        3 => oval::parse(said, SAID),
        4 => atomic::parse(said, "scanner", "image"),
        5 => protocol::parse(said, &plugin(), DIGEST),
        6 => return Description::parse(said).is_ok_and(|one| !one.name.is_empty() && one.name.len() <= 64),
        7 => return clair::progress(said, DIGEST).is_ok(),
        _ => return std::str::from_utf8(said).is_ok_and(|text| scanner(text).is_ok()),
    };
    let taken = answer.is_ok();
    if let Ok(answer) = answer {
        holds(&answer);
    }
    taken
}

fn plugin() -> Description {
    Description { protocol: 1, name: "mine".into(), version: None, input: Input::Root }
}

fn scanner(text: &str) -> Result<(), BadAnswer> {
    let read = atomic::scanner(text)?;
    assert!(!read.name.is_empty() && !read.image.is_empty(), "{read:?}");
    Ok(())
}

fn holds(answer: &Answer) {
    assert_eq!(answer.engine.findings, answer.findings.len());
    assert!(answer.findings.len() <= FINDINGS_MAX);
    for one in &answer.findings {
        let names = [&one.id, &one.package, &one.version, &one.ecosystem];
        assert!(
            names.iter().all(|name| name.len() <= 1024 && !name.chars().any(char::is_control)),
            "{one:?}"
        );
        assert!(!one.id.is_empty() && !one.package.is_empty(), "{one:?}");
        assert!(one.references.iter().all(|link| link.starts_with("http")), "{one:?}");
        assert!(one.summary.as_ref().is_none_or(|text| !text.chars().any(char::is_control)), "{one:?}");
        assert!(one.aliases.iter().all(|alias| *alias != one.id), "{one:?}");
    }
}

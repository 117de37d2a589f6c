use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::{Order, Version};

fn compare(order: Order, a: &str, b: &str) -> Result<Ordering, String> {
    let parse = |text| Version::parse(order, text).map_err(|error| error.to_string());
    parse(a)?.compare(&parse(b)?).ok_or_else(|| "two orders".to_owned())
}

fn sign(text: &str) -> Option<Ordering> {
    Some(match text {
        "<" => Ordering::Less,
        "=" | "==" => Ordering::Equal,
        ">" => Ordering::Greater,
        _ => return None,
    })
}

#[test]
fn versions_are_ordered_by_the_rules_of_their_ecosystem() {
    for (order, line) in [
        (Order::Debian, "9.0 < 1:1.0"),
        (Order::Debian, "1.0~rc1 < 1.0"),
        (Order::Debian, "2.4.57-2~deb12u1 < 2.4.57-2"),
        (Order::Debian, "1.0-1 < 1.0-1+b1"),
        (Order::Debian, "1.0-1+b1 < 1.0-1+deb12u1"),
        (Order::Debian, "1.0 = 0:1.0-0"),
        (Order::Debian, "1.0a < 1.0+"),
        (Order::Alpine, "1.6_rc1-r0 < 1.6-r0"),
        (Order::Alpine, "1.9.5_p2 < 1.9.12_p2"),
        (Order::Alpine, "1.2.3-r9 < 1.2.3-r10"),
        (Order::Alpine, "1.1.1b-r0 > 1.1.1a-r9"),
        (Order::Rpm, "1.0^git1 > 1.0"),
        (Order::Rpm, "1.0^git1 < 1.0.1"),
        (Order::Rpm, "1.0~rc1-1 < 1.0-1"),
        (Order::Rpm, "0:3.2-1.el9_1 = 3.2-1.el9_1"),
        (Order::Rpm, "3.2-1.el9 < 3.2-1.el9_1"),
        (Order::Rpm, "1:1-1 > 2-1"),
        (Order::Pep440, "1.0rc1 < 1.0"),
        (Order::Pep440, "1.0.dev1 < 1.0a1"),
        (Order::Pep440, "1.13.1+cu117 > 1.13.1"),
        (Order::Pep440, "4.2.19 > 4.2.1"),
        (Order::Pep440, "0.9-doduo < 1.0"),
        (Order::Semver, "1.0.0-rc.2 < 1.0.0-rc.11"),
        (Order::Semver, "go1.21rc2 < go1.21"),
        (Order::Semver, "go1.21 < v1.21.1"),
        (Order::Semver, "v2.0.0+incompatible = 2.0.0"),
        (Order::Semver, "v1.2.4-0.20200101000000-abcdef123456 < 1.2.4"),
        (Order::Semver, "v1.2.4-0.20200101000000-abcdef123456 > 1.2.3"),
        (Order::RubyGems, "1.2.4.beta < 1.2.4"),
        (Order::RubyGems, "1.0.0 = 1"),
        (Order::RubyGems, "3.10 > 3.2"),
        (Order::Packagist, "v1.0.0RC1 < 1.0.0"),
        (Order::Packagist, "1.0.0pl1 > 1.0.0"),
        (Order::Maven, "1.0-alpha-1 < 1.0"),
        (Order::Maven, "2.0.1-xyz < 2.0.1-123"),
        (Order::Maven, "2.15.0 > 2.9.10.8"),
        (Order::Maven, "1.0.0 = 1-ga"),
    ] {
        let [a, expected, b] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let expected = sign(expected).unwrap();
        assert_eq!(compare(order, a, b), Ok(expected), "{order:?}: {line}");
        assert_eq!(compare(order, b, a), Ok(expected.reverse()), "{order:?}: {line}, turned around");
    }
}

#[test]
fn what_is_no_version_is_unreadable_and_not_small() {
    for (order, text) in [
        (Order::Debian, ""),
        (Order::Debian, "1:"),
        (Order::Debian, "x:1"),
        (Order::Debian, "1 2"),
        (Order::Semver, "(devel)"),
        (Order::Semver, "latest"),
        (Order::Semver, "1.x"),
        (Order::RubyGems, "HEAD"),
        (Order::Maven, ""),
    ] {
        assert!(Version::parse(order, text).is_err(), "{order:?}: {text}");
    }
    let long = "1".repeat(513);
    assert!(
        Version::parse(Order::Rpm, &long).unwrap_err().to_string().starts_with("expected a version of 1 to")
    );
}

#[test]
fn two_orders_cannot_be_compared() {
    let debian = Version::parse(Order::Debian, "1").unwrap();
    assert_eq!(debian.compare(&Version::parse(Order::Rpm, "1").unwrap()), None);
}

/// Comparisons collected by others; absent where only the repository is.
fn vectors() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find_map(|folder| {
        let vectors = folder.join("shared/data/versions");
        vectors.is_dir().then_some(vectors)
    });
    if folder.is_none() {
        assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "expected shared/data/versions, got none");
        eprintln!("SKIPPED: no shared/data/versions beside the repository");
    }
    folder
}

/// Versions that apk itself calls invalid, and orders otherwise in its version 3 than in 2, which wrote the vectors'
/// releases. No advisory has one.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("alpine-versions.txt", "1-r-0 < 1-r0"),
    ("alpine-versions.txt", "1-r-1 < 1-r0"),
    ("alpine-versions.txt", "0.r1 < 0r2"),
    ("alpine-versions.txt", "0.8.21.r2 < 0.8.21r2"),
    ("alpine-versions.txt", "1.2.0A < 1.2.0d"),
    ("alpine-versions.txt", "1.2.0D < 1.2.0d"),
    ("alpine-versions.txt", "1 > 1-ruff"),
    ("alpine-versions.txt", "1-ruff2 = 1--ruff1"),
];

#[test]
fn the_vectors_of_others_pass() {
    let Some(folder) = vectors() else { return };
    let mut wrong = Vec::new();
    let mut right = 0_usize;
    for (order, name) in [
        (Order::Alpine, "alpine-versions.txt"),
        (Order::Alpine, "alpine-versions-generated.txt"),
        (Order::Debian, "debian-versions.txt"),
        (Order::Debian, "debian-versions-generated.txt"),
        (Order::Maven, "maven-versions.txt"),
        (Order::Maven, "maven-versions-generated.txt"),
        (Order::Packagist, "packagist-versions.txt"),
        (Order::Packagist, "packagist-versions-generated.txt"),
        (Order::Pep440, "pypi-versions.txt"),
        (Order::Pep440, "pypi-versions-generated.txt"),
        (Order::Rpm, "redhat-versions.txt"),
        (Order::Rpm, "claircore-rpmvercmp.txt"),
        (Order::RubyGems, "rubygems-versions.txt"),
        (Order::RubyGems, "rubygems-versions-generated.txt"),
        (Order::Semver, "semver-versions.txt"),
    ] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(a), Some(expected), Some(b), None) =
                (words.next(), words.next().and_then(sign), words.next(), words.next())
            else {
                continue;
            };
            let got = compare(order, a, b);
            match got == Ok(expected) {
                true => right = right.saturating_add(1),
                false if EXCEPTIONS.contains(&(name, line)) => (),
                false => wrong.push(format!("{name}: {line}: got {got:?}")),
            }
        }
    }
    eprintln!("{right} comparisons");
    assert!(wrong.is_empty(), "{} wrong, {right} right:\n{}", wrong.len(), wrong.join("\n"));
    assert!(right > 69_000, "expected all of the vectors, got {right}");
}

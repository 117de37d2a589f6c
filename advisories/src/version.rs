//! The orders of versions: one an ecosystem, none for all. A generic order is wrong somewhere everywhere.
//!
//! A version that can't be read is no version: it is neither smaller nor larger, and who asks is told so.

mod alpine;
mod debian;
mod maven;
mod packagist;
mod pep440;
mod rpm;
mod rubygems;
mod semver;

use std::cmp::Ordering;

pub(crate) use semver::Semver;

/// Longer versions are nobody's: PyPI's longest has 60 characters, Go's pseudo-versions 70.
const LENGTH_MAX: usize = 512;

/// Whose rules order versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Debian Policy 5.6.12.
    Debian,
    /// apk-tools 2, `version.c`.
    Alpine,
    /// rpm's `rpmvercmp`, over epoch, version and release.
    Rpm,
    /// PEP 440; what isn't of it as setuptools ordered it before: below all that is.
    Pep440,
    /// Semantic Versioning 2.0.0, with `v` and `go` before it and parts left out, as Go, npm and Cargo use it.
    Semver,
    /// `Gem::Version`.
    RubyGems,
    /// PHP's `version_compare`, as Composer uses it.
    Packagist,
    /// Maven's `ComparableVersion`.
    Maven,
}

/// A version that was read by the rules of one [`Order`].
#[derive(Clone, Debug)]
pub struct Version<'a>(Parsed<'a>);

#[derive(Clone, Debug)]
enum Parsed<'a> {
    Debian(debian::Version<'a>),
    Alpine(&'a str),
    Rpm(rpm::Version<'a>),
    Pep440(Box<pep440::Version>),
    Semver(Semver<'a>),
    RubyGems(rubygems::Version<'a>),
    Packagist(packagist::Version<'a>),
    Maven(maven::Version),
}

/// A version that can't be read by an ecosystem's rules.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
pub struct Unreadable {
    expected: &'static str,
    got: String,
}

impl Unreadable {
    fn new(expected: &'static str, got: &str) -> Self {
        Self { expected, got: got.chars().take(64).collect() }
    }
}

impl<'a> Version<'a> {
    /// Reads a version.
    ///
    /// # Errors
    /// When it isn't one by these rules.
    pub fn parse(order: Order, text: &'a str) -> Result<Self, Unreadable> {
        if text.is_empty() || text.len() > LENGTH_MAX {
            return Err(Unreadable::new("a version of 1 to 512 characters", text));
        }
        Ok(Self(match order {
            Order::Debian => Parsed::Debian(debian::Version::parse(text)?),
            Order::Alpine => Parsed::Alpine(text),
            Order::Rpm => Parsed::Rpm(rpm::Version::parse(text)),
            Order::Pep440 => Parsed::Pep440(Box::new(pep440::Version::parse(text))),
            Order::Semver => Parsed::Semver(Semver::parse(text)?),
            Order::RubyGems => Parsed::RubyGems(rubygems::Version::parse(text)?),
            Order::Packagist => Parsed::Packagist(packagist::Version::parse(text)),
            Order::Maven => Parsed::Maven(maven::Version::parse(text)),
        }))
    }

    /// Orders two versions. Of two orders, nothing can be said.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (&self.0, &other.0) {
            (Parsed::Debian(a), Parsed::Debian(b)) => a.compare(b),
            (Parsed::Alpine(a), Parsed::Alpine(b)) => alpine::compare(a, b),
            (Parsed::Rpm(a), Parsed::Rpm(b)) => a.compare(b),
            (Parsed::Pep440(a), Parsed::Pep440(b)) => a.compare(b),
            (Parsed::Semver(a), Parsed::Semver(b)) => a.compare(b),
            (Parsed::RubyGems(a), Parsed::RubyGems(b)) => a.compare(b),
            (Parsed::Packagist(a), Parsed::Packagist(b)) => a.compare(*b),
            (Parsed::Maven(a), Parsed::Maven(b)) => a.compare(b),
            _ => return None,
        })
    }

    /// Orders this version against a boundary of an advisory: as [`compare`](Self::compare), but a build of one's
    /// own (`1.13.1+cu117`, a local version of PEP 440) is on the side of the release that it was built from, and
    /// Composer's `4` is its `4.0.0.0`.
    #[must_use]
    pub(crate) fn against(&self, boundary: &Self) -> Option<Ordering> {
        match (&self.0, &boundary.0) {
            (Parsed::Pep440(a), Parsed::Pep440(b)) => Some(a.against(b)),
            (Parsed::Packagist(a), Parsed::Packagist(b)) => Some(a.against(*b)),
            _ => self.compare(boundary),
        }
    }

    /// The semantic version, where it is one.
    pub(crate) fn as_semver(&self) -> Option<&Semver<'a>> {
        match &self.0 {
            Parsed::Semver(semver) => Some(semver),
            _ => None,
        }
    }
}

/// Digits as numbers of any size.
fn numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (without_zeros(a), without_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn without_zeros(digits: &str) -> &[u8] {
    let bytes = digits.as_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == b'0').count();
    bytes.get(zeros..).unwrap_or_default()
}

/// The front of a text that is of one kind, taken off it. All characters beyond ASCII are of one kind, so that bytes
/// can be looked at, one by one.
fn front<'a>(text: &mut &'a str, is: impl Fn(char) -> bool) -> &'a str {
    let end = text.bytes().position(|byte| !is(char::from(byte))).unwrap_or(text.len());
    let (head, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    *text = rest;
    head
}

/// What is before and behind the first of some byte, where it is there: texts are short, and need no better search.
fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|one| one == byte)?;
    Some((text.get(..at)?, text.get(at.checked_add(1)?..)?))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The first part of two lists that differs decides; `missing` says how a part stands to none.
fn parts<T>(
    a: &[T],
    b: &[T],
    compare: impl Fn(&T, &T) -> Ordering,
    missing: impl Fn(&T) -> Ordering,
) -> Ordering {
    let both = a.iter().zip(b).map(|(a, b)| compare(a, b));
    let more_a = a.iter().skip(b.len()).map(&missing);
    let more_b = b.iter().skip(a.len()).map(|part| missing(part).reverse());
    both.chain(more_a).chain(more_b).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests;

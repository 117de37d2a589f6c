//! Whose advisories: the ecosystems of the OSV schema, and how each names and orders packages.

use std::borrow::Cow;

use crate::version::Order;

/// What the OSV schema calls the ecosystem of Rust: a name on the wire, and no address.
const CRATES_IO: &str = concat!("crates", ".io");

/// An ecosystem of the OSV schema.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ecosystem {
    /// `Debian`, `PyPI`: a name of the schema, or one that it doesn't know.
    pub name: String,
    /// The release of a distribution: `12`, `22.04`, `v3.18`, `9`.
    pub release: Option<String>,
}

/// An ecosystem with what only some of its users have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Channel {
    pub(crate) ecosystem: Ecosystem,
    /// `Pro`, `Pro:FIPS-updates`: what Ubuntu gives to those who pay.
    pub(crate) channel: Option<String>,
}

impl Ecosystem {
    /// Reads the form of the schema: `Debian:12`, `Ubuntu:22.04:LTS`, `PyPI`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Channel::parse(text).ecosystem
    }

    /// By which order its versions are compared; `None` where that isn't known here.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        Some(match self.name.as_str() {
            "Debian" | "Ubuntu" => Order::Debian,
            "Alpine" | "Wolfi" | "Chainguard" => Order::Alpine,
            "AlmaLinux" | "Rocky Linux" | "Red Hat" | "openSUSE" | "SUSE" => Order::Rpm,
            "PyPI" => Order::Pep440,
            "npm" | CRATES_IO | "Go" => Order::Semver,
            "RubyGems" => Order::RubyGems,
            "Packagist" => Order::Packagist,
            "Maven" => Order::Maven,
            _ => return None,
        })
    }

    /// Whether it is a distribution: one of its advisories is on several CVEs, and none speaks for another's packages.
    pub(crate) fn is_distribution(&self) -> bool {
        matches!(self.order(), Some(Order::Debian | Order::Alpine | Order::Rpm))
    }

    /// Whether its advisories have the CVEs in `related`, where the schema has `upstream` for them.
    pub(crate) fn relates(&self) -> bool {
        matches!(self.order(), Some(Order::Rpm))
    }

    /// The one spelling of a name: that of PEP 503 for Python's, lower case for PHP's.
    pub(crate) fn normalised<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.order() {
            Some(Order::Pep440) => pep_503(name).into(),
            Some(Order::Packagist) => name.to_lowercase().into(),
            _ => name.into(),
        }
    }

    /// What a package is kept under.
    pub(crate) fn key(&self, name: &str) -> String {
        [&self.spelt(), "\0", &self.normalised(name)].concat()
    }

    /// As the schema spells it.
    pub(crate) fn spelt(&self) -> Cow<'_, str> {
        match &self.release {
            Some(release) => [self.name.as_str(), ":", release].concat().into(),
            None => self.name.as_str().into(),
        }
    }

    /// The same without a release: an advisory on `Debian` is on all of its releases.
    pub(crate) fn any_release(&self) -> Self {
        Self { name: self.name.clone(), release: None }
    }
}

impl std::fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.spelt())
    }
}

impl Channel {
    pub(crate) fn parse(text: &str) -> Self {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut parts: Vec<&str> = rest.split(':').filter(|part| !part.is_empty()).collect();
        let mut channel = None;
        if name == "Ubuntu" {
            parts.retain(|part| *part != "LTS");
            let release = parts.iter().position(|part| part.starts_with(|c: char| c.is_ascii_digit()));
            let before: Vec<&str> = parts.drain(..release.unwrap_or(parts.len())).collect();
            channel = (!before.is_empty()).then(|| before.join(":"));
        }
        let bare = Ecosystem { name: name.to_owned(), release: None };
        // Of languages, what follows is the repository of the package: its name is the same wherever it is from.
        let is_language = bare.order().is_some() && !bare.is_distribution();
        let release = (!parts.is_empty() && !is_language).then(|| parts.join(":"));
        Self { ecosystem: Ecosystem { release, ..bare }, channel }
    }
}

/// Lower case, and one dash for each run of dashes, dots and underscores.
fn pep_503(name: &str) -> String {
    let parts = name.split(['-', '.', '_']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// A package that is installed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// Whose advisories it is looked up in.
    pub ecosystem: Ecosystem,
    /// The name in advisories: of the *source* package for Debian, Ubuntu and Alpine, of the binary package for
    /// AlmaLinux, `group:artifact` for Maven. It is normalised here.
    pub name: String,
    /// The version of what is named.
    pub version: String,
    /// The binary package, where the name is that of the source.
    pub binary: Option<String>,
    /// What it was built for.
    pub architecture: Option<String>,
    /// The module and stream that an rpm package is of: `nodejs:18`.
    pub module: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecosystems_are_read_with_release_and_channel() {
        for (text, name, release, channel) in [
            ("Debian:12", "Debian", Some("12"), None),
            ("Debian", "Debian", None, None),
            ("Ubuntu:22.04:LTS", "Ubuntu", Some("22.04"), None),
            ("Ubuntu:23.10", "Ubuntu", Some("23.10"), None),
            ("Ubuntu:Pro:18.04:LTS", "Ubuntu", Some("18.04"), Some("Pro")),
            ("Ubuntu:Pro:FIPS-updates:18.04:LTS", "Ubuntu", Some("18.04"), Some("Pro:FIPS-updates")),
            ("Alpine:v3.18", "Alpine", Some("v3.18"), None),
            ("Red Hat:cpe:/o:redhat:9", "Red Hat", Some("cpe:/o:redhat:9"), None),
            ("PyPI", "PyPI", None, None),
            ("Packagist:https://packages.drupal.org/8", "Packagist", None, None),
            ("Maven:https://maven.example.com/", "Maven", None, None),
            ("Unknown:1", "Unknown", Some("1"), None),
        ] {
            let read = Channel::parse(text);
            let expected = Ecosystem { name: name.to_owned(), release: release.map(str::to_owned) };
            assert_eq!((read.ecosystem, read.channel.as_deref()), (expected, channel), "{text}");
        }
    }
}

//! `signer.toml`: what a person decides about a repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use image_signatures::{Envelope, Format};
use oci_image::Reference;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tuf_core::{Instant, PathPattern, Role};

use crate::failure::Failure;
use crate::rules::{Rule, TagRule};
use crate::span::Span;

/// The file as `init` writes it.
pub(crate) const TEMPLATE: &str = "\
# How signer signs this repository. Change it and publish; nothing secret belongs here.

# Names that may be added, as patterns in which * and ? stand for anything but a slash:
#   scope = [\"registry.example.com/acme/*\"]
# Empty: any name. `signer add` refuses a name outside, so that a slip is never signed.
scope = []

# Where it is published, and read back from; where nothing is said, in the folder `published`.
# publish-to = \"s3://bucket/prefix\"

# For how many days a signed statement holds.
[expiry-days]
# Changed by hand, rarely. When it has expired nobody can verify anything: renew it in time.
root = 365
# What the names mean. Renewed by `signer publish` before it would expire.
targets = 90
# Which statements belong together, and that they are today's. For as long as these hold, someone
# between you and your users can withhold a newer publish. Seven days ask for one `signer publish` a
# week; where a timer runs it every day, 1 or 2 is better.
snapshot = 7
timestamp = 7

# Finer, or for one role: d, h, m or s. `delegated` is every delegated role that isn't named.
# [expiry]
# timestamp = \"12h\"
# delegated = \"30d\"

# What a tag promises: `immutable` (one digest, for ever), `forward-only` (never a digest that it had
# before) or `free`. The first rule that fits a name counts; where none fits, it is free.
# [[rule]]
# names = [\"registry.example.com/acme/*\"]
# rule = \"immutable\"

# Which other tools each publish signs its images for, as `signer publish --for` does.
# [for-others]
# formats = [\"cosign2\", \"cosign3\", \"podman\", \"notation\"]
# key = \"release\"
# certificate = \"release-chain.pem\"
# How notation's are written: \"jws\", or \"cose\".
# signature-format = \"jws\"
";

/// The file, read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    scope: Vec<PathPattern>,
    /// Where the repository is published; `published` beside this file where nothing is said.
    #[serde(default)]
    pub(crate) publish_to: Option<String>,
    expiry_days: ExpiryDays,
    /// By role, in place of `expiry-days`.
    #[serde(default)]
    expiry: BTreeMap<String, Span>,
    /// What tags promise.
    #[serde(default, rename = "rule")]
    rules: Vec<TagRule>,
    /// What `--for` and its companions say where they aren't given.
    #[serde(default)]
    pub(crate) for_others: ForOthers,
}

/// Signatures for other tools.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ForOthers {
    /// Who reads them.
    #[serde(default, deserialize_with = "formats")]
    pub(crate) formats: BTreeSet<Format>,
    /// The key that signs; that of targets where nothing is said.
    pub(crate) key: Option<String>,
    /// Its certificates, in a file beside this one.
    pub(crate) certificate: Option<PathBuf>,
    /// How notation's signatures are written; as JWS where nothing is said.
    #[serde(default, deserialize_with = "envelope")]
    pub(crate) signature_format: Option<Envelope>,
}

fn envelope<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Envelope>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn formats<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Format>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names.iter().map(|name| name.parse().map_err(D::Error::custom)).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpiryDays {
    root: NonZeroU16,
    targets: NonZeroU16,
    snapshot: NonZeroU16,
    timestamp: NonZeroU16,
}

impl Config {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(Failure::io(path))?;
        Self::parse(&text).map_err(|error| {
            let what = format!("{} can't be used", path.display());
            Failure::usage(what).detail(error.to_string().trim_end().replace('\n', "\n  "))
        })
    }

    /// Reads the text.
    pub(crate) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// When a statement of this role expires that is signed now.
    pub(crate) fn expiry(&self, role: &Role, now: Instant) -> Instant {
        now.checked_add_signed(self.lifetime(role)).unwrap_or(Instant::MAX_UTC)
    }

    /// For how long a statement of this role holds.
    pub(crate) fn lifetime(&self, role: &Role) -> TimeDelta {
        let by_kind = || matches!(role, Role::Delegated(_)).then(|| self.expiry.get("delegated")).flatten();
        if let Some(span) = self.expiry.get(role.name()).or_else(by_kind) {
            return span.delta();
        }
        let ExpiryDays { root, targets, snapshot, timestamp } = &self.expiry_days;
        let days = match role {
            Role::Root => root,
            Role::Timestamp => timestamp,
            Role::Snapshot => snapshot,
            Role::Targets | Role::Delegated(_) => targets,
        };
        TimeDelta::days(days.get().into())
    }

    /// The delegated roles for which `expiry` says something.
    pub(crate) fn named_roles(&self) -> impl Iterator<Item = &str> {
        let own = ["root", "targets", "snapshot", "timestamp", "delegated"];
        self.expiry.keys().map(String::as_str).filter(move |name| !own.contains(name))
    }

    /// What a tag promises: the first rule that fits it. A digest is what it is.
    pub(crate) fn rule(&self, path: &str) -> Rule {
        if path.contains('@') {
            return Rule::Free;
        }
        self.rules.iter().find(|rule| rule.covers(path)).map_or(Rule::Free, |rule| rule.rule)
    }

    /// Refuses a name outside the scope.
    pub(crate) fn expect_in_scope(&self, name: &Reference) -> Result<(), Failure> {
        // Patterns are tried on the target path, as a client tries a delegation's.
        let paths = name.tag_path().into_iter().chain(name.digest().map(|digest| name.digest_path(digest)));
        for path in paths {
            self.expect_path(&path, name)?;
        }
        Ok(())
    }

    /// Refuses the path of a file outside the scope.
    pub(crate) fn expect_path_in_scope(&self, path: &str) -> Result<(), Failure> {
        self.expect_path(path, &path)
    }

    fn expect_path(&self, path: &str, name: &dyn std::fmt::Display) -> Result<(), Failure> {
        if self.scope.is_empty() || self.scope.iter().any(|pattern| pattern.matches(path)) {
            return Ok(());
        }
        let scope: Vec<&str> = self.scope.iter().map(PathPattern::as_str).collect();
        Err(Failure::refused(format!("refused {name}"))
            .detail(format!("expected a name in {}, got {path}", scope.join(", ")))
            .hint("if the name is right, add it to `scope` in signer.toml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_what_it_says() {
        let config = Config::parse(TEMPLATE).unwrap();
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        for (role, expires) in [
            (Role::Root, "2031-01-01T00:00:00Z"),
            (Role::Targets, "2030-04-01T00:00:00Z"),
            (Role::Snapshot, "2030-01-08T00:00:00Z"),
            (Role::Timestamp, "2030-01-08T00:00:00Z"),
        ] {
            assert_eq!(config.expiry(&role, now), expires.parse::<Instant>().unwrap(), "{role}");
        }
        config.expect_in_scope(&"registry.example.com/acme/web:1.4".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_name_outside_the_scope_is_refused() {
        let text = TEMPLATE.replace("scope = []", "scope = [\"registry.example.com/acme/*\"]");
        let config = Config::parse(&text).unwrap();
        config.expect_in_scope(&"registry.example.com/acme/web:1.4".parse().unwrap()).unwrap();
        config.expect_in_scope(&"registry.example.com/acne/web:1.4".parse().unwrap()).unwrap_err();
    }

    #[test]
    fn what_is_misspelt_is_refused_and_not_ignored() {
        assert!(Config::parse(&TEMPLATE.replace("timestamp = 7", "timestamp = 0")).is_err());
        assert!(Config::parse(&TEMPLATE.replace("scope", "scopes")).is_err());
    }
}

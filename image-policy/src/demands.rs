//! What a scope demands of what others attested: how an image was built, and what else must be said of it.

use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::policy::Identity;

/// How an image must have been built.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Build {
    /// Who may have built it, on whose signature.
    pub builders: Vec<BuilderRule>,
    /// sigstore's `trusted_root.json`, which identities need.
    pub trusted_root: Option<PathBuf>,
    /// Patterns of repositories that the source may be from; any, where there are none.
    pub sources: Vec<String>,
    /// The least SLSA build level. A builder's is that of its pair, and never what a document claims.
    pub min_level: u8,
    /// Whether a build is refused that was told what its kind isn't known to take.
    pub deny_unexpected_parameters: bool,
}

/// A builder, and who signs for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuilderRule {
    /// The builder's id.
    pub id: String,
    /// Who signs for it.
    pub signer: SignerRule,
    /// The SLSA build level that this pair stands for.
    pub level: u8,
}

/// A signer who is named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignerRule {
    /// By a public key (PEM).
    Key(PathBuf),
    /// Without a key.
    Identity(Identity),
}

/// Somebody whose verdicts on images count, and who signs them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierRule {
    /// The verifier's id.
    pub id: String,
    /// Who signs for it.
    pub signer: SignerRule,
}

/// Something that must be said of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attested {
    /// What: a predicate type, or a word for several ([`is_kind`]).
    pub predicate: String,
    /// By how many distinct signers, or verifiers; where none is named, the publisher's metadata has to name it.
    pub at_least: NonZeroU32,
    /// Of whom a verdict that it passed is demanded: then these alone sign. A kind of verdicts has no others.
    pub verifiers: Vec<VerifierRule>,
    /// What the verifiers must have found, each by one of them.
    pub levels: Vec<String>,
    /// Public keys (PEM).
    pub keys: Vec<PathBuf>,
    /// Who may sign without a key.
    pub identities: Vec<Identity>,
    /// sigstore's `trusted_root.json`, which identities need.
    pub trusted_root: Option<PathBuf>,
    /// The most seconds since it was said.
    pub max_age: Option<u64>,
    /// Whether the publisher's metadata must name it today.
    pub fresh: bool,
}

/// Words for predicate types that say the same in several forms or versions.
const KINDS: [(&str, &[&str]); 5] = [
    ("sbom", &["https://spdx.dev/Document", "https://cyclonedx.org/bom"]),
    ("provenance", &["https://slsa.dev/provenance", "https://in-toto.io/Provenance"]),
    ("vex", &["https://openvex.dev/ns"]),
    ("vulns", &["https://cosign.sigstore.dev/attestation/vuln", "https://in-toto.io/attestation/vulns"]),
    ("vsa", &["https://slsa.dev/verification_summary"]),
];

/// Whether a demand for `wanted`, a predicate type or a word for several, is met by `got`.
#[must_use]
pub fn is_kind(wanted: &str, got: &str) -> bool {
    match KINDS.iter().find(|(word, _)| *word == wanted) {
        None => wanted == got,
        Some((_, types)) => types.iter().any(|start| {
            got.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }),
    }
}

/// Whether a demand for this is one for verdicts of others.
pub(crate) fn is_verdict(predicate: &str) -> bool {
    predicate == "vsa" || is_kind("vsa", predicate)
}

/// The words that stand for predicate types.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(word, _)| *word)
}

/// The repository of a source in one spelling: without `git+`, the reference behind it, `.git` and a last `/`.
#[must_use]
pub fn source_name(source: &str) -> &str {
    let source = source.strip_prefix("git+").unwrap_or(source);
    let source = source.split('#').next().unwrap_or(source);
    let source = source.split_once("@refs/").map_or(source, |(name, _)| name);
    let source = source.strip_suffix('/').unwrap_or(source);
    source.strip_suffix(".git").unwrap_or(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_every_version_of_a_type_and_for_no_other() {
        for (wanted, got, is) in [
            ("sbom", "https://spdx.dev/Document", true),
            ("sbom", "https://spdx.dev/Document/v2.3", true),
            ("sbom", "https://cyclonedx.org/bom", true),
            ("sbom", "https://spdx.dev/Documents", false),
            ("provenance", "https://slsa.dev/provenance/v0.2", true),
            ("provenance", "https://slsa.dev/provenance", true),
            ("provenance", "https://slsa.dev/verification_summary/v1", false),
            ("https://example.com/reviewed/v1", "https://example.com/reviewed/v1", true),
            ("https://example.com/reviewed", "https://example.com/reviewed/v1", false),
        ] {
            assert_eq!(is_kind(wanted, got), is, "{wanted} {got}");
        }
    }

    #[test]
    fn a_source_has_one_spelling() {
        for (source, name) in [
            ("git+https://github.com/acme/web@refs/tags/v1", "https://github.com/acme/web"),
            ("https://github.com/acme/web.git", "https://github.com/acme/web"),
            ("https://github.com/acme/web.git#refs/heads/main", "https://github.com/acme/web"),
            ("https://github.com/acme/web/", "https://github.com/acme/web"),
            ("git@github.com:acme/web.git", "git@github.com:acme/web"),
        ] {
            assert_eq!(source_name(source), name);
        }
    }
}

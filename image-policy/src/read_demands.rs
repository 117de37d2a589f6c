//! From text to what a scope demands of attestations, and of everything else.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;

use image_evidence::SUMMARY_MAX_AGE;
use serde::Deserialize;
use toml::Spanned;

use crate::condition::Condition;
use crate::demands::{Attested, Build, BuilderRule, SignerRule, VerifierRule, is_verdict, kinds};
use crate::policy::{Identity, Scope};
use crate::read::{Reader, WireIdentity};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WireBuild {
    #[serde(default)]
    builders: Vec<Spanned<WireBuilder>>,
    trusted_root: Option<PathBuf>,
    sources: Option<Spanned<Vec<Spanned<String>>>>,
    min_level: Option<Spanned<u8>>,
    #[serde(default)]
    deny_unexpected_parameters: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireBuilder {
    id: String,
    level: Option<u8>,
    key: Option<PathBuf>,
    identity: Option<String>,
    issuer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WireAttested {
    predicate: Spanned<String>,
    at_least: Option<NonZeroU32>,
    #[serde(default)]
    keys: Vec<PathBuf>,
    #[serde(default)]
    identities: Vec<WireIdentity>,
    #[serde(default)]
    verifiers: Vec<Spanned<WireVerifier>>,
    #[serde(default)]
    levels: Vec<Spanned<String>>,
    trusted_root: Option<PathBuf>,
    max_age: Option<Spanned<String>>,
    #[serde(default)]
    fresh: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireVerifier {
    id: String,
    key: Option<PathBuf>,
    identity: Option<String>,
    issuer: Option<String>,
}

/// The highest SLSA build level that there is (SLSA 1.2, "Build: Track Basics").
const LEVEL_MAX: u8 = 3;

impl Reader<'_> {
    pub(crate) fn build(&mut self, wire: Spanned<WireBuild>) -> Build {
        let (span, wire) = (wire.span(), wire.into_inner());
        if wire.builders.is_empty() {
            self.wrong(&span, "expected builders, each with who signs for it, got none");
        }
        let builders: Vec<_> = wire.builders.into_iter().filter_map(|one| self.builder(one)).collect();
        let keyless = builders.iter().any(|one| matches!(one.signer, SignerRule::Identity(_)));
        self.keyless(&span, keyless, wire.trusted_root.is_some());
        let min_level = wire.min_level.as_ref().map_or(0, |level| *level.get_ref());
        if let Some(level) = wire.min_level
            && !builders.iter().any(|one| one.level >= min_level)
        {
            let best = builders.iter().map(|one| one.level).max().unwrap_or(0);
            let what = format!("expected a level that a builder here has, at most {best}, got {min_level}");
            self.wrong(&level.span(), what);
        }
        let sources = wire.sources.map(|sources| self.some(sources, "sources")).unwrap_or_default();
        for source in &sources {
            let whole = source.get_ref();
            if whole.trim().is_empty() || crate::demands::source_name(whole) != whole {
                let what = format!(
                    "expected a pattern of repositories such as https://github.com/acme/*, without git+, .git, \
                     a reference or a last /, got {whole:?}"
                );
                self.wrong(&source.span(), what);
            }
        }
        Build {
            builders,
            trusted_root: wire.trusted_root,
            sources: sources.into_iter().map(Spanned::into_inner).collect(),
            min_level,
            deny_unexpected_parameters: wire.deny_unexpected_parameters,
        }
    }

    fn builder(&mut self, wire: Spanned<WireBuilder>) -> Option<BuilderRule> {
        let (span, wire) = (wire.span(), wire.into_inner());
        let level = wire.level.unwrap_or(0);
        if level > LEVEL_MAX {
            self.wrong(&span, format!("expected a SLSA build level of 0 to {LEVEL_MAX}, got {level}"));
        }
        if wire.id.trim().is_empty() {
            self.wrong(&span, "expected the builder's id, got nothing");
        }
        let signer = self.signs_for_it(&span, wire.key, wire.identity, wire.issuer)?;
        Some(BuilderRule { id: wire.id, signer, level })
    }

    fn signs_for_it(
        &mut self,
        span: &Range<usize>,
        key: Option<PathBuf>,
        identity: Option<String>,
        issuer: Option<String>,
    ) -> Option<SignerRule> {
        match (key, identity, issuer) {
            (Some(key), None, None) => Some(SignerRule::Key(key)),
            (None, Some(identity), Some(issuer)) => Some(SignerRule::Identity(Identity { identity, issuer })),
            (key, identity, issuer) => {
                let got: Vec<&str> =
                    [key.map(|_| "key"), identity.map(|_| "identity"), issuer.map(|_| "issuer")]
                        .into_iter()
                        .flatten()
                        .collect();
                let got = if got.is_empty() { "none of them".to_owned() } else { got.join(" and ") };
                self.wrong(
                    span,
                    format!("expected who signs for it, key or identity with issuer, got {got}"),
                );
                None
            }
        }
    }

    fn verifier(&mut self, wire: Spanned<WireVerifier>) -> Option<VerifierRule> {
        let (span, wire) = (wire.span(), wire.into_inner());
        // A URI (SLSA 1.2, "Verification Summary Attestation", `verifier.id`).
        if !wire.id.contains(':') || !wire.id.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.wrong(&span, format!("expected a verifier's id that is a URI, got {:?}", wire.id));
        }
        let signer = self.signs_for_it(&span, wire.key, wire.identity, wire.issuer)?;
        Some(VerifierRule { id: wire.id, signer })
    }

    /// What is wrong with whom an entry names, given what it is about.
    fn expect_whose(&mut self, span: &Range<usize>, wire: &WireAttested) {
        let predicate = wire.predicate.get_ref();
        let (others, verifiers) =
            (!wire.keys.is_empty() || !wire.identities.is_empty(), !wire.verifiers.is_empty());
        if is_verdict(predicate) != verifiers {
            let what = match verifiers {
                true => format!("expected predicate = \"vsa\" where verifiers are, got {predicate:?}"),
                false => {
                    "expected verifiers where verdicts are demanded, each with its id and who signs for it, \
                          got none"
                        .to_owned()
                }
            };
            self.wrong(&wire.predicate.span(), what);
        } else if verifiers && others {
            self.wrong(span, "expected verifiers alone to sign verdicts, got keys or identities too");
        } else if !verifiers && !others && !wire.fresh {
            self.wrong(span, "expected keys, identities or fresh = true, got none of them");
        }
        if !verifiers && !others && wire.at_least.is_some() {
            self.wrong(span, "expected keys or identities where at-least is, got none of them");
        }
        for level in &wire.levels {
            let text = level.get_ref();
            let good = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            if !verifiers {
                self.wrong(&level.span(), "expected verifiers where levels are, got none");
            } else if text.is_empty() || text == "FAILED" || !text.bytes().all(good) {
                let what = format!(
                    "expected a level that passes, such as SLSA_BUILD_LEVEL_3 or ACME_REVIEWED, got {text:?}"
                );
                self.wrong(&level.span(), what);
            }
        }
    }

    pub(crate) fn attested(&mut self, wire: Spanned<WireAttested>) -> Attested {
        let (span, wire) = (wire.span(), wire.into_inner());
        let predicate = wire.predicate.get_ref();
        if !predicate.contains(':') && !kinds().any(|word| word == predicate) {
            let words: Vec<_> = kinds().collect();
            let what = format!("expected a predicate type, or {}, got {predicate:?}", words.join(", "));
            self.wrong(&wire.predicate.span(), what);
        }
        self.expect_whose(&span, &wire);
        let are_verdicts = !wire.verifiers.is_empty();
        let verifiers: Vec<_> = wire.verifiers.into_iter().filter_map(|one| self.verifier(one)).collect();
        let at_least = wire.at_least.unwrap_or(NonZeroU32::MIN);
        self.expect_enough(&span, at_least, &wire.keys, &wire.identities);
        let ids: BTreeSet<&str> = verifiers.iter().map(|one| one.id.as_str()).collect();
        if are_verdicts && u32::try_from(ids.len()).is_ok_and(|most| most < at_least.get()) {
            let what = format!(
                "expected at-least of at most {}, as many verifiers are named, got {at_least}",
                ids.len()
            );
            self.wrong(&span, what);
        }
        let keyless = verifiers.iter().any(|one| matches!(one.signer, SignerRule::Identity(_)));
        self.keyless(&span, keyless || !wire.identities.is_empty(), wire.trusted_root.is_some());
        // A verdict has no end of its own.
        let week = || u64::try_from(SUMMARY_MAX_AGE.num_seconds()).ok().filter(|_| are_verdicts);
        Attested {
            predicate: wire.predicate.into_inner(),
            at_least,
            verifiers,
            levels: wire.levels.into_iter().map(Spanned::into_inner).collect(),
            keys: wire.keys,
            identities: wire.identities.into_iter().map(Identity::from).collect(),
            trusted_root: wire.trusted_root,
            max_age: match wire.max_age {
                Some(age) => self.age(&age),
                None => week(),
            },
            fresh: wire.fresh,
        }
    }

    fn keyless(&mut self, span: &Range<usize>, identities: bool, root: bool) {
        if identities != root {
            self.wrong(span, "expected identities and trusted-root together, got one of them");
        }
    }

    /// Signatures are looked at once for all that a scope demands, so they are weighed under one root.
    pub(crate) fn one_trusted_root(&mut self, span: &Range<usize>, scope: &Scope) {
        let roots = scope.signers.iter().filter_map(|one| one.trusted_root.as_ref());
        let roots = roots.chain(scope.build.iter().filter_map(|one| one.trusted_root.as_ref()));
        let roots: BTreeSet<_> =
            roots.chain(scope.evidence.iter().filter_map(|one| one.trusted_root.as_ref())).collect();
        if roots.len() > 1 {
            let what = format!("expected one trusted-root in a scope, got {}", roots.len());
            self.wrong(span, what);
        }
    }

    pub(crate) fn condition(&mut self, text: &Spanned<String>) -> Option<Condition> {
        match Condition::parse(text.get_ref()) {
            Ok(condition) => Some(condition),
            Err(faults) => {
                for fault in faults {
                    let (span, place) = self.place_in(text, fault.offset);
                    self.wrong(&span, format!("{}{place}", fault.what));
                }
                None
            }
        }
    }

    /// Where in the file a place in a text is, where the text stands in the file to the letter; otherwise where the
    /// text begins, and the column in it.
    fn place_in(&self, text: &Spanned<String>, offset: usize) -> (Range<usize>, String) {
        let span = text.span();
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let at = raw.find(text.get_ref().as_str()).filter(|_| !text.get_ref().is_empty());
        match at.and_then(|at| span.start.checked_add(at)?.checked_add(offset)) {
            Some(start) => (start..span.end.max(start), String::new()),
            None => (span, format!(", at character {} of the condition", offset.saturating_add(1))),
        }
    }
}

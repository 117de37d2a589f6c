//! Whom a scope names: whose signatures are looked for, and for what.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::demands::SignerRule;
use crate::policy::{Identity, Scope};

impl Scope {
    /// The files of all public keys that the scope names for signatures and attestations, each once.
    #[must_use]
    pub fn key_files(&self) -> Vec<&PathBuf> {
        let all = self.keys_but_verifiers().chain(keys_of(self.of_verifiers()));
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// All keyless signers that the scope names, each once.
    #[must_use]
    pub fn keyless(&self) -> Vec<&Identity> {
        let all = self.keyless_but_verifiers().chain(identities_of(self.of_verifiers()));
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The keys of all but those who sign for verifiers: these sign verdicts, and nothing else.
    pub(super) fn keys_but_verifiers(&self) -> impl Iterator<Item = &PathBuf> {
        let signers = self.signers.iter().flat_map(|signers| &signers.keys);
        signers.chain(keys_of(self.of_builders())).chain(self.evidence.iter().flat_map(|one| &one.keys))
    }

    /// The same of keyless signers.
    pub(super) fn keyless_but_verifiers(&self) -> impl Iterator<Item = &Identity> {
        let signers = self.signers.iter().flat_map(|signers| &signers.identities);
        let others = self.evidence.iter().flat_map(|one| &one.identities);
        signers.chain(identities_of(self.of_builders())).chain(others)
    }

    fn of_builders(&self) -> impl Iterator<Item = &SignerRule> {
        self.build.iter().flat_map(|build| &build.builders).map(|one| &one.signer)
    }

    fn of_verifiers(&self) -> impl Iterator<Item = &SignerRule> {
        self.evidence.iter().flat_map(|one| &one.verifiers).map(|one| &one.signer)
    }

    /// sigstore's trusted root, of which a scope names one.
    #[must_use]
    pub fn trusted_root(&self) -> Option<&PathBuf> {
        let of = self.signers.as_ref().and_then(|one| one.trusted_root.as_ref());
        of.or_else(|| self.build.as_ref()?.trusted_root.as_ref())
            .or_else(|| self.evidence.iter().find_map(|one| one.trusted_root.as_ref()))
    }

    /// Whether signatures and attestations must be looked for, besides those that `signers` demands.
    #[must_use]
    pub fn looks_at_evidence(&self) -> bool {
        let condition = self.condition.as_ref().is_some_and(crate::Condition::looks_at_evidence);
        self.build.is_some() || !self.evidence.is_empty() || condition
    }
}

fn keys_of<'s>(signers: impl Iterator<Item = &'s SignerRule>) -> impl Iterator<Item = &'s PathBuf> {
    signers.filter_map(|signer| match signer {
        SignerRule::Key(file) => Some(file),
        SignerRule::Identity(_) => None,
    })
}

fn identities_of<'s>(signers: impl Iterator<Item = &'s SignerRule>) -> impl Iterator<Item = &'s Identity> {
    signers.filter_map(|signer| match signer {
        SignerRule::Identity(identity) => Some(identity),
        SignerRule::Key(_) => None,
    })
}

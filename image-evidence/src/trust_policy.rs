//! notation's trust policy (notary project, "Trust Store and Trust Policy"): who may sign what, and which checks
//! may fail.

use std::collections::{BTreeMap, BTreeSet};

use image_signatures::CertificateChain;
use serde::Deserialize;

use crate::limits::TRUST_MAX;
use crate::refusal::Refusal;
use crate::strict;
use crate::trust::BadTrust;

/// Certificates in DER, by the name of their store: `ca:acme`, `signingAuthority:acme`, `tsa:acme`.
pub type TrustStores = BTreeMap<String, Vec<Vec<u8>>>;

/// The attributes of a distinguished name: kind and value.
type Attributes = BTreeSet<(String, String)>;

/// A trust policy and the certificates of its stores.
#[derive(Clone, Debug)]
pub struct NotationTrust {
    policies: Vec<Policy>,
    stores: TrustStores,
}

/// Which kind of store has the certificates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StoreKind {
    Ca,
    SigningAuthority,
    TimeStamping,
}

/// What becomes of a check that fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// The signature is refused.
    Enforce,
    /// It counts all the same.
    Pass,
}

/// What one policy demands.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    name: String,
    scopes: Vec<String>,
    /// Whether a signature is worth anything under it: levels `audit` and `skip` take anybody's.
    trusts_somebody: bool,
    pub(crate) timestamp: Action,
    pub(crate) expiry: Action,
    pub(crate) revocation: Action,
    always_time_stamp: bool,
    stores: Vec<String>,
    /// The attributes that a subject must have; `None` for anybody whom the stores trust.
    identities: Option<Vec<Attributes>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    version: String,
    trust_policies: Vec<WirePolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePolicy {
    name: String,
    registry_scopes: Vec<String>,
    signature_verification: Verification,
    #[serde(default)]
    trust_stores: Vec<String>,
    #[serde(default)]
    trusted_identities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    level: String,
    #[serde(default, rename = "override")]
    overrides: BTreeMap<String, String>,
    #[serde(default)]
    verify_timestamp: Option<String>,
}

impl NotationTrust {
    /// Reads a `trustpolicy.json`, of which the certificates are given beside.
    ///
    /// # Errors
    /// Says what notation would refuse too, and which store is missing.
    pub fn new(policy: &str, stores: TrustStores) -> Result<Self, BadTrust> {
        const WHAT: &str = "a trust policy of notation, version 1.0";
        let bad = |why: String| BadTrust { what: WHAT, why };
        if u64::try_from(policy.len()).unwrap_or(u64::MAX) > TRUST_MAX {
            return Err(bad(format!("it has more than {TRUST_MAX} bytes")));
        }
        let wire: Wire = strict::read(WHAT, policy.as_bytes()).map_err(|why| bad(why.to_string()))?;
        if wire.version != "1.0" {
            return Err(bad(format!("got version {}", wire.version)));
        }
        let policies = wire.trust_policies.into_iter().map(Policy::read).collect::<Result<Vec<_>, _>>();
        let policies = policies.map_err(bad)?;
        let (mut names, mut scopes) = (BTreeSet::new(), BTreeSet::new());
        for policy in &policies {
            if !names.insert(&policy.name) {
                return Err(bad(format!("policy {:?} is there twice", policy.name)));
            }
            if let Some(twice) = policy.scopes.iter().find(|scope| !scopes.insert(*scope)) {
                return Err(bad(format!("scope {twice:?} is there twice")));
            }
            if let Some(missing) = policy.stores.iter().find(|store| !stores.contains_key(*store)) {
                return Err(bad(format!(
                    "policy {:?} names the trust store {missing}, which isn't there",
                    policy.name
                )));
            }
        }
        for (name, certificates) in &stores {
            if certificates.is_empty() {
                return Err(bad(format!("the trust store {name} is empty")));
            }
            for one in certificates {
                CertificateChain::from_der(std::slice::from_ref(one))
                    .map_err(|why| bad(format!("{name}: {why}")))?;
            }
        }
        Ok(Self { policies, stores })
    }

    /// The stores that the policy names, by which a caller knows what to read.
    ///
    /// # Errors
    /// As [`Self::new`], but for what is in the stores.
    pub fn stores_of(policy: &str) -> Result<BTreeSet<String>, BadTrust> {
        const WHAT: &str = "a trust policy of notation, version 1.0";
        let wire: Wire = strict::read(WHAT, policy.as_bytes())
            .map_err(|why| BadTrust { what: WHAT, why: why.to_string() })?;
        Ok(wire.trust_policies.into_iter().flat_map(|policy| policy.trust_stores).collect())
    }

    /// The policy for a repository: the one that names it, or the one for all.
    pub(crate) fn policy(&self, repository: &str) -> Result<&Policy, Refusal> {
        let with =
            |scope: &str| self.policies.iter().find(|policy| policy.scopes.iter().any(|one| one == scope));
        let Some(policy) = with(repository).or_else(|| with("*")) else {
            let expected = "a trust policy of notation for its repository";
            return Err(Refusal::NoTrust { expected });
        };
        if policy.trusts_somebody {
            return Ok(policy);
        }
        let expected = "a trust policy of level strict or permissive";
        Err(Refusal::NoTrust { expected })
    }

    /// Whether one of these certificates is in a store of this kind that the policy names.
    pub(crate) fn trusts(&self, policy: &Policy, kind: StoreKind, certificates: &[&[u8]]) -> bool {
        self.certificates(policy, kind).iter().any(|one| certificates.contains(one))
    }

    /// The certificates in the stores of this kind that the policy names.
    pub(crate) fn certificates(&self, policy: &Policy, kind: StoreKind) -> Vec<&[u8]> {
        let stores = policy.stores.iter().filter(|store| store.starts_with(kind.prefix()));
        stores.filter_map(|store| self.stores.get(store)).flatten().map(Vec::as_slice).collect()
    }
}

impl StoreKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Ca => "ca:",
            Self::SigningAuthority => "signingAuthority:",
            Self::TimeStamping => "tsa:",
        }
    }
}

impl Policy {
    fn read(wire: WirePolicy) -> Result<Self, String> {
        let WirePolicy { name, registry_scopes: scopes, signature_verification: verification, .. } = wire;
        if name.is_empty() || scopes.is_empty() {
            return Err(format!("policy {name:?} has no name, or no scope"));
        }
        if scopes.len() > 1 && scopes.iter().any(|scope| scope == "*") {
            return Err(format!("policy {name:?} has scopes beside \"*\""));
        }
        let [authenticity, timestamp, expiry, revocation] = verification.actions(&name)?;
        let level = verification.level.as_str();
        let trusts_somebody = level != "skip" && authenticity == Action::Enforce;
        let always_time_stamp = match verification.verify_timestamp.as_deref() {
            None | Some("" | "always") => true,
            Some("afterCertExpiry") => false,
            Some(other) => {
                return Err(format!("expected verifyTimestamp always or afterCertExpiry, got {other}"));
            }
        };
        if level != "skip" && (wire.trust_stores.is_empty() || wire.trusted_identities.is_empty()) {
            return Err(format!("policy {name:?} has no trust stores, or no trusted identities"));
        }
        let identities =
            identities(&wire.trusted_identities).map_err(|why| format!("policy {name:?}: {why}"))?;
        let stores = wire.trust_stores;
        Ok(Self {
            name,
            scopes,
            trusts_somebody,
            timestamp,
            expiry,
            revocation,
            always_time_stamp,
            stores,
            identities,
        })
    }

    /// Whether a time stamp must be looked at; after the certificates' end, or always.
    pub(crate) fn wants_time_stamp(&self, expired: bool) -> bool {
        let stamps = self.stores.iter().any(|store| store.starts_with("tsa:"));
        stamps && self.timestamp == Action::Enforce && (expired || self.always_time_stamp)
    }

    /// Whether the subject has all attributes of one of the trusted identities.
    pub(crate) fn names(&self, subject: &str) -> bool {
        let Some(identities) = &self.identities else { return true };
        let Some(has) = attributes(subject) else { return false };
        identities.iter().any(|wanted| wanted.is_subset(&has))
    }

    pub(crate) fn stores_of(&self, kind: StoreKind) -> String {
        let stores: Vec<_> =
            self.stores.iter().filter(|store| store.starts_with(kind.prefix())).cloned().collect();
        match stores.is_empty() {
            true => format!("no trust store of kind {}", kind.prefix().trim_end_matches(':')),
            false => format!("the trust stores {}", stores.join(", ")),
        }
    }

    pub(crate) fn identities(&self) -> String {
        let one = |attributes: &Attributes| {
            attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
        };
        self.identities.iter().flatten().map(one).collect::<Vec<_>>().join(" or ")
    }
}

impl Verification {
    /// What becomes of authenticity, time, expiry and revocation (its section "Signature Verification details").
    fn actions(&self, policy: &str) -> Result<[Action; 4], String> {
        use Action::{Enforce, Pass};
        let mut actions = match self.level.as_str() {
            "strict" => [Enforce; 4],
            "permissive" => [Enforce, Pass, Pass, Pass],
            "audit" | "skip" => [Pass; 4],
            other => {
                return Err(format!(
                    "policy {policy:?}: expected level strict, permissive, audit or skip, got {other}"
                ));
            }
        };
        for (name, action) in &self.overrides {
            let all = ["authenticity", "authenticTimestamp", "expiry", "revocation"];
            let which = all.iter().position(|one| one == name);
            let action = match action.as_str() {
                "enforce" => Enforce,
                "log" | "skip" => Pass,
                other => {
                    return Err(format!("policy {policy:?}: expected enforce, log or skip, got {other}"));
                }
            };
            match which.and_then(|which| actions.get_mut(which)) {
                Some(slot) => *slot = action,
                None => {
                    return Err(format!("policy {policy:?}: expected one of {}, got {name}", all.join(", ")));
                }
            }
        }
        Ok(actions)
    }
}

fn identities(trusted: &[String]) -> Result<Option<Vec<Attributes>>, String> {
    if trusted == ["*"] {
        return Ok(None);
    }
    let one = |text: &String| {
        let subject = text.strip_prefix("x509.subject:");
        let subject = subject.ok_or_else(|| format!("expected an identity x509.subject: …, got {text}"))?;
        let has = attributes(subject)
            .ok_or_else(|| format!("expected attributes C=…, ST=…, O=…, got {subject}"))?;
        let named = |name: &str| has.iter().any(|(own, _)| own == name);
        match ["C", "ST", "O"].iter().find(|name| !named(name)) {
            Some(missing) => Err(format!("expected the attributes C, ST and O, got none of {missing}")),
            None => Ok(has),
        }
    };
    trusted.iter().map(one).collect::<Result<_, _>>().map(Some)
}

/// The attributes of a distinguished name (RFC 4514). Names with several values in one part are none.
fn attributes(text: &str) -> Option<Attributes> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, parts.last_mut()?) {
            ('\\', part) => part.push(letters.next()?),
            ('+', _) => return None,
            (',', _) => parts.push(String::new()),
            (other, part) => part.push(other),
        }
    }
    let one = |part: &String| {
        let (name, value) = part.split_once('=')?;
        let name = name.trim().to_ascii_uppercase();
        Some((if name == "S" { "ST".into() } else { name }, value.trim().to_owned()))
    };
    let attributes: Option<Vec<_>> = parts.iter().map(one).collect();
    let all = attributes?;
    // Of two names of one kind, somebody else's may be one. Units and domains have levels.
    let is_single = |kind: &str| !matches!(kind, "OU" | "DC");
    let kinds: Vec<_> = all.iter().map(|(kind, _)| kind).filter(|kind| is_single(kind)).collect();
    let (different, count) = (kinds.iter().collect::<BTreeSet<_>>().len(), all.len());
    let is_clear = different == kinds.len();
    let set: BTreeSet<_> = all.into_iter().collect();
    (is_clear && set.len() == count).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_the_attributes_that_are_asked_for_in_any_order() {
        let wanted = identities(&["x509.subject: C=US, ST=WA, O=Notary".into()]).unwrap().unwrap();
        for (subject, expected) in [
            ("CN=e2e,O=Notary,L=Seattle,ST=WA,C=US", true),
            ("CN=e2e,O=Notary\\, Inc,L=Seattle,ST=WA,C=US", false),
            ("CN=O=Notary,ST=WA,C=US", false),
            ("CN=x+O=Notary,ST=WA,C=US", false),
        ] {
            let has = attributes(subject);
            assert_eq!(has.is_some_and(|has| wanted[0].is_subset(&has)), expected, "{subject}");
        }
    }

    #[test]
    fn what_notation_refuses_of_a_policy_is_refused_with_its_reason() {
        let policy = |scopes: &str, verification: &str, identities: &str| {
            format!(
                r#"{{"version":"1.0","trustPolicies":[{{"name":"a","registryScopes":{scopes},"signatureVerification":{verification},"trustStores":["ca:acme"],"trustedIdentities":{identities}}}]}}"#
            )
        };
        let strict = r#"{"level":"strict"}"#;
        for (text, why) in [
            (policy(r#"["*","r.io/a"]"#, strict, r#"["*"]"#), "has scopes beside \"*\""),
            (policy(r#"["*"]"#, r#"{"level":"lax"}"#, r#"["*"]"#), "got lax"),
            (
                policy(r#"["*"]"#, r#"{"level":"strict","override":{"integrity":"skip"}}"#, r#"["*"]"#),
                "got integrity",
            ),
            (policy(r#"["*"]"#, strict, r#"["x509.subject: C=US"]"#), "got none of ST"),
            (policy(r#"["*"]"#, strict, "[]"), "no trusted identities"),
            (policy(r#"["*"]"#, strict, r#"["*"]"#), "names the trust store ca:acme, which isn't there"),
            (r#"{"version":"2.0","trustPolicies":[]}"#.into(), "got version 2.0"),
        ] {
            let got = NotationTrust::new(&text, TrustStores::new()).unwrap_err().to_string();
            assert!(got.contains(why), "{why}: {got}");
        }
    }
}

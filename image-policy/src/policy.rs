//! The rules, and which of them a name meets.

use std::num::NonZeroU32;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use oci_image::{BadReference, Reference};
use tuf_core::PathPattern;

use crate::condition::Condition;
use crate::demands::{Attested, Build};
use crate::pattern::{canonical, covers};

/// A file of rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// In their order: the first that fits decides.
    pub scopes: Vec<Scope>,
    /// Names that stand for others.
    pub mirrors: Vec<Mirror>,
}

/// What is demanded of the images whose names fit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scope {
    /// What verdicts call it.
    pub name: String,
    /// The line where it is named.
    pub line: usize,
    /// Patterns of names, without tag: see [`covers`].
    pub patterns: Vec<String>,
    /// Why these images may not run at all. Then nothing else is said.
    pub deny: Option<String>,
    /// Who speaks for them; without it, the root that is pinned for them on this machine.
    pub trust: Option<Trust>,
    /// The targets roles that may; any, where none is named.
    pub roles: Vec<String>,
    /// Who else must have signed.
    pub signers: Option<Signers>,
    /// Which tags may be used.
    pub tags: Tags,
    /// How they must have been built.
    pub build: Option<Build>,
    /// What else must be said of them.
    pub evidence: Vec<Attested>,
    /// What a scan may find.
    pub scan: Option<Scan>,
    /// What must hold besides, after all else.
    pub condition: Option<Condition>,
}

/// A trust repository, and the root that its owner gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trust {
    /// A folder, an address, or `oci://HOST/NAME`.
    pub repo: String,
    /// The root.
    pub root: RootOfTrust,
}

/// How a root is told from another one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RootOfTrust {
    /// The file itself; where it isn't absolute, beside the rules.
    File(PathBuf),
    /// The SHA-256 of the repository's first root, in hex.
    Sha256(String),
}

/// Who must have signed besides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signers {
    /// How many distinct ones.
    pub at_least: NonZeroU32,
    /// What they must have signed: a predicate type. Without it, the image itself.
    pub predicate: Option<String>,
    /// Public keys (PEM).
    pub keys: Vec<PathBuf>,
    /// Who may sign without a key.
    pub identities: Vec<Identity>,
    /// sigstore's `trusted_root.json`, which identities need.
    pub trusted_root: Option<PathBuf>,
    /// notation's `trustpolicy.json`.
    pub notation_policy: Option<PathBuf>,
    /// Whether the publisher's metadata must name each signature today.
    pub fresh: bool,
}

/// A keyless signer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// An e-mail address, or the URI of a workflow.
    pub identity: String,
    /// Who vouches for it.
    pub issuer: String,
}

/// Which tags may be used.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tags {
    /// Patterns of which one must fit; any tag, where there are none.
    pub allow: Vec<String>,
    /// Patterns of which none may.
    pub deny: Vec<String>,
}

/// What a scan may find.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scan {
    /// The advisories; without it, those that this machine fetched last.
    pub db: Option<PathBuf>,
    /// Findings of this severity or worse are refused.
    pub fail_on: Option<Severity>,
    /// For `fail_on`: only what a newer version mends.
    pub fixable_only: bool,
    /// What is known to be exploited is refused, however severe.
    pub fail_on_exploited: bool,
    /// What could not be looked up is refused.
    pub fail_on_gaps: bool,
    /// The most seconds that the advisories may be old.
    pub max_db_age: Option<u64>,
    /// Findings that somebody answers for.
    pub ignore: Vec<Ignore>,
    /// Public keys (PEM) of those who may say which findings don't touch the image (VEX).
    pub vex_keys: Vec<PathBuf>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// From 9.0 of CVSS on.
    Critical,
    /// Below that.
    High,
    /// Below 7.0.
    Medium,
    /// Below 4.0.
    Low,
    /// Of no consequence, says the distribution.
    Negligible,
    /// Whatever is found, also what nobody has weighed.
    Any,
}

/// A finding that somebody answers for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ignore {
    /// The advisory.
    pub id: String,
    /// The package; any, where none is named.
    pub package: Option<String>,
    /// Why it doesn't count.
    pub reason: String,
    /// From when on it counts again.
    pub expires: DateTime<Utc>,
}

/// A place whose names stand for those of another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror {
    /// The beginning of its names, such as `mirror.example.com/hub`.
    pub from: String,
    /// What that stands for, such as `docker.io`.
    pub to: String,
}

/// What the rules say of a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice<'p> {
    /// It may run if all that the scope demands holds.
    Admits(&'p Scope),
    /// It may not.
    Denies {
        /// By which scope; none, where none fits.
        scope: Option<&'p Scope>,
        /// Why.
        why: Denial<'p>,
    },
}

/// Why a name is denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial<'p> {
    /// No scope fits it.
    NoScope,
    /// Its scope says so.
    Said(&'p str),
    /// Its tag may not be used.
    Tag,
}

impl Policy {
    /// What the rules say of a name. A name by digest alone has no tag that could be wrong.
    #[must_use]
    pub fn choose(&self, name: &Reference) -> Choice<'_> {
        let text = canonical(name.name());
        let fits = |scope: &&Scope| scope.patterns.iter().any(|pattern| covers(pattern, &text));
        let Some(scope) = self.scopes.iter().find(fits) else {
            return Choice::Denies { scope: None, why: Denial::NoScope };
        };
        match (&scope.deny, name.tag()) {
            (Some(reason), _) => Choice::Denies { scope: Some(scope), why: Denial::Said(reason) },
            (None, Some(tag)) if !scope.tags.permit(tag.as_str()) => {
                Choice::Denies { scope: Some(scope), why: Denial::Tag }
            }
            (None, _) => Choice::Admits(scope),
        }
    }

    /// The name that a name stands for: that of the place which a mirror mirrors, with tag and digest as they are.
    /// Rules, trust and pins are those of the name that comes out; only the bytes come from the mirror. The longest
    /// beginning that fits counts, once.
    ///
    /// # Errors
    /// Where what comes out is no name.
    pub fn stands_for(&self, name: &Reference) -> Result<Option<Reference>, BadReference> {
        let whole = name.to_string();
        // Tag and digest, as they are.
        let end = whole.strip_prefix(&name.name().to_string()).unwrap_or_default();
        let text = format!("{}{end}", canonical(name.name()));
        let rest = |mirror: &Mirror| {
            let rest = text.strip_prefix(mirror.from.as_str())?.strip_prefix('/')?;
            Some(format!("{}/{rest}", mirror.to))
        };
        let best = self.mirrors.iter().filter(|mirror| rest(mirror).is_some());
        let best = best.max_by_key(|mirror| mirror.from.len());
        best.and_then(rest).map(|text| text.parse()).transpose()
    }
}

impl Scope {
    /// That a role may speak, to which these delegated ones led, itself the last. Whoever is on the way could have
    /// given its name to a key of their own: so each of them must be named.
    ///
    /// # Errors
    /// With the role that may not.
    pub fn expect_role<'r>(&self, role: &'r str, path: &'r [String]) -> Result<(), &'r str> {
        let named = |one: &str| self.roles.is_empty() || self.roles.iter().any(|named| named == one);
        let on_the_path = path.iter().map(String::as_str);
        let all = on_the_path.chain(path.is_empty().then_some(role));
        all.into_iter().find(|one| !named(one)).map_or(Ok(()), Err)
    }
}

impl Tags {
    fn permit(&self, tag: &str) -> bool {
        let fits = |patterns: &[String]| patterns.iter().any(|one| PathPattern::new(one).matches(tag));
        !fits(&self.deny) && (self.allow.is_empty() || fits(&self.allow))
    }
}

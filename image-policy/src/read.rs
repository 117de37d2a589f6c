//! From text to rules, with everything that is wrong and where.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;
use toml::Spanned;

use crate::POLICY_MAX;
use crate::condition::Condition;
use crate::pattern::{fault, tag_fault};
use crate::policy::{
    Identity, Ignore, Mirror, Policy, RootOfTrust, Scan, Scope, Severity, Signers, Tags, Trust,
};
use crate::problem::{Problem, Problems};
use crate::read_demands::{WireAttested, WireBuild};

const VERSION: u32 = 1;
const DAY: u64 = 24 * 60 * 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    version: Spanned<u32>,
    #[serde(default)]
    scope: Vec<WireScope>,
    #[serde(default)]
    mirror: Vec<WireMirror>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WireScope {
    name: Spanned<String>,
    r#match: Spanned<Vec<Spanned<String>>>,
    deny: Option<Spanned<String>>,
    trust: Option<Spanned<WireTrust>>,
    roles: Option<Spanned<Vec<String>>>,
    signers: Option<Spanned<WireSigners>>,
    tags: Option<Spanned<WireTags>>,
    scan: Option<Spanned<WireScan>>,
    build: Option<Spanned<WireBuild>>,
    #[serde(default)]
    evidence: Vec<Spanned<WireAttested>>,
    condition: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WireTrust {
    repo: String,
    root: Option<PathBuf>,
    root_sha256: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WireSigners {
    at_least: Option<NonZeroU32>,
    predicate: Option<String>,
    #[serde(default)]
    keys: Vec<PathBuf>,
    #[serde(default)]
    identities: Vec<WireIdentity>,
    trusted_root: Option<PathBuf>,
    notation_policy: Option<PathBuf>,
    #[serde(default)]
    fresh: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireIdentity {
    identity: String,
    issuer: String,
}

impl From<WireIdentity> for Identity {
    fn from(WireIdentity { identity, issuer }: WireIdentity) -> Self {
        Self { identity, issuer }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTags {
    allow: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WireScan {
    db: Option<PathBuf>,
    fail_on: Option<Severity>,
    #[serde(default)]
    fixable_only: bool,
    #[serde(default)]
    fail_on_exploited: bool,
    #[serde(default)]
    fail_on_gaps: bool,
    max_db_age: Option<Spanned<String>>,
    #[serde(default)]
    ignore: Vec<WireIgnore>,
    #[serde(default)]
    vex_keys: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireIgnore {
    id: Spanned<String>,
    package: Option<String>,
    reason: Spanned<String>,
    expires: Spanned<toml::value::Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMirror {
    from: Spanned<String>,
    to: Spanned<String>,
}

/// The text, and what was found wrong with it so far.
pub(crate) struct Reader<'t> {
    pub(crate) text: &'t str,
    pub(crate) problems: Vec<Problem>,
}

impl Policy {
    /// Reads rules: TOML, as `docs/src/policy.md` shows it.
    ///
    /// # Errors
    /// With everything that is wrong, each with its line and column.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let whole = |what: String| Problems(vec![Problem { line: 1, column: 1, what }]);
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > POLICY_MAX {
            return Err(whole(format!("expected at most {POLICY_MAX} bytes, got {}", text.len())));
        }
        let file: File = toml::from_str(text).map_err(|error| match error.span() {
            Some(span) => Problems(vec![Problem::at(text, &span, error.message())]),
            None => whole(error.message().to_owned()),
        })?;
        let mut reader = Reader { text, problems: Vec::new() };
        if *file.version.get_ref() != VERSION {
            let what = format!("expected version {VERSION}, got {}", file.version.get_ref());
            reader.wrong(&file.version.span(), what);
        }
        let mut names = BTreeSet::new();
        let scopes = file.scope.into_iter().map(|scope| reader.scope(scope, &mut names)).collect();
        let mirrors = file.mirror.into_iter().map(|mirror| reader.mirror(mirror)).collect();
        match reader.problems.is_empty() {
            true => Ok(Self { scopes, mirrors }),
            false => Err(Problems(reader.problems)),
        }
    }
}

impl Reader<'_> {
    pub(crate) fn wrong(&mut self, span: &Range<usize>, what: impl Into<String>) {
        self.problems.push(Problem::at(self.text, span, what));
    }

    fn scope(&mut self, wire: WireScope, names: &mut BTreeSet<String>) -> Scope {
        let (span, name) = (wire.name.span(), wire.name.into_inner());
        if name.trim().is_empty() || !names.insert(name.clone()) {
            self.wrong(&span, format!("expected a name of its own, got {name:?}"));
        }
        if wire.r#match.get_ref().is_empty() {
            self.wrong(&wire.r#match.span(), "expected at least one pattern of names, got none");
        }
        let patterns = wire.r#match.into_inner().into_iter().map(|pattern| self.pattern(pattern)).collect();
        let demands = wire.trust.is_some()
            || wire.roles.is_some()
            || wire.signers.is_some()
            || wire.tags.is_some()
            || wire.scan.is_some()
            || wire.build.is_some()
            || !wire.evidence.is_empty()
            || wire.condition.is_some();
        if let Some(deny) = &wire.deny {
            if demands {
                self.wrong(&deny.span(), "expected a scope that denies to say nothing else");
            }
            if deny.get_ref().trim().is_empty() {
                self.wrong(&deny.span(), "expected the reason why these are denied, got nothing");
            }
        }
        let line = Problem::at(self.text, &span, "").line;
        let scope = Scope {
            name,
            line,
            patterns,
            deny: wire.deny.map(Spanned::into_inner),
            trust: wire.trust.and_then(|trust| self.trust(trust)),
            roles: wire.roles.map(|roles| self.some(roles, "roles")).unwrap_or_default(),
            signers: wire.signers.map(|signers| self.signers(signers)),
            tags: wire.tags.map(|tags| self.tags(tags.into_inner())).unwrap_or_default(),
            build: wire.build.map(|build| self.build(build)),
            evidence: wire.evidence.into_iter().map(|attested| self.attested(attested)).collect(),
            scan: wire.scan.map(|scan| self.scan(scan)),
            condition: wire.condition.and_then(|condition| self.condition(&condition)),
        };
        self.one_trusted_root(&span, &scope);
        if scope.scan.is_none() && scope.condition.as_ref().is_some_and(Condition::looks_at_scan) {
            self.wrong(&span, "expected a scan in the scope, since its condition looks at one, got none");
        }
        scope
    }

    /// A list of what may be, which means anything where it isn't there: an empty one would too.
    pub(crate) fn some<T>(&mut self, list: Spanned<Vec<T>>, what: &str) -> Vec<T> {
        if list.get_ref().is_empty() {
            self.wrong(
                &list.span(),
                format!("expected {what}, or no list where any will do, got an empty one"),
            );
        }
        list.into_inner()
    }

    fn tags(&mut self, WireTags { allow, deny }: WireTags) -> Tags {
        let allow = allow.map(|allow| self.some(allow, "tags")).unwrap_or_default();
        let mut all = |patterns: Vec<Spanned<String>>| -> Vec<String> {
            let one = |pattern: Spanned<String>| {
                if let Some(expected) = tag_fault(pattern.get_ref()) {
                    self.wrong(&pattern.span(), format!("expected {expected}; got {:?}", pattern.get_ref()));
                }
                pattern.into_inner()
            };
            patterns.into_iter().map(one).collect()
        };
        Tags { allow: all(allow), deny: all(deny) }
    }

    fn pattern(&mut self, pattern: Spanned<String>) -> String {
        if let Some(expected) = fault(pattern.get_ref()) {
            self.wrong(&pattern.span(), format!("expected {expected}; got {:?}", pattern.get_ref()));
        }
        pattern.into_inner()
    }

    fn trust(&mut self, wire: Spanned<WireTrust>) -> Option<Trust> {
        let (span, WireTrust { repo, root, root_sha256 }) = (wire.span(), wire.into_inner());
        let root = match (root, root_sha256) {
            (Some(file), None) => RootOfTrust::File(file),
            (None, Some(hex)) => {
                let digits = |hex: &str| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !digits(hex.get_ref()) {
                    let what = format!("expected 64 digits of hex, got {:?}", hex.get_ref());
                    self.wrong(&hex.span(), what);
                }
                RootOfTrust::Sha256(hex.into_inner())
            }
            (root, _) => {
                let got = if root.is_some() { "both" } else { "neither" };
                self.wrong(&span, format!("expected root or root-sha256, as its owner gave it, got {got}"));
                return None;
            }
        };
        Some(Trust { repo, root })
    }

    fn signers(&mut self, wire: Spanned<WireSigners>) -> Signers {
        let (span, wire) = (wire.span(), wire.into_inner());
        if wire.keys.is_empty() && wire.identities.is_empty() && wire.notation_policy.is_none() {
            self.wrong(&span, "expected keys, identities or notation-policy, got none of them");
        }
        if wire.identities.is_empty() != wire.trusted_root.is_none() {
            self.wrong(&span, "expected identities and trusted-root together, got one of them");
        }
        let at_least = wire.at_least.unwrap_or(NonZeroU32::MIN);
        // Whom notation's policy lets in isn't known here.
        if wire.notation_policy.is_none() {
            self.expect_enough(&span, at_least, &wire.keys, &wire.identities);
        }
        Signers {
            at_least,
            predicate: wire.predicate,
            keys: wire.keys,
            identities: wire.identities.into_iter().map(Identity::from).collect(),
            trusted_root: wire.trusted_root,
            notation_policy: wire.notation_policy,
            fresh: wire.fresh,
        }
    }

    /// That as many are named as must have signed.
    pub(crate) fn expect_enough(
        &mut self,
        span: &Range<usize>,
        at_least: NonZeroU32,
        keys: &[PathBuf],
        identities: &[WireIdentity],
    ) {
        let keys: BTreeSet<_> = keys.iter().collect();
        let identities: BTreeSet<_> = identities.iter().map(|one| (&one.identity, &one.issuer)).collect();
        let most = keys.len().saturating_add(identities.len());
        // Where nobody is named, that is said.
        if most > 0 && u32::try_from(most).is_ok_and(|most| most < at_least.get()) {
            let what = format!("expected at-least of at most {most}, as many are named, got {at_least}");
            self.wrong(span, what);
        }
    }

    fn scan(&mut self, wire: Spanned<WireScan>) -> Scan {
        let (span, wire) = (wire.span(), wire.into_inner());
        if wire.fixable_only && wire.fail_on.is_none() {
            self.wrong(&span, "expected fail-on where fixable-only is, got none");
        }
        let max_db_age = wire.max_db_age.and_then(|age| self.age(&age));
        Scan {
            db: wire.db,
            fail_on: wire.fail_on,
            fixable_only: wire.fixable_only,
            fail_on_exploited: wire.fail_on_exploited,
            fail_on_gaps: wire.fail_on_gaps,
            max_db_age,
            vex_keys: wire.vex_keys,
            ignore: wire.ignore.into_iter().filter_map(|ignore| self.ignore(ignore)).collect(),
        }
    }

    pub(crate) fn age(&mut self, age: &Spanned<String>) -> Option<u64> {
        let seconds = age_of(age.get_ref());
        if seconds.is_none() {
            let what = format!("expected hours or days, such as \"36h\" or \"7d\", got {:?}", age.get_ref());
            self.wrong(&age.span(), what);
        }
        seconds
    }

    fn ignore(&mut self, wire: WireIgnore) -> Option<Ignore> {
        for text in [&wire.id, &wire.reason] {
            if text.get_ref().trim().is_empty() {
                self.wrong(&text.span(), "expected an id and a reason, got an empty one");
            }
        }
        let Some(expires) = instant(wire.expires.get_ref()) else {
            let got = wire.expires.get_ref();
            self.wrong(&wire.expires.span(), format!("expected a date or a time with its zone, got {got}"));
            return None;
        };
        let (id, reason) = (wire.id.into_inner(), wire.reason.into_inner());
        Some(Ignore { id, package: wire.package, reason, expires })
    }

    fn mirror(&mut self, wire: WireMirror) -> Mirror {
        for text in [&wire.from, &wire.to] {
            let whole = format!("{}/some/name", text.get_ref());
            let is_start = whole.parse::<oci_image::Reference>().is_ok_and(|name| {
                // What is written in another way than names are would never fit one, or fit another.
                crate::pattern::canonical(name.name()) == whole
            });
            if !is_start {
                let what = format!(
                    "expected the beginning of names as they are written in full, such as \
                     mirror.example.com/hub or docker.io/library, got {:?}",
                    text.get_ref()
                );
                self.wrong(&text.span(), what);
            }
        }
        Mirror { from: wire.from.into_inner(), to: wire.to.into_inner() }
    }
}

fn age_of(text: &str) -> Option<u64> {
    let of = |unit: char, seconds: u64| {
        text.strip_suffix(unit)?.parse::<u32>().ok().and_then(|count| u64::from(count).checked_mul(seconds))
    };
    of('h', 60 * 60).or_else(|| of('d', DAY))
}

/// The moment that a date or a time with its zone stands for: a day ends what is said at its beginning, in UTC. `None`
/// of what says no moment, such as a time without a zone.
#[must_use]
pub fn instant(value: &toml::value::Datetime) -> Option<DateTime<Utc>> {
    let text = value.to_string();
    let time = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc());
    let day = || text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    time.or_else(|_| day()).ok()
}

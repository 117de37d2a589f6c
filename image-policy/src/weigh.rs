//! Whether what was seen of an image is what a scope demands: the same question when an image is verified and when
//! rules are rehearsed on what was seen before.
//!
//! Signers are counted by `image-evidence`, and a level is that of its configured pair; nothing here does either again.

mod variables;
mod verdicts;
mod whom;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use image_evidence::{
    Builder, BuilderSigner, COSIGN_SIGN, Demand, Identity as KeylessSigner, Provenance, Signer,
    SummaryDemand, Wanted,
};
use oci_image::Digest;

use crate::demands::{Attested, Build, SignerRule, is_kind, source_name};
use crate::facts::{Chain, Evidence, Facts, LookedFor, ScanFacts, SignerFact, SignerKind};
use crate::pattern::covers;
use crate::policy::{Identity, RootOfTrust, Scan, Scope, Signers};

/// The least age in seconds: a clock of an hour ahead is no proof of youth, but common.
const YOUNGEST: i64 = -3600;

/// What the files that rules name hold, and what a scan's rules say of findings: this crate opens and scans nothing.
pub trait Outside {
    /// The SHA-256 of a root, in hex.
    ///
    /// # Errors
    /// Where it can't be read.
    fn root(&self, file: &Path) -> Result<String, String>;

    /// What makes a public key the same key: [`image_evidence::TrustedKey::id`].
    ///
    /// # Errors
    /// Where it can't be read, or is none.
    fn key(&self, file: &Path) -> Result<Digest, String>;

    /// The digest of notation's trust policy.
    ///
    /// # Errors
    /// Where it can't be read.
    fn notation_policy(&self, file: &Path) -> Result<String, String>;

    /// Which rules of a scan these findings break, as of a time (RFC 3339), in words; none where they break none.
    ///
    /// # Errors
    /// Where that can't be told.
    fn broken_rules(&self, rules: &Scan, found: &ScanFacts, at: &str) -> Result<Option<String>, String>;
}

/// What a scope can demand besides the name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Member {
    /// The chain from the scope's root to the bytes.
    Chain,
    /// Which roles may speak.
    Roles,
    /// Who else must have signed.
    Signers,
    /// How it must have been built.
    Build,
    /// What else must be said of it: which of the scope's entries.
    Evidence(usize),
    /// What a scan may find.
    Scan,
    /// The last condition.
    Condition,
}

/// A demand that is not met, or of which it can't be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failing {
    /// Which.
    pub member: Member,
    /// Whether it could not be told.
    pub unknown: bool,
    /// What was expected, and what came.
    pub what: String,
}

/// How one demand fares: in words where it is met.
pub type Weighed = Result<String, Failing>;

impl Scope {
    /// All that the scope demands, in the order in which it is weighed.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        let is = |said: bool, member: Member| said.then_some(member);
        [Some(Member::Chain), is(!self.roles.is_empty(), Member::Roles)]
            .into_iter()
            .chain([is(self.signers.is_some(), Member::Signers), is(self.build.is_some(), Member::Build)])
            .flatten()
            .chain((0..self.evidence.len()).map(Member::Evidence))
            .chain(is(self.scan.is_some(), Member::Scan))
            .chain(is(self.condition.is_some(), Member::Condition))
    }
}

/// The verdicts of others that a scope demands, and whether the publisher's metadata must name them.
///
/// # Errors
/// Where a file that it names can't be read.
pub fn demanded_verdicts(scope: &Scope, outside: &dyn Outside) -> Result<Vec<(SummaryDemand, bool)>, String> {
    let of_verifiers = scope.evidence.iter().filter(|one| !one.verifiers.is_empty());
    of_verifiers.map(|one| Ok((verdicts::summaries(one, outside)?.0, one.fresh))).collect()
}

/// Weighs one demand of a scope. What the scope doesn't demand is met.
///
/// # Errors
/// [`Failing`], where it isn't met, or that can't be told.
pub fn weigh(member: Member, scope: &Scope, facts: &Facts, outside: &dyn Outside) -> Weighed {
    let met = || Ok("nothing is demanded".to_owned());
    let weighed = match member {
        Member::Chain => chain(scope, facts, outside),
        Member::Roles => roles(scope, facts),
        Member::Signers => scope.signers.as_ref().map_or_else(met, |demand| signers(demand, facts, outside)),
        Member::Build => scope.build.as_ref().map_or_else(met, |demand| build(demand, facts, outside)),
        Member::Evidence(which) => {
            scope.evidence.get(which).map_or_else(met, |demand| match demand.verifiers.is_empty() {
                true => attested(demand, facts, outside),
                false => verdicts::weigh(demand, facts, outside),
            })
        }
        Member::Scan => scope.scan.as_ref().map_or_else(met, |rules| scan(rules, facts, outside)),
        Member::Condition => condition(scope, facts, outside),
    };
    weighed.map_err(|Short { unknown, what }| Failing { member, unknown, what })
}

/// Why something is not met.
#[derive(Debug)]
struct Short {
    unknown: bool,
    what: String,
}

impl Short {
    fn of(what: impl Into<String>) -> Self {
        Self { unknown: false, what: what.into() }
    }

    fn unknown(what: impl Into<String>) -> Self {
        Self { unknown: true, what: what.into() }
    }
}

fn chain(scope: &Scope, facts: &Facts, outside: &dyn Outside) -> Result<String, Short> {
    if let Some(trust) = &scope.trust {
        let expected = match &trust.root {
            RootOfTrust::Sha256(hex) => hex.to_ascii_lowercase(),
            RootOfTrust::File(file) => outside.root(file).map_err(Short::unknown)?,
        };
        match &facts.root_sha256 {
            Some(got) if *got == expected => {}
            Some(got) => {
                let what = format!("it was not asked of this root: expected sha256 {expected}, got {got}");
                return Err(Short::unknown(what));
            }
            None => {
                return Err(Short::unknown("its chain was not begun: the name was denied, or no root spoke"));
            }
        }
    }
    let why = facts.detail.as_deref().unwrap_or("nothing more was recorded");
    match facts.chain {
        Chain::Held => Ok(format!("its chain held at {}", facts.at)),
        Chain::Broken => Err(Short::of(format!("its chain is broken: {why}"))),
        Chain::Unknown => Err(Short::unknown(format!("its chain could not be told: {why}"))),
        Chain::Unasked => Err(Short::unknown("its chain was not begun")),
    }
}

fn roles(scope: &Scope, facts: &Facts) -> Result<String, Short> {
    let expected = scope.roles.join(" or ");
    match &facts.role {
        Some(role) => match scope.expect_role(role, &facts.delegation_path) {
            Ok(()) => Ok(format!("role {role} speaks for it")),
            Err(got) => {
                Err(Short::of(format!("a role may not speak for it: expected {expected}, got {got}")))
            }
        },
        None => Err(Short::unknown(format!("expected role {expected}, and none was recorded"))),
    }
}

/// Signers that a demand names, by what makes them the same.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    keys: Vec<Digest>,
    identities: Vec<KeylessSigner>,
    notation_policy: Option<String>,
}

impl Allowed {
    fn of<'a>(
        keys: impl IntoIterator<Item = &'a PathBuf>,
        identities: impl IntoIterator<Item = &'a Identity>,
        outside: &dyn Outside,
    ) -> Result<Self, String> {
        let keys = keys.into_iter().map(|file| outside.key(file)).collect::<Result<_, _>>()?;
        let identities = identities.into_iter().map(keyless).collect();
        Ok(Self { keys, identities, notation_policy: None })
    }

    /// All whom a scope names.
    pub(crate) fn in_scope(scope: &Scope, outside: &dyn Outside) -> Result<Self, String> {
        let notation_policy = notation_policy(scope, outside)?;
        Ok(Self { notation_policy, ..Self::of(scope.key_files(), scope.keyless(), outside)? })
    }

    /// All whom a scope names but verifiers, who sign nothing but verdicts.
    fn but_verifiers(scope: &Scope, outside: &dyn Outside) -> Result<Self, String> {
        let notation_policy = notation_policy(scope, outside)?;
        let of = Self::of(scope.keys_but_verifiers(), scope.keyless_but_verifiers(), outside)?;
        Ok(Self { notation_policy, ..of })
    }

    /// Whether a demand names this signer.
    pub(crate) fn names(&self, fact: &SignerFact, looked: Option<&LookedFor>) -> bool {
        match signer(fact) {
            None => false,
            Some(Signer::Key { id, .. }) => self.keys.contains(&id),
            Some(Signer::Identity(identity)) => self.identities.contains(&identity),
            Some(Signer::Certificate { .. }) => {
                let policy = looked.and_then(|looked| looked.notation_policy.as_ref());
                self.notation_policy.is_some() && self.notation_policy.as_ref() == policy
            }
        }
    }

    /// The signers of a piece that a demand names.
    fn among(&self, signers: &[SignerFact], facts: &Facts) -> Vec<Signer> {
        let named = signers.iter().filter(|fact| self.names(fact, facts.looked_for.as_ref()));
        named.filter_map(signer).collect()
    }

    /// Those whose signatures would not have been seen.
    fn overlooked(&self, facts: &Facts) -> Vec<String> {
        let Some(looked) = &facts.looked_for else { return vec!["any signature".to_owned()] };
        let key = |id: &&Digest| !looked.keys.iter().any(|seen| seen.id == id.to_string());
        let keys = self.keys.iter().filter(key).map(|id| format!("key {id}"));
        let identity = |one: &&KeylessSigner| {
            !looked.identities.iter().any(|seen| seen.identity == one.subject && seen.issuer == one.issuer)
        };
        let identities = self.identities.iter().filter(identity).map(ToString::to_string);
        let policy = self.notation_policy.iter().filter(|one| looked.notation_policy.as_ref() != Some(*one));
        keys.chain(identities).chain(policy.map(|_| "this trust policy of notation".to_owned())).collect()
    }

    /// Too little was seen: it is not met, unless more could have been there.
    fn short(&self, facts: &Facts, what: String) -> Short {
        let overlooked = self.overlooked(facts);
        if !overlooked.is_empty() {
            return Short::unknown(format!("{what}; not looked for: {}", overlooked.join(", ")));
        }
        match facts.unreached.first() {
            Some(first) => Short::unknown(format!("{what}; not reached: {first}")),
            None => Short::of(what),
        }
    }
}

fn notation_policy(scope: &Scope, outside: &dyn Outside) -> Result<Option<String>, String> {
    let policy = scope.signers.as_ref().and_then(|signers| signers.notation_policy.as_deref());
    policy.map(|file| outside.notation_policy(file)).transpose()
}

fn keyless(Identity { identity, issuer }: &Identity) -> KeylessSigner {
    KeylessSigner { subject: identity.clone(), issuer: issuer.clone() }
}

/// A signer as they are counted. One without what makes it the same is none.
pub(crate) fn signer(fact: &SignerFact) -> Option<Signer> {
    let id = || fact.id.as_deref()?.parse::<Digest>().ok();
    let name = || fact.name.clone();
    Some(match fact.kind {
        SignerKind::Key => Signer::Key { name: name(), id: id()? },
        SignerKind::Certificate => Signer::Certificate { subject: name(), id: id()? },
        SignerKind::Identity => {
            Signer::Identity(KeylessSigner { subject: name(), issuer: fact.issuer.clone()? })
        }
    })
}

/// The manifests that each must have what is demanded: the parts that were looked at, or the image.
fn parts(facts: &Facts) -> Vec<&str> {
    match facts.parts.as_slice() {
        [] => facts.digest.as_deref().into_iter().collect(),
        parts => parts.iter().map(String::as_str).collect(),
    }
}

/// The pieces about a part: it itself, or what lists it.
fn about<'f>(facts: &'f Facts, part: &'f str) -> impl Iterator<Item = &'f Evidence> {
    facts.evidence.iter().filter(move |one| one.about == part || facts.digest.as_ref() == Some(&one.about))
}

/// That a demand is met by the pieces about each part; with the words of the first.
fn each_part(
    facts: &Facts,
    met: impl Fn(&mut dyn Iterator<Item = &Evidence>) -> Result<String, Short>,
) -> Result<String, Short> {
    let mut words = None;
    for part in parts(facts) {
        let said = met(&mut about(facts, part))?;
        words.get_or_insert(said);
    }
    words.ok_or_else(|| Short::unknown("no digest was recorded"))
}

fn signers(demand: &Signers, facts: &Facts, outside: &dyn Outside) -> Result<String, Short> {
    let mut allowed = Allowed::of(&demand.keys, &demand.identities, outside).map_err(Short::unknown)?;
    let policy = demand.notation_policy.as_deref().map(|file| outside.notation_policy(file));
    allowed.notation_policy = policy.transpose().map_err(Short::unknown)?;
    let wanted = demand.predicate.as_deref().unwrap_or(COSIGN_SIGN);
    let count = Demand { wanted: Wanted::of(wanted), signers: demand.at_least };
    each_part(facts, |pieces| {
        let counted = pieces.filter(|one| one.readable && one.predicate == wanted);
        let counted = counted.filter(|one| one.fresh || !demand.fresh);
        let signers: Vec<_> = counted.flat_map(|one| allowed.among(&one.signers, facts)).collect();
        let whose = if demand.fresh { ", named by the publisher's metadata" } else { "" };
        let short = |few| allowed.short(facts, format!("{few}{whose}"));
        let enough = count.count(&signers).map_err(short)?;
        Ok(format!("{} signed by {}", count.wanted, names(&enough)))
    })
}

fn names(signers: &[Signer]) -> String {
    signers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn attested(demand: &Attested, facts: &Facts, outside: &dyn Outside) -> Result<String, Short> {
    let allowed = Allowed::of(&demand.keys, &demand.identities, outside).map_err(Short::unknown)?;
    let named = !demand.keys.is_empty() || !demand.identities.is_empty();
    let count = Demand { wanted: Wanted::of(&demand.predicate), signers: demand.at_least };
    each_part(facts, |pieces| {
        let mut why = Vec::new();
        let mut signers = Vec::new();
        for one in pieces.filter(|one| is_kind(&demand.predicate, &one.predicate)) {
            match good(one, demand, facts) {
                Ok(()) if !named => return Ok(format!("{} is named by the metadata", one.predicate)),
                Ok(()) => signers.extend(allowed.among(&one.signers, facts)),
                Err(what) => why.push(what),
            }
        }
        if named && let Ok(enough) = count.count(&signers) {
            return Ok(format!("{} signed by {}", demand.predicate, names(&enough)));
        }
        let few = match named {
            true => count.count(&signers).err().map(|few| few.to_string()).unwrap_or_default(),
            false => format!("expected {} named by the publisher's metadata, got none", demand.predicate),
        };
        why.dedup();
        why.truncate(3);
        let what = std::iter::once(few).chain(why).collect::<Vec<_>>().join("; ");
        Err(allowed.short(facts, what))
    })
}

/// Whether a piece of the kind that is demanded can be counted at all.
fn good(piece: &Evidence, demand: &Attested, facts: &Facts) -> Result<(), String> {
    if !piece.readable {
        return Err(format!("{} that can't be counted", piece.predicate));
    }
    if demand.fresh && !piece.fresh {
        return Err(format!("{} that the publisher's metadata doesn't name", piece.predicate));
    }
    let Some(most) = demand.max_age else { return Ok(()) };
    let age = age(piece, facts).ok_or_else(|| format!("{} that says no time", piece.predicate))?;
    let hours = |seconds: i64| seconds.checked_div(3600).unwrap_or_default();
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    if age > most || age < YOUNGEST {
        return Err(format!("expected it at most {} hours old, got {}", hours(most), hours(age)));
    }
    Ok(())
}

/// How many seconds passed since it was said; none where no time is known.
fn age(piece: &Evidence, facts: &Facts) -> Option<i64> {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let (said, now): (DateTime<Utc>, DateTime<Utc>) = (time(piece.time.as_deref()?)?, time(&facts.at)?);
    Some(now.signed_duration_since(said).num_seconds())
}

/// The pairs of signer and builder, as `image-evidence` weighs them.
fn pairs(demand: &Build, outside: &dyn Outside) -> Result<(Vec<Builder>, Allowed), Short> {
    let (mut pairs, mut allowed) = (Vec::new(), Allowed::default());
    for rule in &demand.builders {
        let signer = match &rule.signer {
            SignerRule::Key(file) => {
                let id = outside.key(file).map_err(Short::unknown)?;
                allowed.keys.push(id);
                BuilderSigner::Key(id)
            }
            SignerRule::Identity(identity) => {
                allowed.identities.push(keyless(identity));
                BuilderSigner::Identity(keyless(identity))
            }
        };
        pairs.push(Builder { signer, id: rule.id.clone(), level: rule.level });
    }
    Ok((pairs, allowed))
}

fn build(demand: &Build, facts: &Facts, outside: &dyn Outside) -> Result<String, Short> {
    let (pairs, allowed) = pairs(demand, outside)?;
    each_part(facts, |pieces| {
        let mut why = Vec::new();
        for piece in pieces {
            match built(piece, demand, &pairs, &allowed, facts) {
                Some(Ok(words)) => return Ok(words),
                Some(Err(what)) => why.push(what),
                None => {}
            }
        }
        let first = "expected provenance of a build by one of the builders, got none".to_owned();
        let what = if why.is_empty() { first } else { why.join("; ") };
        Err(allowed.short(facts, what))
    })
}

/// Whether a piece tells a build that is allowed; none where it tells no build.
fn built(
    piece: &Evidence,
    demand: &Build,
    pairs: &[Builder],
    allowed: &Allowed,
    facts: &Facts,
) -> Option<Result<String, String>> {
    let fact = piece.build.as_ref().filter(|_| piece.readable)?;
    let signers = allowed.among(&piece.signers, facts);
    let provenance = Provenance { builder: fact.builder.clone(), ..Provenance::default() };
    let Some(level) = provenance.level(&signers, pairs) else {
        let who: Vec<_> = piece.signers.iter().map(|one| one.name.as_str()).collect();
        let who = if who.is_empty() { "nobody".to_owned() } else { who.join(", ") };
        return Some(Err(format!(
            "expected a build by one of the pairs of signer and builder, got one by {:?} signed by {who}",
            fact.builder
        )));
    };
    if level < demand.min_level {
        return Some(Err(format!("expected SLSA build level {}, got {level}", demand.min_level)));
    }
    let source = fact.source.as_deref().map(source_name);
    if !demand.sources.is_empty()
        && !source.is_some_and(|source| demand.sources.iter().any(|one| covers(one, source)))
    {
        let got = source.map_or_else(|| "none".to_owned(), ToOwned::to_owned);
        return Some(Err(format!("expected a source of {}, got {got}", demand.sources.join(" or "))));
    }
    if demand.deny_unexpected_parameters && !fact.unexpected_parameters.is_empty() {
        let got = fact.unexpected_parameters.join(", ");
        return Some(Err(format!(
            "expected no parameters that this kind of build isn't known to take, got {got}"
        )));
    }
    let from = source.map(|source| format!(" from {source}")).unwrap_or_default();
    Some(Ok(format!("built by {}, SLSA build level {level}{from}", fact.builder)))
}

fn scan(rules: &Scan, facts: &Facts, outside: &dyn Outside) -> Result<String, Short> {
    let scans = facts.scans.as_deref().filter(|scans| !scans.is_empty());
    let scans = scans.ok_or_else(|| Short::unknown("a scan is demanded, and none was recorded"))?;
    let mut more = 0_usize;
    for found in scans {
        if found.database_made_at.is_none() {
            return Err(Short::unknown(
                "a scan is demanded, and nothing was looked up: there was no database",
            ));
        }
        if let Some(broken) = outside.broken_rules(rules, found, &facts.at).map_err(Short::unknown)? {
            return Err(Short::of(format!("a rule of the scan is broken: {broken}")));
        }
        more = more.saturating_add(found.more_findings);
    }
    match more {
        0 => Ok("no rule of the scan is broken".to_owned()),
        more => Err(Short::unknown(format!("{more} findings were not recorded"))),
    }
}

fn condition(scope: &Scope, facts: &Facts, outside: &dyn Outside) -> Result<String, Short> {
    let Some(condition) = &scope.condition else { return Ok("nothing is demanded".to_owned()) };
    if condition.looks_at_evidence() {
        let allowed = Allowed::in_scope(scope, outside).map_err(Short::unknown)?;
        let overlooked = allowed.overlooked(facts);
        if !overlooked.is_empty() {
            return Err(Short::unknown(format!("its condition: not looked for: {}", overlooked.join(", "))));
        }
        if let Some(first) = facts.unreached.first() {
            return Err(Short::unknown(format!("its condition: not reached: {first}")));
        }
    }
    let scanned = facts.scans.as_deref().is_some_and(|scans| {
        let known = |one: &ScanFacts| one.database_made_at.is_some() && one.more_findings == 0;
        !scans.is_empty() && scans.iter().all(known)
    });
    if condition.looks_at_scan() && !scanned {
        return Err(Short::unknown("its condition looks at a scan, and none was recorded, or not all of it"));
    }
    let vex_keys = vex_keys(scope, facts, condition.looks_at_scan(), outside)?;
    let pairs = scope.build.as_ref().map(|build| pairs(build, outside)).transpose()?;
    let known = variables::Known {
        allowed: Allowed::but_verifiers(scope, outside).map_err(Short::unknown)?,
        pairs: pairs.map(|(pairs, _)| pairs).unwrap_or_default(),
        vex_keys,
    };
    for part in parts(facts) {
        let variables = variables::of(scope, facts, part, &known).map_err(Short::unknown)?;
        match condition.holds(&variables) {
            Ok(true) => {}
            Ok(false) => return Err(Short::of(format!("its condition doesn't hold: {condition}"))),
            Err(why) => return Err(Short::unknown(format!("its condition can't be evaluated: {why}"))),
        }
    }
    match parts(facts).is_empty() {
        true => Err(Short::unknown("no digest was recorded")),
        false => Ok("its condition holds".to_owned()),
    }
}

/// The ids of the keys whose word on findings counts, which must have been asked.
fn vex_keys(
    scope: &Scope,
    facts: &Facts,
    looks_at_scan: bool,
    outside: &dyn Outside,
) -> Result<BTreeSet<String>, Short> {
    let keys = scope.scan.iter().flat_map(|scan| &scan.vex_keys);
    let ids = keys.map(|file| outside.key(file).map(|id| id.to_string()));
    let ids: BTreeSet<String> = ids.collect::<Result<_, _>>().map_err(Short::unknown)?;
    let asked = |id: &String| facts.scans.iter().flatten().all(|scan| scan.vex_keys.contains(id));
    match ids.iter().find(|id| looks_at_scan && !asked(id)) {
        Some(id) => {
            Err(Short::unknown(format!("its condition: not looked for: what key {id} says of findings")))
        }
        None => Ok(ids),
    }
}

//! Rules from what was seen: a first draft for a person to read, which admits what it was learnt from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;

use image_evidence::{COSIGN_SIGN, Demand, Wanted};
use oci_image::Reference;

use crate::facts::{Entry, Evidence, Facts, SignerFact, SignerKind, Word};
use crate::pattern::canonical;
use crate::policy::{Identity, Mirror, RootOfTrust, Scope, Signers, Trust};
use crate::render::{mirror, render};
use crate::weigh::signer;

/// What was learnt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Learnt {
    /// A file of rules.
    pub policy: String,
    /// How many scopes it has.
    pub scopes: usize,
    /// How many images it was learnt from.
    pub images: usize,
    /// Images from which nothing was learnt, and why.
    pub left_out: Vec<(String, String)>,
}

/// What all images of a repository have in common.
struct Repository {
    repo: String,
    root: String,
    root_version: u64,
    roles: BTreeSet<String>,
    /// Those who signed every image.
    signers: BTreeMap<SignerFact, Named>,
    predicates: BTreeSet<String>,
    seen: BTreeSet<String>,
    last: String,
}

/// How rules name a signer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Named {
    Key(PathBuf),
    /// And sigstore's trusted root.
    Identity(Identity, PathBuf),
}

/// Learns rules from what was seen: for each repository who spoke for its images, and who signed all of them.
#[must_use]
pub fn learn(entries: &[Entry]) -> Learnt {
    let mut repositories: BTreeMap<String, Repository> = BTreeMap::new();
    let (mut left_out, mut mirrors, mut images) = (Vec::new(), BTreeSet::new(), 0_usize);
    for entry in entries {
        let mut leave = |why: String| left_out.push((entry.image().to_owned(), why));
        let Some(facts) = entry.facts() else {
            leave("only its name is known".to_owned());
            continue;
        };
        let (Some(one), Ok(name)) = (Repository::of(facts), facts.name.parse::<Reference>()) else {
            leave(why_not(facts));
            continue;
        };
        match repositories.entry(canonical(name.name())) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(one);
            }
            std::collections::btree_map::Entry::Occupied(mut known) => {
                if let Err(why) = known.get_mut().also(one) {
                    leave(why);
                    continue;
                }
            }
        }
        images = images.saturating_add(1);
        mirrors.extend(mirror_of(facts));
    }
    let groups = grouped(repositories);
    let policy = written(&groups, &mirrors, images, &left_out);
    Learnt { policy, scopes: groups.len(), images, left_out }
}

fn why_not(facts: &Facts) -> String {
    let why = facts.detail.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    match facts.verdict {
        Word::Trusted => "what was seen of it is not whole".to_owned(),
        Word::Refused => format!("it was refused{why}"),
        Word::Unknown => format!("it could not be told{why}"),
    }
}

impl Repository {
    fn of(facts: &Facts) -> Option<Self> {
        if facts.verdict != Word::Trusted {
            return None;
        }
        let others = facts.evidence.iter().filter(|one| one.predicate != COSIGN_SIGN && one.readable);
        Some(Self {
            repo: facts.repo.clone()?,
            root: facts.root_sha256.clone()?,
            root_version: facts.root_version?,
            roles: facts.role.iter().chain(&facts.delegation_path).cloned().collect(),
            signers: approvers(facts),
            predicates: others.map(|one| one.predicate.clone()).collect(),
            seen: [facts.name.clone()].into(),
            last: facts.at.clone(),
        })
    }

    /// One image more. The repository has one root: that of the first image.
    fn also(&mut self, other: Self) -> Result<(), String> {
        if (&self.root, &self.repo) != (&other.root, &other.repo) {
            return Err(format!(
                "its repository was seen with another root before: expected sha256 {} at {}, got {} at {}",
                self.root, self.repo, other.root, other.repo
            ));
        }
        self.roles.extend(other.roles);
        self.signers.retain(|signer, _| other.signers.contains_key(signer));
        self.predicates.retain(|kind| other.predicates.contains(kind));
        self.seen.extend(other.seen);
        self.last = std::mem::take(&mut self.last).max(other.last);
        Ok(())
    }

    /// What is the same for repositories of one scope.
    fn demands(&self) -> (String, String, BTreeSet<String>, Vec<Named>) {
        let signers = self.signers.values().cloned().collect();
        (self.root.clone(), self.repo.clone(), self.roles.clone(), signers)
    }

    fn scope(&self, name: String, patterns: Vec<String>) -> Scope {
        // Only a first root can be told by its fingerprint; a later one by its file, or by a pin.
        let trust = (self.root_version == 1)
            .then(|| Trust { repo: self.repo.clone(), root: RootOfTrust::Sha256(self.root.clone()) });
        let signers: Vec<&Named> = self.signers.values().collect();
        let mut signers = signed_by(&signers);
        if let Some(demand) = &mut signers {
            demand.at_least = self.distinct_signers();
        }
        Scope {
            name,
            patterns,
            trust,
            roles: self.roles.iter().cloned().collect(),
            signers,
            ..Scope::default()
        }
    }

    /// One key in two files is one signer.
    fn distinct_signers(&self) -> NonZeroU32 {
        let signers: Vec<_> = self.signers.keys().filter_map(signer).collect();
        let one = Demand { wanted: Wanted::Approval, signers: NonZeroU32::MIN };
        let counted = one.count(&signers).map(|counted| counted.len()).unwrap_or(1);
        u32::try_from(counted).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }
}

/// Who signed the image itself, every part of it that was looked at, and how rules name them.
fn approvers(facts: &Facts) -> BTreeMap<SignerFact, Named> {
    let approvals = || facts.evidence.iter().filter(|one| one.predicate == COSIGN_SIGN && one.readable);
    let signed = |by: &SignerFact, about: &str| {
        let is = |one: &Evidence| one.about == about || facts.digest.as_ref() == Some(&one.about);
        approvals().any(|one| is(one) && one.signers.contains(by))
    };
    let all: BTreeSet<&SignerFact> = approvals().flat_map(|one| &one.signers).collect();
    let every = |by: &&SignerFact| facts.parts.iter().all(|part| signed(by, part));
    let signers = all.into_iter().filter(every);
    signers.filter_map(|signer| Some((signer.clone(), named(signer, facts)?))).collect()
}

fn named(fact: &SignerFact, facts: &Facts) -> Option<Named> {
    let looked = facts.looked_for.as_ref()?;
    match fact.kind {
        SignerKind::Key => {
            let key = looked.keys.iter().find(|key| Some(&key.id) == fact.id.as_ref())?;
            Some(Named::Key(PathBuf::from(&key.file)))
        }
        SignerKind::Identity => {
            let identity = Identity { identity: fact.name.clone(), issuer: fact.issuer.clone()? };
            Some(Named::Identity(identity, PathBuf::from(looked.trusted_root.as_ref()?)))
        }
        // Rules name trust policies of notation, and not those whom these take.
        SignerKind::Certificate => None,
    }
}

/// A demand that all of these signed; none where there are none, or where one root can't tell all of them.
fn signed_by(signers: &[&Named]) -> Option<Signers> {
    let (mut keys, mut identities, mut roots) = (Vec::new(), Vec::new(), BTreeSet::new());
    for one in signers {
        match one {
            Named::Key(file) => keys.push(file.clone()),
            Named::Identity(identity, root) => {
                roots.insert(root.clone());
                identities.push(identity.clone());
            }
        }
    }
    let at_least = NonZeroU32::new(u32::try_from(signers.len()).ok()?)?;
    let trusted_root = roots.pop_first();
    (roots.is_empty()).then_some(Signers {
        at_least,
        predicate: None,
        keys,
        identities,
        trusted_root,
        notation_policy: None,
        fresh: false,
    })
}

/// The scope of one image alone, with all that was seen of it; none where nothing speaks for it.
pub(crate) fn of_one(facts: &Facts, name: &Reference) -> Option<Scope> {
    let seen = Repository::of(&Facts { verdict: Word::Trusted, ..facts.clone() })?;
    let pattern = canonical(name.name());
    Some(seen.scope(pattern.clone(), vec![pattern]))
}

type Group = (Vec<String>, Repository);

/// Repositories of which the same is demanded are one scope.
fn grouped(repositories: BTreeMap<String, Repository>) -> Vec<Group> {
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    for (name, one) in repositories {
        match groups.entry(one.demands()) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert((vec![name], one));
            }
            std::collections::btree_map::Entry::Occupied(mut known) => {
                let (names, all) = known.get_mut();
                names.push(name);
                all.predicates.retain(|kind| one.predicates.contains(kind));
                all.seen.extend(one.seen);
                all.last = std::mem::take(&mut all.last).max(one.last);
            }
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by(|(one, _), (other, _)| one.cmp(other));
    groups
}

fn written(
    groups: &[Group],
    mirrors: &BTreeSet<(String, String)>,
    images: usize,
    left_out: &[(String, String)],
) -> String {
    let mut text = format!(
        "# Learnt from {images} images. Whoever spoke for them when they were looked at is believed from here on:\n\
         # compare each root with its owner, and read each scope, before you rely on it.\n\nversion = 1\n"
    );
    let mut names = BTreeSet::new();
    for (repositories, one) in groups {
        let base = common(repositories);
        let numbered = (2_usize..).map(|number| format!("{base} ({number})"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !names.contains(name));
        let name = name.unwrap_or_default();
        names.insert(name.clone());
        let _ = write!(text, "\n# {} images, the last at {}: ", one.seen.len(), remark(&one.last));
        let shown: Vec<_> = one.seen.iter().take(SHOWN).map(|name| remark(name)).collect();
        let more = if one.seen.len() > SHOWN { ", …" } else { "" };
        let _ = writeln!(text, "{}{more}", shown.join(", "));
        for kind in &one.predicates {
            let _ = writeln!(text, "# All have a {}: [[scope.evidence]] can demand it.", remark(kind));
        }
        if one.root_version != 1 {
            let _ = writeln!(
                text,
                "# Its root is version {} (sha256 {}) of {}: pinned on the machine, or name its file:\n\
                 # trust = {{ repo = …, root = \"FILE\" }}",
                one.root_version,
                remark(&one.root),
                remark(&one.repo)
            );
        }
        text.push_str(&render(&one.scope(name, repositories.clone())));
    }
    for (from, to) in mirrors {
        let _ = write!(text, "\n{}", mirror(&Mirror { from: from.clone(), to: to.clone() }));
    }
    if !left_out.is_empty() {
        text.push_str("\n# Not learnt:\n");
    }
    for (image, why) in left_out {
        let _ = writeln!(text, "# {}: {}", remark(image), remark(why));
    }
    text
}

/// How many images a remark names.
const SHOWN: usize = 5;

/// What came from outside, on one line of a remark.
fn remark(text: &str) -> String {
    const MOST: usize = 300;
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(MOST).collect()
}

/// What names have in common, up to a `/`.
fn common(names: &[String]) -> String {
    let Some((first, rest)) = names.split_first() else { return "none".to_owned() };
    let mut parts: Vec<&str> = first.split('/').collect();
    for name in rest {
        let same = parts.iter().zip(name.split('/')).take_while(|(one, other)| *one == other).count();
        parts.truncate(same);
    }
    match parts.is_empty() {
        true => "several registries".to_owned(),
        false => parts.join("/"),
    }
}

/// The mirror by which the name that was asked for stands for the one that was meant.
fn mirror_of(facts: &Facts) -> Option<(String, String)> {
    let (asked, meant): (Reference, Reference) = (facts.image.parse().ok()?, facts.name.parse().ok()?);
    let (mut from, mut to) = (canonical(asked.name()), canonical(meant.name()));
    if from == to {
        return None;
    }
    // What both end with is the rest; a mirror has a host at least.
    while let (Some((left, last)), Some((right, other))) = (from.rsplit_once('/'), to.rsplit_once('/')) {
        if last != other {
            break;
        }
        (from, to) = (left.to_owned(), right.to_owned());
    }
    Some((from, to))
}

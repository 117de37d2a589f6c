//! From a file of rules to what one verification needs: who is trusted, who must have signed, what a scan may find.

mod beside;
mod named_files;

use std::path::{Path, PathBuf};

use image_evidence::{Builder, BuilderSigner, Identity};
use image_policy::{
    self as policy, BuilderRule, Choice, Denial, Facts, Member, POLICY_MAX, Policy, RootOfTrust, Scan, Scope,
    SignerRule, Signers,
};
use image_scan::{Ignore, Rules, Severity};
use oci_image::Reference;
use verifier_lib::{Broken, Link, Proof, Stage, Status, Verdict, VerifiedImage};

use crate::access::trusted_name;
use crate::args::{ChainArgs, RootArgs};
use crate::evidence_args::{DemandArgs, SignerArgs};
use crate::failure::Failure;
use crate::files;
use crate::record::Sighting;
use crate::style::{in_a_line, shown};
use crate::verifier_args::VerifierArgs;
use crate::verifiers::Demanded;

pub(crate) use beside::{Beside, key_id};

/// What the rules make of one verification.
pub(crate) struct Applied {
    /// The same call, with the name that is meant and those who are trusted for it.
    pub(crate) chain: ChainArgs,
    pub(crate) demand: DemandArgs,
    /// The advisories and what a scan may find, where a scan is demanded.
    pub(crate) scan: Option<(Option<PathBuf>, Rules)>,
    /// Whose word counts on what touches the image and what doesn't.
    pub(crate) vex_keys: Vec<PathBuf>,
    /// All whose signatures are looked at, for whatever demand.
    pub(crate) signers: SignerArgs,
    scope: Scope,
    rules: Rulebook,
    link: Link,
}

/// What is demanded, if anything; or the name that is denied, and the verdict.
pub(crate) type Applying = Result<Option<Applied>, (Reference, Verdict)>;

/// Rules that were read, and where.
#[derive(Debug)]
pub(crate) struct Rulebook {
    pub(crate) policy: Policy,
    path: PathBuf,
}

impl Rulebook {
    /// Rules that were read from there.
    pub(crate) fn of(policy: Policy, path: &Path) -> Self {
        Self { policy, path: path.to_owned() }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let policy = Policy::parse(&files::text(path, POLICY_MAX)?).map_err(|problems| {
            files::unusable(path, &problems)
                .hint("`verify policy check FILE` shows each with its line and column")
        })?;
        Ok(Self::of(policy, path))
    }

    /// The name that is meant: behind a mirror, that of what it mirrors.
    pub(crate) fn meant(&self, name: &Reference) -> Result<Reference, Failure> {
        let meant = self.policy.stands_for(name).map_err(|why| {
            Failure::usage(format!(
                "the name behind mirror {name} can't be used: {}",
                shown(&why.to_string())
            ))
        })?;
        Ok(meant.unwrap_or_else(|| name.clone()))
    }

    /// A file that the rules name: beside them, where it isn't named in full.
    pub(crate) fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// Which rule decides, for people.
    pub(crate) fn rule(&self, scope: Option<&Scope>) -> String {
        match scope {
            Some(scope) => format!("{}:{}, scope {}", self.path.display(), scope.line, scope.name),
            None => format!("{}, where no scope fits", self.path.display()),
        }
    }
}

/// Why a name is denied, for people.
pub(crate) fn reason(why: Denial<'_>, name: &Reference) -> String {
    match why {
        Denial::NoScope => format!("no scope fits {}", name.name()),
        Denial::Said(reason) => reason.to_owned(),
        Denial::Tag => format!("the tag of {name} may not be used"),
    }
}

/// What the rules demand of an image, where there are any; or the verdict, where they deny it.
pub(crate) fn apply(
    path: Option<&Path>,
    chain: &ChainArgs,
    seen: Option<&mut Sighting>,
) -> Result<Applying, Failure> {
    let Some(path) = path else { return Ok(Ok(None)) };
    let rules = Rulebook::read(path)?;
    let name = rules.meant(&trusted_name(chain)?)?;
    let (scope, denial) = match rules.policy.choose(&name) {
        Choice::Admits(scope) => (Some(scope), None),
        Choice::Denies { scope, why } => (scope, Some(reason(why, &name))),
    };
    if let Some(seen) = seen {
        seen.meant(&name, scope.map(|scope| scope.name.as_str()));
    }
    let scope = match (scope, denial) {
        (Some(scope), None) => scope.clone(),
        (scope, denial) => {
            let verdict = denied(&rules, scope, &name, &denial.unwrap_or_default());
            return Ok(Err((name, verdict)));
        }
    };
    let detail = format!("as {} demands", rules.rule(Some(&scope)));
    let link = Link::new(Stage::Policy, Status::Passed, name.to_string(), detail);
    let root = scope.trust.as_ref().map(|trust| root(&rules, trust)).transpose()?.unwrap_or_default();
    Ok(Ok(Some(Applied {
        chain: ChainArgs { known_as: Some(name), root, ..chain.clone() },
        demand: scope.signers.as_ref().map(|signers| demand(&rules, signers)).unwrap_or_default(),
        scan: scope.scan.as_ref().map(|scan| (scan.db.as_deref().map(|db| rules.beside(db)), limits(scan))),
        vex_keys: scope.scan.iter().flat_map(|scan| &scan.vex_keys).map(|key| rules.beside(key)).collect(),
        signers: all_signers(&rules, &scope),
        scope,
        rules,
        link,
    })))
}

/// The same for what prints no verdict of its own: a name that is denied ends it.
pub(crate) fn applied(path: Option<&Path>, chain: &ChainArgs) -> Result<Option<Applied>, Failure> {
    apply(path, chain, None)?.map_err(|(name, verdict)| {
        let why = verdict.proof().links.last().map(|link| shown(&link.detail)).unwrap_or_default();
        Failure::refused(format!("refused {name}\n  {why}"))
            .hint("`verify policy explain` shows which rule decides, and what it demands")
    })
}

fn denied(rules: &Rulebook, scope: Option<&Scope>, name: &Reference, why: &str) -> Verdict {
    let detail = format!("denied by {}: {why}", rules.rule(scope));
    let link = Link::new(Stage::Policy, Status::Broken, name.to_string(), detail);
    Verdict::Refused(Box::new(Broken::new(link, Proof::default())))
}

impl Applied {
    /// What the rules say of an image whose chain held.
    pub(crate) fn weigh(&self, image: Box<VerifiedImage>) -> Verdict {
        let role = match self.scope.expect_role(image.role(), image.delegation_path()) {
            Ok(()) => return image.then(self.link.clone()),
            Err(role) => role.to_owned(),
        };
        let expected = self.scope.roles.join(" or ");
        let detail =
            format!("a role may not speak for it, {}: expected {expected}, got {role}", self.link.detail);
        let link = Link { status: Status::Broken, detail, ..self.link.clone() };
        image.then(link.with_values(expected, role))
    }

    /// Whether signatures and attestations must be looked for, besides those of the signers that are demanded.
    pub(crate) fn looks_at_evidence(&self) -> bool {
        self.scope.looks_at_evidence()
    }

    /// How the image was built, and what else must be said of it.
    pub(crate) fn weigh_evidence(&self, image: Box<VerifiedImage>, facts: &Facts) -> Verdict {
        let members = self.scope.members().filter(|one| matches!(one, Member::Build | Member::Evidence(_)));
        let mut verdict = Verdict::Trusted(image);
        for member in members {
            verdict = match verdict {
                Verdict::Trusted(image) => self.weigh_member(image, member, facts),
                other => return other,
            };
        }
        verdict
    }

    /// The last condition, after all else.
    pub(crate) fn weigh_condition(&self, verdict: Verdict, facts: &Facts) -> Verdict {
        match verdict {
            Verdict::Trusted(image) if self.scope.condition.is_some() => {
                self.weigh_member(image, Member::Condition, facts)
            }
            other => other,
        }
    }

    fn weigh_member(&self, image: Box<VerifiedImage>, member: Member, facts: &Facts) -> Verdict {
        let (stage, subject) = match member {
            Member::Condition => (Stage::Policy, self.link.subject.clone()),
            _ => (Stage::Evidence, image.digest().to_string()),
        };
        let outside = Beside::of(&self.rules);
        let weighed = |facts: &Facts| image_policy::weigh(member, &self.scope, facts, &outside);
        let (status, detail, fresh) = match weighed(facts) {
            Ok(how) if stage == Stage::Evidence => {
                let fresh = weighed(&only_fresh(facts)).is_ok();
                let worth = if fresh { "fresh" } else { "only signed" };
                (Status::Passed, format!("{how}; {worth}"), Some(fresh))
            }
            Ok(how) => (Status::Passed, how, None),
            Err(failing) => {
                let status = if failing.unknown { Status::Unknown } else { Status::Broken };
                (status, format!("{}, {}", failing.what, self.link.detail), None)
            }
        };
        image.then(Link { fresh, ..Link::new(stage, status, subject, in_a_line(&detail)) })
    }

    /// The verdicts of others that the rules demand.
    pub(crate) fn verdicts(&self) -> Result<Vec<Demanded>, Failure> {
        let demanded = image_policy::demanded_verdicts(&self.scope, &Beside::of(&self.rules));
        let demanded = demanded.map_err(Failure::usage)?;
        Ok(demanded.into_iter().map(|(demand, fresh)| Demanded { demand, fresh }).collect())
    }

    /// The pairs of builder and signer that the rules believe.
    pub(crate) fn builders(&self) -> Result<Vec<Builder>, Failure> {
        let rules = self.scope.build.iter().flat_map(|build| &build.builders);
        let pair = |rule: &BuilderRule| {
            let signer = match &rule.signer {
                SignerRule::Key(file) => {
                    BuilderSigner::Key(key_id(&self.rules.beside(file)).map_err(Failure::usage)?)
                }
                SignerRule::Identity(policy::Identity { identity, issuer }) => {
                    BuilderSigner::Identity(Identity { subject: identity.clone(), issuer: issuer.clone() })
                }
            };
            Ok(Builder { signer, id: rule.id.clone(), level: rule.level })
        };
        rules.map(pair).collect()
    }
}

/// What of it the publisher's metadata names today.
fn only_fresh(facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    facts.evidence.retain(|piece| piece.fresh);
    facts
}

/// All whose signatures a scope looks at: signatures are looked for once, and each demand counts its own.
fn all_signers(rules: &Rulebook, scope: &Scope) -> SignerArgs {
    let identities = scope.keyless();
    let notation = scope.signers.as_ref().and_then(|signers| signers.notation_policy.as_ref());
    SignerArgs {
        keys: scope.key_files().into_iter().map(|file| rules.beside(file)).collect(),
        trusted_root: scope.trusted_root().map(|file| rules.beside(file)),
        identities: identities.iter().map(|one| one.identity.clone()).collect(),
        issuers: identities.iter().map(|one| one.issuer.clone()).collect(),
        notation_policy: notation.map(|file| rules.beside(file)),
    }
}

fn root(rules: &Rulebook, trust: &image_policy::Trust) -> Result<RootArgs, Failure> {
    let repo = trust.repo.parse().map_err(|why| {
        Failure::usage(format!(
            "{}: the repository {:?} can't be used: {why}",
            rules.path.display(),
            trust.repo
        ))
    })?;
    // A folder is beside the rules too.
    let repo = match repo {
        tuf_client::RepoLocation::Dir(dir) => tuf_client::RepoLocation::Dir(rules.beside(&dir)),
        other => other,
    };
    let (root, root_sha256) = match &trust.root {
        RootOfTrust::File(file) => (Some(rules.beside(file)), None),
        RootOfTrust::Sha256(hex) => (None, Some(hex.clone())),
    };
    Ok(RootArgs { repo: Some(repo), root, root_sha256, trust_on_first_use: false })
}

fn demand(rules: &Rulebook, signers: &Signers) -> DemandArgs {
    let beside = |path: &PathBuf| rules.beside(path);
    DemandArgs {
        require_signers: Some(signers.at_least),
        predicate: signers.predicate.clone(),
        fresh: signers.fresh,
        verifiers: VerifierArgs::default(),
        signers: SignerArgs {
            keys: signers.keys.iter().map(beside).collect(),
            trusted_root: signers.trusted_root.as_ref().map(beside),
            identities: signers.identities.iter().map(|one| one.identity.clone()).collect(),
            issuers: signers.identities.iter().map(|one| one.issuer.clone()).collect(),
            notation_policy: signers.notation_policy.as_ref().map(beside),
        },
    }
}

pub(crate) fn limits(scan: &Scan) -> Rules {
    let ignore = scan.ignore.iter().map(|one| Ignore {
        id: one.id.clone(),
        package: one.package.clone(),
        reason: one.reason.clone(),
        expires: one.expires,
    });
    Rules {
        fail_on: scan.fail_on.map(severity),
        fixable_only: scan.fixable_only,
        fail_on_exploited: scan.fail_on_exploited,
        fail_on_gaps: scan.fail_on_gaps,
        max_database_age: scan.max_db_age,
        ignore: ignore.collect(),
    }
}

fn severity(severity: image_policy::Severity) -> Severity {
    match severity {
        image_policy::Severity::Critical => Severity::Critical,
        image_policy::Severity::High => Severity::High,
        image_policy::Severity::Medium => Severity::Medium,
        image_policy::Severity::Low => Severity::Low,
        image_policy::Severity::Negligible => Severity::Negligible,
        image_policy::Severity::Any => Severity::Unknown,
    }
}

//! From a file of rules to what one verification needs: who is trusted, who must have signed, what a scan may find.

use std::path::{Path, PathBuf};

use image_policy::{Choice, Denial, POLICY_MAX, Policy, RootOfTrust, Scan, Scope, Signers};
use image_scan::{Ignore, Rules, Severity};
use oci_image::Reference;
use verifier_lib::{Broken, Link, Proof, Stage, Status, Verdict, VerifiedImage};

use crate::access::trusted_name;
use crate::args::{ChainArgs, RootArgs};
use crate::evidence_args::{DemandArgs, SignerArgs};
use crate::failure::Failure;
use crate::files;
use crate::policy_args::PolicyArgs;
use crate::style::shown;

/// What the rules make of one verification.
pub(crate) struct Applied {
    /// The same call, with the name that is meant and those who are trusted for it.
    pub(crate) chain: ChainArgs,
    pub(crate) demand: DemandArgs,
    /// The advisories and what a scan may find, where a scan is demanded.
    pub(crate) scan: Option<(Option<PathBuf>, Rules)>,
    /// Whose word counts on what touches the image and what doesn't.
    pub(crate) vex_keys: Vec<PathBuf>,
    roles: Vec<String>,
    link: Link,
}

/// What is demanded, if anything; or the name that is denied, and the verdict.
pub(crate) type Applying = Result<Option<Applied>, (Reference, Verdict)>;

/// Rules that were read, and where.
pub(crate) struct Rulebook {
    pub(crate) policy: Policy,
    path: PathBuf,
}

impl Rulebook {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let policy = Policy::parse(&files::text(path, POLICY_MAX)?).map_err(|problems| {
            files::unusable(path, &problems)
                .hint("`verify policy check FILE` shows each with its line and column")
        })?;
        Ok(Self { policy, path: path.to_owned() })
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
    fn beside(&self, path: &Path) -> PathBuf {
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
pub(crate) fn apply(args: &PolicyArgs, chain: &ChainArgs) -> Result<Applying, Failure> {
    let Some(path) = &args.policy else { return Ok(Ok(None)) };
    let rules = Rulebook::read(path)?;
    let name = rules.meant(&trusted_name(chain)?)?;
    let scope = match rules.policy.choose(&name) {
        Choice::Admits(scope) => scope,
        Choice::Denies { scope, why } => {
            let detail = format!("denied by {}: {}", rules.rule(scope), reason(why, &name));
            let link = Link::new(Stage::Policy, Status::Broken, name.to_string(), detail);
            return Ok(Err((name, Verdict::Refused(Box::new(Broken::new(link, Proof::default()))))));
        }
    };
    let detail = format!("as {} demands", rules.rule(Some(scope)));
    let link = Link::new(Stage::Policy, Status::Passed, name.to_string(), detail);
    let root = scope.trust.as_ref().map(|trust| root(&rules, trust)).transpose()?.unwrap_or_default();
    Ok(Ok(Some(Applied {
        chain: ChainArgs { known_as: Some(name), root, ..chain.clone() },
        demand: scope.signers.as_ref().map(|signers| demand(&rules, signers)).unwrap_or_default(),
        scan: scope.scan.as_ref().map(|scan| (scan.db.as_deref().map(|db| rules.beside(db)), limits(scan))),
        vex_keys: scope.scan.iter().flat_map(|scan| &scan.vex_keys).map(|key| rules.beside(key)).collect(),
        roles: scope.roles.clone(),
        link,
    })))
}

impl Applied {
    /// What the rules say of an image whose chain held.
    pub(crate) fn weigh(&self, image: Box<VerifiedImage>) -> Verdict {
        let role = image.role().to_owned();
        if self.roles.is_empty() || self.roles.contains(&role) {
            return image.then(self.link.clone());
        }
        let expected = self.roles.join(" or ");
        let detail =
            format!("a role may not speak for it, {}: expected {expected}, got {role}", self.link.detail);
        let link = Link { status: Status::Broken, detail, ..self.link.clone() };
        image.then(link.with_values(expected, role))
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
        signers: SignerArgs {
            keys: signers.keys.iter().map(beside).collect(),
            trusted_root: signers.trusted_root.as_ref().map(beside),
            identities: signers.identities.iter().map(|one| one.identity.clone()).collect(),
            issuers: signers.identities.iter().map(|one| one.issuer.clone()).collect(),
            notation_policy: signers.notation_policy.as_ref().map(beside),
        },
    }
}

fn limits(scan: &Scan) -> Rules {
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

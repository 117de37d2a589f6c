//! The proof of a verdict: every link of the chain, what was expected of it and what came.

use std::fmt;

use serde::Serialize;
use tuf_core::{Failing, Instant, Role, Signers};

/// The links of the chain, in their order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The name, in full.
    Reference,
    /// Which rule of whoever verifies the name meets, where there are rules.
    Policy,
    /// Which root speaks for the name.
    Trust,
    /// The root of trust (TUF 5.3).
    Root,
    /// The freshness statement (TUF 5.4).
    Timestamp,
    /// Which versions belong together (TUF 5.5).
    Snapshot,
    /// The targets, top-level and delegated (TUF 5.6).
    Targets,
    /// What is said of the name (TUF 5.6.7).
    Target,
    /// The manifest or index that the name stands for.
    Manifest,
    /// The manifest of one platform, out of an index.
    Child,
    /// The image's configuration.
    Config,
    /// A layer.
    Layer,
    /// What others signed about the image, where that was asked for.
    Evidence,
    /// What is in the image and what is known to be wrong with it, where that was asked for.
    Scan,
}

impl Stage {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Policy => "policy",
            Self::Trust => "trust",
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
            Self::Target => "target",
            Self::Manifest => "manifest",
            Self::Child => "child",
            Self::Config => "config",
            Self::Layer => "layer",
            Self::Evidence => "evidence",
            Self::Scan => "scan",
        }
    }

    pub(crate) fn of(role: &Role) -> Self {
        match role {
            Role::Root => Self::Root,
            Role::Timestamp => Self::Timestamp,
            Role::Snapshot => Self::Snapshot,
            Role::Targets | Role::Delegated(_) => Self::Targets,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a link fared.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Checked, and good.
    Passed,
    /// Its digest is known to be right; the bytes are hashed when they are read.
    Deferred,
    /// Checked, and bad: the answer.
    Broken,
    /// It could not be told.
    Unknown,
}

/// One link: what was looked at, and what was found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Link {
    /// Which link.
    pub stage: Stage,
    /// How it fared.
    pub status: Status,
    /// What was looked at: a file, a path, a digest.
    pub subject: String,
    /// What was found, for a person.
    pub detail: String,
    /// What was expected, where two values disagree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What came instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// The version of a metadata document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// When a metadata document expires (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// How many distinct keys had to sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
    /// The ids of the keys that did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_ids: Vec<String>,
    /// Of evidence: whether what counted is named by the publisher's metadata today, or only signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<bool>,
    /// What failed, the most telling first: of several mirrors, signatures or rules, each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// One of the things that failed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reason {
    /// Of which kind it is, in the words and the order of [`Failing`].
    #[serde(serialize_with = "name_of")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub kind: Failing,
    /// What was expected, and what came.
    pub detail: String,
}

impl Reason {
    /// A reason of that kind.
    #[must_use]
    pub fn new(kind: Failing, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn name_of<S: serde::Serializer>(kind: &Failing, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

impl Link {
    /// A link of that status, with nothing more to say yet.
    #[must_use]
    pub fn new(stage: Stage, status: Status, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            stage,
            status,
            subject: subject.into(),
            detail: detail.into(),
            expected: None,
            got: None,
            version: None,
            expires: None,
            threshold: None,
            key_ids: Vec::new(),
            fresh: None,
            reasons: Vec::new(),
        }
    }

    /// A metadata document that was accepted.
    pub(crate) fn document(
        stage: Stage,
        role: &str,
        version: u64,
        expires: Instant,
        signers: &Signers,
    ) -> Self {
        let expires = expires.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let count = signers.key_ids.len();
        let detail =
            format!("version {version}, until {expires}, signed by {count} of {} needed", signers.threshold);
        Self {
            version: Some(version),
            expires: Some(expires),
            threshold: Some(signers.threshold),
            key_ids: signers.key_ids.clone(),
            ..Self::new(stage, Status::Passed, role, detail)
        }
    }

    /// The same link, and what was expected beside what came.
    #[must_use]
    pub fn with_values(self, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), got: Some(got.into()), ..self }
    }

    /// The same link, and of which kind its failure is.
    #[must_use]
    pub fn because(self, kind: Failing) -> Self {
        let detail = self.detail.clone();
        self.with_reasons(vec![Reason::new(kind, detail)])
    }

    /// The same link, and all that failed, in whatever order.
    #[must_use]
    pub fn with_reasons(self, mut reasons: Vec<Reason>) -> Self {
        tuf_core::rank(&mut reasons, |reason| reason.kind);
        Self { reasons, ..self }
    }

    /// Of which kind a failure is that nobody told apart: it follows from what was looked at.
    fn kind(&self) -> Failing {
        match self.stage {
            _ if self.status == Status::Unknown => Failing::Unreachable,
            Stage::Manifest | Stage::Child | Stage::Config | Stage::Layer => match self.got.as_deref() {
                Some("nothing") => Failing::Missing,
                _ => Failing::Substituted,
            },
            Stage::Target | Stage::Evidence => Failing::Missing,
            Stage::Scan => Failing::Findings,
            Stage::Policy | Stage::Reference | Stage::Trust => Failing::Denied,
            Stage::Root | Stage::Timestamp | Stage::Snapshot | Stage::Targets => Failing::Unusable,
        }
    }
}

/// The links so far, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proof {
    /// The links. The first that is broken or unknown is also the last.
    pub links: Vec<Link>,
}

impl Proof {
    pub(crate) fn push(&mut self, link: Link) {
        self.links.push(link);
    }
}

/// The link that broke, or that could not be told, and the proof up to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// The link.
    pub link: Link,
    /// All links, this one last.
    pub proof: Proof,
}

impl Broken {
    /// How a chain ended with this link, which becomes the last of the proof and has its reasons.
    #[must_use]
    pub fn new(link: Link, mut proof: Proof) -> Self {
        let link = match link.reasons.is_empty() {
            true => {
                let kind = link.kind();
                link.because(kind)
            }
            false => link,
        };
        proof.push(link.clone());
        Self { link, proof }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.link.detail)
    }
}

impl std::error::Error for Broken {}

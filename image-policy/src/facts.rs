//! What was seen of an image: the facts that rules decide on, as one line of an inventory. Whoever verifies images
//! writes such lines, a program or a gate, and rules are rehearsed on them later.
//!
//! A line says what was seen, never that it is to be believed: it is as good as whoever may write the file.

use serde::{Deserialize, Serialize};

/// The version of the form. It grows only by new members.
pub const FACTS_VERSION: u32 = 1;

/// The longest line, in bytes: some thousand findings of a scan.
pub const LINE_MAX: usize = 1024 * 1024;

/// The most findings of one platform that a line has. What is more is counted.
pub const FINDINGS_MAX: usize = 2000;

/// The most pieces of evidence that a line has; the search for them looks at no more.
pub const EVIDENCE_MAX: usize = 1000;

/// One line of an inventory: what was seen of an image when it was verified. Schema: `docs/schema/inventory.json`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Facts {
    /// The version of this form.
    pub version: u32,
    /// When it was verified, or as of when (RFC 3339).
    pub at: String,
    /// The name that was asked for.
    pub image: String,
    /// The name that it stands for, by which rules go: another one behind a mirror.
    pub name: String,
    /// The verdict.
    pub verdict: Word,
    /// The link that gave the verdict, where the image is not trusted: see `stage` in `verify-image.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Why it is not trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The scope that decided, where there were rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How the chain from the root of trust to the bytes fared, whatever else was demanded.
    pub chain: Chain,
    /// The trust repository that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The SHA-256 of the root that was trusted, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_sha256: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_version: Option<u64>,
    /// The digest of the manifest or index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The digests of the manifests of an index that were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// The targets role that speaks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The delegated roles on the way to it, itself the last; none where the top-level targets speak.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegation_path: Vec<String>,
    /// Whose signatures would have been seen. None where no evidence was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_for: Option<LookedFor>,
    /// Signatures and attestations that somebody vouches for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What could not be reached, and may have held evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<String>,
    /// What a scan found, of each platform. None where it was not scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scans: Option<Vec<ScanFacts>>,
}

/// A verdict.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It may run.
    Trusted,
    /// It may not.
    Refused,
    /// It could not be told.
    #[default]
    Unknown,
}

/// How the chain fared, from the root of trust to the bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Chain {
    /// Every link held.
    Held,
    /// A link is broken.
    Broken,
    /// A link could not be told.
    Unknown,
    /// It was not begun, since the name was denied.
    #[default]
    Unasked,
}

/// Whose signatures were looked for: a signature of anybody else was not seen, though it may be there.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LookedFor {
    /// Keys.
    #[serde(default)]
    pub keys: Vec<KeyFact>,
    /// Keyless signers.
    #[serde(default)]
    pub identities: Vec<IdentityFact>,
    /// The file of sigstore's trusted root, by which keyless signers were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_root: Option<String>,
    /// The digest of notation's trust policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notation_policy: Option<String>,
    /// Its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notation_policy_file: Option<String>,
}

/// A public key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyFact {
    /// The SHA-256 of the key in PEM, by which it is the same key wherever it lies.
    pub id: String,
    /// The file that it was in.
    pub file: String,
}

/// A keyless signer.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IdentityFact {
    /// An e-mail address, or the URI of a workflow.
    pub identity: String,
    /// Who vouches for it.
    pub issuer: String,
}

/// Who signed.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignerFact {
    /// How it was told who signed.
    pub kind: SignerKind,
    /// What makes the key the same key; none of a keyless signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The file of a key, an identity, the subject of a certificate.
    pub name: String,
    /// Who vouches for an identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// How it was told who signed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SignerKind {
    /// By a key that was named.
    Key,
    /// By a certificate of a short life.
    Identity,
    /// By a certificate that a trust policy takes.
    Certificate,
}

/// A signature or attestation that somebody vouches for.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// What is said: a predicate type. A signature in any form has cosign's.
    pub predicate: String,
    /// The digest of the manifest that it is about: the image, or a part of it.
    pub about: String,
    /// Those who are trusted, and signed it; none where only the publisher's metadata names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<SignerFact>,
    /// Whether the publisher's metadata names it today.
    #[serde(default)]
    pub fresh: bool,
    /// Whether it says what its type promises, so that it can be counted.
    #[serde(default)]
    pub readable: bool,
    /// When it was said, by its own word (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How the image was built, where that is what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildFact>,
    /// What a verifier found, where that is what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictFact>,
}

/// A verdict of another verifier (SLSA's verification summary), by the word of whoever signed it. Whether that one may
/// speak for the verifier is for rules to say.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerdictFact {
    /// The verifier's id.
    pub verifier: String,
    /// The name of what was verified.
    pub resource: String,
    /// Whether it passed.
    #[serde(default)]
    pub passed: bool,
    /// What was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
}

/// How an image was built, by the word of whoever signed it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildFact {
    /// The builder's id.
    pub builder: String,
    /// The repository of the source, as the builder was told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the builder was told that this kind of build isn't known to take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unexpected_parameters: Vec<String>,
}

/// What a scan found of one platform.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanFacts {
    /// When the advisories were made; none where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_made_at: Option<String>,
    /// How old they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_age_seconds: Option<i64>,
    /// What was found, the most severe first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingFact>,
    /// How many more there were.
    #[serde(default)]
    pub more_findings: usize,
    /// How many things could not be looked up: ecosystems, files, advisories.
    #[serde(default)]
    pub gaps: usize,
    /// The ids of the keys whose word on findings was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vex_keys: Vec<String>,
}

/// An advisory that applies.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FindingFact {
    /// The advisory.
    pub id: String,
    /// Its other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The component.
    pub package: String,
    /// What the component was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_package: Option<String>,
    /// How bad it is: `critical`, `high`, `medium`, `low`, `negligible` or `unknown`.
    pub severity: String,
    /// Whether a newer version mends it.
    #[serde(default)]
    pub fixable: bool,
    /// Whether it is known to be exploited.
    #[serde(default)]
    pub exploited: bool,
    /// By whose word it doesn't touch the image: the id of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_affected_by: Option<String>,
}

/// A line that is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadLine {
    /// Which, from 1 on.
    pub number: usize,
    /// What was expected, and what came.
    pub what: String,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.number, self.what)
    }
}

impl std::error::Error for BadLine {}

impl Facts {
    /// The facts as the line that an inventory has, with its end.
    ///
    /// # Errors
    /// Where it would be longer than a line may be.
    pub fn line(&self) -> Result<String, String> {
        let mut line = serde_json::to_string(self).map_err(|why| why.to_string())?;
        line.push('\n');
        match line.len() <= LINE_MAX {
            true => Ok(line),
            false => Err(format!("expected a line of at most {LINE_MAX} bytes, got {}", line.len())),
        }
    }
}

/// What a line of an inventory names: an image of which more is known, or its name alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// What was seen of it.
    Seen(Box<Facts>),
    /// Its name, and nothing else.
    Name(String),
}

impl Entry {
    /// Reads the line with this number, from 1 on; none where it is empty or a remark (`#`).
    ///
    /// # Errors
    /// Where it is neither facts nor the name of an image.
    pub fn parse(number: usize, line: &str) -> Result<Option<Self>, BadLine> {
        let bad = |what: String| BadLine { number, what };
        if line.len() > LINE_MAX {
            return Err(bad(format!("expected at most {LINE_MAX} bytes, got {}", line.len())));
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let is_name = |name: &str| name.parse::<oci_image::Reference>();
        if !line.starts_with('{') {
            is_name(line)
                .map_err(|why| bad(format!("expected the name of an image, got {line:?}: {why}")))?;
            return Ok(Some(Self::Name(line.to_owned())));
        }
        let facts: Facts = serde_json::from_str(line)
            .map_err(|why| bad(format!("expected what was seen of an image (JSON), got {why}")))?;
        if facts.version != FACTS_VERSION {
            return Err(bad(format!("expected version {FACTS_VERSION}, got {}", facts.version)));
        }
        for name in [&facts.image, &facts.name] {
            is_name(name)
                .map_err(|why| bad(format!("expected the name of an image, got {name:?}: {why}")))?;
        }
        for (what, got, most) in [
            ("pieces of evidence", facts.evidence.len(), EVIDENCE_MAX),
            ("findings of a platform", most_findings(&facts), FINDINGS_MAX),
        ] {
            if got > most {
                return Err(bad(format!("expected at most {most} {what}, got {got}")));
            }
        }
        Ok(Some(Self::Seen(Box::new(facts))))
    }
}

fn most_findings(facts: &Facts) -> usize {
    facts.scans.iter().flatten().map(|scan| scan.findings.len()).max().unwrap_or(0)
}

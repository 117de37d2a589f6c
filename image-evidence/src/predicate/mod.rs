//! What statements say, read for people and policies: types that are known, members that are, and no more.
//!
//! To be read is not to be believed: who signed is weighed before, and nothing here decides.

mod csaf;
mod provenance;
mod sbom;
mod verdicts;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use provenance::{Builder, BuilderSigner, Material, Provenance, Source};
pub use sbom::{Sbom, SbomFormat};
pub use verdicts::{Custom, Svr, Vex, VexFormat, VexProduct, VexStatement, Vsa, Vulnerabilities};

use crate::limits::ENTRIES_MAX;
use crate::refusal::Refusal;
use crate::statement::Statement;
use crate::verifiers::VERIFICATION_SUMMARY;

/// What a statement says.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// How the image was built.
    Provenance(Box<Provenance>),
    /// That somebody verified it.
    Vsa(Vsa),
    /// What somebody found when they verified it.
    Svr(Svr),
    /// What is in it.
    Sbom(Sbom),
    /// Which vulnerabilities touch it.
    Vex(Vex),
    /// Which vulnerabilities were found in it.
    Vulnerabilities(Vulnerabilities),
    /// Whatever somebody had cosign attest, and when.
    Custom(Custom),
    /// Something else.
    Other(String),
}

impl Predicate {
    /// Reads what a statement says, by its predicate type.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], where it isn't what its type promises; [`Refusal::TooLarge`], where a list is too
    /// long.
    pub fn of(statement: &Statement) -> Result<Self, Refusal> {
        let kind = statement.predicate_type.as_str();
        let text = statement.predicate.as_ref().map_or("{}", |text| text.get());
        let is =
            |start: &str| kind == start || kind.strip_prefix(start).is_some_and(|rest| rest.starts_with('/'));
        Ok(match kind {
            "https://slsa.dev/provenance/v1" => Self::Provenance(Box::new(Provenance::v1(text)?)),
            "https://slsa.dev/provenance/v0.2" | "https://in-toto.io/Provenance/v0.1" => {
                Self::Provenance(Box::new(Provenance::v0_2(text)?))
            }
            VERIFICATION_SUMMARY => Self::Vsa(Vsa::read(text)?),
            // 0.2 asks for the policies, too.
            "https://in-toto.io/attestation/svr/v0.1" | "https://in-toto.io/attestation/svr/v0.2" => {
                Self::Svr(Svr::read(text)?)
            }
            _ if is("https://spdx.dev/Document") => Self::Sbom(Sbom::spdx(&document(text)?)?),
            _ if is("https://cyclonedx.org/bom") => Self::Sbom(Sbom::cyclone_dx(&document(text)?)?),
            _ if is("https://openvex.dev/ns") => Self::Vex(Vex::read(text)?),
            // Whichever file of the standard names it: its schema's, as a rule.
            _ if is("https://docs.oasis-open.org/csaf/csaf/v2.0") => Self::Vex(csaf::vex(&document(text)?)?),
            "https://cosign.sigstore.dev/attestation/vuln/v1"
            | "https://in-toto.io/attestation/vulns/v0.1"
            | "https://in-toto.io/attestation/vulns/v0.2" => {
                Self::Vulnerabilities(Vulnerabilities::read(text)?)
            }
            "https://cosign.sigstore.dev/attestation/v1" => Self::Custom(Custom::read(text)?),
            other => Self::Other(other.to_owned()),
        })
    }

    /// Reads a statement that is about to be signed: what its type demands must be there, where others that are read
    /// may leave it out.
    ///
    /// # Errors
    /// As [`Self::of`]; and [`Refusal::Malformed`], which says what is missing.
    pub fn whole(statement: &Statement) -> Result<Self, Refusal> {
        let text = statement.predicate.as_ref().map_or("{}", |text| text.get());
        if !text.trim_start().starts_with('{') {
            return Err(Refusal::malformed("a predicate that is an object", "it is none"));
        }
        let predicate = Self::of(statement)?;
        let missing = match &predicate {
            Self::Provenance(provenance) if provenance.build_type.is_empty() => Some("it has no buildType"),
            Self::Provenance(provenance) if provenance.builder.is_empty() => Some("its builder has no id"),
            Self::Vsa(vsa) if vsa.verifier.is_empty() => Some("its verifier has no id"),
            Self::Vsa(vsa) if vsa.time.is_none() => Some("it has no timeVerified"),
            Self::Svr(svr) if svr.verifier.is_empty() => Some("its verifier has no id"),
            Self::Sbom(sbom) if sbom.version.is_empty() => Some("it has no specVersion"),
            Self::Vex(_) if !verdicts::has_context(text) => Some("its @context is none of OpenVEX"),
            Self::Vex(vex) if vex.author.is_empty() => Some("it has no author"),
            Self::Vex(vex) if vex.statements.is_empty() => Some("it has no statements"),
            Self::Vulnerabilities(found) if found.finished.is_none() => {
                Some("its metadata has no scanFinishedOn")
            }
            _ => None,
        };
        match missing {
            Some(why) => Err(Refusal::Malformed { what: predicate.what(), why: why.into() }),
            None => Ok(predicate),
        }
    }

    /// What is expected of it, in an error.
    fn what(&self) -> &'static str {
        match self {
            Self::Provenance(_) => "SLSA provenance",
            Self::Vsa(_) => "a verification summary",
            Self::Svr(_) => "a simple verification result",
            Self::Sbom(Sbom { format: SbomFormat::Spdx, .. }) => "an SPDX document",
            Self::Sbom(_) => "a CycloneDX document",
            Self::Vex(_) => "an OpenVEX document",
            Self::Vulnerabilities(_) => "a result of a scanner",
            Self::Custom(_) | Self::Other(_) => "a predicate",
        }
    }

    /// When it was said, by its own word: when a build ended, a list was made, a scan was done.
    #[must_use]
    pub fn time(&self) -> Option<DateTime<Utc>> {
        let read = |text: &Option<String>| {
            DateTime::parse_from_rfc3339(text.as_deref()?).ok().map(|time| time.to_utc())
        };
        match self {
            Self::Provenance(provenance) => read(&provenance.finished).or_else(|| read(&provenance.started)),
            Self::Vsa(vsa) => vsa.time,
            Self::Svr(svr) => Some(svr.time),
            Self::Sbom(sbom) => read(&sbom.created),
            Self::Vex(vex) => read(&vex.timestamp),
            Self::Vulnerabilities(found) => read(&found.finished),
            Self::Custom(custom) => read(&custom.timestamp),
            Self::Other(_) => None,
        }
    }

    /// What it is, in a word or two.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Provenance(_) => "SLSA provenance",
            Self::Vsa(_) => "verification summary",
            Self::Svr(_) => "simple verification result",
            Self::Sbom(Sbom { format: SbomFormat::Spdx, .. }) => "SPDX",
            Self::Sbom(_) => "CycloneDX",
            Self::Vex(Vex { format: VexFormat::Csaf, .. }) => "CSAF",
            Self::Vex(_) => "OpenVEX",
            Self::Vulnerabilities(_) => "vulnerabilities",
            Self::Custom(_) => "cosign's custom statement",
            Self::Other(kind) => kind,
        }
    }
}

/// A predicate of this shape.
fn read<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|why| Refusal::malformed(what, why))
}

/// The document itself: cosign puts some as a text, or under `Data`.
fn document(text: &str) -> Result<Cow<'_, str>, Refusal> {
    #[derive(Deserialize)]
    struct Wrapped {
        #[serde(rename = "Data")]
        data: Value,
    }
    let unwrapped = match text.trim_start().starts_with('"') {
        true => Value::String(read("a document", text)?),
        // Most have no such member, and needn't be read for it.
        false if !text.contains("\"Data\"") => return Ok(Cow::Borrowed(text)),
        false => match serde_json::from_str::<Wrapped>(text) {
            Ok(wrapped) => wrapped.data,
            Err(_) => return Ok(Cow::Borrowed(text)),
        },
    };
    Ok(Cow::Owned(match unwrapped {
        Value::String(inner) => inner,
        other => other.to_string(),
    }))
}

fn expect_few(what: &'static str, got: usize) -> Result<(), Refusal> {
    Refusal::expect_size(what, u64::try_from(ENTRIES_MAX).unwrap_or(u64::MAX), got)
}

//! What statements say, read for people and policies: types that are known, members that are, and no more.
//!
//! To be read is not to be believed: who signed is weighed before, and nothing here decides.

mod provenance;
mod sbom;
mod verdicts;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use provenance::{Builder, BuilderSigner, Material, Provenance, Source};
pub use sbom::{Sbom, SbomFormat};
pub use verdicts::{Vex, VexProduct, VexStatement, Vsa, Vulnerabilities};

use crate::limits::ENTRIES_MAX;
use crate::refusal::Refusal;
use crate::statement::Statement;

/// What a statement says.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// How the image was built.
    Provenance(Box<Provenance>),
    /// That somebody verified it.
    Vsa(Vsa),
    /// What is in it.
    Sbom(Sbom),
    /// Which vulnerabilities touch it.
    Vex(Vex),
    /// Which vulnerabilities were found in it.
    Vulnerabilities(Vulnerabilities),
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
            "https://slsa.dev/verification_summary/v1" => Self::Vsa(Vsa::read(text)?),
            _ if is("https://spdx.dev/Document") => Self::Sbom(Sbom::spdx(&document(text)?)?),
            _ if is("https://cyclonedx.org/bom") => Self::Sbom(Sbom::cyclone_dx(&document(text)?)?),
            _ if is("https://openvex.dev/ns") => Self::Vex(Vex::read(text)?),
            "https://cosign.sigstore.dev/attestation/vuln/v1"
            | "https://in-toto.io/attestation/vulns/v0.1"
            | "https://in-toto.io/attestation/vulns/v0.2" => {
                Self::Vulnerabilities(Vulnerabilities::read(text)?)
            }
            other => Self::Other(other.to_owned()),
        })
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
            Self::Sbom(sbom) => read(&sbom.created),
            Self::Vex(vex) => read(&vex.timestamp),
            Self::Vulnerabilities(found) => read(&found.finished),
            Self::Other(_) => None,
        }
    }

    /// What it is, in a word or two.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Provenance(_) => "SLSA provenance",
            Self::Vsa(_) => "verification summary",
            Self::Sbom(Sbom { format: SbomFormat::Spdx, .. }) => "SPDX",
            Self::Sbom(_) => "CycloneDX",
            Self::Vex(_) => "OpenVEX",
            Self::Vulnerabilities(_) => "vulnerabilities",
            Self::Other(kind) => kind,
        }
    }
}

/// A predicate of this shape.
fn read<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|why| Refusal::malformed(what, why))
}

/// The document itself: cosign puts some as a text, or under `Data`.
fn document(text: &str) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Wrapped {
        #[serde(rename = "Data")]
        data: Value,
    }
    let unwrapped = match text.trim_start().starts_with('"') {
        true => Value::String(read("a document", text)?),
        false => match serde_json::from_str::<Wrapped>(text) {
            Ok(wrapped) => wrapped.data,
            Err(_) => return Ok(text.to_owned()),
        },
    };
    Ok(match unwrapped {
        Value::String(inner) => inner,
        other => other.to_string(),
    })
}

fn expect_few(what: &'static str, got: usize) -> Result<(), Refusal> {
    Refusal::expect_size(what, u64::try_from(ENTRIES_MAX).unwrap_or(u64::MAX), got)
}

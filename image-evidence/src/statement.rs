//! in-toto statements, of version 0.1 and 1: what is said about which bytes.

use std::collections::BTreeMap;

use image_signatures::few;
use oci_image::Digest;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::limits::{ATTESTATION_MAX, SUBJECTS_MAX};
use crate::refusal::Refusal;
use crate::strict;

/// The type of a statement of version 1 (in-toto attestation 1.0, "Statement").
pub const IN_TOTO_V1: &str = "https://in-toto.io/Statement/v1";

/// The type of a statement of version 0.1, which cosign still writes.
pub const IN_TOTO_V0_1: &str = "https://in-toto.io/Statement/v0.1";

/// A statement: a predicate about subjects.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`IN_TOTO_V1`] or [`IN_TOTO_V0_1`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about.
    #[serde(rename = "subject", deserialize_with = "few::<_, _, SUBJECTS_MAX>", default)]
    pub subjects: Vec<Subject>,
    /// What kind of thing is said.
    pub predicate_type: String,
    /// What is said, as the text that was signed. Unset is the same as empty.
    #[serde(default)]
    pub predicate: Option<Box<RawValue>>,
}

/// Something that a statement is about.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Subject {
    /// What its writer calls it: it decides nothing.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub name: String,
    /// Digests in hex, by algorithm.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub digest: BTreeMap<String, String>,
}

/// Go writes `null` for what is empty.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Statement {
    /// Reads a statement. Whoever calls has verified these very bytes, or says that nobody signed them.
    ///
    /// # Errors
    /// Where it is too large, no statement, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        Refusal::expect_size("an attestation in bytes", ATTESTATION_MAX, bytes.len())?;
        let statement: Self = strict::read("an in-toto statement", bytes)?;
        if statement.kind != IN_TOTO_V1 && statement.kind != IN_TOTO_V0_1 {
            let expected = format!("{IN_TOTO_V1} or v0.1");
            return Err(Refusal::Kind { what: "a statement of type", expected, got: statement.kind });
        }
        let most = u64::try_from(SUBJECTS_MAX).unwrap_or(u64::MAX);
        Refusal::expect_size("a list of subjects", most, statement.subjects.len())?;
        Ok(statement)
    }

    /// That it is about this manifest, by its SHA-256.
    ///
    /// # Errors
    /// [`Refusal::Subject`], with what it is about instead.
    pub fn expect_about(&self, image: Digest) -> Result<(), Refusal> {
        let hex = image.hex();
        if self.subjects.iter().any(|subject| subject.digest.get("sha256") == Some(&hex)) {
            return Ok(());
        }
        Err(Refusal::Subject { expected: image, got: self.about() })
    }

    /// That it says what was asked.
    ///
    /// # Errors
    /// [`Refusal::Predicate`].
    pub fn expect_predicate(&self, expected: &str) -> Result<(), Refusal> {
        if self.predicate_type == expected {
            return Ok(());
        }
        Err(Refusal::Predicate { expected: expected.into(), got: self.predicate_type.clone() })
    }

    /// What it is about, for a person: the first few.
    fn about(&self) -> String {
        const SHOWN: usize = 3;
        let digests = self.subjects.iter().flat_map(|subject| &subject.digest);
        let shown: Vec<_> =
            digests.take(SHOWN).map(|(algorithm, hex)| format!("{algorithm}:{hex}")).collect();
        match (shown.is_empty(), self.subjects.len() > SHOWN) {
            (true, _) => "nothing that has a digest".into(),
            (false, false) => shown.join(", "),
            (false, true) => format!("{}, …", shown.join(", ")),
        }
    }
}

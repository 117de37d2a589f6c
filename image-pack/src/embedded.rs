//! A pack without layers within a JSON report.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::PackError;
use crate::index::PackIndex;
use crate::pack::Pack;

/// A pack in a report: what a verdict rests on, but for the layers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Embedded {
    /// The time as of which it was judged (RFC 3339).
    pub as_of: String,
    /// The SHA-256 of the database of advisories that a scan looked components up in, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories: Option<String>,
    /// The index of the pack.
    pub index: PackIndex,
    /// The bytes of each part, in base64 (RFC 4648), by its name.
    pub files: BTreeMap<String, String>,
}

impl Embedded {
    pub(crate) fn of(as_of: String, index: PackIndex, files: &BTreeMap<String, Vec<u8>>) -> Self {
        let files = files.iter().map(|(name, bytes)| (name.clone(), STANDARD.encode(bytes))).collect();
        Self { as_of, advisories: None, index, files }
    }

    /// The pack, after every part was compared with the index.
    ///
    /// # Errors
    /// Names the part that isn't what the index says.
    pub fn open(self) -> Result<Pack, PackError> {
        self.index.check()?;
        let mut bodies = Vec::new();
        let mut files = self.files;
        for part in &self.index.parts {
            let text =
                files.remove(&part.name).ok_or_else(|| PackError::part(&part.name, "it", "nothing"))?;
            let body = STANDARD.decode(text);
            bodies.push(body.map_err(|why| PackError::part(&part.name, "base64", why.to_string()))?);
        }
        if let Some(other) = files.keys().next() {
            return Err(PackError::part("the proof", "only what its index names", format!("{other:?}")));
        }
        Pack::in_memory("the proof in the report", self.index, bodies)
    }
}

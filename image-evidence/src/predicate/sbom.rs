//! Lists of what is in an image: SPDX 2 and 3, CycloneDX. Counted and named, not read through: that is for scans.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::read;
use crate::refusal::Refusal;
use crate::statement::null_is_empty;

/// What kind of list it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SbomFormat {
    /// SPDX.
    Spdx,
    /// CycloneDX.
    CycloneDx,
}

/// A list of what is in an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sbom {
    /// Its format.
    pub format: SbomFormat,
    /// The version of the format, as it says.
    pub version: String,
    /// How many packages or components it lists; of SPDX 3, elements.
    pub components: usize,
    /// When it was made (RFC 3339).
    pub created: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spdx {
    spdx_version: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    packages: Vec<IgnoredAny>,
    creation_info: Option<CreationInfo>,
    #[serde(rename = "@graph")]
    graph: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct CreationInfo {
    created: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CycloneDx {
    bom_format: String,
    #[serde(default)]
    spec_version: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    components: Vec<IgnoredAny>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    timestamp: Option<String>,
}

impl Sbom {
    pub(super) fn spdx(text: &str) -> Result<Self, Refusal> {
        let document: Spdx = read("an SPDX document", text)?;
        let version = match (&document.spdx_version, &document.graph) {
            (Some(version), _) => version.clone(),
            (None, Some(_)) => "SPDX-3".into(),
            (None, None) => {
                return Err(Refusal::malformed("an SPDX document", "it has no version and no graph"));
            }
        };
        Ok(Self {
            format: SbomFormat::Spdx,
            version,
            components: document.graph.map_or(document.packages.len(), |graph| graph.len()),
            created: document.creation_info.and_then(|info| info.created),
        })
    }

    pub(super) fn cyclone_dx(text: &str) -> Result<Self, Refusal> {
        let document: CycloneDx = read("a CycloneDX document", text)?;
        if document.bom_format != "CycloneDX" {
            let expected = "CycloneDX".into();
            return Err(Refusal::Kind { what: "a bomFormat", expected, got: document.bom_format });
        }
        Ok(Self {
            format: SbomFormat::CycloneDx,
            version: document.spec_version,
            components: document.components.len(),
            created: document.metadata.and_then(|metadata| metadata.timestamp),
        })
    }
}

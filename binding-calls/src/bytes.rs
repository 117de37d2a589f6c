//! Verifying from bytes: metadata documents and a manifest in, a report out. No server is asked.

use std::collections::BTreeSet;
use std::path::PathBuf;

use oci_image::MANIFEST_MAX;
use serde::Deserialize;
use tuf_client::{Client, MemoryTransport};
use tuf_core::limits;
use verdict_report::Report;
use verifier_lib::Verifier;

use crate::setup::{option, read_options, store, time};
use crate::{BadCall, name};

/// The most metadata documents: a chain of roots as long as any that is followed, and as many roles as are searched.
const DOCUMENTS_MAX: usize = limits::ROOT_STEPS as usize + limits::SEARCH_ROLES + 3;

/// The most bytes of all documents together: four of the largest.
const TOTAL_MAX: u64 = limits::TARGETS_BYTES * 4;

/// Metadata documents, each with the name of its file: `2.root.json`, `timestamp.json`, `7.snapshot.json`.
pub type Documents<'a> = [(&'a str, &'a [u8])];

/// The options of a verification from bytes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BytesSetup {
    /// The time to verify as of (RFC 3339): what is right at one time is expired at another, so it is said.
    pub at: String,
    /// What somebody called the manifest, such as `application/vnd.oci.image.index.v1+json`. What is signed counts
    /// more.
    #[serde(default)]
    pub media_type: Option<String>,
    /// A folder in which accepted metadata is kept, so that nobody can give the next call yesterday's; else nothing
    /// is remembered.
    #[serde(default)]
    pub state: Option<PathBuf>,
}

impl BytesSetup {
    /// Reads options.
    ///
    /// # Errors
    /// When they aren't the JSON that is expected.
    pub fn from_json(text: &str) -> Result<Self, BadCall> {
        read_options(text, r#"such as {"at": "2026-01-31T12:00:00Z"}"#)
    }
}

/// Verifies that the bytes of a manifest or index are what a name means, by documents that were given. A document
/// that would be needed and was not given makes it *could not tell*.
///
/// # Errors
/// When an option or a document can't be used, or that is no name of an image.
pub fn verify_bytes(
    reference: &str,
    setup: &BytesSetup,
    root: &[u8],
    manifest: &[u8],
    documents: &Documents<'_>,
) -> Result<Report, BadCall> {
    let name = name(reference)?;
    let at = time("at", &setup.at)?;
    bounded("manifest", manifest, MANIFEST_MAX)?;
    let transport = transport(documents)?;
    let client =
        Client::new(root.to_vec(), std::sync::Arc::new(transport), store(setup.state.as_deref(), root)?, at);
    let verdict = Verifier::of(client).verify_manifest(&name, manifest, setup.media_type.as_deref());
    let verdict = verdict.map_err(|why| BadCall::new(why.to_string()))?;
    Ok(Report::of_manifest(&name, &verdict))
}

/// The documents, counted and measured before any is copied.
fn transport(documents: &Documents<'_>) -> Result<MemoryTransport, BadCall> {
    if documents.len() > DOCUMENTS_MAX {
        let got = documents.len();
        return Err(BadCall::new(format!("documents: expected at most {DOCUMENTS_MAX}, got {got}")));
    }
    let (mut total, mut names) = (0_u64, BTreeSet::new());
    for (name, bytes) in documents {
        if !names.insert(*name) {
            return Err(option("documents", &format!("expected each file once, got {name:?} twice")));
        }
        total = total.saturating_add(bounded(name, bytes, limits::TARGETS_BYTES)?);
    }
    if total > TOTAL_MAX {
        let why = format!("expected at most {TOTAL_MAX} bytes together, got {total}");
        return Err(option("documents", &why));
    }
    Ok(documents.iter().map(|(name, bytes)| (*name, *bytes)).collect())
}

fn bounded(name: &str, bytes: &[u8], most: u64) -> Result<u64, BadCall> {
    let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if got <= most {
        Ok(got)
    } else {
        Err(option(name, &format!("expected at most {most} bytes, got {got}")))
    }
}

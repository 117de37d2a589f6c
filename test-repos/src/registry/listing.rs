//! What a registry can do wrong with a list of referrers, beside what it can do wrong with any answer.

use serde_json::{Value, json};

use super::text;
use crate::http::{Body, Request, Response};

/// How a list of referrers is spoilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// In pages of so many, each with a link to the next.
    Paged {
        /// Entries of a page.
        size: usize,
    },
    /// The next page is this one, for ever.
    Loop,
    /// Every page is empty, and leads to another one.
    EmptyForEver,
    /// The next page is at another server.
    NextElsewhere {
        /// Its URL, without a path.
        to: String,
    },
    /// Entries without types and annotations, as older writers leave them.
    Bare,
    /// Only what has this artifact type, whatever was asked for; it says that a filter was applied.
    Only {
        /// The type.
        artifact_type: String,
    },
    /// All of it, though a filter was asked for; it says that it was applied.
    Unfiltered,
    /// These digests besides, whatever they refer to.
    Also(Vec<String>),
    /// No JSON.
    Nonsense,
}

const FILTERS: &str = "OCI-Filters-Applied";

impl Listing {
    pub(super) fn apply(&self, request: &Request, mut response: Response) -> Response {
        let document = match &response.body {
            Body::Bytes(bytes) if response.status == 200 => serde_json::from_slice::<Value>(bytes),
            _ => return response,
        };
        let Ok(mut index) = document else { return response };
        let Some(entries) = index.get_mut("manifests").and_then(Value::as_array_mut) else { return response };
        let path = request.path();
        let mut link = |to: &str| response.headers.set("Link", &format!("<{to}>; rel=\"next\""));
        match self {
            Self::Paged { size } => {
                let from = request.query("page").and_then(|page| page.parse().ok()).unwrap_or(0_usize);
                let next = from.saturating_add(1);
                let rest = entries.iter().skip(from.saturating_mul(*size));
                let page: Vec<_> = rest.clone().take(*size).cloned().collect();
                if rest.count() > page.len() {
                    link(&format!("{path}?page={next}"));
                }
                *entries = page;
            }
            Self::Loop => link(path),
            Self::EmptyForEver => {
                entries.clear();
                link(path);
            }
            Self::NextElsewhere { to } => link(&format!("{to}{path}?page=1")),
            Self::Bare => entries.iter_mut().for_each(bare),
            Self::Only { artifact_type } => {
                entries.retain(|entry| text(entry, "artifactType") == artifact_type);
                response.headers.set(FILTERS, "artifactType");
            }
            Self::Unfiltered => response.headers.set(FILTERS, "artifactType"),
            Self::Also(digests) => entries.extend(digests.iter().map(
                |digest| json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 500 }),
            )),
            Self::Nonsense => return response.body(Body::Bytes(b"<html>".to_vec())),
        }
        response.body(Body::Bytes(index.to_string().into_bytes()))
    }
}

fn bare(entry: &mut Value) {
    if let Some(entry) = entry.as_object_mut() {
        entry.retain(|name, _| ["mediaType", "digest", "size"].contains(&name.as_str()));
    }
}

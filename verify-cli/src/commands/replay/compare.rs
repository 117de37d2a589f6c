//! A report as it came beside the report that came out: every member must be the same.
//!
//! But for what only the report can know, and says of it: where image and repository were, how the root was come
//! by, and whether somebody hashed layers that aren't here. Of those that part is compared that is signed.

use std::collections::BTreeSet;

use image_pack::Pack;
use oci_image::Digest;
use serde::Serialize;
use serde_json::Value;
use tuf_core::TrustedRoot;

use super::text;

/// The most differences that are told.
const MOST: usize = 1000;

/// Something that the report says, and that isn't so.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Difference {
    /// Where in the report (RFC 6901).
    pub(super) at: String,
    /// What it says.
    pub(super) claimed: String,
    /// What is so.
    pub(super) found: String,
}

pub(super) struct Comparison {
    /// What the trust link may begin with.
    roots: BTreeSet<String>,
    /// Whether it was judged as of the time that the report names.
    own_time: bool,
    pub(super) differences: Vec<Difference>,
}

impl Comparison {
    pub(super) fn new(roots: BTreeSet<String>, own_time: bool) -> Self {
        Self { roots, own_time, differences: Vec::new() }
    }

    pub(super) fn compare(&mut self, at: &str, claimed: &Value, found: &Value) {
        match (claimed, found) {
            (Value::Object(a), Value::Object(b)) => {
                let stage = text(claimed, "stage").filter(|stage| text(found, "stage") == Some(*stage));
                let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
                for name in names {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match (a.get(name), b.get(name)) {
                        (Some(a), Some(b)) if self.allowed(stage, name, a, b) => {}
                        (Some(a), Some(b)) => self.compare(&at, a, b),
                        (a, b) => self.differ(&at, a, b),
                    }
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (place, (a, b)) in a.iter().zip(b).enumerate() {
                    self.compare(&format!("{at}/{place}"), a, b);
                }
            }
            (a, b) if a == b => {}
            (a, b) => self.differ(at, Some(a), Some(b)),
        }
    }

    /// Whether a member of a link may be other than it came out: see above.
    fn allowed(&self, stage: Option<&str>, name: &str, claimed: &Value, found: &Value) -> bool {
        let (Some(a), Some(b)) = (claimed.as_str(), found.as_str()) else { return false };
        match (stage, name) {
            (Some("trust"), "subject") | (Some("reference"), "detail") => true,
            (Some("trust"), "detail") => {
                let as_of = |detail: &str| detail.rsplit_once(", as of ").map(|(_, time)| time.to_owned());
                let begins = a.split_once(", by ").is_some_and(|(root, _)| self.roots.contains(root));
                begins && (as_of(a).is_none() || as_of(a) == as_of(b) || !self.own_time)
            }
            (Some("layer"), "status") => (a, b) == ("passed", "deferred") || (a, b) == ("deferred", "passed"),
            (Some("layer"), "detail") => {
                let forms = ["as stated", "hashed when they are read", "hashed as they were read"];
                let size = |detail: &str| {
                    let (size, form) = detail.split_once(" bytes, ")?;
                    forms.contains(&form).then(|| size.to_owned())
                };
                size(a).is_some() && size(a) == size(b)
            }
            (None, "layers") => [a, b].iter().all(|word| ["hashed", "deferred"].contains(word)),
            _ => false,
        }
    }

    fn differ(&mut self, at: &str, claimed: Option<&Value>, found: Option<&Value>) {
        let said = |value: Option<&Value>| match value {
            None => "nothing".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string().chars().take(200).collect(),
        };
        if self.differences.len() < MOST {
            self.differences.push(Difference {
                at: at.to_owned(),
                claimed: said(claimed),
                found: said(found),
            });
        }
    }
}

/// The report without the links of these stages, wherever it tells of them.
pub(super) fn without(report: &Value, stages: &[&str]) -> Value {
    let is = |link: Option<&Value>| {
        link.and_then(|link| text(link, "stage")).is_some_and(|stage| stages.contains(&stage))
    };
    let mut report = report.clone();
    if let Some(links) = report.get_mut("links").and_then(Value::as_array_mut) {
        links.retain(|link| !is(Some(link)));
    }
    if let Some(branches) = report.pointer_mut("/tree/children").and_then(Value::as_array_mut) {
        branches.retain(|branch| !is(branch.get("link")));
    }
    report
}

/// How a trust link begins: with the root that the user trusts, or one that leads to, or comes from, it in the proof.
pub(super) fn roots(pack: &Pack, trusted: &[u8]) -> BTreeSet<String> {
    let said = |bytes: &[u8]| {
        let version = root_version(bytes)?;
        Some(format!("root version {version} with sha256 {}", Digest::of(bytes).hex()))
    };
    let mut all: BTreeSet<_> = said(trusted).into_iter().collect();
    let mut newest = bootstrapped(trusted);
    while let Some(before) = newest {
        let next = before.version().checked_add(1).and_then(|version| pack.root(version).ok().flatten());
        newest = next.as_ref().and_then(|bytes| before.next(bytes).ok());
        if let (Some(_), Some(bytes)) = (&newest, &next) {
            all.extend(said(bytes));
        }
    }
    // The report may begin with an earlier one, which the one that is trusted now succeeds.
    let mut next = (bootstrapped(trusted).map(|root| root.version()), trusted.to_vec());
    while let Some(version) = next.0.and_then(|version| version.checked_sub(1)).filter(|version| *version > 0)
    {
        let Some(bytes) = pack.root(version).ok().flatten() else { break };
        let leads = bootstrapped(&bytes).is_some_and(|root| root.next(&next.1).is_ok());
        if !leads {
            break;
        }
        all.extend(said(&bytes));
        next = (Some(version), bytes);
    }
    all
}

pub(super) fn root_version(bytes: &[u8]) -> Option<u64> {
    bootstrapped(bytes).map(|root| root.version())
}

fn bootstrapped(bytes: &[u8]) -> Option<TrustedRoot> {
    TrustedRoot::bootstrap(bytes, chrono::DateTime::UNIX_EPOCH, tuf_core::crypto::default()).ok()
}

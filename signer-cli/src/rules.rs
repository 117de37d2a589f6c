//! What tags promise, and what `custom` says of it.

use oci_image::Digest;
use serde::Deserialize;
use serde_json::Value;
use tuf_core::PathPattern;
use tuf_core::schema::Target;

use crate::failure::Failure;

/// The digests that a tag of [`Rule::ForwardOnly`] may not go back to: the newest of them. A nightly build
/// makes a third of a kilobyte of them a week.
const HISTORY_MAX: usize = 64;

/// What a tag promises.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// It means one digest, for ever.
    Immutable,
    /// It never means a digest that it meant before.
    ForwardOnly,
    /// Nothing.
    #[default]
    Free,
}

/// A rule for the names that fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagRule {
    names: Vec<PathPattern>,
    pub(crate) rule: Rule,
}

impl TagRule {
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.names.iter().any(|pattern| pattern.matches(path))
    }
}

/// A member of what our signer says of a target.
fn said<'v>(custom: &'v Value, name: &str) -> Option<&'v Value> {
    custom.get("hallmark")?.get(name)
}

/// The `custom` of a target, as a value.
pub(crate) fn custom_of(target: &Target) -> Option<Value> {
    serde_json::from_str(target.custom.as_ref()?.get()).ok()
}

/// Sets a member of what our signer says of a target. Says whether there is a place for it.
pub(crate) fn say(custom: &mut Value, name: &str, value: Option<Value>) -> bool {
    let Some(hallmark) = custom.get_mut("hallmark").and_then(Value::as_object_mut) else { return false };
    match value {
        Some(value) => {
            hallmark.insert(name.to_owned(), value);
        }
        None => {
            hallmark.remove(name);
        }
    }
    true
}

/// Whether nobody shall run it.
pub(crate) fn is_yanked(custom: &Value) -> bool {
    said(custom, "yanked").is_some()
}

impl Rule {
    /// Refuses what would break the promise of a tag that is published, and writes the promise into what is
    /// said of it now.
    pub(crate) fn keep(
        self,
        path: &str,
        before: Option<(&Target, Digest)>,
        digest: Digest,
        custom: &mut Value,
    ) -> Result<(), Failure> {
        let old = before.and_then(|(target, _)| custom_of(target)).unwrap_or_default();
        let mut history: Vec<String> = said(&old, "history")
            .and_then(Value::as_array)
            .map(|all| all.iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect())
            .unwrap_or_default();
        let was = before.map(|(_, was)| was).filter(|was| *was != digest);
        let refused = |expected: String| {
            Failure::refused(format!("{path} would break its promise"))
                .detail(format!("expected {expected}, got {digest}"))
                .hint("publish it under another tag; or change the [[rule]] in signer.toml, and tell your users")
        };
        match self {
            Self::Free => return Ok(()),
            Self::Immutable => {
                if let Some(was) = was {
                    return Err(refused(format!("an immutable tag to stay {was}")));
                }
                say(custom, "rule", Some("immutable".into()));
            }
            Self::ForwardOnly => {
                history.extend(was.map(|was| was.to_string()));
                if history.contains(&digest.to_string()) {
                    return Err(refused("a digest that the tag never meant before".to_owned()));
                }
                let newest = history.len().saturating_sub(HISTORY_MAX);
                let newest: Vec<Value> = history.drain(newest..).map(Value::from).collect();
                say(custom, "rule", Some("forward-only".into()));
                if !newest.is_empty() {
                    say(custom, "history", Some(newest.into()));
                }
            }
        }
        Ok(())
    }
}

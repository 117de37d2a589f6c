//! What changes from one document to the next, in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tuf_core::Role;
use tuf_core::authoring::Document;
use tuf_core::schema::RoleKeys;

use crate::diff::changed_targets;
use crate::edit::short;

/// The images that are named one by one; of more only the number is said.
const NAMED: usize = 20;

/// The lines for one role, the first one its versions.
pub(crate) fn diff(role: &Role, before: Option<&Document>, after: &Document) -> Vec<String> {
    let expires = after.expires().map_or_else(String::new, |at| format!("{}", at.format("%Y-%m-%d")));
    let was = before.map_or_else(|| "new".to_owned(), |before| before.version().to_string());
    let mut lines = vec![format!("{} {was} -> {}, expires {expires}", role.name(), after.version())];
    let mut add = |found: Vec<String>| lines.extend(found.into_iter().map(|line| format!("  {line}")));
    match role {
        Role::Root => add(top_level(before, after)),
        _ => {
            add(delegations(before, after));
            add(images(before, after));
        }
    }
    lines
}

fn top_level(before: Option<&Document>, after: &Document) -> Vec<String> {
    let mut lines = Vec::new();
    for role in [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp] {
        let keys = |document: &Document| document.keys_of(&role).map(|(_, keys)| keys);
        lines.extend(keys_diff(role.name(), before.and_then(keys).as_ref(), keys(after).as_ref()));
    }
    lines
}

fn keys_diff(name: &str, before: Option<&RoleKeys>, after: Option<&RoleKeys>) -> Vec<String> {
    let ids = |keys: Option<&RoleKeys>| -> BTreeSet<String> {
        keys.map(|keys| keys.keyids.iter().cloned().collect()).unwrap_or_default()
    };
    let (was, is) = (ids(before), ids(after));
    let mut lines: Vec<String> =
        is.difference(&was).map(|id| format!("{name}: adds key {}", short(id))).collect();
    lines.extend(was.difference(&is).map(|id| format!("{name}: drops key {}", short(id))));
    let threshold = |keys: Option<&RoleKeys>| keys.map_or(0, |keys| keys.threshold.get());
    let (was, is) = (threshold(before), threshold(after));
    if was != is {
        lines.push(match was {
            0 => format!("{name}: threshold {is}"),
            _ => format!("{name}: threshold {was} -> {is}"),
        });
    }
    lines
}

fn delegations(before: Option<&Document>, after: &Document) -> Vec<String> {
    let (was, is) = (before.map(roles).unwrap_or_default(), roles(after));
    let mut lines = Vec::new();
    for (name, (what, _)) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
        lines.push(format!("lets {name} speak for {what}"));
    }
    for (name, (what, order)) in &is {
        let Some((was_what, was_order)) = was.get(name) else { continue };
        if was_what != what {
            lines.push(format!("lets {name} speak for {what}, not {was_what}"));
        } else if was_order != order && was.len() == is.len() {
            lines.push(format!("asks {name} as number {order}, not {was_order}"));
        }
    }
    for name in was.keys().filter(|name| !is.contains_key(*name)) {
        lines.push(format!("lets {name} speak no more"));
    }
    for name in is.keys() {
        let role = Role::of_targets(name);
        let keys = |document: &Document| document.keys_of(&role).map(|(_, keys)| keys);
        lines.extend(keys_diff(name, before.and_then(keys).as_ref(), keys(after).as_ref()));
    }
    lines
}

/// The named roles of a document: for what each speaks, and as which of them it is asked. All bins are one.
fn roles(document: &Document) -> BTreeMap<String, (String, usize)> {
    let mut all = BTreeMap::new();
    let Some(delegations) = document.signed().get("delegations") else { return all };
    if let Some(bins) = delegations.get("succinct_roles") {
        let bits = bins.get("bit_length").and_then(Value::as_u64).unwrap_or_default();
        let prefix = bins.get("name_prefix").and_then(Value::as_str).unwrap_or_default();
        let count = u32::try_from(bits).ok().and_then(|bits| 1_u64.checked_shl(bits)).unwrap_or_default();
        // Its keys are those of each of its roles: the first stands for all.
        let first =
            u32::try_from(bits).ok().and_then(|bits| tuf_core::authoring::bin_names(prefix, bits).next());
        all.insert(first.unwrap_or_default(), (format!("every name, as one of {count} bins"), 0));
    }
    let named = delegations.get("roles").and_then(Value::as_array);
    for (order, role) in named.into_iter().flatten().enumerate() {
        let text = |name: &str| role.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |name: &str| {
            let list = role.get(name).and_then(Value::as_array);
            list.map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
        };
        let what = list("paths").or_else(|| Some(format!("hashes {}", list("path_hash_prefixes")?)));
        let last = role.get("terminating").and_then(Value::as_bool).unwrap_or_default();
        let last = if last { ", and asks nobody else" } else { "" };
        all.insert(text("name"), (format!("{}{last}", what.unwrap_or_default()), order));
    }
    all
}

fn images(before: Option<&Document>, after: &Document) -> Vec<String> {
    let (mut added, mut changed, mut said, mut removed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (path, was, is) in &changed_targets(before, after) {
        match (was, is) {
            (None, Some(target)) => added.push(format!("+ {path}{}", digest(path, target))),
            (Some(old), Some(target)) if old.get("hashes") == target.get("hashes") => {
                said.push(format!("~ {path}: says something else of the same bytes"));
            }
            (Some(old), Some(target)) => {
                changed.push(format!("~ {path}{}, was{}", digest(path, target), digest("", old)));
            }
            (_, None) => removed.push(format!("- {path}")),
        }
    }
    let all: Vec<String> = [added, changed, said, removed].concat();
    let rest = all.len().saturating_sub(NAMED);
    let more = (rest > 0).then(|| format!("and {rest} more images"));
    all.into_iter().take(NAMED).chain(more).collect()
}

fn digest(path: &str, target: &Value) -> String {
    let sha256 = target.get("hashes").and_then(|hashes| hashes.get("sha256")).and_then(Value::as_str);
    match sha256 {
        Some(sha256) if !path.ends_with(sha256) => format!(" sha256:{sha256}"),
        _ => String::new(),
    }
}

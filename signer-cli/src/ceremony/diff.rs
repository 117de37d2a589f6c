//! What changes from one document to the next, in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tuf_core::Role;
use tuf_core::authoring::Document;
use tuf_core::key::Key;

use crate::diff::changed_targets;
use crate::edit::short;
use crate::proposal::Keyed;
use crate::terminal::one_line;

/// The images that are named one by one; of more only the number is said.
const NAMED: usize = 20;
/// Of a member that nobody here knows, so much is shown.
const MEMBER_MAX: usize = 60;
/// What every document says, or what has lines of its own.
const SHOWN: [&str; 6] = ["_type", "version", "expires", "keys", "roles", "targets"];

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
    add(members(before, after));
    // Names in it are others' choice, and must not look like lines of ours.
    lines.iter().map(|line| one_line(line)).collect()
}

/// Whatever else is said otherwise than before: of what is signed, nothing goes unseen.
fn members(before: Option<&Document>, after: &Document) -> Vec<String> {
    let Some(before) = before else { return Vec::new() };
    let (was, is) = (before.signed(), after.signed());
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let unknown = names.into_iter().filter(|name| !SHOWN.contains(&name.as_str()) && *name != "delegations");
    let mut lines: Vec<String> =
        unknown.filter_map(|name| member(name, was.get(name), is.get(name))).collect();
    let others = |document: &Document| {
        let roles = document.signed().get("roles").and_then(Value::as_object).cloned().unwrap_or_default();
        let top = ["root", "targets", "snapshot", "timestamp"];
        Value::from_iter(roles.into_iter().filter(|(name, _)| !top.contains(&name.as_str())))
    };
    lines.extend(member("other roles", Some(&others(before)), Some(&others(after))));
    lines
}

fn member(name: &str, was: Option<&Value>, is: Option<&Value>) -> Option<String> {
    let said = |value: Option<&Value>| {
        let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
        let cut = text.chars().count() > MEMBER_MAX;
        text.chars().take(MEMBER_MAX).chain(cut.then_some('…')).collect::<String>()
    };
    (was != is).then(|| format!("{name}: {} -> {}", said(was), said(is)))
}

fn top_level(before: Option<&Document>, after: &Document) -> Vec<String> {
    let mut lines = Vec::new();
    for role in [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp] {
        lines.extend(keys_diff(&role, before, after));
    }
    lines
}

fn keys_diff(role: &Role, before: Option<&Document>, after: &Document) -> Vec<String> {
    let name = role.name();
    let keyed = |document: &Document| document.keys_of(role);
    let (was, is) = (before.and_then(keyed), keyed(after));
    let ids = |keys: &Option<Keyed>| -> BTreeSet<String> {
        keys.iter().flat_map(|(_, keys)| keys.keyids.iter().cloned()).collect()
    };
    let key = |keys: &Option<Keyed>, id: &str| keys.as_ref().and_then(|(all, _)| all.get(id).cloned());
    let (had, has) = (ids(&was), ids(&is));
    let mut lines: Vec<String> = Vec::new();
    for id in has.difference(&had) {
        lines.push(format!("{name}: adds key {}{}", short(id), own_id(id, key(&is, id).as_ref())));
    }
    for id in has.intersection(&had).filter(|id| key(&was, id) != key(&is, id)) {
        let own = own_id(id, key(&is, id).as_ref());
        lines.push(format!("{name}: PUTS ANOTHER KEY in the place of {}{own}", short(id)));
    }
    lines.extend(had.difference(&has).map(|id| format!("{name}: drops key {}", short(id))));
    let threshold = |keys: &Option<Keyed>| keys.as_ref().map_or(0, |(_, keys)| keys.threshold.get());
    let (was, is) = (threshold(&was), threshold(&is));
    if was != is {
        lines.push(match was {
            0 => format!("{name}: threshold {is}"),
            _ => format!("{name}: threshold {was} -> {is}"),
        });
    }
    lines
}

/// Programs choose the ids of keys. One that isn't made of the key, as ours are, may be called after another one's.
fn own_id(id: &str, key: Option<&Key>) -> String {
    match key.map(Key::id) {
        Some(own) if own != id => format!(", which by itself is {}", short(&own)),
        Some(_) => String::new(),
        None => ", which is missing".to_owned(),
    }
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
        lines.extend(keys_diff(&Role::of_targets(name), before, after));
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
            (None, Some(target)) => {
                added.push(format!("+ {path}{}{}", digest(path, target), taken_back(target)))
            }
            (Some(old), Some(target)) if old.get("hashes") == target.get("hashes") => {
                said.push(match (yanked(old), yanked(target)) {
                    (Some(_), None) => format!("~ {path}: is no longer yanked"),
                    (old, new) if old != new => format!("~ {path}{}", taken_back(target)),
                    _ => format!("~ {path}: says something else of the same bytes"),
                });
            }
            (Some(old), Some(target)) => {
                let (is, was) = (digest(path, target), digest("", old));
                changed.push(format!("~ {path}{is}, was{was}{}", taken_back(target)));
            }
            (_, None) => removed.push(format!("- {path}")),
        }
    }
    let (mut lines, mut rest, mut left) = (Vec::new(), Vec::new(), NAMED);
    // What goes or moves is named before what is new: of that there may be much.
    for (kind, all) in [("removed", removed), ("changed", changed), ("said anew", said), ("added", added)] {
        let named = all.len().min(left);
        left = left.saturating_sub(named);
        if all.len() > named {
            rest.push(format!("{} {kind}", all.len().saturating_sub(named)));
        }
        lines.extend(all.into_iter().take(named));
    }
    lines.extend((!rest.is_empty()).then(|| format!("and more images: {}", rest.join(", "))));
    lines
}

/// Why nobody shall run it, where that is so.
fn yanked(target: &Value) -> Option<&Value> {
    target.pointer("/custom/hallmark/yanked")
}

fn taken_back(target: &Value) -> String {
    let reason = |yanked: &Value| yanked.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    yanked(target).map_or_else(String::new, |yanked| format!(", yanked: {}", reason(yanked)))
}

fn digest(path: &str, target: &Value) -> String {
    let sha256 = target.get("hashes").and_then(|hashes| hashes.get("sha256")).and_then(Value::as_str);
    match sha256 {
        Some(sha256) if !path.ends_with(sha256) => format!(" sha256:{sha256}"),
        _ => String::new(),
    }
}

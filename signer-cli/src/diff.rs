//! How two statements of one role differ. Read from the documents, whoever wrote them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tuf_core::Role;
use tuf_core::authoring::Document;
use tuf_core::key::Key;
use tuf_core::schema::RoleKeys;

use crate::evidence;
use crate::reports::diff::{KeysDiff, NameDiff, RoleDiff};

/// From the statement that is published, if any, to the next one.
pub(crate) fn between(role: &Role, old: Option<&Document>, new: &Document) -> RoleDiff {
    RoleDiff {
        role: role.name().to_owned(),
        old_version: old.map(Document::version),
        new_version: new.version(),
        old_expires: old.and_then(Document::expires),
        new_expires: new.expires(),
        names: names(old, new),
        keys: keys(role, old, new),
    }
}

fn names(old: Option<&Document>, new: &Document) -> Vec<NameDiff> {
    let changed = changed_targets(old, new);
    changed.iter().map(|(name, old, new)| name_diff(name, old.as_ref(), new.as_ref())).collect()
}

/// A target, and what is said of it before and after.
pub(crate) type Changed = (String, Option<Value>, Option<Value>);

/// The targets of which something else is said, by name.
pub(crate) fn changed_targets(old: Option<&Document>, new: &Document) -> Vec<Changed> {
    let (old, new) = (old.map(|old| old.listed("targets")).unwrap_or_default(), new.listed("targets"));
    let all: BTreeSet<&str> = old.keys().chain(new.keys()).map(AsRef::as_ref).collect();
    let changed = all.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let read = |text: Option<&Cow<'_, str>>| serde_json::from_str(text?).ok();
    changed.map(|name| (name.to_owned(), read(old.get(name)), read(new.get(name)))).collect()
}

fn name_diff(name: &str, old: Option<&Value>, new: Option<&Value>) -> NameDiff {
    let digest = |target: &Value| {
        let hashes = target.get("hashes")?.as_object()?;
        let sha256 = hashes.get("sha256").and_then(Value::as_str).map(|hex| format!("sha256:{hex}"));
        sha256.or_else(|| hashes.iter().find_map(|(kind, hex)| Some(format!("{kind}:{}", hex.as_str()?))))
    };
    let reason = |target: &Value| {
        let reason = target.pointer("/custom/hallmark/yanked/reason")?;
        Some(reason.as_str()?.to_owned())
    };
    let evidence = |target: Option<&Value>| {
        target.and_then(|target| target.get("custom")).map(evidence::named).unwrap_or_default()
    };
    let (had, has) = (evidence(old), evidence(new));
    NameDiff {
        evidence: (had != has && new.is_some()).then_some(has),
        name: name.to_owned(),
        old_digest: old.and_then(digest),
        new_digest: new.and_then(digest),
        yanked: new.and_then(reason),
    }
}

fn keys(role: &Role, old: Option<&Document>, new: &Document) -> Vec<KeysDiff> {
    let mut roles: Vec<Role> = Vec::new();
    for document in old.into_iter().chain([new]) {
        for one in spoken_of(role, document) {
            if !roles.contains(&one) {
                roles.push(one);
            }
        }
    }
    roles.iter().filter_map(|one| keys_diff(one, old, new)).collect()
}

/// The roles that a document names keys for.
fn spoken_of(role: &Role, document: &Document) -> Vec<Role> {
    if *role == Role::Root {
        return vec![Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp];
    }
    let delegations = document.signed().get("delegations");
    let named = delegations.and_then(|all| all.get("roles")).and_then(Value::as_array);
    let named = named.into_iter().flatten().filter_map(|one| one.get("name")?.as_str());
    // Bins share their keys: the first one speaks for all.
    let bins = delegations.and_then(|all| all.get("succinct_roles")).and_then(|bins| {
        let bits = u32::try_from(bins.get("bit_length")?.as_u64()?).ok()?;
        tuf_core::authoring::bin_names(bins.get("name_prefix")?.as_str()?, bits).next()
    });
    named.map(str::to_owned).chain(bins).map(|name| Role::of_targets(&name)).collect()
}

fn keys_diff(role: &Role, old: Option<&Document>, new: &Document) -> Option<KeysDiff> {
    let (old_keys, before) = old.and_then(|old| old.keys_of(role)).unzip();
    let (new_keys, after) = new.keys_of(role).unzip();
    // An id under which another key stands is that of a key that goes and of one that comes.
    let key =
        |keys: &Option<BTreeMap<String, Key>>, id: &str| keys.as_ref().and_then(|all| all.get(id).cloned());
    let other = |id: &str| key(&old_keys, id) != key(&new_keys, id);
    let ids = |keys: &Option<RoleKeys>| keys.as_ref().map(|keys| keys.keyids.clone()).unwrap_or_default();
    let (had, has) = (ids(&before), ids(&after));
    let (old_paths, new_paths) = (old.and_then(|old| paths(role, old)), paths(role, new));
    let diff = KeysDiff {
        role: role.name().to_owned(),
        old_threshold: before.map(|keys| keys.threshold.get()),
        new_threshold: after.map(|keys| keys.threshold.get()),
        added: has.iter().filter(|id| !had.contains(id) || other(id)).cloned().collect(),
        removed: had.iter().filter(|id| !has.contains(id) || other(id)).cloned().collect(),
        new_paths: if old_paths == new_paths { None } else { new_paths },
    };
    let same = diff.old_threshold == diff.new_threshold;
    (!same || !diff.added.is_empty() || !diff.removed.is_empty() || diff.new_paths.is_some()).then_some(diff)
}

fn paths(role: &Role, document: &Document) -> Option<Vec<String>> {
    let roles = document.signed().get("delegations")?.get("roles")?.as_array()?;
    let one = roles.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(role.name()))?;
    let paths = one.get("paths")?.as_array()?;
    Some(paths.iter().filter_map(|path| Some(path.as_str()?.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use tuf_core::crypto::{Ed25519Signer, Sign as _};

    use super::*;

    #[test]
    fn keys_and_thresholds_that_change_are_named() {
        let expires = "2030-01-01T00:00:00Z".parse().unwrap();
        let (a, b) = (Ed25519Signer::from_seed(&[1; 32]), Ed25519Signer::from_seed(&[2; 32]));
        let mut old = Document::root(expires);
        for role in [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp] {
            old.add_key(&role, a.key());
        }
        let mut new = old.clone();
        new.add_key(&Role::Root, b.key());
        new.set_threshold(&Role::Root, 2);
        new.add_key(&Role::Targets, b.key());
        new.remove_key(&Role::Targets, &a.key_id());
        new.set_version(2);
        let diff = between(&Role::Root, Some(&old), &new);
        let expected = [
            KeysDiff {
                role: "root".into(),
                old_threshold: Some(1),
                new_threshold: Some(2),
                added: vec![b.key_id()],
                ..KeysDiff::default()
            },
            KeysDiff {
                role: "targets".into(),
                old_threshold: Some(1),
                new_threshold: Some(1),
                added: vec![b.key_id()],
                removed: vec![a.key_id()],
                ..KeysDiff::default()
            },
        ];
        assert_eq!(diff.keys, expected);
        assert_eq!((diff.old_version, diff.new_version, diff.names.len()), (Some(1), 2, 0));
        assert!(between(&Role::Root, Some(&new), &new).keys.is_empty());
    }
}

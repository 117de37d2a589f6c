//! Thresholds without margin, keys that do too much, and keys that count for nothing.

use std::collections::{BTreeMap, BTreeSet};

use tuf_core::Role;
use tuf_core::key::Key;
use tuf_core::schema::RoleKeys;

use super::Findings;
use crate::edit::short;
use crate::published::Published;
use crate::reports::doctor::Area;

/// A role, its keys by the ids under which they are listed, and who must sign.
type Listed = (Role, BTreeMap<String, Key>, RoleKeys);

pub(super) fn look(published: Option<&Published<'_>>, findings: &mut Findings) {
    let Some(published) = published else { return findings.skip(Area::Roles) };
    let roles = roles(published);
    for (role, keys, of) in &roles {
        unusable(role, keys, of, findings);
        margin(role, keys, of, findings);
    }
    shared(&roles, findings);
    let least = published.root.roles.root.threshold;
    findings.close(Area::Roles, format!("{least} keys must sign the root, and each role may lose one"));
}

/// The top-level roles and those that are delegated by name.
fn roles(published: &Published<'_>) -> Vec<Listed> {
    let root = &published.root;
    let all = &root.roles;
    let mut roles = Vec::new();
    for (role, of) in [
        (Role::Root, &all.root),
        (Role::Targets, &all.targets),
        (Role::Snapshot, &all.snapshot),
        (Role::Timestamp, &all.timestamp),
    ] {
        let keys = of.keyids.iter().filter_map(|id| Some((id.clone(), root.keys.get(id)?.clone())));
        roles.push((role, keys.collect(), of.clone()));
    }
    // Where one of them is damaged, that is told of the published files.
    for loaded in published.delegated(false).unwrap_or_default() {
        let role = loaded.trusted.role().clone();
        let by = loaded.delegator.as_ref().and_then(|by| published.role(by).ok().flatten());
        if let Some((keys, of)) = by.and_then(|by| by.keys_of(role.name())) {
            roles.push((role, keys, of));
        }
    }
    roles
}

/// Keys that no client here can check, or that a role names and nobody lists.
fn unusable(role: &Role, keys: &BTreeMap<String, Key>, of: &RoleKeys, findings: &mut Findings) {
    for id in &of.keyids {
        let why = match keys.get(id).map(Key::material) {
            Some(Ok(_)) => continue,
            Some(Err(why)) => why.to_string(),
            None => "it is named, and not listed".to_owned(),
        };
        findings.warning(
            Area::Roles,
            format!("a key of {role} counts for nothing: {why}"),
            format!("key {}", short(id)),
            &format!("`signer role remove-key {} {id}`, and give the role another", role.name()),
        );
    }
}

/// Each key counts once, under however many ids it is listed.
fn distinct(keys: &BTreeMap<String, Key>) -> BTreeSet<String> {
    keys.values().filter_map(|key| key.to_pem().ok()).collect()
}

fn margin(role: &Role, keys: &BTreeMap<String, Key>, of: &RoleKeys, findings: &mut Findings) {
    let (need, have) = (usize::try_from(of.threshold.get()).unwrap_or(usize::MAX), distinct(keys).len());
    let (name, at) = (role.name(), format!("{role}, {need} of {have}"));
    if have < need {
        let what = format!("{role} can't be signed: expected {need} keys, got {have}");
        findings.problem(Area::Roles, what, at, &format!("`signer role add-key {name} FILE`"));
        return;
    }
    if *role == Role::Root && need == 1 {
        findings.warning(
            Area::Roles,
            "one stolen key of root is enough to take the repository over",
            &at,
            "`signer role add-key root FILE` twice, then `signer role threshold root 2`, and publish",
        );
    }
    // Root replaces those of the online roles in an hour; nobody but root replaces root's.
    let online = matches!(role, Role::Snapshot | Role::Timestamp);
    if have == need && !online {
        let lost = match role {
            Role::Root => {
                "the loss of one key of root is for ever: all users need a new first root".to_owned()
            }
            _ => format!("the loss of one key stops {role} until who gave it its keys gives it others"),
        };
        findings.warning(Area::Roles, lost, at, &format!("`signer role add-key {name} FILE`, and publish"));
    }
}

/// One key in two roles is one theft for both.
fn shared(roles: &[Listed], findings: &mut Findings) {
    let online = |role: &Role| matches!(role, Role::Snapshot | Role::Timestamp);
    let distinct: Vec<BTreeSet<String>> = roles.iter().map(|(_, keys, _)| distinct(keys)).collect();
    let all = || roles.iter().zip(&distinct);
    // One of the two is a top-level role, and these come first.
    for (at, ((role, keys, of), own)) in all().enumerate().take(4) {
        for ((other, others, of_other), theirs) in all().skip(at.saturating_add(1)) {
            // Snapshot and timestamp lie on one machine anyway; who gives roles away may hold them.
            // Where several must sign, the same people may sign for root and for targets.
            let alone = of.threshold.get() == 1 || of_other.threshold.get() == 1;
            let apart = (*role == Role::Root && alone) || (online(role) != online(other));
            if !apart || own.is_disjoint(theirs) {
                continue;
            }
            let id = keys.iter().find(|(_, key)| others.values().any(|other| same(key, other)));
            let id = id.map(|(id, _)| id.as_str()).unwrap_or_default();
            let both_alone = of.threshold.get() == 1 && of_other.threshold.get() == 1;
            let gains = if both_alone { "has both" } else { "is nearer to both" };
            let rotated = if *role == Role::Root { other } else { role };
            findings.warning(
                Area::Roles,
                format!("one key signs for {role} and for {other}: who steals it {gains}"),
                format!("key {}", short(id)),
                &format!("`signer role rotate {}` gives that role a key of its own", rotated.name()),
            );
        }
    }
}

fn same(one: &Key, other: &Key) -> bool {
    one.to_pem().is_ok_and(|pem| other.to_pem().is_ok_and(|other| other == pem))
}

/// The keys of every role, in one spelling; `None` where not every role can be read.
pub(super) fn listed_keys(published: &Published<'_>) -> Option<BTreeSet<String>> {
    let mut all: BTreeSet<String> = roles(published).iter().flat_map(|(_, keys, _)| distinct(keys)).collect();
    // Bins have keys too, and are named by nobody.
    let documents = published.delegated(false).ok()?;
    let top = published.targets().trusted.document().delegations.as_ref();
    let below = documents.iter().filter_map(|one| one.trusted.document().delegations.as_ref());
    for delegations in top.into_iter().chain(below) {
        all.extend(distinct(&delegations.keys));
    }
    Some(all)
}

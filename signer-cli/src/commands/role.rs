//! `signer role`: who signs for a role, and how many must. Staged like images, signed by `publish`.

use std::path::Path;

use tuf_core::Role;

use super::edits::{Desk, public_key, reports};
use crate::Surroundings;
use crate::args::roles::{RoleCommand, RotateArgs};
use crate::edit::{Edit, short};
use crate::failure::Failure;
use crate::new_key::NewKey;
use crate::passphrase::Source;
use crate::reports::edits::Edits;

pub(crate) fn run(dir: &Path, command: &RoleCommand, around: &Surroundings) -> Result<Edits, Failure> {
    let desk = Desk::open(dir, around)?;
    let edits = match command {
        RoleCommand::Threshold(args) => {
            vec![Edit::Threshold { role: args.role.clone(), threshold: args.threshold }]
        }
        RoleCommand::AddKey(args) => {
            let key = public_key(&desk, &args.key, &Source::of(&args.passphrase, around))?;
            vec![Edit::AddKey { role: args.role.clone(), key }]
        }
        RoleCommand::RemoveKey(args) => {
            let key_id = desk.key_id(&args.role, &args.key_id, around)?;
            vec![Edit::RemoveKey { role: args.role.clone(), key_id }]
        }
        RoleCommand::Rotate(args) => {
            return reports(&desk, rotate(&desk, args, around)?, args.rehearsal, around);
        }
        RoleCommand::Revoke(args) => revoke(&desk, &args.key_id, around)?,
        RoleCommand::Renew(args) => vec![Edit::Renew { role: args.role.clone() }],
    };
    reports(&desk, (edits, None), command.rehearsal(), around)
}

/// New keys in the place of the old: one by one, or all at once.
fn rotate(
    desk: &Desk,
    args: &RotateArgs,
    around: &Surroundings,
) -> Result<(Vec<Edit>, Option<NewKey>), Failure> {
    let old = match &args.only {
        Some(only) => vec![desk.key_id(&args.role, only, around)?],
        None => desk.keys_of(&args.role, around)?.1.keyids,
    };
    let source = Source::of(&args.passphrase, around);
    let (mut keys, mut made) = (Vec::new(), None);
    for key in &args.keys {
        keys.push(public_key(desk, key, &source)?);
    }
    if keys.is_empty() {
        if old.len() > 1 {
            return Err(Failure::usage(format!("{} has {} keys", args.role, old.len()))
                .detail(format!("its keys are {}", old.join(", ")))
                .hint("name the one to replace with --only, or all the new ones with --key"));
        }
        let role = Role::of_targets(&args.role);
        let key =
            NewKey::make(&desk.repository, &role, &source, args.unencrypted_keys || args.rehearsal.dry_run)?;
        keys.push(key.public.clone());
        made = Some(key);
    }
    let role = || args.role.clone();
    let kept: Vec<String> = keys.iter().map(|key| key.id.clone()).collect();
    let added = keys.into_iter().map(|key| Edit::AddKey { role: role(), key });
    let removed = old.into_iter().filter(|id| !kept.contains(id));
    let removed = removed.map(|key_id| Edit::RemoveKey { role: role(), key_id });
    let threshold = args.threshold.map(|threshold| Edit::Threshold { role: role(), threshold });
    Ok((added.chain(removed).chain(threshold).collect(), made))
}

/// Takes a key from every role.
fn revoke(desk: &Desk, wanted: &str, around: &Surroundings) -> Result<Vec<Edit>, Failure> {
    let mut edits = Vec::new();
    for (role, ids) in desk.all_keys(around)? {
        for key_id in ids.into_iter().filter(|id| id.starts_with(wanted)) {
            edits.push(Edit::RemoveKey { role: role.clone(), key_id });
        }
    }
    let mut ids: Vec<&str> = edits
        .iter()
        .filter_map(|edit| match edit {
            Edit::RemoveKey { key_id, .. } => Some(key_id.as_str()),
            _ => None,
        })
        .collect();
    ids.dedup();
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [_] => Ok(edits),
        [] => Err(Failure::refused(format!("no role has a key {}", short(wanted)))
            .hint("`signer status --format json` lists the keys of each role")),
        several => {
            Err(Failure::usage(format!("{wanted} is the beginning of several keys"))
                .detail(several.join(", ")))
        }
    }
}

//! `signer role`: who signs for a role, and how many must. Staged like images, signed by `publish`.

use std::collections::BTreeMap;
use std::path::Path;

use tuf_core::Role;
use tuf_core::key::Key;

use super::edits::{Bins, Desk, public_key, reports};
use crate::Surroundings;
use crate::args::roles::{RevokeArgs, RoleCommand, RotateArgs};
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
        RoleCommand::Rotate(args) => return rotated(dir, args, around),
        RoleCommand::Revoke(args) => return revoked(dir, args, around),
        RoleCommand::Renew(args) => vec![Edit::Renew { role: args.role.clone() }],
    };
    reports(&desk, (edits, None), command.rehearsal(), around)
}

/// `signer role rotate`, and `signer key rotate`.
pub(super) fn rotated(dir: &Path, args: &RotateArgs, around: &Surroundings) -> Result<Edits, Failure> {
    let desk = Desk::open(dir, around)?;
    reports(&desk, rotate(&desk, args, around)?, args.rehearsal, around)
}

/// `signer role revoke`, and `signer key revoke`.
pub(super) fn revoked(dir: &Path, args: &RevokeArgs, around: &Surroundings) -> Result<Edits, Failure> {
    let desk = Desk::open(dir, around)?;
    reports(&desk, (revoke(&desk, &args.key_id, around)?, None), args.rehearsal, around)
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

/// Takes a key from every role, under whatever id a role lists it.
fn revoke(desk: &Desk, wanted: &str, around: &Surroundings) -> Result<Vec<Edit>, Failure> {
    let holders = desk.holders(Bins::Each, around)?;
    let all = || holders.iter().flat_map(|(role, keys)| keys.iter().map(move |(id, key)| (role, id, key)));
    let named: BTreeMap<&str, &Key> =
        all().filter(|(_, id, _)| id.starts_with(wanted)).map(|(_, id, key)| (id.as_str(), key)).collect();
    let (Some((id, key)), 1) = (named.first_key_value(), named.len()) else {
        if named.is_empty() {
            return Err(Failure::refused(format!("no role has a key {}", short(wanted)))
                .hint("`signer status --format json` lists the keys of each role"));
        }
        let ids: Vec<&str> = named.into_keys().collect();
        return Err(
            Failure::usage(format!("{wanted} is the beginning of several keys")).detail(ids.join(", "))
        );
    };
    let material = key.material().ok();
    let same = |(_, other, key): &(&String, &String, &Key)| {
        other == id || (material.is_some() && key.material().ok() == material)
    };
    let remove =
        |(role, id, _): (&String, &String, &Key)| Edit::RemoveKey { role: role.clone(), key_id: id.clone() };
    Ok(all().filter(same).map(remove).collect())
}

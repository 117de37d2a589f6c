//! `signer delegate`: who else may speak, and for what. Staged like images, signed by `publish`.

use std::path::Path;

use tuf_core::Role;
use tuf_core::schema::{Delegations, RoleKeys};

use super::edits::{Desk, public_key, reports};
use crate::Surroundings;
use crate::args::RehearsalArgs;
use crate::args::roles::{BinsArgs, DelegateAddArgs, DelegateCommand, RoleKeyArgs};
use crate::edit::{Edit, KeyText, top_level};
use crate::failure::Failure;
use crate::new_key::NewKey;
use crate::passphrase::Source;
use crate::report::{Answer, VERSION};
use crate::reports::edits::{Delegated, Delegations as Report};

/// Every client downloads the list of bins that are written out: beyond this it costs more than it saves.
const HASHED_MAX: u32 = 16_384;
/// The snapshot lists each bin: at 65,536 that is 2 MB for every client.
const SUCCINCT_MAX: u32 = 65_536;

pub(crate) fn run(dir: &Path, command: &DelegateCommand, around: &Surroundings) -> Result<Answer, Failure> {
    let desk = Desk::open(dir, around)?;
    let (edits, rehearsal) = match command {
        DelegateCommand::List => return list(&desk).map(Answer::Delegations),
        DelegateCommand::Add(args) => (add(&desk, args, around)?, args.rehearsal),
        DelegateCommand::Remove(args) => {
            let by = desk.delegator_of(&args.name)?;
            ((vec![Edit::Undelegate { by, role: args.name.clone() }], None), args.rehearsal)
        }
        DelegateCommand::Bins(args) => (bins(&desk, args, around)?, args.rehearsal),
    };
    reports(&desk, edits, rehearsal, around).map(Answer::Edits)
}

/// Edits, and a key that was made for them.
type Made = (Vec<Edit>, Option<NewKey>);

fn add(desk: &Desk, args: &DelegateAddArgs, around: &Surroundings) -> Result<Made, Failure> {
    let DelegateAddArgs { name, paths, keys, terminating, by, rehearsal } = args;
    expect_free_name(desk, name)?;
    let odd = |path: &&String| path.is_empty() || path.starts_with('/') || path.contains(char::is_control);
    if let Some(empty) = paths.iter().find(odd) {
        return Err(Failure::usage(format!("{empty:?} is no pattern of names"))
            .hint("a pattern looks like registry.example.com/acme/*"));
    }
    let (role_keys, made) = role_keys(desk, &Role::of_targets(name), keys, *rehearsal, around)?;
    let edit = Edit::Delegate {
        by: by.clone(),
        role: name.clone(),
        threshold: keys.threshold.unwrap_or(1),
        keys: role_keys,
        terminating: *terminating,
        paths: paths.clone(),
    };
    Ok((vec![edit], made))
}

fn bins(desk: &Desk, args: &BinsArgs, around: &Surroundings) -> Result<Made, Failure> {
    let BinsArgs { count, succinct, prefix, keys, rehearsal } = args;
    let most = if *succinct { SUCCINCT_MAX } else { HASHED_MAX };
    if !count.is_power_of_two() || !(2..=most).contains(count) {
        return Err(Failure::usage(format!("expected a power of two from 2 to {most}, got {count}")));
    }
    let bit_length = count.ilog2();
    let published = desk.published()?;
    let before = published.targets().trusted.document().delegations.as_ref();
    // Spread anew, they keep their keys, and as many must sign.
    let same = before.and_then(|all| Some((&all.keys, keys_of_bins(all)?)));
    let threshold = keys.threshold.or(same.as_ref().map(|(_, bins)| bins.threshold.get())).unwrap_or(1);
    let (keys, made) = match (keys.keys.is_empty(), same) {
        (true, Some((all, bins))) => {
            let named = |id: &String| Some(KeyText::named(id.clone(), all.get(id)?));
            (bins.keyids.iter().filter_map(named).collect(), None)
        }
        _ => role_keys(desk, &Role::of_targets(prefix), keys, *rehearsal, around)?,
    };
    let edit = Edit::Bins { prefix: prefix.clone(), bit_length, succinct: *succinct, keys, threshold };
    Ok((vec![edit], made))
}

/// Who signs the bins, where the same keys sign all of them.
fn keys_of_bins(delegations: &Delegations) -> Option<RoleKeys> {
    if let Some(bins) = &delegations.succinct_roles {
        return Some(RoleKeys { keyids: bins.keyids.clone(), threshold: bins.threshold });
    }
    let mut bins = delegations.roles().filter(|role| role.path_hash_prefixes.is_some());
    let first = bins.next()?;
    let same = bins.all(|bin| bin.keyids == first.keyids && bin.threshold == first.threshold);
    same.then_some(RoleKeys { keyids: first.keyids, threshold: first.threshold })
}

/// The keys that were named, or a new one.
fn role_keys(
    desk: &Desk,
    role: &Role,
    args: &RoleKeyArgs,
    rehearsal: RehearsalArgs,
    around: &Surroundings,
) -> Result<(Vec<KeyText>, Option<NewKey>), Failure> {
    let source = Source::of(&args.passphrase, around);
    if args.keys.is_empty() {
        let made = NewKey::make(&desk.repository, role, &source, args.unencrypted_keys || rehearsal.dry_run)?;
        return Ok((vec![made.public.clone()], Some(made)));
    }
    let named: Result<_, _> = args.keys.iter().map(|key| public_key(desk, key, &source)).collect();
    named.map(|keys| (keys, None))
}

fn expect_free_name(desk: &Desk, name: &str) -> Result<(), Failure> {
    if name.is_empty() || top_level(name).is_some() || name.contains(char::is_control) {
        return Err(Failure::usage(format!("a delegated role can't be called {name:?}"))
            .detail("expected a name of its own on one line, not that of a top-level role"));
    }
    let role = Role::of_targets(name);
    match desk.published()?.role(&role)? {
        None => Ok(()),
        Some(_) => Err(Failure::refused(format!("{name} is a role already"))
            .hint("`signer role` changes its keys; `signer delegate remove` takes it away")),
    }
}

fn list(desk: &Desk) -> Result<Report, Failure> {
    let published = desk.published()?;
    let mut roles = Vec::new();
    let mut holders = vec![published.role(&Role::Targets)?];
    holders.extend(published.delegated(false)?.into_iter().map(Some));
    for holder in holders.into_iter().flatten() {
        let Some(delegations) = &holder.trusted.document().delegations else { continue };
        let by = holder.trusted.role().name().to_owned();
        for role in delegations.roles().filter(|role| role.path_hash_prefixes.is_none()) {
            roles.push(Delegated {
                role: role.name,
                by: by.clone(),
                paths: role.paths.unwrap_or_default().iter().map(|path| path.as_str().to_owned()).collect(),
                bins: None,
                terminating: role.terminating,
                threshold: role.threshold.get(),
                key_ids: role.keyids,
            });
        }
        let mut hashed = delegations.roles().filter(|role| role.path_hash_prefixes.is_some());
        if let Some(first) = hashed.next() {
            let bins = u64::try_from(hashed.count()).unwrap_or(u64::MAX).saturating_add(1);
            roles.push(Delegated {
                role: first.name,
                by: by.clone(),
                paths: Vec::new(),
                bins: Some(bins),
                terminating: false,
                threshold: first.threshold.get(),
                key_ids: first.keyids,
            });
        }
        if let Some(bins) = &delegations.succinct_roles {
            roles.push(Delegated {
                role: bins.name_prefix.clone(),
                by,
                paths: Vec::new(),
                bins: 1_u64.checked_shl(bins.bit_length),
                terminating: false,
                threshold: bins.threshold.get(),
                key_ids: bins.keyids.clone(),
            });
        }
    }
    Ok(Report { version: VERSION, roles })
}

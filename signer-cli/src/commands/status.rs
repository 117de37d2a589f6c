//! `signer status`: what is published, what is staged, and when it expires. Changes nothing.

use std::path::Path;

use serde_json::Value;
use tuf_core::authoring::Document;
use tuf_core::schema::{RoleKeys, Target};
use tuf_core::{Instant, Role};

use super::add::described;
use crate::Surroundings;
use crate::args::{PassphraseArgs, StatusArgs};
use crate::config::Config;
use crate::edit;
use crate::failure::Failure;
use crate::holders::holding;
use crate::key_ring::KeyRing;
use crate::owed::Owed;
use crate::places;
use crate::proposal::Planned;
use crate::published::{Published, Statement, malformed};
use crate::refresh::{due_from, expiries};
use crate::report::{self, VERSION};
use crate::reports::duty::Duty;
use crate::repository::Repository;
use crate::span::Span;
use crate::staged::{Staged, digest_of};
use crate::terminal;

pub(crate) fn run(dir: &Path, args: &StatusArgs, around: &Surroundings) -> Result<report::Status, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let store = places::open(&repository, &config, around)?;
    let published = Published::read(&repository, store.as_ref())?;
    let staged = Staged::read(&repository)?;
    let mut changes = Vec::new();
    for (path, staged) in &staged.changes {
        let target = published.target(path)?;
        if !staged.is_done(target.as_ref()) {
            changes.push(Planned::of(path, staged, target.as_ref()).report());
        }
    }
    let roles = roles(&published)?;
    for late in roles.iter().filter(|role| role.expires <= around.now) {
        terminal::warn(&format!("{} has expired: clients refuse this repository", late.role));
    }
    let duties = duties(
        &Seen { repository: &repository, config: &config, published: &published },
        args.within,
        args.check,
        around,
    )?;
    let due = args.check.then(|| duties.iter().any(|duty| duty.due));
    Ok(report::Status {
        duties,
        due,
        version: VERSION,
        now: around.now,
        published: store.describe(),
        roles,
        images: published.listed()?.into_iter().filter_map(|(path, target)| listed(&path, &target)).collect(),
        staged: changes,
        edits: edit::lines(&staged.edits),
        owed: Owed::read(&repository)?.lines(),
    })
}

/// What duties are read from.
pub(crate) struct Seen<'s> {
    pub(crate) repository: &'s Repository,
    pub(crate) config: &'s Config,
    pub(crate) published: &'s Published<'s>,
}

/// Who must sign what by when. Bins, of which there may be thousands, are looked at where `bins` says so, and the
/// first to expire stands for them.
pub(crate) fn duties(
    seen: &Seen<'_>,
    within: Option<Span>,
    bins: bool,
    around: &Surroundings,
) -> Result<Vec<Duty>, Failure> {
    let Seen { repository, config, published } = seen;
    let nothing = PassphraseArgs { passphrase_file: None };
    let mut ring = KeyRing::new(repository.keys(), &nothing, around);
    let root = Document::parse(published.root_bytes()).map_err(malformed("root"))?;
    let mut all = vec![(Role::Root, published.root.expires)];
    all.extend(expiries(published, false)?);
    if bins {
        let of_bins = expiries(published, true)?.into_iter().filter(|one| !all.contains(one));
        let first = of_bins.min_by_key(|(_, expires)| *expires);
        all.extend(first);
    }
    let mut duties = Vec::new();
    for (role, expires) in all {
        let keys = match &role {
            Role::Delegated(name) => {
                let by = published.role(&role)?.and_then(|loaded| loaded.delegator.clone());
                let by = by.map(|by| published.role(&by)).transpose()?.flatten();
                by.and_then(|by| by.keys_of(name))
            }
            _ => root.keys_of(&role),
        };
        let Some((keys, of)) = keys else { continue };
        let holding = holding(&mut ring, &role, &keys, &of);
        let due_from = due_from(&role, expires, config, within);
        let can_sign = holding.suffices(&of);
        duties.push(Duty {
            role: role.name().to_owned(),
            threshold: of.threshold.get(),
            action: action(&role, can_sign),
            keys_here: holding.here,
            keys_locked: holding.locked,
            keys_away: holding.away,
            expires,
            due_from,
            due: due_from <= around.now,
            can_sign,
        });
    }
    Ok(duties)
}

fn action(role: &Role, can_sign: bool) -> String {
    match (role, can_sign) {
        (Role::Root, true) => "renew it by hand: `signer role renew root`".to_owned(),
        (_, true) => "`signer refresh` renews it when it is due".to_owned(),
        (Role::Timestamp | Role::Snapshot, false) => "run `signer refresh` where its keys are".to_owned(),
        (_, false) => "let those who hold its keys sign: `signer ceremony propose`".to_owned(),
    }
}

fn roles(published: &Published<'_>) -> Result<Vec<report::Role>, Failure> {
    let Published { root, snapshot, timestamp, .. } = published;
    let targets = &published.targets().statement;
    let mut roles = vec![
        role("root", &root.roles.root, root.version, root.expires, None),
        role("targets", &root.roles.targets, targets.version, targets.expires, None),
        role("snapshot", &root.roles.snapshot, snapshot.version, snapshot.expires, None),
        role("timestamp", &root.roles.timestamp, timestamp.version, timestamp.expires, None),
    ];
    for loaded in published.delegated(false)? {
        let Some(delegator) = &loaded.delegator else { continue };
        let Some(by) = published.role(delegator)? else { continue };
        let name = loaded.trusted.role().name();
        if let Some((_, keys)) = by.keys_of(name) {
            let Statement { version, expires, .. } = loaded.statement;
            roles.push(role(name, &keys, version, expires, Some(delegator)));
        }
    }
    Ok(roles)
}

fn role(
    name: &str,
    keys: &RoleKeys,
    version: u64,
    expires: Instant,
    delegator: Option<&Role>,
) -> report::Role {
    report::Role {
        role: name.to_owned(),
        version,
        expires,
        threshold: keys.threshold.get(),
        key_ids: keys.keyids.clone(),
        delegated_by: delegator.map(|role| role.name().to_owned()),
    }
}

fn listed(path: &str, target: &Target) -> Option<report::Image> {
    let custom = target.custom.as_ref().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    Some(described(path, target.length, digest_of(target)?, custom.as_ref()))
}

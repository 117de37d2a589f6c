//! `signer publish`: signs what is staged, or renews what would expire, and moves clients on in one step.

use std::path::Path;

use chrono::TimeDelta;
use publish_store::{Store, StoreError};
use tuf_core::{Instant, Role};

use super::status::change;
use crate::Surroundings;
use crate::args::PublishArgs;
use crate::args::roles::CeremonyFileArgs;
use crate::carry;
use crate::ceremony::Manifests;
use crate::config::Config;
use crate::draft::{Base, Draft, Signed};
use crate::edit::Edit;
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::key_ring::KeyRing;
use crate::places;
use crate::proposal::{Proposal, Why};
use crate::published::Published;
use crate::report::{self, Reason, VERSION};
use crate::repository::Repository;
use crate::staged::Staged;
use crate::terminal;

/// How often to begin again when others publish at the same time: each of them was done in a moment.
const TRIES: u32 = 8;

/// When to begin to speak of the root's end: a ceremony takes weeks to arrange.
const ROOT_NOTICE: TimeDelta = TimeDelta::days(30);

pub(crate) fn run(dir: &Path, args: &PublishArgs, around: &Surroundings) -> Result<report::Publish, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let store = places::open(&repository, &config, around)?;
    carry::fill(&repository, store.as_ref())?;
    let ceremony = match &args.ceremony {
        None => None,
        Some(file) => {
            Some(super::ceremony::read(dir, &CeremonyFileArgs { file: file.clone(), root: None })?.0)
        }
    };
    let mut ring = KeyRing::new(repository.keys(), &args.passphrase, around);
    if ceremony.is_none() {
        open_keys(&repository, store.as_ref(), &config, &mut ring, around)?;
    }

    let _lock = repository.lock()?;
    store.sweep().map_err(|error| Failure::of_store(store.as_ref(), &error))?;
    let mut tries = TRIES;
    loop {
        tries = tries.saturating_sub(1);
        // Read again: another signer may have been here while a passphrase was typed.
        let published = Published::read(&repository, store.as_ref())?;
        let mut staged = Staged::read(&repository)?;
        let (proposal, manifests) = match &ceremony {
            Some(ceremony) => ceremony.clone().into_proposal(&published)?,
            None => (Proposal::of(&published, &staged, &config, around.now)?, Manifests::default()),
        };
        let (done, done_edits) = (proposal.changes.clone(), proposal.edits.clone());
        let base = Base { published: &published, config: &config, now: around.now };
        let changes: Result<_, Failure> =
            proposal.changes.iter().map(|(path, staged)| change(path, staged, &published)).collect();
        let (changes, edits) = (changes?, proposal.edits.iter().map(Edit::words).collect());
        let manifest = |digest| manifests.get(digest).map_or_else(|| staged.manifest(digest), Ok);
        let draft = match ceremony.is_some() {
            true => Draft::of_signed(&proposal, &base, manifest, &mut ring)?,
            false => Draft::make(proposal, &base, manifest, &mut ring)?,
        };
        match draft.write(&base) {
            Ok(_) => {}
            // What was staged is tried again on top of what the other one published.
            Err(StoreError::Moved | StoreError::Taken { .. }) if tries > 0 => continue,
            Err(error) => return Err(Failure::of_store(store.as_ref(), &error)),
        }
        files::replace(&repository.timestamp(), draft.timestamp(), Readers::Everyone)?;
        match ceremony.is_some() {
            // What is staged besides stays so.
            true => staged.forget(&done, &done_edits)?,
            false => staged.clear()?,
        }
        let root = draft.signed.iter().find(|one| one.role == Role::Root);
        warn_of_root(root.map_or(published.root.expires, |root| root.expires), around);
        return Ok(report::Publish {
            version: VERSION,
            published: store.describe(),
            changes,
            edits,
            signed: draft.signed.iter().map(statement).collect(),
        });
    }
}

/// Asks for what must be asked before others have to wait for the answer.
pub(super) fn open_keys(
    repository: &Repository,
    store: &dyn Store,
    config: &Config,
    ring: &mut KeyRing,
    around: &Surroundings,
) -> Result<(), Failure> {
    let published = Published::read(repository, store)?;
    let staged = Staged::read(repository)?;
    let proposal = Proposal::of(&published, &staged, config, around.now)?;
    for one in &proposal.documents {
        ring.open(&one.role, &one.sets)?;
    }
    let late = published.snapshot.expires <= config.expiry(&Role::Timestamp, around.now);
    let snapshot = (late || !proposal.documents.is_empty()).then_some(Role::Snapshot);
    for role in snapshot.into_iter().chain([Role::Timestamp]) {
        ring.open(&role, &proposal.online_sets(&role, &published)?)?;
    }
    Ok(())
}

pub(super) fn warn_of_root(expires: Instant, around: &Surroundings) {
    let left = expires.signed_duration_since(around.now);
    if left < ROOT_NOTICE {
        let days = left.num_days();
        terminal::warn(&format!("the root expires in {days} days: after that nobody can verify anything"));
    }
}

pub(super) fn statement(signed: &Signed) -> report::Statement {
    report::Statement {
        role: signed.role.name().to_owned(),
        version: signed.version,
        expires: signed.expires,
        reason: match signed.why {
            Why::Changed => Reason::Changed,
            Why::Rekeyed => Reason::Rekeyed,
            Why::Renewed => Reason::Renewed,
        },
    }
}

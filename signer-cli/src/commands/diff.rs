//! `signer diff` and `signer publish --dry-run`: what a publish changes. Neither writes anything.

use std::path::Path;

use publish_store::Store;
use tuf_core::Role;
use tuf_core::authoring::Document;

use super::publish::{ceremony, open_keys};
use crate::Surroundings;
use crate::args::PublishArgs;
use crate::carry;
use crate::clock;
use crate::config::Config;
use crate::diff::between;
use crate::draft::{Base, Draft};
use crate::failure::Failure;
use crate::for_others::{ForOthers, prepare};
use crate::key_ring::KeyRing;
use crate::owed::Owed;
use crate::places;
use crate::proposal::{Proposal, free_version};
use crate::published::{Published, Statement, malformed};
use crate::report::VERSION;
use crate::reports::diff::{Diff, RoleDiff};
use crate::repository::Repository;
use crate::staged::Staged;

/// Without a key: what would be signed.
pub(crate) fn run(dir: &Path, around: &Surroundings) -> Result<Diff, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let store = places::open(&repository, &config, around)?;
    let local = carry::source(&repository, store.as_ref())?;
    let from: &dyn Store = local.as_ref().map_or(store.as_ref(), |local| local);
    let published = Published::read(&repository, from)?;
    let staged = Staged::read(&repository)?;
    let proposal = Proposal::of(&published, &staged, &config, around.now)?;
    let mut roles = Vec::new();
    let mut root = None;
    for one in &proposal.documents {
        let diff = between(&one.role, published_document(&one.role, &published)?.as_ref(), &one.document);
        if one.role == Role::Root { root = Some(diff) } else { roles.push(diff) }
    }
    let base = Base { published: &published, config: &config, now: around.now };
    let late = published.snapshot.expires <= config.expiry(&Role::Timestamp, around.now);
    if late || !roles.is_empty() {
        roles.push(online(&Role::Snapshot, &published.snapshot, &base)?);
    }
    roles.push(online(&Role::Timestamp, &published.timestamp, &base)?);
    roles.extend(root);
    Ok(report(&proposal, store.as_ref(), roles, false))
}

/// Everything that a publish does, but for the writing.
pub(crate) fn dry_run(dir: &Path, args: &PublishArgs, around: &Surroundings) -> Result<Diff, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let store = places::open(&repository, &config, around)?;
    clock::expect_not_behind(&repository, around.now)?;
    let local = carry::source(&repository, store.as_ref())?;
    let from: &dyn Store = local.as_ref().map_or(store.as_ref(), |local| local);
    let ceremony = ceremony(dir, args)?;
    let mut ring = KeyRing::new(repository.keys(), &args.passphrase, around);
    if ceremony.is_none() {
        open_keys(&repository, from, &config, &mut ring, around)?;
    }
    let published = Published::read(&repository, from)?;
    let staged = Staged::read(&repository)?;
    let base = Base { published: &published, config: &config, now: around.now };
    let (proposal, draft) = match ceremony {
        None => {
            let proposal = Proposal::of(&published, &staged, &config, around.now)?;
            let manifest = |digest| staged.manifest(digest);
            let rest = proposal.without_documents();
            (rest, Draft::make(proposal, &base, manifest, &mut ring)?)
        }
        Some(ceremony) => {
            let (proposal, manifests) = ceremony.into_proposal(&published)?;
            if proposal.documents.is_empty() {
                // All of it is published, and nothing would be signed.
                return Ok(Diff { dry_run: true, ..report(&proposal, store.as_ref(), Vec::new(), false) });
            }
            let manifest = |digest| manifests.get(digest).map_or_else(|| staged.manifest(digest), Ok);
            let rest = proposal.without_documents();
            (rest, Draft::of_signed(proposal, &base, manifest, &mut ring)?)
        }
    };
    clock::warn_of_earlier(&draft.signed, &published, around.now)?;
    let mut roles = Vec::new();
    for signed in &draft.signed {
        let old = published_document(&signed.role, &published)?;
        roles.push(between(&signed.role, old.as_ref(), &signed.document()?));
    }
    let mut for_others = ForOthers::of(&args.for_others, &config, &repository, around)?;
    let for_others = match &mut for_others {
        None => None,
        Some(one) => {
            let mut owed = Owed::read(&repository)?;
            let images = prepare(one, &mut owed, &proposal, &published, &mut ring)?;
            one.make(&images, &ring)?;
            Some(one.rehearse(&images))
        }
    };
    Ok(Diff { for_others, ..report(&proposal, store.as_ref(), roles, true) })
}

fn report(proposal: &Proposal, store: &dyn Store, roles: Vec<RoleDiff>, signed: bool) -> Diff {
    let staged = !proposal.changes.is_empty() || !proposal.edits.is_empty();
    let dry_run = signed;
    Diff { version: VERSION, dry_run, published: store.describe(), signed, staged, roles, for_others: None }
}

/// What is published of a role; nothing where it is new.
fn published_document(role: &Role, published: &Published<'_>) -> Result<Option<Document>, Failure> {
    match role {
        Role::Root => Document::parse(published.root_bytes()).map(Some).map_err(malformed("root")),
        Role::Snapshot => published.snapshot.document(role).map(Some),
        Role::Timestamp => published.timestamp.document(role).map(Some),
        _ => published.role(role)?.map(|loaded| loaded.statement.document(role)).transpose(),
    }
}

/// Snapshot or timestamp, whose content follows from the others.
fn online(role: &Role, statement: &Statement, base: &Base<'_, '_>) -> Result<RoleDiff, Failure> {
    let next = statement.version.saturating_add(1);
    Ok(RoleDiff {
        role: role.name().to_owned(),
        old_version: Some(statement.version),
        new_version: match role {
            // Its file has no version in its name.
            Role::Timestamp => next,
            _ => free_version(base.published, role, next)?,
        },
        old_expires: Some(statement.expires),
        new_expires: Some(base.config.expiry(role, base.now)),
        ..RoleDiff::default()
    })
}

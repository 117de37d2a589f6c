//! What is due, and its renewal with the keys that are here. What was staged stays staged.

use std::collections::BTreeMap;

use publish_store::{Store, StoreError};
use tuf_core::{Instant, Role};

use crate::args::RehearsalArgs;
use crate::clock;
use crate::commands::publish::PUBLISHED_ALL_THE_SAME;
use crate::config::Config;
use crate::draft::{Base, Draft, Signed};
use crate::failure::Failure;
use crate::key_ring::KeyRing;
use crate::proposal::{Proposal, Proposed};
use crate::published::Published;
use crate::reports::refresh::Left;
use crate::repository::Repository;
use crate::span::Span;

/// How often to begin again when others publish at the same time.
const TRIES: u32 = 8;

/// A role and when its statement expires.
pub(crate) type Expiry = (Role, Instant);

/// What a renewal works on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'j> {
    pub(crate) repository: &'j Repository,
    pub(crate) config: &'j Config,
    pub(crate) store: &'j dyn Store,
    /// What expires within this time is due; else what has a third of its time left.
    pub(crate) within: Option<Span>,
    pub(crate) now: Instant,
    /// Bins are looked at too, each of which is a file of its own.
    pub(crate) bins: bool,
    pub(crate) dry_run: bool,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Renewed {
    pub(crate) signed: Vec<Signed>,
    pub(crate) left: Vec<Left>,
    /// What holds from now on.
    pub(crate) expiries: Vec<Expiry>,
}

/// From when on a statement is due.
pub(crate) fn due_from(role: &Role, expires: Instant, config: &Config, within: Option<Span>) -> Instant {
    let third = || config.lifetime(role).checked_div(3).unwrap_or_default();
    let before = within.map_or_else(third, Span::delta);
    expires.checked_sub_signed(before).unwrap_or(Instant::UNIX_EPOCH)
}

/// Every role but the root, which people renew, and when it expires.
pub(crate) fn expiries(published: &Published<'_>, bins: bool) -> Result<Vec<Expiry>, Failure> {
    let mut all = vec![
        (Role::Timestamp, published.timestamp.expires),
        (Role::Snapshot, published.snapshot.expires),
        (Role::Targets, published.targets().statement.expires),
    ];
    for loaded in published.delegated(bins)? {
        all.push((loaded.trusted.role().clone(), loaded.statement.expires));
    }
    Ok(all)
}

impl Job<'_> {
    /// When the first of these is due.
    pub(crate) fn next(&self, expiries: &[Expiry]) -> Option<Instant> {
        expiries.iter().map(|(role, expires)| self.due_from(role, *expires)).min()
    }

    /// Opens the keys of what is due, so that no question comes while others wait for us.
    pub(crate) fn open_keys(&self, ring: &mut KeyRing) -> Result<(), Failure> {
        let published = Published::read(self.repository, self.store)?;
        let due = self.due(&expiries(&published, self.bins)?);
        if due.is_empty() {
            return Ok(());
        }
        let roles: Vec<Role> = due.into_iter().map(|(role, _)| role).collect();
        let proposal = Proposal::renewing(&published, &roles, self.config, self.now)?;
        for one in &proposal.documents {
            ring.open(&one.role, &one.sets)?;
        }
        for role in [Role::Snapshot, Role::Timestamp] {
            ring.open(&role, &proposal.online_sets(&role, &published)?)?;
        }
        Ok(())
    }

    /// Renews what is due. Where another publisher was faster, what is due is asked for again.
    pub(crate) fn run(&self, ring: &mut KeyRing) -> Result<Renewed, Failure> {
        clock::expect_not_behind(self.repository, self.now)?;
        let _lock = self.repository.lock_unless(RehearsalArgs { dry_run: self.dry_run })?;
        let mut tries = TRIES;
        loop {
            tries = tries.saturating_sub(1);
            let published = Published::read(self.repository, self.store)?;
            if published.overtaken {
                return Err(Failure::refused("what was last published from here was overwritten")
                    .detail("it may have said what nobody says any more, such as that an image is yanked")
                    .hint("see what is missing with `signer status`, then `signer publish`"));
            }
            let expiries = expiries(&published, self.bins)?;
            let due = self.due(&expiries);
            let base = Base { published: &published, config: self.config, now: self.now };
            let (draft, left) = draft(&base, &due, ring)?;
            let Some(draft) = draft else {
                return Ok(Renewed { left, expiries, ..Renewed::default() });
            };
            clock::warn_of_earlier(&draft.signed, &published, self.now)?;
            if !self.dry_run {
                let unfinished = match draft.write(&base) {
                    Ok(_) => None,
                    Err(StoreError::Moved | StoreError::Taken { .. }) if tries > 0 => continue,
                    Err(error @ StoreError::After(_)) => Some(Failure::of_store(self.store, &error)),
                    Err(error) => return Err(Failure::of_store(self.store, &error)),
                };
                draft.remember(self.repository).map_err(|failure| failure.detail(PUBLISHED_ALL_THE_SAME))?;
                unfinished.map_or(Ok(()), Err)?;
            }
            let expiries = renewed(expiries, &draft.signed);
            return Ok(Renewed { signed: draft.signed, left, expiries });
        }
    }

    fn due(&self, expiries: &[Expiry]) -> Vec<Expiry> {
        let due = |(role, expires): &&Expiry| self.due_from(role, *expires) <= self.now;
        expiries.iter().filter(due).cloned().collect()
    }

    fn due_from(&self, role: &Role, expires: Instant) -> Instant {
        due_from(role, expires, self.config, self.within)
    }
}

/// The state in which what is due is renewed as far as the keys here go; and what they don't go for.
fn draft(
    base: &Base<'_, '_>,
    due: &[Expiry],
    ring: &mut KeyRing,
) -> Result<(Option<Draft>, Vec<Left>), Failure> {
    let mut left: Vec<Left> = Vec::new();
    let mut leave = |role: &Role| {
        if let Some((_, expires)) = due.iter().find(|(one, _)| one == role) {
            left.push(Left { role: role.name().to_owned(), expires: *expires });
        }
    };
    if due.is_empty() {
        return Ok((None, left));
    }
    let is_due = |role: Role| due.iter().any(|(one, _)| *one == role);
    let roles: Vec<Role> = due.iter().map(|(role, _)| role.clone()).collect();
    let mut proposal = Proposal::renewing(base.published, &roles, base.config, base.now)?;
    let may = |role: Role, ring: &mut KeyRing, proposal: &Proposal| -> Result<bool, Failure> {
        let published = base.published;
        let statement = if role == Role::Snapshot { &published.snapshot } else { &published.timestamp };
        let mut document = statement.document(&role)?;
        // Its signatures go, so that ours are asked for.
        document.signed_mut();
        ring.sign_what_we_can(&mut document, &role, &proposal.online_sets(&role, published)?)
    };
    if !may(Role::Timestamp, ring, &proposal)? {
        // Nothing reaches clients without it.
        return match is_due(Role::Timestamp) {
            true => Err(Failure::refused("the timestamp is due, and its keys aren't here")
                .detail("nothing was changed")
                .hint("run `signer refresh` where they are; `signer status` says which they are")),
            false => {
                roles.iter().for_each(leave);
                Ok((None, left))
            }
        };
    }
    let mut kept: Vec<Proposed> = Vec::new();
    let snapshot_here = may(Role::Snapshot, ring, &proposal)?;
    for mut one in std::mem::take(&mut proposal.documents) {
        if snapshot_here && ring.sign_what_we_can(&mut one.document, &one.role, &one.sets)? {
            kept.push(one);
        } else {
            leave(&one.role);
        }
    }
    let snapshot = snapshot_here && (is_due(Role::Snapshot) || !kept.is_empty());
    if !snapshot_here {
        leave(&Role::Snapshot);
    }
    if !snapshot && !is_due(Role::Timestamp) {
        return Ok((None, left));
    }
    proposal.documents = kept;
    Draft::refresh(proposal, base, snapshot, ring).map(|draft| (Some(draft), left))
}

/// What holds after these were signed.
fn renewed(mut expiries: Vec<Expiry>, signed: &[Signed]) -> Vec<Expiry> {
    let signed: BTreeMap<&Role, Instant> = signed.iter().map(|one| (&one.role, one.expires)).collect();
    for (role, expires) in &mut expiries {
        if let Some(later) = signed.get(role) {
            *expires = *later;
        }
    }
    expiries
}

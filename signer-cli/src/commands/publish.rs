//! `signer publish`: signs what is staged, or renews what would expire, and moves clients on in one step.

use std::path::Path;

use chrono::TimeDelta;
use publish_store::{Store, StoreError};
use tuf_core::{Instant, Role};

use crate::Surroundings;
use crate::args::PublishArgs;
use crate::args::roles::CeremonyFileArgs;
use crate::carry;
use crate::ceremony::{Ceremony, Manifests};
use crate::clock;
use crate::config::Config;
use crate::draft::{Base, Draft, Signed};
use crate::edit::{self, Edit};
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::for_others::{ForOthers, prepare, settle};
use crate::key_ring::KeyRing;
use crate::owed::Owed;
use crate::places;
use crate::proposal::{Proposal, Why};
use crate::published::Published;
use crate::report::{self, Reason, VERSION};
use crate::repository::Repository;
use crate::staged::Staged;
use crate::terminal;

/// How often to begin again when others publish at the same time: each of them was done in a moment.
const TRIES: u32 = 8;

/// Of what goes wrong after clients were led on.
pub(crate) const PUBLISHED_ALL_THE_SAME: &str =
    "what was signed is published all the same; here that could not be noted";

/// When to begin to speak of the root's end: a ceremony takes weeks to arrange.
const ROOT_NOTICE: TimeDelta = TimeDelta::days(30);

pub(crate) fn run(dir: &Path, args: &PublishArgs, around: &Surroundings) -> Result<report::Publish, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let store = places::open(&repository, &config, around)?;
    clock::expect_not_behind(&repository, around.now)?;
    carry::fill(&repository, store.as_ref())?;
    let ceremony = ceremony(dir, args)?;
    let mut ring = KeyRing::new(repository.keys(), &args.passphrase, around);
    let mut for_others = ForOthers::of(&args.for_others, &config, &repository, around)?;
    let mut ready = match ceremony {
        Some(_) => None,
        None => Some(open_keys(&repository, store.as_ref(), &config, &mut ring, around)?),
    };
    if let (Some(for_others), Some(ready)) = (&mut for_others, &ready) {
        // Registries may take their time: outside the lock.
        let mut owed = Owed::read(&repository)?;
        prepare(for_others, &mut owed, &ready.proposal, &ready.published, &mut ring)?;
    }
    if let (Some(for_others), Some(ceremony)) = (&mut for_others, &ceremony) {
        let published = Published::read(&repository, store.as_ref())?;
        let (proposal, _) = ceremony.clone().into_proposal(&published)?;
        prepare(for_others, &mut Owed::read(&repository)?, &proposal, &published, &mut ring)?;
    }

    let lock = repository.lock()?;
    store.sweep().map_err(|error| Failure::of_store(store.as_ref(), &error))?;
    let mut tries = TRIES;
    loop {
        tries = tries.saturating_sub(1);
        // Another signer may have been here while a passphrase was typed: then all of it is read again.
        let still = ready.take().filter(|ready| ready.is_still_so(store.as_ref()));
        let (published, mut staged, proposal, manifests) = match (&ceremony, still) {
            (None, Some(Ready { published, staged, proposal })) => {
                (published, staged, proposal, Manifests::default())
            }
            (None, None) => {
                let Ready { published, staged, proposal } =
                    Ready::read(&repository, store.as_ref(), &config, around)?;
                (published, staged, proposal, Manifests::default())
            }
            (Some(ceremony), _) => {
                let published = Published::read(&repository, store.as_ref())?;
                let (proposal, manifests) = ceremony.clone().into_proposal(&published)?;
                (published, Staged::read(&repository)?, proposal, manifests)
            }
        };
        let edits: Vec<Edit> = proposal.edits.clone();
        if ceremony.is_some() && proposal.documents.is_empty() {
            // Somebody was interrupted after clients were led on. What is left is to notice.
            files::replace(&repository.timestamp(), &published.timestamp.bytes, Readers::Everyone)?;
            staged.forget(&proposal.changes, &edits)?;
            return Ok(nothing_left(store.as_ref()));
        }
        let base = Base { published: &published, config: &config, now: around.now };
        let for_them = for_others.as_mut();
        let mut owed = Owed::read(&repository)?;
        let images =
            for_them.map(|one| prepare(one, &mut owed, &proposal, &published, &mut ring)).transpose()?;
        let manifest = |digest| manifests.get(digest).map_or_else(|| staged.manifest(digest), Ok);
        let draft = match ceremony.is_some() {
            true => Draft::of_signed(proposal, &base, manifest, &mut ring)?,
            false => Draft::make(proposal, &base, manifest, &mut ring)?,
        };
        clock::warn_of_earlier(&draft.signed, &published, around.now)?;
        if let (Some(for_others), Some(images)) = (&mut for_others, &images) {
            for_others.make(images, &ring)?;
            owed.promise(images, for_others.formats())?;
        }
        let unfinished = match draft.write(&base) {
            Ok(_) => None,
            // What was staged is tried again on top of what the other one published.
            Err(StoreError::Moved | StoreError::Taken { .. }) if tries > 0 => continue,
            Err(error @ StoreError::After(_)) => Some(Failure::of_store(store.as_ref(), &error)),
            Err(error) => return Err(Failure::of_store(store.as_ref(), &error)),
        };
        let remember = || {
            draft.remember(&repository)?;
            match ceremony.is_some() {
                // What is staged besides stays so.
                true => staged.forget(&draft.changes, &edits),
                false => staged.clear(),
            }?;
            owed.leave()
        };
        remember().map_err(|failure| failure.detail(PUBLISHED_ALL_THE_SAME))?;
        // Signatures for other tools are owed then, and made good with the next publish.
        unfinished.map_or(Ok(()), Err)?;
        let root = draft.signed.iter().find(|one| one.role == Role::Root);
        warn_of_root(root.map_or(published.root.expires, |root| root.expires), around);
        // Registries may take their time: nobody waits for them.
        drop(lock);
        let for_others = for_others.as_ref().zip(images).map(|(one, images)| {
            let (report, tried) = one.push(&images);
            if !tried.is_empty() {
                settle(&repository, &tried, one.formats());
            }
            report
        });
        // There may be a million names: they are listed once what was signed of them is let go.
        let Draft { signed, changes, .. } = draft;
        let signed = signed.into_iter().map(|one| statement(&one)).collect();
        return Ok(report::Publish {
            version: VERSION,
            published: store.describe(),
            changes: changes.into_iter().map(|one| one.report()).collect(),
            edits: edit::lines(&edits),
            signed,
            for_others,
        });
    }
}

/// What is said where all of a ceremony is published already.
fn nothing_left(store: &dyn Store) -> report::Publish {
    let published = store.describe();
    report::Publish {
        version: VERSION,
        published,
        changes: Vec::new(),
        edits: Vec::new(),
        signed: Vec::new(),
        for_others: None,
    }
}

/// What several people signed, where that is to be published.
pub(super) fn ceremony(dir: &Path, args: &PublishArgs) -> Result<Option<Ceremony>, Failure> {
    let Some(file) = args.ceremony.clone() else { return Ok(None) };
    super::ceremony::read(dir, &CeremonyFileArgs { file, root: None }).map(|(ceremony, _)| Some(ceremony))
}

/// What a publish is made of.
pub(super) struct Ready<'s> {
    published: Published<'s>,
    staged: Staged,
    proposal: Proposal,
}

impl<'s> Ready<'s> {
    fn read(
        repository: &Repository,
        store: &'s dyn Store,
        config: &Config,
        around: &Surroundings,
    ) -> Result<Self, Failure> {
        let published = Published::read(repository, store)?;
        let staged = Staged::read(repository)?;
        let proposal = Proposal::of(&published, &staged, config, around.now)?;
        Ok(Self { published, staged, proposal })
    }

    /// Whether the same is published and staged. What can't be read now is read again, and says why.
    fn is_still_so(&self, store: &dyn Store) -> bool {
        let head = store.head().ok().flatten();
        head.is_some_and(|head| head.token == self.published.token) && self.staged.is_still_so()
    }
}

/// Asks for what must be asked before others have to wait for the answer.
pub(super) fn open_keys<'s>(
    repository: &Repository,
    store: &'s dyn Store,
    config: &Config,
    ring: &mut KeyRing,
    around: &Surroundings,
) -> Result<Ready<'s>, Failure> {
    let ready = Ready::read(repository, store, config, around)?;
    let Ready { published, proposal, .. } = &ready;
    for one in &proposal.documents {
        ring.open(&one.role, &one.sets)?;
    }
    let late = published.snapshot.expires <= config.expiry(&Role::Timestamp, around.now);
    let snapshot = (late || !proposal.documents.is_empty()).then_some(Role::Snapshot);
    for role in snapshot.into_iter().chain([Role::Timestamp]) {
        ring.open(&role, &proposal.online_sets(&role, published)?)?;
    }
    Ok(ready)
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

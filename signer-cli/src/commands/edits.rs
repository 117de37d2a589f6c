//! What the commands that change roles share: what is published, whose keys are which, and staging.

use std::path::Path;

use publish_store::Store;
use tuf_core::Role;
use tuf_core::authoring::bin_names;
use tuf_core::crypto::Sign as _;
use tuf_core::schema::Delegations;

use crate::Surroundings;
use crate::args::RehearsalArgs;
use crate::config::Config;
use crate::edit::{self, Edit, KeyText};
use crate::failure::Failure;
use crate::key_ring;
use crate::new_key::NewKey;
use crate::passphrase::{Passphrase, Source};
use crate::places;
use crate::proposal::{Keyed, Proposal};
use crate::published::Published;
use crate::report::VERSION;
use crate::reports::edits::Edits;
use crate::repository::Repository;
use crate::staged::Staged;

/// A repository, opened.
pub(crate) struct Desk {
    pub(crate) repository: Repository,
    pub(crate) config: Config,
    store: Box<dyn Store>,
}

impl Desk {
    pub(crate) fn open(dir: &Path, around: &Surroundings) -> Result<Self, Failure> {
        let repository = Repository::open(dir)?;
        let config = Config::read(&repository.config())?;
        let store = places::open(&repository, &config, around)?;
        Ok(Self { repository, config, store })
    }

    /// What is published.
    pub(crate) fn published(&self) -> Result<Published<'_>, Failure> {
        Published::read(&self.repository, self.store.as_ref())
    }

    /// The keys of a role, as it will be after what is staged.
    pub(crate) fn keys_of(&self, role: &str, around: &Surroundings) -> Result<Keyed, Failure> {
        let published = self.published()?;
        let staged = Staged::read(&self.repository)?;
        let proposal = Proposal::of(&published, &staged, &self.config, around.now)?;
        proposal.keys_of(role, &published)?.ok_or_else(|| {
            Failure::refused(format!("there is no role called {role}"))
                .hint("`signer status` lists the roles")
        })
    }

    /// Each role with its keys, as it will be after what is staged. Of bins with the same keys, `Bins::Alike` has the
    /// first one.
    pub(crate) fn holders(&self, bins: Bins, around: &Surroundings) -> Result<super::key::Holders, Failure> {
        let published = self.published()?;
        let staged = Staged::read(&self.repository)?;
        let proposal = Proposal::of(&published, &staged, &self.config, around.now)?;
        let mut names: Vec<String> =
            ["root", "targets", "snapshot", "timestamp"].iter().map(|&name| name.to_owned()).collect();
        let below = published.delegated(false)?;
        names.extend(below.iter().map(|loaded| loaded.trusted.role().name().to_owned()));
        let top = published.targets();
        for loaded in std::iter::once(top).chain(below.iter().map(AsRef::as_ref)) {
            names.extend(loaded.trusted.document().delegations.iter().flat_map(|all| bins.of(all)));
        }
        for edit in &staged.edits {
            if let Edit::Delegate { role, .. } = edit
                && !names.contains(role)
            {
                names.push(role.clone());
            }
        }
        let mut all = Vec::new();
        for name in names {
            if let Some((keys, _)) = proposal.keys_of(&name, &published)? {
                all.push((name, keys.into_iter().collect()));
            }
        }
        Ok(all)
    }

    /// The id of a role's key from its beginning.
    pub(crate) fn key_id(&self, role: &str, wanted: &str, around: &Surroundings) -> Result<String, Failure> {
        let ids = self.keys_of(role, around)?.1.keyids;
        let mut fitting = ids.iter().filter(|id| id.starts_with(wanted));
        match (fitting.next(), fitting.next()) {
            (Some(id), None) => Ok(id.clone()),
            (None, _) => Err(Failure::refused(format!("{role} has no key {wanted}"))
                .detail(format!("its keys are {}", ids.join(", ")))),
            _ => Err(Failure::usage(format!("{wanted} is the beginning of several keys of {role}"))
                .detail(format!("its keys are {}", ids.join(", ")))),
        }
    }

    /// Who delegates to a role.
    pub(crate) fn delegator_of(&self, name: &str) -> Result<String, Failure> {
        let staged = Staged::read(&self.repository)?;
        let mut fresh = staged.edits.iter().rev();
        let staged = fresh.find_map(|edit| match edit {
            Edit::Delegate { by, role, .. } if role == name => Some(by.clone()),
            _ => None,
        });
        if let Some(by) = staged {
            return Ok(by);
        }
        let loaded = self.published()?.role(&Role::of_targets(name))?;
        let by = loaded.and_then(|loaded| loaded.delegator.clone());
        by.map(|by| by.name().to_owned()).ok_or_else(|| {
            Failure::refused(format!("nobody delegates to {name}"))
                .hint("`signer delegate list` shows who does")
        })
    }
}

/// Which bins are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bins {
    /// One of those with the same keys.
    Alike,
    /// Each that has keys of its own: those of TAP 15 share theirs.
    Each,
}

impl Bins {
    fn of(self, delegations: &Delegations) -> Vec<String> {
        let succinct = delegations.succinct_roles.as_ref();
        let first = succinct.and_then(|bins| bin_names(&bins.name_prefix, bins.bit_length).next());
        let mut seen = Vec::new();
        let hashed = delegations.roles().filter(|role| role.path_hash_prefixes.is_some()).filter(|role| {
            let is_new = self == Self::Each || !seen.contains(&role.keyids);
            if is_new && self == Self::Alike {
                seen.push(role.keyids.clone());
            }
            is_new
        });
        let hashed: Vec<String> = hashed.map(|role| role.name).collect();
        first.into_iter().chain(hashed).collect()
    }
}

/// Stages edits, if the next state can be made of them, and says so.
///
/// A key that was made for them is written first: what is staged must be possible to sign.
pub(crate) fn reports(
    desk: &Desk,
    (edits, new_key): (Vec<Edit>, Option<NewKey>),
    rehearsal: RehearsalArgs,
    around: &Surroundings,
) -> Result<Edits, Failure> {
    let _lock = desk.repository.lock_unless(rehearsal)?;
    let published = desk.published()?;
    let mut staged = Staged::read(&desk.repository)?;
    edits.iter().for_each(|edit| staged.push(edit));
    let proposal = Proposal::of(&published, &staged, &desk.config, around.now)?;
    let dry_run = rehearsal.dry_run;
    match (new_key, dry_run) {
        (Some(key), true) => key.tell(),
        (Some(key), false) => key.save_for(|| staged.write())?,
        (None, true) => {}
        (None, false) => staged.write()?,
    }
    let signs = proposal.documents.iter().map(|one| one.role.name().to_owned()).collect();
    Ok(Edits { version: VERSION, dry_run, staged: edit::lines(&edits), signs })
}

/// A public key from a PEM file, or that of a key in `keys/`, by its name.
pub(crate) fn public_key(desk: &Desk, wanted: &str, source: &Source) -> Result<KeyText, Failure> {
    let own = desk.repository.keys().join(format!("{wanted}.pem"));
    let own_public = desk.repository.keys().join(format!("{wanted}.pub"));
    if own_public.is_file() {
        return key_ring::read_public(&own_public).map(|key| KeyText::of(&key));
    }
    if own.is_file() {
        let file = key_ring::read(&own)?;
        let passphrase = match file.is_encrypted() {
            true => source.existing(&own.display().to_string())?,
            false => Passphrase::default(),
        };
        let key = file.open(&passphrase).map_err(|why| key_ring::unusable(&own, why))?;
        return Ok(KeyText::of(key.key()));
    }
    let path = Path::new(wanted);
    if !path.is_file() {
        return Err(Failure::usage(format!("{wanted} names no key"))
            .detail("expected a file with a public key (PEM), or the name of one in keys/"));
    }
    key_ring::read_public(path).map(|key| KeyText::of(&key))
}

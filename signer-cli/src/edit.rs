//! Changes to who may sign, and for what: staged like the names of images, and applied to whatever is
//! published when they are signed, so that two publishers' changes add up.

use serde::{Deserialize, Serialize};
use tuf_core::Role;
use tuf_core::authoring::{Bins, Delegation, Document};
use tuf_core::key::Key;

use crate::failure::Failure;

/// One change to the roles.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "edit", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Edit {
    /// A key may sign for a role.
    AddKey {
        /// The role.
        role: String,
        /// The key.
        key: KeyText,
    },
    /// A key may no longer sign for a role.
    RemoveKey {
        /// The role.
        role: String,
        /// The id under which the role lists the key.
        key_id: String,
    },
    /// So many keys of a role must sign.
    Threshold {
        /// The role.
        role: String,
        /// How many.
        threshold: u32,
    },
    /// A role may speak for paths.
    Delegate {
        /// The role that delegates.
        by: String,
        /// The name of the role that may speak.
        role: String,
        /// Its keys.
        keys: Vec<KeyText>,
        /// How many must sign.
        threshold: u32,
        /// Whether nobody else is asked for these paths.
        terminating: bool,
        /// The paths, as patterns.
        paths: Vec<String>,
    },
    /// A role may no longer speak.
    Undelegate {
        /// The role that delegated.
        by: String,
        /// The name of the role.
        role: String,
    },
    /// The names are spread over 2^`bit_length` roles by the hash of their paths.
    Bins {
        /// What the names of the roles start with.
        prefix: String,
        /// How many bits of the hash choose the role.
        bit_length: u32,
        /// Whether they are written in short (TAP 15), or each on its own for older clients.
        succinct: bool,
        /// Their keys.
        keys: Vec<KeyText>,
        /// How many must sign.
        threshold: u32,
    },
    /// A role signs what it said before anew, with a later expiry.
    Renew {
        /// The role.
        role: String,
    },
}

/// A public key with the id under which it is listed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyText {
    /// The id.
    pub(crate) id: String,
    /// KEYTYPE.
    pub(crate) keytype: String,
    /// SCHEME.
    pub(crate) scheme: String,
    /// KEYVAL.
    pub(crate) public: String,
}

impl KeyText {
    /// A key under the id that we give it.
    pub(crate) fn of(key: &Key) -> Self {
        Self::named(key.id(), key)
    }

    /// A key under the id that it has elsewhere.
    pub(crate) fn named(id: String, key: &Key) -> Self {
        let Key { keytype, scheme, keyval } = key.clone();
        Self { id, keytype, scheme, public: keyval.public }
    }

    /// The key.
    pub(crate) fn key(&self) -> Key {
        let Self { keytype, scheme, public, .. } = self.clone();
        Key { keytype, scheme, keyval: tuf_core::key::KeyVal { public } }
    }
}

impl Edit {
    /// The role whose document this changes: who holds the keys of the role it is about.
    pub(crate) fn holder(&self) -> Holder<'_> {
        match self {
            Self::AddKey { role, .. } | Self::RemoveKey { role, .. } | Self::Threshold { role, .. } => {
                match top_level(role) {
                    Some(_) => Holder::Root,
                    None => Holder::DelegatorOf(role),
                }
            }
            Self::Delegate { by, .. } | Self::Undelegate { by, .. } => Holder::Role(Role::of_targets(by)),
            Self::Bins { .. } => Holder::Role(Role::Targets),
            Self::Renew { role } => Holder::Role(role_named(role)),
        }
    }

    /// Applies it. What can't be done any more, for others changed what it was about, is refused.
    pub(crate) fn apply(&self, document: &mut Document) -> Result<(), Failure> {
        match self {
            Self::AddKey { role, key } => {
                let done = document.add_key_of(&role_named(role), &key.id, &key.key());
                expect(done, || no_role(role))
            }
            Self::RemoveKey { role, key_id } => {
                let role_keys = document.keys_of(&role_named(role)).map(|(_, keys)| keys);
                let role_keys = role_keys.ok_or_else(|| no_role(role))?;
                if !role_keys.keyids.contains(key_id) {
                    return Ok(());
                }
                document.remove_key_of(&role_named(role), key_id);
                Ok(())
            }
            Self::Threshold { role, threshold } => {
                expect(document.set_threshold_of(&role_named(role), *threshold), || no_role(role))
            }
            Self::Delegate { role, keys, threshold, terminating, paths, .. } => {
                document.delegate(&Delegation {
                    name: role.clone(),
                    keys: keys.iter().map(KeyText::key).collect(),
                    threshold: *threshold,
                    terminating: *terminating,
                    paths: paths.clone(),
                });
                Ok(())
            }
            Self::Undelegate { role, .. } => {
                document.undelegate(role);
                Ok(())
            }
            Self::Bins { prefix, bit_length, succinct, keys, threshold } => {
                let keys: Vec<(String, Key)> = keys.iter().map(|key| (key.id.clone(), key.key())).collect();
                let bins =
                    Bins { name_prefix: prefix, bit_length: *bit_length, keys: &keys, threshold: *threshold };
                match succinct {
                    true => document.delegate_succinct(&bins),
                    false => document.delegate_hashed(&bins),
                }
                Ok(())
            }
            Self::Renew { .. } => Ok(()),
        }
    }

    /// The change in words, for people: `adds a key to root`.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::AddKey { role, key } => format!("adds key {} to {role}", short(&key.id)),
            Self::RemoveKey { role, key_id } => format!("drops key {} from {role}", short(key_id)),
            Self::Threshold { role, threshold } => format!("asks for {threshold} signature(s) of {role}"),
            Self::Delegate { by, role, paths, .. } => {
                format!("lets {role} speak for {} (by {by})", paths.join(", "))
            }
            Self::Undelegate { by, role } => format!("lets {role} speak no more (by {by})"),
            Self::Bins { bit_length, succinct, .. } => {
                let kind = if *succinct { "succinct bins" } else { "hash bins" };
                format!("spreads the names over {} {kind}", 1_u64.checked_shl(*bit_length).unwrap_or(0))
            }
            Self::Renew { role } => format!("renews {role}"),
        }
    }
}

/// From so many roles on, those that lose the same key share a line: bins may be thousands.
const ROLES_ONE_BY_ONE: usize = 8;

/// Each edit in words.
pub(crate) fn lines(edits: &[Edit]) -> Vec<String> {
    let lost = |edit: &Edit| match edit {
        Edit::RemoveKey { key_id, .. } => Some(key_id.clone()),
        _ => None,
    };
    let alike = edits.chunk_by(|one, next| lost(one).is_some() && lost(one) == lost(next));
    alike
        .flat_map(|alike| match alike {
            [first, rest @ ..] if rest.len() >= ROLES_ONE_BY_ONE => {
                vec![format!("{}, and from {} more roles", first.words(), rest.len())]
            }
            few => few.iter().map(Edit::words).collect(),
        })
        .collect()
}

/// Whose document an edit changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Holder<'e> {
    /// The root's.
    Root,
    /// A role's own.
    Role(Role),
    /// That of whoever delegates to this role.
    DelegatorOf(&'e str),
}

/// The role of a name.
pub(crate) fn role_named(name: &str) -> Role {
    top_level(name).unwrap_or_else(|| Role::of_targets(name))
}

/// The top-level role of a name.
pub(crate) fn top_level(name: &str) -> Option<Role> {
    [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp].into_iter().find(|role| role.name() == name)
}

/// As much of a key id as people compare.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

fn no_role(role: &str) -> Failure {
    Failure::refused(format!("{role} can't be changed"))
        .detail(format!("expected a role called {role}, got none"))
        .hint("`signer status` lists the roles")
}

fn expect(done: bool, otherwise: impl FnOnce() -> Failure) -> Result<(), Failure> {
    if done { Ok(()) } else { Err(otherwise()) }
}

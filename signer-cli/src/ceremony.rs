//! A ceremony as a file: what shall change, and the signatures so far. It goes from hand to hand, by stick,
//! mail or git, to machines without a network, and back.
//!
//! Nothing in the file is believed: the root it starts from is followed from a root that the reader trusts
//! already, what was there before must be signed by whom that root names, and a signature that is not of
//! these very documents counts for nothing.

mod diff;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_image::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tuf_core::authoring::Document;
use tuf_core::canonical::canonicalise;
use tuf_core::hash::sha256_hex;
use tuf_core::{Instant, Role, TrustedRoot, crypto};

use crate::edit::{Edit, role_named};
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::proposal::{KeySet, Planned, Proposal, Proposed, Why, sets_of};
use crate::published::Published;
use crate::staged::{Changes, Staged};

pub(crate) use diff::diff;
pub(crate) use words::words;

const VERSION: u32 = 1;
/// A targets document of a hundred thousand images has 17 MB, and may be here twice.
const FILE_MAX: u64 = 128 * 1024 * 1024;

/// The file, read and checked for its form.
#[derive(Clone, Debug)]
pub(crate) struct Ceremony {
    /// From the first root to the one that is in force.
    roots: Vec<Document>,
    /// The targets roles as they are published, of those that change and of those that delegate to them.
    before: BTreeMap<Role, Before>,
    pub(crate) proposed: Vec<Item>,
    pub(crate) changes: Changes,
    pub(crate) edits: Vec<Edit>,
    manifests: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Before {
    document: Document,
    delegator: Option<Role>,
}

/// A document that shall be signed.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) role: Role,
    pub(crate) delegator: Option<Role>,
    pub(crate) document: Document,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    hallmark_ceremony: u32,
    /// To read aloud; computed anew by every reader.
    fingerprint: String,
    /// What it does, for people; computed anew by every reader.
    summary: Vec<String>,
    roots: Vec<Value>,
    before: Vec<Entry>,
    proposed: Vec<Entry>,
    #[serde(default)]
    changes: Changes,
    #[serde(default)]
    edits: Vec<Edit>,
    /// The bytes of manifests that become targets, in base64, by digest.
    #[serde(default)]
    manifests: BTreeMap<String, String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delegator: Option<String>,
    document: Value,
}

impl Ceremony {
    /// What a proposal needs to be signed elsewhere.
    pub(crate) fn of(
        proposal: Proposal,
        published: &Published<'_>,
        staged: &Staged,
    ) -> Result<Self, Failure> {
        let malformed = crate::published::malformed("root");
        let roots: Result<_, Failure> =
            published.roots.iter().map(|bytes| Document::parse(bytes).map_err(&malformed)).collect();
        let mut before = BTreeMap::new();
        let mut wanted: Vec<Role> = proposal.documents.iter().map(|one| one.role.clone()).collect();
        while let Some(role) = wanted.pop() {
            if role == Role::Root || before.contains_key(&role) {
                continue;
            }
            let delegator = match published.role(&role)? {
                Some(loaded) => {
                    let document = loaded.statement.document(&role)?;
                    before.insert(role, Before { document, delegator: loaded.delegator.clone() });
                    loaded.delegator.clone()
                }
                None => proposal.document(&role).and_then(|one| one.delegator.clone()),
            };
            wanted.extend(delegator);
        }
        let mut manifests = BTreeMap::new();
        for Planned { change, was, .. } in &proposal.changes {
            let Some(digest) = change.digest() else { continue };
            match staged.manifest(digest) {
                Ok(bytes) => {
                    manifests.insert(digest.to_string(), bytes);
                }
                Err(_) if change.is_listed() || *was == Some(digest) => {}
                Err(failure) => return Err(failure),
            }
        }
        let item = |one: Proposed| Item { role: one.role, delegator: one.delegator, document: one.document };
        Ok(Self {
            roots: roots?,
            before,
            changes: proposal.changes.into_iter().map(|one| (one.path, one.change)).collect(),
            edits: proposal.edits,
            proposed: proposal.documents.into_iter().map(item).collect(),
            manifests,
        })
    }

    /// Reads a file. Signatures that are not of its documents are dropped, and said.
    pub(crate) fn read(path: &Path) -> Result<(Self, Vec<String>), Failure> {
        let bytes = files::read(path, FILE_MAX).map_err(|failure| failure.into_usage())?;
        let unusable =
            |why: String| Failure::refused(format!("{} is no ceremony file", path.display())).detail(why);
        // Strictly: nothing in it may be read in two ways.
        canonicalise(&bytes).map_err(|why| unusable(why.to_string()))?;
        let file: File = serde_json::from_slice(&bytes).map_err(|why| unusable(why.to_string()))?;
        if file.hallmark_ceremony != VERSION {
            return Err(unusable(format!("expected version {VERSION}, got {}", file.hallmark_ceremony)));
        }
        let mut ceremony = Self::from_file(file).map_err(unusable)?;
        let dropped = ceremony.drop_foreign()?;
        Ok((ceremony, dropped))
    }

    fn from_file(file: File) -> Result<Self, String> {
        let document = |role: &Role, value: &Value| {
            let bytes = serde_json::to_vec(value).map_err(|why| why.to_string())?;
            let document = Document::parse(&bytes).map_err(|why| why.to_string())?;
            // One of another type would be shown as what it isn't, and signed as what it is.
            document.expect_form(role).map_err(|why| why.to_string())?;
            Ok(document)
        };
        let roots: Result<Vec<_>, String> =
            file.roots.iter().map(|value| document(&Role::Root, value)).collect();
        let roots = roots?;
        expect_in_order(&roots)?;
        let delegator = |entry: &Entry| entry.delegator.as_deref().map(Role::of_targets);
        let mut before = BTreeMap::new();
        for entry in &file.before {
            let role = Role::of_targets(&entry.role);
            let found = Before { document: document(&role, &entry.document)?, delegator: delegator(entry) };
            if before.insert(role, found).is_some() {
                return Err(format!("expected one published document of {}, got two", entry.role));
            }
        }
        let mut proposed = Vec::new();
        for entry in &file.proposed {
            let role = role_named(&entry.role);
            if matches!(role, Role::Snapshot | Role::Timestamp) {
                return Err(format!("expected root or targets roles to be proposed, got {role}"));
            }
            if proposed.iter().any(|one: &Item| one.role == role) {
                return Err(format!("expected one document of {role}, got two"));
            }
            let document = document(&role, &entry.document)?;
            proposed.push(Item { role, delegator: delegator(entry), document });
        }
        if proposed.is_empty() {
            return Err("expected documents to sign, got none".to_owned());
        }
        expect_led_to(&before, &proposed)?;
        let mut manifests = BTreeMap::new();
        for (digest, text) in file.manifests {
            let bytes = STANDARD.decode(text).map_err(|why| why.to_string())?;
            if Digest::of(&bytes).to_string() != digest {
                return Err(format!("expected a manifest with digest {digest}, got other bytes"));
            }
            manifests.insert(digest, bytes);
        }
        Ok(Self { roots, before, proposed, changes: file.changes, edits: file.edits, manifests })
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let value = |document: &Document| -> Result<Value, Failure> {
            serde_json::from_slice(&document.to_bytes()).map_err(Failure::refused)
        };
        let entry = |role: &Role, delegator: &Option<Role>, document: &Document| -> Result<Entry, Failure> {
            Ok(Entry {
                role: role.name().to_owned(),
                delegator: delegator.as_ref().map(|role| role.name().to_owned()),
                document: value(document)?,
            })
        };
        let before = self.before.iter().map(|(role, one)| entry(role, &one.delegator, &one.document));
        let proposed = self.proposed.iter().map(|one| entry(&one.role, &one.delegator, &one.document));
        let file = File {
            hallmark_ceremony: VERSION,
            fingerprint: words(&self.fingerprint()?),
            summary: self.summary(),
            roots: self.roots.iter().map(value).collect::<Result<_, _>>()?,
            before: before.collect::<Result<_, _>>()?,
            proposed: proposed.collect::<Result<_, _>>()?,
            changes: self.changes.clone(),
            edits: self.edits.clone(),
            manifests: self
                .manifests
                .iter()
                .map(|(id, bytes)| (id.clone(), STANDARD.encode(bytes)))
                .collect(),
        };
        let mut bytes = serde_json::to_vec_pretty(&file).map_err(Failure::refused)?;
        bytes.push(b'\n');
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > FILE_MAX {
            return Err(Failure::refused("so much doesn't go into one ceremony")
                .detail(format!("expected at most {FILE_MAX} bytes, got {length}"))
                .hint("stage less: `signer reset` forgets what is staged; nothing was written"));
        }
        files::replace(path, &bytes, Readers::Everyone)
    }

    /// The SHA-256, in hex, of what is proposed and of what it starts from: not of the signatures.
    pub(crate) fn fingerprint(&self) -> Result<String, Failure> {
        let digest = |document: &Document| {
            document.canonical().map(|bytes| sha256_hex(&bytes)).map_err(Failure::refused)
        };
        let line = |role: &Role, delegator: &Option<Role>, document: &Document| {
            Ok(json!([role.name(), delegator.as_ref().map(Role::name), digest(document)?]))
        };
        let before = self.before.iter().map(|(role, one)| line(role, &one.delegator, &one.document));
        let proposed = self.proposed.iter().map(|one| line(&one.role, &one.delegator, &one.document));
        let text = json!({
            "root": self.roots.last().map(digest).transpose()?,
            "before": before.collect::<Result<Vec<Value>, Failure>>()?,
            "proposed": proposed.collect::<Result<Vec<Value>, Failure>>()?,
            "changes": serde_json::to_value(&self.changes).map_err(Failure::refused)?.to_string(),
            "edits": serde_json::to_value(&self.edits).map_err(Failure::refused)?.to_string(),
        });
        canonicalise(text.to_string().as_bytes()).map(|bytes| sha256_hex(&bytes)).map_err(Failure::refused)
    }

    /// What would change, in words.
    pub(crate) fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for one in &self.proposed {
            let before = match one.role {
                Role::Root => self.roots.last(),
                _ => self.before.get(&one.role).map(|before| &before.document),
            };
            lines.extend(diff(&one.role, before, &one.document));
        }
        lines
    }

    /// Who must sign a document.
    pub(crate) fn sets(&self, item: &Item) -> Result<Vec<KeySet>, Failure> {
        let root = |role: &Role| self.proposed.iter().find(|one| one.role == *role).map(|one| &one.document);
        let Some(old) = self.roots.last() else { return Ok(Vec::new()) };
        sets_of(&item.role, item.delegator.as_ref(), old, root(&Role::Root), |delegator| {
            let document = root(delegator).or_else(|| self.before.get(delegator).map(|one| &one.document));
            document.and_then(|document| document.keys_of(&item.role))
        })
    }

    /// Whether it starts from a root that follows from `trusted`, and what was before is signed by whom that
    /// root names.
    pub(crate) fn expect_follows(&self, trusted: &[u8]) -> Result<(), Failure> {
        let refused = |why: &dyn std::fmt::Display| {
            Failure::refused("this ceremony is not about the repository that you trust")
                .detail(why)
                .hint("ask whoever proposed it; sign nothing")
        };
        let then = Instant::UNIX_EPOCH;
        let mut root =
            TrustedRoot::bootstrap(trusted, then, crypto::default()).map_err(|why| refused(&why))?;
        let from = root.version();
        for next in self.roots.iter().filter(|next| next.version() > from) {
            root = root.next(&next.to_bytes()).map_err(|why| refused(&why))?;
        }
        let last = self.roots.last().map_or(0, Document::version);
        if root.version() != last {
            return Err(refused(&format!("expected roots from version {from} on, got up to {last}")));
        }
        let same = self.roots.iter().find(|one| one.version() == from);
        let trusted = Document::parse(trusted).map_err(|why| refused(&why))?;
        if same.is_some_and(|same| same.signed() != trusted.signed()) {
            return Err(refused(&format!("its root {from} is another one than yours")));
        }
        let Some(old) = self.roots.last() else { return Ok(()) };
        for (role, Before { document, delegator }) in &self.before {
            let sets = sets_of(role, delegator.as_ref(), old, None, |delegator| {
                self.before.get(delegator).and_then(|one| one.document.keys_of(role))
            })?;
            if let Some(set) = sets.iter().find(|set| !set.is_reached(role, document)) {
                let need = set.role_keys.threshold;
                return Err(refused(&format!(
                    "what it calls the published {role} isn't signed by {need} of its keys"
                )));
            }
        }
        Ok(())
    }

    /// Drops signatures that are not of these documents: those of a proposal that was changed afterwards.
    fn drop_foreign(&mut self) -> Result<Vec<String>, Failure> {
        let mut dropped = Vec::new();
        for at in 0..self.proposed.len() {
            let Some(item) = self.proposed.get(at).cloned() else { continue };
            let sets = self.sets(&item)?;
            for (id, _) in item.document.signatures() {
                let valid = sets.iter().any(|set| signed_by(&item, set).iter().any(|signed| signed == id));
                if !valid && let Some(one) = self.proposed.get_mut(at) {
                    one.document.remove_signature(id);
                    dropped.push(format!(
                        "the signature of {} by {} is not of this proposal, or of nobody whose signature counts",
                        item.role,
                        crate::edit::short(id)
                    ));
                }
            }
        }
        Ok(dropped)
    }

    /// Adds the signatures of another copy. Where both have one of the same key, as of a key that signs the same
    /// each time in another way, which of them stays doesn't depend on who is merged with whom.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Failure> {
        if self.fingerprint()? != other.fingerprint()? {
            return Err(Failure::refused("these are two different proposals")
                .detail(format!(
                    "expected {}, got {}",
                    words(&self.fingerprint()?),
                    words(&other.fingerprint()?)
                ))
                .hint("whoever changed it must let the others sign again"));
        }
        for one in &mut self.proposed {
            let theirs = other.proposed.iter().find(|other| other.role == one.role);
            for (id, theirs) in theirs.iter().flat_map(|theirs| theirs.document.signatures()) {
                let ours = one.document.signatures().find(|(ours, _)| *ours == id);
                if ours.is_none_or(|(_, ours)| theirs < ours) {
                    one.document.add_signature(id, theirs);
                }
            }
        }
        for (digest, bytes) in &other.manifests {
            self.manifests.entry(digest.clone()).or_insert_with(|| bytes.clone());
        }
        Ok(())
    }

    /// The proposal to publish, if what is published is still what it starts from. What is published already, by
    /// somebody who was interrupted, is left out of its documents.
    pub(crate) fn into_proposal(self, published: &Published<'_>) -> Result<(Proposal, Manifests), Failure> {
        let stale = |role: &Role, expected: u64, got: u64| {
            Failure::refused("this ceremony is out of date")
                .detail(format!("it starts from {role} {expected}, and {role} {got} is published"))
                .hint("propose it again, and let the others sign again")
        };
        let root = Document::parse(published.root_bytes()).map_err(Failure::refused)?;
        let own = self.roots.last().map_or(0, Document::version);
        let is_base = self.roots.last().map(Document::signed) == Some(root.signed());
        let mut documents = Vec::new();
        for item in &self.proposed {
            if item.is_published(published)? {
                continue;
            }
            let expected = self.before.get(&item.role).map_or(0, |before| before.document.version());
            let got = published.role(&item.role)?.map_or(0, |loaded| loaded.statement.version);
            if item.role != Role::Root && expected != got {
                return Err(stale(&item.role, expected, got));
            }
            if item.role == Role::Root && !is_base {
                return Err(stale(&Role::Root, own, root.version()));
            }
            let sets = self.sets(item)?;
            let Item { role, delegator, document } = item.clone();
            documents.push(Proposed { role, document, why: Why::Changed, sets, delegator });
        }
        let mut changes = Vec::new();
        for (path, change) in &self.changes {
            changes.push(Planned::of(path, change, published.target(path)?.as_ref()));
        }
        Ok((Proposal { documents, changes, edits: self.edits }, Manifests(self.manifests)))
    }
}

impl Item {
    /// Whether what it says, whoever signed it, is what is published.
    fn is_published(&self, published: &Published<'_>) -> Result<bool, Failure> {
        let there = match &self.role {
            Role::Root => Some(Document::parse(published.root_bytes()).map_err(Failure::refused)?),
            role => published.role(role)?.map(|loaded| loaded.statement.document(role)).transpose()?,
        };
        let Some(there) = there.filter(|there| there.version() == self.document.version()) else {
            return Ok(false);
        };
        let canonical = |document: &Document| document.canonical().map_err(Failure::refused);
        Ok(canonical(&there)? == canonical(&self.document)?)
    }
}

/// Roots follow one another, so that the last one is the one that was followed to.
fn expect_in_order(roots: &[Document]) -> Result<(), String> {
    if roots.is_empty() {
        return Err("expected the roots so far, got none".to_owned());
    }
    for (root, next) in roots.iter().zip(roots.iter().skip(1)) {
        if next.version() != root.version().saturating_add(1) {
            return Err(format!(
                "expected root {} to be followed by the next, got {}",
                root.version(),
                next.version()
            ));
        }
    }
    Ok(())
}

/// Delegations lead to each role from the top-level targets, whose keys are the root's: keys that only vouch for
/// each other are anybody's.
fn expect_led_to(before: &BTreeMap<Role, Before>, proposed: &[Item]) -> Result<(), String> {
    let was = |role: &Role| before.get(role).map(|one| one.delegator.as_ref());
    let is = |role: &Role| {
        let found = proposed.iter().find(|one| one.role == *role).map(|one| one.delegator.as_ref());
        found.or_else(|| was(role))
    };
    before.keys().try_for_each(|role| expect_chain(role, was))?;
    proposed.iter().try_for_each(|one| expect_chain(&one.role, is))
}

/// Goes from a role up to the one that the root's keys sign.
fn expect_chain<'r>(
    role: &'r Role,
    delegator: impl Fn(&Role) -> Option<Option<&'r Role>>,
) -> Result<(), String> {
    let mut passed = vec![role];
    while let Some(at) = passed.last().copied() {
        match (at, delegator(at).flatten()) {
            (Role::Delegated(_), Some(by)) if !passed.contains(&by) => passed.push(by),
            (Role::Delegated(_), _) | (_, Some(_)) => {
                return Err(format!("expected the delegations of {role} to begin with targets, got others"));
            }
            (_, None) => return Ok(()),
        }
    }
    Ok(())
}

/// The bytes that become targets.
#[derive(Debug, Default)]
pub(crate) struct Manifests(BTreeMap<String, Vec<u8>>);

impl Manifests {
    pub(crate) fn get(&self, digest: Digest) -> Option<Vec<u8>> {
        self.0.get(&digest.to_string()).cloned()
    }
}

/// The ids of the keys of a set that signed a document.
pub(crate) fn signed_by(item: &Item, set: &KeySet) -> Vec<String> {
    let one = |id: &String| {
        let role_keys =
            tuf_core::schema::RoleKeys { keyids: vec![id.clone()], threshold: std::num::NonZeroU32::MIN };
        item.document.signers(&item.role, &set.keys, &role_keys, crypto::default()).is_ok()
    };
    set.role_keys.keyids.iter().filter(|id| one(id)).cloned().collect()
}

//! A registry: the layout that docker/attest reads, which is what our own clients read as well.
//!
//! Each version is put under a tag of its own, which claims it. [`Store::advance`] then puts delegated roles
//! beside those that clients are led to now, and at last moves the tag that clients begin with, in one write:
//! all roots, the snapshot, the targets and the timestamp are layers of one manifest. Targets are in a second
//! repository, `NAME-targets`. Nothing is ever deleted.

mod layout;
mod roles;
mod turn;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use oci_image::tuf_layout::{self, Asked, tag_of};
use oci_image::{
    BlobError, Descriptor, Digest, ImageName, ImageSource as _, Registry, RegistryOptions, Selector,
    SourceError, Tag, VerifyingReader, media,
};

use crate::{HEAD_MAX, Head, Store, StoreError, Token};
use layout::{
    Annotations, CONFIG, Files, Held, PREVIOUS, Stated, delegated, folder_tag, layer, manifest, target_tag,
    version_and_role, version_tag,
};

/// How long a write may take that others count on. A registry answers in a fraction of a second.
const SETTLE: Duration = Duration::from_secs(2);
/// A snapshot of a hundred thousand roles. Clients read no more.
const SNAPSHOT_MAX: u64 = 32 * 1024 * 1024;
/// How many files are handed over to be written at once.
const SOME: usize = 256;
/// Before a manifest is written again, and when that is given up.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(3);
const TIMESTAMP: &str = "timestamp.json";

/// A repository in a registry.
pub struct OciStore {
    name: String,
    metadata: Repository,
    targets: Repository,
    tag: Tag,
    settle: Duration,
    /// Who we are among publishers.
    me: String,
    state: Mutex<State>,
}

/// One repository of the registry.
struct Repository {
    registry: Registry,
    /// Whether the config is there already, which all manifests share.
    config: OnceLock<()>,
}

#[derive(Default)]
struct State {
    /// What stood under the tag when it was last asked for.
    top: Option<Option<Held>>,
    /// What was put and isn't led to yet.
    put: Files,
    /// Targets that were put, by the tag of their folder's index.
    folders: BTreeMap<String, BTreeMap<String, Descriptor>>,
    /// Whether the registry was seen to hold to conditions.
    conditions: Option<bool>,
}

impl fmt::Debug for OciStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OciStore").field("name", &self.name).finish_non_exhaustive()
    }
}

impl OciStore {
    /// The repository of this name, and the tag that clients begin with.
    ///
    /// # Errors
    /// When the name can be no address.
    pub fn new(name: &ImageName, tag: &Tag, options: RegistryOptions) -> Result<Self, StoreError> {
        let text = format!("oci://{name}:{tag}");
        let malformed = |why: String| StoreError::Malformed { at: text.clone(), why };
        let targets: ImageName = tuf_layout::targets_of(&name.to_string())
            .parse()
            .map_err(|why: oci_image::BadReference| malformed(why.to_string()))?;
        let repository = |name, options| match Registry::new(name, options) {
            Ok(registry) => Ok(Repository { registry, config: OnceLock::new() }),
            Err(why) => Err(malformed(why.to_string())),
        };
        let (metadata, targets) = (repository(name, options.clone())?, repository(&targets, options)?);
        Ok(Self {
            name: text,
            metadata,
            targets,
            tag: tag.clone(),
            settle: SETTLE,
            me: turn::chance(),
            state: Mutex::default(),
        })
    }

    /// The same for a registry whose writes take at most this long, two seconds where nothing is said. All who
    /// publish there must say the same.
    #[must_use]
    pub fn with_settle(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, tag: &Tag) -> Result<Option<Held>, StoreError> {
        self.held_at(Selector::Tag(tag.as_str()))
    }

    fn held_at(&self, which: Selector<'_>) -> Result<Option<Held>, StoreError> {
        self.held_in(&self.metadata, which)
    }

    fn held_in(&self, repository: &Repository, which: Selector<'_>) -> Result<Option<Held>, StoreError> {
        let fetched = match repository.registry.manifest(which) {
            Err(SourceError::NotFound { .. }) => return Ok(None),
            fetched => fetched.map_err(|error| self.failed(error))?,
        };
        if let Selector::Digest(digest) = which
            && Digest::of(&fetched.bytes) != digest
        {
            return Err(self.malformed(format!("expected the manifest {digest}, got other bytes")));
        }
        let held = Held::parse(&fetched.bytes, fetched.media_type.as_deref());
        held.map(Some).map_err(|why| self.malformed(format!("under {which}: {why}")))
    }

    fn digest_under(&self, tag: &Tag) -> Result<Option<Digest>, StoreError> {
        match self.metadata.registry.manifest(Selector::Tag(tag.as_str())) {
            Err(SourceError::NotFound { .. }) => Ok(None),
            fetched => Ok(Some(Digest::of(&fetched.map_err(|error| self.failed(error))?.bytes))),
        }
    }

    /// What stands under the tag that clients begin with. Anything but a trust repository is left alone.
    fn top(&self) -> Result<Option<Held>, StoreError> {
        let held = self.held(&self.tag)?;
        if held.as_ref().is_some_and(|held| !held.files.contains_key(TIMESTAMP)) {
            let tag = &self.tag;
            return Err(self.malformed(format!("expected a trust repository under tag {tag}, got an image")));
        }
        self.state().top = Some(held.clone());
        Ok(held)
    }

    fn known_top(&self) -> Result<Option<Held>, StoreError> {
        let known = self.state().top.clone();
        known.map_or_else(|| self.top(), Ok)
    }

    /// A versioned file: what was put, what clients are led to, what lies under its own tag.
    fn find(&self, name: &str) -> Result<Option<Descriptor>, StoreError> {
        let put = self.state().put.get(name).cloned();
        if put.is_some() {
            return Ok(put);
        }
        let held = match delegated(name) {
            None => self.known_top()?,
            Some(role) => self.held_at(Selector::Tag(&tag_of(role, self.tag.as_str())))?,
        };
        if let Some(found) = held.and_then(|mut held| held.files.remove(name)) {
            return Ok(Some(found));
        }
        self.claimed(name)
    }

    fn read(
        &self,
        repository: &Repository,
        file: &Descriptor,
        name: &str,
        limit: u64,
    ) -> Result<Vec<u8>, StoreError> {
        if file.size > limit {
            return Err(StoreError::TooLarge { name: name.to_owned(), limit, got: file.size });
        }
        let blob = repository.registry.blob(file).map_err(|error| self.failed(error))?;
        let mut bytes = Vec::new();
        match VerifyingReader::for_blob(blob, file).read_to_end(&mut bytes).map_err(BlobError::from) {
            Ok(_) => Ok(bytes),
            Err(BlobError::Source(error)) => Err(self.failed(error)),
            Err(BlobError::Read(error)) => Err(self.failed(SourceError::from_read(error, &self.name))),
            Err(wrong) => Err(self.malformed(format!("{name}: {wrong}"))),
        }
    }

    /// Writes a blob, and the config beside it.
    fn push(&self, to: &Repository, bytes: &[u8]) -> Result<(), StoreError> {
        let push = |bytes| to.registry.push_blob(bytes).map_err(|error| self.failed(error));
        if to.config.get().is_none() {
            push(CONFIG)?;
            to.config.get_or_init(|| ());
        }
        push(bytes).map(|_| ())
    }

    /// Writes a manifest, again where the registry doesn't know yet what was just written: docker-registry, for
    /// a moment, when somebody else wrote the same; others, when what is behind them is slow to agree.
    /// And where a login had to be renewed.
    fn patiently<T>(&self, write: impl Fn() -> Result<T, SourceError>) -> Result<T, StoreError> {
        let (mut wait, mut again) = (PAUSE, false);
        loop {
            match write() {
                Err(error) if is_early(&error) && wait < PATIENCE => {
                    sleep(wait);
                    wait = wait.saturating_mul(2);
                }
                Err(SourceError::Denied { status: 401, .. }) if !again => again = true,
                done => return done.map_err(|error| self.failed(error)),
            }
        }
    }

    /// The manifest that clients begin with next, and the snapshot in it.
    fn next(
        &self,
        from: Option<&Held>,
        timestamp: &[u8],
        roots: &[(String, Vec<u8>)],
    ) -> Result<(Vec<u8>, Stated), StoreError> {
        let mut files: BTreeMap<u64, Descriptor> = BTreeMap::new();
        for (name, file) in from.iter().flat_map(|held| &held.files) {
            if let Asked::Root(version) = Asked::of(name) {
                files.insert(version, file.clone());
            }
        }
        for (name, bytes) in roots {
            let root = layer(name, tuf_layout::METADATA, bytes);
            let (version, _) = version_and_role(name).ok_or_else(|| self.unversioned(name))?;
            if files.get(&version).is_some_and(|there| there.digest != root.digest) {
                return Err(StoreError::Taken { name: name.clone() });
            }
            self.push(&self.metadata, bytes)?;
            files.insert(version, root);
        }
        let (_, snapshot) = self.stated(timestamp, TIMESTAMP, "snapshot")?;
        let bytes = self.read(&self.metadata, &snapshot, "the snapshot", SNAPSHOT_MAX)?;
        let (stated, targets) = self.stated(&bytes, "the snapshot", "targets")?;
        let head = layer(TIMESTAMP, tuf_layout::METADATA, timestamp);
        let previous = from.map(|held| (PREVIOUS.to_owned(), held.digest.to_string()));
        let layers = files.values().chain([&snapshot, &targets, &head]);
        Ok((manifest(layers, &previous.into_iter().collect::<Annotations>()), stated))
    }

    /// What a document states, and the file of the role that it leads to.
    fn stated(&self, bytes: &[u8], name: &str, role: &str) -> Result<(Stated, Descriptor), StoreError> {
        let stated = Stated::parse(bytes).map_err(|why| self.malformed(format!("{name}: {why}")))?;
        let file = stated.file(role);
        let file = file.ok_or_else(|| self.malformed(format!("expected {name} to state {role}.json")))?;
        let found = self.find(&file)?;
        let found = found.ok_or_else(|| self.malformed(format!("expected {file}, which {name} states")))?;
        Ok((stated, found))
    }

    /// What the snapshot states that clients are led to now.
    fn stated_now(&self, from: Option<&Held>) -> Result<Option<Stated>, StoreError> {
        let is_snapshot = |name: &str| version_and_role(name).is_some_and(|(_, role)| role == "snapshot");
        let file = from.and_then(|held| held.files.iter().find(|(name, _)| is_snapshot(name)));
        let Some((name, file)) = file else { return Ok(None) };
        let bytes = self.read(&self.metadata, file, name, SNAPSHOT_MAX)?;
        Stated::parse(&bytes).map(Some).map_err(|why| self.malformed(format!("{name}: {why}")))
    }

    fn unversioned(&self, name: &str) -> StoreError {
        self.malformed(format!("expected VERSION.ROLE.json, got {name:?}"))
    }

    fn malformed(&self, why: String) -> StoreError {
        StoreError::Malformed { at: self.name.clone(), why }
    }

    fn failed(&self, error: SourceError) -> StoreError {
        let (at, why) = (self.name.clone(), error.to_string());
        match error {
            SourceError::Denied { .. } | SourceError::Credentials { .. } => StoreError::Denied { at, why },
            SourceError::Unreachable { .. }
            | SourceError::Overdue { .. }
            | SourceError::Stalled { .. }
            | SourceError::Address { .. } => StoreError::Unreachable { at, why },
            SourceError::Io { error, .. } => StoreError::Io { at, error },
            _ => StoreError::Malformed { at, why },
        }
    }
}

/// Whether a registry says of what was just written that it isn't there.
fn is_early(error: &SourceError) -> bool {
    matches!(error, SourceError::Malformed { why, .. } if why.contains("BLOB_UNKNOWN"))
}

impl Store for OciStore {
    fn describe(&self) -> String {
        self.name.clone()
    }

    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.find(name)?.map(|file| self.read(&self.metadata, &file, name, limit)).transpose()
    }

    fn has_metadata(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.find(name)?.is_some())
    }

    fn target(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let own = self.held_in(&self.targets, Selector::Tag(&target_tag(name)))?;
        let held = match (own, folder_tag(name)) {
            (None, Some(folder)) => self.indexed_target(&folder, name)?,
            (own, _) => own,
        };
        let own = name.rsplit('/').next().unwrap_or(name);
        let file = held.and_then(|mut held| held.files.remove(own).or_else(|| held.files.remove(name)));
        file.map(|file| self.read(&self.targets, &file, name, limit)).transpose()
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        let Some(held) = self.top()? else { return Ok(None) };
        let Some(file) = held.files.get(TIMESTAMP) else { return Ok(None) };
        let timestamp = self.read(&self.metadata, file, TIMESTAMP, HEAD_MAX)?;
        Ok(Some(Head { timestamp, token: Token(held.digest.to_string()) }))
    }

    fn put_metadata(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let tag = version_tag(name).ok_or_else(|| self.unversioned(name))?;
        let file = layer(name, tuf_layout::METADATA, bytes);
        let taken = || StoreError::Taken { name: name.to_owned() };
        if let Some(there) = self.find(name)? {
            if there.digest != file.digest {
                return Err(taken());
            }
            self.state().put.insert(name.to_owned(), there);
            return Ok(());
        }
        self.push(&self.metadata, bytes)?;
        let claim = manifest([&file].into_iter(), &Annotations::new());
        let which = Selector::Tag(tag.as_str());
        self.patiently(|| self.metadata.registry.push_manifest(which, &claim, media::OCI_MANIFEST))?;
        // Another publisher may have claimed it at the same moment.
        if self.digest_under(&tag)? != Some(Digest::of(&claim)) {
            return Err(taken());
        }
        self.state().put.insert(name.to_owned(), file);
        Ok(())
    }

    fn put_all_metadata(
        &self,
        files: &mut dyn Iterator<Item = (String, Vec<u8>)>,
        progress: &dyn Fn(u64),
    ) -> Result<(), StoreError> {
        let mut done = 0_u64;
        loop {
            let some: Vec<_> = (&mut *files).take(SOME).collect();
            if some.is_empty() {
                return Ok(());
            }
            // Bins are often equal, and no registry likes to get the same twice at once.
            let blobs: BTreeMap<Digest, &[u8]> =
                some.iter().map(|(_, bytes)| (Digest::of(bytes), bytes.as_slice())).collect();
            self.push(&self.metadata, CONFIG)?;
            let blobs: Vec<&[u8]> = blobs.into_values().collect();
            roles::each(&blobs, |bytes| self.push(&self.metadata, bytes))?;
            roles::each(&some, |(name, bytes)| self.put_metadata(name, bytes))?;
            done = done.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
            progress(done);
        }
    }

    fn put_target(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.push(&self.targets, bytes)?;
        let file = name.rsplit('/').next().unwrap_or(name);
        let bytes = manifest([&layer(file, tuf_layout::TARGET, bytes)].into_iter(), &Annotations::new());
        let tag = target_tag(name);
        let which = Selector::Tag(&tag);
        self.patiently(|| self.targets.registry.push_manifest(which, &bytes, media::OCI_MANIFEST))?;
        if let Some(folder) = folder_tag(name) {
            let entry = layer(name, media::OCI_MANIFEST, &bytes);
            let mut state = self.state();
            state.folders.entry(folder.as_str().to_owned()).or_default().insert(name.to_owned(), entry);
        }
        Ok(())
    }

    fn advance(
        &self,
        from: Option<&Token>,
        timestamp: &[u8],
        roots: &[(String, Vec<u8>)],
    ) -> Result<Token, StoreError> {
        let top = self.top()?;
        let moved = |store: &Self| {
            // What was put stays under its own tags, and is nobody's.
            store.state().put.clear();
            StoreError::Moved
        };
        if top.as_ref().map(|top| Token(top.digest.to_string())).as_ref() != from {
            return Err(moved(self));
        }
        let (next, snapshot) = self.next(top.as_ref(), timestamp, roots)?;
        let wanted = self.wanted(&snapshot);
        let before = self.stated_now(top.as_ref())?;
        self.list_targets()?;
        self.lead_roles(&wanted, before.as_ref())?;
        match self.move_tag(&next, timestamp, top.as_ref()) {
            Err(StoreError::Moved) => return Err(moved(self)),
            done => done?,
        }
        // Who lost against us may have written roles' tags that they had read before we did.
        self.lead_roles(&wanted, before.as_ref()).map_err(StoreError::after)?;
        let mut state = self.state();
        state.put.clear();
        state.top = Held::parse(&next, None).ok().map(Some);
        Ok(Token(Digest::of(&next).to_string()))
    }

    fn sweep(&self) -> Result<(), StoreError> {
        self.state().put.clear();
        Ok(())
    }
}

//! From arguments, environment and pins to what the library needs: a client, and a source of images.
//!
//! This is the only place that reads the environment, the clock and the home directory.

mod packed;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use image_pack::Pack;
use oci_image::{
    CredentialPlaces, Credentials, Descriptor, Digest, FetchedManifest, HttpOptions, ImageSource,
    LayoutSource, Location, Reference, Registry, RegistryOptions, Selector, SourceError,
};
use signing_keys::Secret;
use tuf_client::{Client, DirStore, Fetch, Fetched, RepoLocation, Transport, TransportOptions};
use tuf_core::{TrustedRoot, limits};
use verifier_lib::{Link, Stage, Status};

use crate::args::{AccessArgs, ChainArgs, RootArgs, StateArgs};
use crate::failure::Failure;
use crate::pins::{Pin, Pins, private_dir};
use crate::private_key::KeyPlaces;
use crate::style::{say, shown};

/// The most time that the first root may take: one small file, and somebody waits for it.
pub(crate) const FIRST_ROOT_TIME: Duration = Duration::from_secs(60);

/// What one run needs.
pub(crate) struct Access {
    pub(crate) name: Reference,
    pub(crate) client: Client,
    pub(crate) source: Box<dyn ImageSource>,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<Digest>,
    /// How the root was chosen: the link before the others.
    pub(crate) trust: Link,
    /// Whether the blobs are on this machine, so that hashing them is cheap.
    pub(crate) local: bool,
    /// Which root speaks.
    pub(crate) root: RootId,
    /// The pack that all of it is read from, if it is.
    pub(crate) pack: Option<Pack>,
    /// The root that the chain begins with.
    pub(crate) root_bytes: Vec<u8>,
    /// Where the metadata comes from, and whether that is another machine.
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) remote: bool,
    /// A root to pin once the image is trusted.
    first_use: Option<(Pins, Pin, Vec<u8>)>,
}

/// Which root speaks for an image, and of which repository.
#[derive(Clone, Debug)]
pub(crate) struct RootId {
    pub(crate) repo: String,
    pub(crate) sha256: String,
    pub(crate) version: u64,
}

impl RootId {
    /// The repository as a URI.
    pub(crate) fn uri(&self) -> String {
        if self.repo.starts_with('/') { format!("file://{}", self.repo) } else { self.repo.clone() }
    }
}

impl Access {
    pub(crate) fn of(args: &ChainArgs) -> Result<Self, Failure> {
        if let Some(pack) = &args.carried.pack {
            return Self::packed(args, pack);
        }
        let name = trusted_name(args)?;
        let root = ChosenRoot::of(&args.root, &args.state, &args.access, &name, args.offline)?;
        let now = now(args);
        let state = state_dir(&args.state)?;
        let store = state.join("metadata").join(&root.sha256);
        let id = RootId { repo: absolute(&root.repo), sha256: root.sha256.clone(), version: root.version };
        private_dir(&state).map_err(|error| Failure::unknown(format!("{}: {error}", state.display())))?;
        let store = DirStore::open(store).map_err(Failure::unknown)?;
        let transport = root.repo.transport(&transport_options(&root.repo, &args.access)?);
        let store = args.carried.store(store);
        let mut client = Client::new(root.bytes.clone(), Arc::clone(&transport), store, now).asking_ahead();
        // A folder is read without a socket; anything else is not asked.
        if args.offline && root.repo.is_remote() {
            client = client.offline();
        }
        let (source, tag, digest, local) = image_source(args)?;
        let mut trust = root.link;
        if let Some(at) = args.at {
            trust.detail.push_str(&format!(", as of {}", at.to_rfc3339()));
        }
        let (remote, first_use) = (root.repo.is_remote(), root.first_use);
        Ok(Self {
            name,
            client,
            source,
            tag,
            digest,
            trust,
            local,
            root: id,
            pack: None,
            root_bytes: root.bytes,
            transport,
            remote,
            first_use,
        })
    }

    /// Pins what was believed on first use, now that the whole chain held on it.
    pub(crate) fn trusted(&self) -> Result<(), Failure> {
        let Some((pins, pin, root)) = &self.first_use else { return Ok(()) };
        pins.add(pin, root)?;
        say!("warning: trusting root sha256:{} of {} on first use", pin.root_sha256, pin.repo);
        say!(
            "  pinned as {:?} for {}; compare the fingerprint with its owner",
            pin.name,
            pin.scope.join(", ")
        );
        Ok(())
    }

    /// What is looked up in the source.
    pub(crate) fn selector(&self) -> Selector<'_> {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Selector::Digest(*digest),
            (None, Some(tag)) => Selector::Tag(tag),
            (None, None) => Selector::Tag("latest"),
        }
    }
}

/// The time as of which everything is judged: given, or the clock's.
pub(crate) fn now(args: &ChainArgs) -> DateTime<Utc> {
    args.at.unwrap_or_else(Utc::now)
}

/// The name under which the image is trusted.
pub(crate) fn trusted_name(args: &ChainArgs) -> Result<Reference, Failure> {
    match (&args.known_as, &args.image) {
        (Some(name), _) => Ok(name.clone()),
        (None, Location::Registry(reference)) => Ok(reference.clone()),
        (None, Location::Layout { .. }) => {
            let what = format!("{} has no name that could be trusted", args.image);
            Err(Failure::usage(what)
                .hint("say which with --as, such as --as registry.example.com/acme/web:1.4"))
        }
    }
}

pub(crate) type Source = (Box<dyn ImageSource>, Option<String>, Option<Digest>, bool);

/// Where the image is: source, tag, digest, and whether it is on this machine.
pub(crate) fn image_source(args: &ChainArgs) -> Result<Source, Failure> {
    if let Some(pack) = &args.carried.pack {
        return Ok((Box::new(pack.source()), None, Some(pack.index().digest), pack.index().layers));
    }
    match &args.image {
        Location::Registry(reference) => {
            let tag = reference.tag().map(|tag| tag.as_str().to_owned());
            if args.offline {
                return Ok((Box::new(Offline(reference.to_string())), tag, reference.digest(), false));
            }
            let registry = registry(reference, &args.access)?;
            Ok((Box::new(registry), tag, reference.digest(), false))
        }
        Location::Layout { dir, tag, digest } => {
            let layout = LayoutSource::open(dir).map_err(|error| source_failure(&error))?;
            let digest = match (digest, tag) {
                (None, Some(_)) => None,
                _ => {
                    let found = layout.resolve(tag.as_deref(), *digest);
                    Some(found.map_err(|error| source_failure(&error))?.digest)
                }
            };
            Ok((Box::new(layout), tag.clone(), digest, true))
        }
    }
}

pub(crate) fn source_failure(error: &SourceError) -> Failure {
    let what = shown(&error.to_string());
    match error {
        SourceError::Ambiguous { .. } => Failure::usage(what).hint("name one: oci:DIR:TAG"),
        // A place where nothing is says nothing about the image.
        SourceError::NotFound { .. } => Failure::unknown(what),
        _ if error.unreachable() => Failure::unknown(what),
        _ => Failure::refused(what),
    }
}

pub(crate) fn registry(reference: &Reference, access: &AccessArgs) -> Result<Registry, Failure> {
    let options = RegistryOptions {
        credentials: credentials(access)?,
        ca_file: access.ca_file.clone(),
        allow_http: access.allow_http,
        ..RegistryOptions::default()
    };
    Registry::new(reference.name(), options).map_err(Failure::usage)
}

fn credentials(access: &AccessArgs) -> Result<Credentials, Failure> {
    let places = CredentialPlaces::from_environment(access.authfile.clone(), |name| std::env::var_os(name));
    Credentials::load(places.find()).map_err(Failure::usage)
}

/// Logins are read for a registry only: no other server is told any, and a file of them that can't be read
/// is nobody else's trouble.
pub(crate) fn transport_options(
    repo: &RepoLocation,
    access: &AccessArgs,
) -> Result<TransportOptions, Failure> {
    let credentials = match repo {
        RepoLocation::Registry { .. } => credentials(access)?,
        _ => Credentials::anonymous(),
    };
    let http = HttpOptions {
        ca_file: access.ca_file.clone(),
        allow_http: access.allow_http,
        ..HttpOptions::default()
    };
    Ok(TransportOptions { http, credentials })
}

/// A registry that is not asked, because the user said so.
struct Offline(String);

impl Offline {
    fn refuse(&self) -> SourceError {
        SourceError::Unreachable { at: self.0.clone(), why: "--offline was given".to_owned() }
    }
}

impl ImageSource for Offline {
    fn manifest(&self, _which: Selector<'_>) -> Result<FetchedManifest, SourceError> {
        Err(self.refuse())
    }

    fn blob(&self, _want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        Err(self.refuse())
    }

    fn describe(&self) -> String {
        format!("registry {}", self.0)
    }
}

/// The state folder: `--state`, else the XDG data folder.
pub(crate) fn state_dir(args: &StateArgs) -> Result<PathBuf, Failure> {
    if let Some(state) = &args.state {
        return Ok(state.clone());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    data.map(|data| data.join("hallmark")).ok_or_else(|| {
        Failure::usage("there is no home directory to keep pins in").hint("say where with --state DIR")
    })
}

/// Where another program keeps what it downloaded: `variable`, else `name` in the XDG cache folder.
pub(crate) fn cache_dir(variable: &str, name: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = || absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    absolute(variable).or_else(|| Some(cache()?.join(name))).filter(|path| path.is_dir())
}

/// What is around private keys.
pub(crate) fn key_places() -> KeyPlaces {
    let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let secret = |name: &str| Some(Secret::new(value(name)?.into_string().ok()?));
    KeyPlaces {
        passphrase: secret("HALLMARK_PASSPHRASE"),
        pin: secret("HALLMARK_PIN"),
        agent_socket: value("SSH_AUTH_SOCK").map(PathBuf::from),
        module: value("PKCS11_MODULE_PATH").map(PathBuf::from),
    }
}

/// The home directory.
pub(crate) fn home_dir() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// A program: by its path, or by its name on the path of programs.
pub(crate) fn program_path(name: &std::ffi::OsStr) -> Option<PathBuf> {
    if name.as_encoded_bytes().contains(&b'/') {
        return std::path::absolute(name).ok().filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    // What is in the folder where somebody happens to be is no program of theirs.
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The root that speaks for an image, and how it was chosen.
pub(crate) struct ChosenRoot {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: String,
    version: u64,
    pub(crate) repo: RepoLocation,
    pub(crate) origin: &'static str,
    link: Link,
    first_use: Option<(Pins, Pin, Vec<u8>)>,
}

impl ChosenRoot {
    fn of(
        root: &RootArgs,
        state: &StateArgs,
        access: &AccessArgs,
        name: &Reference,
        offline: bool,
    ) -> Result<Self, Failure> {
        let pins = Pins::of(&state_dir(state)?);
        if root.root.is_some() || root.root_sha256.is_some() {
            return Self::given(root, access, offline);
        }
        if let Some(pin) = pins.for_image(name.name())? {
            return Self::pinned(&pins, &pin, root.repo.as_ref());
        }
        if root.trust_on_first_use {
            return Self::first_use(&pins, root, access, name, offline);
        }
        if root.repo.is_some() {
            let what = "--repo says where a repository is, not who may speak";
            return Err(Failure::usage(what)
                .hint("add --root FILE or --root-sha256 HEX, as its owner gave it to you"));
        }
        let what = format!("refused {name}: no root is pinned that speaks for {}", name.name());
        Err(Failure::refused(what).hint(format!(
            "pin one with `verify trust add NAME --scope '{}' --repo URL --root FILE`",
            name.name()
        )))
    }

    /// `--root FILE`, or `--root-sha256` of what the repository has as its first root.
    pub(crate) fn given(root: &RootArgs, access: &AccessArgs, offline: bool) -> Result<Self, Failure> {
        let Some(repo) = &root.repo else {
            return Err(Failure::usage("expected --repo DIR|URL, got none"));
        };
        if let Some(file) = &root.root {
            let bytes = read_root(file)?;
            return Self::checked(bytes, repo, "given", format!("{}", file.display()));
        }
        let Some(expected) = &root.root_sha256 else {
            let hint = "add --root FILE or --root-sha256 HEX, as its owner gave it to you";
            return Err(Failure::usage("expected --root or --root-sha256, got neither").hint(hint));
        };
        let bytes = first_root(repo, access, offline)?;
        let got = Digest::of(&bytes).hex();
        if !expected.eq_ignore_ascii_case(&got) {
            let what = format!("refused the root of {repo}: expected sha256 {expected}, got {got}");
            return Err(Failure::refused(what));
        }
        Self::checked(bytes, repo, "fingerprint", "the fingerprint that was given".to_owned())
    }

    pub(crate) fn pinned(pins: &Pins, pin: &Pin, repo: Option<&RepoLocation>) -> Result<Self, Failure> {
        let pinned_at: RepoLocation = pin.repo.parse().map_err(Failure::unknown)?;
        let repo = repo.unwrap_or(&pinned_at);
        Self::checked(
            pins.root(pin)?,
            repo,
            "pinned",
            format!("pin {:?} for {}", pin.name, pin.scope.join(", ")),
        )
    }

    /// Believes the repository this once. What it believed is pinned when the image turns out trusted.
    fn first_use(
        pins: &Pins,
        root: &RootArgs,
        access: &AccessArgs,
        name: &Reference,
        offline: bool,
    ) -> Result<Self, Failure> {
        let Some(repo) = &root.repo else {
            return Err(Failure::usage("expected --repo DIR|URL, got none"));
        };
        let bytes = first_root(repo, access, offline)?;
        let chosen = Self::checked(bytes, repo, "first use", "trusted on first use".to_owned())?;
        let scope = name.name().to_string();
        let pin = Pin {
            name: first_use_name(&scope),
            scope: vec![scope.clone()],
            repo: absolute(repo),
            root_sha256: chosen.sha256.clone(),
            origin: "first use".to_owned(),
        };
        let first_use = Some((pins.clone(), pin, chosen.bytes.clone()));
        Ok(Self { first_use, ..chosen })
    }

    fn checked(
        bytes: Vec<u8>,
        repo: &RepoLocation,
        origin: &'static str,
        how: String,
    ) -> Result<Self, Failure> {
        let (version, sha256) = bootstrapped(&bytes)?;
        let detail = format!("root version {version} with sha256 {sha256}, by {how}");
        let link = Link::new(Stage::Trust, Status::Passed, repo.to_string(), detail);
        Ok(Self { bytes, sha256, version, repo: repo.clone(), origin, link, first_use: None })
    }
}

/// The version and fingerprint of a root that its own keys signed. Its expiry doesn't matter: its successors are
/// still to come.
pub(crate) fn bootstrapped(bytes: &[u8]) -> Result<(u64, String), Failure> {
    let now = chrono::DateTime::UNIX_EPOCH;
    let root = TrustedRoot::bootstrap(bytes, now, tuf_core::crypto::default())
        .map_err(|refusal| Failure::refused(format!("refused the root: {}", shown(&refusal.to_string()))))?;
    Ok((root.version(), Digest::of(bytes).hex()))
}

/// What a pin of first use is called: readable, and different for every scope.
fn first_use_name(scope: &str) -> String {
    let readable: String = scope.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    let hash = Digest::of(scope.as_bytes()).hex();
    format!("first-use-{readable}-{}", hash.get(..8).unwrap_or_default())
}

/// The repository as a pin keeps it: a folder by its full path, so that it is found from anywhere.
pub(crate) fn absolute(repo: &RepoLocation) -> String {
    let full = |dir: &Path| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match repo {
        RepoLocation::Dir(dir) => full(dir).display().to_string(),
        RepoLocation::Layout { dir, tag } => {
            RepoLocation::Layout { dir: full(dir), tag: tag.clone() }.to_string()
        }
        RepoLocation::Http(_) | RepoLocation::Registry { .. } => repo.to_string(),
    }
}

fn read_root(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::usage(format!("{}: {error}", file.display()));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    opened.take(limits::ROOT_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limits::ROOT_BYTES {
        let what =
            format!("{}: expected a root of at most {} bytes, got more", file.display(), limits::ROOT_BYTES);
        return Err(Failure::usage(what));
    }
    Ok(bytes)
}

fn first_root(repo: &RepoLocation, access: &AccessArgs, offline: bool) -> Result<Vec<u8>, Failure> {
    if offline && repo.is_remote() {
        return Err(Failure::unknown(format!("could not read the root of {repo}: --offline was given")));
    }
    let transport = repo.transport(&transport_options(repo, access)?);
    let wanted = Fetch { name: "1.root.json", limit: limits::ROOT_BYTES, known: None, time: FIRST_ROOT_TIME };
    match transport.fetch(&wanted) {
        Ok(Fetched::File { bytes, .. }) => Ok(bytes),
        Ok(Fetched::Absent | Fetched::Unchanged) => {
            Err(Failure::unknown(format!("{} has no 1.root.json", transport.describe())))
        }
        Err(error) if error.unreachable() => Err(Failure::unknown(shown(&error.to_string()))),
        Err(error) => Err(Failure::refused(shown(&error.to_string()))),
    }
}

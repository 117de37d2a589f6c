//! `signer init`: a trust repository, whole or not at all.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use signing_keys::file::{NewKind, PrivateKey};
use tuf_core::authoring::{Document, meta_of};
use tuf_core::crypto::{self, Sign as _};
use tuf_core::hash::sha256_hex;
use tuf_core::{Instant, Role, metadata_file_name};

use crate::Surroundings;
use crate::args::InitArgs;
use crate::config::{Config, TEMPLATE};
use crate::draft::not_publishable;
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::key_ring;
use crate::passphrase::{Passphrase, Source};
use crate::published::{Seen, State, weigh};
use crate::report::{self, VERSION};
use crate::repository::Repository;

/// `--key ROLE=FILE`.
#[derive(Clone, Debug)]
pub(crate) struct GivenKey {
    role: Role,
    file: PathBuf,
}

impl FromStr for GivenKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').ok_or("expected ROLE=FILE")?;
        let role = ROLES.into_iter().find(|role| role.name() == name);
        let role = role.ok_or("expected one of root, targets, snapshot, timestamp before =")?;
        Ok(Self { role, file: file.into() })
    }
}

const ROLES: [Role; 4] = [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp];

pub(crate) fn run(dir: &Path, args: &InitArgs, around: &Surroundings) -> Result<report::Init, Failure> {
    expect_free(dir)?;
    let config = Config::parse(TEMPLATE).map_err(Failure::refused)?;
    let source = Source::of(&args.passphrase, around);
    let given = open_given(&args.keys, &source)?;
    let given_ids: Vec<String> = given.iter().map(|(_, key)| key.key_id()).collect();
    let passphrase = match args.unencrypted_keys || args.rehearsal.dry_run {
        true => None,
        false => Some(source.new_one()?),
    };
    let keys = RoleKeys::make(given)?;
    let first = First::sign(&keys, &config, around.now)?;
    let mut report = first.report(&Repository::at(dir), &keys, !args.unencrypted_keys);
    if args.rehearsal.dry_run {
        // The keys that were made are thrown away, and with them this root.
        report.roles.iter_mut().for_each(|role| role.key_ids.retain(|id| given_ids.contains(id)));
        return Ok(report::Init { dry_run: true, root_sha256: String::new(), ..report });
    }

    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    files::folder(parent)?;
    let scaffold =
        tempfile::Builder::new().prefix(".signer-init-").tempdir_in(parent).map_err(Failure::io(parent))?;
    let built = Repository::at(&scaffold.path().join("trust"));
    write(&built, &keys, passphrase.as_ref(), &first)
        .map_err(|failure| failure.detail(format!("{} was not made", dir.display())))?;
    // Onto an empty folder or nothing: the system refuses to replace a folder that has something in it.
    fs::rename(built.dir(), dir).map_err(|error| match error.kind() {
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => occupied(dir),
        _ => Failure::io(dir)(error),
    })?;
    files::flush(parent)?;
    Ok(report)
}

pub(super) fn expect_free(dir: &Path) -> Result<(), Failure> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(false) => Err(occupied(dir)),
        Err(error) => Err(Failure::usage(format!("{}: {error}", dir.display()))),
    }
}

pub(super) fn occupied(dir: &Path) -> Failure {
    Failure::refused(format!("{} is there already and is not empty", dir.display()))
        .detail("nothing was changed: a trust repository is never overwritten")
        .hint("name another folder with --repo DIR")
}

/// Keys that the user brings along, opened before anything is made.
fn open_given(keys: &[GivenKey], source: &Source) -> Result<Vec<(Role, PrivateKey)>, Failure> {
    let mut given: Vec<(Role, PrivateKey)> = Vec::new();
    for GivenKey { role, file } in keys {
        if given.iter().any(|(taken, _)| taken == role) {
            return Err(Failure::usage(format!("--key names {role} twice")));
        }
        let closed = key_ring::read(file)?;
        let passphrase = match closed.is_encrypted() {
            true => source.existing(&file.display().to_string())?,
            false => Passphrase::default(),
        };
        let key = closed.open(&passphrase).map_err(|why| key_ring::unusable(file, why))?;
        given.push((role.clone(), key));
    }
    Ok(given)
}

/// One key a role.
struct RoleKeys(Vec<(Role, PrivateKey)>);

impl RoleKeys {
    fn make(mut given: Vec<(Role, PrivateKey)>) -> Result<Self, Failure> {
        let mut keys = Vec::new();
        for role in ROLES {
            let key = match given.iter().position(|(of, _)| *of == role) {
                Some(at) => given.swap_remove(at).1,
                None => PrivateKey::generate(NewKind::default()).map_err(Failure::unknown)?,
            };
            keys.push((role, key));
        }
        Ok(Self(keys))
    }

    fn sign(&self, role: &Role, mut document: Document) -> Result<Vec<u8>, Failure> {
        for (_, key) in self.0.iter().filter(|(of, _)| of == role) {
            document.sign(key, crypto::default()).map_err(Failure::refused)?;
        }
        Ok(document.to_bytes())
    }
}

/// The first statements, version 1 of each.
struct First {
    root: Vec<u8>,
    targets: Vec<u8>,
    snapshot: Vec<u8>,
    timestamp: Vec<u8>,
    expires: Vec<(Role, Instant)>,
}

impl First {
    fn sign(keys: &RoleKeys, config: &Config, now: Instant) -> Result<Self, Failure> {
        let expiry = |role: &Role| config.expiry(role, now);
        let mut root = Document::root(expiry(&Role::Root));
        for (role, key) in &keys.0 {
            root.add_key(role, key.key());
        }
        let root = keys.sign(&Role::Root, root)?;
        let targets = keys.sign(&Role::Targets, Document::targets(expiry(&Role::Targets)))?;
        let mut snapshot = Document::snapshot(expiry(&Role::Snapshot));
        snapshot.set_meta("targets.json", &meta_of(1, &targets));
        let snapshot = keys.sign(&Role::Snapshot, snapshot)?;
        let mut timestamp = Document::timestamp(expiry(&Role::Timestamp));
        timestamp.set_meta("snapshot.json", &meta_of(1, &snapshot));
        let timestamp = keys.sign(&Role::Timestamp, timestamp)?;

        let state = State { timestamp: &timestamp, snapshot: &snapshot, targets: &Arc::new(targets.clone()) };
        weigh(std::slice::from_ref(&root), Seen::default(), state, now)
            .map_err(|refusal| not_publishable(&refusal))?;
        let expires = ROLES.into_iter().map(|role| (role.clone(), expiry(&role))).collect();
        Ok(Self { root, targets, snapshot, timestamp, expires })
    }

    fn report(&self, made: &Repository, keys: &RoleKeys, encrypted_keys: bool) -> report::Init {
        let key_ids = |role: &Role| {
            let of_role = keys.0.iter().filter(|(of, _)| of == role);
            of_role.map(|(_, key)| key.key_id()).collect()
        };
        let roles = self.expires.iter().map(|(role, expires)| report::Role {
            role: role.name().to_owned(),
            version: 1,
            expires: *expires,
            threshold: 1,
            key_ids: key_ids(role),
            delegated_by: None,
        });
        report::Init {
            version: VERSION,
            dry_run: false,
            repository: made.dir().display().to_string(),
            published: made.published().display().to_string(),
            root: made.metadata().join("1.root.json").display().to_string(),
            root_sha256: sha256_hex(&self.root),
            encrypted_keys,
            roles: roles.collect(),
        }
    }
}

fn write(
    built: &Repository,
    keys: &RoleKeys,
    passphrase: Option<&Passphrase>,
    first: &First,
) -> Result<(), Failure> {
    for dir in [built.staged(), built.metadata(), built.targets()] {
        files::folder(&dir)?;
    }
    DirBuilder::new().mode(0o700).create(built.keys()).map_err(Failure::io(&built.keys()))?;
    for (role, key) in &keys.0 {
        let pem = key.to_pem(passphrase.map(|passphrase| passphrase.as_slice())).map_err(Failure::unknown)?;
        let path = built.keys().join(format!("{}.pem", role.name()));
        files::write_once(&path, pem.as_bytes(), Readers::Owner)?;
        let public = key.key().to_pem().map_err(Failure::refused)?;
        files::write_once(&path.with_extension("pub"), public.as_bytes(), Readers::Everyone)?;
    }
    files::write_once(&built.config(), TEMPLATE.as_bytes(), Readers::Everyone)?;
    files::write_once(&built.root(), &first.root, Readers::Everyone)?;
    for (role, bytes) in
        [(Role::Root, &first.root), (Role::Targets, &first.targets), (Role::Snapshot, &first.snapshot)]
    {
        let path = built.metadata().join(metadata_file_name(role.name(), Some(1)));
        files::write_once(&path, bytes, Readers::Everyone)?;
    }
    files::write_once(&built.timestamp(), &first.timestamp, Readers::Everyone)?;
    files::write_once(&built.metadata().join("timestamp.json"), &first.timestamp, Readers::Everyone)
}

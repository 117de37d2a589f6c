//! `signer key`: the keys in `keys/`. What each may sign is said by the metadata, not here.

use std::fs;
use std::path::{Path, PathBuf};

use signing_keys::KeyUri;
use signing_keys::file::PrivateKey;
use tuf_core::Role;
use tuf_core::crypto::Sign as _;
use tuf_core::key::Key;

use super::edits::Desk;
use crate::Surroundings;
use crate::args::PassphraseArgs;
use crate::args::keys::{KeyCommand, KeyExportArgs, KeyImportArgs, KeyNewArgs, KeyPasswordArgs};
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::key_ring::{self, KeyRing};
use crate::new_key::NewKey;
use crate::passphrase::{Passphrase, Source};
use crate::report::VERSION;
use crate::reports::keys::{Keys, OneKey};

pub(crate) fn run(dir: &Path, command: &KeyCommand, around: &Surroundings) -> Result<Keys, Failure> {
    let desk = Desk::open(dir, around)?;
    let wanted = match command {
        KeyCommand::List => None,
        KeyCommand::Show(args) => Some(args.name.clone()),
        KeyCommand::New(args) => Some(new(&desk, args, around)?),
        KeyCommand::Import(args) => Some(import(&desk, args, around)?),
        KeyCommand::Export(args) => Some(export(&desk, args)?),
        KeyCommand::Password(args) => Some(password(&desk, args, around)?),
    };
    let mut keys = Vec::new();
    let roles = desk.all_public_keys(around)?;
    for name in names(&desk)? {
        if wanted.as_ref().is_none_or(|wanted| *wanted == name) {
            keys.push(described(&desk, &name, &roles)?);
        }
    }
    match (wanted, keys.is_empty()) {
        (Some(name), true) => Err(no_key(&desk, &name)),
        (wanted, _) => Ok(Keys { version: VERSION, in_full: wanted.is_some(), keys }),
    }
}

fn new(desk: &Desk, args: &KeyNewArgs, around: &Surroundings) -> Result<String, Failure> {
    expect_free(desk, &args.name)?;
    let _lock = desk.repository.lock()?;
    let source = Source::of(&args.passphrase, around);
    NewKey::make(&desk.repository, &Role::of_targets(&args.name), &source, args.unencrypted)?.save()?;
    Ok(args.name.clone())
}

fn import(desk: &Desk, args: &KeyImportArgs, around: &Surroundings) -> Result<String, Failure> {
    let KeyImportArgs { name, from, passphrase } = args;
    expect_free(desk, name)?;
    let keys = desk.repository.keys();
    if ["pkcs11:", "ssh-agent:", "exec:"].iter().any(|scheme| from.starts_with(scheme)) {
        let uri: KeyUri = from.parse().map_err(Failure::usage)?;
        let key = KeyRing::new(keys.clone(), passphrase, around).look_at(&uri)?;
        let _lock = desk.repository.lock()?;
        write_public(&keys, name, &key)?;
        files::write_once(&keys.join(format!("{name}.uri")), format!("{uri}\n").as_bytes(), Readers::Owner)?;
        return Ok(name.clone());
    }
    let (key, passphrase) = open_file(Path::new(from), passphrase, around)?;
    let pem =
        key.to_pem(passphrase.as_ref().map(|passphrase| passphrase.as_slice())).map_err(Failure::unknown)?;
    let _lock = desk.repository.lock()?;
    write_public(&keys, name, key.key())?;
    files::write_once(&keys.join(format!("{name}.pem")), pem.as_bytes(), Readers::Owner)?;
    Ok(name.clone())
}

/// A private key file, and the passphrase that opened it.
fn open_file(
    path: &Path,
    args: &PassphraseArgs,
    around: &Surroundings,
) -> Result<(PrivateKey, Option<Passphrase>), Failure> {
    if !path.is_file() {
        return Err(Failure::usage(format!("{} is no file", path.display()))
            .detail("expected a private key as PKCS#8 in PEM, or pkcs11:, ssh-agent:, exec: in front"));
    }
    let closed = key_ring::read(path)?;
    let unusable = |why| key_ring::unusable(path, why);
    if !closed.is_encrypted() {
        return Ok((closed.open(b"").map_err(unusable)?, None));
    }
    let passphrase = Source::of(args, around).existing(&path.display().to_string())?;
    let key = closed.open(&passphrase).map_err(unusable)?;
    Ok((key, Some(passphrase)))
}

fn export(desk: &Desk, args: &KeyExportArgs) -> Result<String, Failure> {
    let public = public_of(desk, &args.name)?;
    let pem = public.to_pem().map_err(Failure::refused)?;
    files::write_once(&args.out, pem.as_bytes(), Readers::Everyone)?;
    Ok(args.name.clone())
}

fn password(desk: &Desk, args: &KeyPasswordArgs, around: &Surroundings) -> Result<String, Failure> {
    let path = desk.repository.keys().join(format!("{}.pem", args.name));
    if !path.is_file() {
        return Err(no_key(desk, &args.name));
    }
    let (key, _) = open_file(&path, &args.passphrase, around)?;
    let new = match &args.new_passphrase_file {
        Some(file) => Source::File(file.clone()),
        None => Source::Terminal,
    };
    let new = new.new_one()?;
    let pem = key.to_pem(Some(&new)).map_err(Failure::unknown)?;
    let _lock = desk.repository.lock()?;
    files::replace(&path, pem.as_bytes(), Readers::Owner)?;
    Ok(args.name.clone())
}

fn write_public(keys: &Path, name: &str, key: &Key) -> Result<(), Failure> {
    let pem = key.to_pem().map_err(Failure::refused)?;
    files::write_once(&keys.join(format!("{name}.pub")), pem.as_bytes(), Readers::Everyone)
}

/// A name becomes that of a file.
fn expect_free(desk: &Desk, name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'%');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(Failure::usage(format!("a key can't be called {name:?}"))
            .detail("expected letters, digits, and - _ . %"));
    }
    match names(desk)?.iter().any(|taken| taken == name) {
        false => Ok(()),
        true => Err(Failure::refused(format!("keys/ has a key called {name} already"))
            .detail("nothing was changed: a key is never overwritten")),
    }
}

fn names(desk: &Desk) -> Result<Vec<String>, Failure> {
    let dir = desk.repository.keys();
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).map_err(Failure::io(&dir))? {
        let path = entry.map_err(Failure::io(&dir))?.path();
        let known = path.extension().is_some_and(|extension| extension == "pem" || extension == "uri");
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()).filter(|_| known) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn no_key(desk: &Desk, name: &str) -> Failure {
    let names = names(desk).unwrap_or_default().join(", ");
    Failure::usage(format!("keys/ has no key called {name}")).detail(format!("expected one of {names}"))
}

fn public_of(desk: &Desk, name: &str) -> Result<Key, Failure> {
    let path: PathBuf = desk.repository.keys().join(format!("{name}.pub"));
    if !path.is_file() {
        return match names(desk)?.iter().any(|known| known == name) {
            false => Err(no_key(desk, name)),
            true => Err(Failure::usage(format!("{} is missing", path.display()))
                .hint("`openssl pkey -in NAME.pem -pubout -out NAME.pub` writes it")),
        };
    }
    key_ring::read_public(&path)
}

/// A role, with its keys by their ids.
pub(super) type Holders = Vec<(String, Vec<(String, Key)>)>;

fn described(desk: &Desk, name: &str, roles: &Holders) -> Result<OneKey, Failure> {
    let keys = desk.repository.keys();
    let uri = keys.join(format!("{name}.uri"));
    let place = match uri.is_file() {
        true => fs::read_to_string(&uri).map_err(Failure::io(&uri))?.trim().to_owned(),
        false => "file".to_owned(),
    };
    if !keys.join(format!("{name}.pub")).is_file() {
        return Ok(OneKey {
            name: name.to_owned(),
            place,
            kind: None,
            key_id: None,
            signs: Vec::new(),
            public: None,
        });
    }
    let public = public_of(desk, name)?;
    let material = public.material().ok();
    let same = |key: &Key| key.material().ok() == material;
    let mut key_id = public.id();
    let mut signs = Vec::new();
    for (role, holders) in roles {
        // The id that the metadata gives it is the one that people compare.
        if let Some((id, _)) = holders.iter().find(|(_, key)| same(key)) {
            key_id.clone_from(id);
            signs.push(role.clone());
        }
    }
    Ok(OneKey {
        name: name.to_owned(),
        place,
        kind: Some(public.scheme.clone()),
        key_id: Some(key_id),
        signs,
        public: Some(public.to_pem().map_err(Failure::refused)?),
    })
}

//! `signer key`: the keys in `keys/`. What each may sign is said by the metadata, not here.

mod give;
mod plan;
mod take;

use std::fs;
use std::path::{Path, PathBuf};

use signing_keys::file::PrivateKey;
use tuf_core::key::Key;

use super::edits::{Bins, Desk};
use super::role;
use crate::Surroundings;
use crate::args::PassphraseArgs;
use crate::args::keys::KeyCommand;
use crate::failure::Failure;
use crate::key_ring;
use crate::passphrase::{Passphrase, Source};
use crate::report::{Answer, VERSION};
use crate::reports::keys::{Keys, OneKey};
use plan::Plan;

pub(crate) fn run(dir: &Path, command: &KeyCommand, around: &Surroundings) -> Result<Answer, Failure> {
    let desk = Desk::open(dir, around)?;
    match command {
        KeyCommand::List => list(&desk, around),
        KeyCommand::Show(args) => show(&desk, &args.name, around),
        KeyCommand::New(args) => {
            carry_out(&desk, take::new(&desk, args, around)?, args.rehearsal.dry_run, around)
        }
        KeyCommand::Import(args) => {
            carry_out(&desk, take::import(&desk, args, around)?, args.rehearsal.dry_run, around)
        }
        KeyCommand::ImportSsh(args) => {
            carry_out(&desk, take::import_ssh(&desk, args, around)?, args.rehearsal.dry_run, around)
        }
        KeyCommand::Export(args) => {
            carry_out(&desk, give::export(&desk, args, around)?, args.rehearsal.dry_run, around)
        }
        KeyCommand::Password(args) => {
            carry_out(&desk, give::password(&desk, args, around)?, args.rehearsal.dry_run, around)
        }
        KeyCommand::Rotate(args) => return role::rotated(dir, args, around).map(Answer::Edits),
        KeyCommand::Revoke(args) => return role::revoked(dir, args, around).map(Answer::Edits),
    }
    .map(Answer::Keys)
}

fn list(desk: &Desk, around: &Surroundings) -> Result<Keys, Failure> {
    let roles = desk.holders(Bins::Alike, around)?;
    let names = names(desk)?;
    let keys: Result<_, _> = names.iter().map(|name| on_disk(desk, name, &roles)).collect();
    Ok(Keys { version: VERSION, in_full: false, dry_run: false, writes: Vec::new(), keys: keys? })
}

fn show(desk: &Desk, name: &str, around: &Surroundings) -> Result<Keys, Failure> {
    if !names(desk)?.iter().any(|known| known == name) {
        return Err(no_key(desk, name));
    }
    let keys = vec![on_disk(desk, name, &desk.holders(Bins::Alike, around)?)?];
    Ok(Keys { version: VERSION, in_full: true, dry_run: false, writes: Vec::new(), keys })
}

fn carry_out(desk: &Desk, plan: Plan, dry_run: bool, around: &Surroundings) -> Result<Keys, Failure> {
    let roles = desk.holders(Bins::Alike, around)?;
    let key = match &plan.made {
        Some((place, key)) => described(&plan.name, place.clone(), key, &roles)?,
        None => on_disk(desk, &plan.name, &roles)?,
    };
    plan.carry_out(desk, dry_run)?;
    Ok(Keys { version: VERSION, in_full: true, dry_run, writes: plan.paths(), keys: vec![key] })
}

/// A private key file, opened, and the passphrase that opened it: none where none was needed.
fn open_file(
    path: &Path,
    args: &PassphraseArgs,
    around: &Surroundings,
) -> Result<(PrivateKey, Option<Passphrase>), Failure> {
    if !path.is_file() {
        return Err(Failure::usage(format!("{} is no file", path.display()))
            .detail("expected a private key in a file, or pkcs11:, ssh-agent:, awskms:, exec: in front"));
    }
    let closed = key_ring::read(path)?;
    let unusable = |why| key_ring::unusable(path, why);
    if !closed.is_encrypted() {
        return Ok((closed.open(b"").map_err(unusable)?, None));
    }
    key_ring::open_by_asking(&closed, path, &path.display().to_string(), &Source::of(args, around))
        .map(|(key, passphrase)| (key, Some(passphrase)))
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

/// A key that is in the folder. Its public half may not be.
fn on_disk(desk: &Desk, name: &str, roles: &Holders) -> Result<OneKey, Failure> {
    let keys = desk.repository.keys();
    let uri = keys.join(format!("{name}.uri"));
    let place = match uri.is_file() {
        true => fs::read_to_string(&uri).map_err(Failure::io(&uri))?.trim().to_owned(),
        false => "file".to_owned(),
    };
    match keys.join(format!("{name}.pub")).is_file() {
        true => described(name, place, &public_of(desk, name)?, roles),
        false => {
            let name = name.to_owned();
            Ok(OneKey { name, place, kind: None, key_id: None, signs: Vec::new(), public: None })
        }
    }
}

fn described(name: &str, place: String, public: &Key, roles: &Holders) -> Result<OneKey, Failure> {
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

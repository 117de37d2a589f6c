//! Keys that come in: made here, copied from a file, or left where they live and addressed.

use std::path::Path;

use signing_keys::KeyUri;
use signing_keys::file::PrivateKey;
use tuf_core::crypto::Sign as _;

use super::plan::Plan;
use super::{expect_free, open_file};
use crate::Surroundings;
use crate::args::PassphraseArgs;
use crate::args::keys::{KeyImportArgs, KeyImportSshArgs, KeyNewArgs};
use crate::commands::edits::Desk;
use crate::failure::Failure;
use crate::key_ring::KeyRing;
use crate::passphrase::Source;
use crate::terminal;

pub(super) fn new(desk: &Desk, args: &KeyNewArgs, around: &Surroundings) -> Result<Plan, Failure> {
    expect_free(desk, &args.name)?;
    let passphrase = match args.unencrypted {
        true => None,
        false => Some(Source::of(&args.passphrase, around).new_one()?),
    };
    let key = PrivateKey::generate(args.kind.into()).map_err(Failure::unknown)?;
    let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_slice());
    of_file(desk, &args.name, &key, passphrase)
}

pub(super) fn import(desk: &Desk, args: &KeyImportArgs, around: &Surroundings) -> Result<Plan, Failure> {
    let KeyImportArgs { name, from, passphrase, .. } = args;
    expect_free(desk, name)?;
    match KeyUri::is_one(from) {
        true => elsewhere(desk, name, from, passphrase, around),
        false => copied(desk, name, from, passphrase, around),
    }
}

pub(super) fn import_ssh(
    desk: &Desk,
    args: &KeyImportSshArgs,
    around: &Surroundings,
) -> Result<Plan, Failure> {
    let KeyImportSshArgs { name, from, passphrase, .. } = args;
    expect_free(desk, name)?;
    if from.starts_with("SHA256:") {
        return elsewhere(desk, name, &format!("ssh-agent:{from}"), passphrase, around);
    }
    if Path::new(from).extension().is_some_and(|extension| extension == "pub") {
        return Err(Failure::usage(format!("{from} is a public key"))
            .detail("expected the private one: the file without .pub")
            .hint("a key that the agent holds is named by its fingerprint: `ssh-add -l` shows it"));
    }
    copied(desk, name, from, passphrase, around)
}

/// A key that stays where it is: only its address is kept, and its public half.
fn elsewhere(
    desk: &Desk,
    name: &str,
    from: &str,
    passphrase: &PassphraseArgs,
    around: &Surroundings,
) -> Result<Plan, Failure> {
    let keys = desk.repository.keys();
    let uri: KeyUri = from.parse().map_err(Failure::usage)?;
    let key = KeyRing::new(keys.clone(), passphrase, around).look_at(&uri)?;
    let line = format!("{uri}\n");
    Plan::of_key(&keys, name, uri.to_string(), &key, ("uri", &line))
}

/// A key whose file is copied, as PKCS#8, with the passphrase that it had.
fn copied(
    desk: &Desk,
    name: &str,
    from: &str,
    passphrase: &PassphraseArgs,
    around: &Surroundings,
) -> Result<Plan, Failure> {
    let (key, passphrase) = open_file(Path::new(from), passphrase, around)?;
    if passphrase.is_none() {
        terminal::warn(&format!(
            "{from} has no passphrase, so neither has keys/{name}.pem: `signer key password {name}` gives it one"
        ));
    }
    of_file(desk, name, &key, passphrase.as_ref().map(|passphrase| passphrase.as_slice()))
}

fn of_file(desk: &Desk, name: &str, key: &PrivateKey, passphrase: Option<&[u8]>) -> Result<Plan, Failure> {
    let pem = key.to_pem(passphrase).map_err(Failure::unknown)?;
    Plan::of_key(&desk.repository.keys(), name, "file".to_owned(), key.key(), ("pem", &pem))
}

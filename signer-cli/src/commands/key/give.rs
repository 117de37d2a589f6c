//! Keys that go out, and passphrases that change.

use std::path::PathBuf;

use tuf_core::crypto::Sign as _;

use super::plan::Plan;
use super::{no_key, open_file, public_of};
use crate::Surroundings;
use crate::args::keys::{Form, KeyExportArgs, KeyPasswordArgs};
use crate::commands::edits::Desk;
use crate::failure::Failure;
use crate::files::Readers;
use crate::passphrase::Source;
use crate::terminal;

pub(super) fn export(desk: &Desk, args: &KeyExportArgs, around: &Surroundings) -> Result<Plan, Failure> {
    let mut plan = Plan::new(&args.name);
    if !args.private {
        let pem = public_of(desk, &args.name)?.to_pem().map_err(Failure::refused)?;
        plan.write(args.out.clone(), &pem, Readers::Everyone);
        return Ok(plan);
    }
    let path = private_of(desk, &args.name)?;
    let (key, passphrase) = open_file(&path, &args.passphrase, around)?;
    let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_slice());
    if passphrase.is_none() {
        let out = args.out.display();
        terminal::warn(&format!("{out} has no passphrase, as the key has none: whoever reads it can sign"));
    }
    let text = match args.form {
        Form::Pem => key.to_pem(passphrase),
        Form::Cosign => {
            if key.key().scheme == "ed25519" {
                terminal::warn("cosign takes Ed25519 keys to sign hashes: for cosign, use ecdsa-p256");
            }
            key.to_cosign(passphrase.unwrap_or_default())
        }
    };
    plan.write(args.out.clone(), &text.map_err(Failure::unknown)?, Readers::Owner);
    Ok(plan)
}

pub(super) fn password(desk: &Desk, args: &KeyPasswordArgs, around: &Surroundings) -> Result<Plan, Failure> {
    let path = private_of(desk, &args.name)?;
    let (key, _) = open_file(&path, &args.passphrase, around)?;
    let new = match &args.new_passphrase_file {
        Some(file) => Source::File(file.clone()),
        None => Source::Terminal,
    };
    let new = new.new_one().map_err(|failure| {
        failure.hint("the new passphrase is typed, or comes from --new-passphrase-file FILE")
    })?;
    let pem = key.to_pem(Some(&new)).map_err(Failure::unknown)?;
    let mut plan = Plan::new(&args.name);
    plan.replace(path, &pem, Readers::Owner);
    Ok(plan)
}

/// The file of a private half that is here.
fn private_of(desk: &Desk, name: &str) -> Result<PathBuf, Failure> {
    let keys = desk.repository.keys();
    let path = keys.join(format!("{name}.pem"));
    if path.is_file() {
        return Ok(path);
    }
    if keys.join(format!("{name}.uri")).is_file() {
        return Err(Failure::usage(format!("the private half of {name} isn't here"))
            .detail(format!("{name}.uri says where it lives, and what holds it doesn't give it away")));
    }
    Err(no_key(desk, name))
}

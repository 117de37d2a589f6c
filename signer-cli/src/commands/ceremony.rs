//! `signer ceremony`: several people sign one proposal, on machines that needn't know each other.

use std::path::{Path, PathBuf};

use tuf_core::limits;

use crate::Surroundings;
use crate::args::RehearsalArgs;
use crate::args::roles::{CeremonyCommand, CeremonyFileArgs, CeremonySignArgs, MergeArgs, ProposeArgs};
use crate::ceremony::{Ceremony, Item, signed_by, words};
use crate::clock;
use crate::failure::Failure;
use crate::files;
use crate::key_ring::KeyRing;
use crate::proposal::Proposal;
use crate::report::{Answer, VERSION};
use crate::reports::ceremony as reports;
use crate::repository::Repository;
use crate::staged::Staged;
use crate::terminal;

use super::edits::Desk;

pub(crate) fn run(dir: &Path, command: &CeremonyCommand, around: &Surroundings) -> Result<Answer, Failure> {
    let report = match command {
        CeremonyCommand::Propose(args) => propose(dir, args, around)?,
        CeremonyCommand::Show(args) | CeremonyCommand::Status(args) => {
            let (ceremony, follows) = read(dir, args)?;
            report(&args.file, &ceremony, follows, Vec::new(), RehearsalArgs { dry_run: false })?
        }
        CeremonyCommand::Sign(args) => sign(dir, args, around)?,
        CeremonyCommand::Merge(args) => merge(dir, args)?,
    };
    Ok(Answer::Ceremony(report))
}

fn propose(dir: &Path, args: &ProposeArgs, around: &Surroundings) -> Result<reports::Ceremony, Failure> {
    let desk = Desk::open(dir, around)?;
    let published = desk.published()?;
    let staged = Staged::read(&desk.repository)?;
    clock::expect_not_behind(&desk.repository, around.now)?;
    let proposal = Proposal::of(&published, &staged, &desk.config, around.now)?;
    if proposal.documents.is_empty() {
        return Err(Failure::refused("there is nothing to sign")
            .detail("nothing is staged, and nothing expires soon")
            .hint("stage it first: `signer add`, `signer role`, `signer delegate`"));
    }
    let mut ceremony = Ceremony::of(proposal, &published, &staged)?;
    let signed = match args.unsigned {
        true => Vec::new(),
        false => {
            let mut ring = KeyRing::new(desk.repository.keys(), &args.passphrase, around);
            sign_all(&mut ceremony, &mut ring)?
        }
    };
    write(&ceremony, &args.out, args.rehearsal)?;
    report(&args.out, &ceremony, Some(true), signed, args.rehearsal)
}

fn sign(dir: &Path, args: &CeremonySignArgs, around: &Surroundings) -> Result<reports::Ceremony, Failure> {
    let (mut ceremony, follows) = read(dir, &args.file)?;
    if follows.is_none() {
        return Err(Failure::usage("there is no root here that you trust, to compare the file with")
            .detail("nothing was signed: nobody could say whose repository this is, nor what changes in it")
            .hint("name one with --root FILE, such as the 1.root.json that its users have"));
    }
    let keys = args.keys.clone().unwrap_or_else(|| Repository::at(dir).keys());
    if !keys.is_dir() {
        return Err(Failure::usage(format!("{} is not a folder with keys", keys.display()))
            .hint("--keys DIR names the folder with yours"));
    }
    let mut ring = KeyRing::new(keys.clone(), &args.passphrase, around);
    let signed = sign_all(&mut ceremony, &mut ring)?;
    if signed.is_empty() {
        return Err(Failure::refused(format!("no key in {} may sign this, or each has", keys.display()))
            .detail("the file was not changed")
            .hint("`signer ceremony status FILE` lists the keys that are missing"));
    }
    let out = args.out.as_ref().unwrap_or(&args.file.file);
    write(&ceremony, out, args.rehearsal)?;
    report(out, &ceremony, follows, signed, args.rehearsal)
}

fn merge(dir: &Path, args: &MergeArgs) -> Result<reports::Ceremony, Failure> {
    let mut files = args.files.iter();
    let Some(first) = files.next() else { return Err(Failure::usage("expected two files or more")) };
    let none = |file: &PathBuf| CeremonyFileArgs { file: file.clone(), root: None };
    let (mut merged, follows) = read(dir, &none(first))?;
    for file in files {
        merged.merge(&read(dir, &none(file))?.0)?;
    }
    write(&merged, &args.out, args.rehearsal)?;
    report(&args.out, &merged, follows, Vec::new(), args.rehearsal)
}

fn write(ceremony: &Ceremony, out: &Path, rehearsal: RehearsalArgs) -> Result<(), Failure> {
    if rehearsal.dry_run { Ok(()) } else { ceremony.write(out) }
}

/// Reads a file and compares it with the root that is trusted here, where there is one.
pub(super) fn read(dir: &Path, args: &CeremonyFileArgs) -> Result<(Ceremony, Option<bool>), Failure> {
    let (ceremony, dropped) = Ceremony::read(&args.file)?;
    for line in dropped {
        terminal::warn(&line);
    }
    let own = Repository::at(dir).root();
    let trusted = args.root.clone().or_else(|| own.is_file().then_some(own));
    let Some(trusted) = trusted else { return Ok((ceremony, None)) };
    ceremony.expect_follows(&files::read(&trusted, limits::ROOT_BYTES)?)?;
    Ok((ceremony, Some(true)))
}

/// Signs every document with those keys of its role that are here, and says which got a signature.
fn sign_all(ceremony: &mut Ceremony, ring: &mut KeyRing) -> Result<Vec<String>, Failure> {
    let mut signed = Vec::new();
    for at in 0..ceremony.proposed.len() {
        let Some(item) = ceremony.proposed.get(at) else { continue };
        let sets = ceremony.sets(item)?;
        let Some(item) = ceremony.proposed.get_mut(at) else { continue };
        let before = item.document.signed_by().count();
        ring.sign_with_all(&mut item.document, &item.role, &sets)?;
        if item.document.signed_by().count() > before {
            signed.push(item.role.name().to_owned());
        }
    }
    Ok(signed)
}

fn report(
    file: &Path,
    ceremony: &Ceremony,
    follows_trusted_root: Option<bool>,
    signed: Vec<String>,
    RehearsalArgs { dry_run }: RehearsalArgs,
) -> Result<reports::Ceremony, Failure> {
    let mut documents = Vec::new();
    for item in &ceremony.proposed {
        documents.push(document(ceremony, item)?);
    }
    let mut complete = true;
    for item in &ceremony.proposed {
        let sets = ceremony.sets(item)?;
        complete &= sets.iter().all(|set| !set.required || set.is_reached(&item.role, &item.document));
    }
    let sha256 = ceremony.fingerprint()?;
    Ok(reports::Ceremony {
        version: VERSION,
        dry_run,
        file: file.display().to_string(),
        fingerprint: words(&sha256),
        sha256,
        follows_trusted_root,
        summary: ceremony.summary(),
        complete,
        documents,
        signed,
    })
}

fn document(ceremony: &Ceremony, item: &Item) -> Result<reports::Document, Failure> {
    let mut keys = Vec::new();
    for set in ceremony.sets(item)? {
        let signed = signed_by(item, &set);
        let missing = set.role_keys.keyids.iter().filter(|id| !signed.contains(id)).cloned().collect();
        let threshold = set.role_keys.threshold.get();
        keys.push(reports::Keys { threshold, signed, missing, required: set.required });
    }
    Ok(reports::Document {
        role: item.role.name().to_owned(),
        version: item.document.version(),
        expires: item.document.expires(),
        keys,
    })
}

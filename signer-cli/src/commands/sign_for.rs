//! `signer sign-for`: signs images for other tools that are published already. It says nothing in the metadata.

use std::path::Path;

use tuf_core::Role;

use crate::Surroundings;
use crate::args::others::SignForArgs;
use crate::config::Config;
use crate::failure::Failure;
use crate::for_others::{self, ForOthers, named, not_there, settle};
use crate::key_ring::KeyRing;
use crate::places;
use crate::proposal::Proposal;
use crate::published::Published;
use crate::report::VERSION;
use crate::reports::for_others::SignFor;
use crate::repository::Repository;

pub(crate) fn run(dir: &Path, args: &SignForArgs, around: &Surroundings) -> Result<SignFor, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let asked = ForOthers::of(&args.for_others, &config, &repository, around)?;
    let mut for_others = asked.ok_or_else(for_others::nobody)?;
    let store = places::open(&repository, &config, around)?;
    let published = Published::read(&repository, store.as_ref())?;
    // What users are told now: what is only staged may never be said.
    let images = named(&args.names, &published)?;
    let mut ring = KeyRing::new(repository.keys(), &args.passphrase, around);
    for_others.open_key(&mut ring, &Proposal::default().online_sets(&Role::Targets, &published)?)?;
    for_others.find(&images).map_err(not_there)?;
    for_others.make(&images, &ring)?;
    let for_others = match args.dry_run {
        true => for_others.rehearse(&images),
        false => {
            let (report, tried) = for_others.push(&images);
            settle(&repository, &tried, for_others.formats());
            report
        }
    };
    Ok(SignFor { version: VERSION, for_others })
}

//! `signer refresh`: renews what is due and whose keys are here.

use std::path::Path;

use super::publish::{statement, warn_of_root};
use crate::Surroundings;
use crate::args::RefreshArgs;
use crate::config::Config;
use crate::failure::Failure;
use crate::key_ring::KeyRing;
use crate::places;
use crate::published::Published;
use crate::refresh::Job;
use crate::report::VERSION;
use crate::reports::refresh::Refresh;
use crate::repository::Repository;

pub(crate) fn run(dir: &Path, args: &RefreshArgs, around: &Surroundings) -> Result<Refresh, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let store = places::open(&repository, &config, around)?;
    let mut ring = KeyRing::new(repository.keys(), &args.passphrase, around);
    let job = Job {
        repository: &repository,
        config: &config,
        store: store.as_ref(),
        within: args.within,
        now: around.now,
        bins: true,
        dry_run: args.dry_run,
    };
    job.open_keys(&mut ring)?;
    let renewed = job.run(&mut ring)?;
    warn_of_root(Published::read(&repository, store.as_ref())?.root.expires, around);
    let next = job.next(&renewed.expiries).filter(|next| *next > around.now);
    Ok(Refresh {
        version: VERSION,
        published: store.describe(),
        dry_run: args.dry_run,
        signed: renewed.signed.iter().map(statement).collect(),
        left: renewed.left,
        next,
    })
}

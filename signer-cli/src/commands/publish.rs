//! `signer publish`: signs what is staged, or renews what would expire, and moves clients on in one step.

use std::path::Path;

use chrono::TimeDelta;

use super::status::change;
use crate::Surroundings;
use crate::args::PublishArgs;
use crate::config::Config;
use crate::draft::{Base, Draft, Plan, Signed, Why};
use crate::failure::Failure;
use crate::files;
use crate::key_ring::KeyRing;
use crate::passphrase::Source;
use crate::published::Published;
use crate::report::{self, Reason, VERSION};
use crate::repository::Repository;
use crate::staged::Staged;
use crate::terminal;

/// When to begin to speak of the root's end: a ceremony takes weeks to arrange.
const ROOT_NOTICE: TimeDelta = TimeDelta::days(30);

pub(crate) fn run(dir: &Path, args: &PublishArgs, around: &Surroundings) -> Result<report::Publish, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let mut ring = KeyRing::new(repository.keys(), Source::of(&args.passphrase, around));
    open_keys(&repository, &config, &mut ring, around)?;

    let _lock = repository.lock()?;
    files::clear_unfinished(&repository.metadata())?;
    // Read again: another signer may have been here while a passphrase was typed.
    let published = Published::read(&repository, around.now)?;
    let staged = Staged::read(&repository)?;
    let plan = Plan::of(&published, &staged, &config, around.now);
    let base = Base { repository: &repository, published: &published, config: &config, now: around.now };
    let draft = Draft::make(&plan, &base, &staged, &mut ring)?;
    draft.write(&repository)?;
    staged.clear()?;
    warn_of_root(&published, around);
    Ok(report::Publish {
        version: VERSION,
        published: repository.published().display().to_string(),
        changes: plan.changes.iter().map(|(path, staged)| change(path, staged, &published)).collect(),
        signed: draft.signed.iter().map(statement).collect(),
    })
}

/// Asks for what must be asked before others have to wait for the answer.
fn open_keys(
    repository: &Repository,
    config: &Config,
    ring: &mut KeyRing,
    around: &Surroundings,
) -> Result<(), Failure> {
    let published = Published::read(repository, around.now)?;
    let staged = Staged::read(repository)?;
    let plan = Plan::of(&published, &staged, config, around.now);
    plan.roles().try_for_each(|role| ring.open(&role))
}

fn warn_of_root(published: &Published, around: &Surroundings) {
    let left = published.root.expires.signed_duration_since(around.now);
    if left < ROOT_NOTICE {
        let days = left.num_days();
        terminal::warn(&format!("the root expires in {days} days: after that nobody can verify anything"));
    }
}

fn statement(signed: &Signed) -> report::Statement {
    report::Statement {
        role: signed.role.name().to_owned(),
        version: signed.version,
        expires: signed.expires,
        reason: match signed.why {
            Why::Changed => Reason::Changed,
            Why::Renewed => Reason::Renewed,
        },
    }
}

//! One file a verb.

mod add;
mod diff;
mod doctor;
mod import;
pub(crate) mod init;
mod publish;
mod refresh;
mod remove;
mod serve;
mod status;
mod yank;

use crate::Surroundings;
use crate::args::{Command, Signer};
use crate::failure::Failure;
use crate::report::Answer;
use crate::reports::Report;

pub(crate) fn run(signer: &Signer, around: &Surroundings) -> Result<Answer, Failure> {
    let repo = &signer.repo;
    match &signer.command {
        Command::Init(args) => init::run(repo, args, around).map(Answer::Init),
        Command::Add(args) => add::run(repo, args, around).map(Answer::Add),
        Command::Remove(args) => remove::run(repo, args).map(Answer::Remove),
        Command::Status(args) => status::run(repo, args, around).map(Answer::Status),
        Command::Diff => other(diff::run(repo, around)),
        Command::Publish(args) if args.dry_run => other(diff::dry_run(repo, args, around)),
        Command::Publish(args) => publish::run(repo, args, around).map(Answer::Publish),
        Command::Refresh(args) => other(refresh::run(repo, args, around)),
        Command::Serve(args) => other(serve::run(repo, args, around)),
        Command::Doctor(args) => other(doctor::run(repo, args, around)),
        Command::Yank(args) => other(yank::yank(repo, args, around)),
        Command::Unyank(args) => other(yank::unyank(repo, args)),
        Command::Import(args) => other(import::run(repo, args, around)),
    }
}

fn other<R: Report + 'static>(done: Result<R, Failure>) -> Result<Answer, Failure> {
    done.map(|report| Answer::Other(Box::new(report)))
}

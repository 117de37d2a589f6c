//! One file a verb.

mod add;
mod add_file;
mod add_list;
mod attest;
mod ceremony;
mod delegate;
mod diff;
mod doctor;
mod edits;
mod import;
pub(crate) mod init;
mod key;
pub(crate) mod publish;
mod refresh;
mod remove;
mod reset;
mod role;
mod serve;
mod sign_for;
pub(crate) mod status;
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
        Command::Import(args) => other(import::run(repo, args, around)),
        Command::Add(args) => add::run(repo, args, around).map(Answer::Add),
        Command::Remove(args) => remove::run(repo, args, around).map(Answer::Remove),
        Command::Status(args) => status::run(repo, args, around).map(Answer::Status),
        Command::Diff => other(diff::run(repo, around)),
        Command::Publish(args) if args.dry_run => other(diff::dry_run(repo, args, around)),
        Command::Publish(args) => publish::run(repo, args, around).map(Answer::Publish),
        Command::Doctor(args) => other(doctor::run(repo, args, around)),
        Command::Refresh(args) => other(refresh::run(repo, args, around)),
        Command::SignFor(args) => other(sign_for::run(repo, args, around)),
        Command::Attest(args) => other(attest::run(repo, args, around)),
        Command::Serve(args) => other(serve::run(repo, args, around)),
        Command::Yank(args) => other(yank::yank(repo, args, around)),
        Command::Unyank(args) => other(yank::unyank(repo, args, around)),
        Command::Reset(args) => reset::run(repo, *args).map(Answer::Reset),
        Command::Delegate(command) => delegate::run(repo, command, around),
        Command::Role(command) => role::run(repo, command, around).map(Answer::Edits),
        Command::Key(command) => key::run(repo, command, around),
        Command::Ceremony(command) => ceremony::run(repo, command, around),
    }
}

fn other<R: Report + 'static>(done: Result<R, Failure>) -> Result<Answer, Failure> {
    done.map(|report| Answer::Other(Box::new(report)))
}

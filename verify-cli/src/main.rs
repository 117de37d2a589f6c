//! `verify`: does this name still mean these bytes, and do the people I trust say so?
//!
//! On stdout: the answer, and nothing else (a digest reference, or JSON). On stderr: everything for the
//! person in front of it. Exit codes are in [`exit`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod access;
mod advisory_db;
mod args;
mod commands;
mod config_args;
mod db_args;
mod engine_args;
mod evidence;
mod evidence_args;
mod exit;
mod failure;
mod files;
mod gate_args;
mod installed_db;
mod pins;
mod policy;
mod policy_args;
mod progress;
mod record;
mod report;
mod scan_text;
mod style;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Command, Verify};
use crate::exit::Exit;

fn main() -> ExitCode {
    let verify = match Verify::try_parse() {
        Ok(verify) => verify,
        Err(error) => {
            // Help and version are answers; anything else is a wrong call. A closed pipe is neither.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Trusted }.into();
        }
    };
    let done = match &verify.command {
        Command::Image(image) => commands::image::run(image),
        Command::Pull(pull) => commands::pull::run(pull),
        Command::Scan(scan) => commands::scan::run(scan),
        Command::Evidence(evidence) => commands::evidence::run(evidence),
        Command::Provenance(provenance) => commands::provenance::run(provenance),
        Command::Db(db) => commands::db::run(db),
        Command::Policy(policy) => commands::policy::run(policy),
        Command::Config(config) => commands::config::run(config),
        Command::Trust(trust) => commands::trust::run(trust),
        Command::Demo(demo) => commands::demo::run(demo),
        Command::Confine(confine) => Ok(commands::engines::confine(confine)),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}

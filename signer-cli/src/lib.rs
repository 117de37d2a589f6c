//! What `signer` does: keys, staging, publishing. The program in `main.rs` only adds what is around it.
//!
//! Where things are, from the outside in: [`run`] reads the arguments; one file a verb in `commands/`;
//! `published` reads back and verifies what is served; `draft` makes and weighs the next state; `files`
//! writes it so that a crash at any point leaves the old state standing.
//!
//! What never happens here: a private key under `published/`, a secret in an argument or an error, a
//! statement published that `tuf_core`'s own client workflow refuses, and a read of the clock, the
//! environment or the home directory.
//!
//! Data goes to stdout; everything else (prompts, notes, warnings, errors) to stderr.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod args;
mod aws;
mod carry;
mod ceremony;
mod checked;
mod clock;
mod commands;
mod config;
mod custom;
mod diff;
mod doctor;
mod draft;
mod edit;
mod evidence;
mod exit;
mod failure;
mod files;
mod for_others;
mod holders;
mod image;
mod import;
mod key_ring;
mod monitor;
mod network;
mod new_key;
mod owed;
mod parallel;
mod passphrase;
mod places;
mod progress;
mod proposal;
mod published;
mod refresh;
pub mod report;
pub mod reports;
mod repository;
mod rules;
mod span;
mod staged;
mod terminal;

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser as _};
use oci_image::CredentialPlaces;
use tuf_core::Instant;
use zeroize::Zeroizing;

pub use crate::exit::Exit;
pub use publish_store::AwsKeys;
pub use signing_keys::Around as KeyPlaces;

use crate::args::Signer;

/// What a run finds around it. The program reads it once and hands it over.
#[derive(Debug)]
pub struct Surroundings {
    /// The time of this run.
    pub now: Instant,
    /// The time, asked again: for a service, which runs on.
    pub clock: fn() -> Instant,
    /// `HALLMARK_PASSPHRASE`.
    pub passphrase: Option<Zeroizing<Vec<u8>>>,
    /// `HALLMARK_PIN`, for tokens.
    pub pin: Option<Zeroizing<Vec<u8>>>,
    /// Where keys are found that live elsewhere.
    pub elsewhere: KeyPlaces,
    /// Where logins for registries may be.
    pub credentials: CredentialPlaces,
    /// `--to`, where the repository is published.
    pub publish_to: Option<String>,
    /// The keys of an object store: see [`aws_keys`].
    pub aws: Option<AwsKeys>,
    /// Whether colour is welcome on a terminal.
    pub colour: bool,
}

impl Surroundings {
    /// An environment with nothing in it but the time.
    pub fn bare(clock: fn() -> Instant) -> Self {
        Self {
            now: clock(),
            clock,
            passphrase: None,
            pin: None,
            elsewhere: KeyPlaces::default(),
            credentials: CredentialPlaces::default(),
            publish_to: None,
            aws: None,
            colour: false,
        }
    }
}

/// The keys for AWS and for object stores, of what the environment has under the names that such tools use, or
/// of the file that they share.
pub fn aws_keys(value: impl FnMut(&str) -> Option<String>) -> Option<AwsKeys> {
    aws::keys(value)
}

/// The command line, for whoever walks it: manual pages, completions, tests.
pub fn command_line() -> clap::Command {
    Signer::command()
}

/// Runs one command line and says how it ended. What went wrong is on stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>, around: Surroundings) -> Exit {
    let signer = match Signer::try_parse_from(arguments) {
        Ok(signer) => signer,
        Err(error) => {
            // Help and version are answers, anything else is a wrong call. A closed pipe is neither.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let around = &Surroundings { publish_to: signer.to.clone().or(around.publish_to.clone()), ..around };
    let done =
        commands::run(&signer, around).and_then(|answer| answer.print(signer.format).map(|()| answer.exit()));
    match done {
        Ok(exit) => exit,
        Err(failure) => {
            failure.print(around.colour);
            failure.exit()
        }
    }
}

//! Exit codes: part of the interface, documented in the help and the manual.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or there was nothing to do.
    Done = 0,
    /// What is there, or what was asked for, must not be: metadata that doesn't verify, an image that
    /// isn't what its name says.
    Refused = 1,
    /// The call is wrong: an argument, a passphrase, a folder that is no trust repository.
    Usage = 2,
    /// It could not be told or done now: a registry or a disk that doesn't answer, another signer at work.
    Unknown = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

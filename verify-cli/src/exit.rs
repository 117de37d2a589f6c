//! Exit codes: part of the interface, documented in `docs/src/exit-codes.md`.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The image is trusted; or, for other commands, it is done.
    Trusted = 0,
    /// A link of the chain is broken.
    Refused = 1,
    /// The call is wrong.
    Usage = 2,
    /// It could not be told: unreachable, or offline without a proof that still holds.
    Unknown = 3,
    /// The image is what it should be, and what is in it breaks a rule that was given.
    Gate = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

//! Calls as other languages make them: options and bytes in, a report out. C and Python share every rule of this
//! crate, so that they can't differ in one.
//!
//! It decides nothing, prints nothing and reads no environment or home directory. It reads the clock where the
//! caller gives no time, and files only where the caller names them: logins, certificates, a state folder.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod bytes;
mod refusal;
mod setup;

use std::panic::{AssertUnwindSafe, catch_unwind};

use oci_image::Reference;
use verdict_report::{Report, Word};
use verifier_lib::Verifier;

pub use bytes::{BytesSetup, Documents, verify_bytes};
pub use refusal::BadCall;
pub use setup::{LayersSetup, Setup};

/// The largest text of options, in bytes. The longest that a person writes has some hundreds.
pub const OPTIONS_MAX: usize = 64 * 1024;

/// What came of a call, in numbers: the exit codes of `verify image` (`docs/src/exit-codes.md`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The chain held.
    Trusted = 0,
    /// A link is broken.
    Refused = 1,
    /// The call is wrong: nothing was verified.
    BadCall = 2,
    /// It could not be told: no permission.
    Unknown = 3,
}

/// What came of a call, and the report of it as JSON: of `docs/schema/verify-image.json`, or of
/// `docs/schema/bad-call.json` where the call is wrong.
#[derive(Clone, Debug)]
pub struct Answer {
    /// In a word.
    pub outcome: Outcome,
    /// In JSON.
    pub report: String,
}

impl Answer {
    /// The answer to a call.
    #[must_use]
    pub fn of(result: Result<Report, BadCall>) -> Self {
        let (outcome, report) = match &result {
            Ok(report) => (outcome(report.verdict), serde_json::to_string(report)),
            Err(bad) => (Outcome::BadCall, serde_json::to_string(bad)),
        };
        match report {
            Ok(report) => Self { outcome, report },
            Err(why) => Self::failed(&format!("the report can't be written: {why}")),
        }
    }

    /// Makes a call, and answers also where our own code panics: to unwind into another language is undefined.
    pub fn to(call: impl FnOnce() -> Result<Report, BadCall>) -> Self {
        let result = catch_unwind(AssertUnwindSafe(|| Self::of(call())));
        result.unwrap_or_else(|_| Self::failed("the verifier panicked: nothing is known of the image"))
    }

    /// The answer where our own code failed: nothing is known.
    fn failed(why: &str) -> Self {
        let report = Report::unknown("", why, Some("please report this as a bug"));
        Self { outcome: Outcome::Unknown, report: serde_json::to_string(&report).unwrap_or_default() }
    }
}

fn outcome(verdict: Word) -> Outcome {
    match verdict {
        Word::Trusted => Outcome::Trusted,
        Word::Refused => Outcome::Refused,
        Word::Unknown => Outcome::Unknown,
    }
}

/// A trust repository, set up: what is verified through one at once shares updates and connections, and what it has
/// accepted can't be taken back as long as it lives.
#[derive(Clone, Debug)]
pub struct Session {
    verifier: Verifier,
}

impl Session {
    /// Sets it up. Nothing is asked of any server yet. `root` is a root file that came by a way that is trusted.
    ///
    /// # Errors
    /// When an option can't be used.
    pub fn open(setup: &Setup, root: &[u8]) -> Result<Self, BadCall> {
        setup.verifier(root).map(|verifier| Self { verifier })
    }

    /// Verifies what a registry has under a name.
    ///
    /// # Errors
    /// When that is no name of an image. Whatever a network, a registry or a repository does is a verdict.
    pub fn verify(&self, reference: &str) -> Result<Report, BadCall> {
        let name = name(reference)?;
        let verdict = self.verifier.verify(&name).map_err(|why| BadCall::new(why.to_string()))?;
        Ok(Report::of(&name, &verdict))
    }
}

/// The name in full, as reports have it.
fn name(reference: &str) -> Result<String, BadCall> {
    let name = reference.parse::<Reference>();
    name.map(|name| name.to_string()).map_err(|why| {
        BadCall::new(format!("the reference can't be used: {why}"))
            .hint("expected a name such as registry.example.com/acme/web:1.4")
    })
}

#[cfg(test)]
mod tests;

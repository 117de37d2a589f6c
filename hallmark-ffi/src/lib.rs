//! The verifier as a C library, `libhallmark`: options and bytes in, a verdict and its report out.
//!
//! The header is `include/hallmark.h`, which a test compares with this crate. Every pointer is checked before it is
//! followed, as far as a pointer can be; no panic leaves a function; nothing is kept from one call to the next but the
//! folder that a caller names; nothing is printed. What is verified, and how, is `binding-calls`' affair.
//!
//! This is the only crate of ours with `unsafe` in it (docs/src/adr/0024): in `given.rs`, which reads what C hands
//! over, and in `handed.rs`, which hands a report to C and takes it back.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod given;
mod handed;

use std::ffi::c_char;

use binding_calls::{Answer, BadCall, BytesSetup, Outcome, Session, Setup};

pub use handed::{hallmark_string_free, hallmark_version};

/// What came of a call: the exit codes of `verify image`. Anything but HALLMARK_VERDICT_TRUSTED means: don't run it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum hallmark_verdict {
    /// The name means these bytes, and the people whose root was given say so at this time.
    Trusted = 0,
    /// A link of the chain is broken. The report says which, what was expected and what came.
    Refused = 1,
    /// The call is wrong, and nothing was verified. The report says what was expected.
    BadCall = 2,
    /// It could not be told: unreachable, or something is missing. Nothing is known against the image, and it is not
    /// trusted.
    Unknown = 3,
}

/// A metadata document: a file of the trust repository.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct hallmark_document {
    /// The name of the file, such as `timestamp.json` or `7.snapshot.json`: UTF-8, ended by a zero byte.
    pub name: *const c_char,
    /// Its bytes, as they were published.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// Verifies what a registry has under a name.
///
/// `reference` is the name, such as `registry.example.com/acme/web:1.4`. `options` is a JSON object with the trust
/// repository, such as `{"repo": "https://trust.example.com"}`, and other options as listed in docs/src/embedding-c.md.
/// Both are UTF-8, ended by a zero byte. `root` is the root file that the owner of the repository gave you, by a way that
/// you trust. The environment is not read, but for proxies (`HTTPS_PROXY` and its kin).
///
/// If `report` is not null, `*report` is set to the report in JSON, which is yours until hallmark_string_free. It is
/// never set to null.
///
/// # Safety
///
/// `reference` and `options` must be null or strings that are ended by a zero byte; `root` must be null or point to
/// `root_len` bytes; `report` must be null or point to a place for a pointer. None of them may be changed by another
/// thread meanwhile. The function itself may be called by any number of threads at once.
#[expect(unsafe_code, reason = "an exported name, and pointers of C")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hallmark_verify_registry(
    reference: *const c_char,
    options: *const c_char,
    root: *const u8,
    root_len: usize,
    report: *mut *mut c_char,
) -> hallmark_verdict {
    let call = || {
        // SAFETY: the caller promises a string or null.
        let reference = unsafe { given::text("reference", reference) }?;
        // SAFETY: the caller promises a string or null.
        let options = unsafe { given::text("options", options) }?;
        // SAFETY: the caller promises that many bytes or null.
        let root = unsafe { given::bytes("root", root, root_len) }?;
        Session::open(&Setup::from_json(options)?, root)?.verify(reference)
    };
    let answer = Answer::to(call);
    // SAFETY: the caller promises a place for a pointer or null.
    unsafe { handed::hand_over(answer, report) }
}

/// Verifies that the bytes of a manifest or index are what a name means, by metadata documents at hand. No server is
/// asked, and no file is read but in the folder that `options` may name.
///
/// `options` is a JSON object with the time to verify as of, such as `{"at": "2026-01-31T12:00:00Z"}`. `documents` are the
/// files of the trust repository, as many as are at hand: the roots after the one that was given, timestamp, snapshot,
/// targets and delegated targets. One that is missing makes it HALLMARK_VERDICT_UNKNOWN.
///
/// The rest is as for hallmark_verify_registry.
///
/// # Safety
///
/// As for hallmark_verify_registry; `manifest` must be null or point to `manifest_len` bytes; `documents` must be null or
/// point to `documents_len` documents, of each of which `name` must be null or a string that is ended by a zero byte, and
/// `data` null or point to `len` bytes.
#[expect(unsafe_code, reason = "an exported name, and pointers of C")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hallmark_verify_bytes(
    reference: *const c_char,
    options: *const c_char,
    root: *const u8,
    root_len: usize,
    manifest: *const u8,
    manifest_len: usize,
    documents: *const hallmark_document,
    documents_len: usize,
    report: *mut *mut c_char,
) -> hallmark_verdict {
    let call = || {
        // SAFETY: the caller promises a string or null.
        let reference = unsafe { given::text("reference", reference) }?;
        // SAFETY: the caller promises a string or null.
        let options = unsafe { given::text("options", options) }?;
        // SAFETY: the caller promises that many bytes or null.
        let root = unsafe { given::bytes("root", root, root_len) }?;
        // SAFETY: the caller promises that many bytes or null.
        let manifest = unsafe { given::bytes("manifest", manifest, manifest_len) }?;
        // SAFETY: the caller promises that many documents or null, with strings and bytes or null in them.
        let documents = unsafe { given::documents(documents, documents_len) }?;
        let setup = BytesSetup::from_json(options)?;
        binding_calls::verify_bytes(reference, &setup, root, manifest, &documents)
    };
    let answer = Answer::to(call);
    // SAFETY: the caller promises a place for a pointer or null.
    unsafe { handed::hand_over(answer, report) }
}

impl From<Outcome> for hallmark_verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Trusted => Self::Trusted,
            Outcome::Refused => Self::Refused,
            Outcome::BadCall => Self::BadCall,
            Outcome::Unknown => Self::Unknown,
        }
    }
}

/// That something was not given.
fn missing(what: &str, got: &str) -> BadCall {
    BadCall::new(format!("{what}: expected it, got {got}"))
}

#[cfg(test)]
mod tests;

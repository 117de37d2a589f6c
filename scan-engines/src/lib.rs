//! Scanners by others: how their programs are run, and how their answers are read.
//!
//! A program gets a copy of the verified image in a folder that is removed after it, and bounds: of time, memory,
//! bytes, and no network. What it says is a stranger's word: parsed within bounds, and an error where it isn't what
//! was agreed on. No error here is ever "nothing found".
//!
//! This crate opens no socket, decides nothing about trust, and reads no environment.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod answer;
pub mod atomic;
pub mod clair;
pub mod grype;
pub mod jail;
pub mod oval;
pub mod protocol;
pub mod trivy;

pub use answer::{Answer, BadAnswer};

/// The most bytes that are read of an answer: trivy's of an image with 3,000 findings has 8 MB.
pub const ANSWER_MAX: u64 = 128 << 20;

/// The most findings of one engine: a report that nobody could read has fewer.
pub const FINDINGS_MAX: usize = 100_000;

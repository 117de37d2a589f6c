//! What is known to be wrong with which versions of what: advisories of the OSV schema in one file, and whom they
//! affect.
//!
//! This crate knows nothing of images or of trust, opens no socket and reads no clock. Who gives it a file has
//! verified it; what the file holds is checked all the same, and what is damaged is refused.
//!
//! A version that can't be compared is neither a finding nor silence: [`Answer::unknown`] says so.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod build;
mod convert;
mod database;
mod ecosystem;
mod error;
mod few;
mod format;
mod limits;
mod matching;
mod osv;
mod range;
mod severity;
mod texts;
mod version;

pub use build::build;
pub use database::{Coverage, Database, Info, SourceInfo};
pub use ecosystem::{Ecosystem, Package};
pub use error::Error;
pub use matching::{Answer, Match, Unknown};
pub use severity::{Level, Severity};
pub use texts::Texts;
pub use version::{Order, Unreadable, Version};

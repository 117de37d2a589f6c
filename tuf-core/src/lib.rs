//! The Update Framework 1.0.34: formats, keys, the client workflow as types, and authoring.
//!
//! Bytes and `now` come in, a verdict comes out. Nothing here opens a file or a socket, reads a clock,
//! an environment or a home directory: that is the work of `tuf-client`.
//!
//! The order of the workflow (section 5) is the order of the types:
//!
//! ```text
//! TrustedRoot --next*--> TrustedRoot --current--> CurrentRoot --timestamp--> FreshTimestamp
//!     --snapshot--> FreshSnapshot --targets--> TrustedTargets --search--> Target
//! ```
//!
//! A later stage can't be reached early, and the compiler says so:
//!
//! ```compile_fail,E0599
//! fn early(root: tuf_core::TrustedRoot) {
//!     root.timestamp(None, b"{}"); // only a CurrentRoot has this method
//! }
//! ```
//!
//! A step takes `&self` and returns the next state, so a refusal changes nothing.

#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod authoring;
pub mod canonical;
pub mod crypto;
mod envelope;
mod failing;
pub mod hash;
pub mod key;
pub mod limits;
mod listing;
mod path;
mod receipt;
mod refusal;
mod scan;
pub mod schema;
mod search;
mod threshold;
mod workflow;

pub use failing::{Failing, rank};
pub use path::{PathPattern, consistent_target_name, metadata_file_name};
pub use receipt::Receipt;
pub use refusal::{Reason, Refusal, Role};
pub use search::{NotFound, Search, Step, Wanted};
pub use threshold::Signers;
pub use workflow::{
    Baseline, CurrentRoot, FreshSnapshot, FreshTimestamp, SnapshotBaseline, TrustedRoot, TrustedTargets,
};

/// A moment in UTC. Always passed in: this crate never reads a clock.
pub type Instant = chrono::DateTime<chrono::Utc>;

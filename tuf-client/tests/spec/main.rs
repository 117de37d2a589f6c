//! The rules of the specification (1.0.34, section 5), each as a story over HTTP and a folder that keeps:
//! *good update, attack, what is kept is as it was, good again*. A file a section.
//!
//! Which step is told where, and which is left to whom, is in the manual: `docs/src/conformance.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod role_names;
mod rotations;
mod s5_2_trusted_root;
mod s5_3_root;
mod s5_4_timestamp;
mod s5_5_snapshot;
mod s5_6_delegations;
mod s5_6_targets;
mod s5_7_download;
mod table;
mod wire;

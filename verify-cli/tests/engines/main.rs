//! What `verify scan` has from others: the database, delivered as a TUF target, and findings of other engines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests; clippy knows helper functions of tests by #[cfg(test)] only"
)]

mod delivery;
mod others;
mod plugins;
mod streamed;
mod support;

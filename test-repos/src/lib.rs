//! Repositories that sign on fetch, misbehaving servers, the attack catalogue.
//!
//! For tests and for `verify demo`: nothing here checks anything, and nothing that is shipped to decide
//! may use it. What an image, a registry or a server *should* be is worked out anew, not taken from the
//! crates under test.

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

pub mod attacks;
mod digest;
pub mod http;
pub mod images;
pub mod registry;
pub mod sigstore;
pub mod simulator;
pub mod surface;
pub mod tree;
pub mod world;

pub use digest::sha256_digest;

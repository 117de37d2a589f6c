//! `verify doctor`: what it says of clients, and what these clients do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, reason = "a test program has no outside")]

mod answers;
mod attested;
mod beside_them;
mod bundles;
mod docker_attest;
mod envelopes;
mod keyless;
mod stage;

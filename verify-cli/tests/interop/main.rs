//! Signed by `signer`, verified by `verify`, and read by everybody else: docker-registry, skopeo,
//! buildah, podman, docker and python-tuf. What only our own programs agree on proves little.
//!
//! A test says SKIPPED where what it needs isn't installed; with `HALLMARK_NO_SKIPS` set it fails then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests; clippy knows helper functions of tests by #[cfg(test)] only"
)]

mod attested;
mod docker;
mod images;
mod in_toto;
mod packs;
mod places;
mod publisher;
mod python_tuf;
mod registry;
mod sigstore;
mod support;

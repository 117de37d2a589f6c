//! Packs: an image's chain of trust in one file, so that it can be judged where there is no network.
//!
//! A pack is an uncompressed tar archive that is an OCI layout too. It holds the signed metadata as it came, the
//! manifests and configurations, what others signed about the image, and, where that was asked for, the layers:
//!
//! ```text
//! hallmark/pack.json       the index: what the pack is of, and size and SHA-256 of each part
//! blobs/sha256/…           manifests, configurations, evidence, layers
//! hallmark/policy.toml     the rules that it was made under
//! index.json, oci-layout   so that other tools read the image
//! tuf/metadata/…           the trust repository, as a web server would have it
//! ```
//!
//! [`Pack::transport`] and [`Pack::source`] stand in for the network, so the very code that verifies an image in a
//! registry verifies one in a pack. Nothing here decides: a pack is bytes from a stranger until that code has
//! weighed them under a root that came by another way. Nothing is unpacked to disk, and there is no socket.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod archive;
mod draft;
mod embedded;
mod error;
mod index;
mod limits;
mod pack;
mod record;
mod source;
mod transport;

pub use draft::Draft;
pub use embedded::Embedded;
pub use error::PackError;
pub use index::{Listed, Listing, Missing, PACK_VERSION, PackIndex, Part};
pub use pack::Pack;
pub use record::{Recorder, Seen, Witness};

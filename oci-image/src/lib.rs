//! OCI images: references, digests, manifests, layouts, registries, verifying readers.
//!
//! This crate fetches bytes and checks them against digests that others decided on. It knows nothing
//! of trust: no keys, no signatures, no policy. What it reads comes from strangers, so everything is
//! bounded, and nothing a registry says about its bytes is believed.
//!
//! All input and output blocks.

mod auth;
mod descriptor;
mod digest;
mod http;
mod json;
mod layout;
mod location;
mod manifest;
pub mod media;
mod memory;
mod platform;
mod reference;
mod registry;
mod source;
pub mod tuf_layout;
mod verify_reader;

pub use auth::{CredentialError, CredentialPlaces, Credentials, Login, Secret};
pub use descriptor::{Descriptor, REF_NAME};
pub use digest::{BadDigest, Digest, Hasher};
pub use http::{HttpAnswer, HttpFetcher, HttpLimits, HttpOptions, HttpStream, prepare_tls};
pub use layout::{LayoutError, LayoutSource, LayoutWriter, Put};
pub use location::Location;
pub use manifest::{ImageIndex, ImageManifest, MANIFEST_MAX, Manifest, ManifestError};
pub use memory::MemorySource;
pub use platform::{BadPlatform, Platform};
pub use reference::{BadReference, DOCKER_HUB, ImageName, Reference, Tag};
pub use registry::{Amendment, Expected, Referrers, ReferrersPlace, Registry, RegistryOptions};
pub use source::{FetchedManifest, ImageSource, Selector, SourceError};
pub use verify_reader::{BlobError, VerifyingReader, verify_blob};

//! Signatures of images as other tools read them: cosign's, old and new, podman's, and notation's.
//!
//! A [`Signing`] says which image, by whom and for which readers. [`Signing::make`] makes all signatures and
//! checks each with the key's public half; only then is there something to push ([`Signatures::push`]). What
//! others have signed stays where it is. [`Attesting`] does the same with a statement about the image.
//!
//! Nothing here reads a clock or a file. No signature found in a registry is believed: those who decide what
//! an image is worth do so elsewhere.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod attestation;
mod bundle;
mod chain;
mod cose;
mod error;
mod few;
mod format;
mod jws;
mod keys;
mod notation;
mod referrer;
mod signing;
mod simple_signing;
mod tag_list;

pub use attestation::{Attached, Attestation, Attesting, DSSE_ENVELOPE, attestation_tag};
pub use bundle::{
    BUNDLE, Bundle, COSIGN_SIGN, Dsse, DsseSignature, IN_TOTO, KeyHint, Material, OpenedDsse, SIGNATURES_MAX,
    key_hint, pae,
};
pub use chain::{CertificateChain, ChainError};
pub use error::{PushError, SigningError};
pub use few::few;
pub use format::{BadFormat, Format};
pub use jws::{Jws, JwsHeader};
pub use keys::key_fingerprint;
pub use notation::{BadEnvelope, Envelope, NOTATION, is_signed_by};
pub use signing::{Place, Pushed, Signatures, Signing, Written, expect_usable, push_all};
pub use simple_signing::{Claim, SIMPLE_SIGNING, SimpleSigning, signature_tag};

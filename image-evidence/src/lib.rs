//! Signatures and attestations of images as others make them: verified, counted and understood.
//!
//! Bytes, [`Trust`] and the time come in; what was signed and by whom, or a [`Refusal`], goes out
//! ([`Piece::verify`]). What a statement says is read by [`Predicate::of`]. Who is enough is counted in one
//! place, [`Demand::weigh`], and whose verdicts count in another, [`SummaryDemand::weigh`].
//!
//! Nothing here opens a file or a socket, holds a private key, or finds anything: where evidence is, is for
//! others. A check that can't be made is a refusal, never left out.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod annotations;
mod bundle;
mod cose;
mod demand;
mod dsse;
mod keyless;
pub mod limits;
mod notation;
mod piece;
mod predicate;
mod provider;
mod refusal;
mod resource;
mod simple;
mod statement;
mod strict;
mod time_stamp;
mod trust;
mod trust_policy;
mod verifiers;

pub use demand::{Demand, NotEnough, Wanted};
pub use image_signatures::COSIGN_SIGN;
pub use keyless::SigstoreRoot;
pub use piece::{Claim, Context, Form, Piece, Verified};
pub use predicate::{
    Builder, BuilderSigner, Custom, Material, Predicate, Provenance, Sbom, SbomFormat, Source, Svr, Vex,
    VexFormat, VexProduct, VexStatement, Vsa, Vulnerabilities,
};
pub use refusal::Refusal;
pub use statement::{IN_TOTO_V0_1, IN_TOTO_V1, Statement, Subject};
pub use trust::{BadTrust, Identity, Signer, SignerId, Trust, TrustedKey};
pub use trust_policy::{NotationTrust, TrustStores};
pub use verifiers::{
    Asked, NoVerdict, Passed, SUMMARY_MAX_AGE, Summary, SummaryDemand, VERIFICATION_SUMMARY, Verifier,
};

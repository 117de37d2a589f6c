//! Hostile input for everything that reads what others wrote. One module is one fuzz target: it takes
//! any bytes, and panics where a promise of the code under test is broken.
//!
//! A harness states a promise and never how the code keeps it, and compares with something written apart
//! from it: another library, a slow reference, or what the publisher of the story is known to have signed.
//!
//! Panics are findings, so the rules against panics that bind the other crates don't bind this one. It
//! must not write files, open sockets or read a clock: a finding has to happen again from its bytes.

#![forbid(unsafe_code)]

pub mod advisories;
pub mod authoring;
pub mod canonical;
pub mod catalog;
pub mod changed;
pub mod engine;
pub mod envelope;
pub mod evidence;
pub mod ground;
pub mod image;
pub mod key;
pub mod layer;
pub mod name;
pub mod pack;
pub mod pattern;
pub mod policy;
pub mod receipt;
pub mod reference;
pub mod root;
pub mod rsa;
pub mod seal;
pub mod seeds;
pub mod signature;
pub mod snapshot;
pub mod targets;
pub mod timestamp;
pub mod vex;
pub mod workflow;

/// A target by its name, with what it does to its bytes. It says whether the code under test took them:
/// the seeds that must be taken show that a harness isn't blind.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All targets.
pub const TARGETS: [Target; 27] = [
    ("advisories", advisories::run),
    ("catalog", catalog::run),
    ("layer", layer::run),
    ("pack", pack::run),
    ("vex", vex::run),
    ("engine", engine::run),
    ("canonical", canonical::run),
    ("envelope", envelope::run),
    ("root", root::run),
    ("timestamp", timestamp::run),
    ("snapshot", snapshot::run),
    ("targets", targets::run),
    ("key", key::run),
    ("signature", signature::run),
    ("pattern", pattern::run),
    ("policy", policy::run),
    ("name", name::run),
    ("authoring", authoring::run),
    ("receipt", receipt::run),
    ("workflow", workflow::run),
    ("bundle", evidence::bundle),
    ("attestation", evidence::attestation),
    ("simple", evidence::simple),
    ("jws", evidence::jws),
    ("cose", evidence::cose),
    ("time_stamp", evidence::time_stamp),
    ("trust_policy", evidence::trust_policy),
];

//! The attack catalogue: what must be refused, each as a story with the step that refuses it.
//!
//! One file an attack. [`run()`] plays it before any client: the caller gives a closure that verifies, so
//! the catalogue knows no verifier, and every later surface can reuse it. An attack is a [`World`] that
//! is changed in a few lines; versions, signatures and servers follow by themselves.

use std::fmt;

use crate::sha256_digest;
use crate::simulator::Keyholder;
use crate::surface::SurfaceKind;
use crate::world::{APPROVAL, BUNDLE, Setback, World, bundle, statement};

mod catalogue;
mod child_flipped;
mod child_missing;
mod child_swapped;
mod config_flipped;
mod config_missing;
mod delegation_rekeyed;
mod duplicate_keys;
mod evidence_by_one_twice;
mod evidence_by_stranger;
mod evidence_drowned;
mod evidence_flooded;
mod evidence_for_a_list;
mod evidence_hidden;
mod evidence_of_another_platform;
mod evidence_oversized;
mod evidence_replayed;
mod evidence_tampered;
mod evidence_unsigned;
mod evidence_with_extra_signatures;
mod index_endless;
mod index_flipped;
mod layer_dripped;
mod layer_endless;
mod layer_flipped;
mod layer_longer;
mod layer_missing;
mod layer_shorter;
mod lying_digest_header;
mod mixed_moments;
mod not_utf8;
mod one_key_twice;
mod one_key_under_two_ids;
mod outside_delegation;
mod redirect_with_credentials;
mod registry_unavailable;
mod repository_unreachable;
mod root_below_threshold;
mod root_endless;
mod root_expired;
mod root_gap;
mod root_replayed;
mod run;
mod snapshot_endless;
mod snapshot_expired;
mod snapshot_replayed;
mod snapshot_rolled_back;
mod tag_moved;
mod tag_moved_back;
mod tag_moved_back_by_replay;
mod tag_moved_back_with_evidence;
mod targets_below_threshold;
mod targets_endless;
mod targets_expired;
mod targets_replayed;
mod targets_rolled_back;
mod timestamp_dripped;
mod timestamp_endless;
mod timestamp_frozen;
mod timestamp_replayed;
mod too_deep;
mod wrong_key_delegation;
mod wrong_key_root;
mod wrong_key_snapshot;
mod wrong_key_targets;
mod wrong_key_timestamp;

pub use catalogue::catalogue;
pub use run::{Failure, Outcome, Report, run, run_attested};

/// What the good publisher does.
pub type Act = fn(&mut World) -> Result<(), Setback>;
/// What the attacker does. Returns the values that the refusal must name, in that order: what was
/// expected, then what came.
pub type Strike = fn(&mut World) -> Result<Vec<String>, Setback>;

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// A short name in kebab case.
    pub name: &'static str,
    /// What happens, in one sentence for a person.
    pub story: &'static str,
    /// The step of a specification that stands against it.
    pub step: &'static str,
    /// The verdict that a sound client comes to.
    pub expected: Expected,
    /// Where it makes sense.
    pub surfaces: &'static [SurfaceKind],
    /// The roles whose documents are good, reach the client before the bad one, and so are kept
    /// (TUF 5.3.8, 5.4.5, 5.5.7, 5.6.6).
    pub advances: &'static [&'static str],
    /// What the publisher lawfully does before, and the client sees.
    pub before: Act,
    /// The attack.
    pub strike: Strike,
}

/// A verdict to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Refused at a link of the chain.
    Refused {
        /// The link: `root`, `timestamp`, `snapshot`, `targets`, `target`, `manifest`, `child`, `config`,
        /// `layer` or `evidence`.
        link: &'static str,
        /// What the text says, among other things.
        says: &'static [&'static str],
    },
    /// It could not be told, at a link of the chain.
    Unknown {
        /// The link.
        link: &'static str,
        /// What the text says, among other things.
        says: &'static [&'static str],
    },
    /// Harmless where the client keeps its credentials to itself.
    Trusted,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { link, says } => write!(f, "refused at {link}, saying {says:?}"),
            Self::Unknown { link, says } => write!(f, "unknown at {link}, saying {says:?}"),
            Self::Trusted => f.write_str("trusted"),
        }
    }
}

const EVERYWHERE: &[SurfaceKind] = &[SurfaceKind::Directory, SurfaceKind::Http, SurfaceKind::Registry];
const OVER_HTTP: &[SurfaceKind] = &[SurfaceKind::Http, SurfaceKind::Registry];
const REGISTRY: &[SurfaceKind] = &[SurfaceKind::Registry];

/// The publisher does nothing that day.
fn nothing(_: &mut World) -> Result<(), Setback> {
    Ok(())
}

/// Key pairs that no document lists.
fn thieves(count: usize) -> Vec<Keyholder> {
    (1..=count).map(|number| Keyholder::named(&format!("thief {number}"))).collect()
}

/// The image's name is spoken for by a delegated role, `acme`, and no longer by the top-level targets.
fn delegated(world: &mut World) -> Result<(), Setback> {
    let pattern = world.sibling_names();
    world.repo.delegate("acme", &Keyholder::named("acme"), &[&pattern]);
    world.withdraw();
    world.announce_as("acme", "1.4", &world.index())?;
    Ok(world.repo.publish()?)
}

/// Who must have signed the image, where signatures are demanded.
fn release() -> Keyholder {
    Keyholder::named("release")
}

/// The image is signed, and must be.
fn signed(world: &mut World) -> Result<(), Setback> {
    world.demand(1, &[release()]);
    let index = world.index();
    world.attest(&index, APPROVAL, &release()).map(drop)
}

/// The signature of a manifest by whom it must be signed: its digest and bytes, the same at every time.
fn approval(subject: &str) -> Result<(String, Vec<u8>), Setback> {
    let bytes = bundle(&statement(subject, APPROVAL), &[release()])?;
    Ok((sha256_digest(&bytes), bytes))
}

/// Puts more beside the image than anybody looks into.
fn flood(world: &mut World) -> Result<(), Setback> {
    const MANY: usize = 1100;
    let index = world.index();
    for number in 0..MANY {
        world.images.attach(&index, BUNDLE, format!("junk {number}").as_bytes())?;
    }
    Ok(())
}

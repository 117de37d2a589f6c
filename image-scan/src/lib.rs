//! What is in an image, layer by layer, and what is known to be wrong with it.
//!
//! This crate comes after verification and knows nothing of it: it trusts nobody, holds no key and opens no
//! socket. It is given the digests that were verified, reads each layer once, and refuses to say anything of
//! bytes that are not those. Nothing is unpacked to disk, but by [`unpack`] for engines of others, and whatever a layer could make it do is bounded in
//! `limits`.
//!
//! What could not be read is said, and what there are no advisories for: neither is ever "clean".

#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod archive;
mod catalog;
mod component;
mod config;
mod diff;
mod ecosystem;
mod engines;
mod error;
pub mod formats;
mod gate;
mod inventory;
mod layer;
mod limits;
mod matching;
mod os_release;
mod purl;
mod report;
mod tree;
mod unpack;
mod vendor;
mod vex;
mod walk;
mod wanted;

pub use component::{Component, Guess, Kind, Source};
pub use diff::{
    Because, ComponentChange, ComponentChanges, Diff, FindingChange, FindingChanges, SeverityChange, Side,
};
pub use ecosystem::{Ecosystem, Query};
pub use engines::{Engine, Foreign};
pub use error::{ArchiveError, ScanError};
pub use gate::{BrokenRule, Gate, Ignore, Rules, Suppression};
pub use inventory::{Inventory, LayerInfo, Subject, Unread};
pub use matching::{Advisories, Answer, Known};
pub use os_release::OsRelease;
pub use report::{
    Coverage, CoverageStatus, DatabaseInfo, Finding, ImageInfo, Report, Severity, SourceInfo, Undecided,
    counts,
};
pub use unpack::{Unpacked, unpack};
pub use vex::{VexProduct, VexStatement, VexStatus};

//! One file a verb.

pub(crate) mod attest;
pub(crate) mod config;
pub(crate) mod db;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod engines;
pub(crate) mod evidence;
pub(crate) mod image;
pub(crate) mod pack;
pub(crate) mod policy;
pub(crate) mod provenance;
pub(crate) mod pull;
pub(crate) mod replay;
pub(crate) mod scan;
pub(crate) mod trust;

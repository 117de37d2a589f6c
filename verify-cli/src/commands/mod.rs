//! One file a verb.

pub(crate) mod db;
pub(crate) mod demo;
pub(crate) mod image;
pub(crate) mod pull;
pub(crate) mod trust;

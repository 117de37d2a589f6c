//! One file a verb.

pub(crate) mod demo;
pub(crate) mod image;
pub(crate) mod pull;
pub(crate) mod scan;
pub(crate) mod trust;

//! Answers of the commands, one file for those that belong together.

pub mod ceremony;
pub mod edits;
pub mod keys;

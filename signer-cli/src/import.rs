//! A repository that another program made, taken over: found, weighed as a client weighs it, and copied byte
//! for byte. Nothing is signed here.

mod source;
mod weigh;
mod write;

pub(crate) use source::Source;
pub(crate) use weigh::{Adopted, weigh};
pub(crate) use write::{Copied, write};

//! The whole client workflow (TUF 5.1 to 5.6) as a story: a publisher who does his work, somebody in between
//! who serves what he likes, and a client that updates now and then. After each update all that must hold
//! is checked against what the publisher is known to have signed.
//!
//! The bytes are records of four, each a step. Any bytes are a story, and a mutation of one record changes
//! one step; [`story`] has the verbs.

mod checks;
mod client;
mod publisher;
mod server;
pub mod story;

/// Tells a story. Says whether the last update in it ended well and found what it looked for.
pub fn run(bytes: &[u8]) -> bool {
    story::World::new().tell(bytes)
}

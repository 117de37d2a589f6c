//! Drives `tuf-core`: fetches what its workflow asks for, bounded, and keeps what it accepted.
//!
//! From a root file to a verified target:
//!
//! ```no_run
//! use tuf_client::{Client, DirStore, RepoLocation, TransportOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let repository: RepoLocation = "https://trust.example.com/".parse()?;
//! let client = Client::new(
//!     std::fs::read("root.json")?,
//!     repository.transport(&TransportOptions::default()),
//!     Box::new(DirStore::open("state")?),
//!     chrono::DateTime::UNIX_EPOCH, // the time, which this crate never reads itself
//! );
//! let state = client.refresh()?;
//! let found = state.find("registry.example.com/acme/web:1.4")?;
//! # let _ = found;
//! # Ok(())
//! # }
//! ```
//!
//! It decides nothing: every verdict is `tuf-core`'s. It reads no clock and no environment.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod client;
mod map;
mod store;
mod transport;

pub use client::{Client, ClientError, Found, Refreshed};
pub use map::{
    Consensus, MAP_BYTES, MapError, Missed, MultiRepo, NoConsensus, RepositoryMap, Said, Statement, Tried,
};
pub use store::{DirStore, MemoryStore, Store, StoreError, StoreLock};
pub use transport::{
    BadLocation, DirTransport, Fetch, Fetched, HttpTransport, RepoLocation, Transport, TransportOptions,
};

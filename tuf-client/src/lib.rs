//! Drives `tuf-core`: fetches what its workflow asks for, bounded, and keeps what it accepted.
//!
//! # From a root file to a verified target
//!
//! You need three things: the repository's **root file**, which came to you by a way that you trust, a
//! **place** where the repository is, and a **folder** in which accepted metadata is kept, so that nobody
//! can show you yesterday's tomorrow.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use tuf_client::{Client, DirStore, DirTransport};
//!
//! # let (folder, root) = tuf_client_doc::repository()?;
//! # let folder = folder.path();
//! let client = Client::new(
//!     root,                                                        // as its owner gave it to you
//!     Arc::new(DirTransport::new(folder.join("metadata"))),        // or HttpTransport, or your own
//!     Box::new(DirStore::open(folder.join("state"))?),             // or MemoryStore, or your own
//!     chrono::Utc::now,                                            // this crate reads no clock
//! )
//! .with_targets(Arc::new(DirTransport::of_targets(folder.join("targets"))));
//!
//! let state = client.refresh()?;                                   // TUF 5.1 to 5.6
//! let download = state.download("acme/hello.txt")?;                // TUF 5.6.7 and 5.7
//! assert_eq!(download.bytes, b"hello");                            // the bytes that were signed
//! # Ok(())
//! # }
//! # mod tuf_client_doc {
//! #     use test_repos::simulator::Simulator;
//! #     use tuf_core::{consistent_target_name, hash::sha256_hex, schema::Target};
//! #     type Setback = Box<dyn std::error::Error>;
//! #     pub fn repository() -> Result<(tempfile::TempDir, Vec<u8>), Setback> {
//! #         let folder = tempfile::tempdir()?;
//! #         let mut repo = Simulator::new(chrono::Utc::now())?;
//! #         repo.role_mut("targets").set_target("acme/hello.txt", &Target::of(b"hello"))?;
//! #         repo.publish()?;
//! #         std::fs::create_dir(folder.path().join("metadata"))?;
//! #         for name in repo.names() {
//! #             std::fs::write(folder.path().join("metadata").join(&name), repo.fetch(&name)?.unwrap())?;
//! #         }
//! #         let stored = consistent_target_name("acme/hello.txt", &sha256_hex(b"hello"));
//! #         let stored = folder.path().join("targets").join(stored);
//! #         std::fs::create_dir_all(stored.parent().unwrap())?;
//! #         std::fs::write(stored, "hello")?;
//! #         Ok((folder, repo.fetch("1.root.json")?.unwrap()))
//! #     }
//! # }
//! ```
//!
//! [`RepoLocation`] turns what a person writes into a transport. [`Refreshed::find`] says what is signed
//! of a target, and by which roles, without fetching it.
//!
//! # The same, async
//!
//! No runtime is named: the futures run on any. An [`AsyncTransport`] is your HTTP client's two methods;
//! [`OnThread`] makes one of a blocking transport.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use tuf_client::{AsyncClient, DirTransport, MemoryStore, OnThread};
//!
//! # let (folder, root) = tuf_client_doc::repository()?;
//! # let folder = folder.path();
//! let place = |name| folder.join(name);
//! let metadata = OnThread::new(Arc::new(DirTransport::new(place("metadata"))));
//! let targets = OnThread::new(Arc::new(DirTransport::of_targets(place("targets"))));
//! let store = Box::new(MemoryStore::default());
//! let client = AsyncClient::new_async(root, Arc::new(metadata), store, chrono::Utc::now)
//!     .with_targets(Arc::new(targets));
//!
//! let state = client.refresh().await?;
//! assert_eq!(state.download("acme/hello.txt").await?.bytes, b"hello");
//! # Ok(())
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     let mut future = std::pin::pin!(example());
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop {
//! #         if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut context) {
//! #             return done;
//! #         }
//! #         std::thread::yield_now();
//! #     }
//! # }
//! # mod tuf_client_doc {
//! #     use test_repos::simulator::Simulator;
//! #     use tuf_core::{consistent_target_name, hash::sha256_hex, schema::Target};
//! #     type Setback = Box<dyn std::error::Error>;
//! #     pub fn repository() -> Result<(tempfile::TempDir, Vec<u8>), Setback> {
//! #         let folder = tempfile::tempdir()?;
//! #         let mut repo = Simulator::new(chrono::Utc::now())?;
//! #         repo.role_mut("targets").set_target("acme/hello.txt", &Target::of(b"hello"))?;
//! #         repo.publish()?;
//! #         std::fs::create_dir(folder.path().join("metadata"))?;
//! #         for name in repo.names() {
//! #             std::fs::write(folder.path().join("metadata").join(&name), repo.fetch(&name)?.unwrap())?;
//! #         }
//! #         let stored = consistent_target_name("acme/hello.txt", &sha256_hex(b"hello"));
//! #         let stored = folder.path().join("targets").join(stored);
//! #         std::fs::create_dir_all(stored.parent().unwrap())?;
//! #         std::fs::write(stored, "hello")?;
//! #         Ok((folder, repo.fetch("1.root.json")?.unwrap()))
//! #     }
//! # }
//! ```
//!
//! # What you can rely on
//!
//! - Every verdict is `tuf-core`'s. What was refused changes nothing; [`ClientError`] names the role, the
//!   step of the specification, what was expected and what came.
//! - [`ClientError::unreachable`] tells *could not tell* from *refused*. Neither is trusted.
//! - The bootstrap root is given at every start. What is kept is never trusted, only weighed again.
//! - Bytes, time and steps are bounded: [`Limits`], and the limits of `tuf-core` and of each transport.
//! - A [`Client`] is shared by threads, and a folder by processes. Who refreshes at the same time shares
//!   one update; see [`Client::refresh`]. Mirrors are asked in order: [`Client::with_mirror`].
//! - [`Client::offline`] calls no transport, and says so when what is kept has expired.
//! - It reads no wall clock, no environment and no home directory.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod address;
mod aio;
mod client;
mod clock;
mod copy;
mod error;
mod face;
mod flight;
mod limits;
mod lock;
mod map;
mod sources;
mod state;
mod store;
mod tag;
mod transport;
mod update;
mod wait;

pub use aio::{AsyncTransport, BoxFuture, OnThread};
pub use client::{AsyncClient, Client};
pub use clock::Clock;
pub use error::{Blame, ClientError};
pub use limits::Limits;
pub use map::{
    Addresses, Consensus, MAP_BYTES, MapError, Missed, MultiRepo, NoConsensus, RepositoryMap, Said,
    Statement, Tried,
};
pub use state::{Download, Found, Refreshed};
pub use store::{DirStore, MemoryStore, Store, StoreError, StoreLock};
pub use transport::{
    BadLocation, DirTransport, Fetch, Fetched, HttpTransport, MemoryTransport, RepoLocation, Transport,
    TransportOptions,
};
pub use wait::{Threaded, on_thread};

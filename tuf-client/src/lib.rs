//! Drives `tuf-core`: fetches what its workflow asks for, bounded, and keeps what it accepted.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod aio;
mod client;
mod clock;
mod error;
mod face;
mod flight;
mod limits;
mod lock;
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
pub use state::{Download, Found, Refreshed};
pub use store::{DirStore, MemoryStore, Store, StoreError, StoreLock};
pub use transport::{
    BadLocation, DirTransport, Fetch, Fetched, HttpTransport, RepoLocation, Transport, TransportOptions,
};

//! What the one engine needs of a face, blocking or async. The engine is async code; on the blocking face
//! every future is ready when it is first polled.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use oci_image::SourceError;

use crate::aio::{AsyncTransport, BoxFuture};
use crate::lock;
use crate::store::{Store, StoreError, StoreLock};
use crate::transport::{Fetch, Fetched, Transport};
use crate::wait::on_thread;

/// A kind of transport, and how to wait on its side.
pub(crate) trait Face: Send + Sync + 'static {
    fn ask<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Result<Fetched, SourceError>>;

    /// Asks from another thread or task than the one that polls: for a file while others are asked for.
    fn ask_aside(
        source: Arc<Self>,
        name: &'static str,
        limit: u64,
        known: Option<String>,
        time: Duration,
    ) -> BoxFuture<'static, Result<Fetched, SourceError>>;

    fn concurrent(&self) -> bool;

    fn place(&self) -> String;

    /// Waits for the store's lock, as long as `most`.
    fn lock(store: Arc<dyn Store>, most: Duration) -> BoxFuture<'static, Result<StoreLock, StoreError>>;
}

impl Face for dyn Transport {
    fn ask<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        Box::pin(ready(self.fetch(&wanted)))
    }

    fn ask_aside(
        source: Arc<Self>,
        name: &'static str,
        limit: u64,
        known: Option<String>,
        time: Duration,
    ) -> BoxFuture<'static, Result<Fetched, SourceError>> {
        let failed = |at, why: String| Err(SourceError::Unreachable { at, why });
        let at = source.describe();
        let running = on_thread(move || source.fetch(&Fetch { name, limit, known: known.as_deref(), time }));
        match running {
            Ok(running) => {
                Box::pin(
                    async move { running.await.unwrap_or_else(|| failed(at, "its thread panicked".into())) },
                )
            }
            Err(error) => Box::pin(ready(failed(at, format!("no thread to ask it from: {error}")))),
        }
    }

    fn concurrent(&self) -> bool {
        Transport::concurrent(self)
    }

    fn place(&self) -> String {
        self.describe()
    }

    fn lock(store: Arc<dyn Store>, most: Duration) -> BoxFuture<'static, Result<StoreLock, StoreError>> {
        Box::pin(ready(lock::wait(&*store, most)))
    }
}

impl Face for dyn AsyncTransport {
    fn ask<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        self.fetch(wanted)
    }

    fn ask_aside(
        source: Arc<Self>,
        name: &'static str,
        limit: u64,
        known: Option<String>,
        time: Duration,
    ) -> BoxFuture<'static, Result<Fetched, SourceError>> {
        Box::pin(async move { source.fetch(Fetch { name, limit, known: known.as_deref(), time }).await })
    }

    fn concurrent(&self) -> bool {
        AsyncTransport::concurrent(self)
    }

    fn place(&self) -> String {
        self.describe()
    }

    fn lock(store: Arc<dyn Store>, most: Duration) -> BoxFuture<'static, Result<StoreLock, StoreError>> {
        Box::pin(lock::wait_aside(store, most))
    }
}

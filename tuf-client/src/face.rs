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

/// A kind of transport, and how to wait on its side.
pub(crate) trait Face: Send + Sync + 'static {
    fn ask<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Result<Fetched, SourceError>>;

    fn place(&self) -> String;

    /// Waits for the store's lock, as long as `most`.
    fn lock(store: Arc<dyn Store>, most: Duration) -> BoxFuture<'static, Result<StoreLock, StoreError>>;
}

impl Face for dyn Transport {
    fn ask<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        Box::pin(ready(self.fetch(&wanted)))
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

    fn place(&self) -> String {
        self.describe()
    }

    fn lock(store: Arc<dyn Store>, most: Duration) -> BoxFuture<'static, Result<StoreLock, StoreError>> {
        Box::pin(lock::wait_aside(store, most))
    }
}

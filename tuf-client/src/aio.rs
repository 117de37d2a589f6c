//! The async face: transports that don't block, and how a blocking one becomes such a one. No runtime is
//! named; whichever polls the futures will do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use oci_image::SourceError;

use crate::transport::{Fetch, Fetched, Transport};
use crate::wait::on_thread;

/// A future on the heap, so that a trait can return it.
pub type BoxFuture<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Fetches files by name without blocking the thread. It decides nothing, and it bounds what it reads.
pub trait AsyncTransport: Send + Sync {
    /// A file, where there is one. As [`Transport::fetch`]: no usable answer in the time given, or one of
    /// more bytes than the limit, is an error.
    fn fetch<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Result<Fetched, SourceError>>;

    /// Where the files are, for a report.
    fn describe(&self) -> String;

    /// As [`Transport::concurrent`].
    fn concurrent(&self) -> bool {
        false
    }
}

/// A blocking transport for the async client: each fetch runs on a thread of its own and wakes the task.
///
/// A fetch whose future is dropped still runs to its own bounds, and its answer is thrown away.
pub struct OnThread {
    transport: Arc<dyn Transport>,
}

impl OnThread {
    /// An async transport over `transport`.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }
}

impl AsyncTransport for OnThread {
    fn fetch<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        Box::pin(async move {
            let transport = Arc::clone(&self.transport);
            let (name, known) = (wanted.name.to_owned(), wanted.known.map(str::to_owned));
            let (limit, time) = (wanted.limit, wanted.time);
            let failed = |why: String| Err(SourceError::Unreachable { at: self.describe(), why });
            let running = on_thread(move || {
                transport.fetch(&Fetch { name: &name, limit, known: known.as_deref(), time })
            });
            match running {
                Ok(running) => running.await.unwrap_or_else(|| failed("its thread panicked".into())),
                Err(error) => failed(format!("no thread to ask it from: {error}")),
            }
        })
    }

    fn describe(&self) -> String {
        self.transport.describe()
    }

    fn concurrent(&self) -> bool {
        self.transport.concurrent()
    }
}

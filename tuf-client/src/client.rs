//! A client of one repository: what it is told, and the two ways to let it run.
//!
//! The work is in `update.rs`. Nothing here fetches or decides.

use std::sync::Arc;

use tuf_core::crypto::{self, Verify};

use crate::aio::AsyncTransport;
use crate::clock::Clock;
use crate::error::ClientError;
use crate::face::Face;
use crate::flight::{Flights, Passenger};
use crate::limits::Limits;
use crate::state::Refreshed;
use crate::store::Store;
use crate::transport::Transport;
use crate::update::{Accepted, Config, update};
use crate::wait::block_on;

/// A client of one repository, which may have mirrors. Share it between threads by reference or clone:
/// whoever refreshes while an update runs gets that update's result.
pub struct Client<T: ?Sized = dyn Transport> {
    config: Arc<Config<T>>,
    flights: Arc<Flights<Updated<T>>>,
}

/// The client whose transports don't block.
pub type AsyncClient = Client<dyn AsyncTransport>;

type Updated<T> = Result<Arc<Accepted<T>>, ClientError>;

/// The clones are one client: they share updates.
impl<T: ?Sized> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config), flights: Arc::clone(&self.flights) }
    }
}

impl Client {
    /// A client that starts from `root`, a root file that came by a way that is trusted, at every update.
    /// `clock` is asked once for each update (TUF 5.1); an [`tuf_core::Instant`] is a clock too.
    #[must_use]
    pub fn new(
        root: Vec<u8>,
        transport: Arc<dyn Transport>,
        store: Box<dyn Store>,
        clock: impl Clock + 'static,
    ) -> Self {
        Self::of(root, transport, store, clock)
    }

    /// Brings the repository's state up to date: TUF 5.1 to 5.6.6.
    ///
    /// # Errors
    /// When a document is refused or can't be had, by any mirror, or in time. What was accepted before is
    /// kept, as TUF demands; what was refused changes nothing.
    pub fn refresh(&self) -> Result<Refreshed, ClientError> {
        let accepted = block_on(self.update())?;
        Ok(Refreshed::new(Arc::clone(&self.config), accepted))
    }
}

impl AsyncClient {
    /// As [`Client::new`], over a transport that doesn't block: any runtime's, or [`crate::OnThread`].
    #[must_use]
    pub fn new_async(
        root: Vec<u8>,
        transport: Arc<dyn AsyncTransport>,
        store: Box<dyn Store>,
        clock: impl Clock + 'static,
    ) -> Self {
        Self::of(root, transport, store, clock)
    }

    /// As [`Client::refresh`]. Where the future is dropped, another caller's goes on with the update.
    ///
    /// Documents are weighed, and small files are read and written, in the task that polls. A repository
    /// with targets files of megabytes keeps it for some tenths of a second.
    ///
    /// # Errors
    /// As [`Client::refresh`].
    pub async fn refresh(&self) -> Result<Refreshed<dyn AsyncTransport>, ClientError> {
        let accepted = self.update().await?;
        Ok(Refreshed::new(Arc::clone(&self.config), accepted))
    }
}

impl<T: ?Sized> Client<T> {
    fn of(root: Vec<u8>, transport: Arc<T>, store: Box<dyn Store>, clock: impl Clock + 'static) -> Self {
        Self::with(Config {
            root,
            mirrors: vec![transport],
            targets: Vec::new(),
            store: store.into(),
            clock: Arc::new(clock),
            crypto: crypto::default(),
            limits: Limits::default(),
            offline: false,
            receipts: true,
            ahead: false,
            memory: Arc::default(),
        })
    }

    fn with(config: Config<T>) -> Self {
        Self { config: Arc::new(config), flights: Arc::default() }
    }

    fn changed(self, change: impl FnOnce(&mut Config<T>)) -> Self {
        let mut config = Arc::unwrap_or_clone(self.config);
        change(&mut config);
        Self::with(config)
    }

    /// Asks another place too, where those before it don't have a document that is accepted. An update
    /// fails only when none has; what each did is in [`Refreshed::blames`] or in the error.
    #[must_use]
    pub fn with_mirror(self, transport: Arc<T>) -> Self {
        self.changed(|config| config.mirrors.push(transport))
    }

    /// Says where target files are: called again, also there. Needed for downloads only.
    #[must_use]
    pub fn with_targets(self, transport: Arc<T>) -> Self {
        self.changed(|config| config.targets.push(transport))
    }

    /// Checks signatures with another provider than the default one.
    #[must_use]
    pub fn with_crypto(self, crypto: &'static dyn Verify) -> Self {
        self.changed(|config| config.crypto = crypto)
    }

    /// Waits for longer, or not as long.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.changed(|config| config.limits = limits)
    }

    /// Weighs large targets documents each time, as if they had just come: for a store in which others
    /// write as this user does. Without this, what was weighed once isn't parsed again.
    #[must_use]
    pub fn without_receipts(self) -> Self {
        self.changed(|config| config.receipts = false)
    }

    /// Asks for the timestamp while it is still asked for newer roots, from transports that say that they can
    /// ([`Transport::concurrent`]): a round trip less, of two on a quiet day. It is weighed under the newest
    /// root all the same. Without this, requests come in the order of the specification. A blocking transport
    /// is asked on a thread of its own, which an update that fails leaves behind until its answer comes.
    #[must_use]
    pub fn asking_ahead(self) -> Self {
        self.changed(|config| config.ahead = true)
    }

    /// Uses only what is kept: no transport is ever called.
    #[must_use]
    pub fn offline(self) -> Self {
        self.changed(|config| config.offline = true)
    }
}

#[expect(private_bounds, reason = "the two faces, blocking and async, are all that there are")]
impl<T: Face + ?Sized> Client<T> {
    /// The update under way, or a new one.
    fn update(&self) -> Passenger<Updated<T>> {
        let config = Arc::clone(&self.config);
        self.flights.join(move || {
            let update = update(Arc::clone(&config));
            Box::pin(async move { update.await.map(Arc::new) })
        })
    }
}

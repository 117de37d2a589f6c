//! From a name to a verdict: what most programs want, put together from the parts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use oci_image::{
    BadReference, Digest, ImageName, ImageSource, MemorySource, Platform, Reference, Registry,
    RegistryOptions, Selector, SourceError,
};
use tuf_client::{Client, Clock, MemoryStore, RepoLocation, Store, Transport, TransportOptions};

use crate::manifest::VerifiedManifest;
use crate::proof::{Broken, Link, Proof, Stage, Status};
use crate::verify::{Layers, Platforms, Verdict, Verification};

/// How many registries' connections are kept open. More names than that are served too, with new ones.
const KEPT: usize = 64;

/// Verifies images by name against one trust repository. Share it between threads and tasks, by clone or by
/// reference: verifications that run at once share one update of the metadata, and connections.
#[derive(Clone)]
pub struct Verifier {
    client: Client,
    platforms: Platforms,
    layers: Layers,
    options: RegistryOptions,
    registries: Arc<Mutex<BTreeMap<ImageName, Arc<Registry>>>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { platforms, layers, .. } = self;
        f.debug_struct("Verifier")
            .field("platforms", platforms)
            .field("layers", layers)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Trusts what the repository at `place` says, from `root` on: a root file that came by a way that is trusted.
    /// `clock` is asked at each verification, such as `chrono::Utc::now`; this crate reads none.
    ///
    /// What was accepted is kept in memory, so that nobody can show this process yesterday's metadata; with
    /// [`Self::with_store`], nor the next one.
    #[must_use]
    pub fn new(place: &RepoLocation, root: Vec<u8>, clock: impl Clock + 'static) -> Self {
        Self::with_store(place, root, clock, Box::new(MemoryStore::default()))
    }

    /// The same, and what was accepted is kept where it outlives the process: [`tuf_client::DirStore`].
    #[must_use]
    pub fn with_store(
        place: &RepoLocation,
        root: Vec<u8>,
        clock: impl Clock + 'static,
        store: Box<dyn Store>,
    ) -> Self {
        Self::over(place.transport(&TransportOptions::default()), root, clock, store)
    }

    /// The same over a transport of your own, or one that needs a login.
    #[must_use]
    pub fn over(
        transport: Arc<dyn Transport>,
        root: Vec<u8>,
        clock: impl Clock + 'static,
        store: Box<dyn Store>,
    ) -> Self {
        Self::of(Client::new(root, transport, store, clock).asking_ahead())
    }

    /// The same over a client, which may have mirrors, or be offline.
    #[must_use]
    pub fn of(client: Client) -> Self {
        Self {
            client,
            platforms: Platforms::Host(Platform::host()),
            layers: Layers::Defer,
            options: RegistryOptions::default(),
            registries: Arc::default(),
        }
    }

    /// How registries are reached: logins, certificates. Anonymous and by https, unless said otherwise.
    #[must_use]
    pub fn registries(self, options: RegistryOptions) -> Self {
        Self { options, registries: Arc::default(), ..self }
    }

    /// Which platforms of an index are verified: the host's, unless said otherwise.
    #[must_use]
    pub fn platforms(self, platforms: Platforms) -> Self {
        Self { platforms, ..self }
    }

    /// Whether layers are hashed now: not, unless said otherwise, for whoever reads them does.
    #[must_use]
    pub fn layers(self, layers: Layers) -> Self {
        Self { layers, ..self }
    }

    /// Verifies what a registry has under a name, such as `registry.example.com/acme/web:1.4`.
    ///
    /// # Errors
    /// When that is no name of an image. Whatever a network, a registry or a repository does is a verdict.
    pub fn verify(&self, name: &str) -> Result<Verdict, BadReference> {
        let name: Reference = name.parse()?;
        let registry = match self.registry(name.name()) {
            Ok(registry) => registry,
            Err(error) => return Ok(unreachable(&name, &error)),
        };
        let selector = match (name.digest(), name.tag()) {
            (Some(digest), _) => Selector::Digest(digest),
            (None, Some(tag)) => Selector::Tag(tag.as_str()),
            (None, None) => Selector::Tag("latest"),
        };
        Ok(self.verify_in(registry.as_ref(), selector, &name))
    }

    /// Verifies that what `selector` chooses in a source of your own is what `name` means: a layout in a folder, a
    /// mirror, a [`MemorySource`].
    #[must_use]
    pub fn verify_in(&self, source: &dyn ImageSource, selector: Selector<'_>, name: &Reference) -> Verdict {
        Verification::new(&self.client, source, selector, name)
            .platforms(self.platforms.clone())
            .layers(self.layers)
            .run(&mut |_| ())
    }

    /// Verifies that the bytes of a manifest or index are what `name` means, and asks no registry. `media_type` is
    /// what somebody called them, if anybody did.
    ///
    /// With a [`tuf_client::MemoryTransport`] nothing is asked at all: bytes in, verdict out.
    ///
    /// # Errors
    /// When that is no name of an image.
    pub fn verify_manifest(
        &self,
        name: &str,
        bytes: &[u8],
        media_type: Option<&str>,
    ) -> Result<Verdict<VerifiedManifest>, BadReference> {
        let name: Reference = name.parse()?;
        let source = MemorySource::default().with_manifest(bytes, media_type);
        let selector = Selector::Digest(Digest::of(bytes));
        Ok(Verification::new(&self.client, &source, selector, &name).run_to_manifest())
    }

    /// As [`Self::verify`], on a thread of its own: the task sleeps meanwhile, whichever runtime polls it. Where the
    /// future is dropped, the verification still runs to its own bounds.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_async(&self, name: &str) -> Result<Verdict, BadReference> {
        let reference: Reference = name.parse()?;
        let (verifier, text) = (self.clone(), name.to_owned());
        let failed = |why: &str| Ok(unknown(&reference, format!("could not tell: {why}")));
        match tuf_client::on_thread(move || verifier.verify(&text)) {
            Ok(running) => running.await.unwrap_or_else(|| failed("its thread panicked")),
            Err(error) => failed(&format!("no thread to verify it on: {error}")),
        }
    }

    fn registry(&self, name: &ImageName) -> Result<Arc<Registry>, SourceError> {
        let mut kept = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registry) = kept.get(name) {
            return Ok(Arc::clone(registry));
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let registry = Arc::new(Registry::new(name, self.options.clone())?);
        kept.insert(name.clone(), Arc::clone(&registry));
        Ok(registry)
    }
}

fn unreachable(name: &Reference, error: &SourceError) -> Verdict {
    unknown(name, error.to_string())
}

fn unknown(name: &Reference, why: String) -> Verdict {
    let link = Link::new(Stage::Reference, Status::Unknown, name.to_string(), why);
    Verdict::Unknown(Box::new(Broken::new(link, Proof::default())))
}

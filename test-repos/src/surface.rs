//! How a world meets a client: from a folder, over HTTP, or over HTTP with the image in a registry.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tuf_core::Instant;

use crate::http::{Body, Request, Response, Server, locked};
use crate::registry::{Access, Credentials, Registry};
use crate::world::{Conduct, DRIP, Demand, Setback, World, write_endless};

/// The image's name in a registry, below its host.
const REPOSITORY: &str = "acme/web";

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurfaceKind {
    /// Metadata and an OCI layout, each in a folder.
    Directory,
    /// Metadata over HTTP, signed at each request; the image in an OCI layout.
    Http,
    /// Metadata over HTTP, signed at each request; the image in a registry that asks for credentials.
    Registry,
}

impl fmt::Display for SurfaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::Http => "http",
            Self::Registry => "registry",
        })
    }
}

/// What a client is told before it verifies.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// A folder, or an address that ends in `/`. The metadata is in `metadata/` below it.
    pub repo: String,
    /// The root to start from: version 1.
    pub root: Vec<u8>,
    /// Where the image is: `oci:DIR:TAG`, or `127.0.0.1:PORT/acme/web:TAG`.
    pub image: String,
    /// The name under which it is trusted, tag included.
    pub name: String,
    /// The platform to verify, where there are several.
    pub platform: &'static str,
    /// The time.
    pub now: Instant,
    /// What the registry at `image`, and nobody else, may be told.
    pub credentials: Option<Credentials>,
    /// Who must have signed the image besides, if anybody.
    pub demand: Option<Demand>,
}

/// A world and the servers in front of it. They end with it.
pub struct Surface {
    kind: SurfaceKind,
    world: Arc<Mutex<World>>,
    folder: PathBuf,
    metadata: Option<Server>,
    registry: Option<Registry>,
    elsewhere: Option<Server>,
}

impl Surface {
    /// A good world. What lies on disk goes below `folder`.
    ///
    /// # Errors
    /// Something can't be built, or a port was not to be had.
    pub fn start(kind: SurfaceKind, folder: &Path) -> Result<Self, Setback> {
        let registry = match kind {
            SurfaceKind::Registry => Some(Registry::start_with(Access::Basic(credentials()))?),
            _ => None,
        };
        let host = registry.as_ref().map_or_else(|| "registry.example.com".to_owned(), Registry::host);
        let world = Arc::new(Mutex::new(World::new(&format!("{host}/{REPOSITORY}"))?));
        let serve = |answer: fn(&World, &Request) -> Response| {
            let world = Arc::clone(&world);
            Server::start(move |request| answer(&locked(&world), request))
        };
        let metadata = if kind == SurfaceKind::Directory { None } else { Some(serve(metadata)?) };
        let elsewhere = if kind == SurfaceKind::Registry { Some(serve(content)?) } else { None };
        Ok(Self { kind, world, folder: folder.into(), metadata, registry, elsewhere })
    }

    /// The world, to change. Let go of it before anything is verified.
    pub fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    /// Brings folders and registry up to the world's state, and says where everything is.
    ///
    /// # Errors
    /// A folder can't be written, or a document not signed.
    pub fn endpoints(&self) -> Result<Endpoints, Setback> {
        let world = self.world();
        let root = world.repo.fetch("1.root.json")?.unwrap_or_default();
        let (name, now) = (world.path(), world.now);
        Ok(Endpoints {
            repo: self.repo(&world)?,
            root,
            image: self.image(&world)?,
            name,
            platform: "linux/amd64",
            now,
            credentials: self.registry.as_ref().map(|_| credentials()),
            demand: world.demand.clone(),
        })
    }

    /// The requests by which credentials reached a server that they were not for.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        let others = self.metadata.iter().chain(&self.elsewhere);
        let leaked = others.flat_map(Server::log).filter(|request| request.authorization);
        leaked.map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    fn repo(&self, world: &World) -> Result<String, Setback> {
        if world.unreachable {
            // A port that was free a moment ago, and is again.
            return Ok(format!("{}/", Server::start(|_| Response::not_found())?.url()));
        }
        if let Some(server) = &self.metadata {
            return Ok(format!("{}/", server.url()));
        }
        let repo = self.folder.join("repo");
        write_metadata(world, &repo.join("metadata"))?;
        Ok(repo.display().to_string())
    }

    fn image(&self, world: &World) -> Result<String, Setback> {
        if let Some(registry) = &self.registry {
            let elsewhere = self.elsewhere.as_ref().map(Server::url).unwrap_or_default();
            world.images.fill(registry, REPOSITORY, &elsewhere);
            return Ok(world.path());
        }
        let layout = self.folder.join("image");
        world.images.write_layout(&layout)?;
        Ok(format!("oci:{}:{}", layout.display(), world.tag))
    }
}

impl fmt::Debug for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surface").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn credentials() -> Credentials {
    Credentials::new("reader", "correct horse battery staple")
}

/// `/metadata/NAME`, signed now.
fn metadata(world: &World, request: &Request) -> Response {
    let Some(name) = request.path().strip_prefix("/metadata/") else { return Response::not_found() };
    let bytes = match world.repo.fetch(name) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Response::not_found(),
        Err(why) => return Response::new(500).body(Body::Bytes(why.to_string().into_bytes())),
    };
    Response::new(200).body(match world.conduct.get(name) {
        Some(Conduct::Endless) => Body::Endless(bytes),
        Some(Conduct::Drip) => Body::Drip { bytes, every: DRIP },
        None => Body::Bytes(bytes),
    })
}

/// Any manifest or blob by its digest, whatever comes before that, and whoever asks.
fn content(world: &World, request: &Request) -> Response {
    let digest = request.path().rsplit('/').next().unwrap_or_default();
    world.images.part(digest).map_or_else(|_| Response::not_found(), |part| Response::ok(part.bytes.clone()))
}

fn write_metadata(world: &World, folder: &Path) -> Result<(), Setback> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for name in world.repo.names() {
        let Some(bytes) = world.repo.fetch(&name)? else { continue };
        write_file(world, &folder.join(&name), &name, &bytes)?;
    }
    Ok(())
}

fn write_file(world: &World, path: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    match world.conduct.get(name) {
        Some(Conduct::Endless) => write_endless(path, bytes),
        _ => fs::write(path, bytes),
    }
}

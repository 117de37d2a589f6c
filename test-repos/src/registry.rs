//! An OCI distribution registry in memory, which can be told to misbehave.
//!
//! It speaks enough of distribution-spec 1.1 for skopeo and podman to push and pull: manifests, blobs,
//! uploads, tags, referrers, deletion, Basic and Bearer. A [`Fault`] at a [`Place`] spoils an answer that
//! would have been honest. Requests are logged, so that a test can show which host saw credentials.
//!
//! Not here: TLS, ranges, blob garbage, other digests than SHA-256.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

mod access;
mod fault;
mod listing;
mod read;
mod route;
mod store;
mod upload;

pub use access::{Access, Credentials};
pub use fault::{Fault, Place};
pub use listing::Listing;

use crate::http::{LoggedRequest, Request, Response, Server, locked, percent_decoded};
use access::Tokens;
use fault::Planned;
use route::Route;
use store::{Manifest, Store};

/// A running registry. It stops when dropped.
pub struct Registry {
    server: Server,
    state: Arc<State>,
}

impl Registry {
    /// Starts an empty registry that lets everyone read and write.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Access::Open)
    }

    /// Starts an empty registry that asks for credentials.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start_with(access: Access) -> io::Result<Self> {
        let state = Arc::new(State::new(access));
        let theirs = Arc::clone(&state);
        let server = Server::start(move |request| theirs.answer(request))?;
        Ok(Self { server, state })
    }

    /// `127.0.0.1:PORT`: what stands in front of a repository's name.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.addr().to_string()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Stores a manifest under a tag or a digest, with no check of anything, and returns its digest.
    pub fn put_manifest(&self, repo: &str, reference: &str, media_type: &str, bytes: &[u8]) -> String {
        let manifest = Manifest { media_type: media_type.into(), bytes: bytes.into() };
        locked(&self.state.store).repo_mut(repo).put(reference, manifest)
    }

    /// Stores a blob and returns its digest.
    pub fn put_blob(&self, repo: &str, bytes: &[u8]) -> String {
        locked(&self.state.store).repo_mut(repo).put_blob(bytes.into())
    }

    /// Stores what `tag` names in the OCI layout at `dir`, under the same tag, and returns its digest.
    ///
    /// # Errors
    /// The layout can't be read, or has no such tag.
    pub fn push_layout(&self, dir: impl AsRef<Path>, tag: &str, repo: &str) -> io::Result<String> {
        let dir = dir.as_ref();
        let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json"))?)?;
        let tagged = |entry: &&Value| {
            entry.pointer("/annotations/org.opencontainers.image.ref.name").and_then(Value::as_str)
                == Some(tag)
        };
        let top = items(&index, "manifests").find(tagged).ok_or(ErrorKind::NotFound)?;
        self.push_document(dir, top, repo)?;
        let digest = text(top, "digest").to_owned();
        locked(&self.state.store).repo_mut(repo).tag(tag, &digest);
        Ok(digest)
    }

    /// The media type and bytes that a tag or digest names.
    #[must_use]
    pub fn manifest(&self, repo: &str, reference: &str) -> Option<(String, Vec<u8>)> {
        let store = locked(&self.state.store);
        let (_, manifest) = store.repo(repo)?.find(reference)?;
        Some((manifest.media_type.clone(), manifest.bytes.clone()))
    }

    /// The bytes of a blob.
    #[must_use]
    pub fn blob(&self, repo: &str, digest: &str) -> Option<Vec<u8>> {
        locked(&self.state.store).repo(repo)?.blob(digest).cloned()
    }

    /// The tags of a repository, sorted.
    #[must_use]
    pub fn tags(&self, repo: &str) -> Vec<String> {
        locked(&self.state.store)
            .repo(repo)
            .map(|repo| repo.tags().map(Into::into).collect())
            .unwrap_or_default()
    }

    /// Moves a tag to a digest, which need not exist.
    pub fn tag(&self, repo: &str, tag: &str, digest: &str) {
        locked(&self.state.store).repo_mut(repo).tag(tag, digest);
    }

    /// Forgets a blob or manifest by digest, or a tag.
    pub fn remove(&self, repo: &str, reference: &str) {
        let mut store = locked(&self.state.store);
        let repo = store.repo_mut(repo);
        repo.remove_blob(reference);
        repo.remove(reference);
    }

    /// Forgets everything in a repository.
    pub fn forget(&self, repo: &str) {
        locked(&self.state.store).forget(repo);
    }

    /// Switches the referrers API; it is on at first. Off, its addresses are a plain 404, as in
    /// docker-registry 2.8.
    pub fn set_referrers(&self, on: bool) {
        self.state.referrers.store(on, Ordering::Relaxed);
    }

    /// Adds a fault. Several at one place spoil the answer one after the other.
    pub fn set_fault(&self, place: Place, fault: Fault) {
        self.set_fault_times(place, fault, u64::MAX);
    }

    /// Adds a fault that happens so often, and then no more.
    pub fn set_fault_times(&self, place: Place, fault: Fault, times: u64) {
        locked(&self.state.faults).push(Planned { place, fault, times });
    }

    /// Honest again.
    pub fn clear_faults(&self) {
        locked(&self.state.faults).clear();
    }

    /// After the next write to this tag, another one's is there: somebody who had read what was there
    /// before writes a moment later, and so takes back what was acknowledged.
    pub fn overwrite_after_next(&self, repo: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        let manifest = Manifest { media_type: media_type.into(), bytes: bytes.into() };
        locked(&self.state.others).push((repo.into(), tag.into(), manifest));
    }

    /// Every request so far, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<LoggedRequest> {
        self.server.log()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.server.clear_log();
    }

    /// Stores a manifest or index of a layout, after what it names.
    fn push_document(&self, dir: &Path, descriptor: &Value, repo: &str) -> io::Result<()> {
        let bytes = layout_blob(dir, descriptor)?;
        let document: Value = serde_json::from_slice(&bytes)?;
        for child in items(&document, "manifests") {
            self.push_document(dir, child, repo)?;
        }
        for blob in document.get("config").into_iter().chain(items(&document, "layers")) {
            self.put_blob(repo, &layout_blob(dir, blob)?);
        }
        self.put_manifest(repo, text(descriptor, "digest"), text(descriptor, "mediaType"), &bytes);
        Ok(())
    }
}

/// What every connection of a registry shares.
struct State {
    store: Mutex<Store>,
    access: Access,
    tokens: Mutex<Tokens>,
    faults: Mutex<Vec<Planned>>,
    /// Writes of others that come after the next one: repository, tag, manifest.
    others: Mutex<Vec<(String, String, Manifest)>>,
    referrers: AtomicBool,
}

impl State {
    fn new(access: Access) -> Self {
        Self {
            store: Mutex::default(),
            access,
            tokens: Mutex::default(),
            faults: Mutex::default(),
            others: Mutex::default(),
            referrers: AtomicBool::new(true),
        }
    }

    /// The honest answer, spoilt by the faults of its place. Who is not let in sees no fault, so that a
    /// test of what happens *after* the credentials were sent is the plain case.
    fn answer(&self, request: &Request) -> Response {
        let path = percent_decoded(request.path()).unwrap_or_default();
        let Some(route) = Route::of(&path) else { return Response::not_found() };
        if let Err(challenge) = self.access.admit(request, &route, &locked(&self.tokens)) {
            return challenge;
        }
        let honest = self.honest(request, &route);
        let faults = fault::happening(&mut locked(&self.faults), request, &route, &honest);
        fault::spoil(&faults, request, &route, honest)
    }

    fn honest(&self, request: &Request, route: &Route<'_>) -> Response {
        if matches!(route, Route::Token) {
            return self.access.token(request, &mut locked(&self.tokens));
        }
        let referrers = self.referrers.load(Ordering::Relaxed);
        let mut store = locked(&self.store);
        match request.method.as_str() {
            "GET" | "HEAD" => read::answer(&store, request, route, referrers),
            "DELETE" => upload::delete(&mut store, route),
            _ => {
                let answer = upload::answer(&mut store, request, route, referrers);
                self.overwrite(&mut store, route);
                answer
            }
        }
    }

    fn overwrite(&self, store: &mut Store, route: &Route<'_>) {
        let Route::Manifest { repo, reference } = route else { return };
        let mut others = locked(&self.others);
        let at = others.iter().position(|(to, tag, _)| to == repo && tag == reference);
        if let Some((_, _, manifest)) = at.map(|at| others.remove(at)) {
            store.repo_mut(repo).put(reference, manifest);
        }
    }
}

/// An error as the distribution specification words it.
fn error(status: u16, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    Response::ok(body.to_string()).header("Content-Type", "application/json").status(status)
}

fn layout_blob(dir: &Path, descriptor: &Value) -> io::Result<Vec<u8>> {
    let (algorithm, hex) = text(descriptor, "digest").split_once(':').ok_or(ErrorKind::InvalidData)?;
    fs::read(dir.join("blobs").join(algorithm).join(hex))
}

fn items<'a>(document: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    document.get(list).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;

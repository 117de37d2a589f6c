//! What a registry can do wrong, and where.
//!
//! Each fault spoils an honest answer; several may follow each other. Every header that a fault doesn't
//! name stays as it was: a registry that flips a byte still claims the right digest.

use std::time::Duration;

use serde_json::Value;

use super::listing::Listing;
use super::route::Route;
use super::{error, text};
use crate::digest::sha256_digest;
use crate::http::{Body, Request, Response};

/// The header by which a registry claims what it sends.
const DIGEST: &str = "Docker-Content-Digest";

/// What marks a request that was sent here by a redirect.
const SEEN: &str = "seen";

/// Which answers a fault spoils.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    kind: Kind,
    repo: Option<String>,
    reference: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Everything,
    Token,
    Manifest,
    Blob,
    Referrers,
}

impl Place {
    /// Every answer to a request that was let in, also to a write.
    #[must_use]
    pub fn everything() -> Self {
        Self { kind: Kind::Everything, repo: None, reference: None }
    }

    /// The token endpoint.
    #[must_use]
    pub fn token() -> Self {
        Self { kind: Kind::Token, ..Self::everything() }
    }

    /// Reading any manifest of a repository.
    #[must_use]
    pub fn manifests(repo: &str) -> Self {
        Self::reading(Kind::Manifest, repo, None)
    }

    /// Reading one manifest, by tag or digest. A digest means that manifest, also when it is asked for
    /// by tag; a tag means that very request.
    #[must_use]
    pub fn manifest(repo: &str, reference: &str) -> Self {
        Self::reading(Kind::Manifest, repo, Some(reference))
    }

    /// Reading any blob of a repository.
    #[must_use]
    pub fn blobs(repo: &str) -> Self {
        Self::reading(Kind::Blob, repo, None)
    }

    /// Reading one blob.
    #[must_use]
    pub fn blob(repo: &str, digest: &str) -> Self {
        Self::reading(Kind::Blob, repo, Some(digest))
    }

    /// Asking for the referrers of anything in a repository.
    #[must_use]
    pub fn referrers(repo: &str) -> Self {
        Self::reading(Kind::Referrers, repo, None)
    }

    fn reading(kind: Kind, repo: &str, reference: Option<&str>) -> Self {
        Self { kind, repo: Some(repo.into()), reference: reference.map(Into::into) }
    }

    fn holds(&self, request: &Request, route: &Route<'_>, honest: &Response) -> bool {
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        let (kind, asked) = match route {
            Route::Manifest { reference, .. } => (Kind::Manifest, *reference),
            Route::Blob { digest, .. } => (Kind::Blob, *digest),
            Route::Referrers { digest, .. } => (Kind::Referrers, *digest),
            Route::Token => (Kind::Token, ""),
            _ => (Kind::Everything, ""),
        };
        let found = honest.headers.get(DIGEST);
        self.kind == Kind::Everything
            || (self.kind == kind
                && (reads || kind == Kind::Token)
                && self.repo.as_deref().is_none_or(|repo| Some(repo) == route.repo())
                && self.reference.as_deref().is_none_or(|wanted| wanted == asked || Some(wanted) == found))
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `Docker-Content-Digest` claims this; the bytes stay.
    LieInDigestHeader {
        /// The claim.
        digest: String,
    },
    /// 307 to the same path and query at another server.
    RedirectElsewhere {
        /// Its URL, without a path.
        to: String,
    },
    /// 303 to the same path at a server, marked so that it is answered there; with no URL, at this one.
    SeeOther {
        /// Its URL, without a path.
        to: String,
    },
    /// 429.
    TooManyRequests {
        /// The seconds after which to ask again.
        retry_after: u32,
    },
    /// A list of referrers that isn't as it should be. Does nothing to other answers.
    List(Listing),
    /// The honest bytes, then spaces for ever.
    Endless,
    /// One byte at a time.
    Drip {
        /// The pause before each.
        every: Duration,
    },
    /// One bit in the middle is another.
    FlipByte,
    /// The last byte is missing, and the answer's own length agrees.
    Truncate,
    /// There is one byte more, and the answer's own length agrees.
    Extend,
    /// 404.
    Missing,
    /// 503.
    Unavailable,
    /// The connection closes in the middle.
    Reset,
    /// Headers, then nothing.
    Stall,
    /// Another manifest, also where there is none, with the media type it states and its own digest in
    /// the header. Does nothing to other answers.
    SwapManifest {
        /// The other.
        with: Vec<u8>,
    },
}

/// A fault at a place, and how often it is still to happen.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) place: Place,
    pub(super) fault: Fault,
    pub(super) times: u64,
}

/// The faults that happen to this answer: each once less from now on.
pub(super) fn happening(
    planned: &mut [Planned],
    request: &Request,
    route: &Route<'_>,
    honest: &Response,
) -> Vec<Fault> {
    let here = planned.iter_mut().filter(|one| one.times > 0 && one.place.holds(request, route, honest));
    here.map(|one| {
        one.times = one.times.saturating_sub(1);
        one.fault.clone()
    })
    .collect()
}

/// The answer after these faults.
pub(super) fn spoil(faults: &[Fault], request: &Request, route: &Route<'_>, honest: Response) -> Response {
    faults.iter().fold(honest, |response, fault| fault.apply(request, route, response))
}

impl Fault {
    fn apply(&self, request: &Request, route: &Route<'_>, response: Response) -> Response {
        match self {
            Self::LieInDigestHeader { digest } => lie(response, digest),
            Self::RedirectElsewhere { to } => Response::redirect(&format!("{to}{}", request.target)),
            Self::SeeOther { to } => match request.query(SEEN) {
                Some(_) => response,
                None => Response::new(303).header("Location", &format!("{to}{}?{SEEN}=1", request.target)),
            },
            Self::TooManyRequests { retry_after } => {
                error(429, "TOOMANYREQUESTS", "slow down").header("Retry-After", &retry_after.to_string())
            }
            Self::List(listing) => match route {
                Route::Referrers { .. } => listing.apply(request, response),
                _ => response,
            },
            Self::Endless => reframed(response, Body::Endless),
            Self::Drip { every } => reframed(response, |bytes| Body::Drip { bytes, every: *every }),
            Self::FlipByte => changed(response, |bytes| flip(bytes)),
            Self::Truncate => changed(response, |bytes| bytes.truncate(bytes.len().saturating_sub(1))),
            Self::Extend => changed(response, |bytes| bytes.push(b' ')),
            Self::Missing => error(404, "UNKNOWN", "nothing of that name"),
            Self::Unavailable => error(503, "UNAVAILABLE", "come back later"),
            Self::Reset => reframed(response, Body::Reset),
            Self::Stall => response.body(Body::Stall),
            Self::SwapManifest { with } => match route {
                Route::Manifest { .. } => swapped(with),
                _ => response,
            },
        }
    }
}

fn lie(mut response: Response, digest: &str) -> Response {
    if response.headers.contains(DIGEST) {
        response.headers.set(DIGEST, digest);
    }
    response
}

fn swapped(with: &[u8]) -> Response {
    let document: Value = serde_json::from_slice(with).unwrap_or_default();
    Response::ok(with)
        .header("Content-Type", text(&document, "mediaType"))
        .header(DIGEST, &sha256_digest(with))
}

/// The same bytes, sent in another way. An answer that is spoilt already keeps its first manner.
fn reframed(response: Response, manner: impl FnOnce(Vec<u8>) -> Body) -> Response {
    match response.body {
        Body::Bytes(bytes) => Response { body: manner(bytes), ..response },
        _ => response,
    }
}

/// Other bytes, where the answer was a success.
fn changed(mut response: Response, change: impl FnOnce(&mut Vec<u8>)) -> Response {
    if let (200, Body::Bytes(bytes)) = (response.status, &mut response.body) {
        change(bytes);
    }
    response
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() >> 1;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
}

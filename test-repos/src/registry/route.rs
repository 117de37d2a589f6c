//! The addresses of distribution-spec 1.1, and the token endpoint beside them.

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/v2/`
    Ping,
    /// `/token`
    Token,
    /// By tag or digest.
    Manifest { repo: &'a str, reference: &'a str },
    /// By digest.
    Blob { repo: &'a str, digest: &'a str },
    /// Where an upload starts.
    Uploads { repo: &'a str },
    /// An upload that has started.
    Upload { repo: &'a str, id: &'a str },
    /// All tags.
    Tags { repo: &'a str },
    /// All manifests whose subject is this digest.
    Referrers { repo: &'a str, digest: &'a str },
}

impl<'a> Route<'a> {
    /// Reads a decoded path. A repository's name may itself hold `/blobs/`: the end of the path decides.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let path = match path {
            "/token" => return Some(Self::Token),
            "/v2" | "/v2/" => return Some(Self::Ping),
            _ => path.strip_prefix("/v2/")?,
        };
        if let Some(repo) = path.strip_suffix("/tags/list") {
            return named(repo, Self::Tags { repo });
        }
        if let Some(repo) = path.strip_suffix("/blobs/uploads/").or(path.strip_suffix("/blobs/uploads")) {
            return named(repo, Self::Uploads { repo });
        }
        let (front, last) = path.rsplit_once('/')?;
        let route = |repo, kind| match kind {
            "manifests" => Some(Self::Manifest { repo, reference: last }),
            "referrers" => Some(Self::Referrers { repo, digest: last }),
            "blobs" => Some(Self::Blob { repo, digest: last }),
            _ => None,
        };
        if let Some(repo) = front.strip_suffix("/blobs/uploads") {
            return named(repo, Self::Upload { repo, id: last });
        }
        let (repo, kind) = front.rsplit_once('/')?;
        named(repo, route(repo, kind)?)
    }

    /// The repository that it is about.
    pub(super) fn repo(&self) -> Option<&'a str> {
        match self {
            Self::Ping | Self::Token => None,
            Self::Manifest { repo, .. }
            | Self::Blob { repo, .. }
            | Self::Uploads { repo }
            | Self::Upload { repo, .. }
            | Self::Tags { repo }
            | Self::Referrers { repo, .. } => Some(repo),
        }
    }
}

/// A route, if its repository has a name.
fn named<'a>(repo: &str, route: Route<'a>) -> Option<Route<'a>> {
    (!repo.is_empty()).then_some(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_read_from_its_end() {
        let (repo, digest) = ("a/b", "sha256:c");
        let table = [
            ("/v2/", Some(Route::Ping)),
            ("/token", Some(Route::Token)),
            ("/v2/a/b/manifests/1.4", Some(Route::Manifest { repo, reference: "1.4" })),
            ("/v2/a/b/blobs/sha256:c", Some(Route::Blob { repo, digest })),
            ("/v2/a/b/blobs/uploads/", Some(Route::Uploads { repo })),
            ("/v2/a/b/blobs/uploads/7", Some(Route::Upload { repo, id: "7" })),
            ("/v2/a/b/tags/list", Some(Route::Tags { repo })),
            ("/v2/a/b/referrers/sha256:c", Some(Route::Referrers { repo, digest })),
            ("/v2/blobs/manifests/x", Some(Route::Manifest { repo: "blobs", reference: "x" })),
            ("/v2/manifests/x", None),
            ("/v2//manifests/x", None),
            ("/v2/a/b", None),
            ("/", None),
        ];
        for (path, route) in table {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}

//! Where a trust repository is, as a person writes it, and the transport that reads it from there.
//!
//! Nothing is fetched or looked at here but the names of folders.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use oci_image::tuf_layout::targets_of;
use oci_image::{
    Credentials, HttpFetcher, HttpOptions, ImageName, Location, Reference, Registry, RegistryOptions, Tag,
};
use url::Url;

use super::oci::Place;
use super::{DirTransport, HttpTransport, OciTargets, OciTransport, Transport};

/// How repositories are reached.
#[derive(Clone, Debug, Default)]
pub struct TransportOptions {
    /// How HTTP is spoken, to registries too.
    pub http: HttpOptions,
    /// Logins for registries. No other server is told any.
    pub credentials: Credentials,
}

/// Where a trust repository is: a folder, where that folder is served, or a registry or OCI layout.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RepoLocation {
    /// A folder that holds `metadata/`, or `published/metadata/`.
    Dir(PathBuf),
    /// The address under which that folder is served.
    Http(Url),
    /// A repository of a registry, and the tag of the top-level roles: `oci://HOST/NAME[:TAG]`.
    Registry {
        /// The registry and the repository in it.
        name: ImageName,
        /// The tag of the top-level roles.
        tag: Tag,
    },
    /// The same in an OCI layout: `oci:DIR[:TAG]`, as images are named.
    Layout {
        /// The layout's folder.
        dir: PathBuf,
        /// The tag of the top-level roles.
        tag: Tag,
    },
}

/// The address of a repository can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected a folder, an http(s) address, oci://HOST/NAME or oci:DIR of a trust repository, got {text:?}: {why}"
)]
pub struct BadLocation {
    text: String,
    why: String,
}

impl FromStr for RepoLocation {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        let bad = |why: &str| BadLocation { text: text.to_owned(), why: why.to_owned() };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        let secret =
            || BadLocation { text: "…".into(), why: "an address must not hold credentials".into() };
        if let Some(name) = text.strip_prefix("oci://") {
            if name.split('/').next().is_some_and(|host| host.contains('@')) {
                return Err(secret());
            }
            return in_registry(name).map_err(|why| bad(&why));
        }
        if text.starts_with("oci:") {
            return in_layout(text).map_err(|why| bad(&why));
        }
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return match text.split_once("://") {
                Some((scheme, _)) => Err(bad(&format!("{scheme} is not a transport"))),
                None => Ok(Self::Dir(text.into())),
            };
        }
        let url = Url::parse(text).map_err(|why| bad(&why.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("a query or fragment has no meaning here"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(secret());
        }
        Ok(Self::Http(url))
    }
}

impl fmt::Display for RepoLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir) => dir.display().fmt(f),
            Self::Http(url) => url.fmt(f),
            Self::Registry { name, tag } => write!(f, "oci://{name}:{tag}"),
            Self::Layout { dir, tag } => write!(f, "oci:{}:{tag}", dir.display()),
        }
    }
}

/// A registry's name must stand in front: `oci://acme/tuf` would be Docker Hub's by a rule for short names
/// that nobody expects in an address.
fn in_registry(text: &str) -> Result<RepoLocation, String> {
    if text.contains(['?', '#']) {
        return Err("a query or fragment has no meaning here".into());
    }
    let reference: Reference = text.parse().map_err(|why: oci_image::BadReference| why.to_string())?;
    if reference.digest().is_some() {
        return Err("a repository moves on, a digest does not".into());
    }
    let (name, tag) = (reference.name(), reference.tag());
    if !text.strip_prefix(name.registry()).is_some_and(|rest| rest.starts_with('/')) {
        return Err(format!("it does not begin with a registry's host; did you mean oci://{reference}?"));
    }
    Registry::new(name, RegistryOptions::default()).map_err(|why| why.to_string())?;
    let tag = tag.cloned().ok_or("it has no tag")?;
    Ok(RepoLocation::Registry { name: name.clone(), tag })
}

fn in_layout(text: &str) -> Result<RepoLocation, String> {
    match text.parse::<Location>() {
        Ok(Location::Layout { dir, tag, digest: None }) => {
            let tag = tag.as_deref().unwrap_or("latest");
            let tag = tag.parse().map_err(|why: oci_image::BadReference| why.to_string())?;
            Ok(RepoLocation::Layout { dir, tag })
        }
        Ok(_) => Err("a repository moves on, a digest does not".into()),
        Err(why) => Err(why.to_string()),
    }
}

impl RepoLocation {
    /// Whether it is on another machine, or might be: to read it, a socket is opened.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Registry { .. })
    }

    /// The transport for its metadata. Nothing is fetched yet.
    #[must_use]
    pub fn transport(&self, options: &TransportOptions) -> Arc<dyn Transport> {
        // To meet a delegated role's new tag takes as long as to meet a server that was busy.
        let pause = options.http.limits.back_off;
        match self {
            Self::Dir(dir) => Arc::new(DirTransport::new(metadata_dir(dir))),
            Self::Http(url) => {
                Arc::new(HttpTransport::new(&metadata_url(url), HttpFetcher::new(options.http.clone())))
            }
            Self::Registry { name, tag } => {
                let place = Place::registry(name, registry_options(options));
                Arc::new(OciTransport::new(place, tag.clone(), pause))
            }
            Self::Layout { dir, tag } => {
                Arc::new(OciTransport::new(Place::Layout(dir.clone()), tag.clone(), pause))
            }
        }
    }

    /// The transport for its target files, which are beside the metadata: in a folder, in a second repository of the
    /// registry, or in the same layout. `None` where there is no folder of them. Nothing is fetched yet.
    #[must_use]
    pub fn targets(&self, options: &TransportOptions) -> Option<Arc<dyn Transport>> {
        match self {
            Self::Http(url) => {
                let mut url = url.clone();
                let path = url.path().trim_end_matches('/').to_owned();
                let above = path.strip_suffix("/metadata").unwrap_or(&path);
                url.set_path(&format!("{above}/targets/"));
                Some(Arc::new(HttpTransport::new(&url, HttpFetcher::new(options.http.clone()))))
            }
            Self::Dir(dir) => {
                // The repository, what is published of it, or its metadata.
                let above = [dir.clone(), dir.join("published"), dir.join("..")];
                let above = above.into_iter().find(|above| above.join("metadata").is_dir())?;
                Some(Arc::new(DirTransport::of_targets(above.join("targets"))))
            }
            Self::Registry { name, .. } => {
                let place = match targets_of(&name.to_string()).parse() {
                    Ok(targets) => Place::registry(&targets, registry_options(options)),
                    Err(why) => Place::nowhere_for(name, &why),
                };
                Some(Arc::new(OciTargets::new(place)))
            }
            Self::Layout { dir, .. } => Some(Arc::new(OciTargets::new(Place::Layout(dir.clone())))),
        }
    }
}

fn registry_options(options: &TransportOptions) -> RegistryOptions {
    let HttpOptions { ca_file, allow_http, limits, user_agent } = options.http.clone();
    RegistryOptions { credentials: options.credentials.clone(), ca_file, allow_http, limits, user_agent }
}

/// The folder of the metadata, whichever level was named.
fn metadata_dir(dir: &std::path::Path) -> PathBuf {
    let candidates = [dir.join("metadata"), dir.join("published").join("metadata")];
    candidates.into_iter().find(|candidate| candidate.is_dir()).unwrap_or_else(|| dir.to_owned())
}

/// The address of the metadata: `…/metadata/`, whichever level was named.
fn metadata_url(url: &Url) -> Url {
    let mut url = url.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    let named = path.ends_with("/metadata");
    url.set_path(&if named { format!("{path}/") } else { format!("{path}/metadata/") });
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_its_metadata_whichever_level_it_names() {
        for (given, metadata) in [
            ("https://trust.example.com", "https://trust.example.com/metadata/"),
            ("https://trust.example.com/a/", "https://trust.example.com/a/metadata/"),
            ("https://trust.example.com/a/metadata", "https://trust.example.com/a/metadata/"),
        ] {
            let Ok(RepoLocation::Http(url)) = given.parse() else { panic!("{given}") };
            assert_eq!(metadata_url(&url).as_str(), metadata);
        }
    }

    #[test]
    fn registries_and_layouts_are_named_with_a_tag_or_mean_latest() {
        for (given, read, remote) in [
            ("oci://registry.example.com/acme/tuf", "oci://registry.example.com/acme/tuf:latest", true),
            ("oci://127.0.0.1:5000/tuf:next", "oci://127.0.0.1:5000/tuf:next", true),
            ("oci://docker.io/docker/tuf-metadata", "oci://docker.io/docker/tuf-metadata:latest", true),
            ("oci:dir", "oci:dir:latest", false),
            ("oci:/a/b:next", "oci:/a/b:next", false),
            ("https://trust.example.com/", "https://trust.example.com/", true),
            ("dir", "dir", false),
        ] {
            let location: RepoLocation = given.parse().unwrap();
            assert_eq!((location.to_string().as_str(), location.is_remote()), (read, remote));
            assert_eq!(location.to_string().parse::<RepoLocation>().unwrap(), location, "{given}");
        }
    }

    #[test]
    fn what_is_no_location_says_why_and_hides_credentials() {
        for (given, why) in [
            ("", "it is empty"),
            ("ftp://x", "ftp is not a transport"),
            ("https://x/?a=b", "a query"),
            ("https://user:secret@x/", "must not hold credentials"),
            ("oci://", "not a repository name"),
            ("oci://acme/tuf", "did you mean oci://docker.io/acme/tuf:latest?"),
            ("oci://tuf", "did you mean oci://docker.io/library/tuf:latest?"),
            ("oci://r.io/acme/Tuf", "a repository name must be lowercase"),
            ("oci://r.io/acme/tuf:", "not a tag"),
            ("oci://r.io:99999/acme/tuf", "invalid port number"),
            ("oci://r.io/acme/tuf?a=b", "a query"),
            ("oci://user:secret@r.io/acme/tuf", "must not hold credentials"),
            (&format!("oci://r.io/acme/tuf@sha256:{}", "0".repeat(64)), "a digest does not"),
            ("oci:", "expected a folder after oci:"),
            ("oci:dir:no/tag", "not a tag"),
            (&format!("oci:dir@sha256:{}", "0".repeat(64)), "a digest does not"),
        ] {
            let error = given.parse::<RepoLocation>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
    }
}

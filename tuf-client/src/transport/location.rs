//! Where a trust repository is, as a person writes it, and the transport that reads it from there.
//!
//! Nothing is fetched or looked at here but the names of folders.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use oci_image::{HttpFetcher, HttpOptions};
use url::Url;

use super::{DirTransport, HttpTransport, Transport};

/// How repositories are reached.
#[derive(Clone, Debug, Default)]
pub struct TransportOptions {
    /// How HTTP is spoken.
    pub http: HttpOptions,
}

/// Where a trust repository is: a folder, or where that folder is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RepoLocation {
    /// A folder that holds `metadata/`, or `published/metadata/`.
    Dir(PathBuf),
    /// The address under which that folder is served.
    Http(Url),
}

/// The address of a repository can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a folder or an http(s) address of a trust repository, got {text:?}: {why}")]
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
            return Err(BadLocation {
                text: "…".into(), why: "an address must not hold credentials".into()
            });
        }
        Ok(Self::Http(url))
    }
}

impl fmt::Display for RepoLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir) => dir.display().fmt(f),
            Self::Http(url) => url.fmt(f),
        }
    }
}

impl RepoLocation {
    /// The transport for its metadata. Nothing is fetched yet.
    #[must_use]
    pub fn transport(&self, options: &TransportOptions) -> Arc<dyn Transport> {
        match self {
            Self::Dir(dir) => Arc::new(DirTransport::new(metadata_dir(dir))),
            Self::Http(url) => {
                Arc::new(HttpTransport::new(&metadata_url(url), HttpFetcher::new(options.http.clone())))
            }
        }
    }
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
    fn what_is_no_location_says_why_and_hides_credentials() {
        for (given, why) in [
            ("", "it is empty"),
            ("ftp://x", "ftp is not a transport"),
            ("https://x/?a=b", "a query"),
            ("https://user:secret@x/", "must not hold credentials"),
        ] {
            let error = given.parse::<RepoLocation>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
    }
}

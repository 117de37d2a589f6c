//! What a person writes for a place, and how it is opened.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use oci_image::tuf_layout::ENCODED;
use oci_image::{ImageName, Reference, RegistryOptions, Tag};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use crate::s3::{S3Address, S3Times};
use crate::{DirStore, GitStore, OciStore, S3Store, Store, StoreError};

const EXPECTED: &str = "expected a folder, s3://BUCKET/PREFIX, oci://HOST/NAME or git:DIR";

/// Where a repository is published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// `DIR` or `file:DIR`: a folder.
    Dir(PathBuf),
    /// `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`: an object store.
    S3 {
        /// The bucket.
        bucket: String,
        /// What the names of the objects start with; may be empty.
        prefix: String,
        /// The address, where it isn't Amazon's.
        endpoint: Option<Url>,
        /// The region; `us-east-1` where nothing is said, as stores that have none expect.
        region: Option<String>,
    },
    /// `git:DIR[#BRANCH]`: a folder of a git work tree.
    Git {
        /// The folder, which need not be there yet.
        dir: PathBuf,
        /// The branch, where it isn't the one that is checked out.
        branch: Option<String>,
    },
    /// `oci://HOST/NAME[:TAG][?ca-file=FILE]`: a repository of a registry.
    Oci {
        /// The registry and the repository in it.
        name: ImageName,
        /// The tag that clients begin with; `latest` where nothing is said.
        tag: Tag,
        /// Certificates (PEM) to trust beside the system's.
        ca_file: Option<PathBuf>,
    },
}

/// What is needed to get in. The caller finds it: this crate reads no environment.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// For an object store.
    pub aws: Option<AwsKeys>,
    /// For a registry: logins, and how it is reached.
    pub registry: RegistryOptions,
}

/// The keys of an account of an object store.
#[derive(Clone)]
pub struct AwsKeys {
    /// Its name.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Zeroizing<String>,
    /// For keys that hold for a while.
    pub session_token: Option<Zeroizing<String>>,
    /// Where nothing else is said.
    pub region: Option<String>,
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Why a text names no place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} names no place to publish to: {why}")]
pub struct BadPlace {
    text: String,
    why: &'static str,
}

/// Opens a place. Nothing is asked of it yet.
///
/// # Errors
/// When keys are missing, or the address can't be used.
pub fn open(place: &Place, access: &Access) -> Result<Box<dyn Store>, StoreError> {
    Ok(match place {
        Place::Dir(dir) => Box::new(DirStore::new(dir)),
        Place::Git { dir, branch } => Box::new(GitStore::new(dir, branch.as_deref())),
        Place::Oci { name, tag, ca_file } => {
            let mut options = access.registry.clone();
            options.ca_file = ca_file.clone().or(options.ca_file);
            Box::new(OciStore::new(name, tag, options)?)
        }
        Place::S3 { bucket, prefix, endpoint, region } => {
            let (endpoint, region) = (endpoint.as_ref(), region.as_deref());
            let at = S3Address { bucket, prefix, endpoint, region };
            Box::new(S3Store::new(at, access.aws.as_ref(), S3Times::default())?)
        }
    })
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        // A secret may be in it: what was written is said again only without one.
        let behind = text.rsplit('@').next().unwrap_or_default();
        let bad = |why| BadPlace { text: behind.split('?').next().unwrap_or_default().to_owned(), why };
        if let Some(dir) = text.strip_prefix("file:") {
            return Ok(Self::Dir(dir.strip_prefix("//").unwrap_or(dir).into()));
        }
        if let Some(place) = text.strip_prefix("git:").filter(|place| !place.starts_with("//")) {
            return git(place).map_err(bad);
        }
        if let Some(name) = text.strip_prefix("oci://") {
            return oci(name).map_err(bad);
        }
        let scheme = text.split(':').next().filter(|scheme| scheme.len() < text.len());
        if !text.contains("://")
            && scheme.is_some_and(|scheme| matches!(scheme, "oci" | "s3" | "http" | "https"))
        {
            return Err(bad(EXPECTED));
        }
        if !text.contains("://") {
            return if text.is_empty() {
                Err(bad("expected a folder or an address, got nothing"))
            } else {
                Ok(Self::Dir(text.into()))
            };
        }
        let url = Url::parse(text).map_err(|_| bad(EXPECTED))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "keys don't belong in an address: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ));
        }
        match url.scheme() {
            "s3" => s3(&url).map_err(bad),
            _ => Err(bad(EXPECTED)),
        }
    }
}

fn git(text: &str) -> Result<Place, &'static str> {
    let (dir, branch) = match text.rsplit_once('#') {
        Some((dir, branch)) => (dir, Some(branch)),
        None => (text, None),
    };
    if dir.is_empty() {
        return Err("expected a folder of a git work tree behind git:");
    }
    if branch.is_some_and(|branch| !is_branch(branch)) {
        return Err("expected the name of a branch behind #");
    }
    Ok(Place::Git { dir: dir.into(), branch: branch.map(str::to_owned) })
}

/// As clients write it, but for what they can't read.
fn oci(text: &str) -> Result<Place, &'static str> {
    if text.split('/').next().is_some_and(|host| host.contains('@')) {
        return Err("logins don't belong in an address: log in with docker or podman");
    }
    let (text, query) = text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
    if text.contains(['#', '@']) {
        return Err("expected a tag or nothing behind oci://HOST/NAME");
    }
    let mut ca_file = None;
    for (name, value) in query.map(|query| form_urlencoded::parse(query.as_bytes())).into_iter().flatten() {
        match &*name {
            "ca-file" if !value.is_empty() => ca_file = Some(PathBuf::from(&*value)),
            _ => return Err("expected ca-file= behind the question mark"),
        }
    }
    let reference: Reference = text.parse().map_err(|_| "expected oci://HOST/NAME[:TAG]")?;
    let name = reference.name();
    // Short names would be Docker Hub's, which nobody expects in an address.
    if !text.strip_prefix(name.registry()).is_some_and(|rest| rest.starts_with('/')) {
        return Err("expected a registry's host behind oci://");
    }
    let tag = reference.tag().ok_or("expected oci://HOST/NAME[:TAG]")?;
    if tag.as_str().starts_with(ENCODED) {
        return Err("expected another tag: those that begin with role-sha256- are for roles");
    }
    Ok(Place::Oci { name: name.clone(), tag: tag.clone(), ca_file })
}

/// What git allows (git-check-ref-format), and less where that costs nobody a name.
fn is_branch(name: &str) -> bool {
    let odd = |character: char| character.is_control() || " ~^:?*[\\".contains(character);
    let part = |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with(".lock");
    name.split('/').all(part)
        && !name.contains(odd)
        && !name.contains("..")
        && !name.contains("@{")
        && name != "@"
        && !name.ends_with('.')
}

fn s3(url: &Url) -> Result<Place, &'static str> {
    let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or("expected a bucket behind s3://")?;
    let (mut endpoint, mut region) = (None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "endpoint" => {
                let url = Url::parse(&value).map_err(|_| "expected an address as endpoint")?;
                if !url.username().is_empty() || url.password().is_some() {
                    return Err(
                        "keys don't belong in an address: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    );
                }
                if url.query().is_some() || url.fragment().is_some() {
                    return Err("expected an endpoint without ? and #");
                }
                let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
                if url.scheme() != "https" && !(url.scheme() == "http" && local) {
                    return Err("expected an https address as endpoint, or http on this machine");
                }
                endpoint = Some(url);
            }
            "region" => region = Some(value.into_owned()),
            _ => return Err("expected endpoint= or region= behind the question mark"),
        }
    }
    let prefix = url.path().trim_matches('/').to_owned();
    if prefix.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("expected a prefix without . and ..");
    }
    Ok(Place::S3 { bucket: bucket.to_owned(), prefix, endpoint, region })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir) => write!(f, "{}", dir.display()),
            Self::Git { dir, branch: None } => write!(f, "git:{}", dir.display()),
            Self::Git { dir, branch: Some(branch) } => write!(f, "git:{}#{branch}", dir.display()),
            Self::Oci { name, tag, .. } => write!(f, "oci://{name}:{tag}"),
            Self::S3 { bucket, prefix, endpoint, region } => {
                let (endpoint, region) = (endpoint.as_ref(), region.as_deref());
                write!(f, "{}", S3Address { bucket, prefix, endpoint, region })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_says_where() {
        assert_eq!("public".parse(), Ok(Place::Dir("public".into())));
        assert_eq!("file:/srv/trust".parse(), Ok(Place::Dir("/srv/trust".into())));
        let git =
            |branch: Option<&str>| Place::Git { dir: "site/trust".into(), branch: branch.map(Into::into) };
        assert_eq!("git:site/trust".parse(), Ok(git(None)));
        assert_eq!("git:site/trust#gh-pages".parse(), Ok(git(Some("gh-pages"))));
        let s3 = "s3://bucket/trust/?endpoint=http://127.0.0.1:9000&region=eu-1".parse::<Place>().unwrap();
        assert_eq!(s3.to_string(), "s3://bucket/trust?endpoint=http://127.0.0.1:9000&region=eu-1");
        for text in [
            "s3://bucket/",
            "s3://bucket/a/b?region=eu-1",
            "s3://bucket/trust?endpoint=https://store.example.com/a%26b%2523&region=it's 1+1",
        ] {
            let place = text.parse::<Place>().unwrap();
            assert_eq!(place.to_string().parse(), Ok(place.clone()), "{place}");
        }
        let oci = "oci://r.example.com:5000/acme/tuf".parse::<Place>().unwrap();
        assert_eq!(oci.to_string(), "oci://r.example.com:5000/acme/tuf:latest");
        let oci = "oci://r.example.com/tuf:1?ca-file=a%20b.pem".parse::<Place>().unwrap();
        assert!(matches!(&oci, Place::Oci { ca_file: Some(file), .. } if file.ends_with("a b.pem")));
        assert_eq!(oci.to_string(), "oci://r.example.com/tuf:1");
        assert!(matches!(s3, Place::S3 { region: Some(region), .. } if region == "eu-1"));
    }

    #[test]
    fn what_names_no_place_says_why_and_no_secret() {
        for (text, why) in [
            ("", "got nothing"),
            ("s3://", "expected a bucket"),
            ("s3://me:hush@bucket/x", "keys don't belong in an address"),
            ("s3://bucket/x?endpoint=http://example.com", "expected an https address"),
            ("s3://bucket/x?endpoint=https://example.com/%3Fkey=hush", "without ? and #"),
            ("s3://bucket/x?key=hush", "expected endpoint= or region="),
            ("s3://bucket/x?endpoint=https://me:hush@example.com", "keys don't belong in an address"),
            ("git:", "expected a folder of a git work tree"),
            ("git:#main", "expected a folder of a git work tree"),
            ("git:site#", "expected the name of a branch"),
            ("git:site#-f", "expected the name of a branch"),
            ("git:site#a..b", "expected the name of a branch"),
            ("git://me:hush@example.com/x", "keys don't belong in an address"),
            ("oci:site:tag", "expected a folder, s3:"),
            ("gs://bucket", "expected a folder, s3:"),
            ("oci://me:hush?x@r.example.com/tuf", ""),
            ("oci://me:hush@r.example.com/tuf", "logins don't belong in an address"),
            ("oci://acme/tuf", "expected a registry's host"),
            ("oci://r.example.com/Tuf", "expected oci://HOST/NAME"),
            ("oci://r.example.com/tuf@sha256:0", "expected a tag or nothing"),
            ("oci://r.example.com/tuf?password=hush", "expected ca-file="),
            ("oci://r.example.com/tuf:role-sha256-turn", "expected another tag"),
        ] {
            let said = text.parse::<Place>().unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("hush"), "{said}");
        }
        let said = "s3://me:hush@bucket/x".parse::<Place>().unwrap_err().to_string();
        assert!(!said.contains("hush"), "{said}");
    }
}

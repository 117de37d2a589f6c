//! One repository in a registry, read and written over the OCI distribution protocol.
//!
//! It hands out bytes as they came. The one thing it checks is `Docker-Content-Digest`: a registry that
//! says one digest and sends the bytes of another lies, and that is worth saying. Believing the header
//! is nobody's business: every digest is computed.

mod amend;
mod challenge;
mod conditional;
mod push;
mod referrers;
mod session;

use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK};
use serde::Deserialize;
use url::Url;

use crate::auth::Credentials;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::http::{
    self, Action, Call, Deadline, HttpFetcher, HttpLimits, HttpOptions, Streaming, is_loopback,
};
use crate::manifest::MANIFEST_MAX;
use crate::media;
use crate::reference::{DOCKER_HUB, ImageName, Tag};
use crate::source::{FetchedManifest, ImageSource, Selector, SourceError};
pub use amend::Amendment;
pub use conditional::Expected;
pub use referrers::{Referrers, ReferrersPlace};
use session::{Door, Session};

/// Where Docker Hub's names are served.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// The most tags that are listed: a registry's pages go on for as long as it likes.
const TAGS_MAX: usize = 50_000;

/// The largest page of tags.
const TAGS_PAGE_MAX: u64 = 8 * 1024 * 1024;

/// How to reach a registry.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Logins.
    pub credentials: Credentials,
    /// PEM certificates to trust beside the system's. With it, even this machine is asked by https.
    pub ca_file: Option<PathBuf>,
    /// Whether plain http may be used with other machines, when they don't answer to https. Everyone on
    /// the way reads along, passwords too.
    pub allow_http: bool,
    /// Bounds on time, steps and repetition.
    pub limits: HttpLimits,
    /// What to call ourselves.
    pub user_agent: String,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        let HttpOptions { ca_file, allow_http, limits, user_agent } = HttpOptions::default();
        Self { credentials: Credentials::anonymous(), ca_file, allow_http, limits, user_agent }
    }
}

/// One repository in a registry. Nothing is sent before the first question.
#[derive(Debug)]
pub struct Registry {
    name: ImageName,
    /// The addresses to try, in order: https, and http if that is allowed.
    candidates: Vec<Url>,
    base: OnceLock<Url>,
    fetcher: HttpFetcher,
    credentials: Credentials,
    session: Session,
}

impl Registry {
    /// The repository of this name.
    ///
    /// # Errors
    /// When the registry's host can't be part of an address.
    pub fn new(name: &ImageName, options: RegistryOptions) -> Result<Self, SourceError> {
        let RegistryOptions { credentials, ca_file, allow_http, limits, user_agent } = options;
        let candidates = candidates(name, allow_http, ca_file.is_some())?;
        let fetcher = HttpFetcher::new(HttpOptions { ca_file, allow_http, limits, user_agent });
        let (base, session) = (OnceLock::new(), Session::default());
        Ok(Self { name: name.clone(), candidates, base, fetcher, credentials, session })
    }

    /// What a tag points to at the moment: the digest of the bytes that come, not one that is claimed.
    ///
    /// # Errors
    /// As for [`ImageSource::manifest`].
    pub fn resolve(&self, tag: &Tag) -> Result<Descriptor, SourceError> {
        self.manifest(Selector::Tag(tag.as_str())).map(|fetched| fetched.descriptor())
    }

    /// The repository's tags, in the registry's order. Names that are no tags are left out.
    ///
    /// # Errors
    /// When the registry gives no usable answer.
    pub fn tags(&self) -> Result<Vec<String>, SourceError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let deadline = self.whole();
        let mut next = Some(self.address("tags/list", deadline)?);
        while let Some(url) = next {
            let answer = self.ask(&url, HeaderMap::new(), "list of tags", deadline)?;
            next = self.next_page(&answer)?;
            let page: Page = serde_json::from_slice(&answer.read(TAGS_PAGE_MAX)?)
                .map_err(|error| self.malformed(error.to_string()))?;
            let page = page.tags.unwrap_or_default();
            // An empty page that leads to another one could go on for ever.
            next = next.filter(|_| !page.is_empty());
            tags.extend(page.into_iter().filter(|tag| tag.parse::<Tag>().is_ok()));
            if tags.len() > TAGS_MAX {
                return Err(self.malformed(format!("it lists more than {TAGS_MAX} tags")));
            }
        }
        Ok(tags)
    }

    fn next_page(&self, answer: &Streaming) -> Result<Option<Url>, SourceError> {
        let link = answer.header(&LINK).unwrap_or_default();
        let next = link.split(',').find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"));
        let target = next.and_then(|link| link.split_once('<')?.1.split_once('>')).map(|(target, _)| target);
        let Some(target) = target else { return Ok(None) };
        let url = http::follow_address(&answer.url, target, self.fetcher.options().allow_http)?;
        if url.origin() == answer.url.origin() {
            return Ok(Some(url));
        }
        let (from, to) = (http::shown(&answer.url), http::shown(&url));
        Err(SourceError::Redirect { from, to, why: "the next page is on another host" })
    }

    /// The registry's address. Where both https and http are allowed, whichever answers first.
    fn base(&self, deadline: Deadline) -> Result<&Url, SourceError> {
        if let Some(base) = self.base.get() {
            return Ok(base);
        }
        let (last, earlier) =
            self.candidates.split_last().ok_or_else(|| self.malformed("no address".into()))?;
        for url in earlier {
            let call = Call { url, headers: HeaderMap::new(), action: Action::Get, deadline };
            match self.fetcher.open(&call) {
                Err(SourceError::Unreachable { .. }) => {}
                // That there was no time to hear it is no reason to go on without TLS.
                Err(overdue @ SourceError::Overdue { .. }) => return Err(overdue),
                _ => return Ok(self.base.get_or_init(|| url.clone())),
            }
        }
        Ok(self.base.get_or_init(|| last.clone()))
    }

    fn address(&self, rest: &str, deadline: Deadline) -> Result<Url, SourceError> {
        let path = format!("{}/{rest}", self.name.repository());
        self.base(deadline)?.join(&path).map_err(|error| self.malformed(error.to_string()))
    }

    /// Asks, and once more with an answer to the registry's challenge.
    fn ask(
        &self,
        url: &Url,
        headers: HeaderMap,
        what: &str,
        deadline: Deadline,
    ) -> Result<Streaming, SourceError> {
        let answer = self.request(url, headers, Action::Get, deadline)?;
        self.expect_success(answer, what)
    }

    /// As [`Self::ask`], whatever is to be done and whatever the status is.
    fn request(
        &self,
        url: &Url,
        headers: HeaderMap,
        action: Action<'_>,
        deadline: Deadline,
    ) -> Result<Streaming, SourceError> {
        let first = self.send(url, headers.clone(), action, deadline)?;
        if first.status != 401 || first.url.origin() != url.origin() {
            return Ok(first);
        }
        let actions = if action.writes() { "pull,push" } else { "pull" };
        let door = Door { registry: url, name: &self.name, fetcher: &self.fetcher, actions, deadline };
        let answered = self.session.answer(&first.headers, &door, &self.credentials)?;
        // To log in takes its time; what is only good now isn't sent after that.
        if !answered || matches!(action, Action::Now(_)) {
            return Ok(first);
        }
        self.send(url, headers, action, deadline)
    }

    fn send(
        &self,
        url: &Url,
        mut headers: HeaderMap,
        action: Action<'_>,
        deadline: Deadline,
    ) -> Result<Streaming, SourceError> {
        headers.extend(self.session.header().map(|value| (AUTHORIZATION, value)));
        self.fetcher.open(&Call { url, headers, action, deadline })
    }

    fn expect_success(&self, answer: Streaming, what: &str) -> Result<Streaming, SourceError> {
        self.expect(answer, what, 200)
    }

    fn expect(&self, answer: Streaming, what: &str, wanted: u16) -> Result<Streaming, SourceError> {
        let is_ours = self.base.get().is_some_and(|base| base.origin() == answer.url.origin());
        let at = if is_ours { self.describe() } else { http::shown(&answer.url) };
        match answer.status {
            status if status == wanted => Ok(answer),
            status @ (401 | 403) => Err(SourceError::Denied { at, status, message: answer.error_message() }),
            404 => Err(SourceError::NotFound { at, what: what.into(), message: answer.error_message() }),
            status => {
                let why = format!("HTTP status {status} {}", answer.error_message());
                Err(SourceError::Malformed { at, why: why.trim_end().into() })
            }
        }
    }

    fn malformed(&self, why: String) -> SourceError {
        SourceError::Malformed { at: self.describe(), why }
    }

    /// A claimed digest that the bytes don't have is a lie. Other algorithms can't be compared.
    fn expect_honest(&self, claimed: Option<String>, bytes: &[u8]) -> Result<(), SourceError> {
        let Some(claimed) = claimed.filter(|claimed| claimed.starts_with("sha256:")) else { return Ok(()) };
        let got = Digest::of(bytes);
        if claimed == got.to_string() {
            return Ok(());
        }
        Err(SourceError::FalseDigest { at: self.describe(), claimed: http::printable(&claimed), got })
    }
}

impl Registry {
    /// As [`ImageSource::manifest`], but all of it ends after `time`.
    ///
    /// # Errors
    /// As [`ImageSource::manifest`].
    pub fn manifest_within(
        &self,
        which: Selector<'_>,
        time: Duration,
    ) -> Result<FetchedManifest, SourceError> {
        let deadline = Deadline::after(time);
        let what = match which {
            Selector::Tag(tag) => format!("tag {tag}"),
            Selector::Digest(digest) => format!("manifest {digest}"),
        };
        if let Selector::Tag(tag) = which
            && let Err(error) = tag.parse::<Tag>()
        {
            return Err(SourceError::NotFound { at: self.describe(), what, message: error.to_string() });
        }
        let url = self.address(&format!("manifests/{which}"), deadline)?;
        let accept = HeaderValue::from_str(&media::MANIFESTS.join(", "));
        let headers = accept.into_iter().map(|value| (ACCEPT, value)).collect();
        let answer = self.ask(&url, headers, &what, deadline)?;
        let media_type = answer.header(&CONTENT_TYPE);
        let claimed = answer.header(&HeaderName::from_static("docker-content-digest"));
        let bytes = answer.read(MANIFEST_MAX)?;
        self.expect_honest(claimed, &bytes)?;
        Ok(FetchedManifest { bytes, media_type })
    }

    /// As [`ImageSource::blob`], but all of it, reading too, ends after `time`.
    ///
    /// # Errors
    /// As [`ImageSource::blob`].
    pub fn blob_within(
        &self,
        want: &Descriptor,
        time: Duration,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        self.open_blob(want, Deadline::after(time))
    }

    fn open_blob(&self, want: &Descriptor, deadline: Deadline) -> Result<Box<dyn Read + Send>, SourceError> {
        let url = self.address(&format!("blobs/{}", want.digest), deadline)?;
        let answer = self.ask(&url, HeaderMap::new(), &format!("blob {}", want.digest), deadline)?;
        // One byte too many is enough for whoever verifies to see that there are too many.
        Ok(Box::new(answer.body.take(want.size.saturating_add(1))))
    }

    /// The time for an answer that is read into memory.
    fn whole(&self) -> Deadline {
        Deadline::after(self.fetcher.options().limits.total)
    }
}

impl ImageSource for Registry {
    fn manifest(&self, which: Selector<'_>) -> Result<FetchedManifest, SourceError> {
        self.manifest_within(which, self.fetcher.options().limits.total)
    }

    fn blob(&self, want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        self.open_blob(want, Deadline::none())
    }

    fn describe(&self) -> String {
        format!("registry {}", self.name)
    }
}

/// The addresses under which the registry may answer, ending with `/v2/`.
fn candidates(name: &ImageName, allow_http: bool, has_ca: bool) -> Result<Vec<Url>, SourceError> {
    let host = if name.registry() == DOCKER_HUB { DOCKER_HUB_HOST } else { name.registry() };
    let at = |scheme: &str| {
        Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|error| SourceError::Malformed {
            at: format!("registry {name}"),
            why: format!("its host can't be part of an address: {error}"),
        })
    };
    let https = at("https")?;
    match (is_loopback(&https), has_ca, allow_http) {
        (true, false, _) => Ok(vec![at("http")?]),
        (false, _, true) => Ok(vec![https, at("http")?]),
        _ => Ok(vec![https]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_addresses_a_name_leads_to() {
        for (name, allow_http, has_ca, expected) in [
            ("nginx", false, false, &["https://registry-1.docker.io/v2/"][..]),
            ("r.io/web", false, false, &["https://r.io/v2/"]),
            ("r.io:8443/web", true, false, &["https://r.io:8443/v2/", "http://r.io:8443/v2/"]),
            ("localhost:5000/web", false, false, &["http://localhost:5000/v2/"]),
            ("127.0.0.1:5000/web", true, false, &["http://127.0.0.1:5000/v2/"]),
            ("127.0.0.1:5000/web", false, true, &["https://127.0.0.1:5000/v2/"]),
            ("[::1]:5000/web", false, false, &["http://[::1]:5000/v2/"]),
        ] {
            let urls = candidates(&name.parse().unwrap(), allow_http, has_ca).unwrap();
            let urls: Vec<&str> = urls.iter().map(Url::as_str).collect();
            assert_eq!(urls, expected, "{name}");
        }
    }

    #[test]
    fn a_port_that_is_none_is_no_address() {
        let error =
            Registry::new(&"r.io:99999/web".parse().unwrap(), RegistryOptions::default()).unwrap_err();
        assert!(error.to_string().contains("invalid port number"), "{error}");
    }
}

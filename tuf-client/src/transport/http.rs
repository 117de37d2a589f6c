//! Fetches files over HTTP. Bounds on bytes, time, progress and repetition are `oci-image`'s.

use std::io::Read;

use oci_image::{HttpFetcher, SourceError};
use url::Url;

use super::{Fetch, Fetched, Transport};

/// Fetches metadata, or target files, over HTTP.
#[derive(Debug)]
pub struct HttpTransport {
    base: Url,
    fetcher: HttpFetcher,
}

impl HttpTransport {
    /// A transport for the address under which `timestamp.json`, or the target files, are found.
    #[must_use]
    pub fn new(base: &Url, fetcher: HttpFetcher) -> Self {
        let mut base = base.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Self { base, fetcher }
    }
}

impl HttpTransport {
    fn url(&self, name: &str) -> Url {
        // By hand, not by `join`: the name is percent-encoded and must stay where it is put.
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), name));
        url
    }
}

impl Transport for HttpTransport {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        let url = self.url(wanted.name);
        let known: Vec<_> = wanted.known.iter().map(|tag| ("If-None-Match", *tag)).collect();
        let answer = self.fetcher.get_within(&url, wanted.limit, &known, wanted.time)?;
        match answer.status {
            200 => Ok(Fetched::File { bytes: answer.body, tag: answer.etag }),
            304 if wanted.known.is_some() => Ok(Fetched::Unchanged),
            status => expect_absent(&url, status).map(|()| Fetched::Absent),
        }
    }

    fn stream(&self, wanted: &Fetch<'_>) -> Result<Option<Box<dyn Read + Send>>, SourceError> {
        let url = self.url(wanted.name);
        let answer = self.fetcher.stream_within(&url, wanted.limit, wanted.time)?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            status => expect_absent(&url, status).map(|()| None),
        }
    }

    fn describe(&self) -> String {
        self.base.to_string()
    }

    fn concurrent(&self) -> bool {
        true
    }
}

/// Whether this status says that there is no such file; else it is no answer.
fn expect_absent(url: &Url, status: u16) -> Result<(), SourceError> {
    let at = url.to_string();
    let malformed = |at, why| Err(SourceError::Malformed { at, why });
    match status {
        // An object store answers 403 for what isn't there to those who may not list it.
        403 | 404 | 410 => Ok(()),
        304 => malformed(at, "HTTP status 304 to a question without a condition".into()),
        401 => Err(SourceError::Denied { at, status: 401, message: String::new() }),
        // To succeed with something else than the file, or to point to nowhere, is no way to say no.
        100..=299 => malformed(at, format!("expected HTTP status 200, got {status}")),
        300..=399 => malformed(at, format!("HTTP status {status} leads nowhere")),
        _ => Err(SourceError::Unreachable { at, why: format!("HTTP status {status}") }),
    }
}

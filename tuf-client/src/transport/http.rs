//! Fetches files over HTTP. Bounds on bytes, time, progress and repetition are `oci-image`'s.

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

impl Transport for HttpTransport {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        // By hand, not by `join`: the name is percent-encoded and must stay where it is put.
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), wanted.name));
        let known: Vec<_> = wanted.known.iter().map(|tag| ("If-None-Match", *tag)).collect();
        let answer = self.fetcher.get(&url, wanted.limit, &known)?;
        let at = || url.to_string();
        match answer.status {
            200 => Ok(Fetched::File { bytes: answer.body, tag: answer.etag }),
            304 if wanted.known.is_some() => Ok(Fetched::Unchanged),
            304 => {
                let why = "HTTP status 304 to a question without a condition".into();
                Err(SourceError::Malformed { at: at(), why })
            }
            // An object store answers 403 for what isn't there to those who may not list it.
            403 | 404 | 410 => Ok(Fetched::Absent),
            401 => Err(SourceError::Denied { at: at(), status: 401, message: String::new() }),
            status => Err(SourceError::Unreachable { at: at(), why: format!("HTTP status {status}") }),
        }
    }

    fn describe(&self) -> String {
        self.base.to_string()
    }
}

//! The way to keys in the network, for what holds them: requests are carried, answers are brought back, and
//! nothing is weighed.

use std::time::Duration;

use oci_image::{HttpFetcher, HttpOptions};
use signing_keys::{ANSWER_MAX, Cloud};
use tuf_core::Instant;
use url::Url;

/// A signature takes a key service some milliseconds. A publish must not hang where it takes a minute.
const PATIENCE: Duration = Duration::from_secs(60);

/// HTTP, and the clock of this run.
#[derive(Debug)]
pub(crate) struct Network {
    fetcher: HttpFetcher,
    clock: fn() -> Instant,
}

impl Network {
    pub(crate) fn new(clock: fn() -> Instant) -> Self {
        Self { fetcher: HttpFetcher::new(HttpOptions::default()), clock }
    }
}

impl Cloud for Network {
    fn now(&self) -> Instant {
        (self.clock)()
    }

    fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let url = Url::parse(url).map_err(|why| format!("{url}: {why}"))?;
        let (kinds, others): (Vec<_>, Vec<_>) =
            headers.iter().copied().partition(|(name, _)| *name == "content-type");
        let kind = kinds.first().map_or("application/octet-stream", |(_, value)| value);
        let answer = self.fetcher.post(&url, (kind, body), &others, ANSWER_MAX, PATIENCE);
        answer.map(|answer| (answer.status, answer.body)).map_err(|why| why.to_string())
    }
}

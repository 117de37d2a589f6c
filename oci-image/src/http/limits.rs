//! How long and how much: the bounds on every answer from the network.

use std::time::Duration;

/// Bounds on time, steps and repetition. The bound on bytes belongs to each request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpLimits {
    /// To connect, TLS included. Docker and curl users see 10 to 30 s; beyond 10 s a host is down.
    pub connect: Duration,
    /// From the request to the end of the answer's headers, and from one piece of the body to the next.
    pub read: Duration,
    /// The window in which [`Self::rate`] is measured: a slow start or a pause of this length is fine.
    pub window: Duration,
    /// The fewest bytes a second, on average over each window. A modem of 1994 did better; who sends
    /// less wants to hold us (TUF 1.0.34, section 1.5.2, "slow retrieval attack").
    pub rate: u64,
    /// For the whole of an answer that is read into memory, with retries, waits, redirects and the body;
    /// blobs that are streamed have only the rate. The largest manifest, of 4 MiB, needs 14 KiB/s for it.
    /// Where the answer pauses at the end of it, one wait of [`Self::read`] comes on top.
    pub total: Duration,
    /// How often a GET, HEAD or PUT is repeated after a fault that passes: status 429, 500, 502, 503, 504, a
    /// cut connection. What begins or ends an upload is repeated after 429 only.
    pub retries: u32,
    /// The wait before the first repetition; it doubles for each further one.
    pub back_off: Duration,
    /// The longest wait that a `Retry-After` can ask for. If it asks for more, we give up at once.
    pub retry_after: Duration,
    /// The most redirects in a row. curl follows 50, Go 10; a registry and its storage need one or two.
    pub redirects: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            window: Duration::from_secs(10),
            rate: 1024,
            total: Duration::from_secs(300),
            retries: 2,
            back_off: Duration::from_millis(500),
            retry_after: Duration::from_secs(10),
            redirects: 5,
        }
    }
}

//! Requests and answers as values.

use std::time::Duration;

/// Header fields in the order in which they came. Names compare without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether there is a field of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Adds a field, whatever is there already.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.into(), value.into()));
    }

    /// Replaces every field of that name by one.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self.add(name, value);
    }

    /// Name and value of every field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A request, read whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Path and query as they were sent, nothing decoded.
    pub target: String,
    /// The header fields.
    pub headers: Headers,
    /// The body, with any chunking undone.
    pub body: Vec<u8>,
}

impl Request {
    /// The target without its query, nothing decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The first value of a query parameter, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_all(name).into_iter().next()
    }

    /// Every value of a query parameter, decoded. One that can't be decoded is left out.
    #[must_use]
    pub fn query_all(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs
            .filter(|(field, _)| *field == name)
            .filter_map(|(_, value)| percent_decoded(&value.replace('+', " ")))
            .collect()
    }

    /// Whether this asks for headers only.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// Undoes percent-encoding once. `None` for a broken escape or what is not UTF-8 afterwards.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(if byte == b'%' { escaped(rest.next()?, rest.next()?)? } else { byte });
    }
    String::from_utf8(decoded).ok()
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some((nibble(high)? << 4) | nibble(low)?)
}

/// What the server remembers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Path and query as they were sent.
    pub path: String,
    /// Whether it carried an `Authorization` field.
    pub authorization: bool,
    /// Every header field, credentials too: they are the test's own.
    pub headers: Headers,
}

impl LoggedRequest {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            method: request.method.clone(),
            path: request.target.clone(),
            authorization: request.headers.contains("authorization"),
            headers: request.headers.clone(),
        }
    }
}

/// An answer. The server adds what frames the body: `Content-Length` or `Transfer-Encoding`.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body; left out where the request is a `HEAD`.
    pub body: Body,
}

impl Response {
    /// An answer without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Headers::default(), body: Body::Bytes(Vec::new()) }
    }

    /// 200 with these bytes.
    #[must_use]
    pub fn ok(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(200).body(Body::Bytes(bytes.into()))
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404)
    }

    /// 307: same method, another place.
    #[must_use]
    pub fn redirect(to: &str) -> Self {
        Self::new(307).header("Location", to)
    }

    /// With another status code.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With one more header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.add(name, value);
        self
    }

    /// With another body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

/// What the bytes of an answer do. Only [`Body::Bytes`] is honest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// These bytes and their true length.
    Bytes(Vec<u8>),
    /// These bytes, then spaces for ever, with no length declared. JSON stays well formed throughout.
    Endless(Vec<u8>),
    /// True length, one byte at a time.
    Drip {
        /// What trickles.
        bytes: Vec<u8>,
        /// The pause before each byte.
        every: Duration,
    },
    /// Declares `length`, sends `bytes` (never more than declared: HTTP has no such thing), closes.
    Declared {
        /// What `Content-Length` says.
        length: u64,
        /// What comes.
        bytes: Vec<u8>,
    },
    /// Declares the true length and closes after the first half.
    Reset(Vec<u8>),
    /// Sends headers, then nothing, and keeps the connection open.
    Stall,
}

//! HTTP for bytes from strangers: bounded in size, time and redirects; secrets stay with the host
//! they were meant for.
//!
//! Registries and TUF repositories are both read through this. It decides nothing about the bytes.

mod address;
mod client;
mod deadline;
mod limits;
mod pace;

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::blocking::Response;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::source::SourceError;
use client::Clients;

pub(crate) use address::{is_loopback, next as follow_address, shown};
pub use client::prepare_tls;
pub(crate) use deadline::Deadline;
pub use limits::HttpLimits;
pub(crate) use pace::{Paced, read_bounded};

/// The most that is read of an error's text. Registries send some hundred bytes.
const ERROR_MAX: u64 = 8 * 1024;

/// The longest entity tag that is kept. It is opaque, and stored and sent again with every question.
/// Servers make them of a size and a time or of a hash: SHA-512 in hex, weak and in quotes, has 132
/// characters.
const ETAG_MAX: usize = 256;

/// Headers that are dropped when a redirect leads to another host, port or scheme.
const SECRET_HEADERS: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// How to fetch.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether plain http is allowed to other machines. Everyone on the way reads along.
    pub allow_http: bool,
    /// Bounds on time, steps and repetition.
    pub limits: HttpLimits,
    /// What to call ourselves.
    pub user_agent: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let user_agent = concat!("hallmark/", env!("CARGO_PKG_VERSION")).into();
        Self { ca_file: None, allow_http: false, limits: HttpLimits::default(), user_agent }
    }
}

/// Fetches over HTTP. Nothing is opened or loaded before the first request.
#[derive(Debug, Default)]
pub struct HttpFetcher {
    options: HttpOptions,
    clients: Clients,
}

/// A complete answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpAnswer {
    /// The status; of 5xx, 429 and what else is no answer you see an error instead. 304 is an answer.
    pub status: u16,
    /// The body; of a status other than 2xx its beginning.
    pub body: Vec<u8>,
    /// The `ETag` as it came, for `If-None-Match` the next time. One that is too long or could not be
    /// printed is as good as none.
    pub etag: Option<String>,
}

/// An answer whose body is read as it comes.
pub struct HttpStream {
    /// As [`HttpAnswer::status`].
    pub status: u16,
    /// The body, bounded in time and in its rate. Nobody has hashed it, and of its length only what was announced
    /// was looked at: read it through a [`crate::VerifyingReader`].
    pub body: Box<dyn Read + Send>,
}

/// An answer whose body has not been read.
pub(crate) struct Streaming {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Paced<Response>,
}

/// What is sent.
pub(crate) struct Call<'a> {
    pub(crate) url: &'a Url,
    pub(crate) headers: HeaderMap,
    /// What is to be done there.
    pub(crate) action: Action<'a>,
    /// When it ends, whatever has come.
    pub(crate) deadline: Deadline,
}

/// What a request does.
#[derive(Clone, Copy)]
pub(crate) enum Action<'a> {
    /// GET.
    Get,
    /// GET of what is here or nowhere: redirects to other hosts are refused.
    GetHere,
    /// HEAD.
    Head,
    /// POST of bytes of this media type, once: a secret may be among them.
    Post(&'a str, &'a [u8]),
    /// POST without a body: it begins something, so it isn't repeated when nobody knows what became of it.
    Begin,
    /// PUT of these bytes, once: the end of what was begun.
    Finish(&'a [u8]),
    /// PUT of these bytes; doing it twice is as doing it once (RFC 9110, section 9.2.2).
    Put(&'a [u8]),
    /// PUT of these bytes, once and now, whatever comes of it: later it would take the place of what others wrote.
    Now(&'a [u8]),
}

impl Action<'_> {
    /// Whether the request may be repeated after this fault: always, where twice is as once; else only
    /// where it was turned away before anything was done (RFC 6585, section 4), and no secret was in it.
    fn repeats_after(self, fault: &Fault) -> bool {
        match self {
            Self::Get | Self::GetHere | Self::Head | Self::Put(_) => fault.passes,
            Self::Begin | Self::Finish(_) => fault.passes && fault.turned_away,
            Self::Post(..) | Self::Now(_) => false,
        }
    }

    /// Why a redirect isn't followed, if so.
    fn stays(self) -> Option<&'static str> {
        match self {
            Self::Get | Self::GetHere | Self::Head => None,
            Self::Post(..) => Some("a secret was sent here and must not travel on"),
            Self::Begin | Self::Finish(_) | Self::Put(_) | Self::Now(_) => {
                Some("what is written must not travel on")
            }
        }
    }

    /// Whether something is to be changed there.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Begin | Self::Finish(_) | Self::Put(_) | Self::Now(_))
    }
}

impl HttpFetcher {
    /// A fetcher with these options.
    pub fn new(options: HttpOptions) -> Self {
        Self { options, clients: Clients::default() }
    }

    /// Fetches a whole body of at most `max_bytes` within [`HttpLimits::total`], following redirects.
    /// Any status is an answer, but 5xx and those that say that this was none: 407, 408, 429.
    ///
    /// # Errors
    /// When nothing answers, or the answer is too large, too slow, or redirects where it must not.
    pub fn get(
        &self,
        url: &Url,
        max_bytes: u64,
        headers: &[(&str, &str)],
    ) -> Result<HttpAnswer, SourceError> {
        self.get_within(url, max_bytes, headers, self.options.limits.total)
    }

    /// As [`Self::get`], but all of it, with retries, waits, redirects and the body, ends after `time`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn get_within(
        &self,
        url: &Url,
        max_bytes: u64,
        headers: &[(&str, &str)],
        time: Duration,
    ) -> Result<HttpAnswer, SourceError> {
        let headers = header_map(url, headers)?;
        let deadline = Deadline::after(time);
        self.whole(&Call { url, headers, action: Action::Get, deadline }, max_bytes)
    }

    /// As [`Self::get_within`], but the body is read as it comes, and nothing of it is held here. An answer of a
    /// status of 2xx that announces more than `max_bytes` is refused before that.
    ///
    /// # Errors
    /// As [`Self::get`], while nothing of the body was read. Errors that come later, while reading, are
    /// [`SourceError`]s within the [`std::io::Error`].
    pub fn stream_within(
        &self,
        url: &Url,
        max_bytes: u64,
        time: Duration,
    ) -> Result<HttpStream, SourceError> {
        let (headers, deadline) = (HeaderMap::new(), Deadline::after(time));
        let answer = self.open(&Call { url, headers, action: Action::Get, deadline })?;
        let status = answer.status;
        if matches!(status, 200..=299) {
            answer.expect_announced(max_bytes)?;
        }
        Ok(HttpStream { status, body: Box::new(answer.body) })
    }

    /// Sends a body, once, and fetches the whole answer, of at most `max_bytes`, within `time`. Nothing is
    /// sent again, and no redirect is followed: what is sent may be meant for this one alone.
    ///
    /// # Errors
    /// As [`Self::get`], and when it leads elsewhere.
    pub fn post(
        &self,
        url: &Url,
        (kind, body): (&str, &[u8]),
        headers: &[(&str, &str)],
        max_bytes: u64,
        time: Duration,
    ) -> Result<HttpAnswer, SourceError> {
        let headers = header_map(url, headers)?;
        let deadline = Deadline::after(time);
        self.whole(&Call { url, headers, action: Action::Post(kind, body), deadline }, max_bytes)
    }

    fn whole(&self, call: &Call<'_>, max_bytes: u64) -> Result<HttpAnswer, SourceError> {
        let answer = self.open(call)?;
        let etag = answer.header(&header::ETAG).filter(|tag| is_tag(tag));
        let status = answer.status;
        let body = match status {
            200..=299 => answer.read(max_bytes)?,
            _ => answer.error_body(),
        };
        Ok(HttpAnswer { status, body, etag })
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.options
    }

    /// Sends, follows redirects, repeats after faults that pass. A status that says that this is no answer
    /// is an error.
    pub(crate) fn open(&self, call: &Call<'_>) -> Result<Streaming, SourceError> {
        let limits = &self.options.limits;
        let mut back_off = limits.back_off;
        let mut left = limits.retries;
        loop {
            let fault = match self.follow(call) {
                Ok(answer) if answer.is_fault() => Fault::of(answer),
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let wait = fault.retry_after.unwrap_or(back_off);
            // Whoever would only wake up after the end need not sleep.
            let too_late = call.deadline.left().is_some_and(|left| wait >= left);
            if left == 0 || !call.action.repeats_after(&fault) || wait > limits.retry_after || too_late {
                return Err(fault.error);
            }
            std::thread::sleep(wait);
            left = left.saturating_sub(1);
            back_off = back_off.saturating_mul(2);
        }
    }

    fn follow(&self, call: &Call<'_>) -> Result<Streaming, Fault> {
        let allow_http = self.options.allow_http;
        let (mut url, mut headers) = (call.url.clone(), call.headers.clone());
        if let Some(why) = address::refusal(&url, allow_http) {
            return Err(SourceError::Address { at: shown(&url), why }.into());
        }
        for _ in 0..=self.options.limits.redirects {
            let answer = self.send(&url, &headers, call)?;
            let Some(location) = answer.location() else { return Ok(answer) };
            if let Some(why) = call.action.stays() {
                let (from, to) = (shown(&url), "elsewhere".into());
                return Err(SourceError::Redirect { from, to, why }.into());
            }
            let next = address::next(&url, &location, allow_http)?;
            if next.origin() != url.origin() && matches!(call.action, Action::GetHere) {
                let why = "what is asked for is here or nowhere";
                return Err(SourceError::Redirect { from: shown(&url), to: shown(&next), why }.into());
            }
            if next.origin() != url.origin() {
                SECRET_HEADERS.iter().for_each(|name| drop(headers.remove(name)));
            }
            url = next;
        }
        let why = "there were too many redirects before";
        Err(SourceError::Redirect { from: shown(call.url), to: shown(&url), why }.into())
    }

    fn send(&self, url: &Url, headers: &HeaderMap, call: &Call<'_>) -> Result<Streaming, Fault> {
        let (client, deadline) = (self.clients.for_url(url, &self.options)?, call.deadline);
        if deadline.is_over() {
            return Err(deadline.passed(shown(url), 0).into());
        }
        let request = match call.action {
            Action::Get | Action::GetHere => client.get(url.clone()),
            Action::Head => client.head(url.clone()),
            // Some servers want a length even where there is nothing (RFC 9110, section 8.6).
            Action::Begin => client.post(url.clone()).header(header::CONTENT_LENGTH, 0),
            Action::Finish(bytes) | Action::Put(bytes) | Action::Now(bytes) => {
                client.put(url.clone()).body(bytes.to_vec())
            }
            Action::Post(kind, body) => {
                client.post(url.clone()).header(header::CONTENT_TYPE, kind).body(body.to_vec())
            }
        };
        let request = request.headers(headers.clone());
        // For the client, this is the time of all of it, and no longer that from one piece to the next. So
        // it is set only where it is the shorter one; until then, the body is weighed piece by piece.
        let request = match deadline.left().filter(|left| *left < self.options.limits.read) {
            Some(left) => request.timeout(left),
            None => request,
        };
        let mut response = request.send().map_err(|error| Fault::sending(error, url, deadline))?;
        let headers = std::mem::take(response.headers_mut());
        let status = response.status().as_u16();
        let body = Paced::new(response, shown(url), &self.options.limits, deadline);
        Ok(Streaming { url: url.clone(), status, headers, body })
    }
}

impl Streaming {
    pub(crate) fn header(&self, name: &HeaderName) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }

    /// The whole body, at most `limit` bytes.
    pub(crate) fn read(self, limit: u64) -> Result<Vec<u8>, SourceError> {
        let announced = self.expect_announced(limit)?;
        read_bounded(self.body, limit, announced, &shown(&self.url))
    }

    /// The length that the answer announces, if it does, which is within the limit.
    fn expect_announced(&self, limit: u64) -> Result<Option<u64>, SourceError> {
        let announced = self.header(&header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        match announced {
            Some(got) if got > limit => {
                Err(SourceError::TooLarge { at: shown(&self.url), limit, got: Some(got) })
            }
            announced => Ok(announced),
        }
    }

    /// What the error says, as far as it can be shown: see [`error_text`].
    pub(crate) fn error_message(self) -> String {
        error_text(&self.error_body())
    }

    fn error_body(self) -> Vec<u8> {
        let mut body = Vec::new();
        // The status is the message; its text is worth no second error.
        let _ = self.body.take(ERROR_MAX).read_to_end(&mut body);
        body
    }

    fn location(&self) -> Option<String> {
        matches!(self.status, 301 | 302 | 303 | 307 | 308).then(|| self.header(&header::LOCATION))?
    }

    /// Whether this is no answer to what was asked: 407 is a proxy's word (RFC 9110, section 15.5.8),
    /// 408, 429 and 5xx say that there is none now.
    fn is_fault(&self) -> bool {
        matches!(self.status, 407 | 408 | 429 | 500..=599)
    }
}

/// An error, and whether the same request may do better a little later.
struct Fault {
    error: SourceError,
    passes: bool,
    /// Whether nothing was done there: status 429.
    turned_away: bool,
    retry_after: Option<Duration>,
}

impl Fault {
    fn of(answer: Streaming) -> Self {
        // docker-registry says 500 to who reads a tag in the moment in which another one writes it.
        let passes = matches!(answer.status, 429 | 500 | 502 | 503 | 504);
        // Only the form in seconds: the other one would need a clock.
        let retry_after = answer.header(&header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
        let (at, status) = (shown(&answer.url), answer.status);
        let message = answer.error_message();
        let colon = if message.is_empty() { "" } else { ": " };
        let why = format!("HTTP status {status}{colon}{message}");
        let error = SourceError::Unreachable { at, why };
        Self { error, passes, turned_away: status == 429, retry_after: retry_after.map(Duration::from_secs) }
    }

    fn sending(error: reqwest::Error, url: &Url, deadline: Deadline) -> Self {
        if error.is_timeout() && deadline.is_over() {
            return deadline.passed(shown(url), 0).into();
        }
        let passes = !error.is_connect() && !error.is_timeout() && !error.is_builder();
        let why = if error.is_timeout() { "no answer in time".into() } else { chain(&error.without_url()) };
        let error = SourceError::Unreachable { at: shown(url), why };
        Self { error, passes, turned_away: false, retry_after: None }
    }
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        Self { error, passes: false, turned_away: false, retry_after: None }
    }
}

fn header_map(url: &Url, headers: &[(&str, &str)]) -> Result<HeaderMap, SourceError> {
    let pairs = headers.iter().map(|(name, value)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
    });
    pairs.collect::<Option<HeaderMap>>().ok_or_else(|| SourceError::Malformed {
        at: shown(url),
        why: "a header for the request can't be written".into(),
    })
}

/// Whether this can be kept as an entity tag: RFC 9110, section 8.8.3, without the bytes beyond ASCII
/// that no server sends.
fn is_tag(text: &str) -> bool {
    (1..=ETAG_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An error with its causes, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let words = printable(&cause.to_string());
        if !text.contains(&words) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

/// The messages of an OCI error document (distribution specification, "Error codes"), bounded and fit
/// for a terminal. Anything else, such as a page for people, is left out.
fn error_text(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Document {
        errors: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(document) = serde_json::from_slice::<Document>(body) else { return String::new() };
    let entries = document.errors.iter().map(|entry| match (entry.code.as_str(), entry.message.as_str()) {
        (code, "") => code.to_owned(),
        ("", message) => message.to_owned(),
        (code, message) => format!("{code}: {message}"),
    });
    printable(&entries.collect::<Vec<_>>().join("; "))
}

/// At most 300 characters, none of which moves a cursor or hides the others.
pub(crate) fn printable(text: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().filter(|c| !hides(*c)).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_documents_are_shown_and_bounded() {
        for (body, text) in [
            (
                &br#"{"errors":[{"code":"DENIED","message":"not yours","detail":{}}]}"#[..],
                "DENIED: not yours",
            ),
            (br#"{"errors":[{"code":"A"},{"message":"b"}]}"#, "A; b"),
            (br#"{"errors":[{"message":"\u001b[31mred\u202e"}]}"#, "[31mred"),
            (b"<html>", ""),
            (b"", ""),
        ] {
            assert_eq!(error_text(body), text);
        }
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(1000));
        assert_eq!(error_text(long.as_bytes()).len(), 300);
    }
}

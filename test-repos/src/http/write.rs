//! Writes one answer, as honestly as its [`Body`] wants.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use super::Stop;
use super::message::{Body, Request, Response};

/// What [`Body::Endless`] repeats: white space, so that no JSON reader has a syntax error to stop at.
const FILLER: [u8; 4096] = [b' '; 4096];

/// How the peer will know where the body ends.
enum Framing {
    Length(u64),
    Chunked,
    /// 204 and 304 have no body, and say nothing of one (RFC 9110, 8.6).
    None,
}

/// Answers `request` and says whether the connection can take another request.
pub(super) fn response(
    stream: &mut impl Write,
    request: &Request,
    response: Response,
    stop: &Stop,
) -> io::Result<bool> {
    let close = request.headers.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let keep = !close && (request.is_head() || matches!(response.body, Body::Bytes(_)));
    stream.write_all(head(&response, keep).as_bytes())?;
    if !request.is_head() {
        send(stream, response.body, stop)?;
    }
    stream.flush()?;
    Ok(keep)
}

fn head(response: &Response, keep: bool) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, phrase(response.status));
    for (name, value) in response.headers.iter() {
        // A `String` takes whatever is written to it.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    match framing(response) {
        Framing::Length(length) => {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::None => {}
    }
    head.push_str(if keep { "\r\n" } else { "Connection: close\r\n\r\n" });
    head
}

fn framing(response: &Response) -> Framing {
    match &response.body {
        Body::Bytes(bytes) if bytes.is_empty() && matches!(response.status, 204 | 304) => Framing::None,
        Body::Bytes(bytes) | Body::Drip { bytes, .. } | Body::Reset(bytes) => Framing::Length(length(bytes)),
        Body::Declared { length, .. } => Framing::Length(*length),
        Body::Endless(_) | Body::Stall => Framing::Chunked,
    }
}

fn send(stream: &mut impl Write, body: Body, stop: &Stop) -> io::Result<()> {
    match body {
        Body::Bytes(bytes) => stream.write_all(&bytes),
        Body::Declared { length, bytes } => {
            let sent = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
            stream.write_all(bytes.get(..sent).unwrap_or_default())
        }
        Body::Reset(bytes) => stream.write_all(bytes.get(..bytes.len() >> 1).unwrap_or_default()),
        Body::Drip { bytes, every } => drip(stream, &bytes, every, stop),
        Body::Endless(start) => endless(stream, &start, stop),
        Body::Stall => {
            stream.flush()?;
            stop.wait();
            Ok(())
        }
    }
}

fn drip(stream: &mut impl Write, bytes: &[u8], every: Duration, stop: &Stop) -> io::Result<()> {
    for byte in bytes {
        if stop.within(every) {
            break;
        }
        stream.write_all(&[*byte])?;
        stream.flush()?;
    }
    Ok(())
}

fn endless(stream: &mut impl Write, start: &[u8], stop: &Stop) -> io::Result<()> {
    if !start.is_empty() {
        chunk(stream, start)?;
    }
    while !stop.is_now() {
        chunk(stream, &FILLER)?;
    }
    Ok(())
}

fn chunk(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write!(stream, "{:x}\r\n", bytes.len())?;
    stream.write_all(bytes)?;
    stream.write_all(b"\r\n")
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Readers ignore the phrase; people who read a trace don't.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

//! Reads one request. Nothing is answered here but `100 Continue`.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use super::message::{Headers, Request};

/// Request line and header fields together. Go's default for its servers is 1 MiB; nothing we test
/// sends a tenth of that.
const MAX_HEAD: u64 = 64 << 10;
/// One upload. The largest layer that a test pushes has 200 MB.
const MAX_BODY: u64 = 512 << 20;

/// The next request, or `None` when the peer has said all it wanted.
pub(super) fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let Some(mut request) = head(stream)? else { return Ok(None) };
    if request.headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.body = body(stream, &request.headers)?;
    Ok(Some(request))
}

fn head(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut left = MAX_HEAD;
    let Some(first) = line(stream, &mut left)? else { return Ok(None) };
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = first.split(' ').collect::<Vec<_>>()[..] else {
        return Err(malformed("request line"));
    };
    let headers = fields(stream, &mut left)?;
    Ok(Some(Request { method: method.into(), target: target.into(), headers, body: Vec::new() }))
}

fn fields(stream: &mut impl BufRead, left: &mut u64) -> io::Result<Headers> {
    let mut headers = Headers::default();
    loop {
        let line = line(stream, left)?.ok_or_else(|| malformed("end of the header fields"))?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header field"))?;
        headers.add(name, value.trim());
    }
}

/// One line without its end, or `None` at the end of the stream.
fn line(stream: &mut impl BufRead, left: &mut u64) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let length = stream.by_ref().take(*left).read_until(b'\n', &mut line)?;
    *left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
    let Some(text) = line.strip_suffix(b"\n") else {
        return if line.is_empty() && *left > 0 { Ok(None) } else { Err(malformed("end of a line")) };
    };
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    String::from_utf8(text.to_vec()).map(Some).map_err(|_| malformed("line"))
}

fn body(stream: &mut impl BufRead, headers: &Headers) -> io::Result<Vec<u8>> {
    if headers.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return chunks(stream);
    }
    let Some(length) = headers.get("content-length") else { return Ok(Vec::new()) };
    let mut body = Vec::new();
    exactly(stream, length.parse().map_err(|_| malformed("content length"))?, &mut body)?;
    Ok(body)
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream, &mut MAX_HEAD.clone())?.ok_or_else(|| malformed("chunk"))?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| malformed("chunk size"))?;
        if size == 0 {
            fields(stream, &mut MAX_HEAD.clone())?; // trailers, of no interest here
            return Ok(body);
        }
        exactly(stream, size, &mut body)?;
        line(stream, &mut MAX_HEAD.clone())?;
    }
}

/// Appends `length` bytes to `body`.
fn exactly(stream: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let whole = u64::try_from(body.len()).unwrap_or(u64::MAX).saturating_add(length);
    if whole > MAX_BODY {
        return Err(malformed("body: too long"));
    }
    stream.by_ref().take(length).read_to_end(body)?;
    match u64::try_from(body.len()) {
        Ok(read) if read == whole => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed {what}"))
}

//! In front of a registry: it breaks connections at a write, holds to conditions that the registry doesn't
//! know, and lets others write at the wrong moment.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Makes other bytes of what was written.
type Made = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

#[derive(Default)]
struct State {
    behind: String,
    /// How many writes are left until one breaks, and whether it arrives.
    breaks: Option<(u32, bool)>,
    /// How many writes are left until one is held back.
    holds: Option<u32>,
    held: bool,
    conditions: bool,
    /// After the next write to this path, what is made of it is there.
    others: Option<(String, Made)>,
    /// Answers each path that holds this with a refusal, the first time that it is written to.
    refusal: Option<(String, u16, String)>,
    refused: BTreeSet<String>,
    log: Vec<String>,
}

/// Lives as long as the test does.
pub struct Proxy {
    host: String,
    state: Arc<Mutex<State>>,
    /// One write at a time, so that a condition holds until it is done.
    _turn: Arc<Mutex<()>>,
}

impl Proxy {
    pub fn start(behind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State { behind: behind.to_owned(), ..State::default() }));
        let turn = Arc::new(Mutex::new(()));
        let (theirs, turns) = (Arc::clone(&state), Arc::clone(&turn));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, turn) = (Arc::clone(&theirs), Arc::clone(&turns));
                thread::spawn(move || serve(stream, &state, &turn));
            }
        });
        Self { host, state, _turn: turn }
    }

    pub fn host(&self) -> String {
        self.host.clone()
    }

    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn hold_to_conditions(&self) {
        self.state.lock().unwrap().conditions = true;
    }

    /// Cuts the connection at the n-th write from now: before it is passed on, or before its answer is.
    pub fn break_at(&self, at: u32, after: bool) {
        self.state.lock().unwrap().breaks = Some((at, after));
    }

    /// Holds back the n-th write from now, which never arrives.
    pub fn hold_at(&self, at: u32) {
        self.state.lock().unwrap().holds = Some(at);
    }

    pub fn is_holding(&self) -> bool {
        self.state.lock().unwrap().held
    }

    /// Drops what is held back. `true` where nothing was.
    pub fn let_go(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.holds = None;
        !std::mem::take(&mut state.held)
    }

    /// Breaks nothing any more. `true` where it hadn't come to that.
    pub fn mend(&self) -> bool {
        self.state.lock().unwrap().breaks.take().is_some_and(|(left, _)| left > 0)
    }

    /// Refuses the first write to each path that holds `part`.
    pub fn refuse_once(&self, part: &str, status: u16, body: &str) {
        self.state.lock().unwrap().refusal = Some((part.to_owned(), status, body.to_owned()));
    }

    /// Refuses nothing any more. `true` where something was.
    pub fn mend_refusals(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.refusal = None;
        !state.refused.is_empty()
    }

    pub fn overwrite_after(&self, path: &str, made: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) {
        self.state.lock().unwrap().others = Some((path.to_owned(), Box::new(made)));
    }
}

fn serve(mut client: TcpStream, state: &Mutex<State>, turn: &Mutex<()>) {
    let Some((head, body)) = request(&mut client) else { return };
    let first = head.lines().next().unwrap().to_owned();
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let is_write = first.starts_with("PUT") || first.starts_with("POST");
    let header = |wanted: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
    };
    let _turn = is_write.then(|| turn.lock().unwrap());
    let (behind, broken, conditions) = {
        let mut state = state.lock().unwrap();
        let condition = match (header("if-match"), header("if-none-match")) {
            (None, None) => "",
            _ => " if",
        };
        state.log.push(format!("{}{condition}", first.trim_end_matches(" HTTP/1.1")));
        let broken = state.breaks.as_mut().filter(|_| is_write).and_then(|(left, after)| {
            *left = left.saturating_sub(1);
            (*left == 0).then_some(*after)
        });
        (state.behind.clone(), broken, state.conditions)
    };
    if broken == Some(false) || (is_write && was_held(state)) {
        return;
    }
    if let Some(answer) = refusal(&mut state.lock().unwrap(), &first, &path) {
        let _ = client.write_all(answer.as_bytes());
        return;
    }
    if conditions && first.starts_with("PUT") {
        let there = digest(&behind, &path);
        let holds = header("if-match")
            .is_none_or(|wanted| there.as_ref().is_some_and(|there| wanted.contains(there)))
            && (header("if-none-match").is_none() || there.is_none());
        if !holds {
            let _ = client.write_all(
                b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
            return;
        }
    }
    let answer = pass_on(&behind, &head, &body);
    let others = {
        let mut state = state.lock().unwrap();
        state.others.take_if(|(end, _)| first.starts_with("PUT") && path.ends_with(&*end))
    };
    if let Some((_, made)) = others {
        let bytes = made(&body);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let length = bytes.len();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {behind}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        assert!(pass_on(&behind, &head, &bytes).starts_with(b"HTTP/1.1 201"));
    }
    if broken.is_none() {
        let _ = client.write_all(&answer);
    }
}

/// Waits for as long as this write is held back, if it is the one.
fn was_held(state: &Mutex<State>) -> bool {
    {
        let mut state = state.lock().unwrap();
        let Some(left) = state.holds.as_mut() else { return false };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        state.held = true;
    }
    while state.lock().unwrap().held {
        thread::sleep(Duration::from_millis(10));
    }
    true
}

fn refusal(state: &mut State, first: &str, path: &str) -> Option<String> {
    let (part, status, body) = state.refusal.clone()?;
    let hit = first.starts_with("PUT") && path.contains(&part) && state.refused.insert(path.to_owned());
    let length = body.len();
    hit.then(|| {
        format!("HTTP/1.1 {status} No\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    })
}

fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// One request on one connection, with its answer.
fn pass_on(behind: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(behind).unwrap();
    let head: String = head
        .lines()
        .filter(|line| !line.to_lowercase().starts_with("connection:") && !line.is_empty())
        .map(|line| format!("{line}\r\n"))
        .collect();
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn digest(behind: &str, path: &str) -> Option<String> {
    let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
    let head = format!("HEAD {path} HTTP/1.1\r\nHost: {behind}\r\nAccept: {accept}\r\n");
    let answer = String::from_utf8_lossy(&pass_on(behind, &head, b"")).into_owned();
    let found = answer.starts_with("HTTP/1.1 200").then_some(answer)?;
    let line = found.lines().find(|line| line.to_lowercase().starts_with("docker-content-digest: "))?;
    Some(line.split_once(": ")?.1.to_owned())
}

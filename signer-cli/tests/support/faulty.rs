//! A proxy before an object store that fails at the write it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How a write goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The store vanishes before it has the write, and stays away.
    Before,
    /// It has the write and vanishes before it answers, and stays away.
    After,
    /// It forbids this write and all later ones.
    Forbidden,
    /// It is overloaded from then on.
    Unavailable,
}

#[derive(Debug, Default)]
struct Plan {
    /// At which write, from 1.
    fault: Option<(usize, Fault)>,
    /// The writes so far. What is only tried counts once.
    seen: Vec<String>,
}

/// Listens until the test program ends.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    /// One that lets everything through to a port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), plan: Arc::default() };
        let plan = Arc::clone(&proxy.plan);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let plan = Arc::clone(&plan);
                // What fails here is a connection that somebody closed.
                thread::spawn(move || serve(client, port, &plan));
            }
        });
        proxy
    }

    /// Counts from now on.
    pub fn count(&self) {
        *self.plan.lock().unwrap() = Plan::default();
    }

    /// The paths that were written since.
    pub fn seen(&self) -> Vec<String> {
        self.plan.lock().unwrap().seen.clone()
    }

    /// Fails at the write of this number, from 1.
    pub fn fail(&self, at: usize, fault: Fault) {
        *self.plan.lock().unwrap() = Plan { fault: Some((at, fault)), seen: Vec::new() };
    }

    /// Fails no more.
    pub fn mend(&self) {
        self.count();
    }
}

fn serve(client: TcpStream, port: u16, plan: &Mutex<Plan>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0_u64);
    let mut path = String::new();
    let mut write = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if head.is_empty() {
            let mut words = line.split(' ');
            write = words.next() == Some("PUT");
            path = words.next()?.to_owned();
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            head.push_str("connection: close\r\n\r\n");
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    match fault_of(plan, write, path) {
        None => answer(client, port, &head, &body),
        Some((_, Fault::Before)) => client.shutdown(Shutdown::Both).ok(),
        Some((first, Fault::After)) => {
            if first {
                let mut store = ask(port, &head, &body)?;
                // It has it when it has answered.
                store.read_to_end(&mut Vec::new()).ok()?;
            }
            client.shutdown(Shutdown::Both).ok()
        }
        Some((_, Fault::Forbidden)) if !write => answer(client, port, &head, &body),
        Some((_, Fault::Forbidden)) => refuse(client, "403 Forbidden", "AccessDenied"),
        Some((_, Fault::Unavailable)) => refuse(client, "503 Slow Down", "SlowDown"),
    }
}

/// What goes wrong now, and whether it is the first time.
fn fault_of(plan: &Mutex<Plan>, write: bool, path: String) -> Option<(bool, Fault)> {
    let mut plan = plan.lock().unwrap();
    let (at, fault) = plan.fault.unwrap_or((usize::MAX, Fault::Before));
    let broken = plan.seen.len() >= at;
    let tried =
        path.contains(".hallmark-probe") && plan.seen.iter().any(|path| path.contains(".hallmark-probe"));
    if write && !tried {
        plan.seen.push(path);
    }
    (plan.seen.len() >= at).then_some((!broken, fault))
}

fn ask(port: u16, head: &str, body: &[u8]) -> Option<TcpStream> {
    let mut store = TcpStream::connect(("127.0.0.1", port)).ok()?;
    store.write_all(head.as_bytes()).ok()?;
    store.write_all(body).ok()?;
    Some(store)
}

fn answer(mut client: TcpStream, port: u16, head: &str, body: &[u8]) -> Option<()> {
    let mut store = ask(port, head, body)?;
    let mut answer = Vec::new();
    store.read_to_end(&mut answer).ok()?;
    client.write_all(&answer).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

fn refuse(mut client: TcpStream, status: &str, code: &str) -> Option<()> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No</Message></Error>");
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n");
    client.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).ok()
}

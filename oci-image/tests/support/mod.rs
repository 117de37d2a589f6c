//! A server on a free port of this machine that answers each connection once, as a test wants it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci_image::{HttpLimits, Registry, RegistryOptions};

/// A running server: its requests so far, and its address.
pub struct Server {
    pub requests: Arc<Mutex<Vec<String>>>,
    pub host: String,
}

impl Server {
    /// Answers with whatever `answer` writes for a request's head.
    pub fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let request = head(&mut stream);
                    log.lock().unwrap().push(request.clone());
                    answer(&request, &mut stream);
                });
            }
        });
        Self { requests, host }
    }

    /// Always the same answer: status line and headers, and a body.
    pub fn fixed(headers: &str, body: &[u8]) -> Self {
        let (headers, body) = (headers.to_owned(), body.to_owned());
        Self::start(move |_, stream| reply(stream, &headers, &body))
    }

    /// The repository `web` here.
    pub fn registry(&self) -> Registry {
        self.registry_with(RegistryOptions { limits: quick(), ..RegistryOptions::default() })
    }

    pub fn registry_with(&self, options: RegistryOptions) -> Registry {
        Registry::new(&format!("{}/acme/web", self.host).parse().unwrap(), options).unwrap()
    }

    pub fn url(&self, path: &str) -> url::Url {
        format!("http://{}{path}", self.host).parse().unwrap()
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// Writes an answer with the right length. `headers` is `STATUS[\r\nNAME: VALUE]…`.
pub fn reply(stream: &mut TcpStream, headers: &str, body: &[u8]) {
    let length = body.len();
    let head = format!("HTTP/1.1 {headers}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

/// Limits under which a test of patience takes a second.
pub fn quick() -> HttpLimits {
    HttpLimits {
        connect: Duration::from_secs(1),
        read: Duration::from_millis(400),
        window: Duration::from_millis(300),
        rate: 1000,
        back_off: Duration::from_millis(10),
        retry_after: Duration::from_secs(1),
        ..HttpLimits::default()
    }
}

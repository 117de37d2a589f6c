//! A small HTTP/1.1 server on the loopback, for tests that need misbehaviour no honest server offers.
//!
//! A handler turns a [`Request`] into a [`Response`]; what the bytes do on the way is the [`Body`]'s
//! choice. Threads end with the [`Server`]: nothing outlives the test that started it.
//!
//! Not here: TLS, ranges, trailers, anything that a client under test can be given by a real server.

use std::io::{self, BufReader};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

mod folder;
mod message;
mod read;
mod write;

pub use folder::folder;
pub(crate) use message::percent_decoded;
pub use message::{Body, Headers, LoggedRequest, Request, Response};

/// How long the farewell connection of [`Server::drop`] may take: it goes to our own listener.
const FAREWELL: Duration = Duration::from_secs(1);
/// The pause after a refused `accept` (out of file handles), so as not to spin.
const BREATH: Duration = Duration::from_millis(10);

type Handler = Box<dyn Fn(&Request) -> Response + Send + Sync>;

/// A running server. It stops, with all its threads, when dropped.
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and answers every request with `handler`.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(Box::new(handler)));
        let theirs = Arc::clone(&shared);
        let acceptor =
            thread::Builder::new().name("test-http".into()).spawn(move || accept(&listener, &theirs))?;
        Ok(Self { addr, shared, acceptor: Some(acceptor) })
    }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every request so far, oldest first, logged before it is answered.
    #[must_use]
    pub fn log(&self) -> Vec<LoggedRequest> {
        locked(&self.shared.log).clone()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        locked(&self.shared.log).clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.now();
        // Wakes the acceptor. Where this fails the listener is gone, and so is the acceptor.
        drop(TcpStream::connect_timeout(&self.addr, FAREWELL));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
        for connection in locked(&self.shared.connections).drain(..) {
            connection.end();
        }
    }
}

struct Shared {
    handler: Handler,
    log: Mutex<Vec<LoggedRequest>>,
    connections: Mutex<Vec<Connection>>,
    stop: Stop,
}

impl Shared {
    fn new(handler: Handler) -> Self {
        Self { handler, log: Mutex::default(), connections: Mutex::default(), stop: Stop::default() }
    }
}

/// One open connection: its thread, and a second handle on the stream to end the thread's waiting.
struct Connection {
    stream: TcpStream,
    thread: JoinHandle<()>,
}

impl Connection {
    /// A thread blocked in a read or write wakes with an error once its stream is shut down.
    fn end(self) {
        drop(self.stream.shutdown(Shutdown::Both));
        drop(self.thread.join());
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.is_now() {
            return;
        }
        let opened = stream.and_then(|stream| open(stream, shared));
        let mut connections = locked(&shared.connections);
        connections.retain(|connection| !connection.thread.is_finished());
        match opened {
            Ok(connection) => connections.push(connection),
            Err(_) => thread::sleep(BREATH),
        }
    }
}

fn open(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let theirs = Arc::clone(shared);
    let second = stream.try_clone()?;
    let thread = thread::Builder::new().name("test-http-connection".into()).spawn(move || {
        let mut conversation = Conversation(BufReader::new(stream));
        // An error here is the peer's or the fault's: both ends see a closed connection.
        drop(conversation.run(&theirs));
    })?;
    Ok(Connection { stream: second, thread })
}

/// The requests and answers on one connection. Dropping it closes the connection, also when a handler
/// panics: the second handle would keep it open otherwise.
struct Conversation(BufReader<TcpStream>);

impl Conversation {
    fn run(&mut self, shared: &Shared) -> io::Result<()> {
        while let Some(request) = read::request(&mut self.0)? {
            locked(&shared.log).push(LoggedRequest::of(&request));
            let response = (shared.handler)(&request);
            if !write::response(self.0.get_mut(), &request, response, &shared.stop)? {
                break;
            }
        }
        Ok(())
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        drop(self.0.get_ref().shutdown(Shutdown::Both));
    }
}

/// The server's end, which a sleeping connection can wait for.
#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn now(&self) {
        *locked(&self.stopped) = true;
        self.changed.notify_all();
    }

    fn is_now(&self) -> bool {
        *locked(&self.stopped)
    }

    /// Sleeps, and says whether the server ended meanwhile.
    fn within(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(locked(&self.stopped), time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sleeps until the server ends.
    fn wait(&self) {
        let waited = self.changed.wait_while(locked(&self.stopped), |stopped| !*stopped);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// What a panicking test thread left behind is still good: nothing here is half written under a lock.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

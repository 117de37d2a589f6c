//! What a service says of itself: `/healthz` and `/metrics` (Prometheus text format 0.0.4). Nothing here
//! decides or signs, and nothing that a caller sends is looked at but the path.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tiny_http::{Header, Method, Request, Response, Server};
use tuf_core::Instant;

use crate::failure::Failure;
use crate::refresh::Expiry;

/// How long the service may take to notice that it should end.
const PATIENCE: Duration = Duration::from_millis(200);

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// What holds, and until when. The root is among them.
    pub(crate) expiries: Vec<Expiry>,
    pub(crate) last_success: Option<Instant>,
    /// Whether the last look at the repository went well.
    pub(crate) well: bool,
    pub(crate) checks: u64,
    pub(crate) refreshes: u64,
    pub(crate) failures: u64,
    /// Roles that are due, and whose keys aren't here.
    pub(crate) left: usize,
    pub(crate) ending: bool,
}

/// A record that the service writes and callers read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Record>>);

impl Shared {
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        // A record of numbers is good whoever panicked over it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Counts a look at the repository.
    pub(crate) fn begin(&mut self) {
        self.checks = self.checks.saturating_add(1);
    }

    /// What is wrong at this moment; nothing where clients are served well.
    pub(crate) fn trouble(&self, now: Instant) -> Option<String> {
        if self.last_success.is_none() {
            return Some("the repository could not be read yet".to_owned());
        }
        if let Some((role, _)) = self.expiries.iter().find(|(_, expires)| *expires <= now) {
            return Some(format!("{role} has expired"));
        }
        (!self.well).then(|| "the last look at the repository failed".to_owned())
    }

    pub(crate) fn metrics(&self, now: Instant) -> String {
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, i64)]| {
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (labels, value) in samples {
                let _ = writeln!(out, "{name}{labels} {value}");
            }
        };
        let one = |value: u64| [(String::new(), i64::try_from(value).unwrap_or(i64::MAX))];
        let left: Vec<(String, i64)> = self
            .expiries
            .iter()
            .map(|(role, expires)| {
                let left = expires.signed_duration_since(now).num_seconds();
                (format!("{{role=\"{}\"}}", label(role.name())), left)
            })
            .collect();
        family("hallmark_role_expiry_seconds", "gauge", "Seconds until a role expires.", &left);
        let last = self.last_success.map_or(0, |last| u64::try_from(last.timestamp()).unwrap_or(0));
        family(
            "hallmark_last_success_timestamp_seconds",
            "gauge",
            "When the repository was last read, and renewed where it was due.",
            &one(last),
        );
        family(
            "hallmark_up",
            "gauge",
            "1 while /healthz says 200.",
            &one(self.trouble(now).is_none().into()),
        );
        let left = u64::try_from(self.left).unwrap_or(u64::MAX);
        family("hallmark_roles_left", "gauge", "Roles that are due, whose keys aren't here.", &one(left));
        family("hallmark_checks_total", "counter", "Looks at the repository.", &one(self.checks));
        family("hallmark_refreshes_total", "counter", "Renewals that were published.", &one(self.refreshes));
        family("hallmark_failures_total", "counter", "Looks that failed.", &one(self.failures));
        out
    }
}

/// A value of a label: the name of a role may be anything.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Answers until the record says that the service ends. Returns where it listens.
pub(crate) fn listen(
    address: SocketAddr,
    shared: Shared,
    clock: fn() -> Instant,
) -> Result<(SocketAddr, JoinHandle<()>), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("can't listen on {address}: {error}"))
            .hint("choose another with --listen ADDRESS:PORT; port 0 takes a free one")
    };
    let server = Server::http(address).map_err(|error| failed(&error))?;
    let bound = server.server_addr().to_ip().unwrap_or(address);
    let answering = thread::Builder::new().name("monitor".to_owned()).spawn(move || {
        while !shared.record().ending {
            if let Ok(Some(request)) = server.recv_timeout(PATIENCE) {
                answer(request, &shared, clock());
            }
        }
    });
    answering.map(|thread| (bound, thread)).map_err(|error| failed(&error))
}

fn answer(request: Request, shared: &Shared, now: Instant) {
    let path = request.url().split('?').next().unwrap_or_default().to_owned();
    let known = matches!(request.method(), Method::Get | Method::Head);
    let (status, body) = match (known, path.as_str()) {
        (false, _) => (405, "expected GET\n".to_owned()),
        (true, "/healthz") => match shared.record().trouble(now) {
            None => (200, "ok\n".to_owned()),
            Some(trouble) => (503, format!("{trouble}\n")),
        },
        (true, "/metrics") => (200, shared.record().metrics(now)),
        (true, _) => (404, "expected /healthz or /metrics\n".to_owned()),
    };
    let mut response = Response::from_string(body).with_status_code(status);
    if let Ok(kind) = Header::from_bytes("Content-Type", "text/plain; version=0.0.4; charset=utf-8") {
        response = response.with_header(kind);
    }
    // Whoever asked may be gone.
    let _ = request.respond(response);
}

#[cfg(test)]
mod tests {
    use tuf_core::Role;

    use super::*;

    #[test]
    fn health_is_a_repository_that_was_read_and_holds() {
        let now: Instant = "2030-01-01T00:00:00Z".parse().unwrap();
        let later = "2030-01-02T00:00:00Z".parse().unwrap();
        let mut record = Record::default();
        assert_eq!(record.trouble(now).unwrap(), "the repository could not be read yet");
        record.last_success = Some(now);
        record.well = true;
        record.expiries = vec![(Role::Timestamp, later)];
        assert_eq!(record.trouble(now), None);
        assert_eq!(record.trouble(later).unwrap(), "timestamp has expired");
        record.well = false;
        assert!(record.trouble(now).unwrap().contains("failed"));
    }

    #[test]
    fn a_role_of_any_name_is_one_label() {
        let now: Instant = "2030-01-01T00:00:00Z".parse().unwrap();
        let role = Role::Delegated("a\"b\\c\nd".to_owned());
        let record = Record { expiries: vec![(role, now)], ..Record::default() };
        let metrics = record.metrics(now);
        assert!(metrics.contains("hallmark_role_expiry_seconds{role=\"a\\\"b\\\\c\\nd\"} 0\n"), "{metrics}");
    }
}

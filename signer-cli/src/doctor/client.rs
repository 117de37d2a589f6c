//! What a client says now that starts from the first root and has seen nothing: our own, over what is served.

use std::sync::Arc;

use oci_image::{CredentialPlaces, Credentials, HttpOptions, SourceError};
use publish_store::{Store, StoreError};
use tuf_client::{Client, Fetch, Fetched, MemoryStore, Refreshed, RepoLocation, Transport, TransportOptions};
use tuf_core::limits;

use super::{Findings, Subject, targets};
use crate::failure::Failure;
use crate::files;
use crate::published::Published;
use crate::reports::day;
use crate::reports::doctor::Area;

pub(super) fn look(subject: &Subject<'_>, published: Option<&Published<'_>>, findings: &mut Findings) {
    let said = match &subject.args.url {
        Some(url) => over(url, subject, published, findings),
        None => within(subject, findings),
    };
    findings.close(Area::Client, said.unwrap_or_default());
}

/// Without a web server between: what it would hand out.
fn within(subject: &Subject<'_>, findings: &mut Findings) -> Option<String> {
    let place = subject.store.describe();
    let transport = Arc::new(Lent(Arc::clone(&subject.store)));
    let state = refresh(client(subject, transport, &place, findings)?, &place, findings)?;
    Some(accepted(&state))
}

/// As clients get it, from an address.
fn over(
    url: &RepoLocation,
    subject: &Subject<'_>,
    published: Option<&Published<'_>>,
    findings: &mut Findings,
) -> Option<String> {
    let place = url.to_string();
    let options = match options(subject) {
        Ok(options) => options,
        Err(failure) => {
            findings.problem(Area::Client, failure.line(), place, "see --authfile and --ca-file");
            return None;
        }
    };
    let mut client = client(subject, url.transport(&options), &place, findings)?;
    let files = url.targets(&options);
    let has_files = files.is_some();
    if let Some(files) = files {
        client = client.with_targets(files);
    }
    let state = refresh(client, &place, findings)?;
    let served = state.snapshot().timestamp().version();
    if let Some(newest) =
        published.map(|published| published.timestamp.version).filter(|newest| served < *newest)
    {
        findings.problem(
            Area::Client,
            format!("clients are served an older state: timestamp {served}, and {newest} is published"),
            &place,
            "caches must ask for timestamp.json each time (Cache-Control: no-cache); or another folder is \
             served there than the one that is published to",
        );
    }
    if has_files
        && let Some((path, target)) = published.and_then(|published| targets::sample(subject, published))
        && let Err(why) = state.fetch_target(&path, &target)
    {
        findings.problem(
            Area::Client,
            format!("a target's file is published, and clients don't get it: {why}"),
            &place,
            "serve the folder `targets` beside `metadata`, with `@` and `:` in names as they are",
        );
    }
    Some(accepted(&state))
}

/// A client that has seen nothing.
fn client(
    subject: &Subject<'_>,
    transport: Arc<dyn Transport>,
    place: &str,
    findings: &mut Findings,
) -> Option<Client> {
    let path = subject.repository.root();
    match files::read(&path, limits::ROOT_BYTES) {
        Ok(root) => Some(Client::new(root, transport, Box::<MemoryStore>::default(), subject.around.now)),
        Err(failure) => {
            let hint = "root.json is the root that this repository began with: restore it";
            findings.problem(Area::Client, format!("no client can begin: {}", failure.line()), place, hint);
            None
        }
    }
}

fn refresh(client: Client, place: &str, findings: &mut Findings) -> Option<Refreshed> {
    let error = match client.refresh() {
        Ok(state) => return Some(state),
        Err(error) => error,
    };
    let (what, hint) = match (error.unreachable(), error.refusal()) {
        (_, Some(refusal)) if refusal.to_string().contains("expired") => {
            ("a client refuses this now", "sign it anew: see what is said of expiry above, and of the clock")
        }
        (true, _) => (
            "a client gets no answer",
            "see that it is served, and that the address is the one above `metadata`",
        ),
        (false, _) => (
            "a client refuses this now",
            "restore what is served from a copy, or publish from where it is whole; nothing here was changed",
        ),
    };
    findings.problem(Area::Client, format!("{what}: {error}"), place, hint);
    None
}

fn accepted(state: &Refreshed) -> String {
    let timestamp = state.snapshot().timestamp();
    format!(
        "it accepts root {}, timestamp {}, snapshot {} and targets {}, until {}",
        timestamp.root().version(),
        timestamp.version(),
        state.snapshot().version(),
        state.targets().version(),
        day(timestamp.expires())
    )
}

fn options(subject: &Subject<'_>) -> Result<TransportOptions, Failure> {
    let access = &subject.args.access;
    let places = CredentialPlaces {
        authfile: access.authfile.clone().or_else(|| subject.around.credentials.authfile.clone()),
        ..subject.around.credentials.clone()
    };
    Ok(TransportOptions {
        http: HttpOptions {
            ca_file: access.ca_file.clone(),
            allow_http: access.allow_http,
            ..HttpOptions::default()
        },
        credentials: Credentials::load(places.find()).map_err(Failure::usage)?,
    })
}

/// The place itself as what a client asks.
struct Lent(Arc<dyn Store>);

impl Transport for Lent {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        let at = format!("{} in {}", wanted.name, self.0.describe());
        match self.0.metadata(wanted.name, wanted.limit) {
            Ok(None) => Ok(Fetched::Absent),
            Ok(Some(bytes)) => Ok(Fetched::File { bytes, tag: None }),
            Err(StoreError::TooLarge { limit, got, .. }) => {
                Err(SourceError::TooLarge { at, limit, got: Some(got) })
            }
            Err(StoreError::Malformed { why, .. }) => Err(SourceError::Malformed { at, why }),
            Err(error) => Err(SourceError::Unreachable { at, why: error.to_string() }),
        }
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

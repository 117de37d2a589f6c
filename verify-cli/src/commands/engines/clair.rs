//! Clair v4: a server that fetches the layers by itself, by their digests.

use std::time::{Duration, Instant};

use oci_image::{HttpAnswer, HttpFetcher, HttpOptions, Location, Reference, SourceError};
use scan_engines::clair::{INDEX, Manifest, Progress, REPORT, parse, progress};
use scan_engines::{ANSWER_MAX, Answer};
use url::Url;

use super::{Image, broken};
use crate::args::ChainArgs;
use crate::engine_args::EngineArgs;
use crate::failure::Failure;

/// From one question how far it is to the next.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn scan(
    args: &EngineArgs,
    image: &Image,
    url: &Url,
    chain: &ChainArgs,
) -> Result<Answer, Failure> {
    if chain.carried.pack.is_some() {
        let what = "engine clair: it fetches layers by itself, and can't reach a pack";
        return Err(Failure::usage(what).hint("scan the image where it is in a registry"));
    }
    let Location::Registry(reference) = &chain.image else {
        let what = "engine clair: it fetches layers by itself, and can't reach a layout";
        return Err(Failure::usage(what).hint("scan the image where it is in a registry"));
    };
    if chain.offline {
        return Err(Failure::unknown("engine clair: --offline was given"));
    }
    let options = HttpOptions {
        ca_file: chain.access.ca_file.clone(),
        allow_http: chain.access.allow_http,
        ..HttpOptions::default()
    };
    let server = Server {
        url,
        fetcher: HttpFetcher::new(options),
        ends: Instant::now().checked_add(args.plugin_time),
    };
    let digest = image.digest();
    let layers = image.manifest.layers.iter().map(|layer| {
        let hash = layer.digest.to_string();
        let place = address(reference, &hash);
        (hash, place)
    });
    let body = serde_json::to_vec(&Manifest::new(&digest, layers)).map_err(Failure::unknown)?;
    let mut said = server.post(INDEX, &body)?;
    while progress(&said, &digest).map_err(|why| fault(&why))? == Progress::Indexing {
        std::thread::sleep(PAUSE);
        said = server.get(&format!("{INDEX}/{digest}"))?;
    }
    let report = server.get(&format!("{REPORT}/{digest}"))?;
    parse(&report, &digest).map_err(|why| fault(&why))
}

/// Where Clair finds a layer.
fn address(reference: &Reference, digest: &str) -> String {
    let host = match reference.name().registry() {
        "docker.io" => "registry-1.docker.io",
        host => host,
    };
    let here = host == "localhost" || host.starts_with("localhost:") || host.starts_with("127.");
    let scheme = if here { "http" } else { "https" };
    format!("{scheme}://{host}/v2/{}/blobs/{digest}", reference.name().repository())
}

fn fault(why: &dyn std::fmt::Display) -> Failure {
    broken("clair".as_ref(), why)
}

struct Server<'a> {
    url: &'a Url,
    fetcher: HttpFetcher,
    ends: Option<Instant>,
}

impl Server<'_> {
    fn left(&self) -> Result<Duration, Failure> {
        let left = self.ends.and_then(|ends| ends.checked_duration_since(Instant::now()));
        left.filter(|left| !left.is_zero()).ok_or_else(|| fault(&"took too long"))
    }

    fn at(&self, path: &str) -> Result<Url, Failure> {
        self.url.join(path).map_err(|why| fault(&why))
    }

    fn post(&self, path: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let sent = ("application/json", body);
        body_of(self.fetcher.post(&self.at(path)?, sent, &[], ANSWER_MAX, self.left()?))
    }

    fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        body_of(self.fetcher.get_within(&self.at(path)?, ANSWER_MAX, &[], self.left()?))
    }
}

fn body_of(answer: Result<HttpAnswer, SourceError>) -> Result<Vec<u8>, Failure> {
    match answer.map_err(|error| fault(&error))? {
        HttpAnswer { status: 200 | 201, body, .. } => Ok(body),
        HttpAnswer { status, .. } => Err(fault(&format!("expected HTTP status 200, got {status}"))),
    }
}

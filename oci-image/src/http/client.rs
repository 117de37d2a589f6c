//! The HTTP clients, built when first needed: reading the system's certificates takes longer than all
//! other work on a small image.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use reqwest::{Certificate, blocking};
use url::Url;

use super::{HttpOptions, address};
use crate::source::SourceError;

/// One client for each combination of *with TLS* and *without proxy*.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<BTreeMap<(bool, bool), Client>>);

impl Clients {
    /// The client for this address. This machine is never asked through a proxy, which would be asked
    /// about itself.
    pub(crate) fn for_url(&self, url: &Url, options: &HttpOptions) -> Result<Client, SourceError> {
        let key = (url.scheme() == "https", address::is_loopback(url));
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(key.0, key.1, options)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// Names the provider of cryptography that TLS of this process uses, for HTTP clients of other crates too.
/// Whoever installed another one first had a reason.
pub fn prepare_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn build(tls: bool, direct: bool, options: &HttpOptions) -> Result<Client, SourceError> {
    prepare_tls();
    let limits = &options.limits;
    let mut builder = Client::builder()
        .user_agent(options.user_agent.as_str())
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(limits.connect)
        .timeout(limits.read);
    if direct {
        builder = builder.no_proxy();
    }
    builder = match (&options.ca_file, tls) {
        (_, false) => builder.tls_certs_only([]),
        (None, true) => builder,
        (Some(file), true) => with_certificates(builder, file)?,
    };
    builder.build().map_err(|error| SourceError::Unreachable {
        at: "the network".into(),
        why: super::chain(&error.without_url()),
    })
}

/// Trusts these certificates beside the system's: a private registry may keep its blobs in public
/// storage. What an image is, is decided by digests; TLS only keeps others from reading along.
fn with_certificates(
    builder: blocking::ClientBuilder,
    file: &Path,
) -> Result<blocking::ClientBuilder, SourceError> {
    let pem = std::fs::read(file).map_err(SourceError::io(file))?;
    let bad = |why: String| SourceError::Malformed { at: file.display().to_string(), why };
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| bad(super::chain(&error)))?;
    if certificates.is_empty() {
        return Err(bad("there is no certificate in it".into()));
    }
    Ok(builder.tls_certs_merge(certificates))
}

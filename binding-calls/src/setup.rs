//! How images are verified through registries: the options, and what is made of them.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use oci_image::{Credentials, Digest, HttpOptions, Platform, RegistryOptions};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tuf_client::{DirStore, MemoryStore, RepoLocation, Store, TransportOptions};
use verifier_lib::{Layers, Platforms, Verifier};

use crate::{BadCall, OPTIONS_MAX};

/// The options of a verification through a registry. In JSON, a member that isn't one of these is refused: it may be
/// a restriction that is spelt wrong.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The trust repository: a folder, an http(s) address, `oci://HOST/NAME[:TAG]` or `oci:DIR[:TAG]`.
    pub repo: String,
    /// The platform of an index to verify, such as `linux/arm64`, or `all`; else this machine's.
    #[serde(default)]
    pub platform: Option<String>,
    /// Whether layers are hashed now.
    #[serde(default)]
    pub layers: LayersSetup,
    /// The time to verify as of (RFC 3339); else now.
    #[serde(default)]
    pub at: Option<String>,
    /// A folder in which accepted metadata is kept, so that nobody can show the next process yesterday's; else
    /// memory.
    #[serde(default)]
    pub state: Option<PathBuf>,
    /// A file of logins for registries, as docker and podman write it; else none.
    #[serde(default)]
    pub authfile: Option<PathBuf>,
    /// PEM certificates to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether plain http may be used with other machines, when they don't answer to https.
    #[serde(default)]
    pub allow_http: bool,
}

/// When layers are hashed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LayersSetup {
    /// When somebody reads them.
    #[default]
    Defer,
    /// Now.
    Hash,
}

impl Setup {
    /// Reads options.
    ///
    /// # Errors
    /// When they aren't the JSON that is expected.
    pub fn from_json(text: &str) -> Result<Self, BadCall> {
        read_options(text, r#"such as {"repo": "https://trust.example.com"}"#)
    }

    pub(crate) fn verifier(&self, root: &[u8]) -> Result<Verifier, BadCall> {
        let place: RepoLocation = self.repo.parse().map_err(|why| option("repo", &why))?;
        let at = self.at.as_deref().map(|at| time("at", at)).transpose()?;
        let platforms = self.platforms()?;
        let credentials = Credentials::load(self.authfile.clone()).map_err(|why| option("authfile", &why))?;
        let (ca_file, allow_http) = (self.ca_file.clone(), self.allow_http);
        let http = HttpOptions { ca_file: ca_file.clone(), allow_http, ..HttpOptions::default() };
        // No server but a registry is told a login.
        let logins = match place {
            RepoLocation::Registry { .. } => credentials.clone(),
            _ => Credentials::anonymous(),
        };
        let transport = place.transport(&TransportOptions { http, credentials: logins });
        let store = store(self.state.as_deref(), root)?;
        let clock = move || at.unwrap_or_else(Utc::now);
        let registries = RegistryOptions { credentials, ca_file, allow_http, ..RegistryOptions::default() };
        Ok(Verifier::over(transport, root.to_vec(), clock, store)
            .registries(registries)
            .platforms(platforms)
            .layers(match self.layers {
                LayersSetup::Defer => Layers::Defer,
                LayersSetup::Hash => Layers::Hash,
            }))
    }

    fn platforms(&self) -> Result<Platforms, BadCall> {
        match self.platform.as_deref() {
            None => Ok(Platforms::Host(Platform::host())),
            Some("all") => Ok(Platforms::All),
            Some(one) => one.parse().map(Platforms::One).map_err(|why| option("platform", &why)),
        }
    }
}

/// Options in JSON, within their bound.
pub(crate) fn read_options<T: DeserializeOwned>(text: &str, example: &str) -> Result<T, BadCall> {
    if text.len() > OPTIONS_MAX {
        let got = text.len();
        return Err(BadCall::new(format!("options: expected at most {OPTIONS_MAX} bytes, got {got}")));
    }
    serde_json::from_str(text).map_err(|why| {
        BadCall::new(format!("options: expected a JSON object {example}, got another: {why}"))
            .hint("docs/src/embedding.md lists the options")
    })
}

/// That an option can't be used, and why.
pub(crate) fn option(name: &str, why: &dyn std::fmt::Display) -> BadCall {
    BadCall::new(format!("{name}: {why}"))
}

pub(crate) fn time(name: &str, text: &str) -> Result<DateTime<Utc>, BadCall> {
    let read = DateTime::parse_from_rfc3339(text);
    read.map(|time| time.to_utc()).map_err(|why| {
        let why = format!("expected a time as in 2026-01-31T12:00:00Z, got {text:?}: {why}");
        option(name, &why)
    })
}

/// Where accepted metadata is kept: the folder of `verify --state`, of this root's own, so that they share it.
pub(crate) fn store(state: Option<&Path>, root: &[u8]) -> Result<Box<dyn Store>, BadCall> {
    let Some(state) = state else { return Ok(Box::new(MemoryStore::default())) };
    let folder = state.join("metadata").join(Digest::of(root).hex());
    Ok(Box::new(DirStore::open(folder).map_err(|why| option("state", &why))?))
}

//! Credentials for registries, from the files and helpers that Docker and podman use.
//!
//! Where such a file is, the program decides: nothing here reads the environment. A helper is run only
//! when a registry has asked for credentials. Secrets are wiped from memory and never printed.

mod helper;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::reference::{DOCKER_HUB, ImageName};

/// The key under which Docker keeps the login for Docker Hub.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The largest file of credentials: some hundred logins.
const FILE_MAX: u64 = 1024 * 1024;

/// A text that is never printed and is wiped when it is dropped.
#[derive(Clone, Default, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret itself, to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How to log in to one registry.
#[derive(Clone, Debug)]
pub enum Login {
    /// A user's name and password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token that Docker calls an identity token.
    IdentityToken(Secret),
}

/// Logins for registries. Empty, it is anonymous.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    file: Option<PathBuf>,
    config: Config,
}

impl Credentials {
    /// No logins: public images only.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Logins from this file, in the format of Docker's `config.json` and podman's `auth.json`.
    ///
    /// # Errors
    /// When the file can't be read or is not of that format.
    pub fn load(file: Option<PathBuf>) -> Result<Self, CredentialError> {
        let Some(path) = &file else { return Ok(Self::default()) };
        let bytes = Zeroizing::new(read(path)?);
        let config = serde_json::from_slice(&bytes)
            .map_err(|error| CredentialError::Malformed { file: path.clone(), why: position(&error) })?;
        Ok(Self { file, config })
    }

    /// One login for one registry, as from `--username`.
    pub fn password(registry: &str, user: &str, password: Secret) -> Self {
        let entry = Entry { username: user.into(), password, ..Entry::default() };
        let auths = BTreeMap::from([(registry.to_owned(), entry)]);
        Self { file: None, config: Config { auths, ..Config::default() } }
    }

    /// The login for this image's registry: from the helper named for the registry, else from the most
    /// specific entry of the file, else from the helper for all registries.
    ///
    /// # Errors
    /// When an entry is malformed, or a helper can't be run or fails.
    pub fn login(&self, name: &ImageName) -> Result<Option<Login>, CredentialError> {
        let keys = keys(name);
        let hosts = || keys.iter().filter(|key| !key.contains('/')).chain(keys.last());
        if let Some(helper) = hosts().find_map(|host| self.config.cred_helpers.get(host)) {
            return helper::login(helper, server(name));
        }
        let stored = keys.iter().find_map(|key| {
            self.config.auths.iter().find(|(stored, entry)| same(stored, key) && !entry.is_empty())
        });
        if let Some((key, entry)) = stored {
            return entry.login().map(Some).ok_or_else(|| CredentialError::Malformed {
                file: self.file.clone().unwrap_or_default(),
                why: format!("the entry for {key} has no login that can be read"),
            });
        }
        self.config.creds_store.as_ref().map_or(Ok(None), |helper| helper::login(helper, server(name)))
    }
}

/// Where credentials may be, as the environment and the command line say.
#[derive(Clone, Debug, Default)]
pub struct CredentialPlaces {
    /// `--authfile`, or `REGISTRY_AUTH_FILE`: used even if it doesn't exist, so that it is reported.
    pub authfile: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder with Docker's `config.json`.
    pub docker_config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: podman keeps `containers/auth.json` below.
    pub runtime_dir: Option<PathBuf>,
    /// `HOME`: Docker keeps `.docker/config.json` below.
    pub home: Option<PathBuf>,
}

impl CredentialPlaces {
    /// The places that a program's environment names; `variable` looks one up. An empty one is unset.
    pub fn from_environment(
        authfile: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Self {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            authfile: authfile.or_else(|| path("REGISTRY_AUTH_FILE")),
            docker_config: path("DOCKER_CONFIG"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            home: path("HOME"),
        }
    }

    /// The first file that exists, in the order above.
    pub fn find(&self) -> Option<PathBuf> {
        let below = |dir: &Option<PathBuf>, file: &str| dir.as_ref().map(|dir| dir.join(file));
        let candidates = [
            below(&self.docker_config, "config.json"),
            below(&self.runtime_dir, "containers/auth.json"),
            below(&self.home, ".docker/config.json"),
        ];
        self.authfile.clone().or_else(|| candidates.into_iter().flatten().find(|path| path.is_file()))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Secret,
    username: String,
    password: Secret,
    identitytoken: Secret,
}

impl Entry {
    fn is_empty(&self) -> bool {
        let secrets = [&self.auth, &self.password, &self.identitytoken];
        secrets.iter().all(|secret| secret.expose().is_empty())
    }

    fn login(&self) -> Option<Login> {
        if !self.identitytoken.expose().is_empty() {
            return Some(Login::IdentityToken(self.identitytoken.clone()));
        }
        if self.auth.expose().is_empty() {
            return Some(Login::Password { user: self.username.clone(), password: self.password.clone() });
        }
        let decoded = Zeroizing::new(STANDARD.decode(self.auth.expose().trim()).ok()?);
        let text = str::from_utf8(&decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        let password = Secret::from(password.trim_end_matches('\0').to_owned());
        Some(Login::Password { user: user.into(), password })
    }
}

/// What an entry for this image can be called, the most specific first: podman's keys may name the
/// repository or a part of it, Docker's name the host.
fn keys(name: &ImageName) -> Vec<String> {
    let full = name.to_string();
    let mut keys: Vec<String> =
        std::iter::successors(Some(full.as_str()), |key| key.rsplit_once('/').map(|(shorter, _)| shorter))
            .map(str::to_owned)
            .collect();
    if name.registry() == DOCKER_HUB {
        keys.extend(["index.docker.io", "registry-1.docker.io", DOCKER_HUB_KEY].map(str::to_owned));
    }
    keys
}

/// Docker wrote whole addresses as keys: `https://registry.example.com/v1/`.
fn same(stored: &str, key: &str) -> bool {
    let bare = stored.strip_prefix("https://").or_else(|| stored.strip_prefix("http://")).unwrap_or(stored);
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    stored == key || bare == key
}

/// What a helper knows the registry as.
fn server(name: &ImageName) -> &str {
    if name.registry() == DOCKER_HUB { DOCKER_HUB_KEY } else { name.registry() }
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialError> {
    use std::io::Read as _;
    let unreadable = |error| CredentialError::Read { file: path.into(), error };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_MAX) {
        return Ok(bytes);
    }
    Err(CredentialError::Malformed { file: path.into(), why: format!("it has more than {FILE_MAX} bytes") })
}

/// Where the JSON is wrong, without serde's words, which can quote what stands there.
fn position(error: &serde_json::Error) -> String {
    format!("not the JSON expected, at line {} column {}", error.line(), error.column())
}

/// Why credentials could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The file can't be read.
    #[error("{}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What happened.
        error: std::io::Error,
    },
    /// The file is not of the format expected.
    #[error("{}: {why}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong, without any secret.
        why: String,
    },
    /// A credential helper failed.
    #[error("docker-credential-{helper}: {why}")]
    Helper {
        /// The helper's name.
        helper: String,
        /// What happened.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(json: &str) -> Credentials {
        Credentials { file: None, config: serde_json::from_str(json).unwrap() }
    }

    fn login(json: &str, name: &str) -> Option<String> {
        match credentials(json).login(&name.parse().unwrap()).unwrap()? {
            Login::Password { user, password } => Some(format!("{user}:{}", password.expose())),
            Login::IdentityToken(token) => Some(format!("token {}", token.expose())),
        }
    }

    #[test]
    fn entries_are_found_as_docker_and_podman_find_them() {
        // YTpi is "a:b".
        for (name, json, image, expected) in [
            ("base64", r#"{"auths":{"r.io":{"auth":"YTpi"}}}"#, "r.io/web", Some("a:b")),
            ("plain", r#"{"auths":{"r.io":{"username":"a","password":"c"}}}"#, "r.io/web", Some("a:c")),
            (
                "token",
                r#"{"auths":{"r.io":{"auth":"YTpi","identitytoken":"t"}}}"#,
                "r.io/web",
                Some("token t"),
            ),
            ("hub", r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}"#, "nginx", Some("a:b")),
            ("hub by name", r#"{"auths":{"docker.io":{"auth":"YTpi"}}}"#, "nginx", Some("a:b")),
            ("address", r#"{"auths":{"https://r.io/v2/":{"auth":"YTpi"}}}"#, "r.io/web", Some("a:b")),
            ("port", r#"{"auths":{"r.io:5000":{"auth":"YTpi"}}}"#, "r.io/web", None),
            ("other host", r#"{"auths":{"r.io.evil.io":{"auth":"YTpi"}}}"#, "r.io/web", None),
            ("longer host", r#"{"auths":{"r.io":{"auth":"YTpi"}}}"#, "r.io.evil.io/web", None),
            ("namespace", r#"{"auths":{"r.io/acme":{"auth":"YTpi"}}}"#, "r.io/acme/web", Some("a:b")),
            ("other namespace", r#"{"auths":{"r.io/acme":{"auth":"YTpi"}}}"#, "r.io/acme2/web", None),
            (
                "most specific",
                r#"{"auths":{"r.io":{"username":"x","password":"y"},"r.io/acme/web":{"auth":"YTpi"}}}"#,
                "r.io/acme/web",
                Some("a:b"),
            ),
            ("empty entry", r#"{"auths":{"r.io":{}}}"#, "r.io/web", None),
            ("nothing", "{}", "r.io/web", None),
        ] {
            assert_eq!(login(json, image).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_bad_entry_is_reported_without_its_secret() {
        let bad = credentials(r#"{"auths":{"r.io":{"auth":"hunter2!"}}}"#);
        let error = bad.login(&"r.io/web".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(error, ": the entry for r.io has no login that can be read");
    }

    #[test]
    fn secrets_are_not_printed() {
        let all = credentials(r#"{"auths":{"r.io":{"auth":"aHVudGVyMg==","password":"hunter2"}}}"#);
        let printed = format!("{all:?}");
        assert!(!printed.contains("hunter2") && !printed.contains("aHVudGVyMg"), "{printed}");
    }

    #[test]
    fn the_named_file_comes_first_and_then_the_first_that_exists() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join(".docker");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("config.json"), "{}").unwrap();
        let places = CredentialPlaces {
            home: Some(dir.path().into()),
            docker_config: Some(dir.path().join("absent")),
            ..CredentialPlaces::default()
        };
        assert_eq!(places.find(), Some(home.join("config.json")));
        let named = CredentialPlaces { authfile: Some("x.json".into()), ..places };
        assert_eq!(named.find(), Some("x.json".into()));
    }
}

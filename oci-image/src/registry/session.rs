//! Getting in: from a challenge to the header that answers it.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::challenge::{self, Challenge};
use crate::auth::{Credentials, Login, Secret};
use crate::http::{Action, Call, Deadline, HttpFetcher, follow_address, shown};
use crate::reference::ImageName;
use crate::source::SourceError;

/// HTML 5, section 4.10.21.7: what `application/x-www-form-urlencoded` is called.
const FORM: &str = "application/x-www-form-urlencoded";

/// The largest answer of a token server. Real tokens have one to ten kilobytes.
const TOKEN_MAX: u64 = 256 * 1024;

/// What stands behind the challenge: who asks for what, where, and until when.
pub(super) struct Door<'a> {
    /// The address that wants an answer.
    pub(super) registry: &'a Url,
    /// The repository that is asked for.
    pub(super) name: &'a ImageName,
    /// How the token server is asked.
    pub(super) fetcher: &'a HttpFetcher,
    /// What is to be done there, as a scope names it: `pull` or `pull,push`.
    pub(super) actions: &'static str,
    /// When the whole question ends.
    pub(super) deadline: Deadline,
}

/// The `Authorization` for one repository, once it was asked for. A [`super::Registry`] has one
/// repository: so there is one token, for reading first, and for both once something is written.
#[derive(Debug, Default)]
pub(super) struct Session(Mutex<Option<HeaderValue>>);

impl Session {
    /// The header to send, if the registry has asked for one before.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers the registry's challenge; `false` if there is nothing to answer with.
    pub(super) fn answer(
        &self,
        headers: &HeaderMap,
        door: &Door<'_>,
        credentials: &Credentials,
    ) -> Result<bool, SourceError> {
        let offers = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let Some(challenge) = challenge::best(offers) else { return Ok(false) };
        let name = door.name;
        let login = credentials.login(name).map_err(|error| SourceError::Credentials {
            registry: name.registry().into(),
            why: error.to_string(),
        })?;
        let header = match (challenge, login) {
            (Challenge::Basic, Some(Login::Password { user, password })) => basic(&user, &password),
            (Challenge::Basic, _) => return Ok(false),
            (Challenge::Bearer { realm, service, scope }, login) => {
                let scope =
                    scope.unwrap_or_else(|| format!("repository:{}:{}", name.repository(), door.actions));
                let request =
                    TokenRequest { door, realm: &realm, service: service.as_deref(), scope: &scope };
                bearer(&request.send(login.as_ref())?)
            }
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = header;
        Ok(true)
    }
}

struct TokenRequest<'a> {
    door: &'a Door<'a>,
    realm: &'a str,
    service: Option<&'a str>,
    scope: &'a str,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Secret,
    #[serde(default)]
    access_token: Secret,
}

impl TokenRequest<'_> {
    /// Asks the token server: by GET with the password as Basic, or by POST with an identity token
    /// (distribution, "Token authentication" and "OAuth2 token authentication").
    fn send(&self, login: Option<&Login>) -> Result<Secret, SourceError> {
        let mut url = self.address()?;
        let mut headers = HeaderMap::new();
        let mut form = None;
        match login {
            Some(Login::IdentityToken(token)) => form = Some(self.form(token)),
            login => {
                self.parameters(url.query_pairs_mut());
                if let Some(Login::Password { user, password }) = login {
                    headers.extend(basic(user, password).map(|value| (AUTHORIZATION, value)));
                }
            }
        }
        let action = form.as_ref().map_or(Action::Get, |form| Action::Post(FORM, form.as_bytes()));
        let Door { fetcher, deadline, .. } = *self.door;
        let answer = fetcher.open(&Call { url: &url, headers, action, deadline })?;
        let at = shown(&answer.url);
        match answer.status {
            200 => token(&Zeroizing::new(answer.read(TOKEN_MAX)?), at),
            status => Err(SourceError::Denied { at, status, message: answer.error_message() }),
        }
    }

    /// The realm comes from the registry, so it's weighed as a redirect of the registry is.
    fn address(&self) -> Result<Url, SourceError> {
        let registry = self.door.registry;
        Url::parse(self.realm).map_err(|_| SourceError::Redirect {
            from: shown(registry),
            to: "its token server".into(),
            why: "the address can't be read",
        })?;
        follow_address(registry, self.realm, self.door.fetcher.options().allow_http)
    }

    fn parameters<T: form_urlencoded::Target>(&self, mut target: form_urlencoded::Serializer<'_, T>) {
        if let Some(service) = self.service {
            target.append_pair("service", service);
        }
        target.append_pair("scope", self.scope);
    }

    fn form(&self, token: &Secret) -> Zeroizing<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("client_id", "hallmark");
        form.append_pair("refresh_token", token.expose());
        form.append_pair("scope", self.scope);
        if let Some(service) = self.service {
            form.append_pair("service", service);
        }
        Zeroizing::new(form.finish())
    }
}

fn token(body: &[u8], at: String) -> Result<Secret, SourceError> {
    let answer: Option<TokenAnswer> = serde_json::from_slice(body).ok();
    let tokens = answer.map(|answer| [answer.token, answer.access_token]);
    tokens
        .into_iter()
        .flatten()
        .find(|token| !token.expose().is_empty())
        .ok_or_else(|| SourceError::Malformed { at, why: "there is no token in it".into() })
}

fn basic(user: &str, password: &Secret) -> Option<HeaderValue> {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    secret_header(&Zeroizing::new(format!("Basic {}", encoded.as_str())))
}

fn bearer(token: &Secret) -> Option<HeaderValue> {
    secret_header(&Zeroizing::new(format!("Bearer {}", token.expose())))
}

/// A header that no debug output shows. `None` if the text can't be a header.
fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

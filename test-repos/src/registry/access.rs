//! Who may read and write: Basic (RFC 7617), and Bearer by a token endpoint (distribution, token auth).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::error;
use super::route::Route;
use crate::digest::sha256_hex;
use crate::http::{Request, Response};

/// A name and a password. A test's own, so printing them is no leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// This name with this password.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    /// A file of logins, as docker and podman write it, with this one for `host`.
    #[must_use]
    pub fn auth_file(&self, host: &str) -> String {
        json!({ "auths": { host: { "auth": self.basic() } } }).to_string()
    }

    fn came_with(&self, request: &Request) -> bool {
        authorization(request, "basic") == Some(self.basic().as_str())
    }

    fn basic(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.user, self.password))
    }
}

/// Who may read and write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    #[default]
    Open,
    /// Whoever sends these with each request.
    Basic(Credentials),
    /// Whoever has a token for the repository and the action, which the endpoint gives for these.
    Bearer(Credentials),
    /// As `Bearer`, but the endpoint gives anyone a token to read, as Docker Hub does.
    BearerOpenToRead(Credentials),
}

/// The tokens given out, and the scopes of each.
pub(super) type Tokens = BTreeMap<String, Vec<String>>;

impl Access {
    /// Lets a request pass, or says what it lacks.
    pub(super) fn admit(
        &self,
        request: &Request,
        route: &Route<'_>,
        tokens: &Tokens,
    ) -> Result<(), Response> {
        match self {
            _ if matches!(route, Route::Token) => Ok(()),
            Self::Open => Ok(()),
            Self::Basic(credentials) if credentials.came_with(request) => Ok(()),
            Self::Basic(_) => Err(unauthorized("Basic realm=\"test\"")),
            Self::Bearer(_) | Self::BearerOpenToRead(_) => {
                let token = authorization(request, "bearer").and_then(|token| tokens.get(token));
                match token {
                    Some(scopes) if scopes.iter().any(|scope| covers(scope, request, route)) => Ok(()),
                    Some(_) if route.repo().is_none() => Ok(()),
                    _ => Err(unauthorized(&challenge(request, route, token.is_some()))),
                }
            }
        }
    }

    /// The token endpoint.
    pub(super) fn token(&self, request: &Request, tokens: &mut Tokens) -> Response {
        let (Self::Bearer(credentials) | Self::BearerOpenToRead(credentials)) = self else {
            return Response::not_found();
        };
        let scopes: Vec<_> =
            request.query_all("scope").iter().flat_map(|scope| scope.split(' ')).map(Into::into).collect();
        let anyone = matches!(self, Self::BearerOpenToRead(_))
            && !request.headers.contains("authorization")
            && scopes.iter().all(|scope: &String| scope.ends_with(":pull"));
        if !anyone && !credentials.came_with(request) {
            return error(401, "UNAUTHORIZED", "wrong credentials");
        }
        let token = sha256_hex(format!("{} {scopes:?}", tokens.len()).as_bytes());
        tokens.insert(token.clone(), scopes);
        let body = json!({ "token": token, "access_token": token, "expires_in": 300 });
        Response::ok(body.to_string()).header("Content-Type", "application/json")
    }
}

/// The credentials of the request in this scheme.
fn authorization<'a>(request: &'a Request, scheme: &str) -> Option<&'a str> {
    let (sent, credentials) = request.headers.get("authorization")?.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then_some(credentials.trim())
}

/// Whether `repository:NAME:ACTIONS` allows the request.
fn covers(scope: &str, request: &Request, route: &Route<'_>) -> bool {
    let mut words = scope.split(':');
    let repository = (words.next(), words.next()) == (Some("repository"), route.repo());
    repository && words.next().is_some_and(|actions| actions.split(',').any(|done| done == action(request)))
}

fn action(request: &Request) -> &'static str {
    match request.method.as_str() {
        "GET" | "HEAD" => "pull",
        "DELETE" => "delete",
        _ => "push",
    }
}

fn challenge(request: &Request, route: &Route<'_>, too_narrow: bool) -> String {
    let host = request.headers.get("host").unwrap_or_default();
    let mut challenge = format!("Bearer realm=\"http://{host}/token\",service=\"{host}\"");
    if let Some(repo) = route.repo() {
        let actions = if action(request) == "push" { "pull,push" } else { action(request) };
        challenge.push_str(&format!(",scope=\"repository:{repo}:{actions}\""));
    }
    if too_narrow {
        challenge.push_str(",error=\"insufficient_scope\"");
    }
    challenge
}

fn unauthorized(challenge: &str) -> Response {
    error(401, "UNAUTHORIZED", "authentication required").header("WWW-Authenticate", challenge)
}

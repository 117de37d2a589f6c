//! Answers to `GET` and `HEAD`.

use serde_json::{Value, json};

use super::route::Route;
use super::store::{Manifest, Repo, Store};
use super::{error, text};
use crate::http::{Request, Response};
use crate::images::Format;

pub(super) fn answer(store: &Store, request: &Request, route: &Route<'_>, referrers: bool) -> Response {
    let repo = route.repo().and_then(|repo| store.repo(repo));
    match (route, repo) {
        (Route::Ping, _) => Response::ok("{}").header("Content-Type", "application/json"),
        (Route::Manifest { reference, .. }, Some(repo)) => manifest(repo, reference),
        (Route::Blob { digest, .. }, Some(repo)) => blob(repo, digest),
        (Route::Tags { repo: name }, Some(repo)) => tags(name, repo, request),
        (Route::Referrers { digest, .. }, repo) if referrers => referrers_of(repo, digest, request),
        (Route::Referrers { .. }, _) => Response::not_found(),
        (Route::Uploads { .. } | Route::Upload { .. }, _) => error(405, "UNSUPPORTED", "not to be read"),
        (_, None) => error(404, "NAME_UNKNOWN", "no such repository"),
        (Route::Token, Some(_)) => Response::not_found(),
    }
}

fn manifest(repo: &Repo, reference: &str) -> Response {
    match repo.find(reference) {
        Some((digest, manifest)) => Response::ok(manifest.bytes.as_slice())
            .header("Content-Type", &manifest.media_type)
            .header("Docker-Content-Digest", digest),
        None => error(404, "MANIFEST_UNKNOWN", "no such manifest"),
    }
}

fn blob(repo: &Repo, digest: &str) -> Response {
    match repo.blob(digest) {
        Some(bytes) => Response::ok(bytes.as_slice())
            .header("Content-Type", "application/octet-stream")
            .header("Docker-Content-Digest", digest),
        None => error(404, "BLOB_UNKNOWN", "no such blob"),
    }
}

/// In pages of `n`, each after the tag `last`, with a link to the next where there is more.
fn tags(name: &str, repo: &Repo, request: &Request) -> Response {
    let last = request.query("last").unwrap_or_default();
    let limit = request.query("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let mut rest = repo.tags().filter(|tag| *tag > last.as_str());
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let response = json_answer(&json!({ "name": name, "tags": page }), "application/json");
    match (rest.next(), page.last()) {
        (Some(_), Some(last)) => {
            response.header("Link", &format!("</v2/{name}/tags/list?n={limit}&last={last}>; rel=\"next\""))
        }
        _ => response,
    }
}

fn referrers_of(repo: Option<&Repo>, subject: &str, request: &Request) -> Response {
    let wanted = request.query("artifactType");
    let found = repo.into_iter().flat_map(|repo| repo.referrers(subject));
    let found = found.map(|(digest, manifest)| referrer(digest, manifest));
    let found =
        found.filter(|entry| wanted.as_deref().is_none_or(|wanted| text(entry, "artifactType") == wanted));
    let media_type = Format::Oci.index();
    let index =
        json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": found.collect::<Vec<_>>() });
    let response = json_answer(&index, media_type);
    if wanted.is_some() { response.header("OCI-Filters-Applied", "artifactType") } else { response }
}

/// How the referrers index names a manifest.
fn referrer(digest: &str, manifest: &Manifest) -> Value {
    let document = manifest.document();
    let config = document.pointer("/config/mediaType");
    let mut entry = json!({
        "mediaType": manifest.media_type,
        "digest": digest,
        "size": manifest.bytes.len(),
        "artifactType": document.get("artifactType").or(config),
    });
    if let (Some(annotations), Some(entry)) = (document.get("annotations"), entry.as_object_mut()) {
        entry.insert("annotations".into(), annotations.clone());
    }
    entry
}

fn json_answer(document: &Value, media_type: &str) -> Response {
    Response::ok(document.to_string()).header("Content-Type", media_type)
}

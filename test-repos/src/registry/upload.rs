//! Answers to `PUT`, `POST`, `PATCH` and `DELETE`.

use serde_json::Value;

use super::route::Route;
use super::store::{Manifest, Repo, Store, is_digest};
use super::{error, items, text};
use crate::digest::sha256_digest;
use crate::http::{Request, Response};

pub(super) fn answer(store: &mut Store, request: &Request, route: &Route<'_>, referrers: bool) -> Response {
    match (request.method.as_str(), route) {
        ("PUT", Route::Manifest { repo, reference }) => {
            manifest(store, request, (repo, reference), referrers)
        }
        ("POST", Route::Uploads { repo }) => start(store, request, repo),
        ("PATCH", Route::Upload { repo, id }) => append(store, request, repo, id),
        ("PUT", Route::Upload { repo, id }) => finish(store, request, repo, id),
        _ => unsupported(),
    }
}

pub(super) fn delete(store: &mut Store, route: &Route<'_>) -> Response {
    let gone = match route {
        Route::Manifest { repo, reference } => store.repo_mut(repo).remove(reference),
        Route::Blob { repo, digest } => store.repo_mut(repo).remove_blob(digest),
        Route::Upload { id, .. } => store.take_upload(id).is_some(),
        _ => return unsupported(),
    };
    if gone { Response::new(202) } else { error(404, "UNKNOWN", "nothing of that name") }
}

/// As docker-registry does, a manifest is taken only after all that it names; a subject may come later.
fn manifest(
    store: &mut Store,
    request: &Request,
    (name, reference): (&str, &str),
    referrers: bool,
) -> Response {
    let Ok(document) = serde_json::from_slice::<Value>(&request.body) else {
        return error(400, "MANIFEST_INVALID", "not JSON");
    };
    if is_digest(reference) && reference != sha256_digest(&request.body) {
        return error(400, "DIGEST_INVALID", "the bytes have another digest");
    }
    let repo = store.repo_mut(name);
    if let Some(missing) = missing(repo, &document) {
        return error(400, "MANIFEST_BLOB_UNKNOWN", missing);
    }
    let media_type = request.headers.get("content-type").unwrap_or_else(|| text(&document, "mediaType"));
    let manifest = Manifest { media_type: media_type.into(), bytes: request.body.clone() };
    let response = created(name, "manifests", &repo.put(reference, manifest));
    match document.get("subject") {
        Some(subject) if referrers => response.header("OCI-Subject", text(subject, "digest")),
        _ => response,
    }
}

/// What a manifest names and the repository lacks. Layers with `urls` lie elsewhere by intent.
fn missing<'a>(repo: &Repo, document: &'a Value) -> Option<&'a str> {
    let blobs = document.get("config").into_iter().chain(items(document, "layers"));
    let blobs = blobs.filter(|blob| blob.get("urls").is_none()).map(|blob| text(blob, "digest"));
    let children = items(document, "manifests").map(|child| text(child, "digest"));
    let no_blob = |digest: &&str| repo.blob(digest).is_none();
    let no_child = |digest: &&str| repo.find(digest).is_none();
    blobs.filter(no_blob).chain(children.filter(no_child)).next()
}

/// With `digest` the whole blob is here already. A `mount` from another repository is answered as an
/// ordinary upload, which the specification allows.
fn start(store: &mut Store, request: &Request, repo: &str) -> Response {
    match request.query("digest") {
        Some(digest) => keep(store, repo, &digest, request.body.clone()),
        None => {
            let id = store.start_upload();
            accepted(repo, &id, 0)
        }
    }
}

fn append(store: &mut Store, request: &Request, repo: &str, id: &str) -> Response {
    let Some(upload) = store.upload(id) else { return unknown_upload() };
    let range = request.headers.get("content-range");
    let starts = range.and_then(|range| range.split('-').next()?.trim().parse().ok());
    if starts.is_some_and(|start: usize| start != upload.len()) {
        return accepted(repo, id, upload.len()).status(416);
    }
    upload.extend_from_slice(&request.body);
    accepted(repo, id, upload.len())
}

fn finish(store: &mut Store, request: &Request, repo: &str, id: &str) -> Response {
    let Some(mut bytes) = store.take_upload(id) else { return unknown_upload() };
    bytes.extend_from_slice(&request.body);
    keep(store, repo, &request.query("digest").unwrap_or_default(), bytes)
}

fn keep(store: &mut Store, repo: &str, digest: &str, bytes: Vec<u8>) -> Response {
    if digest != sha256_digest(&bytes) {
        return error(400, "DIGEST_INVALID", "the bytes have another digest");
    }
    created(repo, "blobs", &store.repo_mut(repo).put_blob(bytes))
}

fn created(repo: &str, kind: &str, digest: &str) -> Response {
    Response::new(201)
        .header("Location", &format!("/v2/{repo}/{kind}/{digest}"))
        .header("Docker-Content-Digest", digest)
}

fn accepted(repo: &str, id: &str, length: usize) -> Response {
    Response::new(202)
        .header("Location", &format!("/v2/{repo}/blobs/uploads/{id}"))
        .header("Range", &format!("0-{}", length.saturating_sub(1)))
        .header("Docker-Upload-UUID", id)
}

fn unknown_upload() -> Response {
    error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
}

fn unsupported() -> Response {
    error(405, "UNSUPPORTED", "not done here")
}

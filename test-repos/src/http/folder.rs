//! Serves a directory, as any static file server would.

use std::fs;
use std::path::{Path, PathBuf};

use super::message::{Request, Response, percent_decoded};

/// A handler that answers with the files below `root`, read anew at each request.
///
/// The path is percent-decoded once. Nothing outside `root` is served, through `..` or a symbolic link.
pub fn folder(root: impl Into<PathBuf>) -> impl Fn(&Request) -> Response + Send + Sync + 'static {
    let root = root.into();
    move |request| {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Response::new(405).header("Allow", "GET, HEAD");
        }
        match file(&root, request.path()).and_then(|path| fs::read(path).ok()) {
            Some(bytes) => Response::ok(bytes).header("Content-Type", "application/octet-stream"),
            None => Response::not_found(),
        }
    }
}

/// The file that a URL path names, if it is really below `root`.
fn file(root: &Path, path: &str) -> Option<PathBuf> {
    let decoded = percent_decoded(path)?;
    let mut file = root.to_path_buf();
    for part in decoded.strip_prefix('/')?.split('/') {
        if matches!(part, "" | "." | "..") || part.contains('\0') {
            return None;
        }
        file.push(part);
    }
    let real = file.canonicalize().ok()?;
    real.starts_with(root.canonicalize().ok()?).then_some(real)
}

//! Files that a person names: read in bounds, with an error that says which and why.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use oci_image::{Digest, Hasher};

use crate::failure::Failure;
use crate::style::shown;

/// A file of at most `most` bytes.
pub(crate) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let file = File::open(path).map_err(|why| unusable(path, &why))?;
    let mut bytes = Vec::new();
    // Counted as it is read: a pipe has no length.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|why| unusable(path, &why))?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= most => Ok(bytes),
        _ => Err(unusable(path, &format!("expected at most {most} bytes, got more"))),
    }
}

/// The same, of text.
pub(crate) fn text(path: &Path, most: u64) -> Result<String, Failure> {
    String::from_utf8(bytes(path, most)?).map_err(|why| unusable(path, &why))
}

/// The digest of a file, however large.
pub(crate) fn digest(path: &Path) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(piece);
        let read = piece.len();
        file.consume(read);
    }
}

/// That a file can't be used, and why.
pub(crate) fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{} can't be used: {}", path.display(), shown(&why.to_string())))
}

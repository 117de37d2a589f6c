//! Reads files from a folder: a repository on this machine, or on a medium that was carried here.
//!
//! Bounded in bytes. Not in time: a disk isn't an adversary, and what isn't a plain file is refused.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use oci_image::SourceError;

use super::{Fetch, Fetched, Transport};

/// Reads metadata, or target files, from a folder.
#[derive(Debug)]
pub struct DirTransport {
    dir: PathBuf,
    decodes: bool,
}

impl DirTransport {
    /// A transport for the folder that holds `timestamp.json`. Files there bear the names that metadata
    /// files have, percent-encoded where a role's name asks for it.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, decodes: false }
    }

    /// A transport for a folder of target files. They bear the names under which a web server would find
    /// them: a target `a%20b/c` is the file `c` in the folder `a b`.
    #[must_use]
    pub fn of_targets(dir: PathBuf) -> Self {
        Self { dir, decodes: true }
    }

    /// The file meant; `None` for a name that could leave the folder.
    fn path(&self, name: &str) -> Option<PathBuf> {
        if !self.decodes {
            return inside(name).then(|| self.dir.join(name));
        }
        let mut path = self.dir.clone();
        for segment in name.split('/') {
            let segment = decoded(segment)?;
            path.push(inside(&segment).then_some(&*segment)?);
        }
        Some(path)
    }

    fn meant(&self, wanted: &Fetch<'_>) -> Result<PathBuf, SourceError> {
        self.path(wanted.name).ok_or_else(|| {
            let at = format!("{} in {}", wanted.name, self.dir.display());
            SourceError::Address { at, why: "the name leads out of the folder" }
        })
    }
}

impl Transport for DirTransport {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        let bytes = read(&self.meant(wanted)?, wanted.limit)?;
        Ok(bytes.map_or(Fetched::Absent, |bytes| Fetched::File { bytes, tag: None }))
    }

    fn stream(&self, wanted: &Fetch<'_>) -> Result<Option<Box<dyn Read + Send>>, SourceError> {
        let path = self.meant(wanted)?;
        match open(&path)? {
            Some((_, got)) if got > wanted.limit => {
                let (at, limit) = (path.display().to_string(), wanted.limit);
                Err(SourceError::TooLarge { at, limit, got: Some(got) })
            }
            Some((file, _)) => Ok(Some(Box::new(Reading { file, path }))),
            None => Ok(None),
        }
    }

    fn describe(&self) -> String {
        format!("folder {}", self.dir.display())
    }
}

/// Whether a name is one file's within a folder.
fn inside(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

/// A segment as it was before it was percent-encoded (RFC 3986, section 2.1).
pub(super) fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let mut bytes = Vec::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let digit =
            |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(match byte {
            b'%' => digit(rest.next())?.checked_mul(16)?.checked_add(digit(rest.next())?)?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SourceError {
    move |error| SourceError::Io { path: path.to_owned(), error }
}

/// A file and its length, where there is one.
fn open(path: &Path) -> Result<Option<(File, u64)>, SourceError> {
    // Looked at before it is opened: a named pipe would hold us for ever.
    let announced = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        seen => seen.map_err(failed(path))?,
    };
    if !announced.is_file() {
        return Err(SourceError::Malformed { at: path.display().to_string(), why: "it is no file".into() });
    }
    Ok(Some((File::open(path).map_err(failed(path))?, announced.len())))
}

fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
    let Some((file, announced)) = open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed(path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        let at = path.display().to_string();
        return Err(SourceError::TooLarge { at, limit, got: Some(announced) });
    }
    Ok(Some(bytes))
}

/// A file whose errors say which it is.
struct Reading {
    file: File,
    path: PathBuf,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(failed(&self.path)(error)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fetch(transport: &DirTransport, name: &str) -> String {
        let wanted = Fetch { name, limit: 9, known: None, time: Duration::from_secs(1) };
        match transport.fetch(&wanted) {
            Ok(Fetched::File { bytes, .. }) => String::from_utf8(bytes).unwrap(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn targets_lie_under_their_own_names_and_no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("targets");
        std::fs::create_dir_all(dir.join("a b")).unwrap();
        std::fs::write(dir.join("a b/x:1"), "inside").unwrap();
        std::fs::write(dir.join("%2e.json"), "metadata").unwrap();
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        let (targets, metadata) = (DirTransport::of_targets(dir.clone()), DirTransport::new(dir.clone()));
        assert_eq!(fetch(&targets, "a%20b/x%3A1"), "inside");
        assert_eq!(fetch(&metadata, "%2e.json"), "metadata");
        assert_eq!(fetch(&targets, "a%20b/none"), "Absent");
        for name in [
            "/etc/passwd",
            "a%5Cb",
            "../secret",
            "%2e%2e/secret",
            "..%2fsecret",
            "a//b",
            "%zz",
            "%f",
            "%ff",
            "a%00",
        ] {
            let why = format!("refused to ask {name} in {}: the name leads out of the folder", dir.display());
            assert_eq!(fetch(&targets, name), why);
        }
        assert!(fetch(&metadata, "../secret").ends_with("the name leads out of the folder"));
    }
}

//! A pack that was opened: every part is there, and is what the index says.

use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use oci_image::Digest;
use tuf_core::metadata_file_name;

use crate::archive::{BLOCK, Hashed, header, padding};
use crate::error::PackError;
use crate::index::{INDEX, METADATA, POLICY, PackIndex, Part, blob_path};
use crate::limits;
use crate::source::PackSource;
use crate::transport::PackTransport;

/// A pack that was opened: every part is there, and is what the index says. That says nothing of trust.
#[derive(Clone)]
pub struct Pack {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    index: PackIndex,
    bodies: Bodies,
}

/// Where the bytes of the parts are, in the order of the index.
enum Bodies {
    /// In the archive: where each begins.
    Archive {
        archive: Arc<Mutex<dyn Seekable>>,
        starts: Vec<u64>,
    },
    Memory(Vec<Arc<[u8]>>),
}

/// A file, or as good as one.
trait Seekable: Read + Seek + Send {}

impl<R: Read + Seek + Send> Seekable for R {}

impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pack").field(&self.inner.name).finish()
    }
}

impl Pack {
    /// Opens a pack and hashes every part of it. Nothing is unpacked, and nothing is allocated by a number that the
    /// pack names before that number was found to be possible.
    ///
    /// # Errors
    /// Names the part that isn't what the index says, or what can't be read.
    pub fn open(path: &Path) -> Result<Self, PackError> {
        let failed = PackError::io(path);
        // Looked at before it is opened: a named pipe would hold us for ever.
        let metadata = std::fs::metadata(path).map_err(&failed)?;
        if !metadata.is_file() {
            let got = "something else".to_owned();
            return Err(PackError::part(&path.display().to_string(), "a file", got));
        }
        let file = File::open(path).map_err(&failed)?;
        Self::of_archive(file, metadata.len(), path)
    }

    /// As [`Self::open`], of a pack that is in memory: of any bytes. `name` is what it is called in reports.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, PackError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self::of_archive(Cursor::new(bytes), length, Path::new(name))
    }

    fn of_archive(mut archive: impl Seekable + 'static, length: u64, path: &Path) -> Result<Self, PackError> {
        let (index, starts) = read(&mut archive, length, path)?;
        let bodies = Bodies::Archive { archive: Arc::new(Mutex::new(archive)), starts };
        let name = format!("pack {}", path.display());
        Self { inner: Arc::new(Inner { name, index, bodies }) }.with_layout()
    }

    /// A pack whose parts are in memory, in the order of the index.
    pub(crate) fn in_memory(name: &str, index: PackIndex, bodies: Vec<Vec<u8>>) -> Result<Self, PackError> {
        index.check()?;
        if bodies.len() != index.parts.len() {
            let (expected, got) =
                (format!("{} parts", index.parts.len()), format!("{} of them", bodies.len()));
            return Err(PackError::part(INDEX, expected, got));
        }
        for (part, body) in index.parts.iter().zip(&bodies) {
            let hashed = Hashed::of(&mut body.as_slice(), part.size, &mut |_| Ok(()));
            let hashed = hashed.map_err(|error| PackError::Io { path: name.into(), error })?;
            if let Some(fault) = hashed.fault(part) {
                return Err(fault);
            }
        }
        let bodies = Bodies::Memory(bodies.into_iter().map(Arc::from).collect());
        Self { inner: Arc::new(Inner { name: name.to_owned(), index, bodies }) }.with_layout()
    }

    /// That other tools, which read the OCI layout, find the image that the index speaks of, and no other.
    fn with_layout(self) -> Result<Self, PackError> {
        for (name, expected) in self.inner.index.layout_files()? {
            let most = u64::try_from(expected.len()).unwrap_or(u64::MAX);
            if self.bytes(name, most)?.as_ref() != Some(&expected) {
                let expected = String::from_utf8_lossy(&expected).into_owned();
                return Err(PackError::part(name, expected, "something else"));
            }
        }
        Ok(self)
    }

    /// What the pack says that it is.
    #[must_use]
    pub fn index(&self) -> &PackIndex {
        &self.inner.index
    }

    /// A word for it, for a report.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.inner.name
    }

    /// The metadata in the pack.
    #[must_use]
    pub fn transport(&self) -> PackTransport {
        PackTransport::of(self.clone())
    }

    /// The image in the pack, and the evidence about it.
    #[must_use]
    pub fn source(&self) -> PackSource {
        PackSource::of(self.clone())
    }

    /// The oldest root in the pack: its version, and its fingerprint. It vouches for nothing.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn first_root(&self) -> Result<Option<(u64, Digest)>, PackError> {
        let versions = self.inner.index.parts.iter().filter_map(|part| {
            let name = part.name.strip_prefix(METADATA)?;
            let version = name.strip_suffix(".root.json")?.parse().ok()?;
            Some((version, part))
        });
        let Some((version, part)) = versions.min_by_key(|(version, _)| *version) else { return Ok(None) };
        let digest =
            Digest::from_hex(&part.sha256).map_err(|why| PackError::Index { why: why.to_string() })?;
        Ok(Some((version, digest)))
    }

    /// The root file in the pack that has this fingerprint, if one has.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn root_with(&self, sha256: &str) -> Result<Option<Vec<u8>>, PackError> {
        let root = self.inner.index.parts.iter().find(|part| {
            let is_root = part.name.starts_with(METADATA) && part.name.ends_with(".root.json");
            is_root && part.sha256.eq_ignore_ascii_case(sha256)
        });
        root.map(|part| self.bytes(&part.name, tuf_core::limits::ROOT_BYTES)).transpose().map(Option::flatten)
    }

    /// The root of a version.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn root(&self, version: u64) -> Result<Option<Vec<u8>>, PackError> {
        let name = format!("{METADATA}{}", metadata_file_name("root", Some(version)));
        self.bytes(&name, tuf_core::limits::ROOT_BYTES)
    }

    /// The rules that the pack was made under: for the record, never to judge it by.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn policy(&self) -> Result<Option<Vec<u8>>, PackError> {
        self.bytes(POLICY, limits::POLICY_BYTES)
    }

    /// Whether the blob or manifest with this digest is in the pack.
    #[must_use]
    pub fn holds(&self, digest: Digest) -> bool {
        self.inner.index.part(&blob_path(digest)).is_some()
    }

    /// A part's bytes, where it is there; an error where it has more than `most`.
    pub(crate) fn bytes(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, PackError> {
        let Some((part, mut reader)) = self.part(name) else { return Ok(None) };
        if part.size > most {
            let (expected, got) = (format!("at most {most} bytes"), format!("{} bytes", part.size));
            return Err(PackError::part(name, expected, got));
        }
        let mut bytes = Vec::new();
        let path = self.inner.name.clone();
        reader.read_to_end(&mut bytes).map_err(|error| PackError::Io { path: path.into(), error })?;
        Ok(Some(bytes))
    }

    /// A part, and what reads it.
    pub(crate) fn part(&self, name: &str) -> Option<(&Part, Box<dyn Read + Send>)> {
        let parts = &self.inner.index.parts;
        let at = parts.binary_search_by(|part| part.name.as_str().cmp(name)).ok()?;
        let part = parts.get(at)?;
        let reader: Box<dyn Read + Send> = match &self.inner.bodies {
            Bodies::Archive { archive, starts } => {
                Box::new(Slice { archive: Arc::clone(archive), at: *starts.get(at)?, left: part.size })
            }
            Bodies::Memory(bodies) => Box::new(Cursor::new(Arc::clone(bodies.get(at)?))),
        };
        Some((part, reader))
    }
}

/// The index, and where each part begins.
fn read(reader: &mut dyn Read, length: u64, path: &Path) -> Result<(PackIndex, Vec<u64>), PackError> {
    let failed = PackError::io(path);
    let mut archive = Counted { reader, at: 0, length };
    let size = index_size(&archive.block(&failed)?)?;
    if size > limits::INDEX_BYTES || size > archive.left() {
        let expected = format!("at most {} bytes, and what the file has", limits::INDEX_BYTES);
        return Err(PackError::part(INDEX, expected, format!("{size} announced")));
    }
    let mut text = Vec::new();
    (&mut *archive.reader).take(size).read_to_end(&mut text).map_err(&failed)?;
    archive.advance(size);
    archive.fill(size, INDEX, &failed)?;
    let index = PackIndex::from_bytes(&text)?;
    // All sizes together are those of the file, before any of them is used.
    let blocks = |part: &Part| BLOCK.checked_add(part.size)?.checked_add(padding(part.size));
    let all = index.parts.iter().try_fold(archive.at, |sum, part| sum.checked_add(blocks(part)?));
    let whole = all.and_then(|all| all.checked_add(2 * BLOCK));
    if whole != Some(length) {
        let expected = whole.map_or_else(|| "a possible size".to_owned(), |whole| format!("{whole} bytes"));
        return Err(PackError::part("the pack", expected, format!("{length} bytes")));
    }
    let mut starts = Vec::with_capacity(index.parts.len());
    for part in &index.parts {
        if archive.block(&failed)? != header(&part.name, part.size)? {
            return Err(PackError::part(&part.name, "its header", "another"));
        }
        starts.push(archive.at);
        let mut body = (&mut *archive.reader).take(part.size);
        let hashed = Hashed::of(&mut body, part.size, &mut |_| Ok(())).map_err(&failed)?;
        if let Some(fault) = hashed.fault(part) {
            return Err(fault);
        }
        archive.advance(part.size);
        archive.fill(part.size, &part.name, &failed)?;
    }
    for _ in 0..2 {
        if archive.block(&failed)?.iter().any(|byte| *byte != 0) {
            return Err(PackError::part("the pack", "its end", "something else"));
        }
    }
    Ok((index, starts))
}

/// The size that the first header announces, where it is the header of an index.
fn index_size(block: &[u8; 512]) -> Result<u64, PackError> {
    let size = tar::Header::from_byte_slice(block).entry_size();
    match size.ok().filter(|size| header(INDEX, *size).is_ok_and(|header| header == *block)) {
        Some(size) => Ok(size),
        None => Err(PackError::part("the pack", format!("{INDEX} at its beginning"), "something else")),
    }
}

struct Counted<'r> {
    reader: &'r mut dyn Read,
    at: u64,
    length: u64,
}

impl Counted<'_> {
    fn left(&self) -> u64 {
        self.length.saturating_sub(self.at)
    }

    fn advance(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(bytes);
    }

    fn block(&mut self, failed: &dyn Fn(io::Error) -> PackError) -> Result<[u8; 512], PackError> {
        let mut block = [0; 512];
        match self.reader.read_exact(&mut block) {
            Ok(()) => {
                self.advance(BLOCK);
                Ok(block)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(PackError::part("the pack", format!("a block at byte {}", self.at), "its end"))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What fills the last block of a part: zeros.
    fn fill(
        &mut self,
        size: u64,
        name: &str,
        failed: &dyn Fn(io::Error) -> PackError,
    ) -> Result<(), PackError> {
        let length = padding(size);
        let mut rest = Vec::new();
        (&mut *self.reader).take(length).read_to_end(&mut rest).map_err(failed)?;
        self.advance(length);
        match rest.iter().all(|byte| *byte == 0) && u64::try_from(rest.len()) == Ok(length) {
            true => Ok(()),
            false => Err(PackError::part(name, format!("{length} zeros after it"), "something else")),
        }
    }
}

/// A part of an archive that several read at once.
struct Slice {
    archive: Arc<Mutex<dyn Seekable>>,
    at: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        archive.seek(SeekFrom::Start(self.at))?;
        let read = archive.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(bytes);
        self.left = self.left.saturating_sub(bytes);
        Ok(read)
    }
}

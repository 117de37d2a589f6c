//! Writing a layout: all of it or nothing.
//!
//! Blobs are verified as they are written, under a temporary name, and get their own only afterwards.
//! The index, which makes them an image, comes last. Whoever gives up leaves the folder as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use tempfile::NamedTempFile;
use thiserror::Error;

use super::{INDEX, MARKER, VERSION, blob_path, expect_version, index_of, open_blob, read_file};
use crate::descriptor::{Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::manifest::MANIFEST_MAX;
use crate::media;
use crate::source::SourceError;
use crate::verify_reader::{BlobError, copy_blob, verify_blob};

/// Held while writing, so that two writers don't lose each other's images.
const LOCK: &str = ".hallmark.lock";

/// What [`LayoutWriter::put_blob`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Put {
    /// The blob was there, and was hashed again.
    Reused,
    /// The blob was written.
    Written,
}

/// Adds one image to a layout, which it creates if need be. Dropped before [`Self::commit`], it removes
/// what it wrote.
#[derive(Debug)]
pub struct LayoutWriter {
    dir: PathBuf,
    /// The index when writing began; `None` if there was no layout.
    before: Option<Vec<u8>>,
    /// Files that were not there before.
    written: BTreeSet<PathBuf>,
    /// Folders that were not there before, the outermost first.
    created: Vec<PathBuf>,
    lock: Option<File>,
    done: bool,
}

impl LayoutWriter {
    /// Opens or creates the layout in this folder, and locks it.
    ///
    /// # Errors
    /// When the folder holds something else, another writer has it, or it can't be written.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let dir = dir.into();
        let mut writer = Self {
            before: None,
            written: BTreeSet::new(),
            created: Vec::new(),
            lock: None,
            done: false,
            dir: dir.clone(),
        };
        writer.create_dir(&dir)?;
        writer.lock = Some(lock(&dir)?);
        if dir.join(MARKER).exists() {
            expect_version(&dir)?;
            let bytes = read_file(&dir.join(INDEX), MANIFEST_MAX)?;
            index_of(&dir, &bytes)?;
            writer.before = Some(bytes);
        } else if has_other_files(&dir)? {
            return Err(LayoutError::NotEmpty { dir });
        }
        writer.create_dir(&dir.join("blobs"))?;
        writer.create_dir(&dir.join("blobs").join("sha256"))?;
        Ok(writer)
    }

    /// Whether the layout has this blob; it is hashed to find out.
    pub fn has_blob(&self, want: &Descriptor) -> bool {
        let file = open_blob(&self.dir, want.digest).ok().flatten();
        file.is_some_and(|file| verify_blob(file, want, &mut |_| {}).is_ok())
    }

    /// Writes a blob, verified on the way; `progress` is told how many bytes are done. If the layout has
    /// the blob already, `reader` is not touched.
    ///
    /// # Errors
    /// When the bytes are not the blob's, or can't be read or written.
    pub fn put_blob(
        &mut self,
        want: &Descriptor,
        reader: impl Read,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Put, LayoutError> {
        if self.has_blob(want) {
            return Ok(Put::Reused);
        }
        let path = blob_path(&self.dir, want.digest);
        let bad = |error| LayoutError::Blob { digest: want.digest, error };
        self.replace(&path, |file| copy_blob(reader, want, file, progress).map_err(bad))?;
        Ok(Put::Written)
    }

    /// Writes a manifest that was fetched before.
    ///
    /// # Errors
    /// When the bytes are not the descriptor's, or can't be written.
    pub fn put_manifest(&mut self, want: &Descriptor, bytes: &[u8]) -> Result<Put, LayoutError> {
        self.put_blob(want, bytes, &mut |_| {})
    }

    /// Names the image, in place of the one that had the name, and makes all of it last.
    ///
    /// # Errors
    /// When the manifest was not put before, or the index can't be written.
    pub fn commit(mut self, tag: Option<&str>, mut image: Descriptor) -> Result<(), LayoutError> {
        if !self.has_blob(&image) {
            return Err(LayoutError::NoManifest { digest: image.digest });
        }
        image.annotations.remove(REF_NAME);
        if let Some(tag) = tag {
            image.annotations.insert(REF_NAME.into(), tag.into());
        }
        let index = self.index_with(&image)?;
        sync_dir(&self.dir.join("blobs").join("sha256"))?;
        if self.before.is_none() {
            let marker = format!("{{\"imageLayoutVersion\":\"{VERSION}\"}}");
            self.write(MARKER, marker.as_bytes())?;
        }
        self.write(INDEX, &index)?;
        self.done = true;
        sync_dir(&self.dir)
    }

    /// The index with this image. What else is in it stays, byte for byte where it is not understood.
    fn index_with(&self, image: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let mut members = match &self.before {
            Some(bytes) => serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(bytes)?,
            None => BTreeMap::from([
                ("schemaVersion".to_owned(), RawValue::from_string("2".into())?),
                ("mediaType".to_owned(), serde_json::value::to_raw_value(media::OCI_INDEX)?),
            ]),
        };
        let old = members.get("manifests").map_or("[]", |raw| raw.get());
        let mut entries: Vec<Box<RawValue>> = serde_json::from_str::<Option<_>>(old)?.unwrap_or_default();
        entries.retain(|entry| !is_replaced(entry, image));
        entries.push(serde_json::value::to_raw_value(image)?);
        members.insert("manifests".into(), serde_json::value::to_raw_value(&entries)?);
        Ok(serde_json::to_vec(&members)?)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), LayoutError> {
        let path = self.dir.join(name);
        let unwritten = LayoutError::io(&path);
        self.replace(&path, |file| file.write_all(bytes).map_err(unwritten))
    }

    /// Puts a file in place of whatever is there, at once.
    fn replace(
        &mut self,
        path: &Path,
        fill: impl FnOnce(&mut File) -> Result<(), LayoutError>,
    ) -> Result<(), LayoutError> {
        let parent = path.parent().unwrap_or(&self.dir);
        let mut file = temporary(parent).map_err(LayoutError::io(parent))?;
        fill(file.as_file_mut())?;
        file.as_file().sync_all().map_err(LayoutError::io(path))?;
        let is_new = fs::symlink_metadata(path).is_err();
        file.persist(path).map_err(|error| LayoutError::io(path)(error.error))?;
        if is_new {
            self.written.insert(path.to_owned());
        }
        Ok(())
    }

    /// Creates a folder and those above it, and remembers which ones were missing.
    fn create_dir(&mut self, dir: &Path) -> Result<(), LayoutError> {
        let missing: Vec<PathBuf> =
            dir.ancestors().take_while(|dir| is_missing(dir)).map(Path::to_owned).collect();
        for dir in missing.into_iter().rev() {
            match fs::create_dir(&dir) {
                Ok(()) => self.created.push(dir),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(LayoutError::Io { path: dir, error }),
            }
        }
        if dir.is_dir() { Ok(()) } else { Err(LayoutError::NotEmpty { dir: dir.to_owned() }) }
    }

    /// Whether a program that takes no lock has changed the index since: then it may use our blobs.
    fn is_index_changed(&self) -> bool {
        match (fs::read(self.dir.join(INDEX)), &self.before) {
            (Ok(now), Some(before)) => now != *before,
            (Ok(_), None) => !self.written.contains(&self.dir.join(INDEX)),
            (Err(_), _) => false,
        }
    }
}

impl Drop for LayoutWriter {
    fn drop(&mut self) {
        // Nobody hears of a failure to clean up here, and nothing could be done about it.
        if !self.done && !self.is_index_changed() {
            for file in &self.written {
                let _ = fs::remove_file(file);
            }
        }
        if self.lock.take().is_some() {
            let _ = fs::remove_file(self.dir.join(LOCK));
        }
        if !self.done {
            // Only empty folders go.
            for dir in self.created.iter().rev() {
                let _ = fs::remove_dir(dir);
            }
        }
    }
}

/// Takes the lock file, which the last holder may be removing at this moment: then another try.
fn lock(dir: &Path) -> Result<File, LayoutError> {
    let path = dir.join(LOCK);
    for _ in 0..10 {
        let file = File::options().create(true).append(true).open(&path).map_err(LayoutError::io(&path))?;
        match file.try_lock() {
            Ok(()) if is_same_file(&file, &path) => return Ok(file),
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => break,
            Err(fs::TryLockError::Error(error)) => return Err(LayoutError::Io { path, error }),
        }
    }
    Err(LayoutError::Locked { dir: dir.to_owned() })
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Elsewhere an open file can't be removed.
#[cfg(not(unix))]
fn is_same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

/// A layout is for others to read too, as far as the umask allows; temporary files are private by default.
fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hallmark-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(dir)
}

fn sync_dir(dir: &Path) -> Result<(), LayoutError> {
    // Elsewhere a folder can't be opened, and its entries last without this.
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(LayoutError::io(dir))?;
    }
    Ok(())
}

fn is_missing(dir: &Path) -> bool {
    !dir.as_os_str().is_empty() && fs::symlink_metadata(dir).is_err()
}

fn has_other_files(dir: &Path) -> Result<bool, LayoutError> {
    let entries = fs::read_dir(dir).map_err(LayoutError::io(dir))?;
    Ok(entries.flatten().any(|entry| entry.file_name() != LOCK))
}

/// An entry gives way to another of the same name, or, if neither has a name, of the same digest.
fn is_replaced(entry: &RawValue, image: &Descriptor) -> bool {
    let Ok(entry) = Descriptor::deserialize(entry) else { return false };
    match (entry.ref_name(), image.ref_name()) {
        (None, None) => entry.digest == image.digest,
        (theirs, ours) => theirs == ours,
    }
}

/// Why a layout could not be written. It is as it was before.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A blob is not the one that was announced, or could not be copied.
    #[error("blob {digest}: {error}")]
    Blob {
        /// The blob's digest.
        digest: Digest,
        /// What happened.
        error: BlobError,
    },
    /// The layout that is there can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The folder holds something that is not a layout.
    #[error("{} is neither empty nor an OCI layout", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// Another program writes to the layout.
    #[error("another program writes to {} at the moment", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// The image to be named is not in the layout.
    #[error("manifest {digest} is not in the layout yet")]
    NoManifest {
        /// The manifest's digest.
        digest: Digest,
    },
    /// The index can't be extended.
    #[error("index.json can't be extended: {0}")]
    Index(#[from] serde_json::Error),
    /// A file could not be written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
}

impl LayoutError {
    /// Whether nothing was learnt about the image: *could not tell*. Otherwise its bytes are bad.
    pub fn unreachable(&self) -> bool {
        match self {
            Self::Blob { error, .. } => error.unreachable(),
            Self::Source(error) => error.unreachable(),
            Self::NotEmpty { .. } | Self::Locked { .. } | Self::Io { .. } => true,
            Self::NoManifest { .. } | Self::Index(_) => false,
        }
    }

    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LayoutSource;

    const MANIFEST: &[u8] = b"{\"schemaVersion\":2,\"manifests\":[]}";

    fn put(dir: &Path, tag: Option<&str>, layer: &[u8]) -> Result<(), LayoutError> {
        let mut writer = LayoutWriter::open(dir)?;
        writer.put_blob(&Descriptor::of("x/y", layer), layer, &mut |_| {})?;
        let image = Descriptor::of(media::OCI_INDEX, MANIFEST);
        writer.put_manifest(&image, MANIFEST)?;
        writer.commit(tag, image)
    }

    /// Every path below, with what is in it.
    fn tree(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                all.extend(tree(&path));
            }
            all.insert(path.clone(), fs::read(&path).ok());
        }
        all
    }

    #[test]
    fn a_new_layout_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = dir.path().join("a/b");
        put(&layout, Some("1"), b"layer").unwrap();
        let source = LayoutSource::open(&layout).unwrap();
        let image = source.resolve(Some("1"), None).unwrap();
        assert_eq!(image.digest, Digest::of(MANIFEST));
        assert_eq!(source.resolve(None, None).unwrap(), image);
        assert_eq!(tree(&layout).len(), 6, "{:?}", tree(&layout).keys());
    }

    #[test]
    fn other_images_and_unknown_members_stay() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), Some("1"), b"layer").unwrap();
        let index = fs::read_to_string(dir.path().join(INDEX)).unwrap();
        let marked = index.replacen('{', "{\"x-ours\":{\"b\":1,\"a\":1.50},", 1);
        fs::write(dir.path().join(INDEX), marked).unwrap();
        put(dir.path(), Some("2"), b"other").unwrap();
        put(dir.path(), Some("2"), b"third").unwrap();
        assert_eq!(LayoutSource::open(dir.path()).unwrap().tags(), ["1", "2"]);
        let index = fs::read_to_string(dir.path().join(INDEX)).unwrap();
        assert!(index.contains("\"x-ours\":{\"b\":1,\"a\":1.50}"), "{index}");
        assert_eq!(index.matches("\"2\"").count(), 1, "{index}");
    }

    #[test]
    fn a_bad_blob_leaves_no_trace_in_a_new_folder() {
        let dir = tempfile::tempdir().unwrap();
        let want = Descriptor::of("x/y", b"layer");
        let mut writer = LayoutWriter::open(dir.path().join("new/layout")).unwrap();
        writer.put_manifest(&Descriptor::of("x/y", MANIFEST), MANIFEST).unwrap();
        let error = writer.put_blob(&want, &b"lAyer"[..], &mut |_| {}).unwrap_err();
        let got = Digest::of(b"lAyer");
        let digest = want.digest;
        assert_eq!(error.to_string(), format!("blob {digest}: expected digest {digest}, got {got}"));
        drop(writer);
        assert_eq!(tree(dir.path()), BTreeMap::new());
    }

    #[test]
    fn a_bad_blob_leaves_an_old_layout_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), Some("1"), b"layer").unwrap();
        let before = tree(dir.path());
        let mut writer = LayoutWriter::open(dir.path()).unwrap();
        writer.put_blob(&Descriptor::of("x/y", b"good"), &b"good"[..], &mut |_| {}).unwrap();
        writer.put_blob(&Descriptor::of("x/y", b"long"), &b"longer"[..], &mut |_| {}).unwrap_err();
        drop(writer);
        assert_eq!(tree(dir.path()), before);
    }

    #[test]
    fn a_good_blob_is_reused_and_a_damaged_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), Some("1"), b"layer").unwrap();
        let want = Descriptor::of("x/y", b"layer");
        let mut writer = LayoutWriter::open(dir.path()).unwrap();
        assert_eq!(writer.put_blob(&want, io::empty(), &mut |_| {}).unwrap(), Put::Reused);
        fs::write(blob_path(dir.path(), want.digest), b"lAyer").unwrap();
        assert_eq!(writer.put_blob(&want, &b"layer"[..], &mut |_| {}).unwrap(), Put::Written);
        drop(writer);
        assert_eq!(fs::read(blob_path(dir.path(), want.digest)).unwrap(), b"layer");
    }

    #[test]
    fn two_writers_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let first = LayoutWriter::open(dir.path()).unwrap();
        assert!(matches!(LayoutWriter::open(dir.path()), Err(LayoutError::Locked { .. })));
        drop(first);
        put(dir.path(), None, b"layer").unwrap();
    }

    #[test]
    fn an_image_without_its_manifest_is_not_named() {
        let dir = tempfile::tempdir().unwrap();
        let writer = LayoutWriter::open(dir.path()).unwrap();
        let error = writer.commit(None, Descriptor::of("x/y", MANIFEST)).unwrap_err();
        assert!(matches!(error, LayoutError::NoManifest { .. }));
        assert_eq!(tree(dir.path()), BTreeMap::new());
    }

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("letter.txt"), "dear").unwrap();
        let before = tree(dir.path());
        assert!(matches!(LayoutWriter::open(dir.path()), Err(LayoutError::NotEmpty { .. })));
        assert_eq!(tree(dir.path()), before);
    }
}

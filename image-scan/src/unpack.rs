//! An image as a folder, for engines of others that know no layers: the only place here that writes.
//!
//! What the layers say is a stranger's word. Every path is looked up by the kernel with the folder as its root
//! (`openat2`, `RESOLVE_IN_ROOT`), so no link leads out of it; files are made anew, never opened; there are no
//! devices, no owners and no set-uid bits. Bytes that aren't those of the layer's digest are an error, and the
//! caller throws the folder away.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use oci_image::{Descriptor, ImageSource};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::archive::{Archive, Entry, Kind};
use crate::error::{ArchiveError, ScanError};
use crate::inventory::walk_error;
use crate::layer::Layer;
use crate::limits;
use crate::walk::WalkError;

/// How a file says that a lower layer's is gone.
const WHITEOUT: &[u8] = b".wh.";
/// How a folder says so of all that lower layers have in it.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Unpacked {
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes in files.
    pub bytes: u64,
    /// Entries that were left out: devices, pipes, files with holes, and what no folder could take.
    pub left_out: u64,
}

/// Writes what a container made of these layers would have into an empty folder, at most `limit` bytes of it.
///
/// # Errors
/// When a layer can't be had, isn't the one that is meant, isn't an archive within the bounds, or can't be written.
pub fn unpack(
    layers: &[Descriptor],
    source: &dyn ImageSource,
    dir: &Path,
    limit: u64,
) -> Result<Unpacked, ScanError> {
    let root = File::open(dir).map_err(|error| ScanError::Write { path: dir.to_owned(), error })?;
    let mut folder = Folder { root: root.into(), dir: dir.to_owned(), limit, done: Unpacked::default() };
    for descriptor in layers {
        let layer = descriptor.digest;
        let blob = source.blob(descriptor).map_err(|error| ScanError::Source { layer, error })?;
        std::thread::scope(|scope| {
            let mut progress = |_| {};
            let mut archive = Archive::new(Layer::open(scope, blob, descriptor, &mut progress));
            let broken = |error| walk_error(layer, WalkError::Archive(error));
            let mut made = Made::default();
            while let Some(entry) = archive.next().map_err(broken)? {
                folder.entry(&entry, &mut archive.body(), &mut made, layer)?;
            }
            archive.drain().map_err(broken).map(drop)
        })?;
    }
    Ok(folder.done)
}

struct Folder {
    root: OwnedFd,
    dir: PathBuf,
    limit: u64,
    done: Unpacked,
}

/// A path from the root, in its parts.
type Parts = Vec<OsString>;

/// What this layer has made so far, with the folders above it, where it really is: whiteouts hide only what is of lower
/// layers, by whatever link they get there.
#[derive(Default)]
struct Made {
    paths: HashSet<PathBuf>,
    /// The bytes of them.
    names: usize,
}

impl Made {
    fn insert(&mut self, path: &Path) -> Result<(), ScanError> {
        for above in path.ancestors() {
            // Those above it are there, then.
            if !self.paths.insert(above.to_owned()) {
                break;
            }
            self.names = self.names.saturating_add(above.as_os_str().len());
        }
        match self.names > limits::NAMES_MAX {
            true => {
                let limit = u64::try_from(limits::NAMES_MAX).unwrap_or(u64::MAX);
                Err(ScanError::TooMany { what: "bytes of paths", limit })
            }
            false => Ok(()),
        }
    }

    fn contains(&self, path: &Path) -> bool {
        self.paths.contains(path)
    }
}

impl Folder {
    fn entry(
        &mut self,
        entry: &Entry,
        body: &mut impl Read,
        made: &mut Made,
        layer: oci_image::Digest,
    ) -> Result<(), ScanError> {
        let archive = |why| ScanError::Archive { layer, why };
        let count = self.done.entries.saturating_add(self.done.left_out);
        if count >= limits::ENTRIES_MAX {
            return Err(ScanError::TooMany { what: "entries", limit: limits::ENTRIES_MAX });
        }
        let mut parts = parts(&entry.path).map_err(archive)?;
        let Some(name) = parts.pop() else { return Ok(()) };
        if name.as_bytes() == OPAQUE {
            return self.or_left_out(|folder| hidden(folder.opaque(&parts, made)));
        }
        if let Some(gone) = name.as_bytes().strip_prefix(WHITEOUT) {
            let gone = OsStr::from_bytes(gone).to_owned();
            let is_name = !matches!(gone.as_bytes(), b"" | b"." | b"..");
            return match is_name {
                true => self.or_left_out(|folder| hidden(folder.whiteout(&parts, &gone, made))),
                false => Ok(()),
            };
        }
        let link = self::parts(&entry.link).map_err(archive)?;
        let (mut bytes, mut place) = (0, None);
        let left = self.limit.saturating_sub(self.done.bytes);
        self.or_left_out(|folder| {
            let parent = folder.parent(&parts)?;
            match entry.kind {
                Kind::Dir => folder.make_dir(&parent, &name),
                Kind::File => {
                    folder.remove(&parent, &name)?;
                    bytes = write(&parent, &name, body, left)?;
                    Ok(())
                }
                Kind::Symlink => {
                    folder.remove(&parent, &name)?;
                    Ok(rustix::fs::symlinkat(OsStr::from_bytes(&entry.link), &parent, &name)?)
                }
                Kind::HardLink => folder.hard_link(&link, &parent, &name),
                Kind::Sparse | Kind::Other => Err(io::Error::from(io::ErrorKind::Unsupported)),
            }?;
            folder.done.entries = folder.done.entries.saturating_add(1);
            place = Some(real(&parent)?.join(&name));
            Ok(())
        })?;
        self.done.bytes = self.done.bytes.saturating_add(bytes);
        if self.done.bytes > self.limit {
            return Err(archive(ArchiveError::TooLarge { limit: self.limit }));
        }
        place.map_or(Ok(()), |place| made.insert(&place))
    }

    /// What the image's own tree makes impossible is left out, as a runtime would fail on it; what this machine
    /// makes impossible, such as a full disk, or a layer that can't be read, ends it.
    fn or_left_out(&mut self, act: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<(), ScanError> {
        let Err(error) = act(self) else { return Ok(()) };
        use io::ErrorKind::{
            AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, Unsupported,
        };
        let of_the_image = matches!(
            error.kind(),
            AlreadyExists
                | InvalidFilename
                | InvalidInput
                | IsADirectory
                | NotADirectory
                | NotFound
                | Unsupported
        ) || Errno::from_io_error(&error)
            .is_some_and(|errno| matches!(errno, Errno::LOOP | Errno::XDEV));
        match of_the_image {
            true => self.done.left_out = self.done.left_out.saturating_add(1),
            false => return Err(ScanError::Write { path: self.dir.clone(), error }),
        }
        Ok(())
    }

    fn open(&self, parts: &[OsString]) -> io::Result<OwnedFd> {
        let mut path = PathBuf::from(".");
        path.extend(parts);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(&self.root, &path, flags, Mode::empty(), resolve)?)
    }

    /// The folder of an entry; those above it are made where an archive leaves them out.
    fn parent(&self, parts: &[OsString]) -> io::Result<OwnedFd> {
        match self.open(parts) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let mut parent = self.open(&[])?;
        for (at, part) in parts.iter().enumerate() {
            let upto = parts.get(..=at).unwrap_or(parts);
            parent = match self.open(upto) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755))?;
                    self.open(upto)?
                }
                opened => opened?,
            };
        }
        Ok(parent)
    }

    fn make_dir(&self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        if kind(parent, name)? == Some(FileType::Directory) {
            return Ok(());
        }
        self.remove(parent, name)?;
        Ok(rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?)
    }

    fn hard_link(&self, target: &[OsString], parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let (from, above) = target.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let above = self.open(above)?;
        // A file that is linked to itself must not be removed first.
        if kind(&above, from)?.is_none_or(|kind| kind == FileType::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let same = |a: rustix::fs::Stat, b: rustix::fs::Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        let stat =
            |parent: &OwnedFd, name: &OsStr| rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        if let (Ok(a), Ok(b)) = (stat(&above, from), stat(parent, name))
            && same(a, b)
        {
            return Ok(());
        }
        self.remove(parent, name)?;
        Ok(rustix::fs::linkat(&above, from, parent, name, AtFlags::empty())?)
    }

    /// Removes what lower layers have at a path.
    fn whiteout(&self, parts: &[OsString], name: &OsStr, made: &Made) -> io::Result<()> {
        let parent = self.open(parts)?;
        match made.contains(&real(&parent)?.join(name)) {
            false => self.remove(&parent, name),
            true if kind(&parent, name)? == Some(FileType::Directory) => {
                let path: Parts = parts.iter().cloned().chain([name.to_owned()]).collect();
                self.empty(&path, made)
            }
            true => Ok(()),
        }
    }

    /// Removes what lower layers have in a folder; a link of theirs, and not what it leads to.
    fn opaque(&self, parts: &[OsString], made: &Made) -> io::Result<()> {
        if let Some((name, above)) = parts.split_last() {
            let parent = self.open(above)?;
            if kind(&parent, name)? == Some(FileType::Symlink) {
                let is_own = made.contains(&real(&parent)?.join(name));
                return if is_own { Ok(()) } else { self.remove(&parent, name) };
            }
        }
        self.empty(parts, made)
    }

    /// Removes what lower layers have in a folder that is one.
    fn empty(&self, parts: &[OsString], made: &Made) -> io::Result<()> {
        let folder = self.open(parts)?;
        let place = real(&folder)?;
        for child in fs::read_dir(within(&folder))? {
            let name = child?.file_name();
            if !made.contains(&place.join(&name)) {
                self.remove(&folder, &name)?;
            } else if kind(&folder, &name)? == Some(FileType::Directory) {
                let path: Parts = parts.iter().cloned().chain([name]).collect();
                self.empty(&path, made)?;
            }
        }
        Ok(())
    }

    fn remove(&self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        match kind(parent, name)? {
            None => Ok(()),
            // Follows no link below the folder.
            Some(FileType::Directory) => fs::remove_dir_all(within(parent).join(name)),
            Some(_) => Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?),
        }
    }
}

/// Where there is nothing, there is nothing to hide.
fn hidden(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The path of a folder that is open, whatever its name leads to by now.
fn within(folder: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// Where a folder that is open really is, all links followed.
fn real(folder: &OwnedFd) -> io::Result<PathBuf> {
    fs::read_link(within(folder))
}

/// What is there, if anything: of a link, the link.
fn kind(parent: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes a new file. How many bytes: one more than `limit`, where there were too many.
fn write(parent: &OwnedFd, name: &OsStr, body: &mut impl Read, limit: u64) -> io::Result<u64> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644))?;
    io::copy(&mut body.take(limit.saturating_add(1)), &mut File::from(file))
}

/// The parts of a path, as runtimes clean it: from the root, which `..` doesn't leave.
fn parts(path: &[u8]) -> Result<Parts, ArchiveError> {
    let mut parts = Parts::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(OsString::from_vec(part.to_vec())),
        }
    }
    match path.len() <= limits::PATH_MAX && parts.len() <= limits::DEPTH_MAX {
        true => Ok(parts),
        false => Err(ArchiveError::Path),
    }
}

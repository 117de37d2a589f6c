//! The walk through a layer: every entry is placed, and what is wanted is read.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::sync::Arc;

use crate::archive::{Archive, Entry, Kind};
use crate::catalog;
use crate::component::Found;
use crate::error::ArchiveError;
use crate::inventory::Unread;
use crate::limits;
use crate::tree::{Path, Tree, Weighed, What, clean, split};
use crate::wanted::Wanted;

/// What begins the name of a whiteout (image specification, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";

/// The name that hides all that lower layers have in its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What is kept of a file.
pub(crate) struct Kept {
    pub(crate) wanted: Wanted,
    pub(crate) content: Content,
}

/// Databases are kept as they are, because they are looked at again. Of other files only what they name is.
pub(crate) enum Content {
    Bytes(Vec<u8>),
    Found(Vec<Found>),
}

impl Kept {
    /// Whether it is a database of the same kind and the same bytes.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::Bytes(a), Content::Bytes(b)) => self.wanted == other.wanted && a == b,
            _ => false,
        }
    }
}

impl Weighed for Kept {
    /// Each of what was found there is told with the place.
    fn size(&self, place: &[u8]) -> usize {
        match &self.content {
            // Of a database comes no more than so many packages; of any number of files, more than there are bytes.
            Content::Bytes(bytes) if self.wanted == Wanted::DpkgPart => bytes.len().saturating_mul(16),
            Content::Bytes(bytes) => bytes.len(),
            Content::Found(found) => found
                .iter()
                .fold(0_usize, |sum, one| sum.saturating_add(one.size()).saturating_add(place.len())),
        }
    }

    fn is_watched(&self) -> bool {
        self.wanted.is_database()
    }
}

/// Too much of something, or an archive that is broken.
#[derive(Debug)]
pub(crate) enum WalkError {
    Archive(ArchiveError),
    TooMany { what: &'static str, limit: u64 },
}

impl From<ArchiveError> for WalkError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

/// The state of a walk through all layers.
pub(crate) struct Walk {
    pub(crate) tree: Tree<Kept>,
    pub(crate) unread: Vec<Unread>,
    pub(crate) unread_more: usize,
    /// Files that are wanted for the sake of another name, as an earlier walk found.
    spare: HashMap<Path, Wanted>,
    /// Such files that this walk passed over.
    missed: HashMap<Path, Wanted>,
    /// The bytes of their paths, and some for each.
    missed_names: usize,
    layer: usize,
    entries: u64,
    /// How many bytes may still come of what is packed within files.
    inflatable: u64,
    /// Programs are looked at one at a time, in the same memory.
    scratch: Vec<u8>,
}

impl Walk {
    /// A walk that keeps these files too, whatever their own names say.
    pub(crate) fn keeping(spare: HashMap<Path, Wanted>) -> Self {
        Self {
            spare,
            missed: HashMap::new(),
            missed_names: 0,
            tree: Tree::new(),
            unread: Vec::new(),
            unread_more: 0,
            layer: 0,
            entries: 0,
            inflatable: limits::INFLATED_MAX,
            scratch: Vec::new(),
        }
    }

    /// What another walk should keep besides, if that could tell more than this one.
    pub(crate) fn worth_another(&self) -> Option<HashMap<Path, Wanted>> {
        let more = self.missed.keys().any(|place| !self.spare.contains_key(place));
        more.then(|| {
            self.spare.iter().chain(&self.missed).map(|(place, wanted)| (place.clone(), *wanted)).collect()
        })
    }

    /// Walks through one layer, and gives its reader back at the end of all bytes.
    pub(crate) fn layer<R: BufRead>(&mut self, index: usize, reader: R) -> Result<R, WalkError> {
        self.layer = index;
        let mut archive = Archive::new(reader);
        while let Some(entry) = archive.next()? {
            self.count()?;
            self.entry(&entry, &mut archive)?;
        }
        self.tree.settle();
        Ok(archive.drain()?)
    }

    fn count(&mut self) -> Result<(), WalkError> {
        self.entries = self.entries.saturating_add(1);
        if self.entries > limits::ENTRIES_MAX {
            return Err(WalkError::TooMany { what: "files", limit: limits::ENTRIES_MAX });
        }
        if self.tree.len() > limits::NODES_MAX {
            return Err(too_many("links and packages", limits::NODES_MAX));
        }
        if self.tree.names().saturating_add(self.missed_names) > limits::NAMES_MAX {
            return Err(too_many("bytes of paths and links", limits::NAMES_MAX));
        }
        if self.tree.followed() > limits::FOLLOWED_MAX {
            let limit = limits::FOLLOWED_MAX;
            return Err(WalkError::TooMany { what: "steps through symbolic links", limit });
        }
        if self.tree.kept() > limits::KEPT_MAX {
            return Err(too_many("bytes of package databases", limits::KEPT_MAX));
        }
        Ok(())
    }

    fn entry<R: BufRead>(&mut self, entry: &Entry, archive: &mut Archive<R>) -> Result<(), WalkError> {
        let path = clean(&entry.path)?;
        let (dir, name) = split(&path);
        if path.is_empty() {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return Ok(self.whiteout(dir, name, hidden)?);
        }
        let place = self.tree.place(&path)?;
        match entry.kind {
            Kind::Dir => self.tree.folder_comes(&place),
            Kind::Symlink => self.symlink(place, &entry.link)?,
            Kind::HardLink => self.hard_link(place, &entry.link)?,
            Kind::File => {
                if entry.size > 0 && place.ends_with(b"/rpmdb.sqlite-wal") {
                    self.not_read(&place, "changes that are not in the database yet");
                }
                self.file(place, entry.size, archive)?;
            }
            Kind::Sparse => {
                // Of what is stored the size says nothing: any may be a program.
                if Wanted::of(&place, u64::MAX).is_some() {
                    self.not_read(&place, "it is stored with holes");
                }
                self.tree.clear(&place);
            }
            Kind::Other => self.tree.clear(&place),
        }
        Ok(())
    }

    fn whiteout(&mut self, dir: &[u8], name: &[u8], hidden: &[u8]) -> Result<(), ArchiveError> {
        match hidden {
            _ if name == OPAQUE => {
                let place = self.tree.place(dir)?;
                let hid = self.tree.opaque(self.layer, &place);
                self.hidden(dir, &place, hid);
            }
            // Names that no file has, and what aufs keeps for itself.
            b"" | b"." | b".." => {}
            _ if hidden.starts_with(WHITEOUT) => {}
            _ => {
                let path = if dir.is_empty() { hidden.to_vec() } else { [dir, b"/", hidden].concat() };
                let place = self.tree.place(&path)?;
                let hid = self.tree.whiteout(self.layer, &place);
                self.hidden(&path, &place, hid);
            }
        }
        Ok(())
    }

    /// Where a lower layer has a link in the folders of a whiteout, some runtimes follow it, as is done here; those with an
    /// overlay put a folder in its place, and hide nothing. So what is hidden is told.
    fn hidden(&mut self, path: &[u8], place: &[u8], hid: usize) {
        if path != place && hid > 0 {
            self.not_read(place, "hidden through a link of a lower layer, which not all runtimes do");
        }
    }

    fn symlink(&mut self, place: Path, to: &[u8]) -> Result<(), ArchiveError> {
        if to.len() > limits::PATH_MAX {
            return Err(ArchiveError::Path);
        }
        self.tree.put(self.layer, place, What::Link(to.into()));
        Ok(())
    }

    /// A second name for what is at another place: of this layer, or of one below.
    fn hard_link(&mut self, place: Path, to: &[u8]) -> Result<(), ArchiveError> {
        let target = self.tree.place(&clean(to)?)?;
        if target == place {
            return Ok(());
        }
        let what = self.tree.at(&target).map(|node| node.what.clone());
        let spare = self.spare.get(&place).copied();
        let wanted = spare.or_else(|| Wanted::of(&place, 0));
        match what {
            Some(What::File(kept) | What::Spare(kept)) if wanted == Some(kept.wanted) => {
                let what = if spare.is_some() { What::Spare(kept) } else { What::File(kept) };
                self.tree.put(self.layer, place, what);
            }
            Some(other) if wanted.is_none() => self.tree.put(self.layer, place, other),
            Some(link @ What::Link(_)) => self.tree.put(self.layer, place, link),
            _ => {
                if let Some(wanted) = wanted {
                    self.not_read(&place, "it is a second name of a file that was passed over");
                    self.missed_names = self.missed_names.saturating_add(target.len()).saturating_add(64);
                    self.missed.insert(target, wanted);
                }
                self.tree.clear(&place);
            }
        }
        Ok(())
    }

    fn file<R: BufRead>(
        &mut self,
        place: Path,
        size: u64,
        archive: &mut Archive<R>,
    ) -> Result<(), WalkError> {
        let spare = self.spare.get(&place).copied();
        let wanted = spare.or_else(|| Wanted::of(&place, size));
        let kept = match wanted {
            Some(wanted) => self.read(&place, wanted, size, archive)?,
            None => None,
        };
        let Some(kept) = kept else {
            self.tree.clear(&place);
            return Ok(());
        };
        let kept = Arc::new(kept);
        let what = if spare.is_some() { What::Spare(kept) } else { What::File(kept) };
        self.tree.put(self.layer, place, what);
        Ok(())
    }

    fn read<R: BufRead>(
        &mut self,
        place: &[u8],
        wanted: Wanted,
        size: u64,
        archive: &mut Archive<R>,
    ) -> Result<Option<Kept>, ArchiveError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let read = self.read_into(&mut scratch, place, wanted, size, archive);
        self.scratch = scratch;
        read
    }

    fn read_into<R: BufRead>(
        &mut self,
        scratch: &mut Vec<u8>,
        place: &[u8],
        wanted: Wanted,
        size: u64,
        archive: &mut Archive<R>,
    ) -> Result<Option<Kept>, ArchiveError> {
        if wanted == Wanted::Program {
            archive.body().take(4).read_to_end(scratch).map_err(ArchiveError::Read)?;
            if scratch != b"\x7fELF" {
                return Ok(None);
            }
        }
        if size > wanted.limit() {
            self.not_read(place, "it is larger than such a file is looked through");
            return Ok(None);
        }
        archive.body().read_to_end(scratch).map_err(ArchiveError::Read)?;
        if u64::try_from(scratch.len()) != Ok(size) {
            return Err(ArchiveError::Truncated);
        }
        if wanted.is_database() || matches!(wanted, Wanted::OsRelease | Wanted::DpkgFiles) {
            return Ok(Some(Kept { wanted, content: Content::Bytes(scratch.clone()) }));
        }
        let mut found = Vec::new();
        // What could be read of it counts all the same.
        if let Err(why) = catalog::components(wanted, place, scratch, &mut self.inflatable, &mut found) {
            self.not_read(place, &why);
        }
        // One whose name says what it is was looked at, also for its other names. Of programs, most name nothing.
        let is_told = !found.is_empty() || wanted != Wanted::Program;
        Ok(is_told.then_some(Kept { wanted, content: Content::Found(found) }))
    }

    /// Package managers follow links to their database. Here it is looked for in its own place: what lies elsewhere
    /// wasn't read, and the image isn't without packages for that.
    pub(crate) fn tell_of_moved_databases(&mut self) {
        for name in DATABASES {
            let read = |place: &[u8]| Wanted::of(place, 0) == Wanted::of(name, 0);
            if self.tree.real(name).is_none_or(|real| real != name && !read(&real)) {
                self.not_read(name, "a link leads to another place, where it isn't looked for");
            }
        }
    }

    pub(crate) fn not_read(&mut self, place: &[u8], why: &str) {
        if self.unread.len() >= limits::UNREAD_MAX {
            self.unread_more = self.unread_more.saturating_add(1);
            return;
        }
        let path = format!("/{}", String::from_utf8_lossy(place));
        self.unread.push(Unread { layer: self.layer, path, why: why.to_owned() });
    }
}

/// Where package managers look for their databases: a path in each folder.
const DATABASES: [&[u8]; 11] = [
    b"var/lib/dpkg/status",
    b"var/lib/dpkg/status.d/a",
    b"lib/apk/db/installed",
    b"usr/lib/apk/db/installed",
    b"var/lib/rpm/rpmdb.sqlite",
    b"var/lib/rpm/Packages",
    b"var/lib/rpm/Packages.db",
    b"usr/lib/sysimage/rpm/rpmdb.sqlite",
    b"usr/lib/sysimage/rpm/Packages.db",
    b"usr/share/rpm/rpmdb.sqlite",
    b"usr/share/rpm/Packages.db",
];

fn too_many(what: &'static str, limit: usize) -> WalkError {
    WalkError::TooMany { what, limit: u64::try_from(limit).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers of empty files, as an archive has them.
    fn files(count: u32) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for number in 0..count {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            archive.append_data(&mut header, number.to_string(), &b""[..]).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// Ten million files would take a minute to pass over: the walk is begun when most of them have been.
    #[test]
    fn the_first_entry_beyond_the_bound_is_refused() {
        for (before, refused) in [(limits::ENTRIES_MAX - 3, false), (limits::ENTRIES_MAX - 2, true)] {
            let mut walk = Walk::keeping(HashMap::new());
            walk.entries = before;
            let archive = files(3);
            let walked = walk.layer(0, &archive[..]);
            assert_eq!(
                walked.map(|_| ()).map_err(|error| format!("{error:?}")),
                if refused { Err("TooMany { what: \"files\", limit: 5000000 }".to_owned()) } else { Ok(()) }
            );
        }
        // What is kept is bounded, too, whatever layer it came with.
        let mut walk = Walk::keeping(HashMap::new());
        walk.tree.put(
            0,
            b"a".to_vec(),
            What::File(Arc::new(Kept {
                wanted: Wanted::DpkgPart,
                content: Content::Bytes(vec![0; limits::KEPT_MAX / 16 + 1]),
            })),
        );
        let archive = files(1);
        let why = walk.layer(0, &archive[..]).map(|_| ()).unwrap_err();
        assert!(matches!(why, WalkError::TooMany { what: "bytes of package databases", .. }));
    }
}

//! What a directory holds, to show that a refusal left it as it was.
//!
//! Times are left out: reading a file may change one, and no state of ours is in them.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::digest::sha256_hex;

/// Every path below a directory, with its kind, mode and content. An absent directory has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: PathBuf,
    entries: BTreeMap<String, Entry>,
}

/// One path of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder; what is in it has entries of its own.
    Folder {
        /// Permission bits.
        mode: u32,
    },
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// Bytes in it.
        length: u64,
        /// Their SHA-256, in hex.
        sha256: String,
    },
    /// A symbolic link, not followed.
    Link {
        /// Where it points.
        to: PathBuf,
    },
    /// A socket, pipe or device.
    Other,
}

impl Tree {
    /// Reads the directory `root`.
    ///
    /// # Errors
    /// Something in it can't be read. That `root` is absent is no error.
    pub fn of(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = root.as_ref().to_path_buf();
        let mut entries = BTreeMap::new();
        match fs::symlink_metadata(&root) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            _ => walk(&root, &root, &mut entries)?,
        }
        Ok(Self { root, entries })
    }

    /// Each path, relative to the root, and what is there.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// One line for each path that differs in `after`: `+` new, `-` gone, `~` changed. Empty if none does.
    #[must_use]
    pub fn diff(&self, after: &Self) -> String {
        let mut lines: Vec<_> =
            self.entries.iter().filter_map(|(path, was)| left(path, was, after)).collect();
        let new = after.entries.iter().filter(|(path, _)| !self.entries.contains_key(*path));
        lines.extend(new.map(|(path, is)| (path, format!("+ {path}: {is}\n"))));
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// Asserts that the directory is still what it was.
    ///
    /// # Panics
    /// It is not; the message is the [`Tree::diff`].
    #[track_caller]
    pub fn assert_unchanged(&self) {
        let root = self.root.display();
        let diff = match Self::of(&self.root) {
            Ok(now) => self.diff(&now),
            Err(error) => format!("! {error}\n"),
        };
        assert!(diff.is_empty(), "{root} is not as before:\n{diff}");
    }
}

fn left<'a>(path: &'a String, was: &Entry, after: &Tree) -> Option<(&'a String, String)> {
    match after.entries.get(path) {
        Some(is) if is == was => None,
        Some(is) => Some((path, format!("~ {path}: {was} -> {is}\n"))),
        None => Some((path, format!("- {path}: {was}\n"))),
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { mode } => write!(f, "folder {mode:04o}"),
            Self::File { mode, length, sha256 } => {
                write!(f, "file {mode:04o}, {length} bytes, sha256 {:.12}", sha256)
            }
            Self::Link { to } => write!(f, "link to {}", to.display()),
            Self::Other => f.write_str("special file"),
        }
    }
}

fn walk(root: &Path, folder: &Path, entries: &mut BTreeMap<String, Entry>) -> io::Result<()> {
    for child in fs::read_dir(folder)? {
        let path = child?.path();
        let entry = entry(&path)?;
        let descend = matches!(entry, Entry::Folder { .. });
        let relative = path.strip_prefix(root).unwrap_or(&path);
        entries.insert(relative.display().to_string(), entry);
        if descend {
            walk(root, &path, entries)?;
        }
    }
    Ok(())
}

fn entry(path: &Path) -> io::Result<Entry> {
    let metadata = fs::symlink_metadata(path)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_symlink() {
        return Ok(Entry::Link { to: fs::read_link(path)? });
    }
    if metadata.is_dir() {
        return Ok(Entry::Folder { mode });
    }
    if !metadata.is_file() {
        return Ok(Entry::Other);
    }
    Ok(Entry::File { mode, length: metadata.len(), sha256: sha256_hex(&fs::read(path)?) })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    use super::*;

    fn sample() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("a")).unwrap();
        for file in ["a/same", "a/gone", "changed", "locked"] {
            fs::write(root.join(file), file).unwrap();
            fs::set_permissions(root.join(file), Permissions::from_mode(0o644)).unwrap();
        }
        symlink("changed", root.join("link")).unwrap();
        folder
    }

    #[test]
    fn a_directory_left_alone_is_unchanged() {
        let folder = sample();
        let before = Tree::of(folder.path()).unwrap();
        assert_eq!(before.entries().count(), 6);
        fs::write(folder.path().join("changed"), "changed").unwrap();
        before.assert_unchanged();
    }

    #[test]
    fn a_diff_names_every_change_in_the_order_of_paths() {
        let folder = sample();
        let root = folder.path();
        let before = Tree::of(root).unwrap();
        fs::remove_file(root.join("a/gone")).unwrap();
        fs::write(root.join("a/new"), "new").unwrap();
        fs::set_permissions(root.join("a/new"), Permissions::from_mode(0o600)).unwrap();
        fs::write(root.join("changed"), "CHANGED").unwrap();
        fs::remove_file(root.join("link")).unwrap();
        symlink("locked", root.join("link")).unwrap();
        fs::set_permissions(root.join("locked"), Permissions::from_mode(0o600)).unwrap();
        let diff = before.diff(&Tree::of(root).unwrap());
        assert_eq!(
            diff,
            "- a/gone: file 0644, 6 bytes, sha256 519cbec25668\n\
             + a/new: file 0600, 3 bytes, sha256 11507a0e2f5e\n\
             ~ changed: file 0644, 7 bytes, sha256 d67e2e944994 -> file 0644, 7 bytes, sha256 b6f00f283e24\n\
             ~ link: link to changed -> link to locked\n\
             ~ locked: file 0644, 6 bytes, sha256 14493f5f5470 -> file 0600, 6 bytes, sha256 14493f5f5470\n"
        );
    }

    #[test]
    #[should_panic(expected = "is not as before:\n+ new: file ")]
    fn the_assertion_prints_the_diff() {
        let folder = tempfile::tempdir().unwrap();
        let before = Tree::of(folder.path()).unwrap();
        fs::write(folder.path().join("new"), "").unwrap();
        before.assert_unchanged();
    }

    #[test]
    fn an_absent_directory_is_an_empty_tree_until_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let absent = Tree::of(folder.path().join("state")).unwrap();
        absent.assert_unchanged();
        fs::create_dir(folder.path().join("state")).unwrap();
        fs::create_dir(folder.path().join("state/cache")).unwrap();
        assert!(absent.diff(&Tree::of(folder.path().join("state")).unwrap()).starts_with("+ cache: folder "));
    }
}

//! What a container sees of the layers walked so far, as far as it matters: symbolic links, and files kept.
//!
//! Other files and folders are not remembered: their absence can't be told from a plain folder, and need not be.
//! So a walk over millions of files takes memory for a few of them.
//!
//! The rules are those of the image specification ("Applying changesets") and of the runtimes: whiteouts hide
//! what lower layers have, never what their own layer brings, wherever they stand in it; links in the folders
//! of a path are followed, within the root; a folder in an upper layer takes the place of a link, and an opaque
//! folder hides what is at its real path, not what a link there led to.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::error::ArchiveError;
use crate::limits;

/// A path without `.`, `..`, doubled slashes or a slash in front. The root is empty.
pub(crate) type Path = Vec<u8>;

/// What is kept of a file, as far as the tree has to know. What it answers doesn't change.
pub(crate) trait Weighed {
    /// Roughly what it takes in memory at a place.
    fn size(&self, place: &[u8]) -> usize;

    /// Whether its coming and going is told: see [`Tree::take_changed`].
    fn is_watched(&self) -> bool;
}

/// The kept part of the file system; `K` is what is kept of a file.
pub(crate) struct Tree<K> {
    /// What the layers below the current one left: whiteouts hide these, and none of the other, so that as many of them
    /// as there are files take no longer than these files.
    lower: BTreeMap<Path, Node<K>>,
    /// What the current layer brought. No place is in both.
    upper: BTreeMap<Path, Node<K>>,
    layer: usize,
    links: usize,
    /// The lengths of all places, and of where links lead.
    names: usize,
    /// What all that is kept takes.
    kept: usize,
    /// Where something that is watched came or went. A layer that changes one place of a million costs one.
    changed: BTreeSet<Path>,
    /// What following links has cost, as [`limits::FOLLOWED_MAX`] counts it.
    followed: Cell<u64>,
    /// The folder last asked for, and where it really is: neighbours in an archive share it.
    last: Option<(Path, Path)>,
}

/// Something at a path, and the layer that brought it.
pub(crate) struct Node<K> {
    pub(crate) layer: usize,
    pub(crate) what: What<K>,
}

/// What is at a path.
pub(crate) enum What<K> {
    Link(Box<[u8]>),
    File(Arc<K>),
    /// A file whose name says nothing, kept because another name of it does.
    Spare(Arc<K>),
}

impl<K> Clone for What<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Link(to) => Self::Link(to.clone()),
            Self::File(kept) => Self::File(kept.clone()),
            Self::Spare(kept) => Self::Spare(kept.clone()),
        }
    }
}

impl<K: Weighed> Tree<K> {
    pub(crate) fn new() -> Self {
        Self {
            lower: BTreeMap::new(),
            upper: BTreeMap::new(),
            layer: 0,
            links: 0,
            names: 0,
            kept: 0,
            changed: BTreeSet::new(),
            followed: Cell::new(0),
            last: None,
        }
    }

    /// Where an entry really goes: the links in its folders are followed, it itself isn't.
    pub(crate) fn place(&mut self, path: &[u8]) -> Result<Path, ArchiveError> {
        let (dir, name) = split(path);
        let mut place = self.folder(dir)?;
        if !place.is_empty() {
            place.push(b'/');
        }
        place.extend_from_slice(name);
        Ok(place)
    }

    /// Where a path leads, all links followed; `None` where they lead nowhere.
    pub(crate) fn real(&self, path: &[u8]) -> Option<Path> {
        self.follow(path).ok()
    }

    /// The file at a path, all links followed.
    pub(crate) fn file(&self, path: &[u8]) -> Option<(&Path, &Node<K>)> {
        let real = self.follow(path).ok()?;
        let there = self.upper.get_key_value(&real).or_else(|| self.lower.get_key_value(&real));
        there.filter(|(_, node)| matches!(node.what, What::File(_)))
    }

    /// Like [`Tree::place`], for many paths of a tree that doesn't change any more.
    pub(crate) fn real_place(&self, path: &[u8]) -> Result<Path, ArchiveError> {
        if self.followed() > limits::FOLLOWED_MAX {
            return Err(ArchiveError::Links);
        }
        let (dir, name) = split(path);
        let mut place = if self.links == 0 { dir.to_vec() } else { self.follow(dir)? };
        if !place.is_empty() {
            place.push(b'/');
        }
        place.extend_from_slice(name);
        Ok(place)
    }

    /// What is at a place, links not followed.
    pub(crate) fn at(&self, place: &[u8]) -> Option<&Node<K>> {
        self.upper.get(place).or_else(|| self.lower.get(place))
    }

    /// The layer ends: what it brought is what the next one finds.
    pub(crate) fn settle(&mut self) {
        for (place, node) in std::mem::take(&mut self.upper) {
            self.lower.insert(place, node);
        }
    }

    /// Every file that is kept, by path where the last layer has ended.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, usize, &Arc<K>)> {
        self.lower.iter().chain(&self.upper).filter_map(|(path, node)| match &node.what {
            What::File(kept) => Some((path, node.layer, kept)),
            What::Link(_) | What::Spare(_) => None,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.lower.len().saturating_add(self.upper.len())
    }

    /// How many bytes the places have, and what links lead to.
    pub(crate) fn names(&self) -> usize {
        self.names
    }

    /// What all that is kept takes in memory, a file at several places as often.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// Where something that is watched came or went since this was asked last.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Path> {
        std::mem::take(&mut self.changed)
    }

    /// What following links has cost so far.
    pub(crate) fn followed(&self) -> u64 {
        self.followed.get()
    }

    /// A file or link comes: whatever was at its place is gone.
    pub(crate) fn put(&mut self, layer: usize, place: Path, what: What<K>) {
        self.begin(layer);
        self.clear(&place);
        if matches!(what, What::Link(_)) {
            self.links = self.links.saturating_add(1);
            self.last = None;
        }
        self.names = self.names.saturating_add(length(&place, &what));
        if let What::File(kept) | What::Spare(kept) = &what {
            self.kept = self.kept.saturating_add(kept.size(&place));
            self.note(&place, kept.is_watched());
        }
        self.upper.insert(place, Node { layer, what });
    }

    /// Something comes of which nothing is kept.
    pub(crate) fn clear(&mut self, place: &[u8]) {
        self.remove(place);
        for place in below(&self.upper, place).into_iter().chain(below(&self.lower, place)) {
            self.remove(&place);
        }
    }

    /// A folder comes. It takes the place of a file or link, and leaves a folder as it is.
    pub(crate) fn folder_comes(&mut self, place: &[u8]) {
        self.remove(place);
    }

    /// A whiteout in `layer`: what lower layers have at a place and below is hidden. How much that is.
    pub(crate) fn whiteout(&mut self, layer: usize, place: &[u8]) -> usize {
        self.begin(layer);
        let before = self.lower.len();
        if self.lower.contains_key(place) {
            self.remove(place);
        }
        for place in below(&self.lower, place) {
            self.remove(&place);
        }
        before.saturating_sub(self.lower.len())
    }

    /// An opaque whiteout in `layer`: what lower layers have below a folder is hidden. How much that is.
    pub(crate) fn opaque(&mut self, layer: usize, place: &[u8]) -> usize {
        // Its layer has a folder here, so a link of a lower layer is hidden, and not what it led to.
        self.whiteout(layer, place)
    }

    fn begin(&mut self, layer: usize) {
        if layer != self.layer {
            self.settle();
            self.layer = layer;
        }
    }

    fn remove(&mut self, place: &[u8]) {
        let Some(Node { what, .. }) = self.upper.remove(place).or_else(|| self.lower.remove(place)) else {
            return;
        };
        self.names = self.names.saturating_sub(length(place, &what));
        match what {
            What::Link(_) => {
                self.links = self.links.saturating_sub(1);
                self.last = None;
            }
            What::File(kept) | What::Spare(kept) => {
                self.kept = self.kept.saturating_sub(kept.size(place));
                self.note(place, kept.is_watched());
            }
        }
    }

    fn note(&mut self, place: &[u8], is_watched: bool) {
        if is_watched {
            self.changed.insert(place.to_vec());
        }
    }

    fn folder(&mut self, dir: &[u8]) -> Result<Path, ArchiveError> {
        if self.links == 0 {
            return Ok(dir.to_vec());
        }
        if let Some((asked, real)) = &self.last
            && asked == dir
        {
            return Ok(real.clone());
        }
        let real = self.follow(dir)?;
        self.last = Some((dir.to_vec(), real.clone()));
        Ok(real)
    }

    /// Follows every link on a path, within the root.
    fn follow(&self, path: &[u8]) -> Result<Path, ArchiveError> {
        let mut real = Path::new();
        let mut left: Vec<&[u8]> = parts(path).rev().collect();
        let mut budget = limits::LINKS_FOLLOWED;
        while let Some(part) = left.pop() {
            if part == b".." {
                let dir = split(&real).0.len();
                real.truncate(dir);
                continue;
            }
            let dir = real.len();
            if dir != 0 {
                real.push(b'/');
            }
            real.extend_from_slice(part);
            if real.len() > limits::PATH_MAX {
                return Err(ArchiveError::Path);
            }
            let cost = u64::try_from(real.len()).unwrap_or(u64::MAX).saturating_add(64);
            self.followed.set(self.followed().saturating_add(cost));
            let Some(Node { what: What::Link(to), .. }) = self.at(&real) else { continue };
            budget = budget.checked_sub(1).ok_or(ArchiveError::Links)?;
            real.truncate(if to.starts_with(b"/") { 0 } else { dir });
            left.extend(parts(to).rev());
            if left.len() > limits::PATH_MAX {
                return Err(ArchiveError::Links);
            }
        }
        Ok(real)
    }
}

/// The places under a folder.
fn below<K>(nodes: &BTreeMap<Path, Node<K>>, folder: &[u8]) -> Vec<Path> {
    let from = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
    let below = nodes.range::<[u8], _>((Bound::Included(from.as_slice()), Bound::Unbounded));
    below.map(|(path, _)| path).take_while(|path| path.starts_with(&from)).cloned().collect()
}

/// What a node adds to [`Tree::names`].
fn length<K>(place: &[u8], what: &What<K>) -> usize {
    match what {
        What::Link(to) => place.len().saturating_add(to.len()),
        What::File(_) | What::Spare(_) => place.len(),
    }
}

/// The parts of a path, `..` among them.
fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// Folder and name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => {
            (path.get(..slash).unwrap_or_default(), path.get(slash.saturating_add(1)..).unwrap_or_default())
        }
        None => (&[], path),
    }
}

/// A path as an archive has it, cleaned by its text alone as Go's `filepath.Clean` does, and never above the root:
/// containerd stops there, and Docker refuses such layers.
pub(crate) fn clean(path: &[u8]) -> Result<Path, ArchiveError> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for part in parts(path) {
        if part == b".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    if path.len() > limits::PATH_MAX || kept.len() > limits::DEPTH_MAX {
        return Err(ArchiveError::Path);
    }
    Ok(kept.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for () {
        fn size(&self, place: &[u8]) -> usize {
            place.len() * 10
        }

        fn is_watched(&self) -> bool {
            true
        }
    }

    fn link(tree: &mut Tree<()>, layer: usize, place: &str, to: &str) {
        tree.put(layer, place.into(), What::Link(to.as_bytes().into()));
    }

    fn file(tree: &mut Tree<()>, layer: usize, path: &str) {
        let place = tree.place(path.as_bytes()).unwrap();
        tree.put(layer, place, What::File(Arc::new(())));
    }

    fn files(tree: &Tree<()>) -> Vec<String> {
        let mut files: Vec<_> =
            tree.files().map(|(path, ..)| String::from_utf8(path.clone()).unwrap()).collect();
        files.sort();
        files
    }

    #[test]
    fn paths_are_cleaned_and_stay_below_the_root() {
        for (path, expected) in [
            ("./a//b/", "a/b"),
            ("/a", "a"),
            ("a/../b", "b"),
            ("../../etc/passwd", "etc/passwd"),
            ("a/../../b", "b"),
            (".", ""),
        ] {
            assert_eq!(clean(path.as_bytes()).unwrap(), expected.as_bytes(), "{path}");
        }
        assert!(clean(&[b'a'; 5000]).is_err());
        assert!(clean("a/".repeat(600).as_bytes()).is_err());
    }

    #[test]
    fn links_in_folders_are_followed_within_the_root() {
        let mut tree = Tree::new();
        link(&mut tree, 0, "lib", "usr/lib");
        link(&mut tree, 0, "usr/lib/x", "../../../../opt");
        link(&mut tree, 0, "abs", "/usr/../lib/x");
        for (path, expected) in [
            ("lib/a", "usr/lib/a"),
            ("lib/x/a", "opt/a"),
            ("abs/a", "opt/a"),
            ("abs", "abs"),
            ("usr/b", "usr/b"),
        ] {
            assert_eq!(tree.place(path.as_bytes()).unwrap(), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_ring_of_links_ends() {
        let mut tree = Tree::new();
        link(&mut tree, 0, "a", "b");
        link(&mut tree, 0, "b", "a");
        assert!(matches!(tree.place(b"a/x"), Err(ArchiveError::Links)));
        link(&mut tree, 0, "c", "c/c/c/c");
        assert!(matches!(tree.place(b"c/x"), Err(ArchiveError::Links)));
    }

    #[test]
    fn whiteouts_hide_lower_layers_only() {
        let mut tree = Tree::new();
        for path in ["d/a", "d/b/c", "e"] {
            file(&mut tree, 0, path);
        }
        file(&mut tree, 1, "d/new");
        assert_eq!(tree.whiteout(1, b"d/a"), 1);
        assert_eq!(files(&tree), ["d/b/c", "d/new", "e"]);
        assert_eq!(tree.opaque(1, b"d"), 1);
        assert_eq!(files(&tree), ["d/new", "e"]);
        assert_eq!(tree.whiteout(1, b"d/new"), 0);
        assert_eq!(files(&tree), ["d/new", "e"]);
        tree.opaque(2, b"");
        assert!(files(&tree).is_empty());
    }

    #[test]
    fn the_lengths_of_what_is_there_are_counted_and_no_others() {
        let mut tree = Tree::new();
        link(&mut tree, 0, "d/link", "/target");
        file(&mut tree, 0, "d/file");
        assert_eq!(tree.names(), "d/link".len() + "/target".len() + "d/file".len());
        file(&mut tree, 0, "d/link");
        assert_eq!(tree.names(), "d/link".len() + "d/file".len());
        link(&mut tree, 1, "e", "d");
        tree.whiteout(1, b"d/file");
        assert_eq!(tree.names(), "d/link".len() + "e".len() + "d".len());
        tree.folder_comes(b"e");
        tree.clear(b"d");
        assert_eq!((tree.names(), tree.len()), (0, 0));
    }

    #[test]
    fn what_is_kept_is_weighed_and_its_coming_and_going_told_once() {
        let mut tree = Tree::new();
        let changed = |tree: &mut Tree<()>| -> Vec<String> {
            tree.take_changed().into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
        };
        for path in ["d/a", "d/b", "e"] {
            file(&mut tree, 0, path);
        }
        link(&mut tree, 0, "l", "e");
        assert_eq!((tree.kept(), changed(&mut tree)), (70, vec!["d/a".into(), "d/b".into(), "e".into()]));
        file(&mut tree, 1, "e");
        tree.opaque(1, b"d");
        assert_eq!((tree.kept(), changed(&mut tree)), (10, vec!["d/a".into(), "d/b".into(), "e".into()]));
        tree.settle();
        tree.clear(b"e");
        file(&mut tree, 2, "e");
        assert_eq!((tree.kept(), changed(&mut tree)), (10, vec!["e".into()]));
        tree.clear(b"l");
        assert!(changed(&mut tree).is_empty());
    }

    #[test]
    fn names_that_only_begin_alike_are_not_below() {
        let mut tree = Tree::new();
        for path in ["d/a", "d.x", "dd", "d-/a"] {
            file(&mut tree, 0, path);
        }
        tree.whiteout(1, b"d");
        assert_eq!(files(&tree), ["d-/a", "d.x", "dd"]);
    }

    #[test]
    fn a_folder_takes_the_place_of_a_link_and_its_target_lives() {
        let mut tree = Tree::new();
        file(&mut tree, 0, "target/keep");
        link(&mut tree, 0, "link", "/target");
        tree.folder_comes(b"link");
        let place = tree.place(b"link").unwrap();
        tree.opaque(1, &place);
        file(&mut tree, 1, "link/new");
        assert_eq!(files(&tree), ["link/new", "target/keep"]);
    }

    #[test]
    fn a_file_takes_the_place_of_a_folder_and_all_in_it() {
        let mut tree = Tree::new();
        file(&mut tree, 0, "d/a");
        file(&mut tree, 0, "d/b/c");
        tree.clear(b"d");
        assert!(files(&tree).is_empty());
    }
}

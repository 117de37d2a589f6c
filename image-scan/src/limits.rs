//! Every bound on what a layer may make us do, each beside its reason.
//!
//! A layer is a stranger's archive. What is beyond a bound is either an error, where the rest could not be
//! understood without it, or a line among what was not read: never silence.

/// The most entries in all layers of one image. The largest images in use have about a million files; at
/// five million the walk still takes seconds.
pub(crate) const ENTRIES_MAX: u64 = 5_000_000;

/// The most layers: overlayfs stacks 500, and Docker makes no more than 127.
pub(crate) const LAYERS_MAX: usize = 1000;

/// The most bytes that one layer may have when uncompressed: what a large disk holds.
pub(crate) const LAYER_MAX: u64 = 256 * 1024 * 1024 * 1024;

/// What a layer may grow to before its ratio is looked at: files of zeros are real, and compress a thousandfold.
pub(crate) const RATIO_FREE: u64 = 1024 * 1024 * 1024;

/// How many bytes may come of one compressed byte, above [`RATIO_FREE`]. Layers of programs have 2 to 5.
pub(crate) const RATIO_MAX: u64 = 200;

/// The longest path (Linux's `PATH_MAX`).
pub(crate) const PATH_MAX: usize = 4096;

/// The most folders above one file: with names of a letter, `PATH_MAX` would allow 2,048.
pub(crate) const DEPTH_MAX: usize = 512;

/// How many symbolic links may be followed for one path (Linux follows 40, Go's `FollowSymlinkInScope` 255).
pub(crate) const LINKS_FOLLOWED: usize = 255;

/// What following links in the paths of an image may cost: for each part of a path its length so far, and 64 for
/// looking it up. Five million files, each in another folder and ten deep, take as much; some seconds. A few links that
/// lead to each other would make years of an image of megabytes.
pub(crate) const FOLLOWED_MAX: u64 = 4_000_000_000;

/// The most symbolic links and files that are kept in mind at once, some 200 bytes each.
pub(crate) const NODES_MAX: usize = 1_000_000;

/// The most bytes that their paths may have together, with those that links lead to: 250 for each. Of [`PATH_MAX`] they
/// would be gigabytes.
pub(crate) const NAMES_MAX: usize = 256 * 1024 * 1024;

/// The largest extended header of an archive (Go's `archive/tar` refuses more, too).
pub(crate) const EXTENDED_HEADER_MAX: u64 = 1024 * 1024;

/// The most that kept files may measure together: databases of packages, and lists of their files.
pub(crate) const KEPT_MAX: usize = 512 * 1024 * 1024;

/// A database of packages: rpm's are the largest, some 100 MB for a whole desktop.
pub(crate) const DATABASE_MAX: u64 = 256 * 1024 * 1024;

/// A package's list of its files, or one package's stanza: the longest of Debian's has 3 MB.
pub(crate) const LIST_MAX: u64 = 16 * 1024 * 1024;

/// What describes one package: `METADATA` with a long README is some 100 KB.
pub(crate) const METADATA_MAX: u64 = 4 * 1024 * 1024;

/// A program, or an archive of Java classes. One at a time is in memory.
pub(crate) const PROGRAM_MAX: u64 = 256 * 1024 * 1024;

/// The most bytes that come of all archives and lists of crates within the files of an image: each is bounded by itself,
/// and a layer has room for a hundred thousand bombs. Applications of gigabytes have a tenth of it.
pub(crate) const INFLATED_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// The most components of one image: what a report can still be read from.
pub(crate) const COMPONENTS_MAX: usize = 1_000_000;

/// The most findings of one image, with the advisories of which it can't be told: the worst images in use have some ten
/// thousand. A database of packages that all were built from one source makes a thousand of each line.
pub(crate) const FINDINGS_MAX: usize = 500_000;

/// The most packages of one database: whole distributions have some 70,000. Short stanzas, and rows that lie on top of each
/// other, would make millions of a small file.
pub(crate) const PACKAGES_MAX: usize = 200_000;

/// The longest name or version of a component.
pub(crate) const NAME_MAX: usize = 1024;

/// The most lines about what was not read; the rest is counted.
pub(crate) const UNREAD_MAX: usize = 1000;

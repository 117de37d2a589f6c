//! Bounds on what is read. The largest of today's data is beside each; each leaves room for ten times as much.

/// An archive of one ecosystem: npm's has 150 MB.
pub(crate) const ARCHIVE: u64 = 2 << 30;

/// Advisories in an archive: npm's has 230,000, most of them on malware.
pub(crate) const ADVISORIES: usize = 4_000_000;

/// One advisory: kernels of Ubuntu have some with 1.5 MB.
pub(crate) const ADVISORY: u64 = 16 << 20;

/// Everything unpacked of one archive: 2 GB of Ubuntu's.
pub(crate) const UNPACKED: u64 = 32 << 30;

/// The lists of severities and of what is exploited: 2 MB.
pub(crate) const LIST: u64 = 64 << 20;

/// References and names that are kept of one advisory; more help nobody.
pub(crate) const REFERENCES: usize = 16;

/// Characters of a summary: it is a line.
pub(crate) const SUMMARY: usize = 240;

/// The index of a database, which is read whole: 1 MB for 47,000 advisories.
pub(crate) const INDEX: u64 = 256 << 20;

/// A block of a database, which is read whole: that of Debian's kernel has 200 KB.
pub(crate) const BLOCK: u32 = 64 << 20;

/// How far behind one another two records may lie to be read at once: passing over them costs less than another call.
pub(crate) const GAP: u64 = 4 << 10;

/// How much is read at once of records that are neighbours. More costs more: large pieces of memory are given back to
/// the system each time.
pub(crate) const READ_AHEAD: u64 = 32 << 10;

/// How much is read with a block of what lies before it, which is the records that it is the first to name: less than
/// another call costs, also where none of them is needed.
pub(crate) const BESIDE: u64 = 16 << 10;

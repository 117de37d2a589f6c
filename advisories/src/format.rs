//! The file: a head, blocks, and an index at its end. `docs/src/adr/0015` says why it is as it is.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `HMADVDB\n` |
//! | 4 | the form, 1 |
//! | 4 | CRC-32 of the 28 bytes that follow |
//! | 8, 8, 4 | offset and length of the index, CRC-32 of it |
//! | 8 | length of the file |
//! | … | records and blocks, each where the index or a block says, with its CRC-32 there |
//! | … | the index, to the end |
//!
//! Numbers are little-endian; what is in blocks is in postcard's form. The sums find damage; against malice the
//! file is verified as any target is, and what it says of itself is bounded all the same.

use serde::{Deserialize, Serialize};

use crate::severity::{Level, Severity};

pub(crate) const MAGIC: &[u8; 8] = b"HMADVDB\n";
pub(crate) const FORM: u32 = 1;
pub(crate) const HEAD: usize = 44;

/// Where something is in the file.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) checksum: u32,
}

/// What is read whole when a database is opened.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Index {
    pub(crate) made_at: String,
    pub(crate) sources: Vec<Source>,
    /// Ecosystems with their releases, sorted.
    pub(crate) ecosystems: Vec<String>,
    /// All keys, `ECOSYSTEM\0NAME`, sorted and without anything between.
    pub(crate) keys: String,
    /// For each key, where it ends and where its block is.
    pub(crate) slots: Vec<(u32, Place)>,
}

/// One archive.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) advisories: u64,
    pub(crate) withdrawn: u64,
    pub(crate) newest: Option<String>,
}

/// What one advisory says of one package.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Entry {
    pub(crate) record: Place,
    pub(crate) channel: Option<String>,
    /// The distribution's own word.
    pub(crate) level: Option<Level>,
    /// By the advisory's vectors.
    pub(crate) severity: Option<Severity>,
    pub(crate) binaries: Vec<String>,
    /// The modules and streams, where the advisory is on some: with a space between.
    pub(crate) module: Option<String>,
    pub(crate) ranges: Vec<Vec<Event>>,
    pub(crate) versions: Vec<String>,
}

/// An event of a range.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
    Limit(String),
}

/// An advisory.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// Its other names, but for those that are CVEs.
    pub(crate) aliases: Vec<String>,
    pub(crate) cves: Vec<Cve>,
    pub(crate) summary: Option<String>,
    pub(crate) references: Vec<String>,
    pub(crate) disputed: bool,
}

/// What others say of a CVE.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Cve {
    pub(crate) id: String,
    pub(crate) severity: Option<Severity>,
    pub(crate) exploited: bool,
}

/// The head of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    pub(crate) index: u64,
    pub(crate) index_length: u64,
    pub(crate) index_checksum: u32,
    pub(crate) file_length: u64,
}

impl Head {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut rest = Vec::new();
        rest.extend(self.index.to_le_bytes());
        rest.extend(self.index_length.to_le_bytes());
        rest.extend(self.index_checksum.to_le_bytes());
        rest.extend(self.file_length.to_le_bytes());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORM.to_le_bytes());
        bytes.extend(crc32fast::hash(&rest).to_le_bytes());
        bytes.extend(rest);
        bytes
    }

    /// Reads what follows the form; `None` where `is_sum` says that the sum is another.
    pub(crate) fn parse(bytes: &[u8; HEAD], is_sum: impl Fn(&[u8], u32) -> bool) -> Option<Self> {
        let (sum, rest) = bytes.get(12..)?.split_first_chunk::<4>()?;
        if !is_sum(rest, u32::from_le_bytes(*sum)) {
            return None;
        }
        let (index, rest) = rest.split_first_chunk()?;
        let (index_length, rest) = rest.split_first_chunk()?;
        let (index_checksum, rest) = rest.split_first_chunk()?;
        Some(Self {
            index: u64::from_le_bytes(*index),
            index_length: u64::from_le_bytes(*index_length),
            index_checksum: u32::from_le_bytes(*index_checksum),
            file_length: u64::from_le_bytes(*rest.first_chunk()?),
        })
    }

    /// The form, where it is such a file at all.
    pub(crate) fn form(bytes: &[u8]) -> Option<u32> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        (magic == MAGIC).then_some(u32::from_le_bytes(*rest.first_chunk()?))
    }
}

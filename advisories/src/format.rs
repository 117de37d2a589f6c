//! The file: a head, blocks, and an index at its end. `docs/adr/0015` says why it is as it is.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `HMADVDB\n` |
//! | 4 | the form, 2 |
//! | 4 | CRC-32 of the 28 bytes that follow |
//! | 8, 8, 4 | offset and length of the index, CRC-32 of it |
//! | 8 | length of the file |
//! | … | for each key in their order, the records that it is the first to name, then its block |
//! | … | the index, to the end |
//!
//! Numbers are little-endian; what is in records, blocks and the index is in postcard's form. Each has its CRC-32 where
//! its place is told, which is checked before any of it is believed. The sums find damage; against malice the file is
//! verified as any target is, and what it says of itself is bounded all the same.
//!
//! Texts are of a type `S`: mostly a part of what was read, of advisories or of the database.

use serde::{Deserialize, Serialize};

use crate::few::Few;
use crate::severity::{Level, Severity};

pub(crate) const MAGIC: &[u8; 8] = b"HMADVDB\n";
pub(crate) const FORM: u32 = 2;
pub(crate) const HEAD: usize = 44;

/// Where something is in the file.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) checksum: u32,
}

impl Place {
    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(self.length.into())
    }
}

/// What is read whole when a database is opened.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Index<'a> {
    pub(crate) made_at: String,
    pub(crate) sources: Vec<Source>,
    /// Ecosystems with their releases, sorted.
    pub(crate) ecosystems: Vec<String>,
    /// All keys, `ECOSYSTEM\0NAME`, sorted and without anything between.
    pub(crate) keys: &'a str,
    /// A [`Slot`] for each key.
    pub(crate) slots: &'a [u8],
}

/// Where a key ends, and where its block is. Slots are read as they are needed: there are as many as packages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot {
    pub(crate) end: u32,
    pub(crate) place: Place,
}

/// How many bytes a slot has.
pub(crate) const SLOT: usize = 20;

/// One archive.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) advisories: u64,
    pub(crate) withdrawn: u64,
    pub(crate) newest: Option<String>,
}

/// What a block begins with. Entries follow to its end, each behind the [`Place`] of its record: most are only looked at.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct BlockHead<S> {
    /// Lists of binary packages: those of a kernel are long, and the same in thousands of entries.
    pub(crate) binaries: Vec<Vec<S>>,
}

/// What one advisory says of one package.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Entry<S> {
    /// Who it speaks for, where that isn't everybody.
    pub(crate) channel: Option<S>,
    /// Whether the same advisory speaks for everybody too.
    pub(crate) beside_plain: bool,
    /// The distribution's own word.
    pub(crate) level: Option<Level>,
    /// By the advisory's vectors.
    pub(crate) severity: Option<Severity<S>>,
    /// Which list of the block has the binary packages that it is on, where it isn't on all.
    pub(crate) binaries: Option<u32>,
    /// The modules and streams, where the advisory is on some: with a space between.
    pub(crate) module: Option<S>,
    pub(crate) ranges: Ranges<S>,
    pub(crate) versions: Vec<S>,
}

/// Ranges, one behind another. Nearly all entries have one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Ranges<S> {
    pub(crate) events: Few<Event<S>, 3>,
    /// How many events each has but for the last.
    lengths: Vec<u32>,
}

impl<S> Ranges<S> {
    pub(crate) fn of(ranges: impl Iterator<Item = Vec<Event<S>>>) -> Self {
        let (mut events, mut lengths): (Vec<Event<S>>, Vec<u32>) = (Vec::new(), Vec::new());
        for (index, range) in ranges.enumerate() {
            if index > 0 {
                let before = lengths.iter().fold(0, |sum: usize, one| sum.saturating_add(*one as usize));
                let last = events.len().saturating_sub(before);
                lengths.push(u32::try_from(last).unwrap_or(u32::MAX));
            }
            events.extend(range);
        }
        Self { events: events.into_iter().collect(), lengths }
    }

    /// The events of each range.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Event<S>]> {
        let mut left = &*self.events;
        let but_last = self.lengths.iter().map(|length| *length as usize);
        but_last.chain([usize::MAX]).map(move |length| {
            let (range, rest) = left.split_at_checked(length).unwrap_or((left, &[]));
            left = rest;
            range
        })
    }
}

/// An event of a range.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Event<S> {
    Introduced(S),
    Fixed(S),
    LastAffected(S),
    Limit(S),
}

/// An advisory.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Record<S> {
    pub(crate) id: S,
    /// Its other names, but for those that are CVEs.
    pub(crate) aliases: Few<S, 3>,
    pub(crate) cves: Few<Cve<S>, 1>,
    pub(crate) summary: Option<S>,
    pub(crate) references: Vec<S>,
    pub(crate) disputed: bool,
}

/// What others say of a CVE.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Cve<S> {
    pub(crate) id: S,
    pub(crate) severity: Option<Severity<S>>,
    pub(crate) exploited: bool,
}

impl<'a> Event<&'a str> {
    /// Reads an event of the schema; `None` for kinds that it doesn't have.
    pub(crate) fn of(kind: &str, version: &'a str) -> Option<Self> {
        Some(match kind {
            "introduced" => Self::Introduced(version),
            "fixed" => Self::Fixed(version),
            "last_affected" => Self::LastAffected(version),
            "limit" if version != "*" => Self::Limit(version),
            _ => return None,
        })
    }

    pub(crate) fn version(&self) -> &'a str {
        match self {
            Self::Introduced(text) | Self::Fixed(text) | Self::LastAffected(text) | Self::Limit(text) => text,
        }
    }
}

impl Slot {
    pub(crate) fn to_bytes(self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        let parts = [
            &self.end.to_le_bytes()[..],
            &self.place.offset.to_le_bytes(),
            &self.place.length.to_le_bytes(),
            &self.place.checksum.to_le_bytes(),
        ];
        for (byte, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *byte = *from;
        }
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (end, rest) = bytes.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let place = Place {
            offset: u64::from_le_bytes(*offset),
            length: u32::from_le_bytes(*length),
            checksum: u32::from_le_bytes(*rest.first_chunk()?),
        };
        Some(Self { end: u32::from_le_bytes(*end), place })
    }
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

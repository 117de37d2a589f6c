//! A package's header: an index of tags, and their data (rpm's `docs/manual/format_header.md`).

use super::{be32, part, size};

/// The tags that matter (rpm's `rpmtag.h`).
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Tag {
    Name = 1000,
    Version = 1001,
    Release = 1002,
    Epoch = 1003,
    Vendor = 1011,
    Arch = 1022,
    SourceRpm = 1044,
    DirIndexes = 1116,
    BaseNames = 1117,
    DirNames = 1118,
    ModularityLabel = 5096,
}

/// Types of data: numbers of four bytes, and text in its three forms.
const INT32: u32 = 4;
const TEXTS: [u32; 3] = [6, 8, 9];

/// The most tags that rpm itself takes (`HEADER_TAGS_MAX`).
const TAGS_MAX: usize = 0xffff;

/// A header whose sizes are sound.
pub(super) struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    pub(super) fn parse(blob: &'a [u8]) -> Option<Self> {
        let (tags, length) = (size(be32(blob, 0)?)?, size(be32(blob, 4)?)?);
        if tags > TAGS_MAX {
            return None;
        }
        let index = part(blob, 8, tags.checked_mul(16)?)?;
        let data = part(blob, index.len().checked_add(8)?, length)?;
        Some(Self { index, data })
    }

    /// One text, or the first of several.
    pub(super) fn text(&self, tag: Tag) -> Option<&'a str> {
        self.each_text(tag)?.next()
    }

    /// All texts of a list.
    pub(super) fn texts(&self, tag: Tag) -> Vec<&'a str> {
        self.each_text(tag).map(Iterator::collect).unwrap_or_default()
    }

    pub(super) fn number(&self, tag: Tag) -> Option<u32> {
        self.numbers(tag).first().copied()
    }

    pub(super) fn numbers(&self, tag: Tag) -> Vec<u32> {
        let Some((INT32, data, count)) = self.find(tag) else { return Vec::new() };
        let words = data.as_chunks::<4>().0;
        words.iter().take(count).map(|word| u32::from_be_bytes(*word)).collect()
    }

    fn each_text(&self, tag: Tag) -> Option<impl Iterator<Item = &'a str>> {
        let (kind, data, count) = self.find(tag)?;
        let texts = data.split(|byte| *byte == 0).take(count);
        TEXTS.contains(&kind).then(|| texts.map(|text| str::from_utf8(text).unwrap_or_default()))
    }

    /// Type, data from its beginning on, and count.
    fn find(&self, tag: Tag) -> Option<(u32, &'a [u8], usize)> {
        let entries = self.index.as_chunks::<16>().0;
        let entry = entries.iter().find(|entry| be32(*entry, 0) == Some(tag as u32))?;
        let (kind, offset, count) = (be32(entry, 4)?, be32(entry, 8)?, be32(entry, 12)?);
        Some((kind, self.data.get(size(offset)?..)?, size(count)?))
    }
}

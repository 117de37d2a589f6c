//! Berkeley DB, `Packages`: a hash table whose values are headers, mostly in pages of their own (Berkeley DB's
//! `dbinc/db_page.h`).

use super::{Budget, be32, le32, part, size};

/// What a hash table's first page says.
const MAGIC: u32 = 0x0006_1561;

/// Bytes in front of every page.
const PAGE_HEADER: usize = 26;

/// Types of pages.
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;

/// Types of values: bytes, and where they are.
const IN_PAGE: u8 = 1;
const OFF_PAGE: u8 = 3;

/// Calls `each` with every header's bytes.
pub(super) fn blobs(bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let table = Table::open(bytes).ok_or("expected a hash table of Berkeley DB")?;
    // A byte can't be part of two values: pages in a ring run out of them.
    let mut budget = Budget::of(bytes);
    for page in (1..table.pages()).filter_map(|number| table.page(number)) {
        if !matches!(page.get(25), Some(&HASH | &HASH_UNSORTED)) {
            continue;
        }
        for value in table.values(page) {
            if let Some(blob) =
                table.value(page, value, &mut budget).ok_or("a package of the database can't be read")?
            {
                each(&blob);
            }
        }
    }
    Ok(())
}

/// The file, in pages, with the order of bytes of the machine that made it.
struct Table<'a> {
    bytes: &'a [u8],
    page_size: usize,
    big_endian: bool,
}

impl<'a> Table<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match (le32(bytes, 12)?, be32(bytes, 12)?) {
            (MAGIC, _) => false,
            (_, MAGIC) => true,
            _ => return None,
        };
        let table = Self { bytes, page_size: 0, big_endian };
        let page_size = size(table.word(bytes, 20)?)?;
        let sound = page_size.is_power_of_two() && (512..=65536).contains(&page_size);
        sound.then_some(Self { page_size, ..table })
    }

    fn pages(&self) -> usize {
        self.bytes.len().checked_div(self.page_size).unwrap_or_default()
    }

    fn page(&self, number: usize) -> Option<&'a [u8]> {
        part(self.bytes, number.checked_mul(self.page_size)?, self.page_size)
    }

    fn word(&self, bytes: &[u8], from: usize) -> Option<u32> {
        if self.big_endian { be32(bytes, from) } else { le32(bytes, from) }
    }

    fn half(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let half = part(bytes, from, 2)?.try_into().ok()?;
        Some(usize::from(if self.big_endian { u16::from_be_bytes(half) } else { u16::from_le_bytes(half) }))
    }

    /// Where the values of a page are: from, to. Keys and values take turns, from the end of the page.
    fn values(&self, page: &[u8]) -> Vec<(usize, usize)> {
        let entries = self.half(page, 20).unwrap_or_default();
        let at = |entry: usize| self.half(page, PAGE_HEADER.checked_add(entry.checked_mul(2)?)?);
        (1..entries).step_by(2).filter_map(|entry| Some((at(entry)?, at(entry.checked_sub(1)?)?))).collect()
    }

    /// A header; `Some(None)` for what is none.
    fn value(&self, page: &[u8], (from, to): (usize, usize), budget: &mut Budget) -> Option<Option<Vec<u8>>> {
        match *page.get(from)? {
            OFF_PAGE => {
                let (first, length) =
                    (self.word(page, from.checked_add(4)?)?, self.word(page, from.checked_add(8)?)?);
                self.overflow(size(first)?, size(length)?, budget).map(Some)
            }
            // The table counts its packages under a key of its own: four bytes.
            IN_PAGE => {
                let value = page.get(from.checked_add(1)?..to).filter(|value| value.len() > 8);
                budget.spend(value.map_or(0, <[u8]>::len))?;
                Some(value.map(<[u8]>::to_vec))
            }
            _ => None,
        }
    }

    fn overflow(&self, mut number: usize, length: usize, budget: &mut Budget) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        while number != 0 && value.len() < length {
            let page = self.page(number).filter(|page| page.get(25) == Some(&OVERFLOW))?;
            let bytes = part(page, PAGE_HEADER, self.half(page, 22)?)?;
            // An empty page in a ring must run out, too.
            budget.spend(bytes.len().max(PAGE_HEADER))?;
            value.extend_from_slice(bytes);
            number = size(self.word(page, 16)?)?;
        }
        (value.len() == length).then_some(value)
    }
}

//! SQLite, `rpmdb.sqlite`: the table `Packages`, whose rows are a number and a header (sqlite.org/fileformat2.html).

use super::{Budget, be32, part, size};

/// The first bytes of every database.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Types of pages.
const TABLE_INTERIOR: u8 = 5;
const TABLE_LEAF: u8 = 13;

/// How deep a tree may be: four levels hold more than a file of our bound.
const DEPTH_MAX: usize = 20;

/// Calls `each` with every header's bytes.
pub(super) fn blobs(bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let database = Database::open(bytes).ok_or("expected a database of SQLite")?;
    let broken = "a page of the database can't be read";
    let mut root = None;
    // Each page once, and each byte of one record; the first page also has the header of all.
    let mut budget = Budget(bytes.len().saturating_mul(2));
    database
        .rows(1, 0, &mut budget, &mut |row| {
            if let Some(page) = root_of(row) {
                root = Some(page);
            }
        })
        .ok_or(broken)?;
    let root = root.ok_or("the database has no table of packages")?;
    let mut bad = false;
    database
        .rows(root, 0, &mut budget, &mut |row| match columns(row).as_deref() {
            Some([_, Column::Bytes(blob), ..]) => each(blob),
            _ => bad = true,
        })
        .ok_or(broken)?;
    if bad { Err("a row of the database can't be read".to_owned()) } else { Ok(()) }
}

/// The first page of the table, if this row of the schema is about it: type, name, table, page, text.
fn root_of(row: &[u8]) -> Option<usize> {
    match columns(row)?.as_slice() {
        [Column::Bytes(b"table"), Column::Bytes(b"Packages"), _, Column::Number(page), ..] => {
            usize::try_from(*page).ok()
        }
        _ => None,
    }
}

struct Database<'a> {
    bytes: &'a [u8],
    page_size: usize,
    /// What is used of a page.
    usable: usize,
}

impl<'a> Database<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let header = part(bytes, 0, 100).filter(|header| header.starts_with(MAGIC))?;
        let page_size = match be16(header, 16)? {
            1 => 65536,
            other => other,
        };
        let usable = page_size.checked_sub(usize::from(*header.get(20)?))?;
        let sound = page_size.is_power_of_two() && page_size >= 512 && usable >= 480;
        sound.then_some(Self { bytes, page_size, usable })
    }

    /// A page by its number, from 1 on.
    fn page(&self, number: usize) -> Option<&'a [u8]> {
        part(self.bytes, number.checked_sub(1)?.checked_mul(self.page_size)?, self.page_size)
    }

    /// Calls `each` with the record of every row of a tree. `None`: a page can't be read, or leads in a ring.
    fn rows(
        &self,
        number: usize,
        depth: usize,
        budget: &mut Budget,
        each: &mut dyn FnMut(&[u8]),
    ) -> Option<()> {
        budget.spend(self.page_size)?;
        let page = self.page(number)?;
        // The first page begins with the database's own header.
        let start = if number == 1 { 100 } else { 0 };
        let kind = *page.get(start)?;
        let cells = be16(page, start.checked_add(3)?)?;
        let pointers = start.checked_add(if kind == TABLE_INTERIOR { 12 } else { 8 })?;
        let deeper = depth.checked_add(1).filter(|depth| *depth <= DEPTH_MAX)?;
        for cell in 0..cells {
            let at = be16(page, pointers.checked_add(cell.checked_mul(2)?)?)?;
            match kind {
                TABLE_INTERIOR => self.rows(size(be32(page, at)?)?, deeper, budget, each)?,
                TABLE_LEAF => each(&self.record(page, at, budget)?),
                _ => return None,
            }
        }
        match kind {
            TABLE_INTERIOR => self.rows(size(be32(page, start.checked_add(8)?)?)?, deeper, budget, each),
            TABLE_LEAF => Some(()),
            _ => None,
        }
    }

    /// The record of a cell of a leaf: its length, its row's number, and what of it is in this page.
    fn record(&self, page: &[u8], at: usize, budget: &mut Budget) -> Option<Vec<u8>> {
        let (length, after) = varint(page, at)?;
        let (_, from) = varint(page, after)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= self.bytes.len())?;
        let local = self.local(length)?;
        // An empty record takes a byte all the same: there may be many in one place.
        budget.spend(length.max(1))?;
        let mut record = part(page, from, local)?.to_vec();
        if local < length {
            let mut next = size(be32(page, from.checked_add(local)?)?)?;
            while next != 0 && record.len() < length {
                let overflow = self.page(next)?;
                let left = length.checked_sub(record.len())?.min(self.usable.checked_sub(4)?);
                record.extend_from_slice(part(overflow, 4, left)?);
                next = size(be32(overflow, 0)?)?;
            }
        }
        (record.len() == length).then_some(record)
    }

    /// How much of a record of this length is in the leaf itself ("Cell Payload Overflow Pages").
    fn local(&self, length: usize) -> Option<usize> {
        let most = self.usable.checked_sub(35)?;
        if length <= most {
            return Some(length);
        }
        let least = self.usable.checked_sub(12)?.checked_mul(32)?.checked_div(255)?.checked_sub(23)?;
        let overflow = length.checked_sub(least)?.checked_rem(self.usable.checked_sub(4)?)?;
        let local = least.checked_add(overflow)?;
        Some(if local <= most { local } else { least })
    }
}

/// A value of a row, as far as it matters.
enum Column<'r> {
    Number(u64),
    Bytes(&'r [u8]),
    Other,
}

/// The values of a record: their types, then their bytes.
fn columns(record: &[u8]) -> Option<Vec<Column<'_>>> {
    let (header, mut at) = varint(record, 0)?;
    let header = usize::try_from(header).ok()?;
    let (mut columns, mut body) = (Vec::new(), header);
    while at < header {
        let (kind, next) = varint(record, at)?;
        let length = length_of(kind)?;
        let bytes = part(record, body, length)?;
        columns.push(match kind {
            1..=6 => Column::Number(bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))),
            8 | 9 => Column::Number(kind & 1),
            12.. => Column::Bytes(bytes),
            _ => Column::Other,
        });
        (at, body) = (next, body.checked_add(length)?);
    }
    Some(columns)
}

/// How many bytes a value of a type has ("Record Format").
fn length_of(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from(kind.checked_sub(12)? >> 1).ok(),
    }
}

fn be16(bytes: &[u8], from: usize) -> Option<usize> {
    part(bytes, from, 2)?.try_into().ok().map(|half| usize::from(u16::from_be_bytes(half)))
}

/// Seven bits a byte, the highest first; the ninth byte has eight. The number, and what follows it.
fn varint(bytes: &[u8], from: usize) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (count, byte) in bytes.get(from..)?.iter().take(9).enumerate() {
        let next = from.checked_add(count)?.checked_add(1)?;
        if count == 8 {
            return Some(((number << 8) | u64::from(*byte), next));
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, next));
        }
    }
    None
}

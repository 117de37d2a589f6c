//! The block of 512 bytes that begins an entry.

use super::until_nul;
use crate::error::ArchiveError;

/// What archives are made of.
pub(super) const BLOCK: usize = 512;

/// A header whose checksum is right.
pub(super) struct Header([u8; BLOCK]);

impl Header {
    pub(super) fn parse(block: [u8; BLOCK]) -> Result<Self, ArchiveError> {
        let header = Self(block);
        let expected = header.number(148, 8).ok_or(ArchiveError::Checksum)?;
        let right = |sum: i32| u64::try_from(sum) == Ok(expected);
        // Some archivers of old added bytes as signed ones.
        let right = right(header.sum(i32::from)) || right(header.sum(|byte| i32::from(byte.cast_signed())));
        if right { Ok(header) } else { Err(ArchiveError::Checksum) }
    }

    pub(super) fn flag(&self) -> u8 {
        self.field(156, 1).first().copied().unwrap_or_default()
    }

    pub(super) fn size(&self) -> Result<u64, ArchiveError> {
        self.number(124, 12).ok_or(ArchiveError::Field("a size"))
    }

    /// The path, with the part that POSIX puts elsewhere in front of it.
    pub(super) fn path(&self) -> Vec<u8> {
        let (name, prefix) = (until_nul(self.field(0, 100)), until_nul(self.prefix()));
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// Go asks for no version of POSIX's form. Before 1.8 it wrote a prefix into headers of GNU's form too, and still reads
    /// one there, where the times that belong there are none.
    fn prefix(&self) -> &[u8] {
        let posix = self.field(345, 155);
        match self.field(257, 8) {
            [b'u', b's', b't', b'a', b'r', 0, ..] if self.field(508, 4) == b"tar\0" => self.field(345, 131),
            [b'u', b's', b't', b'a', b'r', 0, ..] => posix,
            b"ustar  \0" if !self.has_times() && until_nul(posix).is_ascii() => posix,
            _ => &[],
        }
    }

    /// Whether what GNU's form has in the place of a prefix are times: of the last access, and of the last change.
    fn has_times(&self) -> bool {
        [345, 357].into_iter().all(|from| is_time(self.field(from, 12)))
    }

    pub(super) fn link(&self) -> Vec<u8> {
        until_nul(self.field(157, 100)).to_vec()
    }

    /// Whether the list of holes of GNU's old form has more blocks.
    pub(super) fn sparse_goes_on(&self) -> bool {
        self.field(482, 1) != [0]
    }

    fn field(&self, from: usize, length: usize) -> &[u8] {
        self.0.get(from..from.saturating_add(length)).unwrap_or_default()
    }

    /// A number in octal digits, or as bytes where the first bit says so.
    fn number(&self, from: usize, length: usize) -> Option<u64> {
        let field = self.field(from, length);
        match field.split_first() {
            Some((first, rest)) if first & 0x80 != 0 => binary(*first, rest),
            _ => octal(field),
        }
    }

    /// The sum of all bytes, those of the checksum counted as spaces. Of millions of files it is most of the work, so
    /// all are added alike.
    fn sum(&self, of: impl Fn(u8) -> i32) -> i32 {
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| of(*byte)).sum::<i32>();
        let spaces = of(b' ').saturating_mul(8);
        sum(&self.0).saturating_sub(sum(self.field(148, 8))).saturating_add(spaces)
    }
}

/// How many bytes follow a body to the end of its block.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() & 511
}

/// Bytes, the highest first. Negative numbers are nobody's size.
fn binary(first: u8, rest: &[u8]) -> Option<u64> {
    let high = first & 0x7f;
    if high & 0x40 != 0 {
        return None;
    }
    rest.iter().try_fold(u64::from(high), |sum, byte| sum.checked_mul(256)?.checked_add(u64::from(*byte)))
}

/// Octal digits, or as many bytes as an `int64` has, also negative ones; nothing is a time, too.
fn is_time(field: &[u8]) -> bool {
    match field.split_first() {
        None | Some((0, _)) => true,
        Some((first, rest)) if first & 0x80 != 0 => {
            let inverted = if first & 0x40 == 0 { 0 } else { 0xff };
            let high = rest.get(..3).unwrap_or_default();
            let sign = rest.get(3).copied().unwrap_or_default();
            (first ^ inverted) & 0x7f == 0
                && high.iter().all(|byte| *byte == inverted)
                && (sign ^ inverted) & 0x80 == 0
        }
        Some(_) => octal(field).is_some(),
    }
}

/// Octal digits between spaces and NULs; nothing at all is zero.
fn octal(field: &[u8]) -> Option<u64> {
    let padding = |byte: &u8| *byte == b' ' || *byte == 0;
    let from = field.iter().position(|byte| !padding(byte)).unwrap_or(field.len());
    let digits = until_nul(field.get(from..)?);
    let digits = digits.trim_ascii_end();
    digits.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(digit.wrapping_sub(b'0'))),
        _ => None,
    })
}

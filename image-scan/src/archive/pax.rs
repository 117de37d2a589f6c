//! Extended headers: POSIX's records `LENGTH KEY=VALUE\n`, and GNU's long names, before the entry that they are about.

use super::until_nul;
use crate::error::ArchiveError;

/// What extended headers said of the entry that follows. Of POSIX's only the last counts, and GNU's come before it, in
/// whatever order they stand: so does `archive/tar` of Go have it.
#[derive(Debug, Default)]
pub(super) struct Extended {
    posix: Records,
    path: Vec<u8>,
    link: Vec<u8>,
}

/// The records of one header that matter; an empty value is as good as none.
#[derive(Debug, Default)]
struct Records {
    path: Vec<u8>,
    link: Vec<u8>,
    size: Option<u64>,
    sparse: Sparse,
}

/// What is said of a file whose holes were left out.
#[derive(Debug, Default)]
struct Sparse {
    name: Vec<u8>,
    major: Vec<u8>,
    minor: Vec<u8>,
    has_map: bool,
}

impl Extended {
    /// Takes the records of one of POSIX's headers.
    pub(super) fn read_pax(&mut self, mut records: &[u8]) -> Result<(), ArchiveError> {
        self.posix = Records::default();
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or(ArchiveError::Field("a pax record"))?;
            self.posix.take(key, value)?;
            records = rest;
        }
        Ok(())
    }

    /// Takes one of GNU's headers: of the path, or of where a link leads.
    pub(super) fn read_gnu(&mut self, flag: u8, body: &[u8]) {
        let place = if flag == b'L' { &mut self.path } else { &mut self.link };
        *place = until_nul(body).to_vec();
    }

    /// The path, where they say one.
    pub(super) fn path(&self) -> Option<&[u8]> {
        let sparse = Some(&self.posix.sparse.name).filter(|_| self.is_sparse());
        said(sparse.into_iter().chain([&self.path, &self.posix.path]))
    }

    /// Where a link leads, where they say so.
    pub(super) fn link(&self) -> Option<&[u8]> {
        said([&self.link, &self.posix.link].into_iter())
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.posix.size
    }

    /// Whether its holes were left out: in a form of GNU's that is known, or by a map without a form.
    pub(super) fn is_sparse(&self) -> bool {
        let Sparse { major, minor, has_map, .. } = &self.posix.sparse;
        match (major.as_slice(), minor.as_slice()) {
            (b"0", b"0" | b"1") | (b"1", b"0") => true,
            (b"", b"") => *has_map,
            _ => false,
        }
    }
}

fn said<'a>(texts: impl Iterator<Item = &'a Vec<u8>>) -> Option<&'a [u8]> {
    texts.map(Vec::as_slice).find(|text| !text.is_empty())
}

impl Records {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), ArchiveError> {
        let place = match key {
            b"path" | b"linkpath" | b"GNU.sparse.name" if value.contains(&0) => {
                return Err(ArchiveError::Field("a path with NUL in it"));
            }
            b"path" => &mut self.path,
            b"linkpath" => &mut self.link,
            b"GNU.sparse.name" => &mut self.sparse.name,
            b"GNU.sparse.major" => &mut self.sparse.major,
            b"GNU.sparse.minor" => &mut self.sparse.minor,
            b"GNU.sparse.map" => {
                self.sparse.has_map = !value.is_empty();
                return Ok(());
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                self.sparse.has_map = true;
                return Ok(());
            }
            b"size" => {
                let size = || decimal(value).ok_or(ArchiveError::Field("a size"));
                self.size = (!value.is_empty()).then(size).transpose()?;
                return Ok(());
            }
            _ => return Ok(()),
        };
        *place = value.to_vec();
        Ok(())
    }
}

/// The first record: key, value, and what follows.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(records.get(..space)?)?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let (pair, newline) =
        record.get(space.checked_add(1)?..)?.split_at_checked(length.checked_sub(space)?.checked_sub(2)?)?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (pair.get(..equals)?, pair.get(equals.checked_add(1)?..)?);
    (newline == b"\n").then_some((key, value, rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))),
        _ => None,
    })
}

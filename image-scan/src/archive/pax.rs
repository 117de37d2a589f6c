//! Extended headers of POSIX: records `LENGTH KEY=VALUE\n` before the entry that they are about.

use crate::error::ArchiveError;

/// What extended headers said of the entry that follows.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) sparse: bool,
}

impl Extended {
    /// Takes the records of one header. An empty value takes back what was said before (POSIX, "pax").
    pub(super) fn read_pax(&mut self, mut records: &[u8]) -> Result<(), ArchiveError> {
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or(ArchiveError::Field("a pax record"))?;
            self.take(key, value)?;
            records = rest;
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), ArchiveError> {
        let given = || (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" | b"linkpath" | b"GNU.sparse.name" if value.contains(&0) => {
                return Err(ArchiveError::Field("a path with NUL in it"));
            }
            // GNU writes a made-up path beside this one.
            b"GNU.sparse.name" => (self.path, self.sparse) = (given(), true),
            b"path" if !self.sparse => self.path = given(),
            b"linkpath" => self.link = given(),
            b"size" if value.is_empty() => self.size = None,
            b"size" => self.size = Some(decimal(value).ok_or(ArchiveError::Field("a size"))?),
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {}
        }
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

//! The archive: POSIX ustar, regular files only, everything that isn't name and size always the same.
//!
//! So there is exactly one header for a part, and reading is comparing: no path, type, link or extension of tar is
//! ever interpreted.

use std::io::{self, Read, Write};

use oci_image::{Digest, Hasher};

use crate::error::PackError;
use crate::index::{INDEX, PackIndex, Part};

/// A block of tar.
pub(crate) const BLOCK: u64 = 512;

/// How many bytes are read at once.
const BUFFER: usize = 128 * 1024;

/// The two empty blocks that end an archive.
const END: [u8; 1024] = [0; 1024];

/// The header of a part.
pub(crate) fn header(name: &str, size: u64) -> Result<[u8; 512], PackError> {
    let mut header = tar::Header::new_ustar();
    let unfit = |why: io::Error| PackError::part(name, "a name that fits into a header", why.to_string());
    header.set_path(name).map_err(unfit)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(*header.as_bytes())
}

/// How many bytes follow a file of that size up to the next block.
pub(crate) fn padding(size: u64) -> u64 {
    match size.checked_rem(BLOCK) {
        None | Some(0) => 0,
        Some(over) => BLOCK.saturating_sub(over),
    }
}

/// Writes an archive, part after part in the order of its index.
pub(crate) fn write<W: Write>(
    out: &mut W,
    index: &PackIndex,
    open: &mut dyn FnMut(&Part) -> io::Result<Box<dyn Read>>,
) -> io::Result<()> {
    let text = index.to_bytes().map_err(io::Error::other)?;
    let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
    out.write_all(&header(INDEX, size).map_err(io::Error::other)?)?;
    out.write_all(&text)?;
    pad(out, size)?;
    for part in &index.parts {
        out.write_all(&header(&part.name, part.size).map_err(io::Error::other)?)?;
        copy(&mut open(part)?, out, part)?;
        pad(out, part.size)?;
    }
    out.write_all(&END)
}

/// What is in the pack is what its index says, or there is no pack.
fn copy(from: &mut dyn Read, to: &mut impl Write, part: &Part) -> io::Result<()> {
    let got = Hashed::of(from, part.size, &mut |bytes| to.write_all(bytes))?;
    match got.fault(part) {
        None => Ok(()),
        Some(error) => Err(io::Error::other(error)),
    }
}

fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let length = usize::try_from(padding(size)).unwrap_or(0);
    out.write_all(END.get(..length).unwrap_or_default())
}

/// How many bytes there were, and their hash.
pub(crate) struct Hashed {
    size: u64,
    digest: Digest,
}

impl Hashed {
    /// Reads at most `size` bytes and one more.
    pub(crate) fn of(
        from: &mut dyn Read,
        size: u64,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut from = from.take(size.saturating_add(1));
        let (mut hasher, mut read) = (Hasher::new(), 0_u64);
        let most = usize::try_from(size).unwrap_or(BUFFER).saturating_add(1);
        let mut buffer = vec![0; most.min(BUFFER)];
        loop {
            let length = from.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            read = read.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            each(bytes)?;
        }
        Ok(Self { size: read, digest: hasher.finish() })
    }

    /// What is wrong with a part of which this came.
    pub(crate) fn fault(&self, part: &Part) -> Option<PackError> {
        if self.size != part.size {
            let got = match self.size < part.size {
                true => format!("{} bytes", self.size),
                false => "more".to_owned(),
            };
            return Some(PackError::part(&part.name, format!("{} bytes", part.size), got));
        }
        let got = self.digest.hex();
        let expected = || format!("sha256 {}", part.sha256);
        (got != part.sha256).then(|| PackError::part(&part.name, expected(), format!("sha256 {got}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_filled_up() {
        for (size, left) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
            assert_eq!(padding(size), left, "{size}");
        }
    }
}

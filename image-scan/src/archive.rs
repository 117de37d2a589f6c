//! Tar archives as layers have them: POSIX ustar and pax, GNU, and what came before.
//!
//! Headers are read as Go's `archive/tar` reads them, because Docker, containerd and podman unpack layers with
//! it: what those would make of an archive is what is looked at here. Bodies are passed over unless somebody
//! reads them. Nothing is written anywhere.

mod header;
mod pax;

use std::io::{self, BufRead, Read};

use crate::error::ArchiveError;
use crate::limits;
use header::{BLOCK, Header};
use pax::Extended;

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    File,
    /// A file whose holes were left out, so that its body isn't its content.
    Sparse,
    HardLink,
    Symlink,
    Dir,
    /// A device, a pipe, or nothing that a file system has.
    Other,
}

/// One entry: whose path is as written, not yet weighed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Where a link leads.
    pub(crate) link: Vec<u8>,
    /// How many bytes its body has.
    pub(crate) size: u64,
}

/// Reads an archive entry by entry.
pub(crate) struct Archive<R> {
    reader: R,
    /// What is left of the body of the current entry, and the padding after it.
    body: u64,
    padding: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Archive<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, body: 0, padding: 0, buffer: Vec::new() }
    }

    /// The next entry, or `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut extended = Extended::default();
        loop {
            self.skip_body()?;
            let Some(header) = self.header()? else { return Ok(None) };
            match header.flag() {
                b'x' => extended.read_pax(self.meta(&header)?)?,
                flag @ (b'L' | b'K') => extended.read_gnu(flag, self.meta(&header)?),
                // Records for all that follow. To Go they are an entry of no effect: what stood before is about that.
                b'g' => {
                    self.meta(&header)?;
                    extended = Extended::default();
                }
                _ => return self.entry(&header, &extended).map(Some),
            }
        }
    }

    /// The body of the current entry, as far as it wasn't read.
    pub(crate) fn body(&mut self) -> Body<'_, R> {
        Body { archive: self }
    }

    /// Reads on to the end, so that whoever hashes has seen every byte.
    pub(crate) fn drain(mut self) -> Result<R, ArchiveError> {
        self.pass_over(u64::MAX)?;
        Ok(self.reader)
    }

    fn entry(&mut self, header: &Header, extended: &Extended) -> Result<Entry, ArchiveError> {
        let path = extended.path().map_or_else(|| header.path(), <[u8]>::to_vec);
        let (mut kind, has_body) = match header.flag() {
            // Of old, a slash made a folder of what has no kind; and a folder has no body, whatever its header says.
            0 if path.ends_with(b"/") => (Kind::Dir, false),
            flag => kind_of(flag),
        };
        if extended.is_sparse() {
            kind = Kind::Sparse;
        }
        if header.flag() == b'S' {
            self.skip_sparse_map(header)?;
        }
        let size = match extended.size() {
            Some(size) => size,
            None => header.size()?,
        };
        self.expect_body(if has_body { size } else { 0 })?;
        let link = extended.link().map_or_else(|| header.link(), <[u8]>::to_vec);
        Ok(Entry { path, kind, link, size: self.body })
    }

    fn expect_body(&mut self, size: u64) -> Result<(), ArchiveError> {
        // Beyond it, readers that count in int64 would see another archive.
        if size > limits::LAYER_MAX {
            return Err(ArchiveError::TooLarge { limit: limits::LAYER_MAX });
        }
        self.body = size;
        self.padding = header::padding(size);
        Ok(())
    }

    /// The body of an extended header.
    fn meta(&mut self, header: &Header) -> Result<&[u8], ArchiveError> {
        let (got, limit) = (header.size()?, limits::EXTENDED_HEADER_MAX);
        if got > limit {
            return Err(ArchiveError::HeaderSize { limit, got });
        }
        self.expect_body(got)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.body().read_to_end(&mut buffer).map_err(ArchiveError::Read)?;
        self.buffer = buffer;
        match self.body {
            0 => Ok(&self.buffer),
            _ => Err(ArchiveError::Truncated),
        }
    }

    /// GNU's old form of holes goes on in blocks of its own, each of which says whether another follows.
    fn skip_sparse_map(&mut self, header: &Header) -> Result<(), ArchiveError> {
        let mut more = header.sparse_goes_on();
        while more {
            let Some(block) = self.block()? else { return Err(ArchiveError::Truncated) };
            more = block.get(504).is_some_and(|flag| *flag != 0);
        }
        Ok(())
    }

    /// A header, or `None` where two empty blocks, or the end of the bytes, say that there are no more.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let Some(block) = self.block()? else { return Ok(None) };
        if !is_empty(&block) {
            return Header::parse(block).map(Some);
        }
        match self.block()? {
            Some(second) if !is_empty(&second) => Err(ArchiveError::Checksum),
            _ => Ok(None),
        }
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let mut block = [0; BLOCK];
        match read_full(&mut self.reader, &mut block).map_err(ArchiveError::Read)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(ArchiveError::Truncated),
        }
    }

    fn skip_body(&mut self) -> Result<(), ArchiveError> {
        let (body, padding) = (self.body, self.padding);
        (self.body, self.padding) = (0, 0);
        // After the last entry, the padding may be missing.
        match self.pass_over(body.saturating_add(padding))? {
            done if done >= body => Ok(()),
            _ => Err(ArchiveError::Truncated),
        }
    }

    /// Passes over as many bytes, or to the end if there are fewer; how many there were.
    fn pass_over(&mut self, count: u64) -> Result<u64, ArchiveError> {
        let mut left = count;
        while left > 0 {
            let there = match self.reader.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => bytes.len(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ArchiveError::Read(error)),
            };
            let passed = usize::try_from(left).unwrap_or(usize::MAX).min(there);
            self.reader.consume(passed);
            left = left.saturating_sub(u64::try_from(passed).unwrap_or(u64::MAX));
        }
        Ok(count.saturating_sub(left))
    }
}

/// Reads what is left of an entry's body.
pub(crate) struct Body<'a, R> {
    archive: &'a mut Archive<R>,
}

impl<R: BufRead> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.archive.reader).take(self.archive.body).read(buffer)?;
        let counted = u64::try_from(count).unwrap_or(u64::MAX);
        self.archive.body = self.archive.body.saturating_sub(counted);
        Ok(count)
    }
}

/// What a type flag stands for, and whether a body follows the header.
fn kind_of(flag: u8) -> (Kind, bool) {
    match flag {
        b'0' | 0 | b'7' => (Kind::File, true),
        b'1' => (Kind::HardLink, false),
        b'2' => (Kind::Symlink, false),
        b'3' | b'4' | b'6' => (Kind::Other, false),
        b'5' => (Kind::Dir, false),
        b'S' => (Kind::Sparse, true),
        _ => (Kind::Other, true),
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn is_empty(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// Fills a buffer; how many bytes there were, if fewer.
pub(crate) fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled: usize = 0;
    while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
        match reader.read(space) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;

//! A database that is open, and what it is asked.
//!
//! It is read at places, not mapped: a file that another process cuts short would kill who mapped it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::Error;
use crate::ecosystem::{Ecosystem, Package};
use crate::format::{Entry, FORM, HEAD, Head, Index, Place};
use crate::limits;
use crate::matching::{self, Answer};

/// One file of advisories.
#[derive(Debug)]
pub struct Database {
    pub(crate) path: PathBuf,
    file: Bytes,
    head: Head,
    index: Index,
}

/// Where its bytes are.
#[derive(Debug)]
enum Bytes {
    /// In a file, read at places.
    File(File),
    /// In memory, and not summed.
    Memory(Vec<u8>),
}

impl Bytes {
    fn length(&self) -> std::io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buffer, offset),
            Self::Memory(bytes) => {
                let from = usize::try_from(offset).ok();
                let part = from.and_then(|from| bytes.get(from..from.checked_add(buffer.len())?));
                let part = part.ok_or(std::io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// Whether a sum is that of the bytes, where sums are looked at.
    fn is_sum(&self, bytes: &[u8], checksum: u32) -> bool {
        matches!(self, Self::Memory(_)) || crc32fast::hash(bytes) == checksum
    }
}

/// What a database is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Info {
    /// The form of the file.
    pub form: u32,
    /// When the newest advisory in it was changed (RFC 3339, UTC). The same advisories make the same file, so it
    /// doesn't say when that was.
    pub made_at: String,
    /// How many advisories, without those that were withdrawn.
    pub advisories: u64,
    /// What it was made from.
    pub sources: Vec<SourceInfo>,
    /// The length of the file in bytes.
    pub length: u64,
}

/// One archive that a database was made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceInfo {
    /// The ecosystem.
    pub name: String,
    /// How many advisories, without those that were withdrawn.
    pub advisories: u64,
    /// How many were withdrawn or rejected, and are left out.
    pub withdrawn: u64,
    /// When the newest was changed (RFC 3339, UTC), where one says.
    pub newest: Option<String>,
}

/// Whether there is anything to look packages of an ecosystem up in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Coverage {
    /// There is: what isn't found isn't known to be wrong.
    HasData,
    /// There isn't, and why: nothing can be learnt.
    NoData(String),
}

impl Database {
    /// Opens a database: reads its index, and checks the sums of it. The rest is checked as it is read.
    ///
    /// # Errors
    /// When it can't be read, is something else, of another form, or damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| Error::Io { path: path.to_owned(), error })?;
        Self::of(path, Bytes::File(file))
    }

    /// A database in memory whose sums are not looked at: for programs that look for input which the code behind them
    /// can't bear. The sums find damage, and are no protection from anybody.
    ///
    /// # Errors
    /// When it is something else, of another form, or can't be read.
    #[doc(hidden)]
    pub fn from_bytes_without_sums(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::of(Path::new("memory"), Bytes::Memory(bytes))
    }

    fn of(path: &Path, file: Bytes) -> Result<Self, Error> {
        let io = |error| Error::Io { path: path.to_owned(), error };
        let length = file.length().map_err(io)?;
        let mut bytes = [0; HEAD];
        let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
        let not_a_database = || Error::NotADatabase { path: path.to_owned() };
        if length < 12 {
            return Err(not_a_database());
        }
        if length < bytes.len() as u64 {
            let mut start = [0; 12];
            file.read_exact_at(&mut start, 0).map_err(io)?;
            Head::form(&start).ok_or_else(not_a_database)?;
            return Err(damaged(format!("expected at least {HEAD} bytes, got {length}")));
        }
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        match Head::form(&bytes) {
            None => return Err(not_a_database()),
            Some(FORM) => (),
            Some(got) => return Err(Error::Version { path: path.to_owned(), expected: FORM, got }),
        }
        let head = Head::parse(&bytes, |bytes, sum| file.is_sum(bytes, sum))
            .ok_or_else(|| damaged("the head has another checksum".to_owned()))?;
        if head.file_length != length {
            return Err(damaged(format!("expected {} bytes, got {length}", head.file_length)));
        }
        let index = read_index(&file, head).map_err(damaged)?;
        Ok(Self { path: path.to_owned(), file, head, index })
    }

    /// What it is, and how old.
    #[must_use]
    pub fn info(&self) -> Info {
        let source = |source: &crate::format::Source| SourceInfo {
            name: source.name.clone(),
            advisories: source.advisories,
            withdrawn: source.withdrawn,
            newest: source.newest.clone(),
        };
        Info {
            form: FORM,
            made_at: self.index.made_at.clone(),
            advisories: self.index.sources.iter().fold(0, |sum, one| sum.saturating_add(one.advisories)),
            sources: self.index.sources.iter().map(source).collect(),
            length: self.head.file_length,
        }
    }

    /// Whether there is anything to look packages of an ecosystem up in.
    #[must_use]
    pub fn coverage(&self, ecosystem: &Ecosystem) -> Coverage {
        let has = |one: &Ecosystem| self.index.ecosystems.binary_search(&one.to_string()).is_ok();
        let any_release = ecosystem.any_release();
        let with_release = format!("{}:", ecosystem.name);
        if ecosystem.order().is_none() {
            Coverage::NoData(format!("no order of versions is known for {}", ecosystem.name))
        } else if has(ecosystem) || !ecosystem.is_distribution() && has(&any_release) {
            Coverage::HasData
        } else if self.index.ecosystems.iter().any(|one| one.starts_with(&with_release)) {
            Coverage::NoData("no data for this release".to_owned())
        } else {
            Coverage::NoData(format!("no advisories of {}", ecosystem.name))
        }
    }

    /// What affects a package: one match for each weakness, under whatever names it is known. See [`Answer`].
    ///
    /// # Errors
    /// When the file can't be read, or is damaged.
    pub fn affecting(&self, package: &Package) -> Result<Answer, Error> {
        matching::affecting(self, package)
    }

    /// What is kept under a key.
    pub(crate) fn entries(&self, key: &str) -> Result<Vec<Entry>, Error> {
        match self.find(key) {
            Some(place) => self.read(place),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, place: Place) -> Result<T, Error> {
        read_block(&self.file, self.head, place).map_err(|what| self.damaged(what))
    }

    fn damaged(&self, what: String) -> Error {
        Error::Damaged { path: self.path.clone(), what }
    }

    fn find(&self, key: &str) -> Option<Place> {
        let slots = &self.index.slots;
        let (mut low, mut high) = (0, slots.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.key_at(middle)?.cmp(key) {
                std::cmp::Ordering::Less => low = middle.checked_add(1)?,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return slots.get(middle).map(|(_, place)| *place),
            }
        }
        None
    }

    fn key_at(&self, at: usize) -> Option<&str> {
        let end = |at: usize| self.index.slots.get(at).map(|(end, _)| *end as usize);
        let start = if at == 0 { 0 } else { end(at.checked_sub(1)?)? };
        self.index.keys.get(start..end(at)?)
    }
}

fn read_index(file: &Bytes, head: Head) -> Result<Index, String> {
    let end = head.index.checked_add(head.index_length);
    if head.index_length > limits::INDEX || end != Some(head.file_length) {
        return Err("the index isn't at the end of the file".to_owned());
    }
    let index: Index = read_at(file, head.index, head.index_length, head.index_checksum, "the index")?;
    let mut before = 0;
    for (end, _) in &index.slots {
        let end = *end as usize;
        if end < before || !index.keys.is_char_boundary(end) {
            return Err("the index has keys that aren't in it".to_owned());
        }
        before = end;
    }
    Ok(index)
}

fn read_block<T: DeserializeOwned>(file: &Bytes, head: Head, place: Place) -> Result<T, String> {
    let end = place.offset.checked_add(u64::from(place.length));
    if place.length > limits::BLOCK || end.is_none_or(|end| end > head.index) || place.offset < HEAD as u64 {
        return Err(format!(
            "expected a block among the blocks, got {} bytes at {}",
            place.length, place.offset
        ));
    }
    read_at(file, place.offset, place.length.into(), place.checksum, "a block")
}

fn read_at<T: DeserializeOwned>(
    file: &Bytes,
    offset: u64,
    length: u64,
    checksum: u32,
    what: &str,
) -> Result<T, String> {
    let length = usize::try_from(length).map_err(|_| format!("{what} is too long for this machine"))?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).map_err(|error| format!("{what} at {offset}: {error}"))?;
    if !file.is_sum(&bytes, checksum) {
        return Err(format!("{what} at {offset} has another checksum"));
    }
    match postcard::take_from_bytes(&bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{what} at {offset} has {} bytes too many", rest.len())),
        Err(error) => Err(format!("{what} at {offset}: {error}")),
    }
}

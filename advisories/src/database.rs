//! A database that is open, and what it is asked.
//!
//! It is read at places, not mapped: a file that another process cuts short would kill who mapped it.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Error;
use crate::ecosystem::{Ecosystem, Package};
use crate::format::{BlockHead, Entry, FORM, HEAD, Head, Index, Place, Record, SLOT, Slot, Source};
use crate::limits;
use crate::matching::{self, Answer};
use crate::texts::Texts;

/// What is told of each entry of a block: the block's head, the place of its record, and what it says.
pub(crate) type EachEntry<'f, 'b> = &'f mut dyn FnMut(&BlockHead<&'b str>, Place, &Entry<&'b str>);

/// One file of advisories.
#[derive(Debug)]
pub struct Database {
    pub(crate) path: PathBuf,
    file: Bytes,
    head: Head,
    made_at: String,
    sources: Vec<Source>,
    /// Each with where its slots begin. Those of the next begin where they end.
    ecosystems: Vec<(String, usize)>,
    keys: String,
    slots: Vec<u8>,
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
        let bytes = read_index(&file, head).map_err(damaged)?;
        let index = index(&bytes, head.index).map_err(damaged)?;
        let mut database = Self {
            path: path.to_owned(),
            file,
            head,
            made_at: index.made_at,
            sources: index.sources,
            ecosystems: Vec::new(),
            keys: index.keys.to_owned(),
            slots: index.slots.to_owned(),
        };
        let all = 0..database.slots.len().checked_div(SLOT).unwrap_or_default();
        let begin = |one: String| (database.first_at_least(all.clone(), 0, &one), one);
        let ecosystems = index.ecosystems.into_iter().map(begin).map(|(begin, one)| (one, begin)).collect();
        database.ecosystems = ecosystems;
        Ok(database)
    }

    /// What it is, and how old.
    #[must_use]
    pub fn info(&self) -> Info {
        let source = |source: &Source| SourceInfo {
            name: source.name.clone(),
            advisories: source.advisories,
            withdrawn: source.withdrawn,
            newest: source.newest.clone(),
        };
        Info {
            form: FORM,
            made_at: self.made_at.clone(),
            advisories: self.sources.iter().fold(0, |sum, one| sum.saturating_add(one.advisories)),
            sources: self.sources.iter().map(source).collect(),
            length: self.head.file_length,
        }
    }

    /// Whether there is anything to look packages of an ecosystem up in.
    #[must_use]
    pub fn coverage(&self, ecosystem: &Ecosystem) -> Coverage {
        let with_release = format!("{}:", ecosystem.name);
        if ecosystem.order().is_none() {
            Coverage::NoData(format!("no order of versions is known for {}", ecosystem.name))
        } else if self.has(&ecosystem.to_string())
            || !ecosystem.is_distribution() && self.has(&ecosystem.name)
        {
            Coverage::HasData
        } else if self.ecosystems.iter().any(|(one, _)| one.starts_with(&with_release)) {
            Coverage::NoData("no data for this release".to_owned())
        } else {
            Coverage::NoData(format!("no advisories of {}", ecosystem.name))
        }
    }

    /// What affects a package: one match for each weakness, under whatever names it is known. See [`Answer`], whose
    /// texts lie in `texts`.
    ///
    /// # Errors
    /// When the file can't be read, or is damaged.
    pub fn affecting<'t>(&self, package: &Package, texts: &'t Texts) -> Result<Answer<'t>, Error> {
        matching::affecting(self, package, texts)
    }

    fn has(&self, ecosystem: &str) -> bool {
        self.of_ecosystem(ecosystem).is_some()
    }

    /// Reads the block on a package of an ecosystem, by its normalised name, if there is one, and says where it is. What
    /// it is the first to name is read with it, where that is little.
    pub(crate) fn read_block(
        &self,
        ecosystem: &str,
        name: &str,
        piece: &mut Piece,
    ) -> Result<Option<Place>, Error> {
        let Some((place, records)) = self.find(ecosystem, name) else { return Ok(None) };
        self.check(place)?;
        let is_little = |from: &u64| place.offset.checked_sub(*from).is_some_and(|all| all <= limits::BESIDE);
        let from = Some(records).filter(is_little).unwrap_or(place.offset);
        piece.read(self, from, place.end())?;
        Ok(Some(place))
    }

    /// What is at a place of which a piece was read, if it was.
    pub(crate) fn believed<'p>(&self, piece: &'p Piece, place: Place) -> Result<Option<&'p [u8]>, Error> {
        match piece.within(place) {
            Some(bytes) if self.file.is_sum(bytes, place.checksum) => Ok(Some(bytes)),
            Some(_) => Err(self.damaged(format!("a block at {} has another checksum", place.offset))),
            None => Ok(None),
        }
    }

    /// Calls `each` with every entry of a block.
    pub(crate) fn each_entry<'b>(&self, bytes: &'b [u8], each: EachEntry<'_, 'b>) -> Result<(), Error> {
        let damaged = |why: String| self.damaged(format!("a block: {why}"));
        let next = |error: postcard::Error| damaged(error.to_string());
        let (head, mut rest): (BlockHead<&str>, _) = postcard::take_from_bytes(bytes).map_err(next)?;
        while !rest.is_empty() {
            let ((record, entry), after): ((Place, Entry<&str>), _) =
                postcard::take_from_bytes(rest).map_err(next)?;
            if entry.binaries.is_some_and(|list| list as usize >= head.binaries.len()) {
                return Err(damaged("it names a list that it doesn't have".to_owned()));
            }
            each(&head, record, &entry);
            rest = after;
        }
        Ok(())
    }

    /// What a record says.
    pub(crate) fn record<'b>(&self, bytes: &'b [u8]) -> Result<Record<&'b str>, Error> {
        let record: Record<&'b str> =
            decoded(bytes).map_err(|why| self.damaged(format!("a record: {why}")))?;
        // A finding is told, weighed and excepted by it.
        if record.id.is_empty() || record.cves.iter().any(|cve| cve.id.is_empty()) {
            return Err(self.damaged("a record: expected an id, got none".to_owned()));
        }
        Ok(record)
    }

    pub(crate) fn damaged(&self, what: String) -> Error {
        Error::Damaged { path: self.path.clone(), what }
    }

    /// Whether a place is among the blocks.
    fn check(&self, place: Place) -> Result<(), Error> {
        let end = place.offset.checked_add(u64::from(place.length));
        if place.length > limits::BLOCK
            || end.is_none_or(|end| end > self.head.index)
            || place.offset < HEAD as u64
        {
            let Place { offset, length, .. } = place;
            let what = format!("expected a block among the blocks, got {length} bytes at {offset}");
            return Err(self.damaged(what));
        }
        Ok(())
    }

    /// Where the block on a package is, and where what is before it ends: what it is the first to name lies between.
    fn find(&self, ecosystem: &str, name: &str) -> Option<(Place, u64)> {
        let slots = self.of_ecosystem(ecosystem)?;
        let skip = ecosystem.len().checked_add(1)?;
        let at = self.first_at_least(slots.clone(), skip, name);
        let is_it = slots.contains(&at) && self.key_at(at)?.get(skip..)? == name;
        let before = at.checked_sub(1).and_then(|before| self.slot(before));
        is_it.then_some((self.slot(at)?.place, before.map_or(HEAD as u64, |slot| slot.place.end())))
    }

    /// The slots of an ecosystem.
    fn of_ecosystem(&self, ecosystem: &str) -> Option<Range<usize>> {
        let at = self.ecosystems.binary_search_by(|(one, _)| one.as_str().cmp(ecosystem)).ok()?;
        let begin = |at: usize| self.ecosystems.get(at).map(|(_, begin)| *begin);
        let end = begin(at.checked_add(1)?).or_else(|| self.slots.len().checked_div(SLOT))?;
        Some(begin(at)?..end)
    }

    /// The first of some slots whose key, without its beginning, isn't below a text.
    fn first_at_least(&self, slots: Range<usize>, skip: usize, text: &str) -> usize {
        let (mut low, mut high) = (slots.start, slots.end);
        while low < high {
            let middle = low.midpoint(high);
            match self.key_at(middle).and_then(|key| key.get(skip..)) {
                Some(key) if key >= text => high = middle,
                _ => low = middle.saturating_add(1),
            }
        }
        low
    }

    fn key_at(&self, at: usize) -> Option<&str> {
        let start = if at == 0 { 0 } else { self.slot(at.checked_sub(1)?)?.end as usize };
        self.keys.get(start..self.slot(at)?.end as usize)
    }

    fn slot(&self, at: usize) -> Option<Slot> {
        Slot::parse(self.slots.get(at.checked_mul(SLOT)?..)?)
    }
}

/// A piece of the file, as it was read: checked by no sum.
#[derive(Default)]
pub(crate) struct Piece {
    start: u64,
    length: usize,
    /// At least as long. What is behind is of an earlier piece.
    bytes: Vec<u8>,
}

impl Piece {
    /// Forgets what was read.
    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    /// Gives room back that is beyond some.
    pub(crate) fn shrink_to(&mut self, room: usize) {
        if self.bytes.len() > room {
            *self = Self::default();
        }
    }

    fn read(&mut self, database: &Database, start: u64, end: u64) -> Result<(), Error> {
        let failed = |why: String| database.damaged(format!("a block at {start}: {why}"));
        let length = usize::try_from(end.saturating_sub(start))
            .map_err(|_| failed("it is too long for this machine".to_owned()))?;
        self.clear();
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        let room = self.bytes.get_mut(..length).unwrap_or_default();
        database.file.read_exact_at(room, start).map_err(|error| failed(error.to_string()))?;
        (self.start, self.length) = (start, length);
        Ok(())
    }

    fn within(&self, place: Place) -> Option<&[u8]> {
        let from = usize::try_from(place.offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(..self.length)?.get(from..from.checked_add(usize::try_from(place.length).ok()?)?)
    }
}

/// Records that are read in turn. Those of one package are mostly neighbours in the file, and are read at once.
pub(crate) struct Records<'r> {
    pub(crate) database: &'r Database,
    /// In this order.
    pub(crate) places: &'r [Place],
    /// What was read with the block.
    pub(crate) beside: &'r Piece,
    /// What was read since.
    pub(crate) piece: &'r mut Piece,
}

impl Records<'_> {
    /// The bytes of the next one.
    pub(crate) fn next(&mut self) -> Result<&[u8], Error> {
        let none = || self.database.damaged("expected a record, got none".to_owned());
        let (place, rest) = self.places.split_first().ok_or_else(none)?;
        if let Some(bytes) = self.database.believed(self.beside, *place)? {
            self.places = rest;
            return Ok(bytes);
        }
        if self.piece.within(*place).is_none() {
            self.read(*place, rest)?;
        }
        self.places = rest;
        let none = || self.database.damaged(format!("expected a record at {}, got none", place.offset));
        self.database.believed(self.piece, *place)?.ok_or_else(none)
    }

    /// Reads a record, with those after it that lie shortly behind.
    fn read(&mut self, first: Place, rest: &[Place]) -> Result<(), Error> {
        self.database.check(first)?;
        let most = first.offset.saturating_add(limits::READ_AHEAD);
        let mut until = first.end();
        for place in rest {
            let is_near = place.offset >= first.offset && place.offset <= until.saturating_add(limits::GAP);
            if !is_near || place.end() > most.max(until) {
                break;
            }
            self.database.check(*place)?;
            until = until.max(place.end());
        }
        self.piece.read(self.database, first.offset, until)
    }
}

fn read_index(file: &Bytes, head: Head) -> Result<Vec<u8>, String> {
    let end = head.index.checked_add(head.index_length);
    if head.index_length > limits::INDEX || end != Some(head.file_length) {
        return Err("the index isn't at the end of the file".to_owned());
    }
    let at = |why| format!("the index at {}: {why}", head.index);
    let bytes = read_at(file, head.index, head.index_length).map_err(at)?;
    match file.is_sum(&bytes, head.index_checksum) {
        true => Ok(bytes),
        false => Err(format!("the index at {} has another checksum", head.index)),
    }
}

fn index(bytes: &[u8], at: u64) -> Result<Index<'_>, String> {
    let index: Index<'_> = decoded(bytes).map_err(|why| format!("the index at {at}: {why}"))?;
    let (slots, rest) = index.slots.as_chunks::<SLOT>();
    let mut before = 0;
    let mut is_next = |slot: &[u8; SLOT]| {
        let end = Slot::parse(slot).map(|slot| slot.end as usize);
        let holds = end.is_some_and(|end| end >= before && index.keys.is_char_boundary(end));
        before = end.unwrap_or(before);
        holds
    };
    if !rest.is_empty() || !slots.iter().all(&mut is_next) {
        return Err("the index has keys that aren't in it".to_owned());
    }
    Ok(index)
}

fn read_at(file: &Bytes, offset: u64, length: u64) -> Result<Vec<u8>, String> {
    let length = usize::try_from(length).map_err(|_| "it is too long for this machine".to_owned())?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn decoded<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

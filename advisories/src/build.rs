//! Makes a database from archives laid out as OSV's bucket is: `ECOSYSTEM/all.zip`, and beside them `_severity/`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::convert::{self, Words};
use crate::ecosystem::Channel;
use crate::format::{BlockHead, HEAD, Head, Index, Place, Slot, Source};
use crate::{Error, Info, limits, osv};

/// What others say of CVEs.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) vectors: HashMap<String, String>,
    pub(crate) exploited: HashSet<String>,
}

/// Makes a database. The same advisories make the same bytes; nothing is written unless all of them could be read.
///
/// # Errors
/// When something can't be read or written, or isn't as it should be.
pub fn build(from: &Path, out: &Path) -> Result<Info, Error> {
    let archives = archives(from)?;
    let lists = Lists {
        vectors: list(&from.join("_severity/cve-cvss3.json"))?,
        exploited: list(&from.join("_severity/kev.json"))?,
    };
    let folder = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(|error| io(folder, error))?;
    let mut writer = Writer {
        path: out,
        file: BufWriter::with_capacity(1 << 20, temporary.as_file()),
        offset: 0,
        spill: BufWriter::with_capacity(
            1 << 20,
            tempfile::tempfile_in(folder).map_err(|error| io(folder, error))?,
        ),
        spilt: 0,
        blocks: BTreeMap::new(),
    };
    writer.put(&[0; HEAD])?;
    let mut sources = Vec::new();
    for (name, path) in &archives {
        sources.push(writer.archive(name, path, &lists)?);
    }
    writer.finish(sources)?;
    temporary.as_file().sync_all().map_err(|error| io(out, error))?;
    readable(temporary.as_file()).map_err(|error| io(out, error))?;
    temporary.persist(out).map_err(|error| io(out, error.error))?;
    Ok(crate::Database::open(out)?.info())
}

/// As any file that is made, not as a temporary one, which is its maker's alone.
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn io(path: &Path, error: std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), error }
}

fn source(path: &Path, what: impl Into<String>) -> Error {
    Error::Source { path: path.to_owned(), what: what.into() }
}

/// The ecosystems of a bucket, sorted. `Debian:12` is a part of `Debian`, and left aside where that is there.
fn archives(from: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(from).map_err(|error| io(from, error))? {
        let entry = entry.map_err(|error| io(from, error))?;
        let archive = entry.path().join("all.zip");
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(['_', '.']) && archive.is_file() {
            found.insert(name, archive);
        }
    }
    let whole: BTreeSet<String> = found.keys().cloned().collect();
    found.retain(|name, _| name.split_once(':').is_none_or(|(base, _)| !whole.contains(base)));
    if found.is_empty() {
        return Err(source(
            from,
            "expected folders of ecosystems with an all.zip, as in OSV's bucket, got none",
        ));
    }
    Ok(found.into_iter().collect())
}

/// A list that may be absent.
fn list<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(io(path, error)),
    };
    let bounded = BufReader::new(file.take(limits::LIST));
    serde_json::from_reader(bounded).map_err(|error| source(path, error.to_string()))
}

struct Writer<'a> {
    path: &'a Path,
    file: BufWriter<&'a File>,
    offset: u64,
    /// Records as they come. Where they are to be is known when all keys are.
    spill: BufWriter<File>,
    spilt: u64,
    blocks: BTreeMap<String, Gathered>,
}

/// The entries of one key, each with its record, as they are written.
#[derive(Default)]
struct Gathered {
    entries: Vec<(Place, Vec<u8>)>,
    binaries: Vec<Vec<String>>,
    lists: HashMap<Vec<String>, u32>,
}

impl Gathered {
    /// Which of the lists that is; `None` where there is nothing on it.
    fn list(&mut self, binaries: Vec<String>) -> Option<u32> {
        let next = u32::try_from(self.binaries.len()).ok()?;
        let known = self.lists.entry(binaries);
        (!known.key().is_empty()).then(|| {
            *known.or_insert_with_key(|list| {
                self.binaries.push(list.clone());
                next
            })
        })
    }
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<Place, Error> {
        let place = self.place(self.offset, bytes)?;
        self.file.write_all(bytes).map_err(|error| io(self.path, error))?;
        self.offset = self.offset.saturating_add(u64::from(place.length));
        Ok(place)
    }

    /// Puts a record aside.
    fn spill(&mut self, bytes: &[u8]) -> Result<Place, Error> {
        let place = self.place(self.spilt, bytes)?;
        self.spill.write_all(bytes).map_err(|error| io(self.path, error))?;
        self.spilt = self.spilt.saturating_add(u64::from(place.length));
        Ok(place)
    }

    fn place(&self, offset: u64, bytes: &[u8]) -> Result<Place, Error> {
        let too_long = || source(self.path, "expected a block of at most 4 GiB");
        let length = u32::try_from(bytes.len()).map_err(|_| too_long())?;
        Ok(Place { offset, length, checksum: crc32fast::hash(bytes) })
    }

    fn archive(&mut self, name: &str, path: &Path, lists: &Lists) -> Result<Source, Error> {
        let file = File::open(path).map_err(|error| io(path, error))?;
        if file.metadata().map_err(|error| io(path, error))?.len() > limits::ARCHIVE {
            return Err(source(path, format!("expected an archive of at most {} bytes", limits::ARCHIVE)));
        }
        let bad = |error: zip::result::ZipError| source(path, error.to_string());
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(bad)?;
        if archive.len() > limits::ADVISORIES {
            let what = format!("expected at most {} advisories, got {}", limits::ADVISORIES, archive.len());
            return Err(source(path, what));
        }
        let mut names: Vec<String> =
            archive.file_names().map(|name| Ok(name?.into_owned())).collect::<Result<_, _>>().map_err(bad)?;
        names.sort();
        let mut kept = Source { name: name.to_owned(), advisories: 0, withdrawn: 0, newest: None };
        let mut unpacked = 0_u64;
        for member in names.iter().filter(|member| member.ends_with(".json")) {
            let mut bytes = Vec::new();
            let reader = archive.by_name(member).map_err(bad)?;
            reader
                .take(limits::ADVISORY.saturating_add(1))
                .read_to_end(&mut bytes)
                .map_err(|error| io(path, error))?;
            unpacked = unpacked.saturating_add(bytes.len() as u64);
            if bytes.len() as u64 > limits::ADVISORY || unpacked > limits::UNPACKED {
                return Err(source(path, format!("{member}: expected at most {} bytes", limits::ADVISORY)));
            }
            let advisory: osv::Advisory =
                serde_json::from_slice(&bytes).map_err(|error| source(path, format!("{member}: {error}")))?;
            if advisory.id.is_empty() {
                return Err(source(path, format!("{member}: expected an id, got none")));
            }
            self.advisory(&advisory, &mut kept, lists)?;
        }
        Ok(kept)
    }

    fn advisory(&mut self, advisory: &osv::Advisory, kept: &mut Source, lists: &Lists) -> Result<(), Error> {
        if advisory.withdrawn.is_some() || convert::is_rejected(advisory) {
            kept.withdrawn = kept.withdrawn.saturating_add(1);
            return Ok(());
        }
        kept.advisories = kept.advisories.saturating_add(1);
        kept.newest = std::mem::take(&mut kept.newest).max(time(&advisory.modified));
        let record = convert::record(advisory, &kept.name, lists);
        let place = self.spill(&encoded(self.path, &record)?)?;
        for affected in advisory.affected.iter().flatten() {
            let Some(package) = &affected.package else { continue };
            let of = Channel::parse(&package.ecosystem);
            // An advisory on packages of several ecosystems is in the archive of each.
            if of.ecosystem.name != Channel::parse(&kept.name).ecosystem.name {
                continue;
            }
            let words = Words::of(advisory, affected);
            let mut entry = convert::entry(advisory, affected, &of, &words);
            let gathered = self.blocks.entry(of.ecosystem.key(&package.name)).or_default();
            entry.binaries = gathered.list(convert::binaries(affected));
            gathered.entries.push((place, encoded(self.path, &entry)?));
        }
        Ok(())
    }

    /// Where a record is for good: before the block that is the first to name it, so that those of one package are
    /// neighbours.
    fn moved(&mut self, moved: &mut HashMap<u64, Place>, record: Place) -> Result<Place, Error> {
        if let Some(place) = moved.get(&record.offset) {
            return Ok(*place);
        }
        let mut bytes = vec![0; record.length as usize];
        let read = self.spill.get_ref().read_exact_at(&mut bytes, record.offset);
        read.map_err(|error| io(self.path, error))?;
        let place = self.put(&bytes)?;
        moved.insert(record.offset, place);
        Ok(place)
    }

    fn finish(mut self, sources: Vec<Source>) -> Result<(), Error> {
        let blocks = std::mem::take(&mut self.blocks);
        let ecosystem = |key: &String| key.split('\0').next().map(str::to_owned);
        let ecosystems: BTreeSet<String> = blocks.keys().filter_map(ecosystem).collect();
        self.spill.flush().map_err(|error| io(self.path, error))?;
        let mut moved = HashMap::new();
        let mut keys = String::new();
        let mut slots = Vec::new();
        for (key, Gathered { entries, binaries, .. }) in blocks {
            let mut block = encoded(self.path, &BlockHead { binaries })?;
            for (record, entry) in entries {
                let record = self.moved(&mut moved, record)?;
                block.extend(encoded(self.path, &record)?);
                block.extend(entry);
            }
            let place = self.put(&block)?;
            keys.push_str(&key);
            let end =
                u32::try_from(keys.len()).map_err(|_| source(self.path, "expected keys of at most 4 GiB"))?;
            slots.extend(Slot { end, place }.to_bytes());
        }
        let made_at = sources.iter().filter_map(|source| source.newest.clone()).max().unwrap_or_default();
        let ecosystems = ecosystems.into_iter().collect();
        let index = encoded(self.path, &Index { made_at, sources, ecosystems, keys: &keys, slots: &slots })?;
        let place = self.put(&index)?;
        let head = Head {
            index: place.offset,
            index_length: place.length.into(),
            index_checksum: place.checksum,
            file_length: self.offset,
        };
        let wrote = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&head.to_bytes()))
            .and_then(|()| self.file.flush());
        wrote.map_err(|error| io(self.path, error))
    }
}

fn encoded<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(value).map_err(|error| source(path, error.to_string()))
}

/// A time in one spelling, so that text orders as time does. Some say they were changed in the year 1: they don't know.
fn time(text: &str) -> Option<String> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (time.timestamp() > 0).then(|| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

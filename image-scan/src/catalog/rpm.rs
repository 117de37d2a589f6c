//! rpm's database: headers of packages, in a SQLite table, a Berkeley DB hash, or rpm's own ndb.
//!
//! The readers are our own, because they read a stranger's bytes: each takes only what the format needs for its one
//! table, visits no page twice, and answers for any bytes.

mod berkeley;
mod header;
mod ndb;
mod sqlite;

use super::Packages;
use crate::component::{Found, Kind, Source, fits};
use crate::limits::{NAME_MAX, PATH_MAX};
use crate::wanted::Wanted;
use header::{Header, Tag};

/// The packages installed. A header that is broken is counted, and hides no other.
pub(super) fn packages(wanted: Wanted, bytes: &[u8]) -> Result<Packages, String> {
    let mut packages = Packages::default();
    let broken = headers(wanted, bytes, &mut |header| {
        if !is_key(header) {
            packages.add(package(header));
        }
    })?;
    packages.unreadable = packages.unreadable.saturating_add(broken);
    Ok(packages)
}

/// Calls `file` with the paths of all files of all packages, and the package.
pub(crate) fn owned_files(wanted: Wanted, bytes: &[u8], file: &mut dyn FnMut(&[u8], &str)) {
    // What can't be read was told when the packages were.
    let _ = headers(wanted, bytes, &mut |header| {
        let Some(name) = header.text(Tag::Name) else { return };
        let folders = header.texts(Tag::DirNames);
        for (base, folder) in header.texts(Tag::BaseNames).into_iter().zip(header.numbers(Tag::DirIndexes)) {
            let folder = usize::try_from(folder).ok().and_then(|index| folders.get(index));
            // A long folder for many short names would be written anew for each.
            if let Some(folder) = folder.filter(|folder| folder.len().saturating_add(base.len()) <= PATH_MAX)
            {
                file(format!("{folder}{base}").as_bytes(), name);
            }
        }
    });
}

/// Calls `each` with every header; how many are broken.
fn headers(wanted: Wanted, bytes: &[u8], each: &mut dyn FnMut(&Header<'_>)) -> Result<usize, String> {
    let read = match wanted {
        Wanted::RpmSqlite => sqlite::blobs,
        Wanted::RpmBerkeley => berkeley::blobs,
        _ => ndb::blobs,
    };
    let mut broken = 0_usize;
    read(bytes, &mut |blob| match Header::parse(blob) {
        Some(header) => each(&header),
        None => broken = broken.saturating_add(1),
    })?;
    Ok(broken)
}

/// A key to check signatures with is kept as a package, and has no files.
fn is_key(header: &Header<'_>) -> bool {
    header.text(Tag::Name) == Some("gpg-pubkey")
}

fn package(header: &Header<'_>) -> Option<Found> {
    let name = header.text(Tag::Name)?;
    let (version, release) = (header.text(Tag::Version)?, header.text(Tag::Release)?);
    let full = match header.number(Tag::Epoch).filter(|epoch| *epoch != 0) {
        Some(epoch) => format!("{epoch}:{version}-{release}"),
        None => format!("{version}-{release}"),
    };
    let mut found = Found::new(Kind::Rpm, name, &full)?;
    found.architecture = header.text(Tag::Arch).filter(|text| fits(text)).map(str::to_owned);
    found.module = header.text(Tag::ModularityLabel).filter(|text| fits(text)).and_then(stream);
    found.source = header.text(Tag::SourceRpm).and_then(source);
    found.vendor = header.text(Tag::Vendor).map(|text| text.chars().take(NAME_MAX).collect());
    Some(found)
}

/// `name-version-release.src.rpm`
fn source(file: &str) -> Option<Source> {
    let stem = file.strip_suffix(".rpm")?;
    let (stem, _) = stem.rsplit_once('.')?;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Source::new(name, &format!("{version}-{release}"))
}

/// Name and stream of a label `name:stream:version:context`.
fn stream(label: &str) -> Option<String> {
    let mut parts = label.split(':');
    let (name, stream) = (parts.next()?, parts.next()?);
    (!name.is_empty()).then(|| format!("{name}:{stream}"))
}

/// How many bytes may be read of a database, all its values together: values that lie on top of each other would be more
/// than the file has.
struct Budget(usize);

impl Budget {
    fn of(bytes: &[u8]) -> Self {
        Self(bytes.len())
    }

    fn spend(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.checked_sub(count)?;
        Some(())
    }
}

/// The bytes at an offset.
fn part(bytes: &[u8], from: usize, length: usize) -> Option<&[u8]> {
    bytes.get(from..from.checked_add(length)?)
}

/// A number of four bytes, the highest first.
fn be32(bytes: &[u8], from: usize) -> Option<u32> {
    part(bytes, from, 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// A number of four bytes, the lowest first.
fn le32(bytes: &[u8], from: usize) -> Option<u32> {
    part(bytes, from, 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn size(number: u32) -> Option<usize> {
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these entries: tag, type, count, data.
    fn header(entries: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, kind, count, bytes) in entries {
            for word in [*tag, *kind, data.len() as u32, *count] {
                index.extend_from_slice(&word.to_be_bytes());
            }
            data.extend_from_slice(bytes);
        }
        let sizes = [(entries.len() as u32).to_be_bytes(), (data.len() as u32).to_be_bytes()].concat();
        [sizes, index, data].concat()
    }

    fn bash() -> Vec<u8> {
        header(&[
            (1000, 6, 1, b"bash\0"),
            (1001, 6, 1, b"5.1.8\0"),
            (1002, 6, 1, b"6.el9\0"),
            (1003, 4, 1, &[0, 0, 0, 1]),
            (1022, 6, 1, b"x86_64\0"),
            (1044, 6, 1, b"bash-5.1.8-6.el9.src.rpm\0"),
            (1116, 4, 2, &[0, 0, 0, 1, 0, 0, 0, 0]),
            (1117, 8, 2, b"sh\0bash.txt\0"),
            (1118, 8, 2, b"/usr/doc/\0/bin/\0"),
            (5096, 6, 1, b"nodejs:18:8090020231:9edba152\0"),
        ])
    }

    /// The blob as ndb keeps it, in the first slot.
    fn ndb(blob: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        bytes[..4].copy_from_slice(b"RpmP");
        bytes[12..16].copy_from_slice(&1_u32.to_le_bytes());
        for slot in bytes[32..].chunks_mut(16) {
            slot[..4].copy_from_slice(b"Slot");
        }
        bytes[36..40].copy_from_slice(&1_u32.to_le_bytes());
        bytes[40..44].copy_from_slice(&256_u32.to_le_bytes());
        bytes[44..48].copy_from_slice(&64_u32.to_le_bytes());
        bytes.extend_from_slice(b"BlbS");
        for word in [1, 1, blob.len() as u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(blob);
        bytes.resize(8192, 0);
        bytes
    }

    #[test]
    fn a_package_is_read_with_epoch_source_and_module() {
        let Packages { found, unreadable, .. } = packages(Wanted::RpmNdb, &ndb(&bash())).unwrap();
        assert_eq!(unreadable, 0);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].version.as_str()), ("bash", "1:5.1.8-6.el9"));
        assert_eq!(found[0].module.as_deref(), Some("nodejs:18"));
        assert_eq!(found[0].source, Some(Source { name: "bash".into(), version: "5.1.8-6.el9".into() }));
        let mut files = Vec::new();
        owned_files(Wanted::RpmNdb, &ndb(&bash()), &mut |path, name| {
            files.push(format!("{} {name}", String::from_utf8_lossy(path)));
        });
        assert_eq!(files, ["/bin/sh bash", "/usr/doc/bash.txt bash"]);
    }

    #[test]
    fn a_broken_header_is_told_and_hides_no_other() {
        let mut broken = bash();
        broken[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        let mut bytes = ndb(&broken);
        let at = bytes.len();
        assert_eq!(at % 16, 0);
        // The good one, behind it in the second slot.
        for (from, word) in [(52, 2), (56, at as u32 / 16), (60, 64)] {
            bytes[from..from + 4].copy_from_slice(&u32::to_le_bytes(word));
        }
        let good = bash();
        bytes.extend_from_slice(b"BlbS");
        for word in [2, 1, good.len() as u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&good);
        bytes.resize(at + 1024, 0);
        let read = packages(Wanted::RpmNdb, &bytes).unwrap();
        let names: Vec<_> = read.found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!((names, read.unreadable), (vec!["bash"], 1));
    }

    #[test]
    fn a_package_without_a_version_is_told_and_a_key_is_none() {
        let unversioned = header(&[(1000, 6, 1, b"bash\0")]);
        assert_eq!(packages(Wanted::RpmNdb, &ndb(&unversioned)).unwrap().unreadable, 1);
        let key = header(&[(1000, 6, 1, b"gpg-pubkey\0")]);
        let read = packages(Wanted::RpmNdb, &ndb(&key)).unwrap();
        assert_eq!((read.found.len(), read.unreadable), (0, 0));
    }

    #[test]
    fn packages_that_lie_on_top_of_each_other_are_told() {
        let blob = bash();
        let mut bytes = ndb(&blob);
        // Every slot leads to the one package.
        for at in 3..200_usize {
            let (from, first) = (at * 16, bytes[32..48].to_vec());
            bytes[from..from + 16].copy_from_slice(&first);
        }
        let why = packages(Wanted::RpmNdb, &bytes).unwrap_err();
        assert_eq!(why, "a package of the database can't be read");
    }

    #[test]
    fn any_bytes_give_an_answer() {
        let whole = ndb(&bash());
        for at in (0..4800).step_by(1) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0xff;
            for wanted in [Wanted::RpmNdb, Wanted::RpmSqlite, Wanted::RpmBerkeley] {
                let _ = packages(wanted, &flipped);
            }
        }
        for wanted in [Wanted::RpmNdb, Wanted::RpmSqlite, Wanted::RpmBerkeley] {
            assert!(packages(wanted, b"").is_err(), "{wanted:?}");
            assert!(packages(wanted, &[0xff; 8192]).is_err(), "{wanted:?}");
        }
    }
}

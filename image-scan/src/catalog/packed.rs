//! Packages that are installed as one archive: yarn's, from which Plug'n'Play loads them, and Python's eggs.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::{npm, python};
use crate::component::Found;
use crate::limits::METADATA_MAX;

/// The most files of one archive: those of the largest packages have some ten thousand.
const FILES_MAX: usize = 200_000;

/// What begins each record of a file, where an archive lists them (APPNOTE.TXT, 4.3.12), and the fewest bytes of one.
const RECORD: &[u8] = b"PK\x01\x02";
const RECORD_MIN: usize = 46;

/// Opens an archive of at most so many files. Where it has room for more, they are counted before any is read: of each,
/// several times as much is kept in memory.
pub(super) fn opened(bytes: &[u8], most: usize) -> Result<ZipArchive<Cursor<&[u8]>>, String> {
    let too_many = |got: usize| format!("an archive has at most {most} files, got {got}");
    if bytes.len() > most.saturating_mul(RECORD_MIN) {
        let records = bytes.windows(RECORD.len()).filter(|window| *window == RECORD).count();
        if records > most {
            return Err(too_many(records));
        }
    }
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    match archive.len() {
        got if got > most => Err(too_many(got)),
        _ => Ok(archive),
    }
}

/// The package of an archive in yarn's cache: `node_modules/NAME/package.json` in it.
pub(super) fn npm(bytes: &[u8], left: &mut u64) -> Result<Option<Found>, String> {
    let described = described(bytes, left, &is_package)?;
    npm::package(&described.ok_or("expected a package in it, got none")?)
}

/// The distribution of an egg.
pub(super) fn egg(bytes: &[u8], left: &mut u64) -> Result<Option<Found>, String> {
    let described = described(bytes, left, &|name| name == "EGG-INFO/PKG-INFO")?;
    Ok(described.as_deref().and_then(python::metadata))
}

/// The package itself, and not one that it carries.
fn is_package(name: &str) -> bool {
    let inside = name.strip_prefix("node_modules/").and_then(|name| name.strip_suffix("/package.json"));
    inside.is_some_and(|name| match name.split_once('/') {
        Some((scope, name)) => scope.starts_with('@') && !name.contains('/'),
        None => true,
    })
}

/// The first file of such a name.
fn described(bytes: &[u8], left: &mut u64, wanted: &dyn Fn(&str) -> bool) -> Result<Option<Vec<u8>>, String> {
    let mut archive = opened(bytes, FILES_MAX)?;
    let is_wanted =
        |at: &usize| archive.name_for_index(*at).is_some_and(|name| name.is_ok_and(|name| wanted(&name)));
    let Some(at) = (0..archive.len()).find(is_wanted) else { return Ok(None) };
    let file = archive.by_index(at).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    let read = file.take(METADATA_MAX.saturating_add(1)).read_to_end(&mut text);
    *left = left.saturating_sub(u64::try_from(text.len()).unwrap_or(u64::MAX));
    read.map_err(|error| error.to_string())?;
    match u64::try_from(text.len()).is_ok_and(|got| got <= METADATA_MAX) {
        true => Ok(Some(text)),
        false => Err(format!("expected at most {METADATA_MAX} bytes that describe it, got more")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    const LEFT: u64 = 100_000_000;

    const OTHER: &[u8] = br#"{"name":"other","version":"9.0.0"}"#;

    #[test]
    fn a_package_of_yarns_is_named_by_its_own_file() {
        for folder in ["node_modules/@babel/core", "node_modules/lodash"] {
            let bytes = archive(&[
                (&format!("{folder}/test/package.json"), OTHER),
                (&format!("{folder}/node_modules/other/package.json"), OTHER),
                ("package.json", OTHER),
                (&format!("{folder}/package.json"), br#"{"name":"lodash","version":"4.17.20"}"#),
            ]);
            let one = npm(&bytes, &mut LEFT.clone()).unwrap().unwrap();
            assert_eq!((one.name.as_str(), one.version.as_str()), ("lodash", "4.17.20"));
        }
        assert_eq!(
            npm(&archive(&[("a", b"")]), &mut LEFT.clone()).unwrap_err(),
            "expected a package in it, got none"
        );
        assert!(npm(b"PK", &mut LEFT.clone()).is_err());
    }

    #[test]
    fn an_archive_of_more_files_than_any_is_not_opened() {
        let names: Vec<String> = (0..300).map(|number| format!("{number}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        let bytes = archive(&files);
        assert_eq!(opened(&bytes, 300).unwrap().len(), 300);
        for (bytes, most) in [(&bytes, 299), (&bytes, 100), (&bytes, 1)] {
            assert_eq!(
                opened(bytes, most).unwrap_err(),
                format!("an archive has at most {most} files, got 300")
            );
        }
        // Counted also where the archive can't be opened.
        let cut = &bytes[..bytes.len() - 22];
        assert!(opened(cut, 100).unwrap_err().ends_with("got 300"));
    }

    #[test]
    fn an_egg_is_named_by_what_it_says() {
        let bytes = archive(&[
            ("EGG-INFO/PKG-INFO", b"Name: a\nVersion: 1.0\n"),
            ("x/EGG-INFO/PKG-INFO", b"Name: b\nVersion: 2\n"),
        ]);
        let one = egg(&bytes, &mut LEFT.clone()).unwrap().unwrap();
        assert_eq!((one.name.as_str(), one.version.as_str()), ("a", "1.0"));
        assert_eq!(egg(&archive(&[]), &mut LEFT.clone()), Ok(None));
        let bomb = vec![b' '; 5 * 1024 * 1024];
        assert!(
            egg(&archive(&[("EGG-INFO/PKG-INFO", &bomb)]), &mut LEFT.clone())
                .unwrap_err()
                .contains("at most 4194304 bytes")
        );
    }
}

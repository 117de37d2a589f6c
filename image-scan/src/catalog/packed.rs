//! Packages that are installed as one archive: yarn's, from which Plug'n'Play loads them, and Python's eggs.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::{npm, python};
use crate::component::Found;
use crate::limits::METADATA_MAX;

/// The most files of one archive: those of the largest packages have some ten thousand.
const FILES_MAX: usize = 200_000;

/// The package of an archive in yarn's cache: `node_modules/NAME/package.json` in it.
pub(super) fn npm(bytes: &[u8], left: &mut u64) -> Result<Vec<Found>, String> {
    match described(bytes, left, &is_package)? {
        Some(package) => npm::package(&package).map(|found| found.into_iter().collect()),
        None => Err("expected a package in it, got none".to_owned()),
    }
}

/// The distribution of an egg.
pub(super) fn egg(bytes: &[u8], left: &mut u64) -> Result<Vec<Found>, String> {
    let described = described(bytes, left, &|name| name == "EGG-INFO/PKG-INFO")?;
    Ok(described.as_deref().and_then(python::metadata).into_iter().collect())
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
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    if archive.len() > FILES_MAX {
        return Err(format!("an archive has at most {FILES_MAX} files, got {}", archive.len()));
    }
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
            let found = npm(&bytes, &mut LEFT.clone()).unwrap();
            let [one] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((one.name.as_str(), one.version.as_str()), ("lodash", "4.17.20"));
        }
        assert_eq!(
            npm(&archive(&[("a", b"")]), &mut LEFT.clone()).unwrap_err(),
            "expected a package in it, got none"
        );
        assert!(npm(b"PK", &mut LEFT.clone()).is_err());
    }

    #[test]
    fn an_egg_is_named_by_what_it_says() {
        let bytes = archive(&[
            ("EGG-INFO/PKG-INFO", b"Name: a\nVersion: 1.0\n"),
            ("x/EGG-INFO/PKG-INFO", b"Name: b\nVersion: 2\n"),
        ]);
        let found = egg(&bytes, &mut LEFT.clone()).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].version.as_str(), found.len()), ("a", "1.0", 1));
        assert!(egg(&archive(&[]), &mut LEFT.clone()).unwrap().is_empty());
        let bomb = vec![b' '; 5 * 1024 * 1024];
        assert!(
            egg(&archive(&[("EGG-INFO/PKG-INFO", &bomb)]), &mut LEFT.clone())
                .unwrap_err()
                .contains("at most 4194304 bytes")
        );
    }
}

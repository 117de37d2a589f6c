//! Java archives: what Maven wrote into them, and into the archives within them.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::component::{Found, Kind};

/// How deep archives in archives are looked into: an application, its module, a library.
const DEPTH_MAX: usize = 4;

/// The most bytes that all archives in one may have together.
const INSIDE_MAX: u64 = 512 * 1024 * 1024;

/// The most files of one archive: class files of the largest are some 100,000.
const FILES_MAX: usize = 500_000;

/// The largest `pom.properties`: it has three lines.
const PROPERTIES_MAX: u64 = 64 * 1024;

/// The artifacts in an archive.
pub(super) fn artifacts(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    look_into(bytes, "", 0, &mut INSIDE_MAX.clone(), &mut found)?;
    Ok(found)
}

fn look_into(
    bytes: &[u8],
    inside: &str,
    depth: usize,
    budget: &mut u64,
    found: &mut Vec<Found>,
) -> Result<(), String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    if archive.len() > FILES_MAX {
        return Err(format!("an archive has at most {FILES_MAX} files, got {}", archive.len()));
    }
    let names: Vec<(usize, String)> = (0..archive.len())
        .filter_map(|at| Some((at, archive.name_for_index(at)?.ok()?.into_owned())))
        .collect();
    for (at, name) in names {
        if name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties") {
            let properties = read(&mut archive, at, PROPERTIES_MAX)?;
            found.extend(artifact(&properties, inside));
        } else if is_archive(&name) {
            let deeper = depth.checked_add(1).filter(|depth| *depth < DEPTH_MAX);
            let deeper =
                deeper.ok_or_else(|| format!("archives lie in archives more than {DEPTH_MAX} deep"))?;
            let inner = read(&mut archive, at, *budget)?;
            *budget = budget.saturating_sub(u64::try_from(inner.len()).unwrap_or(u64::MAX));
            let place = format!("{inside}/{name}");
            look_into(&inner, &place, deeper, budget, found).map_err(|why| format!("{place}: {why}"))?;
        }
    }
    Ok(())
}

fn is_archive(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, end)| matches!(end.to_ascii_lowercase().as_str(), "jar" | "war" | "ear"))
}

fn read(archive: &mut ZipArchive<Cursor<&[u8]>>, at: usize, limit: u64) -> Result<Vec<u8>, String> {
    let file = archive.by_index(at).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    match u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        true => Err(format!("expected at most {limit} bytes in it, got more")),
        false => Ok(bytes),
    }
}

/// `groupId`, `artifactId`, `version`.
fn artifact(properties: &[u8], inside: &str) -> Option<Found> {
    let text = String::from_utf8_lossy(properties);
    let value = |key: &str| {
        let pair = text.lines().filter_map(|line| line.split_once('='));
        pair.map(|(name, value)| (name.trim(), value.trim()))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    };
    let name = format!("{}:{}", value("groupId")?, value("artifactId")?);
    let mut found = Found::new(Kind::Maven, &name, value("version")?)?;
    found.inside = (!inside.is_empty()).then(|| inside.to_owned());
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn jar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    const LOG4J: (&str, &[u8]) = (
        "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties",
        b"#Created\nversion=2.14.1\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n",
    );

    #[test]
    fn artifacts_in_archives_in_archives_are_found() {
        let inner = jar(&[LOG4J]);
        let outer = jar(&[("BOOT-INF/lib/log4j-core-2.14.1.jar", &inner)]);
        let found = artifacts(&outer).unwrap();
        assert_eq!(
            (found[0].name.as_str(), found[0].version.as_str()),
            ("org.apache.logging.log4j:log4j-core", "2.14.1")
        );
        assert_eq!(found[0].inside.as_deref(), Some("/BOOT-INF/lib/log4j-core-2.14.1.jar"));
    }

    #[test]
    fn bombs_and_bad_archives_are_told() {
        let mut nested = jar(&[LOG4J]);
        for _ in 0..6 {
            nested = jar(&[("a.jar", &nested)]);
        }
        assert!(artifacts(&nested).unwrap_err().ends_with("more than 4 deep"));
        let large = vec![b' '; 100_000];
        assert!(artifacts(&jar(&[(LOG4J.0, &large)])).unwrap_err().contains("at most 65536 bytes"));
        assert!(artifacts(b"PK").is_err());
    }
}

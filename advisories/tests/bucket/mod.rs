//! Buckets of advisories that are made up, and databases of them.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::Write;
use std::path::Path;

use advisories::{Answer, Database, Ecosystem, Package, Texts, build};
use tempfile::TempDir;

/// Writes `ECOSYSTEM/all.zip` with these advisories, each by its id.
pub(crate) fn archive(bucket: &Path, ecosystem: &str, advisories: &[&str]) {
    let folder = bucket.join(ecosystem);
    std::fs::create_dir_all(&folder).unwrap();
    let mut zip = zip::ZipWriter::new(std::fs::File::create(folder.join("all.zip")).unwrap());
    for (number, advisory) in advisories.iter().enumerate() {
        zip.start_file(format!("{number}.json"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(advisory.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

/// Where the texts of answers lie, until the program ends.
pub(crate) fn texts() -> &'static Texts {
    Box::leak(Box::default())
}

/// A database of archives.
pub(crate) fn database(archives: &[(&str, &[&str])]) -> (TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    for (ecosystem, advisories) in archives {
        archive(folder.path(), ecosystem, advisories);
    }
    let out = folder.path().join("advisories.db");
    build(folder.path(), &out).unwrap();
    let database = Database::open(&out).unwrap();
    (folder, database)
}

/// A package with nothing but a name and a version.
pub(crate) fn package(ecosystem: &str, name: &str, version: &str) -> Package {
    Package {
        ecosystem: Ecosystem::parse(ecosystem),
        name: name.to_owned(),
        version: version.to_owned(),
        binary: None,
        architecture: None,
        module: None,
    }
}

/// The ids of what was found.
pub(crate) fn ids<'t>(answer: &Answer<'t>) -> Vec<&'t str> {
    answer.matches.iter().map(|one| one.id).collect()
}

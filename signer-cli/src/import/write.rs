//! Copies what was weighed, under the names that consistent snapshots have (TUF 6.2), and beside it what clients
//! with older metadata still ask for, under the names that it has.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use tuf_core::{limits, metadata_file_name};
use zeroize::Zeroizing;

use super::source::{Source, TARGET_MAX};
use super::weigh::Adopted;
use crate::failure::Failure;
use crate::files::{self, Readers, stored_name};
use crate::repository::Repository;

/// Where in a file a key is looked for, as `signer doctor` does.
const KEY_FILE_MAX: usize = 256 * 1024;

/// What was copied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copied {
    /// Files of metadata.
    pub(crate) metadata: u64,
    /// Targets that are listed, and whose file is there.
    pub(crate) present: u64,
    /// Targets that are listed, and whose file isn't there.
    pub(crate) absent: u64,
}

/// Fills the folders of a repository that nobody sees yet.
pub(crate) fn write(source: &Source, adopted: &Adopted, built: &Repository) -> Result<Copied, Failure> {
    let mut copied = Copied { metadata: metadata(source, adopted, built)?, ..Copied::default() };
    let (mut kept, targets) = (BTreeSet::new(), built.targets());
    let plain = !adopted.root.consistent_snapshot;
    for one in &adopted.roles {
        for (path, target) in one.trusted.document().targets() {
            let Some((bytes, names)) = source.target(&path, &target, plain)? else {
                copied.absent = copied.absent.saturating_add(1);
                continue;
            };
            expect_no_key(&targets.join(&path), &bytes)?;
            copied.present = copied.present.saturating_add(1);
            let hash = ["sha256", "sha512"].into_iter().find_map(|kind| target.hashes.get(kind));
            let ours = hash.and_then(|hash| stored_name(&path, hash));
            for name in names.into_iter().chain(ours) {
                if kept.insert(name.clone()) {
                    put(&targets.join(&name), &bytes)?;
                }
            }
        }
    }
    // What older metadata lists, for clients that have it still.
    for path in source.all_targets()? {
        let Some(root) = &source.targets else { break };
        if path.to_str().is_some_and(|name| kept.contains(name)) {
            continue;
        }
        let bytes = Zeroizing::new(files::read(&root.join(&path), TARGET_MAX)?);
        expect_no_key(&root.join(&path), &bytes)?;
        put(&targets.join(&path), &bytes)?;
    }
    flush_all(built.dir())?;
    Ok(copied)
}

fn metadata(source: &Source, adopted: &Adopted, built: &Repository) -> Result<u64, Failure> {
    let dir = built.metadata();
    let mut kept = BTreeSet::new();
    let mut keep = |name: String, bytes: &[u8]| -> Result<(), Failure> {
        if kept.insert(name.clone()) { put(&dir.join(name), bytes) } else { Ok(()) }
    };
    for (version, bytes) in &adopted.roots {
        keep(metadata_file_name("root", Some(*version)), bytes)?;
    }
    for one in &adopted.roles {
        keep(metadata_file_name(one.trusted.role().name(), Some(one.trusted.version())), &one.bytes)?;
    }
    keep(metadata_file_name("snapshot", Some(adopted.fresh.version())), &adopted.snapshot)?;
    keep("timestamp.json".to_owned(), &adopted.timestamp)?;
    for (name, path) in source.all_metadata()? {
        // Bounded like the largest of them: nobody weighs these any more.
        let bytes = Zeroizing::new(files::read(&path, limits::TARGETS_BYTES)?);
        expect_no_key(&path, &bytes)?;
        keep(name, &bytes)?;
    }
    let first = adopted.roots.first().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
    files::write_once(&built.root(), first, Readers::Everyone)?;
    files::write_once(&built.timestamp(), &adopted.timestamp, Readers::Everyone)?;
    Ok(u64::try_from(kept.len()).unwrap_or(u64::MAX))
}

/// Makes the names in all folders last through a power cut.
fn flush_all(dir: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(dir).map_err(Failure::io(dir))? {
        let entry = entry.map_err(Failure::io(dir))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            flush_all(&entry.path())?;
        }
    }
    files::flush(dir)
}

/// What would be served from now on must not hold a key.
fn expect_no_key(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let beginning = bytes.get(..KEY_FILE_MAX).unwrap_or(bytes);
    let Some(kind) = signing_keys::private_key_in(beginning) else { return Ok(()) };
    Err(Failure::refused(format!("{} was not imported: it holds {kind}", path.display()))
        .detail("everyone would be served it; nothing was changed")
        .hint("take it out of what is served; if it was served before, its roles need other keys"))
}

/// Writes a file of a folder that nobody sees yet, so that it lasts.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        files::folder(folder)?;
    }
    let write = || -> std::io::Result<()> {
        let mut file = File::options().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    match write() {
        // Two names that differ in case are one on some disks.
        Err(_) if fs::read(path).is_ok_and(|there| there == bytes) => Ok(()),
        done => done.map_err(Failure::io(path)),
    }
}

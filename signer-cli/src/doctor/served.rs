//! What lies in the folder or store that is served, and must not: private keys, by what is in them and whatever they
//! are called, and what was left behind.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Findings, Subject};
use crate::reports::doctor::Area;

/// Files and folders that are looked into. A repository of a million images has so many.
const STEPS: usize = 4_000_000;
/// What is read of each: a key is a file of its own, and small.
const READ: u64 = 256 * 1024;
/// Objects that are none of a repository's, of which the beginnings are fetched.
const STRANGERS: usize = 1000;
/// What a crash leaves of a file that was being written.
const UNFINISHED: &str = ".signer-unfinished-";

const TAKE_OUT: &str =
    "take it out, then `signer role rotate ROLE` for each role that it signs for: it may have been read";

pub(super) fn look(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(served) = subject.folder() else { return objects(subject, findings) };
    home(subject, served, findings);
    let mut walk = Walk::default();
    walk.folder(served.to_owned());
    let mut seen = 0_usize;
    while let Some(path) = walk.waiting.pop() {
        seen = seen.saturating_add(1);
        if seen > STEPS {
            let what = format!("more than {STEPS} files: the rest was not looked at");
            findings.warning(Area::Served, what, served.display().to_string(), "serve a folder of its own");
            break;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk.folder(path),
            Ok(metadata) if metadata.is_file() => file(&path, findings),
            // A pipe would hold us for ever; a link may lead nowhere.
            _ => odd(&path, findings),
        }
    }
    findings.close(Area::Served, format!("{} holds no private key", served.display()));
}

/// The same in a store of objects. What is named as this program names its files was read as such, or is a
/// target named by its hash: of the rest, the beginnings are read.
fn objects(subject: &Subject<'_>, findings: &mut Findings) {
    let store = subject.store.as_ref();
    let place = store.describe();
    let listing = match store.listing(STEPS) {
        Ok(Some(listing)) => listing,
        Ok(None) => {
            return findings.close(Area::Served, format!("{place} has no names to list: not looked into"));
        }
        Err(error) => {
            let hint = "give these keys the right to list, and look again: it is how a private key is found";
            return findings.warning(Area::Served, format!("not looked into: {error}"), place, hint);
        }
    };
    let strange = listing.names.iter().filter(|name| !is_ours(name));
    let mut left = STRANGERS;
    for name in strange {
        let at = format!("{name} in {place}");
        if left == 0 {
            let what = format!(
                "more than {STRANGERS} files that are none of the repository's: the rest was not read"
            );
            findings.warning(Area::Served, what, at, "give the repository a prefix of its own");
            break;
        }
        left = left.saturating_sub(1);
        match store.beginning(name, READ).map(Option::unwrap_or_default).map(Zeroizing::new) {
            Ok(bytes) => private_key(&bytes, at, findings),
            Err(error) => {
                let hint = "see who may read it: clients would be refused too";
                findings.warning(Area::Served, format!("a file can't be read: {error}"), at, hint);
            }
        }
    }
    if listing.more {
        let what = format!("more than {STEPS} files: the rest was not looked at");
        findings.warning(Area::Served, what, place.as_str(), "give the repository a prefix of its own");
    }
    findings.close(Area::Served, format!("{place} holds no private key"));
}

/// Whether a name is one that publishing gives: `metadata/7.targets.json`, `targets/HASH.name`.
fn is_ours(name: &str) -> bool {
    let numbered = |name: &str| {
        name.split_once('.').is_some_and(|(version, role)| {
            role.ends_with(".json") && version.parse::<u64>().is_ok_and(|version| version > 0)
        })
    };
    match name.split_once('/') {
        Some(("metadata", file)) => file == "timestamp.json" || numbered(file),
        Some(("targets", path)) => {
            let file = path.rsplit('/').next().unwrap_or(path);
            let hash = file.split('.').next().unwrap_or_default();
            hash.len() >= 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        _ => false,
    }
}

fn private_key(bytes: &[u8], at: String, findings: &mut Findings) {
    if let Some(kind) = signing_keys::private_key_in(bytes) {
        findings.problem(Area::Served, format!("everyone is served {kind}"), at, TAKE_OUT);
    }
}

/// The folder of keys within what is served, if only by a link.
fn home(subject: &Subject<'_>, served: &Path, findings: &mut Findings) {
    let keys = subject.repository.keys();
    if let (Ok(inner), Ok(outer)) = (fs::canonicalize(&keys), fs::canonicalize(served))
        && inner.starts_with(&outer)
    {
        findings.problem(
            Area::Served,
            "the folder of keys is within what is served",
            keys.display().to_string(),
            "serve the folder `published` alone, or name another with --to; then rotate every key",
        );
    }
}

/// Folders are entered once each, also those that links lead to: a web server follows them too.
#[derive(Default)]
struct Walk {
    entered: BTreeSet<PathBuf>,
    waiting: Vec<PathBuf>,
}

impl Walk {
    fn folder(&mut self, path: PathBuf) {
        let Ok(real) = fs::canonicalize(&path) else { return };
        if self.entered.insert(real) {
            let entries = fs::read_dir(&path).into_iter().flatten();
            let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            paths.sort();
            self.waiting.extend(paths.into_iter().rev());
        }
    }
}

fn file(path: &Path, findings: &mut Findings) {
    let at = path.display().to_string();
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    if name.starts_with(UNFINISHED.as_bytes()) {
        findings.warning(
            Area::Served,
            "an interrupted publish left this",
            at,
            "the next `signer publish` clears it away",
        );
        return;
    }
    // Wiped: it may be a secret.
    let mut bytes = Zeroizing::new(Vec::new());
    match File::open(path).and_then(|file| file.take(READ).read_to_end(&mut bytes)) {
        Ok(_) => private_key(&bytes, at, findings),
        Err(why) => {
            let what = format!("a file can't be read: {why}");
            findings.warning(Area::Served, what, at, "`chmod a+r` it, so that it can be served");
        }
    }
}

fn odd(path: &Path, findings: &mut Findings) {
    findings.warning(
        Area::Served,
        "this is neither a file nor a folder, or a link to nothing",
        path.display().to_string(),
        "take it out",
    );
}

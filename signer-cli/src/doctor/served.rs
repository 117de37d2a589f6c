//! What lies in the folder that is served, and must not: private keys, by what is in them and whatever they
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
/// What a crash leaves of a file that was being written.
const UNFINISHED: &str = ".signer-unfinished-";

const TAKE_OUT: &str =
    "take it out, then `signer role rotate ROLE` for each role that it signs for: it may have been read";

pub(super) fn look(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(served) = subject.folder() else {
        findings
            .close(Area::Served, format!("{} is no folder here: not looked into", subject.store.describe()));
        return;
    };
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
        Ok(_) => {
            if let Some(kind) = signing_keys::private_key_in(&bytes) {
                findings.problem(Area::Served, format!("everyone is served {kind}"), at, TAKE_OUT);
            }
        }
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

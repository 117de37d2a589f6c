//! Whether the keys that are named here are there, and are those that they were. No passphrase and no PIN is
//! asked for, so what is sealed is looked at from outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use signing_keys::file::KeyFile;
use signing_keys::{KeyUri, Why};
use tuf_core::crypto::Sign as _;
use tuf_core::key::Key;
use zeroize::Zeroizing;

use super::roles::listed_keys;
use super::{Findings, Subject};
use crate::files;
use crate::key_ring::{self, KEY_FILE_MAX};
use crate::published::Published;
use crate::reports::doctor::Area;

pub(super) fn look(subject: &Subject<'_>, published: Option<&Published<'_>>, findings: &mut Findings) {
    let entries = entries(subject);
    let listed = published.and_then(listed_keys);
    for path in &entries {
        let elsewhere = path.extension().is_some_and(|extension| extension == "uri");
        let seen = if elsewhere { in_place(path, subject, findings) } else { in_file(path, findings) };
        // What could not be looked at was told, and what is sealed shows its public half beside it.
        let Seen::There(own) = seen else { continue };
        compare(path, own, listed.as_ref(), findings);
    }
    let count = entries.len();
    findings.close(Area::Keys, format!("{count} here, and each can be reached"));
}

/// What a look at a key gave.
enum Seen {
    /// It is there, with its public half where that shows.
    There(Option<Key>),
    /// It isn't, and that was told.
    Told,
}

/// The private keys in the folder, by name.
fn entries(subject: &Subject<'_>) -> Vec<PathBuf> {
    let entries = fs::read_dir(subject.repository.keys()).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| {
        path.extension().is_some_and(|extension| matches!(extension.to_str(), Some("pem" | "uri")))
    });
    paths.sort();
    paths
}

fn in_file(path: &Path, findings: &mut Findings) -> Seen {
    let at = path.display().to_string();
    let mend = "restore it from a copy, or rotate its role: `signer role rotate ROLE`";
    let bytes = match files::read(path, KEY_FILE_MAX) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(failure) => {
            findings.problem(Area::Keys, format!("a key can't be read: {}", failure.line()), at, mend);
            return Seen::Told;
        }
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let file = match KeyFile::parse(text) {
        Ok(file) if file.is_encrypted() => return Seen::There(None),
        file => file,
    };
    match file.and_then(|file| file.open(b"")) {
        Ok(key) => Seen::There(Some(key.key().clone())),
        Err(why) => {
            findings.problem(Area::Keys, format!("a key can't be used: {why}"), at, mend);
            Seen::Told
        }
    }
}

fn in_place(path: &Path, subject: &Subject<'_>, findings: &mut Findings) -> Seen {
    let at = path.display().to_string();
    let text = files::read(path, KEY_FILE_MAX).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let uri = match text.unwrap_or_default().parse::<KeyUri>() {
        Ok(uri) => uri,
        Err(why) => {
            let hint = "`signer key import NAME URI` writes it anew";
            findings.problem(Area::Keys, format!("a key can't be found: {why}"), at, hint);
            return Seen::Told;
        }
    };
    match signing_keys::public(&uri, &key_ring::elsewhere(subject.around)) {
        Ok(key) => Seen::There(key),
        Err(error) => {
            let hint = match (&error.why, &uri) {
                (Why::Missing(_), KeyUri::File(_)) => "put the stick in; or run this where the file is",
                (Why::Missing(_), KeyUri::Pkcs11(_)) => {
                    "plug the token in, and see that its module is there; or run this where it is"
                }
                (Why::Missing(_), KeyUri::SshAgent(_)) => {
                    "start the agent, `ssh-add` the key, and see that SSH_AUTH_SOCK names its socket"
                }
                (Why::Missing(_), KeyUri::Exec(_)) => "install the program, or run this where it is",
                _ => "see that it answers; or `signer role rotate ROLE` gives its role another key",
            };
            findings.warning(Area::Keys, format!("a key can't be reached: {error}"), at, hint);
            Seen::Told
        }
    }
}

/// The key, what was written down of it, and the roles that list it.
fn compare(path: &Path, own: Option<Key>, listed: Option<&BTreeSet<String>>, findings: &mut Findings) {
    let at = path.display().to_string();
    let beside = path.with_extension("pub");
    let written = match beside.exists().then(|| key_ring::read_public(&beside)) {
        None => None,
        Some(Ok(key)) => Some(key),
        Some(Err(failure)) => {
            let hint = "write it anew: `openssl pkey -in KEY.pem -pubout -out KEY.pub`";
            let what = format!("a public half can't be read: {}", failure.line());
            findings.problem(Area::Keys, what, beside.display().to_string(), hint);
            return;
        }
    };
    let pem = |key: &Option<Key>| key.as_ref().and_then(|key| key.to_pem().ok());
    let (own, written) = (pem(&own), pem(&written));
    if own.is_some() && written.is_some() && own != written {
        findings.problem(
            Area::Keys,
            "this is another key than the one in the .pub file beside it",
            at,
            "put back the right token or file; or import the new one under another name",
        );
        return;
    }
    let (Some(public), Some(listed)) = (own.or(written), listed) else { return };
    if !listed.contains(&public) {
        findings.warning(
            Area::Keys,
            "this key signs for no role",
            at,
            "if no role shall have it, take the file away; else `signer role add-key ROLE KEY.pub`",
        );
    }
}

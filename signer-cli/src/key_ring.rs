//! The private keys of a repository: `keys/ROLE.pem` and `keys/ROLE-ANYTHING.pem`, opened only when their
//! role signs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tuf_core::{Role, metadata_file_name};
use tuf_core::authoring::Document;
use tuf_core::crypto::{self, Ed25519Signer, Sign, SignError};
use tuf_core::key::Key;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::key_file::{KeyFile, KeyFileError, Seed, signer};
use crate::passphrase::{Passphrase, Source};
use crate::proposal::KeySet;
use crate::terminal;

/// A key file is 0.3 KB; an RSA one that landed here by mistake has 3.
const KEY_FILE_MAX: u64 = 64 * 1024;

/// Opens keys as they are needed, and remembers what was opened for this run.
pub(crate) struct KeyRing {
    dir: PathBuf,
    source: Source,
    passphrases: Vec<Passphrase>,
    opened: BTreeMap<PathBuf, Ed25519Signer>,
}

impl KeyRing {
    pub(crate) fn new(dir: PathBuf, source: Source) -> Self {
        Self { dir, source, passphrases: Vec::new(), opened: BTreeMap::new() }
    }

    /// Opens every key of a role, so that no question comes while others wait for us.
    pub(crate) fn open(&mut self, role: &Role) -> Result<(), Failure> {
        for path in self.files(role)? {
            if !self.opened.contains_key(&path) {
                let signer = self.open_file(&path)?;
                self.opened.insert(path, signer);
            }
        }
        Ok(())
    }

    /// Signs with the keys of a role until each set's threshold is reached. Each signature is checked as it
    /// is made. A set that isn't required is left where our keys don't suffice.
    pub(crate) fn sign(
        &mut self,
        document: &mut Document,
        role: &Role,
        sets: &[KeySet],
    ) -> Result<(), Failure> {
        self.sign_what_we_can(document, role, sets)?;
        match sets.iter().find(|set| set.required && !set.is_reached(role, document)) {
            None => Ok(()),
            Some(set) => Err(self.short_of(document, role, set)),
        }
    }

    /// Signs with those keys of a role that are here, and says whether all sets that are required have
    /// enough.
    pub(crate) fn sign_what_we_can(
        &mut self,
        document: &mut Document,
        role: &Role,
        sets: &[KeySet],
    ) -> Result<bool, Failure> {
        self.open(role)?;
        let files = self.files(role)?;
        let mut useless: Vec<&PathBuf> = files.iter().collect();
        for set in sets {
            for path in &files {
                let Some(signer) = self.opened.get(path) else { continue };
                let Some(key_id) = declared_id(signer.key(), set) else { continue };
                useless.retain(|one| *one != path);
                if signed_of(set, document) < need_of(set) {
                    let declared = Declared { signer, key_id };
                    document.sign(&declared, crypto::default()).map_err(Failure::refused)?;
                }
            }
        }
        for path in useless {
            terminal::warn(&format!("{} is not a key of {role}, and signs nothing", path.display()));
        }
        Ok(sets.iter().all(|set| !set.required || set.is_reached(role, document)))
    }

    fn short_of(&self, document: &Document, role: &Role, set: &KeySet) -> Failure {
        let (need, got) = (need_of(set), signed_of(set, document));
        Failure::refused(format!("{role} can't be signed"))
            .detail(format!("expected {need} key(s) of {role} in {}, got {got}", self.dir.display()))
            .detail(format!("its keys are {}", set.role_keys.keyids.join(", ")))
            .hint("where others hold keys, let them sign: `signer ceremony propose`")
    }

    /// `ROLE.pem`, then `ROLE-*.pem` by name.
    pub(crate) fn files(&self, role: &Role) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        let name = metadata_file_name(role.name(), None);
        let name = name.strip_suffix(".json").unwrap_or_default().to_owned();
        for entry in fs::read_dir(&self.dir).map_err(Failure::io(&self.dir))? {
            let path = entry.map_err(Failure::io(&self.dir))?.path();
            let stem = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".pem"));
            let rest = stem.and_then(|stem| stem.strip_prefix(name.as_str()));
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
                files.push(path);
            }
        }
        files.sort_by_key(|path| path.file_stem().map(ToOwned::to_owned));
        Ok(files)
    }

    fn open_file(&mut self, path: &Path) -> Result<Ed25519Signer, Failure> {
        let file = read(path)?;
        if !file.is_encrypted() {
            return file.open(b"").map(|seed| signer(&seed)).map_err(|why| unusable(path, why));
        }
        if let Some(seed) = self.try_known(&file, path)? {
            return Ok(signer(&seed));
        }
        let may_ask = self.passphrases.is_empty() || self.source.can_be_asked_again();
        if may_ask {
            let name = path.file_name().unwrap_or(path.as_os_str());
            self.passphrases.push(self.source.existing(&Path::new("keys").join(name).display().to_string())?);
            if let Some(seed) = self.try_known(&file, path)? {
                return Ok(signer(&seed));
            }
        }
        Err(Failure::usage(format!("the passphrase {} doesn't open {}", self.source.name(), path.display()))
            .detail("nothing was changed"))
    }

    /// One passphrase for all keys is the usual case, so those that opened others are tried first.
    fn try_known(&self, file: &KeyFile, path: &Path) -> Result<Option<Seed>, Failure> {
        for passphrase in self.passphrases.iter().rev() {
            match file.open(passphrase) {
                Ok(seed) => return Ok(Some(seed)),
                Err(KeyFileError::WrongPassphrase) => {}
                Err(why) => return Err(unusable(path, why)),
            }
        }
        Ok(None)
    }
}

/// Reads a key file, and warns when others can read it too.
pub(crate) fn read(path: &Path) -> Result<KeyFile, Failure> {
    let metadata = fs::metadata(path).map_err(Failure::io(path))?;
    if metadata.len() > KEY_FILE_MAX {
        return Err(unusable(path, KeyFileError::NotPkcs8));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        terminal::warn(&format!("{} has mode {mode:04o}: others can read it; use 0600", path.display()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(Failure::io(path))?);
    KeyFile::parse(&text).map_err(|why| unusable(path, why))
}

/// A key file that can't be used, and why.
pub(crate) fn unusable(path: &Path, why: KeyFileError) -> Failure {
    Failure::usage(format!("{} can't be used", path.display())).detail(why)
}

fn need_of(set: &KeySet) -> usize {
    usize::try_from(set.role_keys.threshold.get()).unwrap_or(usize::MAX)
}

/// How many keys of a set have signed. Ours were checked as they signed.
fn signed_of(set: &KeySet, document: &Document) -> usize {
    document.signed_by().filter(|id| set.role_keys.keyids.iter().any(|known| known == id)).count()
}

/// The id under which a role lists a key: the declared one counts, not one computed here.
fn declared_id(key: &Key, set: &KeySet) -> Option<String> {
    let ours = key.material().ok()?;
    let same = |id: &&String| set.keys.get(*id).and_then(|key| key.material().ok()).as_ref() == Some(&ours);
    set.role_keys.keyids.iter().find(same).cloned()
}

/// A key under its declared id.
struct Declared<'s> {
    signer: &'s Ed25519Signer,
    key_id: String,
}

impl Sign for Declared<'_> {
    fn key(&self) -> &Key {
        self.signer.key()
    }

    fn key_id(&self) -> String {
        self.key_id.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.signer.sign(message)
    }
}

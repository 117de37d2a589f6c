//! The private keys of a repository: `keys/NAME.pem`, opened only when one of their roles signs.
//!
//! Which role a key signs for is what the metadata says of it: its public half is in `keys/NAME.pub`. Where
//! that is missing, the key is tried for the role that it is called after: `ROLE.pem`, `ROLE-ANYTHING.pem`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signing_keys::file::{KeyFile, KeyFileError, PrivateKey};
use signing_keys::{Around, Ask, Cloud, KeyUri, Secret, Why};
use tuf_core::authoring::Document;
use tuf_core::crypto::{self, RsaScheme, Sign, SignError};
use tuf_core::key::{Key, KeyError, PublicKey};
use tuf_core::{Role, metadata_file_name};
use zeroize::Zeroizing;

use crate::Surroundings;
use crate::args::PassphraseArgs;
use crate::checked;
use crate::failure::Failure;
use crate::files;
use crate::network::Network;
use crate::passphrase::{self, Passphrase, Source};
use crate::proposal::KeySet;
use crate::terminal;

/// How often a person is asked for a PIN. Tokens lock themselves after some three to fifteen wrong ones.
const PIN_TRIES: u32 = 3;

/// How often a person is asked for a passphrase.
const PASSPHRASE_TRIES: u32 = 3;

/// An Ed25519 key takes 0.3 KB, an RSA one of 4096 bits 3.
pub(crate) const KEY_FILE_MAX: u64 = 64 * 1024;

/// A public key file has some hundred bytes.
const PUBLIC_FILE_MAX: u64 = 16 * 1024;

/// Opens keys as they are needed, and remembers what was opened for this run.
pub(crate) struct KeyRing {
    dir: PathBuf,
    source: Source,
    passphrases: Vec<Passphrase>,
    /// `HALLMARK_PIN`.
    pin: Option<Passphrase>,
    /// Where keys are found that live elsewhere.
    elsewhere: Around,
    entries: Option<Vec<Entry>>,
    opened: BTreeMap<PathBuf, Box<dyn Sign>>,
}

/// A key in the folder.
#[derive(Clone, Debug)]
struct Entry {
    /// `NAME.pem`, or `NAME.uri` for one that lives elsewhere.
    path: PathBuf,
    name: String,
    /// From `NAME.pub`, so that nothing need be opened to see whose key it is.
    public: Option<PublicKey>,
}

impl Entry {
    /// Whether it may sign for a role: it is one of the keys, or it is called so and can't be seen into.
    fn serves(&self, role: &Role, sets: &[KeySet]) -> bool {
        match &self.public {
            Some(public) => sets.iter().any(|set| declared_id(public, set).is_some()),
            None => self.is_called(role),
        }
    }

    /// `ROLE`, or `ROLE-ANYTHING`.
    fn is_called(&self, role: &Role) -> bool {
        let name = metadata_file_name(role.name(), None);
        let rest = name.strip_suffix(".json").and_then(|name| self.name.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

impl KeyRing {
    pub(crate) fn new(dir: PathBuf, args: &PassphraseArgs, around: &Surroundings) -> Self {
        Self {
            dir,
            source: Source::of(args, around),
            passphrases: Vec::new(),
            pin: around.pin.clone(),
            elsewhere: elsewhere(around),
            entries: None,
            opened: BTreeMap::new(),
        }
    }

    /// Opens the keys of a role, so that no question comes while others wait for us.
    pub(crate) fn open(&mut self, role: &Role, sets: &[KeySet]) -> Result<Vec<PathBuf>, Failure> {
        let mut paths = Vec::new();
        for entry in self.entries()?.iter().filter(|entry| entry.serves(role, sets)) {
            paths.push(entry.path.clone());
        }
        paths.iter().try_for_each(|path| self.open_path(path))?;
        Ok(paths)
    }

    /// Opens a key by its name, whatever it signs for.
    pub(crate) fn open_named(&mut self, name: &str) -> Result<PathBuf, Failure> {
        let entries = self.entries()?;
        let mut named = entries.iter().filter(|entry| entry.name == name).map(|entry| entry.path.clone());
        let (Some(path), more) = (named.next(), named.next()) else {
            let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
            return Err(Failure::usage(format!("keys/ has no key called {name}"))
                .detail(format!("expected one of {}", names.join(", "))));
        };
        if let Some(more) = more {
            return Err(Failure::usage(format!("keys/ has two keys called {name}"))
                .detail(format!("expected one, got {} and {}", path.display(), more.display()))
                .hint("rename the one that isn't meant, with its .pub"));
        }
        self.open_path(&path)?;
        Ok(path)
    }

    /// A key that was opened.
    pub(crate) fn opened(&self, path: &Path) -> Option<&dyn Sign> {
        self.opened.get(path).map(AsRef::as_ref)
    }

    /// The names of the keys that may sign for a role. None is opened.
    pub(crate) fn names_for(&mut self, role: &Role, sets: &[KeySet]) -> Result<Vec<String>, Failure> {
        let entries = self.entries()?.iter().filter(|entry| entry.serves(role, sets));
        Ok(entries.map(|entry| entry.name.clone()).collect())
    }

    fn open_path(&mut self, path: &Path) -> Result<(), Failure> {
        if self.opened.contains_key(path) {
            return Ok(());
        }
        let signer = match path.extension().is_some_and(|extension| extension == "uri") {
            true => self.open_elsewhere(path)?,
            false => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                let called = Path::new("keys").join(name).display().to_string();
                Box::new(self.open_file(path, &called)?)
            }
        };
        self.opened.insert(path.to_owned(), signer);
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
        let files = self.open(role, sets)?;
        self.sign_enough_with(&files, document, role, sets)
    }

    /// The same with the keys that [`Self::open`] gave.
    pub(crate) fn sign_enough_with(
        &self,
        files: &[PathBuf],
        document: &mut Document,
        role: &Role,
        sets: &[KeySet],
    ) -> Result<(), Failure> {
        if self.sign_with(files, document, role, sets)? {
            return Ok(());
        }
        match sets.iter().find(|set| set.required && signed_of(set, document) < need_of(set)) {
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
        let files = self.open(role, sets)?;
        self.sign_with(&files, document, role, sets)
    }

    /// The same with the keys that [`Self::open`] gave.
    pub(crate) fn sign_with(
        &self,
        files: &[PathBuf],
        document: &mut Document,
        role: &Role,
        sets: &[KeySet],
    ) -> Result<bool, Failure> {
        let mut useless: Vec<&PathBuf> = files.iter().collect();
        for set in sets {
            for path in files {
                let Some(signer) = self.opened.get(path) else { continue };
                let Ok(material) = signer.key().material() else { continue };
                let Some(key_id) = declared_id(&material, set) else { continue };
                useless.retain(|one| *one != path);
                if signed_of(set, document) < need_of(set) {
                    let declared = Declared { signer: signer.as_ref(), key_id };
                    document.sign(&declared, checked::provider()).map_err(Failure::refused)?;
                }
            }
        }
        for path in useless {
            terminal::warn(&format!("{} is not a key of {role}, and signs nothing", path.display()));
        }
        // Each was checked as it was made; whatever is published is weighed as a client will, besides.
        Ok(sets.iter().all(|set| !set.required || signed_of(set, document) >= need_of(set)))
    }

    /// Signs with every key of the role that is here, also beyond the threshold: in a ceremony each person
    /// signs, and who was needed is seen at its end.
    pub(crate) fn sign_with_all(
        &mut self,
        document: &mut Document,
        role: &Role,
        sets: &[KeySet],
    ) -> Result<(), Failure> {
        for path in self.open(role, sets)? {
            let Some(signer) = self.opened.get(&path) else { continue };
            for set in sets {
                let Ok(material) = signer.key().material() else { continue };
                let Some(key_id) = declared_id(&material, set) else { continue };
                if !document.signed_by().any(|id| id == key_id) {
                    let declared = Declared { signer: signer.as_ref(), key_id };
                    document.sign(&declared, crypto::default()).map_err(Failure::refused)?;
                }
            }
        }
        Ok(())
    }

    /// What is said where a set has too few signatures.
    pub(crate) fn short_of(&self, document: &Document, role: &Role, set: &KeySet) -> Failure {
        let (need, got) = (need_of(set), signed_of(set, document));
        Failure::refused(format!("{role} can't be signed"))
            .detail(format!("expected {need} key(s) of {role} in {}, got {got}", self.dir.display()))
            .detail(format!("its keys are {}", set.role_keys.keyids.join(", ")))
            .hint("where others hold keys, let them sign: `signer ceremony propose`")
    }

    /// Which keys of a set are here, by their ids; and how many more are called after the role, and can't be
    /// seen into.
    pub(crate) fn holds(&mut self, role: &Role, set: &KeySet) -> Result<(Vec<String>, usize), Failure> {
        let (mut here, mut closed) = (Vec::new(), 0_usize);
        for entry in self.entries()? {
            match &entry.public {
                Some(public) => here.extend(declared_id(public, set)),
                None if entry.is_called(role) => closed = closed.saturating_add(1),
                None => {}
            }
        }
        here.sort();
        here.dedup();
        Ok((here, closed))
    }

    /// The keys in the folder, by name.
    fn entries(&mut self) -> Result<&[Entry], Failure> {
        if self.entries.is_none() {
            self.entries = Some(self.list()?);
        }
        Ok(self.entries.as_deref().unwrap_or_default())
    }

    fn list(&self) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(Failure::io(&self.dir))? {
            let path = entry.map_err(Failure::io(&self.dir))?.path();
            let name = path.file_name().and_then(|name| {
                let name = name.to_str()?;
                name.strip_suffix(".pem").or_else(|| name.strip_suffix(".uri"))
            });
            if let Some(name) = name.map(ToOwned::to_owned) {
                entries.push(Entry { public: public(&path.with_extension("pub"))?, path, name });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The public half of a key that lives elsewhere.
    pub(crate) fn look_at(&mut self, uri: &KeyUri) -> Result<Key, Failure> {
        Ok(self.open_uri(uri, &uri.to_string())?.key().clone())
    }

    /// A key that lives elsewhere: in a token, an ssh-agent, or behind a program.
    fn open_elsewhere(&mut self, path: &Path) -> Result<Box<dyn Sign>, Failure> {
        let text = String::from_utf8(files::read(path, KEY_FILE_MAX)?).unwrap_or_default();
        let uri: KeyUri = text
            .parse()
            .map_err(|why| Failure::usage(format!("{} can't be used", path.display())).detail(why))?;
        expect_same(path, self.open_uri(&uri, &path.display().to_string())?)
    }

    /// A key by its URI, whatever it signs for.
    pub(crate) fn open_uri(&mut self, uri: &KeyUri, called: &str) -> Result<Box<dyn Sign>, Failure> {
        if let KeyUri::File(path) = uri {
            return Ok(Box::new(self.open_file(path, &path.display().to_string())?));
        }
        let unusable =
            |why: &dyn std::fmt::Display| Failure::usage(format!("{called} can't be used")).detail(why);
        let mut tries = PIN_TRIES;
        loop {
            tries = tries.saturating_sub(1);
            let opened = signing_keys::open(uri, &self.elsewhere, &mut Pins { pin: self.pin.as_ref() });
            let error = match opened {
                Ok(signer) => return Ok(signer),
                Err(error) => error,
            };
            match error.why {
                // Never the last one by itself: a locked token takes its key away for good.
                Why::WrongSecret { last_try: false }
                    if tries > 0 && self.pin.is_none() && uri.is_asked_for() =>
                {
                    terminal::warn("the PIN is wrong; try again");
                }
                Why::Missing(_) => {
                    return Err(Failure::unknown(format!("{called} can't be reached")).detail(error));
                }
                Why::WrongSecret { .. } | Why::NoSecret(_) => {
                    return Err(unusable(&error).hint(
                        "the PIN is asked for, or comes from pin-source= in the URI, or HALLMARK_PIN",
                    ));
                }
                Why::Locked => {
                    return Err(unusable(&error).hint(
                        "its security officer unlocks it: `pkcs11-tool --login --login-type so --init-pin`; \
                         until then, other keys of the role can sign",
                    ));
                }
                _ => return Err(unusable(&error)),
            }
        }
    }

    fn open_file(&mut self, path: &Path, called: &str) -> Result<PrivateKey, Failure> {
        let file = read(path)?;
        if !file.is_encrypted() {
            return file.open(b"").map_err(|why| unusable(path, why));
        }
        if let Some(key) = self.try_known(&file, path)? {
            return Ok(key);
        }
        if !self.source.can_be_asked_again() && !self.passphrases.is_empty() {
            return Err(opens_nothing(&self.source, path));
        }
        let (key, passphrase) = open_by_asking(&file, path, called, &self.source)?;
        self.passphrases.push(passphrase);
        Ok(key)
    }

    /// One passphrase for all keys is the usual case, so those that opened others are tried first.
    fn try_known(&self, file: &KeyFile, path: &Path) -> Result<Option<PrivateKey>, Failure> {
        for passphrase in self.passphrases.iter().rev() {
            match file.open(passphrase) {
                Ok(key) => return Ok(Some(key)),
                Err(KeyFileError::WrongPassphrase) => {}
                Err(why) => return Err(unusable(path, why)),
            }
        }
        Ok(None)
    }
}

/// Opens a key file with a passphrase that is asked for: a person at a terminal has three tries.
pub(crate) fn open_by_asking(
    file: &KeyFile,
    path: &Path,
    called: &str,
    source: &Source,
) -> Result<(PrivateKey, Passphrase), Failure> {
    let tries = if source.can_be_asked_again() { PASSPHRASE_TRIES } else { 1 };
    for left in (0..tries).rev() {
        let passphrase = source.existing(called)?;
        match file.open(&passphrase) {
            Ok(key) => return Ok((key, passphrase)),
            Err(KeyFileError::WrongPassphrase) if left > 0 => {
                terminal::warn("the passphrase doesn't open it; try again");
            }
            Err(KeyFileError::WrongPassphrase) => {}
            Err(why) => return Err(unusable(path, why)),
        }
    }
    Err(opens_nothing(source, path))
}

fn opens_nothing(source: &Source, path: &Path) -> Failure {
    Failure::usage(format!("the passphrase {} doesn't open {}", source.name(), path.display()))
        .detail("nothing was changed")
}

/// Reads a key file, and warns when others can read it too.
pub(crate) fn read(path: &Path) -> Result<KeyFile, Failure> {
    let metadata = fs::metadata(path).map_err(Failure::io(path))?;
    if metadata.len() > KEY_FILE_MAX {
        return Err(unusable(path, KeyFileError::NotPrivateKey));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        terminal::warn(&format!("{} has mode {mode:04o}: others can read it; use 0600", path.display()));
    }
    let bytes = Zeroizing::new(files::read(path, KEY_FILE_MAX)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable(path, KeyFileError::NotPrivateKey))?;
    KeyFile::parse(text).map_err(|why| unusable(path, why))
}

/// What is around the keys that live elsewhere, with the way to those in the network.
pub(crate) fn elsewhere(around: &Surroundings) -> Around {
    let aws = around.aws.clone().map(|keys| signing_keys::AwsKeys {
        access_key_id: keys.access_key_id,
        secret_access_key: keys.secret_access_key,
        session_token: keys.session_token,
        region: keys.region,
    });
    let cloud: Arc<dyn Cloud> = Arc::new(Network::new(around.clock));
    Around { aws, cloud: Some(cloud), ..around.elsewhere.clone() }
}

/// Where PINs come from.
struct Pins<'p> {
    pin: Option<&'p Passphrase>,
}

impl Ask for Pins<'_> {
    fn secret(&mut self, what: &str, last_try: bool) -> Result<Secret, String> {
        if last_try && self.pin.is_some() {
            return Err(format!("one more wrong PIN locks {what}, so none is taken from HALLMARK_PIN"));
        }
        if last_try {
            terminal::warn(&format!("one more wrong PIN locks {what}"));
        }
        passphrase::pin(self.pin, what)
    }
}

/// The key behind a URI must be the one whose public half was written down: a token may have been swapped.
fn expect_same(path: &Path, signer: Box<dyn Sign>) -> Result<Box<dyn Sign>, Failure> {
    let written = public(&path.with_extension("pub"))?;
    let got = signer.key().material().ok();
    match written.is_none_or(|written| got.as_ref() == Some(&written)) {
        true => Ok(signer),
        false => Err(Failure::refused(format!("{} names another key now", path.display()))
            .detail("expected the one in the .pub file beside it")
            .hint("plug in the right token; or import the new key under another name")),
    }
}

/// The public half beside a key; none where none was written.
fn public(path: &Path) -> Result<Option<PublicKey>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    read_public(path).map(|key| key.material().ok())
}

/// A public key from its file.
pub(crate) fn read_public(path: &Path) -> Result<Key, Failure> {
    let pem = files::read(path, PUBLIC_FILE_MAX).map_err(Failure::into_usage)?;
    std::str::from_utf8(&pem).map_err(|_| KeyError::NotPem).and_then(Key::from_pem).map_err(|why| {
        Failure::usage(format!("{} can't be used", path.display()))
            .detail(why)
            .hint("`openssl pkey -in private.pem -pubout` writes the public half")
    })
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
fn declared_id(ours: &PublicKey, set: &KeySet) -> Option<String> {
    let same = |id: &&String| set.keys.get(*id).and_then(|key| key.material().ok()).as_ref() == Some(ours);
    set.role_keys.keyids.iter().find(same).cloned()
}

/// A key under its declared id.
struct Declared<'s> {
    signer: &'s dyn Sign,
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

    fn sign_rsa(&self, scheme: RsaScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.signer.sign_rsa(scheme, message)
    }
}

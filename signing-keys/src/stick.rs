//! A key file that stays where it is: on a stick, or in a folder that only this machine has.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use tuf_core::crypto::Sign as _;
use tuf_core::key::Key;
use zeroize::Zeroizing;

use crate::file::{KeyFile, KeyFileError, PrivateKey};
use crate::{Ask, Why};

/// An RSA key of 4096 bits takes 3 KB.
const FILE_MAX: usize = 64 * 1024;

pub(crate) fn open(path: &Path, ask: &mut dyn Ask) -> Result<PrivateKey, Why> {
    let file = read(path)?;
    let passphrase = match file.is_encrypted() {
        true => ask.secret(&path.display().to_string(), false).map_err(Why::NoSecret)?,
        false => Zeroizing::default(),
    };
    file.open(passphrase.as_bytes()).map_err(|why| match why {
        KeyFileError::WrongPassphrase => Why::WrongPassphrase,
        why => Why::Answer(why.to_string()),
    })
}

/// The public half, where no passphrase is needed.
pub(crate) fn shown(path: &Path) -> Result<Option<Key>, Why> {
    let file = read(path)?;
    if file.is_encrypted() {
        return Ok(None);
    }
    file.open(b"").map(|key| Some(key.key().clone())).map_err(|why| Why::Answer(why.to_string()))
}

fn read(path: &Path) -> Result<KeyFile, Why> {
    let missing = |why: std::io::Error| Why::Missing(format!("{}: {why}", path.display()));
    // Made large enough at once, so that no copy of it is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX));
    let limit = u64::try_from(FILE_MAX).unwrap_or(u64::MAX);
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(missing)?;
    let no_key = |why: KeyFileError| Why::Answer(why.to_string());
    let text = std::str::from_utf8(&bytes).map_err(|_| no_key(KeyFileError::NotPrivateKey))?;
    KeyFile::parse(text).map_err(no_key)
}

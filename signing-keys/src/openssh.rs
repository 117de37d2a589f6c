//! Private keys as OpenSSH keeps them: `openssh-key-v1`, in the clear or by bcrypt and AES-256-CTR, which is what
//! `ssh-keygen` writes since version 6.5 (OpenSSH's PROTOCOL.key).

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use tuf_core::crypto::Curve;
use zeroize::Zeroizing;

use crate::asn1;
use crate::file::{KeyFileError, PrivateKey};
use crate::wire::Reader;

pub(crate) const LABEL: &str = "OPENSSH PRIVATE KEY";

const MAGIC: &[u8] = b"openssh-key-v1\0";
/// ssh-keygen's own is 16 or 24, `-a 100` is a common advice; each takes some milliseconds.
const ROUNDS_MAX: u32 = 2000;
/// AES-256's key, and CTR's first block.
const KEY: usize = 32;
const BLOCK: usize = 16;

/// A file that hasn't been opened.
pub(crate) struct SshFile {
    /// The salt and the rounds of bcrypt, where it is encrypted.
    closed: Option<(Vec<u8>, u32)>,
    section: Zeroizing<Vec<u8>>,
}

impl SshFile {
    /// Reads the body of the PEM.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, KeyFileError> {
        let malformed = KeyFileError::NotPrivateKey;
        let mut reader = Reader(body.strip_prefix(MAGIC).ok_or(malformed)?);
        let mut string = || reader.string().ok_or(malformed);
        let (cipher, kdf, options) = (string()?, string()?, string()?);
        let closed = match (cipher, kdf) {
            (b"none", b"none") => None,
            (b"aes256-ctr", b"bcrypt") => {
                let mut options = Reader(options);
                let salt = options.string().ok_or(malformed)?.to_vec();
                let rounds = options.number().ok_or(malformed)?;
                if rounds > ROUNDS_MAX {
                    return Err(KeyFileError::Unsupported);
                }
                Some((salt, rounds))
            }
            _ => return Err(KeyFileError::Unsupported),
        };
        if reader.number() != Some(1) {
            return Err(malformed);
        }
        let mut string = || reader.string().ok_or(malformed);
        let (_public, section) = (string()?, string()?);
        Ok(Self { closed, section: Zeroizing::new(section.to_vec()) })
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.closed.is_some()
    }

    /// The key.
    pub(crate) fn open(&self, passphrase: &[u8]) -> Result<PrivateKey, KeyFileError> {
        let mut section = self.section.clone();
        if let Some((salt, rounds)) = &self.closed {
            // bcrypt has no empty passphrase, and neither has ssh-keygen.
            if passphrase.is_empty() {
                return Err(KeyFileError::WrongPassphrase);
            }
            let mut key = Zeroizing::new([0; KEY + BLOCK]);
            bcrypt_pbkdf::bcrypt_pbkdf(passphrase, salt, *rounds, key.as_mut())
                .map_err(|_| KeyFileError::Unsupported)?;
            let (key, block) = key.split_at(KEY);
            Ctr128BE::<Aes256>::new_from_slices(key, block)
                .map_err(|_| KeyFileError::Unsupported)?
                .apply_keystream(&mut section);
        }
        let malformed = KeyFileError::NotPrivateKey;
        let mut reader = Reader(&section);
        let (one, other) = (reader.number().ok_or(malformed)?, reader.number().ok_or(malformed)?);
        match (one == other, self.is_encrypted()) {
            (true, _) => private(&mut reader),
            (false, true) => Err(KeyFileError::WrongPassphrase),
            (false, false) => Err(malformed),
        }
    }
}

fn private(reader: &mut Reader<'_>) -> Result<PrivateKey, KeyFileError> {
    let malformed = KeyFileError::NotPrivateKey;
    let mut string = || reader.string().ok_or(malformed);
    match string()? {
        b"ssh-ed25519" => {
            let (_public, both) = (string()?, string()?);
            // The seed, and the public half again.
            PrivateKey::from_seed(both.first_chunk().ok_or(malformed)?)
        }
        b"ecdsa-sha2-nistp256" => {
            let (_curve, point, scalar) = (string()?, string()?, string()?);
            ecdsa(Curve::P256, point, scalar)
        }
        b"ecdsa-sha2-nistp384" => {
            let (_curve, point, scalar) = (string()?, string()?, string()?);
            ecdsa(Curve::P384, point, scalar)
        }
        b"ssh-rsa" => Err(KeyFileError::SshRsa),
        _ => Err(KeyFileError::OtherKind),
    }
}

/// The scalar is an mpint: without zeros in front, but with one where its first bit is set.
fn ecdsa(curve: Curve, point: &[u8], scalar: &[u8]) -> Result<PrivateKey, KeyFileError> {
    let length = match curve {
        Curve::P256 => 32,
        Curve::P384 => 48,
    };
    let start = scalar.iter().position(|&byte| byte != 0).unwrap_or(scalar.len());
    let scalar = scalar.get(start..).unwrap_or_default();
    let missing = usize::checked_sub(length, scalar.len()).ok_or(KeyFileError::NotPrivateKey)?;
    let mut padded = Zeroizing::new(Vec::with_capacity(length));
    padded.resize(missing, 0);
    padded.extend_from_slice(scalar);
    let inner = asn1::ec_private_key(&padded, point).ok_or(KeyFileError::NotPrivateKey)?;
    PrivateKey::from_ec(curve, &inner)
}

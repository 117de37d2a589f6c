//! Ed25519 keys at rest: PKCS#8 in PEM (RFC 5208, 8410), encrypted by PBES2 with scrypt and AES-256-CBC
//! (RFC 8018, 7914), as openssl reads and writes them. Every copy of a secret is wiped.

use pkcs8::der::SecretDocument;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef};
use tuf_core::crypto::Ed25519Signer;
use zeroize::Zeroizing;

/// RFC 8410, section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 8410, section 7: within the private key stands the seed as an octet string of its own.
const SEED_HEADER: [u8; 2] = [0x04, 0x20];
/// PEM labels (RFC 7468, sections 10 and 11).
const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// scrypt's N and r take 16 MiB: openssl refuses to read a key that takes more than 32 MiB
/// (`SCRYPT_MAX_MEM`), and N = 2^15 takes a little more. So p makes up for it: N = 2^14, r = 8, p = 5
/// is among the settings that OWASP counts as equally strong.
const SCRYPT_N: u64 = 1 << 14;
const SCRYPT_R: u16 = 8;
const SCRYPT_P: u16 = 5;

/// What is read at most, see [`expect_bearable`].
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
const SCRYPT_MEMORY_MAX: u64 = 1 << 30;
const SCRYPT_P_MAX: u16 = 16;

/// The secret of an Ed25519 key (RFC 8032).
pub(crate) type Seed = Zeroizing<[u8; 32]>;

/// A key file, read but perhaps not opened.
pub(crate) enum KeyFile {
    /// Without a passphrase.
    Plain(SecretDocument),
    /// With one.
    Encrypted(SecretDocument),
}

/// Why a key file gave no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyFileError {
    /// Not PEM, not PKCS#8, or malformed.
    NotPkcs8,
    /// A key of another kind.
    NotEd25519,
    /// The passphrase opens nothing, or something that is no key.
    WrongPassphrase,
    /// An encryption that we don't read.
    Unsupported,
}

impl std::fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotPkcs8 => "expected a private key as PKCS#8 in PEM",
            Self::NotEd25519 => "expected an Ed25519 key, got one of another kind",
            Self::WrongPassphrase => "the passphrase doesn't open it",
            Self::Unsupported => {
                "expected an encryption by PBES2 with AES and bearable settings, got another"
            }
        })
    }
}

impl KeyFile {
    /// Reads PEM.
    pub(crate) fn parse(pem: &str) -> Result<Self, KeyFileError> {
        let (label, document) = SecretDocument::from_pem(pem).map_err(|_| KeyFileError::NotPkcs8)?;
        match label {
            PLAIN => Ok(Self::Plain(document)),
            ENCRYPTED => Ok(Self::Encrypted(document)),
            _ => Err(KeyFileError::NotPkcs8),
        }
    }

    /// Whether a passphrase is needed.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    /// The secret. `passphrase` is not looked at where none is needed.
    pub(crate) fn open(&self, passphrase: &[u8]) -> Result<Seed, KeyFileError> {
        match self {
            Self::Plain(document) => seed(document.as_bytes()),
            Self::Encrypted(document) => {
                let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                    .map_err(|_| KeyFileError::NotPkcs8)?;
                expect_bearable(&info.encryption_algorithm)?;
                let opened = info.decrypt(passphrase).map_err(|error| match error {
                    pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm {
                        ..
                    }) => KeyFileError::Unsupported,
                    _ => KeyFileError::WrongPassphrase,
                })?;
                // One wrong passphrase in 256 leaves a padding that looks right, and then no key.
                seed(opened.as_bytes()).map_err(|why| match why {
                    KeyFileError::NotPkcs8 => KeyFileError::WrongPassphrase,
                    why => why,
                })
            }
        }
    }
}

/// Refuses work that a file could make us do without end: what is opened may come from a stranger. openssl
/// writes 2,048 to 210,000 rounds; scrypt at these settings takes 1 GiB and some seconds.
fn expect_bearable(scheme: &pkcs8::pkcs5::EncryptionScheme) -> Result<(), KeyFileError> {
    let Some(parameters) = scheme.pbes2() else { return Err(KeyFileError::Unsupported) };
    let bearable = match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => (1..=PBKDF2_ROUNDS_MAX).contains(&pbkdf2.iteration_count),
        Kdf::Scrypt(scrypt) => {
            let ScryptParams { cost_parameter, block_size, parallelization, .. } = scrypt;
            let memory =
                cost_parameter.checked_mul(u64::from(*block_size)).and_then(|blocks| blocks.checked_mul(128));
            cost_parameter.is_power_of_two()
                && *cost_parameter > 1
                && *block_size > 0
                && (1..=SCRYPT_P_MAX).contains(parallelization)
                && memory.is_some_and(|memory| memory <= SCRYPT_MEMORY_MAX)
        }
        _ => false,
    };
    if bearable { Ok(()) } else { Err(KeyFileError::Unsupported) }
}

fn seed(der: &[u8]) -> Result<Seed, KeyFileError> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyFileError::NotPkcs8)?;
    if info.algorithm.oid != ED25519 {
        return Err(KeyFileError::NotEd25519);
    }
    let inner = info.private_key.as_bytes().strip_prefix(&SEED_HEADER).ok_or(KeyFileError::NotPkcs8)?;
    let mut seed = Zeroizing::new([0; 32]);
    if inner.len() != seed.len() {
        return Err(KeyFileError::NotPkcs8);
    }
    seed.copy_from_slice(inner);
    Ok(seed)
}

/// A new secret from the operating system.
pub(crate) fn generate() -> Result<Seed, getrandom::Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice())?;
    Ok(seed)
}

/// Writes a key, encrypted where there is a passphrase.
///
/// Version 1, without the public half: openssl 3 reads no other.
pub(crate) fn write(seed: &Seed, passphrase: Option<&[u8]>) -> Result<Zeroizing<String>, pkcs8::Error> {
    let mut inner = Zeroizing::new(Vec::with_capacity(34));
    inner.extend(SEED_HEADER);
    inner.extend(seed.as_slice());
    let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
    let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&inner)?);
    let (label, document) = match passphrase {
        None => (PLAIN, SecretDocument::encode_msg(&info)?),
        Some(passphrase) => (ENCRYPTED, info.encrypt_with_params(parameters()?, passphrase)?),
    };
    Ok(document.to_pem(label, LineEnding::LF)?)
}

fn parameters() -> Result<Parameters, pkcs8::Error> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    let failed = |_| pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::Rng);
    getrandom::fill(&mut salt).map_err(failed)?;
    getrandom::fill(&mut iv).map_err(failed)?;
    let scrypt = ScryptParams {
        salt: Salt::new(salt)?,
        cost_parameter: SCRYPT_N,
        block_size: SCRYPT_R,
        parallelization: SCRYPT_P,
        key_length: None,
    };
    Ok(Parameters { kdf: Kdf::Scrypt(scrypt), encryption: EncryptionScheme::Aes256Cbc { iv } })
}

/// What signs with a secret.
pub(crate) fn signer(seed: &Seed) -> Ed25519Signer {
    Ed25519Signer::from_seed(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let secret = generate().unwrap();
        let plain = KeyFile::parse(&write(&secret, None).unwrap()).unwrap();
        assert!(!plain.is_encrypted());
        assert_eq!(plain.open(b""), Ok(secret.clone()));
        let closed = KeyFile::parse(&write(&secret, Some(b"right")).unwrap()).unwrap();
        assert!(closed.is_encrypted());
        assert_eq!(closed.open(b"right"), Ok(secret));
        assert_eq!(closed.open(b"wrong"), Err(KeyFileError::WrongPassphrase));
    }

    #[test]
    fn settings_that_would_take_for_ever_are_refused() {
        let secret = generate().unwrap();
        let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
        let seed: Vec<u8> = SEED_HEADER.iter().chain(secret.iter()).copied().collect();
        let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&seed).unwrap());
        let pem = info.encrypt_with_params(parameters().unwrap(), b"right").unwrap();
        // N stands in the file as INTEGER 0x4000: two bytes that a stranger can change.
        let good = pem.as_bytes().to_vec();
        let at = good.windows(4).position(|window| window == [2, 2, 0x40, 0]).unwrap();
        for n in [[0, 0], [0x40, 1], [0, 1], [0x7f, 0xff]] {
            let mut bad = good.clone();
            bad[at + 2..at + 4].copy_from_slice(&n);
            let Ok(document) = SecretDocument::try_from(bad.as_slice()) else { continue };
            let opened = KeyFile::Encrypted(document).open(b"right");
            assert!(
                matches!(opened, Err(KeyFileError::Unsupported | KeyFileError::NotPkcs8)),
                "{n:?} {opened:?}"
            );
        }
    }

    #[test]
    fn what_is_no_ed25519_key_is_refused() {
        assert!(matches!(KeyFile::parse("hello"), Err(KeyFileError::NotPkcs8)));
        let x25519 = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VuBCIEIODfA2Yp/vPMqHdqPBGlMqQX0Gt3VWTSPNzzM0Kq4qZ1\n\
            -----END PRIVATE KEY-----\n";
        assert_eq!(KeyFile::parse(x25519).unwrap().open(b""), Err(KeyFileError::NotEd25519));
    }
}

//! Private keys in files: PKCS#8 in PEM (RFC 5958, 8410, 5915, 8017), plain or encrypted by PBES2 with scrypt
//! and AES-256-CBC (RFC 8018, 7914), as openssl reads and writes them; cosign's envelope around it; and, to be
//! read only, OpenSSH's own form.
//!
//! Every copy of a secret here is wiped. It opens no file: its caller knows where they are.

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{SecretDocument, pem};
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef};
use tuf_core::crypto::{Curve, EcdsaSigner, Ed25519Signer, RsaScheme, RsaSigner, Sign, SignError};
use tuf_core::key::Key;
use zeroize::Zeroizing;

use crate::cosign::{self, Sealed};
use crate::openssh::{self, SshFile};

/// RFC 8410, section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 5480, section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// RFC 8017, appendix A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
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

/// A kind of key that can be made here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NewKind {
    /// Ed25519 (RFC 8032).
    #[default]
    Ed25519,
    /// ECDSA over P-256 or P-384 (FIPS 186-5).
    Ecdsa(Curve),
}

/// A private key in memory, wiped when dropped. It signs, and shows its public half only.
pub struct PrivateKey {
    /// PKCS#8, version 1, without attributes.
    der: SecretDocument,
    signer: Box<dyn Sign>,
}

/// A key file, read but perhaps not opened.
pub struct KeyFile(Form);

enum Form {
    Plain(SecretDocument),
    Encrypted(SecretDocument),
    Cosign(Sealed),
    OpenSsh(SshFile),
}

/// Why a key file gave no key. Holds no part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Not PEM, not PKCS#8, or malformed.
    #[error("expected a private key as PKCS#8 in PEM, or in cosign's or OpenSSH's form")]
    NotPrivateKey,
    /// The older form of an RSA or ECDSA key.
    #[error(
        "expected a private key as PKCS#8, got the older form: `openssl pkcs8 -topk8` turns it into that"
    )]
    OldForm,
    /// A key of another kind.
    #[error("expected a key of Ed25519, ECDSA over P-256 or P-384, or RSA, got one of another kind")]
    OtherKind,
    /// An ECDSA key without its public point, or with one of another key.
    #[error("expected an ECDSA key with its public point: `openssl pkey -in OLD -out NEW` adds it")]
    BadEcdsa,
    /// An RSA key that is too short, too long, or malformed.
    #[error("expected an RSA key of 2048 to 4096 bits")]
    BadRsa,
    /// An RSA key in OpenSSH's form.
    #[error(
        "expected a key of another kind than RSA in OpenSSH's form: `ssh-keygen -p -m PKCS8 -f COPY` turns a copy of it into PKCS#8"
    )]
    SshRsa,
    /// The passphrase opens nothing, or something that is no key.
    #[error("the passphrase doesn't open it")]
    WrongPassphrase,
    /// An encryption that we don't read.
    #[error(
        "expected an encryption by PBES2 with AES, cosign's, or OpenSSH's aes256-ctr, with bearable settings, got another"
    )]
    Unsupported,
    /// The operating system has no randomness.
    #[error("the system gave no randomness")]
    NoRandomness,
}

impl KeyFile {
    /// Reads PEM.
    ///
    /// # Errors
    /// Where it is no private key in a form that is read here.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        // cosign writes an empty line between its keys' envelopes; files made by hand have spaces around them.
        let text = text.trim();
        match pem::decode_label(text.as_bytes()).map_err(|_| KeyFileError::NotPrivateKey)? {
            PLAIN => document(text).map(Form::Plain),
            ENCRYPTED => document(text).map(Form::Encrypted),
            cosign::LABEL | cosign::OLD_LABEL => Sealed::parse(&body(text, 64)?).map(Form::Cosign),
            openssh::LABEL => SshFile::parse(&body(text, 70)?).map(Form::OpenSsh),
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Err(KeyFileError::OldForm),
            _ => Err(KeyFileError::NotPrivateKey),
        }
        .map(Self)
    }

    /// Whether a passphrase is needed.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        match &self.0 {
            Form::Plain(_) => false,
            Form::Encrypted(_) | Form::Cosign(_) => true,
            Form::OpenSsh(file) => file.is_encrypted(),
        }
    }

    /// The key. `passphrase` is not looked at where none is needed.
    ///
    /// # Errors
    /// [`KeyFileError::WrongPassphrase`], or why this is no key that can be used.
    pub fn open(&self, passphrase: &[u8]) -> Result<PrivateKey, KeyFileError> {
        match &self.0 {
            Form::Plain(document) => PrivateKey::from_pkcs8(document.as_bytes()),
            Form::Cosign(sealed) => PrivateKey::from_pkcs8(&sealed.open(passphrase)?),
            Form::OpenSsh(file) => file.open(passphrase),
            Form::Encrypted(document) => {
                let opened = decrypt(document, passphrase)?;
                // One wrong passphrase in 256 leaves a padding that looks right, and then no key.
                PrivateKey::from_pkcs8(opened.as_bytes()).map_err(|why| match why {
                    KeyFileError::NotPrivateKey => KeyFileError::WrongPassphrase,
                    why => why,
                })
            }
        }
    }
}

fn document(text: &str) -> Result<SecretDocument, KeyFileError> {
    SecretDocument::from_pem(text).map(|(_, document)| document).map_err(|_| KeyFileError::NotPrivateKey)
}

/// What is in a PEM that isn't DER, in lines of `width`.
fn body(text: &str, width: usize) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let malformed = |_| KeyFileError::NotPrivateKey;
    let mut decoder = pem::Decoder::new_wrapped(text.as_bytes(), width).map_err(malformed)?;
    let mut body = Zeroizing::new(Vec::with_capacity(text.len()));
    decoder.decode_to_end(&mut body).map_err(malformed)?;
    Ok(body)
}

fn decrypt(document: &SecretDocument, passphrase: &[u8]) -> Result<SecretDocument, KeyFileError> {
    let info =
        EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| KeyFileError::NotPrivateKey)?;
    expect_bearable(&info.encryption_algorithm)?;
    info.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }) => {
            KeyFileError::Unsupported
        }
        _ => KeyFileError::WrongPassphrase,
    })
}

/// Refuses work that a file could make us do without end: what is opened may come from a stranger. openssl
/// writes 2,048 to 210,000 rounds; scrypt at the most that is read takes 1 GiB and some seconds.
fn expect_bearable(scheme: &pkcs8::pkcs5::EncryptionScheme) -> Result<(), KeyFileError> {
    let Some(parameters) = scheme.pbes2() else { return Err(KeyFileError::Unsupported) };
    let bearable = match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => (1..=PBKDF2_ROUNDS_MAX).contains(&pbkdf2.iteration_count),
        Kdf::Scrypt(scrypt) => {
            let ScryptParams { cost_parameter, block_size, parallelization, .. } = scrypt;
            let blocks = cost_parameter.checked_mul(u64::from(*block_size));
            cost_parameter.is_power_of_two()
                && *cost_parameter > 1
                && *block_size > 0
                && (1..=SCRYPT_P_MAX).contains(parallelization)
                && blocks
                    .and_then(|blocks| blocks.checked_mul(128))
                    .is_some_and(|bytes| bytes <= SCRYPT_MEMORY_MAX)
        }
        _ => false,
    };
    if bearable { Ok(()) } else { Err(KeyFileError::Unsupported) }
}

impl PrivateKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyFileError::NoRandomness`].
    pub fn generate(kind: NewKind) -> Result<Self, KeyFileError> {
        match kind {
            NewKind::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                getrandom::fill(seed.as_mut_slice()).map_err(|_| KeyFileError::NoRandomness)?;
                Self::from_seed(&seed)
            }
            NewKind::Ecdsa(curve) => {
                let der = EcdsaSigner::generate(curve).map_err(|_| KeyFileError::NoRandomness)?;
                Self::from_pkcs8(&Zeroizing::new(der))
            }
        }
    }

    /// The Ed25519 key of a seed (RFC 8032).
    ///
    /// # Errors
    /// None that is known: where it can't be encoded.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, KeyFileError> {
        let mut inner = Zeroizing::new(Vec::with_capacity(34));
        inner.extend(SEED_HEADER);
        inner.extend(seed);
        let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
        let signer = Box::new(Ed25519Signer::from_seed(seed));
        Ok(Self { der: encoded(algorithm, &inner)?, signer })
    }

    /// The key of a PKCS#8 document in DER.
    ///
    /// # Errors
    /// Says why it is no key that can be used.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyFileError> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyFileError::NotPrivateKey)?;
        let inner = info.private_key.as_bytes();
        if info.algorithm.oid == ED25519 {
            return Self::from_seed(&*seed(inner)?);
        }
        // Anew, and in version 1: openssl 3 reads no other, and ring no attributes.
        let der = encoded(info.algorithm, inner)?;
        let signer: Box<dyn Sign> = match (info.algorithm.oid, info.algorithm.parameters_oid().ok()) {
            (EC, Some(SECP256R1)) => ecdsa(Curve::P256, &der)?,
            (EC, Some(SECP384R1)) => ecdsa(Curve::P384, &der)?,
            (RSA, _) => Box::new(RsaSigner::from_pkcs8(der.as_bytes()).map_err(|_| KeyFileError::BadRsa)?),
            _ => return Err(KeyFileError::OtherKind),
        };
        Ok(Self { der, signer })
    }

    /// The key of an ECPrivateKey (RFC 5915) over a curve.
    pub(crate) fn from_ec(curve: Curve, inner: &[u8]) -> Result<Self, KeyFileError> {
        let named = match curve {
            Curve::P256 => SECP256R1,
            Curve::P384 => SECP384R1,
        };
        let parameters = Some(pkcs8::der::asn1::AnyRef::from(&named));
        let der = encoded(AlgorithmIdentifierRef { oid: EC, parameters }, inner)?;
        Ok(Self { signer: ecdsa(curve, &der)?, der })
    }

    /// Writes the key as PKCS#8 in PEM, encrypted where there is a passphrase.
    ///
    /// # Errors
    /// [`KeyFileError::NoRandomness`].
    pub fn to_pem(&self, passphrase: Option<&[u8]>) -> Result<Zeroizing<String>, KeyFileError> {
        let unwritable = |_| KeyFileError::NotPrivateKey;
        let Some(passphrase) = passphrase else {
            return self.der.to_pem(PLAIN, LineEnding::LF).map_err(unwritable);
        };
        let info =
            PrivateKeyInfoRef::try_from(self.der.as_bytes()).map_err(|_| KeyFileError::NotPrivateKey)?;
        let sealed =
            info.encrypt_with_params(parameters()?, passphrase).map_err(|_| KeyFileError::NoRandomness)?;
        sealed.to_pem(ENCRYPTED, LineEnding::LF).map_err(unwritable)
    }

    /// Writes the key as cosign does. An empty passphrase is one, there.
    ///
    /// # Errors
    /// [`KeyFileError::NoRandomness`].
    pub fn to_cosign(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyFileError> {
        cosign::seal(self.der.as_bytes(), passphrase)
    }
}

impl Sign for PrivateKey {
    fn key(&self) -> &Key {
        self.signer.key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.signer.sign(message)
    }

    fn sign_rsa(&self, scheme: RsaScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.signer.sign_rsa(scheme, message)
    }
}

/// Shows the public half only.
impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").field("key", self.key()).finish_non_exhaustive()
    }
}

fn seed(inner: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let inner = inner.strip_prefix(&SEED_HEADER).ok_or(KeyFileError::NotPrivateKey)?;
    let mut seed = Zeroizing::new([0; 32]);
    if inner.len() != seed.len() {
        return Err(KeyFileError::NotPrivateKey);
    }
    seed.copy_from_slice(inner);
    Ok(seed)
}

fn ecdsa(curve: Curve, der: &SecretDocument) -> Result<Box<dyn Sign>, KeyFileError> {
    let signer = EcdsaSigner::from_pkcs8(curve, der.as_bytes()).map_err(|_| KeyFileError::BadEcdsa)?;
    Ok(Box::new(signer))
}

fn encoded(algorithm: AlgorithmIdentifierRef<'_>, inner: &[u8]) -> Result<SecretDocument, KeyFileError> {
    let inner = OctetStringRef::new(inner).map_err(|_| KeyFileError::NotPrivateKey)?;
    SecretDocument::encode_msg(&PrivateKeyInfoRef::new(algorithm, inner))
        .map_err(|_| KeyFileError::NotPrivateKey)
}

fn parameters() -> Result<Parameters, KeyFileError> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    getrandom::fill(&mut salt).map_err(|_| KeyFileError::NoRandomness)?;
    getrandom::fill(&mut iv).map_err(|_| KeyFileError::NoRandomness)?;
    let scrypt = ScryptParams {
        salt: Salt::new(salt).map_err(|_| KeyFileError::NoRandomness)?,
        cost_parameter: SCRYPT_N,
        block_size: SCRYPT_R,
        parallelization: SCRYPT_P,
        key_length: None,
    };
    Ok(Parameters { kdf: Kdf::Scrypt(scrypt), encryption: EncryptionScheme::Aes256Cbc { iv } })
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    const KINDS: [NewKind; 3] = [NewKind::Ed25519, NewKind::Ecdsa(Curve::P256), NewKind::Ecdsa(Curve::P384)];

    #[test]
    fn what_is_written_is_read_back() {
        for kind in KINDS {
            let key = PrivateKey::generate(kind).unwrap();
            let plain = KeyFile::parse(&key.to_pem(None).unwrap()).unwrap();
            assert!(!plain.is_encrypted());
            assert_eq!(plain.open(b"").unwrap().key(), key.key());
            for text in [key.to_pem(Some(b"right")).unwrap(), key.to_cosign(b"right").unwrap()] {
                let closed = KeyFile::parse(&text).unwrap();
                assert!(closed.is_encrypted());
                assert_eq!(closed.open(b"right").unwrap().key(), key.key());
                assert_eq!(closed.open(b"wrong").unwrap_err(), KeyFileError::WrongPassphrase);
            }
        }
    }

    #[test]
    fn settings_that_would_take_for_ever_are_refused() {
        let key = PrivateKey::generate(NewKind::Ed25519).unwrap();
        let good = SecretDocument::from_pem(&key.to_pem(Some(b"right")).unwrap()).unwrap().1;
        let good = good.as_bytes().to_vec();
        // N stands in the file as INTEGER 0x4000: two bytes that a stranger can change.
        let at = good.windows(4).position(|window| window == [2, 2, 0x40, 0]).unwrap() + 2;
        for n in [[0x40, 1], [0x7f, 0xff]] {
            let mut bad = good.clone();
            bad[at..at + 2].copy_from_slice(&n);
            let bad = SecretDocument::try_from(bad.as_slice()).unwrap();
            let why = KeyFile(Form::Encrypted(bad)).open(b"right").unwrap_err();
            assert_eq!(why, KeyFileError::Unsupported, "{n:?}");
        }
    }

    #[test]
    fn what_is_no_key_for_metadata_is_refused() {
        let x25519 = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VuBCIEIODfA2Yp/vPMqHdqPBGlMqQX0Gt3VWTSPNzzM0Kq4qZ1\n\
            -----END PRIVATE KEY-----\n";
        let old = "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n";
        for (text, why) in [
            ("hello", KeyFileError::NotPrivateKey),
            (x25519, KeyFileError::OtherKind),
            (old, KeyFileError::OldForm),
        ] {
            let got = KeyFile::parse(text).and_then(|file| file.open(b"")).unwrap_err();
            assert_eq!(got, why, "{text}");
        }
    }

    #[test]
    fn an_envelope_that_would_cost_too_much_is_refused() {
        let body = |n: u64, cipher: &str| {
            format!(
                r#"{{"kdf":{{"name":"scrypt","params":{{"N":{n},"r":8,"p":1}},"salt":"AA=="}},"cipher":{{"name":"{cipher}","nonce":"{}"}},"ciphertext":"AA=="}}"#,
                "A".repeat(32)
            )
        };
        let refused = |text: &str| Sealed::parse(text.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(refused(&body(1 << 30, "nacl/secretbox")), KeyFileError::Unsupported);
        assert_eq!(refused(&body(1 << 14, "nacl/secretbox")), KeyFileError::Unsupported);
        assert_eq!(refused(&body(1 << 16, "none")), KeyFileError::Unsupported);
        assert_eq!(refused("{}"), KeyFileError::NotPrivateKey);
        let short = Sealed::parse(body(1 << 15, "nacl/secretbox").as_bytes()).unwrap();
        assert_eq!(short.open(b"").unwrap_err(), KeyFileError::NotPrivateKey);
    }
}

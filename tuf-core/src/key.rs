//! Public keys as metadata carries them (section 4.2.1), and the material they stand for.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde_json::{Value, json};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier};

use crate::canonical::canonical_value;
use crate::hash::{sha256_hex, unhex};
use crate::limits;
use crate::schema::object;

/// A KEY of section 4.2.1. Its id is whatever the document that lists it declares (TAP 12).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Key {
    /// KEYTYPE, such as `ed25519`.
    pub keytype: String,
    /// SCHEME, such as `ed25519` or `ecdsa-sha2-nistp256`.
    pub scheme: String,
    /// KEYVAL.
    #[serde(deserialize_with = "object")]
    pub keyval: KeyVal,
}

/// KEYVAL of section 4.2.1. Kinds that we can't read may hold other members, so nothing is demanded.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct KeyVal {
    /// Hex or PEM, by the kind.
    #[serde(default)]
    pub public: String,
}

impl Key {
    /// Whether both are one key, however each is written.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self.material(), other.material()) {
            (Ok(own), Ok(other)) => own.identity() == other.identity(),
            _ => self == other,
        }
    }

    /// An Ed25519 key from its 32 raw bytes.
    #[must_use]
    pub fn ed25519(public: &[u8; 32]) -> Self {
        Self::of("ed25519", "ed25519", crate::hash::hex(public))
    }

    /// An ECDSA key over P-256 from its SubjectPublicKeyInfo in PEM.
    #[must_use]
    pub fn ecdsa_p256(pem: String) -> Self {
        Self::of("ecdsa", "ecdsa-sha2-nistp256", pem)
    }

    /// A key from its SubjectPublicKeyInfo in PEM (RFC 7468, section 13): Ed25519, ECDSA over P-256 or P-384,
    /// or RSA, which signs by PSS with SHA-256 then.
    ///
    /// # Errors
    /// Says why it can't be used: not PEM, or a key of a kind that metadata has no scheme for.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, document) = unwrapped(pem).ok_or(KeyError::NotPem)?;
        if label != "PUBLIC KEY" {
            return Err(KeyError::NotPem);
        }
        let info =
            spki::SubjectPublicKeyInfoRef::try_from(document.as_bytes()).map_err(|_| KeyError::NotPem)?;
        let pem = || document.to_pem("PUBLIC KEY", der::pem::LineEnding::LF).map_err(|_| KeyError::NotPem);
        let key = match (info.algorithm.oid, info.algorithm.parameters_oid().ok()) {
            (ED25519, _) => {
                let bytes = info.subject_public_key.as_bytes().ok_or(KeyError::NotPem)?;
                Self::of("ed25519", "ed25519", crate::hash::hex(bytes))
            }
            (EC_PUBLIC_KEY, Some(SECP256R1)) => Self::of("ecdsa", "ecdsa-sha2-nistp256", pem()?),
            (EC_PUBLIC_KEY, Some(SECP384R1)) => Self::of("ecdsa", "ecdsa-sha2-nistp384", pem()?),
            (RSA_ENCRYPTION, _) => Self::of("rsa", "rsassa-pss-sha256", pem()?),
            _ => return Err(KeyError::OtherAlgorithm),
        };
        key.material().map(|_| key)
    }

    /// A key from its material: the reverse of [`Self::material`].
    ///
    /// # Errors
    /// Where the material is of the wrong length.
    pub fn from_material(material: &PublicKey) -> Result<Self, KeyError> {
        let key = match material {
            PublicKey::Ed25519(bytes) => Self::ed25519(bytes),
            PublicKey::EcdsaP256(_) => Self::of("ecdsa", "ecdsa-sha2-nistp256", pem(material)?),
            PublicKey::EcdsaP384(_) => Self::of("ecdsa", "ecdsa-sha2-nistp384", pem(material)?),
            PublicKey::RsaPss(hash, _) => Self::of("rsa", hash.scheme(), pem(material)?),
        };
        key.material().map(|_| key)
    }

    /// The key as SubjectPublicKeyInfo in PEM, as other tools read it: the reverse of [`Self::from_pem`].
    ///
    /// # Errors
    /// As for [`Self::material`].
    pub fn to_pem(&self) -> Result<String, KeyError> {
        pem(&self.material()?)
    }

    fn of(keytype: &str, scheme: &str, public: String) -> Self {
        Self { keytype: keytype.to_owned(), scheme: scheme.to_owned(), keyval: KeyVal { public } }
    }

    /// The key object as it stands in metadata.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({ "keytype": self.keytype, "scheme": self.scheme, "keyval": { "public": self.keyval.public } })
    }

    /// The id that we give a key of our own: SHA-256 of its canonical form (section 4.2.1). Ids in
    /// documents of others are never compared with it.
    #[must_use]
    pub fn id(&self) -> String {
        // Three strings and an object of one: nothing here can be refused.
        canonical_value(&self.to_value()).map_or_else(|_| String::new(), |bytes| sha256_hex(&bytes))
    }

    /// The key material.
    ///
    /// # Errors
    /// Says why the key can't be used: a kind we don't know, or a value of the wrong form.
    pub fn material(&self) -> Result<PublicKey, KeyError> {
        let public = self.keyval.public.as_str();
        match (self.keytype.as_str(), self.scheme.as_str()) {
            ("ed25519", "ed25519") => {
                let bytes = unhex(public).ok_or(KeyError::NotHex)?;
                let got = bytes.len();
                bytes.try_into().map(PublicKey::Ed25519).map_err(|_| KeyError::Length { expected: 32, got })
            }
            ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => ecdsa(public, Curve::P256),
            ("ecdsa" | "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384") => ecdsa(public, Curve::P384),
            ("rsa", "rsassa-pss-sha256") => rsa(public, RsaHash::Sha256),
            ("rsa", "rsassa-pss-sha384") => rsa(public, RsaHash::Sha384),
            ("rsa", "rsassa-pss-sha512") => rsa(public, RsaHash::Sha512),
            (keytype, scheme) => {
                Err(KeyError::Unknown { keytype: keytype.to_owned(), scheme: scheme.to_owned() })
            }
        }
    }
}

/// Key material in one spelling, so that one key under two ids or two encodings is one key.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PublicKey {
    /// 32 bytes (RFC 8032).
    Ed25519([u8; 32]),
    /// The uncompressed point over P-256, 65 bytes; signatures are DER over SHA-256.
    EcdsaP256(Vec<u8>),
    /// The uncompressed point over P-384, 97 bytes; signatures are DER over SHA-384.
    EcdsaP384(Vec<u8>),
    /// A PKCS#1 `RSAPublicKey` in DER; signatures are PSS with a salt as long as the hash.
    RsaPss(RsaHash, Vec<u8>),
}

impl PublicKey {
    /// What makes the key the same key: its material without the hash of the scheme.
    pub(crate) fn identity(&self) -> (u8, &[u8]) {
        match self {
            Self::Ed25519(bytes) => (0, bytes),
            Self::EcdsaP256(point) => (1, point),
            Self::EcdsaP384(point) => (2, point),
            Self::RsaPss(_, der) => (3, der),
        }
    }
}

/// SubjectPublicKeyInfo in PEM (RFC 5280, RFC 7468).
fn pem(material: &PublicKey) -> Result<String, KeyError> {
    let (algorithm, bits) = match material {
        PublicKey::Ed25519(bytes) => {
            (AlgorithmIdentifierRef { oid: ED25519, parameters: None }, bytes.as_slice())
        }
        PublicKey::EcdsaP256(point) => (curve(&SECP256R1), point.as_slice()),
        PublicKey::EcdsaP384(point) => (curve(&SECP384R1), point.as_slice()),
        PublicKey::RsaPss(_, der) => {
            let null = Some(der::asn1::AnyRef::NULL);
            (AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: null }, der.as_slice())
        }
    };
    let subject_public_key = der::asn1::BitStringRef::from_bytes(bits).map_err(|_| KeyError::NotPem)?;
    let info = spki::SubjectPublicKeyInfoRef { algorithm, subject_public_key };
    let document = der::Document::try_from(&info).map_err(|_| KeyError::NotPem)?;
    document.to_pem("PUBLIC KEY", der::pem::LineEnding::LF).map_err(|_| KeyError::NotPem)
}

/// The hash of an RSA-PSS scheme.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum RsaHash {
    /// `rsassa-pss-sha256`
    Sha256,
    /// `rsassa-pss-sha384`
    Sha384,
    /// `rsassa-pss-sha512`
    Sha512,
}

impl RsaHash {
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Sha256 => "rsassa-pss-sha256",
            Self::Sha384 => "rsassa-pss-sha384",
            Self::Sha512 => "rsassa-pss-sha512",
        }
    }
}

#[derive(Clone, Copy)]
enum Curve {
    P256,
    P384,
}

/// RFC 5480, section 2.1.1.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// RFC 8410, section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 8017, appendix A.1.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

fn curve(oid: &'static ObjectIdentifier) -> AlgorithmIdentifierRef<'static> {
    AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some(der::asn1::AnyRef::from(oid)) }
}

/// Reads a PEM SubjectPublicKeyInfo, or the older hex of the uncompressed point (Sigstore's first roots).
fn ecdsa(public: &str, curve: Curve) -> Result<PublicKey, KeyError> {
    let (expected, oid) = match curve {
        Curve::P256 => (65, SECP256R1),
        Curve::P384 => (97, SECP384R1),
    };
    let point = match unhex(public) {
        Some(point) => point,
        None => spki_key(public, EC_PUBLIC_KEY, Some(oid))?,
    };
    match point.first() {
        Some(4) if point.len() == expected => Ok(match curve {
            Curve::P256 => PublicKey::EcdsaP256(point),
            Curve::P384 => PublicKey::EcdsaP384(point),
        }),
        _ => Err(KeyError::Length { expected, got: point.len() }),
    }
}

/// Reads a PEM SubjectPublicKeyInfo, or the older PEM of an RSAPublicKey (RFC 8017), which `openssl rsa` and
/// python-tuf's library still write and read.
fn rsa(public: &str, hash: RsaHash) -> Result<PublicKey, KeyError> {
    if let Some(("RSA PUBLIC KEY", document)) = unwrapped(public) {
        return Ok(PublicKey::RsaPss(hash, document.as_bytes().to_vec()));
    }
    Ok(PublicKey::RsaPss(hash, spki_key(public, RSA_ENCRYPTION, None)?))
}

fn spki_key(
    pem: &str,
    algorithm: ObjectIdentifier,
    parameter: Option<ObjectIdentifier>,
) -> Result<Vec<u8>, KeyError> {
    let (label, document) = unwrapped(pem).ok_or(KeyError::NotPem)?;
    if label != "PUBLIC KEY" {
        return Err(KeyError::NotPem);
    }
    let info = spki::SubjectPublicKeyInfoRef::try_from(document.as_bytes()).map_err(|_| KeyError::NotPem)?;
    if info.algorithm.oid != algorithm {
        return Err(KeyError::OtherAlgorithm);
    }
    if parameter.is_some() && info.algorithm.parameters_oid().ok() != parameter {
        return Err(KeyError::OtherAlgorithm);
    }
    let bits = info.subject_public_key.as_bytes().ok_or(KeyError::NotPem)?;
    Ok(bits.to_vec())
}

/// The label and the bytes of a PEM text, in whatever lines it is written: RFC 7468, section 2, asks readers to
/// take lines that aren't of 64 characters, and some tools write 76 or one. The base64 itself is read
/// strictly. Text before it is skipped, as the same section has it; none may follow.
fn unwrapped(pem: &str) -> Option<(&str, der::Document)> {
    const BEGIN: &str = "-----BEGIN ";
    let pem = pem.trim();
    let at = pem.find(BEGIN)?;
    let (before, from) = pem.split_at_checked(at)?;
    if pem.len() > limits::PEM_BYTES || !(before.is_empty() || before.ends_with('\n')) {
        return None;
    }
    let (label, rest) = from.strip_prefix(BEGIN)?.split_once("-----")?;
    let end = rest.strip_suffix("-----")?;
    let body = end.strip_suffix(label)?.strip_suffix("-----END ")?;
    let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut lines = format!("{BEGIN}{label}-----\n");
    for line in body.chunks(64) {
        lines.push_str(core::str::from_utf8(line).ok()?);
        lines.push('\n');
    }
    lines.push_str(&format!("-----END {label}-----\n"));
    let (_, document) = der::Document::from_pem(&lines).ok()?;
    Some((label, document))
}

/// Why a key can't be used. Such a key is skipped when signatures are counted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyError {
    /// A kind that this client doesn't know.
    Unknown {
        /// The KEYTYPE found.
        keytype: String,
        /// The SCHEME found.
        scheme: String,
    },
    /// The value is not hex.
    NotHex,
    /// The value is not a PEM SubjectPublicKeyInfo.
    NotPem,
    /// The PEM holds a key of another algorithm or curve than the scheme says.
    OtherAlgorithm,
    /// The value has the wrong length in bytes.
    Length {
        /// The length of the kind.
        expected: usize,
        /// The length found.
        got: usize,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { keytype, scheme } => {
                write!(f, "unknown key type {keytype:?} with scheme {scheme:?}")
            }
            Self::NotHex => f.write_str("the public key is not hex"),
            Self::NotPem => f.write_str("the public key is not a PEM SubjectPublicKeyInfo"),
            Self::OtherAlgorithm => {
                f.write_str("the PEM holds a key of another algorithm than the scheme says")
            }
            Self::Length { expected, got } => {
                write!(f, "the public key has {got} bytes, expected {expected}")
            }
        }
    }
}

impl core::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_pem_of_one_point_are_one_key() {
        // The base point of P-256 (SEC 2), in both encodings.
        let hex = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                   4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let pem = "-----BEGIN PUBLIC KEY-----\n\
                   MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
                   6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n\
                   -----END PUBLIC KEY-----\n";
        let by_hex = Key::of("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", hex.into()).material().unwrap();
        let by_pem = Key::of("ecdsa", "ecdsa-sha2-nistp256", pem.into()).material().unwrap();
        assert_eq!(by_hex.identity(), by_pem.identity());
        assert_eq!(
            Key::of("ecdsa", "ecdsa-sha2-nistp384", pem.into()).material(),
            Err(KeyError::OtherAlgorithm)
        );
    }

    #[test]
    fn a_key_comes_back_from_its_pem() {
        let point = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                     4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        for key in [Key::ed25519(&[7; 32]), Key::of("ecdsa", "ecdsa-sha2-nistp256", point.into())] {
            let back = Key::from_pem(&key.to_pem().unwrap()).unwrap();
            assert!(back.is(&key), "{key:?}");
            assert_eq!(back.scheme, key.scheme);
        }
        assert_eq!(Key::from_pem("hello"), Err(KeyError::NotPem));
    }

    #[test]
    fn a_key_in_a_file_is_read_in_whatever_lines_it_is_written() {
        let key = Key::ed25519(&[7; 32]);
        let pem = key.to_pem().unwrap();
        let body: alloc::string::String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let lines =
            |body: &str| alloc::format!("-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n");
        let (one, split) = (lines(&alloc::format!("{body}\n")), body.split_at(20));
        let short = lines(&alloc::format!("{}\r\n{}\r\n", split.0, split.1));
        for written in [one, short, alloc::format!("the key of acme\n{pem}"), alloc::format!("\n{pem}\n")] {
            assert_eq!(Key::from_pem(&written), Ok(key.clone()), "{written}");
        }
        assert_eq!(Key::from_pem(&pem.replace("PUBLIC", "PRIVATE")), Err(KeyError::NotPem));
        assert_eq!(Key::from_pem(&alloc::format!("{pem}{pem}")), Err(KeyError::NotPem));
    }

    #[test]
    fn what_is_no_key_says_why() {
        let unknown = Key::of("sigstore-oidc", "Fulcio", String::new()).material().unwrap_err();
        assert_eq!(alloc::format!("{unknown}"), "unknown key type \"sigstore-oidc\" with scheme \"Fulcio\"");
        assert_eq!(
            Key::of("ed25519", "ed25519", "00ff".into()).material(),
            Err(KeyError::Length { expected: 32, got: 2 })
        );
        assert_eq!(Key::of("ed25519", "ed25519", "zz".into()).material(), Err(KeyError::NotHex));
        assert_eq!(Key::of("rsa", "rsassa-pss-sha256", "00".into()).material(), Err(KeyError::NotPem));
    }
}

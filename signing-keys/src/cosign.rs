//! cosign's own envelope around PKCS#8: JSON in PEM, scrypt (RFC 7914), and NaCl's secretbox, which is
//! XSalsa20-Poly1305 with the tag in front. Read and written as sigstore's and securesystemslib's Go code does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::LineEnding;
use pkcs8::der::pem;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::file::KeyFileError;

/// What cosign writes, and what it wrote before version 2.
pub(crate) const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
pub(crate) const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

/// cosign reads scrypt's N of these alone, so nobody can make us spend more than 128 MiB.
const LOG_N: [u8; 3] = [15, 16, 17];
/// What it writes: 2^16.
const LOG_N_WRITTEN: u8 = 16;
const R: u32 = 8;
const P: u32 = 1;
const SALT: usize = 32;
/// NaCl: `crypto_secretbox_NONCEBYTES`, `_BOXZEROBYTES`.
const NONCE: usize = 24;
const TAG: usize = 16;

#[derive(Deserialize, Serialize)]
struct Envelope {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize, Serialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize, Serialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize, Serialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// An envelope that hasn't been opened.
pub(crate) struct Sealed {
    log_n: u8,
    salt: Vec<u8>,
    nonce: [u8; NONCE],
    /// The tag, then the ciphertext.
    boxed: Vec<u8>,
}

impl Sealed {
    /// Reads the body of the PEM.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, KeyFileError> {
        let malformed = KeyFileError::NotPrivateKey;
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| malformed)?;
        let Envelope { kdf, cipher, ciphertext } = envelope;
        if kdf.name != "scrypt" || cipher.name != "nacl/secretbox" || (kdf.params.r, kdf.params.p) != (R, P) {
            return Err(KeyFileError::Unsupported);
        }
        let log_n = LOG_N.into_iter().find(|log_n| 1_u64.checked_shl((*log_n).into()) == Some(kdf.params.n));
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| malformed);
        Ok(Self {
            log_n: log_n.ok_or(KeyFileError::Unsupported)?,
            salt: bytes(&kdf.salt)?,
            nonce: bytes(&cipher.nonce)?.try_into().map_err(|_| malformed)?,
            boxed: bytes(&ciphertext)?,
        })
    }

    /// The PKCS#8 document in DER.
    pub(crate) fn open(&self, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
        let (tag, ciphertext) = self.boxed.split_at_checked(TAG).ok_or(KeyFileError::NotPrivateKey)?;
        let (mut cipher, poly) = keyed(passphrase, self.log_n, &self.salt, &self.nonce)?;
        // No need for constant time: whoever measures has the file, and can try by themselves.
        if poly.compute_unpadded(ciphertext).as_slice() != tag {
            return Err(KeyFileError::WrongPassphrase);
        }
        let mut opened = Zeroizing::new(ciphertext.to_vec());
        cipher.apply_keystream(&mut opened);
        Ok(opened)
    }
}

/// Writes an envelope around a PKCS#8 document, as PEM.
pub(crate) fn seal(pkcs8: &[u8], passphrase: &[u8]) -> Result<Zeroizing<String>, KeyFileError> {
    let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
    getrandom::fill(&mut salt).map_err(|_| KeyFileError::NoRandomness)?;
    getrandom::fill(&mut nonce).map_err(|_| KeyFileError::NoRandomness)?;
    let (mut cipher, poly) = keyed(passphrase, LOG_N_WRITTEN, &salt, &nonce)?;
    let mut ciphertext = pkcs8.to_vec();
    cipher.apply_keystream(&mut ciphertext);
    let mut boxed = poly.compute_unpadded(&ciphertext).to_vec();
    boxed.extend(ciphertext);
    let n = 1_u64.checked_shl(LOG_N_WRITTEN.into()).unwrap_or_default();
    let envelope = Envelope {
        kdf: Kdf { name: "scrypt".into(), params: Params { n, r: R, p: P }, salt: STANDARD.encode(salt) },
        cipher: Cipher { name: "nacl/secretbox".into(), nonce: STANDARD.encode(nonce) },
        ciphertext: STANDARD.encode(boxed),
    };
    let body = serde_json::to_vec(&envelope).map_err(|_| KeyFileError::NotPrivateKey)?;
    let text = pem::encode_string(LABEL, LineEnding::LF, &body).map_err(|_| KeyFileError::NotPrivateKey)?;
    Ok(Zeroizing::new(text))
}

/// The stream from its 32nd byte on, and the one-time authenticator whose key the first 32 are.
fn keyed(
    passphrase: &[u8],
    log_n: u8,
    salt: &[u8],
    nonce: &[u8; NONCE],
) -> Result<(XSalsa20, Poly1305), KeyFileError> {
    let params = scrypt::Params::new(log_n, R, P).map_err(|_| KeyFileError::Unsupported)?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase, salt, &params, key.as_mut()).map_err(|_| KeyFileError::Unsupported)?;
    let mut cipher = XSalsa20::new((&*key).into(), nonce.into());
    let mut once = Zeroizing::new([0; 32]);
    cipher.apply_keystream(once.as_mut());
    let poly = Poly1305::new((&*once).into());
    Ok((cipher, poly))
}

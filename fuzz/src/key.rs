//! Keys as metadata carries them (TUF 4.2.1): the first byte chooses the kind and the encoding, the rest is
//! the public part. DER is put into PEM here, so that the reader behind it is reached, too.

use der::pem::LineEnding;
use tuf_core::crypto;
use tuf_core::key::{Key, KeyVal, PublicKey};

/// Key types and schemes: those known, then mixtures and one that nobody knows.
pub const KINDS: [(&str, &str); 11] = [
    ("ed25519", "ed25519"),
    ("ecdsa", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("ecdsa", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
    ("rsa", "rsassa-pss-sha256"),
    ("rsa", "rsassa-pss-sha384"),
    ("rsa", "rsassa-pss-sha512"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"),
    ("rsa", "ed25519"),
    ("sigstore-oidc", "Fulcio"),
];

/// How many of [`KINDS`] are known.
const KNOWN: usize = 8;

/// The bit of the first byte that says: the rest is DER.
pub const DER: u8 = 0x80;

/// Reads a key, and lets it verify nothing.
pub fn run(bytes: &[u8]) -> bool {
    let Some((choice, rest)) = bytes.split_first() else { return false };
    let kind = usize::from(choice & !DER) % KINDS.len();
    let (keytype, scheme) = KINDS[kind];
    let public = public(*choice, rest);
    let key = Key { keytype: keytype.into(), scheme: scheme.into(), keyval: KeyVal { public } };
    let read: Key = serde_json::from_value(key.to_value()).expect("what we print, we read");
    assert_eq!(read, key);
    assert_eq!(key.id().len(), 64, "an id is a SHA-256 in hex");

    match key.material() {
        Err(why) => {
            assert!(!why.to_string().is_empty(), "a refusal without a reason");
            false
        }
        Ok(material) => {
            assert!(kind < KNOWN, "{keytype} with {scheme} is a key");
            right_length(&material);
            for length in [0, 1, 64, 71, 256] {
                let nothing = crypto::default().verify(&material, b"message", &vec![0; length]);
                assert!(!nothing, "zeros are a signature");
            }
            true
        }
    }
}

fn public(choice: u8, rest: &[u8]) -> String {
    if choice & DER == 0 {
        return String::from_utf8_lossy(rest).into_owned();
    }
    der::pem::encode_string("PUBLIC KEY", LineEnding::LF, rest).expect("bytes go into PEM")
}

fn right_length(material: &PublicKey) {
    match material {
        PublicKey::Ed25519(_) | PublicKey::RsaPss(..) => {}
        PublicKey::EcdsaP256(point) => assert_eq!((point.len(), point[0]), (65, 4)),
        PublicKey::EcdsaP384(point) => assert_eq!((point.len(), point[0]), (97, 4)),
    }
}

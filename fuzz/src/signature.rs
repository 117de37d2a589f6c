//! Signatures of one message by known keys: the first byte chooses the key and the form, the rest is the
//! signature. Only the one that the keyholder made may be accepted, in whatever form.

use std::sync::LazyLock;

use tuf_core::authoring::Document;
use tuf_core::crypto::{self, Ed25519Signer, Sign as _};
use tuf_core::hash::{sha256, unhex};
use tuf_core::key::{PublicKey, RsaHash};
use tuf_core::{Role, TrustedRoot};

use crate::ground::{later, now, says_why};
use crate::rsa;

/// What is signed.
pub const MESSAGE: &[u8] = b"one message";

/// The forms, by the first byte: Ed25519, ECDSA over P-256 and P-384, hex in an envelope, and RSA-PSS.
pub const FORMS: u8 = 5;

/// Offers the signature in one form.
pub fn run(bytes: &[u8]) -> bool {
    let Some((form, signature)) = bytes.split_first() else { return false };
    match form % FORMS {
        0 => ed25519(signature),
        1 => ecdsa(&P256, signature),
        2 => ecdsa(&P384, signature),
        3 => in_an_envelope(&String::from_utf8_lossy(signature)),
        _ => rsa_pss(signature),
    }
}

/// The keyholder of the Ed25519 key.
pub fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed(&[7; 32])
}

static ED25519: LazyLock<(PublicKey, Vec<u8>)> = LazyLock::new(|| {
    let key = signer().key().material().expect("a good key");
    (key, signer().sign(MESSAGE).expect("it signs"))
});

/// Verified strictly, Ed25519 signatures aren't malleable (RFC 8032, section 5.1.7).
fn ed25519(signature: &[u8]) -> bool {
    let (key, good) = &*ED25519;
    let accepted = crypto::default().verify(key, MESSAGE, signature);
    assert_eq!(accepted, signature == *good, "another signature than the one made");
    accepted
}

/// See [`rsa`]: there is one signature.
fn rsa_pss(signature: &[u8]) -> bool {
    static RSA: LazyLock<(PublicKey, Vec<u8>)> =
        LazyLock::new(|| (PublicKey::RsaPss(RsaHash::Sha256, number(rsa::KEY)), number(rsa::GOOD)));
    let (key, good) = &*RSA;
    let accepted = crypto::default().verify(key, MESSAGE, signature);
    assert_eq!(accepted, signature == *good, "another signature than the one made");
    accepted
}

/// An ECDSA key with the signatures of [`MESSAGE`] that its holder made.
pub struct Curve {
    key: PublicKey,
    /// Both forms, (r, s) and (r, -s), in DER.
    pub good: [Vec<u8>; 2],
}

impl Curve {
    /// The public key, uncompressed.
    pub fn point(&self) -> Vec<u8> {
        match &self.key {
            PublicKey::EcdsaP256(point) | PublicKey::EcdsaP384(point) => point.clone(),
            PublicKey::Ed25519(_) | PublicKey::RsaPss(..) => Vec::new(),
        }
    }
}

/// The private key is 1, so that the public one is the base point (SEC 2, section 2.4.2).
pub static P256: LazyLock<Curve> = LazyLock::new(|| {
    let point = number(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
         4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    );
    let order = number("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let good = made(&point[1..33], &sha256(MESSAGE), &order);
    Curve { key: PublicKey::EcdsaP256(point), good }
});

/// See [`P256`]; section 2.5.1.
pub static P384: LazyLock<Curve> = LazyLock::new(|| {
    let point = number(
        "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7\
         3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
    );
    let order = number(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    );
    let good = made(&point[1..49], SHA384_OF_MESSAGE, &order);
    Curve { key: PublicKey::EcdsaP384(point), good }
});

/// SHA-384 of [`MESSAGE`]; tuf-core has no function for it.
const SHA384_OF_MESSAGE: &[u8] = &[
    0xa5, 0xc7, 0x0b, 0xcb, 0x93, 0xd2, 0xe5, 0x4e, 0xdb, 0xce, 0x59, 0x14, 0x6a, 0x12, 0xd9, 0x3a, 0x23,
    0x0b, 0xbb, 0x23, 0x7c, 0x35, 0xcd, 0xda, 0x7c, 0x7e, 0x36, 0x79, 0x5f, 0xcd, 0x84, 0xbf, 0xaa, 0xce,
    0xfd, 0x1c, 0x52, 0x7c, 0x80, 0x9c, 0x88, 0xe8, 0xfa, 0x66, 0x45, 0xa1, 0x55, 0xe6,
];

fn number(hex: &str) -> Vec<u8> {
    unhex(hex).expect("hex")
}

/// With 1 as the private key and as the nonce, r is the base point's x, and s = hash + r (FIPS 186-5, 6.4.1).
fn made(r: &[u8], hash: &[u8], order: &[u8]) -> [Vec<u8>; 2] {
    let mut s = plus(hash, r);
    while s.len() > order.len() || s.as_slice() >= order {
        s = minus(&s, order);
    }
    [der(r, &s), der(r, &minus(order, &s))]
}

/// The sum, without leading zeros beyond the length of the terms.
fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let (mut carry, mut sum) = (0, Vec::new());
    for (a, b) in a.iter().zip(b).rev() {
        let digit = u16::from(*a) + u16::from(*b) + carry;
        sum.push((digit % 256) as u8);
        carry = digit / 256;
    }
    sum.extend((carry > 0).then_some(1));
    sum.reverse();
    sum
}

/// The difference, as long as what is taken away. It must not be negative.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let (mut borrow, mut rest) = (0, Vec::new());
    for (a, b) in a.iter().rev().zip(b.iter().rev()) {
        let digit = i16::from(*a) - i16::from(*b) - borrow;
        rest.push(digit.rem_euclid(256) as u8);
        borrow = i16::from(digit < 0);
    }
    rest.reverse();
    rest
}

/// `SEQUENCE { INTEGER r, INTEGER s }`, each below 128 bytes.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for number in [r, s] {
        let digits: Vec<u8> = number.iter().copied().skip_while(|digit| *digit == 0).collect();
        let sign = digits.first().is_some_and(|first| *first >= 0x80);
        body.extend([2, (digits.len() + usize::from(sign)) as u8]);
        body.extend(sign.then_some(0));
        body.extend(digits);
    }
    let mut all = vec![0x30, body.len() as u8];
    all.extend(body);
    all
}

/// Other nonces than 1 give other signatures, but only to who knows the private key.
fn ecdsa(curve: &Curve, signature: &[u8]) -> bool {
    let accepted = crypto::default().verify(&curve.key, MESSAGE, signature);
    let made = curve.good.iter().any(|good| good == signature);
    assert_eq!(accepted, made, "accepted a signature that nobody made, or refused one that was made");
    accepted
}

static ROOT: LazyLock<Document> = LazyLock::new(|| {
    let mut root = Document::root(later());
    for role in [Role::Root, Role::Timestamp, Role::Snapshot, Role::Targets] {
        root.add_key(&role, signer().key());
    }
    root
});

/// The signature of the root, in hex.
pub fn of_the_root() -> String {
    let message = ROOT.canonical().expect("ours is canonicalisable");
    tuf_core::hash::hex(&signer().sign(&message).expect("it signs"))
}

static OF_THE_ROOT: LazyLock<String> = LazyLock::new(of_the_root);

/// Hex of either case, and nothing around it.
fn in_an_envelope(text: &str) -> bool {
    let mut root = ROOT.clone();
    root.add_signature(&signer().key_id(), text);
    let accepted = TrustedRoot::bootstrap(&root.to_bytes(), now(), crypto::default());
    if let Err(refusal) = &accepted {
        says_why(refusal);
    }
    assert_eq!(accepted.is_ok(), text.eq_ignore_ascii_case(&OF_THE_ROOT), "{text:?}");
    accepted.is_ok()
}

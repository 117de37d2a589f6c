//! notation's COSE envelopes that we write: what `verify evidence` and the doctor say of them, and what notation does.

use std::fs;

use image_signatures::{CertificateChain, Format, NOTATION};
use serde_json::Value;
use tuf_core::crypto::Sign;

use crate::beside_them::{IDENTITY, Matrix, expect_same};
use crate::stage::{Kind, Stage, openssl};

const COSE: &str = "application/cose";
const JOSE: &str = "application/jose+json";

/// `x5chain` with a list of one.
const LIST_OF_ONE: [u8; 3] = [0x18, 33, 0x81];

/// Where what follows this part begins.
fn after(envelope: &[u8], part: &[u8]) -> usize {
    let begins = envelope.windows(part.len()).position(|here| here == part).unwrap();
    begins.saturating_add(part.len())
}

fn flip(envelope: &[u8], at: usize) -> Vec<u8> {
    let mut changed = envelope.to_vec();
    changed[at] ^= 1;
    changed
}

/// A certificate that signed itself, for the key of that name.
fn alone(stage: &Stage, name: &str) -> CertificateChain {
    let path = |end: &str| stage.path(&format!("{name}.{end}")).to_str().unwrap().to_owned();
    let new = ["req", "-x509", "-new", "-days", "365", "-key", &path("key"), "-out", &path("ca.crt")];
    let subject =
        ["-subj", "/C=DE/ST=Here/O=Acme/CN=Acme releases", "-addext", "basicConstraints=critical,CA:FALSE"];
    let uses = ["-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=codeSigning"];
    openssl(&[&new[..], &subject, &uses].concat());
    CertificateChain::from_pem(&fs::read_to_string(path("ca.crt")).unwrap()).unwrap()
}

/// An envelope around the image of that tag, which is nowhere yet.
fn envelope(tag: &str, key: &dyn Sign, chain: &CertificateChain) -> Vec<u8> {
    let elsewhere = Stage::new(Kind::Api).unwrap();
    let image = elsewhere.push(tag);
    elsewhere.sign_in_cose(&image, key, chain);
    elsewhere.envelope(image.digest)
}

/// An envelope, good or spoilt, beside the image that it is about.
fn envelopes(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    let (a, b) = (stage.key("a", "ec:P-256"), stage.key("b", "rsa:2048"));
    let (chain, alone) = (stage.chain("a", "36500"), alone(stage, "b"));
    let leaf = chain.certificates().next().unwrap();
    let policies = ["a", "b"].map(|name| stage.notation_policy(name, name, "*", "strict", IDENTITY));
    let policies = policies.each_ref().map(|file| file.to_str().unwrap());
    type Change<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let changes: [(&str, &str, Change<'_>); 12] = [
        ("whole", COSE, &<[u8]>::to_vec),
        ("algorithm", COSE, &|good| flip(good, after(good, &[0xa5, 1]))),
        ("time", COSE, &|good| flip(good, after(good, b"signingTime\xc1\x1a"))),
        ("certificate", COSE, &|good| flip(good, after(good, leaf).saturating_sub(1))),
        ("payload", COSE, &|good| flip(good, after(good, b"\"sha256:"))),
        ("signature", COSE, &|good| flip(good, good.len().saturating_sub(1))),
        ("agent", COSE, &|good| flip(good, after(good, b"hallmark/"))),
        ("untagged", COSE, &|good| good[1..].to_vec()),
        ("longer", COSE, &|good| [good, b"\0"].concat()),
        ("shorter", COSE, &|good| good.split_last().unwrap().1.to_vec()),
        ("misnamed", JOSE, &<[u8]>::to_vec),
        ("empty", COSE, &|_| Vec::new()),
    ];
    for (tag, kind, change) in changes {
        let changed = change(&envelope(tag, &*a, &chain));
        stage.attach(&stage.push(tag), NOTATION, &[(kind, &changed)]);
        for policy in policies {
            matrix.ask("an envelope", tag, &["--notation-policy", policy, "--client", "notation"]);
        }
    }
    let listed = envelope("alone", &*b, &alone);
    stage.attach(&stage.push("alone"), NOTATION, &[(COSE, &listed)]);
    // As RFC 9360 has it where there is one, and notation doesn't.
    let mut bare = envelope("bare", &*b, &alone);
    bare.remove(after(&bare, &LIST_OF_ONE).saturating_sub(1));
    stage.attach(&stage.push("bare"), NOTATION, &[(COSE, &bare)]);
    let both = stage.push("both");
    stage.sign_in_cose(&both, &*a, &chain);
    stage.sign_as(&stage.name.to_string(), &both, &[], &*a, &[Format::Notation], Some(&chain));
    for tag in ["alone", "bare", "both"] {
        for policy in policies {
            matrix.ask("a certificate", tag, &["--notation-policy", policy, "--client", "notation"]);
        }
    }
}

#[test]
fn each_envelope_in_cose() {
    expect_same(Kind::Api, envelopes, &[("notation", 4, 26)]);
}

/// `verify evidence` by the policy that trusts our root.
#[test]
fn what_we_sign_in_cose_is_evidence_by_notations_policy() {
    let stage = Stage::new(Kind::Api).unwrap();
    let (a, b) = (stage.key("a", "rsa:3072"), stage.key("b", "ec:P-384"));
    let (chain, other) = (stage.chain("a", "36500"), stage.chain("b", "36500"));
    let policy = stage.notation_policy("trusting", "a", "*", "strict", IDENTITY);
    let weigh = |tag: &str| {
        let (image, policy) = (stage.reference(tag), policy.to_str().unwrap());
        let words = ["evidence", &image, "--unverified", "--format", "json", "--notation-policy", policy];
        let report: Value = serde_json::from_slice(&stage.verify(&words).stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pieces = report["pieces"].as_array().unwrap().iter();
        pieces
            .map(|piece| ["form", "outcome", "reason"].map(|member| text(&piece[member])).join(" "))
            .collect::<Vec<_>>()
    };
    stage.sign_in_cose(&stage.push("ours"), &*a, &chain);
    assert_eq!(weigh("ours"), ["notation COSE signed "]);
    stage.sign_in_cose(&stage.push("theirs"), &*b, &other);
    assert_eq!(weigh("theirs"), ["notation COSE refused other-signer"]);
    let mut spoilt = envelope("spoilt", &*a, &chain);
    *spoilt.last_mut().unwrap() ^= 1;
    stage.attach(&stage.push("spoilt"), NOTATION, &[(COSE, &spoilt)]);
    assert_eq!(weigh("spoilt"), ["notation COSE refused tampered"]);
}

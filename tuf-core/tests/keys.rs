//! Keys and signatures as real repositories hold them (section 4.2): kinds, encodings, sizes, and the
//! history of a root that began in older formats.
//!
//! `signatures.rs` tells what counts as one signature; here it is what can be read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use support::foreign::{Foreign, without_openssl};
use support::{ROOT, Repository, at, later, now, signed, signer, why};
use tuf_core::authoring::Document;
use tuf_core::crypto::{self, Sign as _};
use tuf_core::hash::hex;
use tuf_core::{Refusal, TrustedRoot};

fn bootstrap(bytes: &[u8]) -> Result<TrustedRoot, Refusal> {
    TrustedRoot::bootstrap(bytes, now(), crypto::default())
}

/// The sentence of a root without a good signature.
const NONE_OF_ONE: &str = "root needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.2)";

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";

fn rsa(bits: u32) -> Foreign {
    Foreign::new(&format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{bits}"))
}

fn pss(bits: u32) -> String {
    format!("-sha{bits} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{}", bits / 8)
}

/// A root for which one foreign key speaks. `signature` makes its signature over the signed part.
fn root_of(key: &Value, signature: impl FnOnce(&[u8]) -> String) -> Vec<u8> {
    let mut root = Repository::new().root;
    root.signed_mut()["keys"]["foreign"] = key.clone();
    root.signed_mut()["roles"]["root"]["keyids"] = json!(["foreign"]);
    let signature = signature(&root.canonical().unwrap());
    root.add_signature("foreign", &signature);
    root.to_bytes()
}

#[test]
fn ed25519_of_openssl_is_good_under_a_key_in_hex_of_either_case() {
    if without_openssl() {
        return;
    }
    let foreign = Foreign::new("-algorithm ED25519");
    let public = foreign.point(32);
    for (name, public, good) in [
        ("lower case", public.clone(), true),
        ("upper case", public.to_uppercase(), true),
        ("PEM", foreign.pem.clone(), false),
        ("a digit short", public[1..].to_owned(), false),
        ("a byte more", format!("{public}00"), false),
    ] {
        let root =
            root_of(&Foreign::key(("ed25519", "ed25519"), &public), |message| foreign.sign_raw(message));
        assert_eq!(
            bootstrap(&root).map_err(|why| why.to_string()).err().as_deref(),
            (!good).then_some(NONE_OF_ONE),
            "{name}"
        );
    }
}

#[test]
fn rsa_pss_is_good_from_2048_bits_on_and_not_below() {
    if without_openssl() {
        return;
    }
    for (bits, good) in [(1024, false), (2048, true), (3072, true), (4096, true)] {
        let foreign = rsa(bits);
        // A short key has no room for the longest hash with its salt.
        for hash in [256, 384, 512].into_iter().filter(|hash| bits > 2 * hash + 16) {
            let scheme = format!("rsassa-pss-sha{hash}");
            let root = foreign.root(("rsa", &scheme), &foreign.pem, &pss(hash)).to_bytes();
            let refused = bootstrap(&root).map_err(|why| why.to_string()).err();
            assert_eq!(refused.as_deref(), (!good).then_some(NONE_OF_ONE), "{scheme} of {bits} bits");
        }
    }
}

#[test]
fn a_scheme_is_good_for_its_own_kind_curve_hash_and_padding_only() {
    if without_openssl() {
        return;
    }
    let (p256, p384, rsa) = (Foreign::new(P256), Foreign::new(P384), rsa(2048));
    let cases: &[(&str, &Foreign, (&str, &str), String)] = &[
        ("another curve", &p256, ("ecdsa", "ecdsa-sha2-nistp384"), "-sha384".into()),
        ("another curve", &p384, ("ecdsa", "ecdsa-sha2-nistp256"), "-sha256".into()),
        (
            "the scheme of another curve",
            &p256,
            ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"),
            "-sha256".into(),
        ),
        ("another hash", &p256, ("ecdsa", "ecdsa-sha2-nistp256"), "-sha384".into()),
        ("RSA for ECDSA", &rsa, ("ecdsa", "ecdsa-sha2-nistp256"), pss(256)),
        ("ECDSA for RSA", &p256, ("rsa", "rsassa-pss-sha256"), "-sha256".into()),
        ("another hash than the scheme's", &rsa, ("rsa", "rsassa-pss-sha512"), pss(256)),
        ("PKCS#1 v1.5", &rsa, ("rsa", "rsassa-pss-sha256"), "-sha256".into()),
        ("PKCS#1 v1.5, and it says so", &rsa, ("rsa", "rsa-pkcs1v15-sha256"), "-sha256".into()),
        ("SHA-1", &rsa, ("rsa", "rsassa-pss-sha1"), "-sha1 -sigopt rsa_padding_mode:pss".into()),
        ("ed25519 of PEM", &p256, ("ed25519", "ed25519"), "-sha256".into()),
    ];
    for (name, foreign, kind, options) in cases {
        assert_eq!(
            why(bootstrap(&foreign.root(*kind, &foreign.pem, options).to_bytes())),
            NONE_OF_ONE,
            "{name}: {kind:?}"
        );
    }
}

/// The same PEM with its base64 in lines of another width, ended by `end`.
fn rewrapped(pem: &str, width: usize, end: &str) -> String {
    let mut lines: Vec<&str> = pem.lines().collect();
    let (first, last) = (lines.remove(0), lines.pop().unwrap());
    let body: Vec<char> = lines.concat().chars().collect();
    let body: Vec<String> = body.chunks(width).map(|line| line.iter().collect()).collect();
    [&[first.to_owned()], &body[..], &[last.to_owned()]].concat().join(end)
}

#[test]
fn a_pem_may_be_wrapped_and_surrounded_otherwise() {
    if without_openssl() {
        return;
    }
    let foreign = Foreign::new(P256);
    let pem = &foreign.pem;
    for (name, pem) in [
        ("as openssl writes it", pem.clone()),
        ("no line at its end", pem.trim_end().to_owned()),
        ("blank lines around", format!("\n\n{pem}\n\n")),
        ("lines of Windows", pem.replace('\n', "\r\n")),
        ("lines of 76", rewrapped(pem, 76, "\n")),
        ("lines of 20", rewrapped(pem, 20, "\n")),
        ("all on one line", rewrapped(pem, 1000, "")),
        ("text before it", format!("key of A\n{pem}")),
    ] {
        let root = foreign.root(("ecdsa", "ecdsa-sha2-nistp256"), &pem, "-sha256");
        assert!(bootstrap(&root.to_bytes()).is_ok(), "{name}: {pem:?}");
    }
    for (name, pem) in [
        ("another label", pem.replace("PUBLIC", "PRIVATE")),
        ("a digit changed", pem.replacen("MFkw", "MFkx", 1)),
        ("no label", pem.lines().filter(|line| !line.starts_with("--")).collect()),
        ("labels that differ", pem.replace("END PUBLIC", "END RSA PUBLIC")),
        ("two of them", format!("{pem}{pem}")),
        ("text after it", format!("{pem}key of A\n")),
        ("no padding", pem.replace('=', "")),
        ("base64 for addresses", pem.replace(['+', '/'], "-").replacen("MFkw", "MFk-", 1)),
        ("longer than any key", format!("{}\n{pem}", "x".repeat(16 * 1024))),
    ] {
        let root = foreign.root(("ecdsa", "ecdsa-sha2-nistp256"), &pem, "-sha256");
        assert_eq!(why(bootstrap(&root.to_bytes())), NONE_OF_ONE, "{name}: {pem:?}");
    }
}

#[test]
fn an_rsa_key_in_the_older_pem_of_pkcs_1() {
    if without_openssl() {
        return;
    }
    let foreign = rsa(2048);
    let older = foreign.converted("rsa -in key.pem -RSAPublicKey_out");
    assert!(older.starts_with("-----BEGIN RSA PUBLIC KEY-----"), "{older}");
    let root = foreign.root(("rsa", "rsassa-pss-sha256"), &older, &pss(256));
    bootstrap(&root.to_bytes()).expect("a key that python-tuf reads too");
}

#[test]
fn one_rsa_key_under_two_ids_two_hashes_and_two_wrappings_is_one_signature() {
    if without_openssl() {
        return;
    }
    let foreign = rsa(2048);
    let mut root = Repository::new().root;
    let keys = [
        ("one", "rsassa-pss-sha256", foreign.pem.clone(), pss(256)),
        ("two", "rsassa-pss-sha512", foreign.pem.replace('\n', "\r\n"), pss(512)),
    ];
    for (id, scheme, pem, _) in &keys {
        root.signed_mut()["keys"][*id] = Foreign::key(("rsa", scheme), pem);
    }
    root.signed_mut()["roles"]["root"] = json!({ "keyids": ["one", "two"], "threshold": 2 });
    for (id, _, _, options) in &keys {
        let signature = foreign.sign(&root.canonical().unwrap(), options);
        root.add_signature(id, &signature);
    }
    assert_eq!(
        why(bootstrap(&root.to_bytes())),
        "root needs 2 good signature(s) of distinct keys, got 1 of 2 present (TUF 5.2)"
    );
}

#[test]
fn a_key_id_is_whatever_the_document_says() {
    // TAP 12. Sigstore's ids fit no computation that is in use today.
    let long = "f".repeat(300);
    for id in ["a", "", "SHA256:abc", "ed25519", "not hex at all", "\u{1f511}", "../x", long.as_str()] {
        let mut root = Repository::new().root;
        root.signed_mut()["keys"][id] = signer(9).key().to_value();
        root.signed_mut()["roles"]["root"]["keyids"] = json!([id]);
        let signature = hex(&signer(9).sign(&root.canonical().unwrap()).unwrap());
        root.add_signature(id, &signature);
        let current = bootstrap(&root.to_bytes()).expect(id).current().unwrap();
        assert_eq!(current.signers().key_ids, [id]);
    }
}

#[test]
fn a_computed_id_is_no_claim_to_the_key_it_was_computed_from() {
    // The id of one key, declared for another: the declared key counts, and it did not sign.
    let mut root = Repository::new().root;
    let id = signer(ROOT).key_id();
    root.signed_mut()["keys"][&id] = signer(9).key().to_value();
    assert_eq!(why(bootstrap(&signed(&root, &[ROOT]))), NONE_OF_ONE);
    let signature = hex(&signer(9).sign(&root.canonical().unwrap()).unwrap());
    root.add_signature(&id, &signature);
    assert!(bootstrap(&root.to_bytes()).is_ok());
}

#[test]
fn a_signature_of_another_length_is_none_and_spoils_nothing() {
    if without_openssl() {
        return;
    }
    let foreign = Foreign::new(P256);
    let good = foreign.root(("ecdsa", "ecdsa-sha2-nistp256"), &foreign.pem, "-sha256");
    let bytes = good.to_bytes();
    let envelope: Value = serde_json::from_slice(&bytes).unwrap();
    let signature = envelope["signatures"][0]["sig"].as_str().unwrap().to_owned();
    let spoilt = [
        ("empty", String::new()),
        ("a byte more", format!("{signature}00")),
        ("twice", format!("{signature}{signature}")),
        ("half", signature[..signature.len() / 2].to_owned()),
        ("an odd digit", format!("{signature}0")),
        ("64 bytes, as other schemes write them", "01".repeat(64)),
        ("very long", "00".repeat(100_000)),
        ("no hex", "g".repeat(signature.len())),
        ("Base64", "MEUCIQ==".to_owned()),
    ];
    for (name, other) in spoilt {
        let mut alone = envelope.clone();
        alone["signatures"][0]["sig"] = other.clone().into();
        assert_eq!(why(bootstrap(&serde_json::to_vec(&alone).unwrap())), NONE_OF_ONE, "{name}");
        let mut beside = Document::parse(&bytes).unwrap();
        beside.add_signature("nobody", &other);
        assert!(bootstrap(&beside.to_bytes()).is_ok(), "{name}");
    }
    let mut upper = envelope;
    upper["signatures"][0]["sig"] = signature.to_uppercase().into();
    assert!(bootstrap(&serde_json::to_vec(&upper).unwrap()).is_ok(), "hex of either case");
}

#[test]
fn every_role_asks_for_the_same_major_version_of_the_specification() {
    // 4.3: `1`, `1.0` and `1.99.0` are compatible, whichever role says so.
    for version in ["1", "1.0", "1.0.34", "1.99.0"] {
        let mut repository = Repository::new();
        for document in [&mut repository.root, &mut repository.snapshot, &mut repository.targets] {
            document.signed_mut()["spec_version"] = version.into();
        }
        repository.relink();
        repository.timestamp.signed_mut()["spec_version"] = version.into();
        assert_eq!(repository.top().version(), 1, "{version}");
    }
    for version in ["2.0.0", "2", "0.9.9", "10", "", ".", "abc", "1x", " 1.0", "-1.0"] {
        let repository = Repository::new();
        let mut timestamp = repository.timestamp.clone();
        timestamp.signed_mut()["spec_version"] = version.into();
        assert_eq!(
            why(repository.current().timestamp(None, &signed(&timestamp, &[support::TIMESTAMP]))),
            format!("timestamp expected specification version 1.x, got \"{version}\" (TUF 5.4.2)")
        );
    }
}

/// Five keyholders as a community has them, and how their roots were written in time.
struct History {
    holders: Vec<Foreign>,
    roots: Vec<Vec<u8>>,
}

/// How one root of the history writes its keys, and who signs it.
struct Style {
    keytype: &'static str,
    pem: bool,
    expires: &'static str,
    /// The five of the role, out of six.
    members: [usize; 5],
    signers: &'static [usize],
    /// Members whose place is left empty.
    empty: &'static [usize],
}

impl History {
    fn new(styles: &[Style]) -> Self {
        let mut history = Self { holders: (0..7).map(|_| Foreign::new(P256)).collect(), roots: Vec::new() };
        styles.iter().for_each(|_| history.push(styles));
        history
    }

    /// An id that nothing computes, and that changes with the way a key is written.
    fn id(style: &Style, holder: usize) -> String {
        let form = if style.pem { "pem" } else { "hex" };
        tuf_core::hash::sha256_hex(format!("{form} {} {holder}", style.keytype).as_bytes())
    }

    fn key(&self, style: &Style, holder: usize) -> Value {
        let holder = &self.holders[holder];
        let public = if style.pem { holder.pem.clone() } else { holder.point(65) };
        let mut key = Foreign::key((style.keytype, "ecdsa-sha2-nistp256"), &public);
        key["keyid_hash_algorithms"] = json!(["sha256", "sha512"]);
        key
    }

    fn push(&mut self, styles: &[Style]) {
        let number = self.roots.len();
        let style = &styles[number];
        let mut root = Repository::new().root;
        root.set_version(number as u64 + 1);
        root.set_expires(at(style.expires));
        let members: Vec<_> = style.members.iter().map(|member| Self::id(style, *member)).collect();
        let online = Self::id(style, 5);
        root.signed_mut()["spec_version"] = "1.0".into();
        root.signed_mut()["keys"] = json!({ &online: self.key(style, 5) });
        for member in style.members {
            root.signed_mut()["keys"][Self::id(style, member)] = self.key(style, member);
        }
        let role = |ids: &[String], threshold: usize| json!({ "keyids": ids, "threshold": threshold });
        root.signed_mut()["roles"] = json!({
            "root": role(&members, 3), "targets": role(&members, 3),
            "snapshot": role(std::slice::from_ref(&online), 1), "timestamp": role(&[online], 1),
        });
        let message = root.canonical().unwrap();
        // Under the ids of this root and, for those who signed the last one too, of that.
        let ids = |holder: usize| {
            styles[number.saturating_sub(1)..=number].iter().map(move |style| Self::id(style, holder))
        };
        for signer in style.signers {
            let signature = self.holders[*signer].sign(&message, "-sha256");
            ids(*signer).for_each(|id| root.add_signature(&id, &signature));
        }
        for absent in style.empty {
            root.add_signature(&Self::id(style, *absent), "");
        }
        self.roots.push(root.to_bytes());
    }
}

const STYLES: &[Style] = &[
    Style {
        keytype: "ecdsa-sha2-nistp256",
        pem: false,
        expires: "2021-12-18T13:28:12.99008-06:00",
        members: [0, 1, 2, 3, 4],
        signers: &[0, 1, 2, 3, 4],
        empty: &[],
    },
    Style {
        keytype: "ecdsa-sha2-nistp256",
        pem: false,
        expires: "2022-05-11T19:09:02.663975009Z",
        members: [0, 1, 2, 3, 4],
        signers: &[0, 2, 4],
        empty: &[1, 3],
    },
    Style {
        keytype: "ecdsa-sha2-nistp256",
        pem: true,
        expires: "2023-04-18T18:13:43Z",
        members: [0, 1, 2, 3, 4],
        signers: &[0, 1, 2, 3],
        empty: &[4],
    },
    Style {
        keytype: "ecdsa",
        pem: true,
        expires: "2024-09-12T06:53:10Z",
        members: [0, 1, 2, 3, 4],
        signers: &[1, 2, 3],
        empty: &[0],
    },
    Style {
        keytype: "ecdsa",
        pem: true,
        expires: "2031-01-01T00:00:00Z",
        members: [1, 2, 3, 4, 6],
        signers: &[2, 3, 4],
        empty: &[1, 6],
    },
];

#[test]
fn a_root_is_followed_from_its_first_version_through_all_its_formats() {
    // As Sigstore's went: hex points, then PEM; `ecdsa-sha2-nistp256`, then `ecdsa`; ids that change with
    // it; places of signatures that stay empty; and every version but the last is long expired.
    if without_openssl() {
        return;
    }
    let history = History::new(STYLES);
    let mut trusted = bootstrap(&history.roots[0]).unwrap();
    for (number, bytes) in (2..).zip(&history.roots[1..]) {
        trusted = trusted.next(bytes).unwrap_or_else(|why| panic!("root {number}: {why}"));
        assert_eq!(trusted.version(), number);
    }
    let current = trusted.current().unwrap();
    assert_eq!((current.version(), current.expires()), (5, later()));
    assert_eq!(current.signers().key_ids.len(), 3);

    // Two of the three are two, however many ids they have, in hex and in PEM.
    let mut short: Value = serde_json::from_slice(&history.roots[2]).unwrap();
    let signatures = short["signatures"].as_array_mut().unwrap();
    let ids: Vec<_> = [0, 1]
        .iter()
        .flat_map(|holder| [&STYLES[1], &STYLES[2]].map(|style| History::id(style, *holder)))
        .collect();
    signatures.retain(|one| ids.iter().any(|id| one["keyid"] == *id));
    let second = bootstrap(&history.roots[0]).unwrap().next(&history.roots[1]).unwrap();
    assert_eq!(
        why(second.next(&serde_json::to_vec(&short).unwrap())),
        "root needs 3 good signature(s) of distinct keys, got 2 of 4 present (TUF 5.3.4)"
    );
}

#[test]
fn a_key_that_is_only_written_otherwise_is_no_rotation() {
    // 5.3.11: the same point in hex and in PEM, under another id, was never taken away.
    if without_openssl() {
        return;
    }
    let history = History::new(STYLES);
    let first = bootstrap(&history.roots[0]).unwrap();
    let third = first.next(&history.roots[1]).unwrap().resumed().next(&history.roots[2]).unwrap();
    assert!(!third.rotated());
}

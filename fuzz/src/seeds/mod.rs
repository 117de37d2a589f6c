//! What the corpora begin with: inputs of every kind, made here and nowhere else. `cargo run --example seeds`
//! writes them into `corpus/`, where libFuzzer's own finds lie beside them.
//!
//! A seed called `good-…` is taken by the code under test, one called `bad-…` is not; `tests/corpora.rs` keeps
//! that, and so shows that a harness reaches what it is about. Functions that are long here are tables.

mod documents;
mod evidence;
mod images;
mod packs;
mod said;
mod stories;

use tuf_core::hash::{hex, unhex};

use crate::ground::{ROOT, root, sealed};
use crate::signature::{P256, P384};
use crate::{key, rsa, signature};

/// An input: its target, its name, its bytes.
pub type Seed = (&'static str, String, Vec<u8>);

/// All of them.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (target, of_target) in [
        ("advisories", said::databases()),
        ("canonical", canonical()),
        ("catalog", images::files()),
        ("engine", engines()),
        ("envelope", documents::envelopes()),
        ("layer", images::layers()),
        ("pack", packs::all()),
        ("root", documents::roots()),
        ("timestamp", documents::timestamps()),
        ("snapshot", documents::snapshots()),
        ("targets", documents::targets()),
        ("key", keys()),
        ("signature", signatures()),
        ("pattern", patterns()),
        ("policy", policies()),
        ("name", names()),
        ("authoring", authored()),
        ("receipt", documents::receipts()),
        ("vex", said::documents()),
        ("workflow", stories::all()),
        ("bundle", evidence::bundles()),
        ("attestation", evidence::attestations()),
        ("simple", evidence::simple()),
        ("jws", evidence::jws()),
        ("cose", evidence::cose()),
        ("time_stamp", evidence::time_stamps()),
        ("trust_policy", evidence::trust_policies()),
    ] {
        seeds.extend(of_target.into_iter().map(|(name, bytes)| (target, name, bytes)));
    }
    seeds
}

type Named = Vec<(String, Vec<u8>)>;

fn named<B: AsRef<[u8]>>(list: &[(&str, B)]) -> Named {
    list.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.as_ref().to_vec())).collect()
}

/// The same JSON with white space.
fn pretty(bytes: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(bytes).expect("ours is JSON");
    serde_json::to_string_pretty(&value).expect("a value")
}

/// Names, each before the rules that they meet.
fn policies() -> Named {
    const RULES: &str = "version = 1\n[[scope]]\nname = \"a\"\nmatch = [\"r.io/a/**\"]\n\
        trust = { repo = \"https://t.io\", root = \"root.json\" }\ntags = { allow = [\"1.*\"], deny = [\"*-rc\"] }\n\
        scan = { fail-on = \"high\", max-db-age = \"7d\", ignore = [{ id = \"CVE-1\", reason = \"x\", expires = 2027-01-01 }] }\n\
        [[scope]]\nname = \"rest\"\nmatch = [\"**\"]\ndeny = \"no\"\n\
        [[mirror]]\nfrom = \"m.io/hub\"\nto = \"r.io\"\n";
    named(&[
        ("good-admitted", format!("r.io/a/b:1.2\n{RULES}")),
        ("good-denied", format!("r.io/b:1\n{RULES}")),
        ("good-mirror", format!("m.io/hub/a/b:1.2\n{RULES}")),
        ("good-no-name", format!("\n{RULES}")),
        ("bad-twice", format!("r.io/a/b:1\n{}", RULES.replace("rest", "a"))),
        ("bad-pattern", format!("r.io/a/b:1\n{}", RULES.replace("r.io/a/**", "r.io/../a"))),
        ("bad-mirror", format!("r.io/a/b:1\n{}", RULES.replace("m.io/hub", "hub"))),
    ])
}

/// Answers of other scanners, each after the number of its reader.
fn engines() -> Named {
    const SCANNER: &str =
        "type: scanner\nscanner_name: a\nimage_name: b\nscans:\n  - name: cve\n    args: ['x',\n 'y']\n";
    const ANSWER: &str = r#"{ "protocol": 1, "digest": "sha256:1111111111111111111111111111111111111111111111111111111111111111",
        "findings": [{ "id": "CVE-2026-7", "package": "bash", "severity": "high", "references": ["https://a"] }] }"#;
    const INDEXED: &str = r#"{ "manifest_hash": "sha256:1111111111111111111111111111111111111111111111111111111111111111",
        "state": "IndexFinished", "success": true }"#;
    let after = |whose: u8, said: &str| [&[whose], said.as_bytes()].concat();
    let answers = [
        ("good-trivy", after(0, include_str!("../../../scan-engines/tests/answers/trivy.json"))),
        ("good-grype", after(1, include_str!("../../../scan-engines/tests/answers/grype.json"))),
        ("good-clair", after(2, include_str!("../../../scan-engines/tests/answers/clair.json"))),
        ("good-oval", after(3, include_str!("../../../scan-engines/tests/answers/oval.xml"))),
        ("good-atomic", after(4, include_str!("../../../scan-engines/tests/answers/atomic.json"))),
        ("good-plugin", after(5, ANSWER)),
        ("good-description", after(6, r#"{ "protocol": 1, "name": "mine", "input": "root" }"#)),
        ("good-indexed", after(7, INDEXED)),
        ("good-scanner", after(8, SCANNER)),
        ("bad-other-digest", after(5, &ANSWER.replace("1111", "2222"))),
        (
            "bad-entity",
            after(
                3,
                "<!DOCTYPE a [<!ENTITY b 'c'>]><a><definition id='x'><title>&b;</title></definition></a>",
            ),
        ),
        ("bad-name-of-ours", after(6, r#"{ "protocol": 1, "name": "hallmark", "input": "root" }"#)),
    ];
    named(&answers)
}

fn canonical() -> Named {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let many: Vec<String> = (0..40).rev().map(|number| format!("\"k{number}\": {number}")).collect();
    named(&[
        ("good-unsorted", r#" { "b" : [1, -2, true, null, []], "a" : "q\"\\é", "A": {} } "#.to_owned()),
        ("good-control", r#"{"z":"\u0001\n\t","a\u000a":"\u007f\u0080"}"#.to_owned()),
        ("good-escapes", r#"["\b\f\n\r\t\/\\\"","\ud83d\ude00","\u00e9"]"#.to_owned()),
        ("good-numbers", "[0,1,-1,9223372036854775807,-9223372036854775808,18446744073709551615]".to_owned()),
        ("good-deepest", deep(24)),
        ("good-many-members", format!("{{{}}}", many.join(","))),
        ("good-key-prefixes", r#"{"aa":1,"a":2,"":3,"a\u0000":4,"b":5}"#.to_owned()),
        ("good-astral-order", "{\"\u{ffff}\":1,\"\u{10000}\":2,\"\u{e000}\":3}".to_owned()),
        ("good-decomposed", "{\"e\u{301}\":\"\u{212b}\",\"\u{e9}\":1}".to_owned()),
        ("good-scalar", "true".to_owned()),
        ("bad-too-deep", deep(25)),
        ("bad-twice", r#"{"a":1,"b":0,"\u0061":2}"#.to_owned()),
        ("bad-fraction", "[1.5]".to_owned()),
        ("bad-whole-fraction", "[1.0,2e3]".to_owned()),
        ("bad-minus-zero", "[-0]".to_owned()),
        ("bad-large", "[18446744073709551616]".to_owned()),
        ("bad-surrogate", r#""\ud800\u0041""#.to_owned()),
        ("bad-trailing", "{} {}".to_owned()),
        ("bad-open", r#"{"a":["b",{"c":"#.to_owned()),
        ("bad-comma", "[1,]".to_owned()),
        ("bad-empty", String::new()),
        ("bad-bom", "\u{feff}{}".to_owned()),
    ])
}

/// An object identifier, a sequence and a bit string in DER, each below 128 bytes or by two bytes of length.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..128 => out.push(short as u8),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend_from_slice(content);
    out
}

/// SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
fn public_key_info(algorithm: &str, parameter: &str, bits: &[u8]) -> Vec<u8> {
    let binary = |text: &str| unhex(text).expect("hex");
    let identifier = tagged(0x30, &[binary(algorithm), binary(parameter)].concat());
    let bits = tagged(3, &[&[0], bits].concat());
    tagged(0x30, &[identifier, bits].concat())
}

/// `RSAPublicKey` (RFC 8017, appendix A.1.1) of a modulus that nobody has factors of.
fn rsa(bytes: usize) -> Vec<u8> {
    let mut modulus = vec![0];
    modulus.extend((0..bytes).map(|index| (index * 7 % 251) as u8 | 0x81));
    let exponent = tagged(2, &[1, 0, 1]);
    tagged(0x30, &[tagged(2, &modulus), exponent].concat())
}

fn keys() -> Named {
    let (ecdsa, none) = ("06072a8648ce3d0201", "0500");
    let (p256, p384) = ("06082a8648ce3d030107", "06052b81040022");
    let rsa_algorithm = "06092a864886f70d010101";
    let [on_p256, on_p384] = [P256.point(), P384.point()];
    let info = public_key_info(ecdsa, p256, &on_p256);
    let pem = der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, &info).expect("bytes");
    let text = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let der = |kind: u8, der: &[u8]| [&[kind | key::DER], der].concat();
    let squeezed = tagged(0x30, &[&[2][..], &on_p256[1..33]].concat());
    named(&[
        ("good-ed25519", text(0, &"07".repeat(32))),
        ("good-ed25519-upper", text(0, &"AB".repeat(32))),
        ("bad-ed25519-short", text(0, &"07".repeat(31))),
        ("bad-ed25519-odd", text(0, "abc")),
        ("good-p256-hex", text(1, &hex(&on_p256))),
        ("good-p256-pem", text(2, &pem)),
        ("good-p256-crlf", text(2, &pem.replace('\n', "\r\n"))),
        ("good-p256-one-line", text(2, &pem.replace('\n', ""))),
        ("good-p256-text-before", text(2, &format!("key of A\n{pem}"))),
        ("good-p256-lines-of-7", text(2, &wrapped_at_7(&pem))),
        ("bad-p256-twice", text(2, &format!("{pem}{pem}"))),
        ("bad-p256-no-end", text(2, pem.trim_end().trim_end_matches('-'))),
        ("bad-p256-other-label", text(2, &pem.replace("PUBLIC KEY", "RSA PUBLIC KEY").replace("MF", ""))),
        ("good-p256-der", der(1, &info)),
        ("bad-p256-squeezed", der(1, &public_key_info(ecdsa, p256, &squeezed))),
        ("bad-p256-with-p384", der(1, &public_key_info(ecdsa, p384, &on_p384))),
        ("bad-p256-cut", der(1, &info[..info.len() - 9])),
        ("good-p384-hex", text(3, &hex(&on_p384))),
        ("good-p384-der", der(4, &public_key_info(ecdsa, p384, &on_p384))),
        ("good-rsa-2048", der(5, &public_key_info(rsa_algorithm, none, &rsa(256)))),
        ("good-rsa-3072", der(6, &public_key_info(rsa_algorithm, none, &rsa(384)))),
        ("good-rsa-4096", der(7, &public_key_info(rsa_algorithm, none, &rsa(512)))),
        ("bad-rsa-of-ecdsa", der(5, &info)),
        ("bad-mixture", der(8, &info)),
        ("bad-unknown", text(10, "somebody@example.com")),
        ("bad-empty", text(0, "")),
    ])
}

/// The PEM with its base64 in lines of seven characters.
fn wrapped_at_7(pem: &str) -> String {
    let mut lines: Vec<&str> = pem.lines().collect();
    let (first, last) = (lines.remove(0), lines.pop().expect("a last line"));
    let body: Vec<char> = lines.concat().chars().collect();
    let body: Vec<String> = body.chunks(7).map(|line| line.iter().collect()).collect();
    format!("{first}\n{}\n{last}\n", body.join("\n"))
}

fn signatures() -> Named {
    use tuf_core::crypto::Sign as _;
    let form = |form: u8, bytes: &[u8]| [&[form], bytes].concat();
    let ed25519 = signature::signer().sign(signature::MESSAGE).expect("it signs");
    // RFC 8032, section 5.1.7: S must be below the order of the group.
    let mut high = ed25519.clone();
    high[63] |= 0xf0;
    let hex = signature::of_the_root();
    let [low_s, high_s] = &P256.good;
    let long_form = [&[0x30, 0x81, low_s[1]], &low_s[2..]].concat();
    named(&[
        ("good-ed25519", form(0, &ed25519)),
        ("bad-ed25519-high", form(0, &high)),
        ("bad-ed25519-short", form(0, &ed25519[..63])),
        ("bad-ed25519-zeros", form(0, &[0; 64])),
        ("good-p256", form(1, low_s)),
        ("good-p256-other-s", form(1, high_s)),
        ("bad-p256-long-form", form(1, &long_form)),
        ("bad-p256-trailing", form(1, &[&low_s[..], &[0]].concat())),
        ("bad-p256-zeros", form(1, &[0x30, 6, 2, 1, 0, 2, 1, 0])),
        ("good-p384", form(2, &P384.good[0])),
        ("good-p384-other-s", form(2, &P384.good[1])),
        ("bad-p384-of-p256", form(2, low_s)),
        ("good-hex", form(3, hex.as_bytes())),
        ("good-hex-upper", form(3, hex.to_uppercase().as_bytes())),
        ("bad-hex-space", form(3, format!(" {hex}").as_bytes())),
        ("bad-hex-odd", form(3, &hex.as_bytes()[1..])),
        ("bad-hex-empty", form(3, b"")),
        ("good-rsa-pss", form(4, &rsa_signature(rsa::GOOD))),
        ("bad-rsa-short-salt", form(4, &rsa_signature(rsa::SHORT_SALT))),
        ("bad-rsa-pkcs1", form(4, &rsa_signature(rsa::PKCS1))),
        ("bad-rsa-zeros", form(4, &[0; 256])),
        ("bad-rsa-longer", form(4, &[&[0][..], &rsa_signature(rsa::GOOD)].concat())),
        ("bad-hex-wide", form(3, hex.replace('0', "\u{ff10}").as_bytes())),
    ])
}

fn rsa_signature(hex: &str) -> Vec<u8> {
    tuf_core::hash::unhex(hex).expect("hex")
}

fn patterns() -> Named {
    let backtracking = format!("{}c\0{}b", "*a".repeat(20), "a".repeat(60));
    named(&[
        ("good-one-level", "registry.example.com/acme/*\0registry.example.com/acme/web:1.4"),
        ("bad-two-levels", "registry.example.com/acme/*\0registry.example.com/acme/team/web:1.4"),
        ("bad-case", "acme/*\0ACME/web"),
        ("good-empty-segment", "a/*/c\0a//c"),
        ("good-question", "a?c\0a\u{e9}c"),
        ("bad-question-none", "a?c\0ac"),
        ("bad-question-slash", "a?c\0a/c"),
        ("good-stars", "*a*a*b\0aaaaaaaaaaaaaaaaaaaaaaaab"),
        ("bad-backtracking", &backtracking),
        ("good-nothing", "\0"),
        ("bad-brackets", "[ab]\0a"),
        ("good-literal-star-in-path", "*\0*?"),
        ("bad-leading-slash", "*\0/a"),
        ("good-slashes", "///\0///"),
        ("good-astral", "?\u{1f600}*\0a\u{1f600}\u{1f600}"),
    ])
}

fn names() -> Named {
    named(&[
        ("good-plain", "\x01targets"),
        ("good-up", "\x03../up"),
        ("good-absolute", "\x00/etc/x"),
        ("good-windows", "\x01C:\\x\\..\\y"),
        ("good-query", "\x02?"),
        ("good-fragment", "\x02#"),
        ("good-percent", "\x04%2e%2E/%00"),
        ("good-zero", "\x05a\0b"),
        ("good-empty", "\x01"),
        ("good-dots", "\x01.."),
        ("good-spaces", "\x01 a b \n"),
        ("good-letters", "\x09d\u{e9}l\u{e9}gation\u{1f600}"),
        ("good-root", "\u{2}2.root"),
        ("good-image", "\x01registry.example.com/acme/web:1.4"),
    ])
}

fn authored() -> Named {
    let document = root();
    let bytes = sealed(&document, &[ROOT]);
    let text = pretty(&bytes);
    let with = |member: &str| text.replacen("\"signed\": {", &format!("\"signed\": {{ {member},"), 1);
    named(&[
        ("good-root", text.clone()),
        ("good-unknown-members", with(r#""x-note": {"b": [1, {"c": null}], "a": "\u0001"}"#)),
        ("good-unsigned", r#"{"signatures":[],"signed":{"version":3}}"#.to_owned()),
        (
            "good-version-text",
            r#"{"signatures":[{"keyid":"","sig":""}],"signed":{"version":"3"}}"#.to_owned(),
        ),
        ("good-control", r#"{"signatures":[],"signed":{"\u0001":"\u001f","a":"\\u0001"}}"#.to_owned()),
        ("bad-twice", with(r#""version": 9"#)),
        ("bad-fraction", with(r#""x": 1.5"#)),
        (
            "bad-two-signatures",
            r#"{"signatures":[{"keyid":"a","sig":""},{"keyid":"a","sig":"1"}],"signed":{}}"#.to_owned(),
        ),
        ("bad-signature-without-key", r#"{"signatures":[{"sig":""}],"signed":{}}"#.to_owned()),
        ("bad-no-signed", r#"{"signatures":[]}"#.to_owned()),
        ("bad-signed-list", r#"{"signatures":[],"signed":[]}"#.to_owned()),
        ("bad-list", "[]".to_owned()),
    ])
}

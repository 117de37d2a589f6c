//! Files and addresses from strangers: whatever they hold, they are refused or read, and nothing panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use signing_keys::KeyUri;
use signing_keys::file::{KeyFile, NewKind, PrivateKey};
use tuf_core::crypto::{self, Curve, Sign as _, sign_checked};

/// An unencrypted key of OpenSSH's, put together as its PROTOCOL.key has it.
fn openssh(key: &[u8]) -> Vec<u8> {
    let string = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        out.extend(bytes);
    };
    let mut section = vec![0, 0, 0, 7, 0, 0, 0, 7];
    for part in [&b"ssh-ed25519"[..], &[1; 32], key, b"comment", &[]] {
        string(&mut section, part);
    }
    let mut out = b"openssh-key-v1\0".to_vec();
    for part in [&b"none"[..], b"none", b""] {
        string(&mut out, part);
    }
    out.extend([0, 0, 0, 1]);
    string(&mut out, b"public");
    string(&mut out, &section);
    out
}

/// In lines of 64, as RFC 7468 has them; OpenSSH's are of 70.
fn armoured(label: &str, body: &[u8]) -> String {
    let width = if label.starts_with("OPENSSH") { 70 } else { 64 };
    let text = STANDARD.encode(body);
    let lines = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap());
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.collect::<Vec<_>>().join("\n"))
}

/// A label and the bytes in it, of each form that needs no passphrase.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let body = |kind| {
        let pem = PrivateKey::generate(kind).unwrap().to_pem(None).unwrap();
        STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
    };
    vec![
        ("PRIVATE KEY", body(NewKind::Ed25519)),
        ("PRIVATE KEY", body(NewKind::Ecdsa(Curve::P256))),
        ("PRIVATE KEY", body(NewKind::Ecdsa(Curve::P384))),
        ("OPENSSH PRIVATE KEY", openssh(&[3; 64])),
    ]
}

/// Read or refused; what is read signs, and is written and read again as the same key.
fn weigh(text: &str) {
    let Ok(file) = KeyFile::parse(text) else { return };
    // What a passphrase opens takes a while by design; that it doesn't take for ever is tested elsewhere.
    if file.is_encrypted() {
        return;
    }
    let Ok(key) = file.open(b"") else { return };
    sign_checked(&key, b"message", crypto::default()).unwrap();
    let again = KeyFile::parse(&key.to_pem(None).unwrap()).unwrap().open(b"").unwrap();
    assert_eq!(again.key(), key.key());
}

#[test]
fn the_forms_themselves_are_read() {
    for (label, body) in forms() {
        assert!(KeyFile::parse(&armoured(label, &body)).unwrap().open(b"").is_ok(), "{label}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_damaged_file_is_refused_or_is_a_key(
        form in 0..4_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (label, mut body) = forms().swap_remove(form);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        weigh(&armoured(label, &body));
    }

    #[test]
    fn text_is_refused_or_is_a_key(text in ".{0,200}", label in "(RSA |ENCRYPTED |OPENSSH |)PRIVATE KEY") {
        weigh(&text);
        weigh(&format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"));
        weigh(&armoured(&label, text.as_bytes()));
        weigh(&armoured("ENCRYPTED SIGSTORE PRIVATE KEY", text.as_bytes()));
    }

    #[test]
    fn an_address_is_refused_or_has_one_spelling(
        scheme in "(file|pkcs11|ssh-agent|exec|awskms|[a-z]{0,5})",
        rest in "(///?|)[a-z0-9%;=&?:/@.\\[\\]-]{0,40}((token|object|id|arg|region)=[a-z0-9%/&;?]{0,10}){0,3}",
    ) {
        if let Ok(uri) = format!("{scheme}:{rest}").parse::<KeyUri>() {
            let spelt = uri.to_string();
            let again = spelt.parse::<KeyUri>();
            prop_assert_eq!(again.as_ref().map(ToString::to_string), Ok(spelt));
            prop_assert_eq!(again, Ok(uri));
        }
    }
}

//! AWS KMS as its documentation has it, with openssl's signatures: what is too long to be sent goes as a digest,
//! and whatever it answers is bounded in what it does. Beside moto, see `signer-cli/tests/kms.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::env;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use signing_keys::{Around, Ask, AwsKeys, Cloud, KeyUri, Secret, Why, open};
use tempfile::TempDir;
use tuf_core::Instant;
use tuf_core::crypto::{self, Sign, sign_checked};

/// A key service in a folder with `key.pem`, and what it was asked.
#[derive(Debug)]
struct Service {
    folder: TempDir,
    /// As `openssl pkeyutl` names the scheme.
    options: &'static [&'static str],
    asked: Mutex<Vec<(String, Value)>>,
}

fn openssl(service: &TempDir, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = command.args(arguments).current_dir(service.path()).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Cloud for Service {
    fn now(&self) -> Instant {
        "2026-11-26T13:00:00Z".parse().unwrap()
    }

    fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| *value);
        assert_eq!(
            (url, header("x-amz-date")),
            ("https://kms.eu-west-1.amazonaws.com/", Some("20261126T130000Z"))
        );
        let authorization = header("authorization").unwrap();
        assert!(authorization.contains("Credential=AKID/20261126/eu-west-1/kms/aws4_request"));
        assert!(headers.iter().all(|(_, value)| !value.contains("s3cret")));
        let question: Value = serde_json::from_slice(body).unwrap();
        let target = header("x-amz-target").unwrap().to_owned();
        let answer = match target.as_str() {
            "TrentService.GetPublicKey" => {
                let public = openssl(&self.folder, &["pkey", "-in", "key.pem", "-pubout", "-outform", "DER"]);
                json!({ "PublicKey": STANDARD.encode(public), "KeyUsage": "SIGN_VERIFY", "KeyId": "…" })
            }
            "TrentService.Sign" => {
                let message = STANDARD.decode(question["Message"].as_str().unwrap()).unwrap();
                assert!(message.len() <= 4096, "more than the real one takes");
                fs::write(self.folder.path().join("message"), message).unwrap();
                let raw = question["MessageType"] == "RAW";
                let sign = ["pkeyutl", "-sign", "-inkey", "key.pem", "-in", "message"];
                let digest = self.options[0];
                let kind = if raw { vec!["-rawin", "-digest", digest] } else { vec![] };
                let of = format!("digest:{digest}");
                let hash = if raw { vec![] } else { vec!["-pkeyopt", &of] };
                let signature =
                    openssl(&self.folder, &[&sign[..], &kind, &self.options[1..], &hash].concat());
                json!({ "Signature": STANDARD.encode(signature) })
            }
            other => panic!("{other}"),
        };
        self.asked.lock().unwrap().push((target, question));
        Ok((200, answer.to_string().into_bytes()))
    }
}

/// Nobody is asked for anything.
struct Nobody;

impl Ask for Nobody {
    fn secret(&mut self, what: &str, _: bool) -> Result<Secret, String> {
        panic!("asked for {what}")
    }
}

fn around(cloud: Arc<dyn Cloud>) -> Around {
    let aws = AwsKeys {
        access_key_id: "AKID".into(),
        secret_access_key: "s3cret".to_owned().into(),
        session_token: None,
        region: Some("eu-west-1".into()),
    };
    Around { aws: Some(aws), cloud: Some(cloud), ..Around::default() }
}

fn key(cloud: Arc<dyn Cloud>) -> Result<Box<dyn Sign>, Why> {
    let uri: KeyUri = "awskms:///alias/release".parse().unwrap();
    open(&uri, &around(cloud), &mut Nobody).map_err(|error| error.why)
}

#[test]
fn long_messages_are_signed_by_their_digest() {
    if !Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no openssl");
        eprintln!("SKIPPED: no openssl");
        return;
    }
    for (make, options, scheme) in [
        (["EC", "ec_paramgen_curve:P-256"], &["sha256"][..], "ecdsa-sha2-nistp256"),
        (["EC", "ec_paramgen_curve:P-384"], &["sha384"], "ecdsa-sha2-nistp384"),
        (
            ["RSA", "rsa_keygen_bits:2048"],
            &["sha256", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"],
            "rsassa-pss-sha256",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        openssl(&folder, &["genpkey", "-algorithm", make[0], "-pkeyopt", make[1], "-out", "key.pem"]);
        let service = Arc::new(Service { folder, options, asked: Mutex::default() });
        let key = key(service.clone()).unwrap_or_else(|why| panic!("{scheme}: {why}"));
        assert_eq!(key.key().scheme, scheme);
        for length in [1, 4096, 4097, 100_000] {
            sign_checked(key.as_ref(), &vec![b'x'; length], crypto::default()).unwrap();
        }
        let asked = service.asked.lock().unwrap();
        let kinds: Vec<_> = asked[1..].iter().map(|(_, question)| question["MessageType"].clone()).collect();
        assert_eq!(kinds, ["RAW", "RAW", "DIGEST", "DIGEST"]);
        assert!(asked.iter().all(|(_, question)| question["KeyId"] == "alias/release"));
    }
}

/// Says the same to every question.
#[derive(Debug)]
struct Stubborn(Result<(u16, &'static str), &'static str>);

impl Cloud for Stubborn {
    fn now(&self) -> Instant {
        "2026-11-26T13:00:00Z".parse().unwrap()
    }

    fn post(&self, _: &str, _: &[(&str, &str)], _: &[u8]) -> Result<(u16, Vec<u8>), String> {
        self.0.map(|(status, text)| (status, text.as_bytes().to_vec())).map_err(ToOwned::to_owned)
    }
}

#[test]
fn answers_that_are_none_say_why() {
    let encrypts = r#"{"PublicKey": "AA==", "KeyUsage": "ENCRYPT_DECRYPT"}"#;
    let no_key = r#"{"PublicKey": "AA==", "KeyUsage": "SIGN_VERIFY"}"#;
    let denied = r#"{"__type": "com.amazonaws.kms#AccessDeniedException", "Message": "not\u001b you"}"#;
    for (answer, said) in [
        (Err("no route"), "no route"),
        (Ok((200, "hello")), "expected a public key of the key service"),
        (Ok((200, encrypts)), "got one for encrypt and decrypt"),
        (Ok((200, no_key)), "public key is malformed"),
        (Ok((400, denied)), "the key service refused: AccessDeniedException: not you"),
        (Ok((400, r#"{"__type": "NotFoundException", "message": "nope"}"#)), "has no such key: nope"),
        (Ok((400, r#"{"__type": "ThrottlingException"}"#)), "can't answer now"),
        (Ok((403, "<html>")), "refused with status 403"),
        (Ok((302, "")), "answered with status 302"),
    ] {
        let why = key(Arc::new(Stubborn(answer))).err().unwrap().to_string();
        assert!(why.contains(said), "expected {said:?} in {why:?}");
        assert!(!why.contains('\u{1b}') && !why.contains("s3cret"), "{why:?}");
    }
    let uri: KeyUri = "awskms:///x".parse().unwrap();
    let without = |around: &Around| open(&uri, around, &mut Nobody).err().unwrap().to_string();
    assert!(without(&Around::default()).contains("no network"));
    let full = around(Arc::new(Stubborn(Err("away"))));
    assert!(without(&Around { aws: None, ..full.clone() }).contains("set AWS_ACCESS_KEY_ID"));
    assert!(!format!("{full:?}").contains("s3cret"));
}

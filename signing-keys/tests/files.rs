//! Key files beside programs of others: openssl writes what we read and reads what we write; so do cosign's
//! own files, and a reader in Python that was written by neither.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use signing_keys::file::{KeyFile, KeyFileError, NewKind, PrivateKey};
use signing_keys::{Around, Ask, KeyUri, Secret, Why, open, public};
use tuf_core::crypto::{self, Curve, Sign as _, sign_checked};

const PASSPHRASE: &str = "correct horse";

/// Whether a program is there. Where none may be missing, it must be.
fn there(command: &mut Command, what: &str) -> bool {
    let found = command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no {what}");
        eprintln!("SKIPPED: no {what}");
    }
    found
}

fn openssl(dir: &Path, arguments: &[&str]) -> Output {
    let command = Command::new("openssl").args(arguments).current_dir(dir).stdin(Stdio::null()).output();
    command.unwrap()
}

#[track_caller]
fn openssl_does(dir: &Path, arguments: &[&str]) {
    let output = openssl(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// How openssl makes a key, how it verifies a signature by it, and what the key is called in metadata.
type Kind = (&'static [&'static str], &'static [&'static str], &'static str);

const ED25519: Kind = (&["-algorithm", "ed25519"], &["-rawin"], "ed25519");
const P256: Kind = (
    &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    &["-rawin", "-digest", "sha256"],
    "ecdsa-sha2-nistp256",
);
const P384: Kind = (
    &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    &["-rawin", "-digest", "sha384"],
    "ecdsa-sha2-nistp384",
);
const PSS: &[&str] =
    &["-rawin", "-digest", "sha256", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:32"];
const RSA_2048: Kind = (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], PSS, "rsassa-pss-sha256");
const RSA_4096: Kind = (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"], PSS, "rsassa-pss-sha256");

/// Signs, and openssl verifies it with the public half that we state.
#[track_caller]
fn openssl_verifies(dir: &Path, key: &PrivateKey, how: &[&str]) {
    let signature = sign_checked(key, b"a message", crypto::default()).unwrap();
    fs::write(dir.join("message"), b"a message").unwrap();
    fs::write(dir.join("signature"), signature).unwrap();
    fs::write(dir.join("public.pem"), key.key().to_pem().unwrap()).unwrap();
    let verify =
        ["pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-sigfile", "signature", "-in", "message"];
    openssl_does(dir, &[&verify[..], how].concat());
    fs::write(dir.join("message"), b"another").unwrap();
    assert!(!openssl(dir, &[&verify[..], how].concat()).status.success(), "openssl verifies anything");
}

#[test]
fn what_openssl_writes_is_read_and_signs_what_it_verifies() {
    if !there(Command::new("openssl").arg("version"), "openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let pass = format!("pass:{PASSPHRASE}");
    for (make, how, scheme) in [ED25519, P256, P384, RSA_2048, RSA_4096] {
        openssl_does(dir, &[&["genpkey", "-out", "key.pem"][..], make].concat());
        let key = KeyFile::parse(&fs::read_to_string(dir.join("key.pem")).unwrap()).unwrap().open(b"");
        let key = key.unwrap_or_else(|why| panic!("{scheme}: {why}"));
        assert_eq!(key.key().scheme, scheme);
        openssl_verifies(dir, &key, how);
        // Encrypted as openssl does by itself, and with scrypt.
        for encryption in [&["-v2", "aes-256-cbc"][..], &["-scrypt"]] {
            let to = ["pkcs8", "-topk8", "-in", "key.pem", "-out", "closed.pem", "-passout", &pass];
            openssl_does(dir, &[&to[..], encryption].concat());
            let file = KeyFile::parse(&fs::read_to_string(dir.join("closed.pem")).unwrap()).unwrap();
            assert!(file.is_encrypted());
            assert_eq!(file.open(PASSPHRASE.as_bytes()).unwrap().key(), key.key());
            assert_eq!(file.open(b"wrong").unwrap_err(), KeyFileError::WrongPassphrase);
        }
        // And back: openssl finds the same public half in what we write.
        fs::write(dir.join("ours.pem"), key.to_pem(Some(PASSPHRASE.as_bytes())).unwrap().as_str()).unwrap();
        openssl_does(dir, &["pkey", "-in", "ours.pem", "-passin", &pass, "-pubout", "-out", "same.pem"]);
        assert_eq!(fs::read_to_string(dir.join("same.pem")).unwrap(), key.key().to_pem().unwrap());
        assert!(!openssl(dir, &["pkey", "-in", "ours.pem", "-passin", "pass:wrong"]).status.success());
    }
}

#[test]
fn what_is_made_here_signs_what_openssl_verifies() {
    if !there(Command::new("openssl").arg("version"), "openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (kind, (_, how, scheme)) in [
        (NewKind::Ed25519, ED25519),
        (NewKind::Ecdsa(Curve::P256), P256),
        (NewKind::Ecdsa(Curve::P384), P384),
    ] {
        let key = PrivateKey::generate(kind).unwrap();
        assert_eq!(key.key().scheme, scheme);
        openssl_verifies(dir.path(), &key, how);
    }
}

#[test]
fn keys_of_the_wrong_size_or_form_are_refused() {
    if !there(Command::new("openssl").arg("version"), "openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let refused = |name: &str| {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        KeyFile::parse(&text).and_then(|file| file.open(b"")).unwrap_err()
    };
    openssl_does(
        dir,
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "short.pem"],
    );
    assert_eq!(refused("short.pem"), KeyFileError::BadRsa);
    openssl_does(
        dir,
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521", "-out", "p521.pem"],
    );
    assert_eq!(refused("p521.pem"), KeyFileError::OtherKind);
    openssl_does(dir, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "old.pem"]);
    assert_eq!(refused("old.pem"), KeyFileError::OldForm);
    // What the error says to do helps.
    openssl_does(dir, &["pkcs8", "-topk8", "-nocrypt", "-in", "old.pem", "-out", "new.pem"]);
    let new = KeyFile::parse(&fs::read_to_string(dir.join("new.pem")).unwrap()).unwrap();
    assert_eq!(new.open(b"").unwrap().key().scheme, "ecdsa-sha2-nistp256");
}

/// Opens cosign's envelope by hashlib's scrypt and libsodium's secretbox, and prints the public half.
const READER: &str = r#"
import base64, hashlib, json, sys
import nacl.secret
from cryptography.hazmat.primitives import serialization
lines = open(sys.argv[1]).read().strip().splitlines()
assert lines[0] == "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----", lines[0]
sealed = json.loads(base64.b64decode("".join(lines[1:-1])))
params = sealed["kdf"]["params"]
assert sealed["kdf"]["name"] == "scrypt" and params["N"] == 65536, params
key = hashlib.scrypt(sys.argv[2].encode(), salt=base64.b64decode(sealed["kdf"]["salt"]),
                     n=params["N"], r=params["r"], p=params["p"], dklen=32, maxmem=256 << 20)
boxed = base64.b64decode(sealed["ciphertext"])
nonce = base64.b64decode(sealed["cipher"]["nonce"])
private = serialization.load_der_private_key(nacl.secret.SecretBox(key).decrypt(boxed, nonce), None)
print(private.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(), end="")
"#;

#[test]
fn what_is_written_for_cosign_is_read_by_libsodium() {
    let python = env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into());
    let there = there(
        Command::new(&python).args(["-c", "import nacl.secret, cryptography"]),
        "PyNaCl and cryptography: `pip install pynacl cryptography`; HALLMARK_PYTHON names a Python",
    );
    if !there {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cosign.key");
    for (kind, passphrase) in [(NewKind::Ecdsa(Curve::P256), PASSPHRASE), (NewKind::Ed25519, "")] {
        let key = PrivateKey::generate(kind).unwrap();
        fs::write(&file, key.to_cosign(passphrase.as_bytes()).unwrap().as_str()).unwrap();
        let read = |passphrase: &str| {
            Command::new(&python).args(["-c", READER]).arg(&file).arg(passphrase).output().unwrap()
        };
        let output = read(passphrase);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), key.key().to_pem().unwrap(), "{said}");
        assert!(!read("wrong").status.success());
    }
}

/// Files that cosign and sigstore's libraries made, beside the repository on some machines: their name, the
/// passphrase and the scheme.
const REAL: [(&str, &str, &str); 4] = [
    ("ecdsa_encrypted_private.key", "123", "ecdsa-sha2-nistp256"),
    ("ed25519_encrypted_private.key", "123", "ed25519"),
    ("rsa_encrypted_private.key", "123", "rsassa-pss-sha256"),
    ("cosign_generated_encrypted_empty_private.key", "", "ecdsa-sha2-nistp256"),
];

#[test]
fn cosigns_own_files_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/formats/cosign-keys");
    if !folder.is_dir() {
        eprintln!("SKIPPED: no key files of cosign's beside the repository");
        return;
    }
    for (name, passphrase, scheme) in REAL {
        let file = KeyFile::parse(&fs::read_to_string(folder.join(name)).unwrap()).unwrap();
        assert_eq!(file.open(b"wrong").unwrap_err(), KeyFileError::WrongPassphrase, "{name}");
        let key = file.open(passphrase.as_bytes()).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(key.key().scheme, scheme, "{name}");
        sign_checked(&key, b"message", crypto::default()).unwrap();
    }
    // In the clear: Ed25519 of version 2, with its public half.
    for (name, scheme) in [("ecdsa_private.key", "ecdsa-sha2-nistp256"), ("ed25519_private.key", "ed25519")] {
        let file = KeyFile::parse(&fs::read_to_string(folder.join(name)).unwrap()).unwrap();
        let key = file.open(b"").unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(key.key().scheme, scheme, "{name}");
        sign_checked(&key, b"message", crypto::default()).unwrap();
    }
}

fn ssh_keygen(dir: &Path, arguments: &[&str]) -> Output {
    Command::new("ssh-keygen").args(arguments).current_dir(dir).stdin(Stdio::null()).output().unwrap()
}

/// The public half of `id` as ssh-keygen states it: in PEM, or as hex where that is too new for it.
fn stated(dir: &Path, kind: &str) -> String {
    if kind != "ed25519" {
        let output = ssh_keygen(dir, &["-e", "-m", "PKCS8", "-f", "id.pub"]);
        return String::from_utf8(output.stdout).unwrap();
    }
    use base64::Engine as _;
    let line = fs::read_to_string(dir.join("id.pub")).unwrap();
    let blob = base64::engine::general_purpose::STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap();
    blob[blob.len() - 32..].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn openssh_keys_are_read_with_and_without_a_passphrase() {
    if !there(Command::new("ssh").arg("-V"), "ssh-keygen: install openssh-client") {
        return;
    }
    for (kind, bits, scheme) in [
        ("ed25519", "256", "ed25519"),
        ("ecdsa", "256", "ecdsa-sha2-nistp256"),
        ("ecdsa", "384", "ecdsa-sha2-nistp384"),
    ] {
        // Numbers of another length come up now and then.
        for passphrase in [PASSPHRASE, "", "", "", ""] {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path();
            let make = ["-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", "alice", "-f", "id"];
            assert!(ssh_keygen(dir, &make).status.success());
            let file = KeyFile::parse(&fs::read_to_string(dir.join("id")).unwrap()).unwrap();
            assert_eq!(file.is_encrypted(), !passphrase.is_empty());
            let key = file.open(passphrase.as_bytes()).unwrap_or_else(|why| panic!("{scheme}: {why}"));
            assert_eq!((key.key().scheme.as_str(), stated(dir, kind)), (scheme, public_of(&key)));
            sign_checked(&key, b"message", crypto::default()).unwrap();
            if file.is_encrypted() {
                assert_eq!(file.open(b"wrong").unwrap_err(), KeyFileError::WrongPassphrase);
                assert_eq!(file.open(b"").unwrap_err(), KeyFileError::WrongPassphrase);
            }
        }
    }
}

/// As [`stated`] has it.
fn public_of(key: &PrivateKey) -> String {
    match key.key().scheme.as_str() {
        "ed25519" => key.key().keyval.public.clone(),
        _ => key.key().to_pem().unwrap(),
    }
}

#[test]
fn openssh_keys_that_are_not_read_say_what_helps() {
    if !there(Command::new("ssh").arg("-V"), "ssh-keygen: install openssh-client") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let open = |passphrase: &str| {
        let text = fs::read_to_string(dir.join("id")).unwrap();
        KeyFile::parse(&text).and_then(|file| file.open(passphrase.as_bytes()))
    };
    assert!(ssh_keygen(dir, &["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "id"]).status.success());
    assert_eq!(open("").unwrap_err(), KeyFileError::SshRsa);
    assert!(ssh_keygen(dir, &["-q", "-p", "-m", "PKCS8", "-N", PASSPHRASE, "-f", "id"]).status.success());
    assert_eq!(open(PASSPHRASE).map(|key| key.key().scheme.clone()), Ok("rsassa-pss-sha256".to_owned()));

    fs::remove_file(dir.join("id")).unwrap();
    let other = ["-q", "-t", "ed25519", "-N", PASSPHRASE, "-Z", "aes128-ctr", "-f", "id"];
    assert!(ssh_keygen(dir, &other).status.success());
    assert_eq!(open(PASSPHRASE).unwrap_err(), KeyFileError::Unsupported);
}

/// Answers with this.
struct Says(&'static str);

impl Ask for Says {
    fn secret(&mut self, _: &str, last_try: bool) -> Result<Secret, String> {
        assert!(!last_try, "a file never locks itself");
        Ok(self.0.to_owned().into())
    }
}

#[test]
fn a_file_may_stay_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("my key.pem");
    let uri: KeyUri = format!("file:{}", file.display()).replace(' ', "%20").parse().unwrap();
    let around = Around::default();
    let opened = |passphrase| open(&uri, &around, &mut Says(passphrase)).map(|key| key.key().clone());
    assert!(matches!(opened("").unwrap_err().why, Why::Missing(_)));
    let key = PrivateKey::generate(NewKind::Ed25519).unwrap();
    fs::write(&file, key.to_pem(None).unwrap().as_str()).unwrap();
    assert_eq!(&opened("").unwrap(), key.key());
    assert_eq!(public(&uri, &around).unwrap().as_ref(), Some(key.key()));
    fs::write(&file, key.to_pem(Some(PASSPHRASE.as_bytes())).unwrap().as_str()).unwrap();
    assert_eq!(&opened(PASSPHRASE).unwrap(), key.key());
    assert!(matches!(opened("wrong").unwrap_err().why, Why::WrongPassphrase));
    assert_eq!(public(&uri, &around).unwrap(), None);
    fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
    assert!(matches!(opened("").unwrap_err().why, Why::Answer(_)));
}

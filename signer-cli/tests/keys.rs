//! Keys at rest: who can read them, what opens them, and what openssl makes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use support::{Desk, NAME, PASSPHRASE};
use test_repos::tree::Tree;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Whether there is an openssl to compare with.
fn openssl() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("SKIPPED: there is no openssl to compare with");
    }
    there
}

#[track_caller]
fn run_openssl(desk: &Desk, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(desk.dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn only_the_owner_can_read_keys() {
    let desk = Desk::new();
    desk.signer_with(PASSPHRASE, &["init"]).ok();
    assert_eq!(mode(&desk.path("trust/keys")), 0o700);
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let path = desk.path(&format!("trust/keys/{role}.pem"));
        assert_eq!(mode(&path), 0o600, "{role}");
        assert!(fs::read_to_string(path).unwrap().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    }
    for served in ["trust", "trust/published", "trust/published/metadata"] {
        assert_eq!(mode(&desk.path(served)), 0o755, "{served}");
    }
    assert_eq!(mode(&desk.path("trust/published/metadata/1.root.json")), 0o644);
}

#[test]
fn a_key_that_others_can_read_is_warned_of() {
    let desk = Desk::with_trust();
    let path = desk.path("trust/keys/timestamp.pem");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let said = desk.signer(&["publish"]).ok();
    assert!(
        said.stderr.contains("timestamp.pem has mode 0644: others can read it; use 0600"),
        "{}",
        said.stderr
    );
}

#[test]
fn openssl_reads_the_keys_and_agrees_on_the_public_half() {
    if !openssl() {
        return;
    }
    let desk = Desk::new();
    desk.signer_with(PASSPHRASE, &["init"]).ok();
    desk.signer(&["init", "--unencrypted-keys", "--repo", "plain"]).ok();
    for (repo, passin) in [("trust", format!("pass:{PASSPHRASE}")), ("plain", "pass:".to_owned())] {
        for role in ["root", "targets", "snapshot", "timestamp"] {
            let key = format!("{repo}/keys/{role}.pem");
            let text = run_openssl(&desk, &["pkey", "-in", &key, "-passin", &passin, "-pubout", "-text_pub"]);
            let digits: String =
                text.split("pub:").nth(1).unwrap().chars().filter(char::is_ascii_hexdigit).collect();
            let root = fs::read_to_string(desk.path(&format!("{repo}/root.json"))).unwrap();
            assert!(root.contains(&digits[..64]), "{key}: {text}");
        }
    }
}

#[test]
fn a_key_made_by_openssl_signs() {
    if !openssl() {
        return;
    }
    let desk = Desk::new();
    run_openssl(&desk, &["genpkey", "-algorithm", "ed25519", "-out", "plain.pem"]);
    let pass = format!("pass:{PASSPHRASE}");
    run_openssl(
        &desk,
        &["genpkey", "-algorithm", "ed25519", "-aes-256-cbc", "-pass", &pass, "-out", "closed.pem"],
    );
    desk.signer_with(PASSPHRASE, &["init", "--key", "targets=plain.pem", "--key", "snapshot=closed.pem"])
        .ok();
    // A key that openssl wrote anew, under another passphrase, in the place of ours.
    let (key, other) = ("trust/keys/timestamp.pem", "other.pem");
    let new = ["pkey", "-in", key, "-passin", &pass, "-aes256", "-passout", &pass, "-out", other];
    run_openssl(&desk, &new);
    fs::rename(desk.path(other), desk.path(key)).unwrap();
    desk.image("one");
    desk.signer(&["add", "oci:one", "--as", NAME]).ok();
    desk.signer_with(PASSPHRASE, &["publish"]).ok();
    assert!(desk.trusted(NAME).is_some());
}

#[test]
fn a_key_of_another_kind_is_refused() {
    if !openssl() {
        return;
    }
    let desk = Desk::new();
    run_openssl(&desk, &["genpkey", "-algorithm", "x25519", "-out", "x.pem"]);
    desk.signer(&["init", "--unencrypted-keys", "--key", "root=x.pem"])
        .failed(2, &["x.pem can't be used", "expected a key of Ed25519, ECDSA"]);
}

#[test]
fn keys_of_each_kind_sign_for_roles() {
    if !openssl() {
        return;
    }
    let desk = Desk::new();
    let make = |out: &str, kind: &[&str]| {
        run_openssl(&desk, &[&["genpkey", "-out", out, "-algorithm"][..], kind].concat())
    };
    make("root.pem", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    make("targets.pem", &["RSA", "-pkeyopt", "rsa_keygen_bits:3072"]);
    make("snapshot.pem", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let given = ["--key", "root=root.pem", "--key", "targets=targets.pem", "--key", "snapshot=snapshot.pem"];
    desk.signer(&[&["init", "--unencrypted-keys"][..], &given].concat()).ok();
    desk.image("one");
    desk.signer(&["add", "oci:one", "--as", NAME]).ok();
    desk.signer(&["publish"]).ok();
    assert!(desk.trusted(NAME).is_some());
    let said = desk.signer(&["key", "list"]).ok().stdout;
    for kind in ["ecdsa-sha2-nistp384", "rsassa-pss-sha256", "ecdsa-sha2-nistp256", "ed25519"] {
        assert!(said.contains(kind), "{kind}: {said}");
    }
}

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let desk = Desk::new();
    desk.signer_with(PASSPHRASE, &["init"]).ok();
    desk.image("one");
    desk.signer(&["add", "oci:one", "--as", NAME]).ok();
    let before = Tree::of(desk.path("trust")).unwrap();
    desk.signer_with("wrong", &["publish"]).failed(
        2,
        &[
            "the passphrase in HALLMARK_PASSPHRASE doesn't open ./trust/keys/targets.pem",
            "nothing was changed",
        ],
    );
    desk.signer(&["publish"]).failed(2, &["no terminal to ask on"]);
    fs::write(desk.path("empty"), "\n").unwrap();
    desk.signer(&["publish", "--passphrase-file", "empty"]).failed(2, &["the passphrase in empty is empty"]);
    desk.signer(&["publish", "--passphrase-file", "none"]).failed(2, &["none: No such file"]);
    before.assert_unchanged();
    fs::write(desk.path("pass"), format!("{PASSPHRASE}\n")).unwrap();
    desk.signer_with("wrong", &["publish", "--passphrase-file", "pass"]).ok();
}

#[test]
fn publish_needs_no_root_key() {
    let desk = Desk::with_trust();
    fs::remove_file(desk.path("trust/keys/root.pem")).unwrap();
    desk.add("one");
    desk.signer(&["publish"]).ok();
    fs::remove_file(desk.path("trust/keys/targets.pem")).unwrap();
    desk.signer(&["publish"]).ok();
    desk.add("two");
    let before = Tree::of(desk.path("trust/published")).unwrap();
    desk.signer(&["publish"]).failed(
        1,
        &["error: targets can't be signed", "  expected 1 key(s) of targets in ./trust/keys, got 0"],
    );
    before.assert_unchanged();
}

#[test]
fn a_key_that_the_root_does_not_list_signs_nothing() {
    let desk = Desk::with_trust();
    fs::copy(desk.path("trust/keys/root.pem"), desk.path("trust/keys/timestamp.pem")).unwrap();
    desk.signer(&["publish"]).failed(
        1,
        &["warning: ./trust/keys/timestamp.pem is not a key of timestamp, and signs nothing", "got 0"],
    );
}

#[test]
fn no_secret_is_said() {
    let desk = Desk::new();
    let said = desk.signer_with(PASSPHRASE, &["init"]).ok();
    assert!(!said.stdout.contains(PASSPHRASE) && !said.stderr.contains(PASSPHRASE));
    let secret = fs::read_to_string(desk.path("trust/keys/root.pem")).unwrap();
    assert!(!said.stdout.contains(secret.lines().nth(1).unwrap()));
}

//! `signer key`: keys of other programs come in, ours go out, and a rehearsal writes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use support::{Desk, NAME, PASSPHRASE};
use test_repos::tree::Tree;

fn there(program: &str, argument: &str) -> bool {
    let command = Command::new(program).arg(argument).stdin(Stdio::null()).output();
    let found = command.is_ok_and(|output| output.status.success());
    if !found {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no {program}");
        eprintln!("SKIPPED: no {program}: install openssl and openssh-client");
    }
    found
}

#[track_caller]
fn run(desk: &Desk, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(desk.dir.path()).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_key_of_each_kind_is_made_and_signs() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME);
    for (kind, scheme, role) in [
        ("ecdsa-p256", "ecdsa-sha2-nistp256", "targets"),
        ("ecdsa-p384", "ecdsa-sha2-nistp384", "root"),
        ("ed25519", "ed25519", "snapshot"),
    ] {
        let name = format!("{role}-new");
        let said = desk.signer_with(PASSPHRASE, &["key", "new", &name, "--kind", kind]).ok();
        assert!(said.stdout.contains(&format!("{scheme}, signs nothing")), "{}", said.stdout);
        desk.signer(&["role", "rotate", role, "--key", &name]).ok();
    }
    desk.signer_with("wrong", &["publish"]).failed(2, &["doesn't open", "nothing was changed"]);
    desk.signer_with(PASSPHRASE, &["publish"]).ok();
    assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest);
    desk.signer(&["key", "new", "x", "--kind", "rsa"]).failed(2, &["ed25519, ecdsa-p256, ecdsa-p384"]);
}

#[test]
fn a_private_half_goes_out_only_when_asked_and_keeps_its_passphrase() {
    if !there("openssl", "version") {
        return;
    }
    let desk = Desk::with_trust();
    desk.signer_with(PASSPHRASE, &["key", "new", "release", "--kind", "ecdsa-p256"]).ok();
    desk.signer_with(PASSPHRASE, &["key", "export", "release", "--out", "release.pub"]).ok();
    assert!(fs::read_to_string(desk.path("release.pub")).unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));

    let private = ["key", "export", "release", "--private", "--out"];
    let said = desk.signer_with(PASSPHRASE, &[&private[..], &["release.pem"]].concat()).ok();
    assert!(!said.stdout.contains("PRIVATE") && said.stderr.is_empty(), "{}{}", said.stdout, said.stderr);
    let mode = fs::metadata(desk.path("release.pem")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let pass = format!("pass:{PASSPHRASE}");
    run(&desk, "openssl", &["pkey", "-in", "release.pem", "-passin", &pass, "-pubout", "-out", "same.pub"]);
    let read = |name: &str| fs::read_to_string(desk.path(name)).unwrap();
    assert_eq!(read("same.pub"), read("release.pub"));

    // For cosign, and back again under another name: still the same key.
    let cosign = ["--form", "cosign", "cosign.key"];
    desk.signer_with(PASSPHRASE, &[&private[..5], &cosign[2..], &cosign[..2]].concat()).ok();
    assert!(read("cosign.key").starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"));
    let import = ["key", "import", "again", "cosign.key"];
    desk.signer_with("wrong", &import).failed(2, &["the passphrase in HALLMARK_PASSPHRASE doesn't open"]);
    desk.signer_with(PASSPHRASE, &import).ok();
    assert_eq!(read("trust/keys/again.pub"), read("release.pub"));

    // Nothing that is there is written over, and nothing is given away that isn't here.
    let before = Tree::of(desk.path("")).unwrap();
    desk.signer_with(PASSPHRASE, &[&private[..], &["release.pub"]].concat())
        .failed(1, &["release.pub is there already"]);
    desk.signer_with("wrong", &[&private[..], &["other.pem"]].concat()).failed(2, &["doesn't open"]);
    before.assert_unchanged();
    fs::write(desk.path("trust/keys/away.uri"), "ssh-agent:alice\n").unwrap();
    fs::copy(desk.path("release.pub"), desk.path("trust/keys/away.pub")).unwrap();
    desk.signer(&["key", "export", "away", "--private", "--out", "away.pem"])
        .failed(2, &["the private half of away isn't here"]);
    desk.signer(&["key", "password", "away"]).failed(2, &["the private half of away isn't here"]);
}

#[test]
fn ssh_keys_come_in_with_their_passphrase() {
    if !there("ssh", "-V") {
        return;
    }
    let desk = Desk::published();
    let digest = desk.trusted(NAME);
    for (kind, passphrase) in [("ed25519", PASSPHRASE), ("ecdsa", PASSPHRASE)] {
        run(&desk, "ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-C", "alice", "-f", kind]);
        desk.signer_with("wrong", &["key", "import-ssh", kind, kind]).failed(2, &["doesn't open"]);
        desk.signer_with(passphrase, &["key", "import-ssh", kind, kind]).ok();
        let written = fs::read_to_string(desk.path(&format!("trust/keys/{kind}.pem"))).unwrap();
        assert!(written.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    }
    desk.signer(&["role", "rotate", "targets", "--key", "ecdsa"]).ok();
    desk.signer(&["role", "rotate", "snapshot", "--key", "ed25519"]).ok();
    desk.signer_with(PASSPHRASE, &["publish"]).ok();
    assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest);

    let said = |from: &str| desk.signer(&["key", "import-ssh", "x", from]);
    said("ed25519.pub").failed(2, &["ed25519.pub is a public key", "expected the private one"]);
    said("nowhere").failed(2, &["nowhere is no file"]);
    said("SHA256:abc").failed(3, &["can't be reached", "ssh-agent"]);
    run(&desk, "ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa"]);
    said("rsa").failed(2, &["ssh-keygen -p -m PKCS8"]);
    // One without a passphrase is taken, and that is said.
    run(&desk, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "bare"]);
    let bare = desk.signer(&["key", "import-ssh", "bare", "bare"]).ok();
    assert!(bare.stderr.contains("has no passphrase"), "{}", bare.stderr);
}

#[test]
fn a_rehearsal_writes_nothing() {
    let desk = Desk::with_trust();
    desk.signer_with(PASSPHRASE, &["key", "new", "spare"]).ok();
    let bob = desk.public_key("bob");
    fs::write(desk.path("new"), "other words\n").unwrap();
    let before = Tree::of(desk.path("")).unwrap();
    for arguments in [
        &["key", "new", "other"][..],
        &["key", "import", "bob", "bob.pem"],
        &["key", "export", "spare", "--out", "spare.pub"],
        &["key", "export", "spare", "--private", "--out", "spare.pem"],
        &["key", "password", "spare", "--new-passphrase-file", "new"],
    ] {
        let said = desk.signer_with(PASSPHRASE, &[arguments, &["--dry-run"]].concat()).ok();
        assert!(said.stdout.contains("would write "), "{}", said.stdout);
        let json = [arguments, &["--dry-run", "--format", "json"]].concat();
        let json = desk.signer_with(PASSPHRASE, &json).ok().json();
        assert_eq!(json["dry_run"], true);
        assert!(!json["writes"].as_array().unwrap().is_empty());
    }
    // What would be refused is refused.
    desk.signer_with(PASSPHRASE, &["key", "new", "spare", "--dry-run"]).failed(1, &["spare already"]);
    desk.signer(&["key", "export", "spare", "--out", &bob, "--dry-run"]).failed(1, &["is there already"]);
    before.assert_unchanged();
}

#[test]
fn a_key_on_a_stick_signs_while_that_is_plugged_in() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME);
    desk.signer_with(PASSPHRASE, &["key", "new", "made", "--kind", "ecdsa-p256"]).ok();
    fs::create_dir(desk.path("stick")).unwrap();
    fs::rename(desk.path("trust/keys/made.pem"), desk.path("stick/root.pem")).unwrap();
    fs::remove_file(desk.path("trust/keys/made.pub")).unwrap();
    let uri = format!("file:{}", desk.path("stick/root.pem").display());
    desk.signer_with(PASSPHRASE, &["key", "import", "stick", &uri]).ok();
    assert!(!desk.path("trust/keys/stick.pem").exists());
    desk.signer(&["role", "rotate", "root", "--key", "stick"]).ok();
    desk.signer_with(PASSPHRASE, &["publish"]).ok();
    assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest);
    desk.signer(&["role", "renew", "root"]).ok();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    desk.signer_with("wrong", &["publish"]).failed(2, &["doesn't open"]);
    fs::rename(desk.path("stick"), desk.path("pocket")).unwrap();
    desk.signer_with(PASSPHRASE, &["publish"]).failed(3, &["stick/root.pem"]);
    before.assert_unchanged();
    desk.signer(&["key", "import", "x", "file:root.pem"]).failed(2, &["expected a path from the root"]);
}

//! Keys that live elsewhere sign what `signer` publishes: a token, an ssh-agent, a program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::{Desk, NAME, Said, typist};
use test_repos::tree::Tree;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

fn there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no {program}");
        eprintln!("SKIPPED: no {program}: install softhsm2, opensc and openssh-client");
    }
    found
}

/// `signer` with a token in its environment.
fn with_token(desk: &Desk, pin: Option<&str>, arguments: &[&str]) -> Said {
    let mut command = desk.command(arguments);
    command.env("SOFTHSM2_CONF", desk.path("softhsm2.conf")).env("PKCS11_MODULE_PATH", MODULE);
    command.env_remove("HALLMARK_PIN");
    if let Some(pin) = pin {
        command.env("HALLMARK_PIN", pin);
    }
    Said::of(&command.output().unwrap())
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn token(desk: &Desk, kinds: &[(&str, &str, &str)]) {
    fs::create_dir(desk.path("tokens")).unwrap();
    let config = desk.path("softhsm2.conf");
    fs::write(&config, format!("directories.tokendir = {}\n", desk.path("tokens").display())).unwrap();
    let util = ["--init-token", "--free", "--label", "tuf", "--so-pin", "1234", "--pin", "5678"];
    run(Command::new("softhsm2-util").env("SOFTHSM2_CONF", &config).args(util));
    for (id, label, kind) in kinds {
        let make = ["--keypairgen", "--key-type", kind, "--id", id, "--label", label];
        run(Command::new("pkcs11-tool")
            .env("SOFTHSM2_CONF", &config)
            .args(["--module", MODULE, "--login", "--pin", "5678"])
            .args(make));
    }
}

#[test]
fn a_root_moves_into_a_token_and_signs_from_there() {
    if !there("softhsm2-util") || !there("pkcs11-tool") {
        return;
    }
    let desk = Desk::published();
    let digest = desk.trusted(NAME);
    let kinds =
        [("01", "root", "EC:prime256v1"), ("02", "targets", "rsa:2048"), ("03", "online", "EC:secp384r1")];
    token(&desk, &kinds);
    let import = |name: &str| {
        with_token(
            &desk,
            Some("5678"),
            &["key", "import", name, &format!("pkcs11:token=tuf;object={}", &name[4..])],
        )
    };
    for (name, role) in [("hsm-root", "root"), ("hsm-targets", "targets"), ("hsm-online", "timestamp")] {
        let said = import(name).ok();
        assert!(said.stdout.contains("signs nothing, in pkcs11:token=tuf"), "{}", said.stdout);
        with_token(&desk, Some("5678"), &["role", "rotate", role, "--key", name]).ok();
    }
    with_token(&desk, Some("5678"), &["publish"]).ok();
    assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest);
    // The old keys are gone, and the token alone carries on.
    for old in ["root", "targets", "timestamp"] {
        fs::remove_file(desk.path(&format!("trust/keys/{old}.pem"))).unwrap();
    }
    desk.image("two");
    with_token(&desk, Some("5678"), &["add", "oci:two:1.4", "--as", NAME]).ok();
    with_token(&desk, Some("5678"), &["role", "renew", "root"]).ok();
    with_token(&desk, Some("5678"), &["publish"]).ok();
    assert_ne!(desk.reader().find(NAME).map(|found| found.0), digest);
    let said = desk.signer(&["key", "list"]).ok();
    assert!(
        said.stdout.contains("ecdsa-sha2-nistp256, signs root, in pkcs11:token=tuf;object=root"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains("5678"));

    // What can go wrong, each with nothing changed.
    let before = Tree::of(desk.path("trust/published")).unwrap();
    with_token(&desk, Some("0000"), &["publish"]).failed(2, &["the PIN is wrong", "HALLMARK_PIN"]);
    with_token(&desk, None, &["publish"]).failed(2, &["the PIN of token tuf is needed"]);
    fs::rename(desk.path("tokens"), desk.path("unplugged")).unwrap();
    fs::create_dir(desk.path("tokens")).unwrap();
    with_token(&desk, Some("5678"), &["publish"])
        .failed(3, &["can't be reached", "expected token tuf, got none"]);
    // Another token of the same name: its key is not the one that was imported.
    fs::remove_dir(desk.path("tokens")).unwrap();
    token(&desk, &kinds);
    with_token(&desk, Some("5678"), &["publish"]).failed(1, &["names another key now"]);
    before.assert_unchanged();
}

/// Builds the module that locks as a smart card does, and says what is around it.
fn locking(desk: &Desk) -> Vec<(&'static str, OsString)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../signing-keys/tests/locking.c");
    let module = desk.path("locking.so");
    run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&module).arg(source).arg("-ldl"));
    vec![
        ("SOFTHSM2_CONF", desk.path("softhsm2.conf").into()),
        ("PKCS11_MODULE_PATH", module.into()),
        ("LOCKING_MODULE", MODULE.into()),
        ("LOCKING_COUNT", desk.path("count").into()),
    ]
}

#[test]
fn a_token_is_never_locked_by_a_script_and_a_locked_one_says_so() {
    if !there("softhsm2-util") || !there("pkcs11-tool") || !typist::is_there() {
        return;
    }
    let desk = Desk::published();
    token(&desk, &[("01", "targets", "EC:prime256v1")]);
    let around = locking(&desk);
    let with = |pin: &str, unsaid: bool, arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command.envs(around.iter().cloned()).env("HALLMARK_PIN", pin);
        if unsaid {
            command.env("LOCKING_UNSAID", "1");
        }
        Said::of(&command.output().unwrap())
    };
    let wrong = || fs::read_to_string(desk.path("count")).unwrap_or_default();
    with("5678", false, &["key", "import", "hsm", "pkcs11:token=tuf;object=targets"]).ok();
    with("5678", false, &["role", "rotate", "targets", "--key", "hsm"]).ok();
    with("5678", false, &["publish"]).ok();
    with("5678", false, &["role", "renew", "targets"]).ok();
    let before = Tree::of(desk.path("trust")).unwrap();

    // A script is stopped before the last try, though its PIN were right.
    with("0000", false, &["publish"]).failed(2, &["the PIN is wrong", "hint: "]);
    assert_eq!(wrong(), "1");
    with("0000", false, &["publish"]).failed(2, &["one try is left, then the token is locked"]);
    with("5678", false, &["publish"]).failed(2, &["one more wrong PIN locks token tuf", "none is taken"]);
    assert_eq!(wrong(), "2");
    // A person is warned, and may take it.
    let (shown, code) = typist::typed_with(&desk, "0000|0000|0000", &["publish"], &around);
    assert_eq!((code, wrong().as_str()), (2, "3"), "{shown}");
    assert!(shown.contains("warning: one more wrong PIN locks token tuf"), "{shown}");
    assert!(shown.contains("the token is locked after too many wrong PINs"), "{shown}");
    // The right one is of no use then, whether the token says that it is locked, or only refuses.
    for unsaid in [false, true] {
        let said = with("5678", unsaid, &["publish"]);
        said.failed(2, &["the token is locked after too many wrong PINs", "hint: its security officer"]);
    }
    before.assert_unchanged();
    // Unlocked, as the security officer does it: all goes on.
    fs::write(desk.path("count"), "0").unwrap();
    with("5678", false, &["publish"]).ok();
}

/// An agent of our own, ended by its handle.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_ssh_agent_signs_and_is_missed_when_it_is_gone() {
    if !there("ssh-agent") {
        return;
    }
    let desk = Desk::published();
    let digest = desk.trusted(NAME);
    let socket = desk.path("agent");
    let agent = Agent(
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap(),
    );
    let began = Instant::now();
    while !socket.exists() {
        assert!(began.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(20));
    }
    let key = desk.path("id");
    run(Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", "ed25519", "-C", "alice@laptop", "-f"])
        .arg(&key));
    run(Command::new("ssh-add").arg(&key).env("SSH_AUTH_SOCK", &socket));
    let signer = |arguments: &[&str]| {
        Said::of(&desk.command(arguments).env("SSH_AUTH_SOCK", &socket).output().unwrap())
    };
    signer(&["key", "import", "alice", "ssh-agent:alice@laptop"]).ok();
    signer(&["role", "rotate", "snapshot", "--key", "alice"]).ok();
    signer(&["publish"]).ok();
    assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest);
    drop(agent);
    let before = Tree::of(desk.path("trust/published")).unwrap();
    signer(&["role", "renew", "targets"]).ok();
    signer(&["publish"]).failed(3, &["alice.uri can't be reached", "the ssh-agent"]);
    before.assert_unchanged();
}

#[test]
fn a_program_signs_for_a_role() {
    let desk = Desk::published();
    run(Command::new("openssl")
        .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"])
        .current_dir(desk.dir.path()));
    let script = desk.path("sign.sh");
    let text = format!(
        "#!/bin/sh\nset -e\ncd '{}'\nquestion=$(cat)\ncase \"$question\" in\n*public-key*)\n\
         openssl pkey -in key.pem -pubout -out key.pub\n\
         printf '{{\"public_key\": \"%s\"}}' \"$(awk '{{printf \"%s\\\\n\", $0}}' key.pub)\" ;;\n*)\n\
         printf %s \"$question\" | sed 's/.*\"message\":\"\\([^\"]*\\)\".*/\\1/' | openssl base64 -d -A > message\n\
         openssl dgst -sha256 -sign key.pem -out signature message\n\
         printf '{{\"signature\": \"%s\"}}' \"$(openssl base64 -A -in signature)\" ;;\nesac\n",
        desk.dir.path().display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    desk.signer(&["key", "import", "kms", &format!("exec:{}", script.display())]).ok();
    desk.signer(&["role", "rotate", "timestamp", "--key", "kms"]).ok();
    desk.signer(&["publish"]).ok();
    assert!(desk.reader().find(NAME).is_some());
    // A signature by another key than it says is caught before anything is written.
    run(Command::new("openssl")
        .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "other.pem"])
        .current_dir(desk.dir.path()));
    let lies = fs::read_to_string(&script).unwrap().replace("-sign key.pem", "-sign other.pem");
    fs::write(&script, lies).unwrap();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    desk.signer(&["publish"]).failed(1, &["made a signature that its own public half doesn't verify"]);
    before.assert_unchanged();
}

#[test]
fn keys_in_files_are_made_listed_and_moved() {
    let desk = Desk::published();
    let said = desk.signer_with("secret words", &["key", "new", "backup"]).ok();
    assert!(said.stdout.contains("ed25519, signs nothing"), "{}", said.stdout);
    assert!(said.stdout.contains("BEGIN PUBLIC KEY") && !said.stdout.contains("PRIVATE"), "{}", said.stdout);
    desk.signer_with("x", &["key", "new", "backup"]).failed(1, &["has a key called backup already"]);
    desk.signer(&["key", "new", "../up"]).failed(2, &["can't be called"]);
    desk.signer(&["key", "show", "nobody"]).failed(2, &["no key called nobody", "backup"]);
    desk.signer(&["key", "export", "backup", "--out", "out.pub"]).ok();
    run(Command::new("openssl")
        .args(["pkey", "-pubin", "-in", "out.pub", "-noout"])
        .current_dir(desk.dir.path()));

    // Another passphrase, and openssl opens it with that one alone.
    fs::write(desk.path("old"), "secret words\n").unwrap();
    fs::write(desk.path("new"), "other words\n").unwrap();
    let change = ["key", "password", "backup", "--passphrase-file", "old", "--new-passphrase-file", "new"];
    desk.signer(&change).ok();
    desk.signer(&change).failed(2, &["the passphrase in old doesn't open"]);
    let opens = |words: &str| {
        let file = desk.path("trust/keys/backup.pem");
        let pass = format!("pass:{words}");
        let command =
            Command::new("openssl").args(["pkey", "-noout", "-passin", &pass, "-in"]).arg(file).output();
        command.unwrap().status.success()
    };
    assert!(opens("other words") && !opens("secret words"));

    // One from elsewhere, and what it is for follows from the metadata.
    desk.public_key("bob");
    desk.signer(&["key", "import", "bobs", "bob.pem"]).ok();
    desk.signer(&["role", "add-key", "targets", "bobs"]).ok();
    desk.signer(&["publish"]).ok();
    let said = desk.signer(&["key", "list"]).ok();
    let line = said.stdout.lines().find(|line| line.starts_with("bobs ")).unwrap();
    assert!(line.ends_with("ed25519, signs targets"), "{line}");
}

//! Whole screens, as people see them: `tests/screens/`. HALLMARK_UPDATE_SCREENS=1 writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

mod support;

use std::path::Path;
use std::{env, fs};

use support::{Desk, NAME, Said};
use test_repos::images::ImageBuilder;
use test_repos::registry::{Fault, Place, Registry};

fn compare(name: &str, screen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens").join(format!("{name}.txt"));
    if env::var_os("HALLMARK_UPDATE_SCREENS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, screen).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(screen, expected, "{name}: if that is right, run with HALLMARK_UPDATE_SCREENS=1");
}

/// What differs from run to run: digests, key ids, times, fingerprints, folders.
fn steadied(desk: &Desk, text: &str) -> String {
    let text = text.replace(&desk.dir.path().display().to_string(), "DIR");
    let mut out = String::new();
    for line in text.lines() {
        let line = match line.split_once("fingerprint  ") {
            Some((before, _)) => format!("{before}fingerprint  SIX WORDS"),
            None => line.to_owned(),
        };
        let mut words: Vec<String> = line.split(' ').map(steady_word).collect();
        // A second more or less is a day.
        for at in 1..words.len() {
            if words[at - 1].ends_with("(in") && words.get(at + 1).is_some_and(|unit| unit.starts_with("day"))
            {
                words[at] = "N".to_owned();
            }
        }
        out.push_str(&words.join(" "));
        out.push('\n');
    }
    out
}

fn steady_word(word: &str) -> String {
    let core = word.trim_matches(|one: char| matches!(one, ',' | ';' | ')' | '(' | '.' | '"'));
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let steady = match core {
        _ if core.contains("sha256:") => {
            let (before, digest) = core.split_once("sha256:").unwrap();
            if hex(digest) { format!("{before}sha256:DIGEST") } else { return word.to_owned() }
        }
        key if key.len() == 60 && key.starts_with("MCowBQYDK2VwAyEA") => "PUBLICKEY".to_owned(),
        id if id.len() >= 12 && hex(id) => "KEYID".to_owned(),
        date if date.len() == 10
            && date.bytes().filter(|byte| *byte == b'-').count() == 2
            && hex(&date.replace('-', "")) =>
        {
            "DATE".to_owned()
        }
        time if time.len() == 5 && time.as_bytes()[2] == b':' && hex(&time.replace(':', "")) => {
            "TIME".to_owned()
        }
        other => other.to_owned(),
    };
    word.replace(core, &steady)
}

fn screen(desk: &Desk, said: &Said) -> String {
    let mut out = steadied(desk, &said.stdout);
    if !said.stderr.is_empty() {
        out.push_str("--- stderr\n");
        out.push_str(&steadied(desk, &said.stderr));
    }
    if said.code != 0 {
        out.push_str(&format!("--- exit {}\n", said.code));
    }
    out
}

/// Every command, and what it is asked for help with.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["init"],
    &["import"],
    &["add"],
    &["remove"],
    &["status"],
    &["diff"],
    &["doctor"],
    &["publish"],
    &["sign-for"],
    &["attest"],
    &["yank"],
    &["unyank"],
    &["refresh"],
    &["serve"],
    &["reset"],
    &["delegate"],
    &["delegate", "add"],
    &["delegate", "remove"],
    &["delegate", "list"],
    &["delegate", "bins"],
    &["role"],
    &["role", "threshold"],
    &["role", "add-key"],
    &["role", "remove-key"],
    &["role", "rotate"],
    &["role", "revoke"],
    &["role", "renew"],
    &["key"],
    &["key", "new"],
    &["key", "list"],
    &["key", "show"],
    &["key", "import"],
    &["key", "import-ssh"],
    &["key", "export"],
    &["key", "password"],
    &["key", "rotate"],
    &["key", "revoke"],
    &["ceremony"],
    &["ceremony", "propose"],
    &["ceremony", "show"],
    &["ceremony", "sign"],
    &["ceremony", "status"],
    &["ceremony", "merge"],
];

#[test]
fn help_of_every_command() {
    let desk = Desk::new();
    for command in COMMANDS {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let said = desk.signer(&arguments).ok();
        let name = [&["help"], *command].concat().join("-");
        compare(&name, &said.stdout);
        let group = said.stdout.contains("<COMMAND>");
        assert!(group || said.stdout.contains("Example"), "{name} has an example that can be typed");
    }
}

#[test]
fn a_publishers_screens() {
    let desk = Desk::new();
    let run = |name: &str, arguments: &[&str]| compare(name, &screen(&desk, &desk.signer(arguments)));
    run("init-dry-run", &["init", "--dry-run"]);
    run("init", &["init", "--unencrypted-keys"]);
    run("import", &["--repo", "ours", "import", "trust/published", "--root", "trust/root.json"]);
    run("import-refused", &["--repo", "ours", "import", "trust/published", "--root", "trust/root.json"]);
    run("status-new", &["status"]);
    run("doctor-new", &["doctor"]);
    desk.image("one");
    desk.image("two");
    run("add-dry-run", &["add", "oci:one:1.4", "--as", NAME, "--dry-run"]);
    run("add", &["add", "oci:one:1.4", "--as", NAME]);
    run("diff", &["diff"]);
    run("publish-dry-run", &["publish", "--dry-run"]);
    run("publish", &["publish"]);
    run("publish-nothing", &["publish"]);
    run("add-moves-a-tag", &["add", "oci:two:1.4", "--as", NAME]);
    run("status", &["status"]);
    run("reset", &["reset"]);
    run("remove", &["remove", NAME]);
    desk.signer(&["reset"]).ok();
    run(
        "yank",
        &["yank", NAME, "--reason", "loses data", "--replacement", "registry.example.com/acme/web:1.5"],
    );
    run("unyank", &["unyank", NAME]);
    desk.signer(&["reset"]).ok();
    run("refresh", &["refresh"]);
    run("refresh-early", &["refresh", "--within", "30d"]);
    run(
        "delegate-add",
        &["delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"],
    );
    run("publish-delegation", &["publish"]);
    run("delegate-list", &["delegate", "list"]);
    run("delegate-remove", &["delegate", "remove", "team"]);
    run("publish-no-delegation", &["publish"]);
    run("delegate-bins", &["delegate", "bins", "4", "--succinct", "--unencrypted-keys"]);
    desk.signer(&["reset"]).ok();
    run("role-rotate-dry-run", &["role", "rotate", "root", "--dry-run"]);
    run("role-rotate", &["role", "rotate", "root", "--unencrypted-keys"]);
    run("publish-rotation", &["publish"]);
    run("role-renew", &["role", "renew", "root"]);
    run("role-threshold-refused", &["role", "threshold", "root", "2"]);
    let bob = desk.public_key("bob");
    run("role-add-key", &["role", "add-key", "root", &bob]);
    run("role-threshold", &["role", "threshold", "root", "2"]);
    run("publish-needs-others", &["publish"]);
    run("ceremony-propose", &["ceremony", "propose", "--out", "c.json"]);
    run("ceremony-show", &["ceremony", "show", "c.json"]);
    fs::create_dir(desk.path("bobs")).unwrap();
    fs::copy(desk.path("bob.pem"), desk.path("bobs/root.pem")).unwrap();
    run("ceremony-sign", &["ceremony", "sign", "c.json", "--keys", "bobs", "--out", "bob.json"]);
    run(
        "ceremony-merge-dry-run",
        &["ceremony", "merge", "c.json", "bob.json", "--out", "x.json", "--dry-run"],
    );
    run("ceremony-merge", &["ceremony", "merge", "c.json", "bob.json", "--out", "done.json"]);
    run("ceremony-status", &["ceremony", "status", "done.json"]);
    run("publish-ceremony", &["publish", "--ceremony", "done.json"]);
    run("publish-ceremony-twice", &["publish", "--ceremony", "done.json"]);
    run("role-revoke-refused", &["role", "revoke", &desk.key_ids("snapshot")[0]]);
    run("role-remove-key-refused", &["role", "remove-key", "root", "00"]);
    fs::write(desk.path("words"), "other words\n").unwrap();
    run("key-list", &["key", "list"]);
    run("key-export", &["key", "export", "snapshot", "--out", "snapshot.pub"]);
    run("key-import", &["key", "import", "bobs", "bob.pem"]);
    run("key-new", &["key", "new", "spare", "--unencrypted"]);
    run("key-new-twice", &["key", "new", "spare", "--unencrypted"]);
    run("key-new-dry-run", &["key", "new", "other", "--unencrypted", "--dry-run"]);
    run("key-show", &["key", "show", "spare"]);
    run("key-export-private", &["key", "export", "spare", "--private", "--out", "spare.pem"]);
    run("key-export-again", &["key", "export", "spare", "--private", "--out", "spare.pem"]);
    run("key-import-public", &["key", "import", "alice", "snapshot.pub"]);
    run("key-import-ssh-nowhere", &["key", "import-ssh", "alice", "nowhere"]);
    run("key-password", &["key", "password", "spare", "--new-passphrase-file", "words"]);
    fs::copy(desk.path("spare.pem"), desk.path("trust/published/metadata/notes.txt")).unwrap();
    fs::remove_file(desk.path("trust/published/metadata/timestamp.json")).unwrap();
    run("doctor", &["doctor"]);
    run("no-repository", &["--repo", "nowhere", "status"]);
}

#[test]
fn a_publishers_screens_for_other_tools() {
    let (desk, registry) = (Desk::with_trust(), Registry::start().unwrap());
    let name = format!("{}/acme/web:1.4", registry.host());
    let run = |screen_name: &str, arguments: &[&str]| {
        let shown = screen(&desk, &desk.signer(arguments)).replace(&registry.host(), "REGISTRY");
        compare(screen_name, &steady_hex(&shown));
    };
    let push = |content: &[u8]| {
        let image = ImageBuilder::new().file("content", content).build().unwrap();
        image.push_to(&registry, "acme/web", "1.4");
        desk.signer(&["add", &name]).ok();
    };
    let (publish, formats) = (["publish", "--for"], "cosign2,cosign3,podman");
    push(b"one");
    run("publish-for-dry-run", &["publish", "--dry-run", "--for", formats]);
    run("publish-for-refused", &[&publish[..], &["notation"]].concat());
    run("publish-for", &[&publish[..], &[formats]].concat());
    run("publish-for-nothing", &[&publish[..], &[formats]].concat());
    run("sign-for", &["sign-for", &name, "--for", formats]);
    fs::write(desk.path("sbom.json"), r#"{"spdxVersion":"SPDX-2.3","packages":[]}"#).unwrap();
    let attest = ["attest", &name, "--type", "spdx", "--predicate", "sbom.json", "--key", "targets"];
    run("attest", &[&attest[..], &["--stage", "--for", "cosign3,cosign2"]].concat());
    run("attest-diff", &["diff"]);
    run("attest-openvex-refused", &[&attest[..2], &["--type", "openvex"], &attest[4..]].concat());
    run("attest-revoke-refused", &["attest", &name, "--revoke", &format!("sha256:{}", "0".repeat(64))]);
    desk.signer(&["reset"]).ok();
    push(b"two");
    registry.set_fault(Place::blobs("acme/web"), Fault::Unavailable);
    run("publish-for-not-pushed", &[&publish[..], &["podman"]].concat());
    registry.clear_faults();
    run("sign-for-repeated", &["sign-for", &name, "--for", "podman"]);
    push(b"three");
    registry.set_fault(Place::manifests("acme/web"), Fault::Missing);
    run("publish-for-not-there", &[&publish[..], &["podman"]].concat());
}

/// Digests that stand in tags and addresses.
fn steady_hex(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while let Some(at) = rest.find("sha256") {
            let (before, after) = rest.split_at(at + "sha256-".len());
            let digits = after.bytes().take_while(u8::is_ascii_hexdigit).count();
            out.push_str(before);
            out.push_str(if digits == 64 { "DIGEST" } else { &after[..digits] });
            rest = &after[digits..];
        }
        out.push_str(rest);
    }
    out
}

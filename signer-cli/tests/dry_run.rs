//! `--dry-run`: every command that writes has it, says with it what it would do, and writes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::process::Command;

use clap::Command as CommandLine;
use serde_json::Value;
use support::{Desk, NAME, Said, copy};
use test_repos::tree::Tree;

/// Commands that only read.
const READS: &[&str] = &[
    "status",
    "doctor",
    "diff",
    "delegate list",
    "key list",
    "key show",
    "ceremony show",
    "ceremony status",
];
/// Not one deed but many, over days: `refresh --dry-run` says what its next one would be.
const SERVICES: &[&str] = &["serve"];
/// They write into registries; `tests/for_others.rs` and `tests/attest.rs` rehearse them.
const ELSEWHERE: &[&str] = &["sign-for", "attest"];

/// Whether the answer of a dry run is that of the deed.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Same,
    /// It tells of keys that are made, each time new ones, or of what was signed.
    Alike,
}

/// A command line of every command that writes, in the folder that [`prepared`] makes.
const WRITES: &[(Answer, &[&str])] = &[
    (Answer::Alike, &["init", "--repo", "other"]),
    (Answer::Alike, &["init", "--repo", "nowhere/yet", "--unencrypted-keys", "--key", "root=bob.pem"]),
    (Answer::Same, &["import", "trust/published", "--root", "trust/root.json", "--repo", "taken-over"]),
    (Answer::Same, &["add", "oci:two:1.4", "--as", NAME]),
    (Answer::Same, &["add", "--list", "images.txt"]),
    (Answer::Same, &["remove", NAME]),
    (Answer::Same, &["yank", NAME, "--reason", "loses data"]),
    (Answer::Same, &["unyank", NAME]),
    (Answer::Same, &["reset"]),
    (Answer::Alike, &["refresh", "--within", "30d"]),
    (Answer::Alike, &["publish"]),
    (Answer::Alike, &["publish", "--ceremony", "c.json"]),
    (Answer::Alike, &["publish", "--to", "elsewhere"]),
    (
        Answer::Alike,
        &["delegate", "add", "more", "--paths", "registry.example.com/more/*", "--unencrypted-keys"],
    ),
    (Answer::Same, &["delegate", "remove", "team"]),
    (Answer::Alike, &["delegate", "bins", "4", "--succinct", "--unencrypted-keys", "--repo", "flat"]),
    (Answer::Same, &["role", "threshold", "targets", "2"]),
    (Answer::Same, &["role", "add-key", "snapshot", "bob.pub"]),
    (Answer::Same, &["role", "remove-key", "targets", "BOB"]),
    (Answer::Alike, &["role", "rotate", "timestamp", "--unencrypted-keys"]),
    (Answer::Same, &["role", "revoke", "BOB"]),
    (Answer::Alike, &["key", "rotate", "timestamp", "--unencrypted-keys"]),
    (Answer::Same, &["key", "revoke", "BOB"]),
    (Answer::Same, &["role", "renew", "root"]),
    (Answer::Alike, &["key", "new", "spare", "--unencrypted"]),
    (Answer::Same, &["key", "import", "bob", "bob.pem"]),
    (Answer::Same, &["key", "import-ssh", "carol", "carol"]),
    (Answer::Same, &["key", "export", "root", "--out", "root.pub"]),
    (Answer::Same, &["key", "export", "root", "--private", "--out", "root.pem"]),
    (Answer::Same, &["key", "password", "root", "--new-passphrase-file", "words"]),
    (Answer::Same, &["ceremony", "propose", "--out", "new.json"]),
    (Answer::Same, &["ceremony", "sign", "c.json", "--keys", "bobs"]),
    (Answer::Same, &["ceremony", "sign", "c.json", "--keys", "bobs", "--out", "bob.json"]),
    (Answer::Same, &["ceremony", "merge", "c.json", "d.json", "--out", "merged.json"]),
];

#[test]
fn every_command_that_writes_can_be_rehearsed() {
    let mut seen = Vec::new();
    walk(&signer_cli::command_line(), "", &mut |name, command| {
        let has = command.get_arguments().any(|argument| argument.get_id() == "dry_run");
        let rows = WRITES.iter().filter(|(_, row)| named(row) == name).count();
        let reads = READS.contains(&name) || SERVICES.contains(&name);
        assert!(has != reads, "{name}: --dry-run belongs to what writes, and to nothing else");
        let no_row = reads || ELSEWHERE.contains(&name);
        assert!((rows > 0) != no_row, "{name}: what writes has a row in this test");
        seen.push(name.to_owned());
    });
    for (_, row) in WRITES {
        assert!(seen.contains(&named(row)), "{row:?} is no command");
    }
}

/// Calls `each` with every command that has none below it.
fn walk(command: &CommandLine, name: &str, each: &mut impl FnMut(&str, &CommandLine)) {
    if !command.has_subcommands() {
        return each(name, command);
    }
    for below in command.get_subcommands() {
        walk(below, format!("{name} {}", below.get_name()).trim_start(), each);
    }
}

/// The name of a row's command.
fn named(row: &[&str]) -> String {
    let words = if matches!(row[0], "delegate" | "role" | "key" | "ceremony") { 2 } else { 1 };
    row[..words].join(" ")
}

/// A repository in which every row has something to do.
fn prepared() -> Desk {
    let desk = Desk::published();
    desk.image("two");
    desk.public_key("bob");
    fs::create_dir(desk.path("bobs")).unwrap();
    fs::copy(desk.path("bob.pem"), desk.path("bobs/root.pem")).unwrap();
    let ssh = ["-q", "-t", "ed25519", "-N", "", "-f", "carol"];
    let made = Command::new("ssh-keygen").args(ssh).current_dir(desk.dir.path()).status();
    assert!(made.expect("ssh-keygen, of openssh-client").success());
    fs::write(desk.path("words"), "other words\n").unwrap();
    let digest = format!("sha256:{}", "0f".repeat(32));
    fs::write(desk.path("images.txt"), format!("registry.example.com/acme/db:1 {digest} 12\n")).unwrap();
    let team = ["delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"];
    desk.signer(&team).ok();
    desk.signer(&["role", "add-key", "targets", "bob.pub"]).ok();
    desk.signer(&["publish"]).ok();
    desk.signer(&["role", "add-key", "root", "bob.pub"]).ok();
    desk.signer(&["ceremony", "propose", "--out", "c.json"]).ok();
    desk.signer(&["ceremony", "sign", "c.json", "--keys", "bobs", "--out", "d.json"]).ok();
    // Bins take the place of other delegations, so they have a repository without any.
    desk.signer(&["init", "--unencrypted-keys", "--repo", "flat"]).ok();
    fs::remove_file(desk.path("trust/.lock")).unwrap();
    desk
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let whole = prepared();
    let first = whole.metadata("1.root.json")["signed"]["roles"]["targets"]["keyids"][0].clone();
    let bob = whole.key_ids("targets").into_iter().find(|id| first != id.as_str()).unwrap();
    for (answer, row) in WRITES {
        let desk = Desk::new();
        copy(whole.dir.path(), desk.dir.path());
        let row: Vec<&str> =
            row.iter().map(|word| if *word == "BOB" { bob.as_str() } else { word }).collect();
        let before = Tree::of(desk.dir.path()).unwrap();
        let run = |more: &[&str]| -> Said { desk.signer(&[row.as_slice(), more].concat()) };
        eprintln!("{row:?}");

        let text = run(&["--dry-run"]).ok().stdout;
        before.assert_unchanged();
        let marks = ["dry run, nothing was written", "nothing was written", "would write"];
        assert!(marks.iter().any(|mark| text.contains(mark)), "{text}");
        let mut rehearsed = run(&["--dry-run", "--format", "json"]).ok().json();
        before.assert_unchanged();
        assert_eq!(rehearsed["dry_run"], true, "{rehearsed}");

        let mut done = match row[0] {
            // What needs no passphrase only because nothing is written.
            "init" => {
                desk.signer_with("words", &[row.as_slice(), &["--format", "json"]].concat()).ok().json()
            }
            _ => run(&["--format", "json"]).ok().json(),
        };
        assert!(!before.diff(&Tree::of(desk.dir.path()).unwrap()).is_empty(), "it writes without --dry-run");
        if *answer == Answer::Same {
            for report in [&mut rehearsed, &mut done] {
                report.as_object_mut().unwrap().remove("dry_run");
            }
            assert_eq!(steadied(&rehearsed), steadied(&done));
        }
    }
}

/// A ceremony's fingerprint has times in it.
fn steadied(report: &Value) -> Value {
    let mut report = report.clone();
    for name in ["sha256", "fingerprint", "summary", "documents"] {
        report.as_object_mut().unwrap().remove(name);
    }
    report
}

#[test]
fn a_ceremony_that_lacks_signatures_fails_the_rehearsal_too() {
    let desk = prepared();
    desk.signer(&["role", "threshold", "root", "2"]).ok();
    desk.signer(&["ceremony", "propose", "--out", "two.json"]).ok();
    let before = Tree::of(desk.dir.path()).unwrap();
    desk.signer(&["publish", "--ceremony", "two.json", "--dry-run"]).failed(1, &["error: "]);
    before.assert_unchanged();
}

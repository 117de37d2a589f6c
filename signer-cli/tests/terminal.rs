//! A person at a terminal: has three tries for a passphrase, and sees none of what they type.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::env;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use support::{Desk, PASSPHRASE};
use test_repos::tree::Tree;

/// Runs a program at a terminal of its own and types a line for each question that ends in ": "; argv is the lines
/// with a bar between them, then the program. Prints what the terminal showed, and ends as the program does.
const TYPIST: &str = r#"
import os, pty, sys, termios, time
lines, program = sys.argv[1].split("|"), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(program[0], program)
shown, asked = b"", 0
while True:
    try:
        some = os.read(terminal, 4096)
    except OSError:
        break
    if not some:
        break
    shown += some
    questions = shown.count(b": ") - shown.count(b"warning: ") - shown.count(b"error: ") - shown.count(b"note: ")
    while asked < min(questions, len(lines)) and shown.endswith(b": "):
        # People are slower than the terminal, which hides what is typed only after the question.
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(terminal, lines[asked].encode() + b"\n")
        asked += 1
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

fn python() -> OsString {
    env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into())
}

fn a_typist_is_there() -> bool {
    let found = Command::new(python()).args(["-c", "import pty"]).stdin(Stdio::null()).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no python3");
        eprintln!("SKIPPED: no python3, which types in these tests");
    }
    found
}

/// What the terminal showed, and how it ended.
fn typed(desk: &Desk, lines: &str, arguments: &[&str]) -> (String, i32) {
    let program = desk.command(arguments);
    let mut command = Command::new(python());
    command.args(["-c", TYPIST, lines]).arg(program.get_program()).args(arguments);
    command.current_dir(desk.dir.path()).stdin(Stdio::null());
    for name in ["HALLMARK_PASSPHRASE", "HALLMARK_PIN"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    (shown, output.status.code().unwrap_or(-1))
}

#[test]
fn three_tries_and_no_more() {
    if !a_typist_is_there() {
        return;
    }
    let desk = Desk::new();
    desk.signer_with(PASSPHRASE, &["init"]).ok();
    desk.signer_with(PASSPHRASE, &["key", "new", "spare"]).ok();
    let export = ["key", "export", "spare", "--private", "--out", "spare.pem"];
    let before = Tree::of(desk.path("")).unwrap();
    let (shown, code) = typed(&desk, "wrong one|wrong two|wrong three|never", &export);
    assert_eq!(code, 2, "{shown}");
    assert_eq!(shown.matches("Passphrase for").count(), 3, "{shown}");
    assert_eq!(shown.matches("warning: the passphrase doesn't open it; try again").count(), 2, "{shown}");
    assert!(shown.contains("the passphrase that was typed doesn't open"), "{shown}");
    assert!(!shown.contains("wrong one") && !shown.contains("wrong three"), "{shown}");
    before.assert_unchanged();

    let lines = format!("wrong one|wrong two|{PASSPHRASE}");
    let (shown, code) = typed(&desk, &lines, &export);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("wrote spare.pem") && !shown.contains(PASSPHRASE), "{shown}");

    // The same where keys are opened to sign.
    desk.signer(&["role", "renew", "root"]).ok();
    let (shown, code) = typed(&desk, &format!("wrong one|{PASSPHRASE}"), &["publish"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(shown.matches("Passphrase for").count(), 2, "{shown}");
}

#[test]
fn a_new_passphrase_is_typed_twice() {
    if !a_typist_is_there() {
        return;
    }
    let desk = Desk::with_trust();
    let (shown, code) = typed(&desk, "one thing|another thing", &["key", "new", "spare"]);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("the two passphrases differ"), "{shown}");
    assert!(!desk.path("trust/keys/spare.pem").exists());
    let (shown, code) = typed(&desk, "one thing|one thing", &["key", "new", "spare"]);
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("one thing"), "{shown}");
    let (shown, code) =
        typed(&desk, &format!("one thing|{PASSPHRASE}|{PASSPHRASE}"), &["key", "password", "spare"]);
    assert_eq!(code, 0, "{shown}");
    desk.signer_with(PASSPHRASE, &["key", "export", "spare", "--private", "--out", "out.pem"]).ok();
}

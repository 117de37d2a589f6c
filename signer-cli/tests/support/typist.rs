//! A person at a terminal.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use super::Desk;

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

pub fn is_there() -> bool {
    let found = Command::new(python()).args(["-c", "import pty"]).stdin(Stdio::null()).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no python3");
        eprintln!("SKIPPED: no python3, which types in these tests");
    }
    found
}

/// What the terminal showed, and how it ended.
pub fn typed(desk: &Desk, lines: &str, arguments: &[&str]) -> (String, i32) {
    typed_with(desk, lines, arguments, &[])
}

/// The same, with more in the environment.
pub fn typed_with(
    desk: &Desk,
    lines: &str,
    arguments: &[&str],
    around: &[(&str, OsString)],
) -> (String, i32) {
    let program = desk.command(arguments);
    let mut command = Command::new(python());
    command.args(["-c", TYPIST, lines]).arg(program.get_program()).args(arguments);
    command.current_dir(desk.dir.path()).stdin(Stdio::null());
    for name in ["HALLMARK_PASSPHRASE", "HALLMARK_PIN"] {
        command.env_remove(name);
    }
    command.envs(around.iter().cloned());
    let output = command.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    (shown, output.status.code().unwrap_or(-1))
}

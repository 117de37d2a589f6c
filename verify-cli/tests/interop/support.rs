//! Running programs, and saying so loudly where one is missing.

use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs a program with no input.
pub(crate) fn run(command: &mut Command) -> Ran {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}")).into()
}

/// Runs a program that must succeed. Its standard output, without the last line end.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let ran = run(command);
    assert_eq!(ran.code, Some(0), "{command:?}\n{}{}", ran.stdout, ran.stderr);
    ran.stdout.trim_end().to_owned()
}

/// Whether all of them are installed. Says which isn't.
pub(crate) fn have(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| which(program).is_none());
    missing.is_none_or(|program| skipped(&format!("{program} is not installed")))
}

/// A program in the folder that `HALLMARK_READERS` names.
pub(crate) fn reader(name: &str) -> Option<PathBuf> {
    let program = std::env::var_os("HALLMARK_READERS").map(|folder| Path::new(&folder).join(name));
    let program = program.filter(|program| program.is_file());
    if program.is_none() {
        skipped(&format!("HALLMARK_READERS names no folder with {name}"));
    }
    program
}

/// Says that a test proved nothing. Always false.
pub(crate) fn skipped(why: &str) -> bool {
    let forbidden = std::env::var_os("HALLMARK_NO_SKIPS").is_some();
    assert!(!forbidden, "{why}, and HALLMARK_NO_SKIPS is set");
    say(&format!("SKIPPED: {why}"));
    false
}

/// Says it on stderr. `eprintln!` is heard only where a test fails.
pub(crate) fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Daemons lie where an ordinary user's PATH doesn't lead.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// skopeo, away from the machine's own policy.
pub(crate) fn skopeo(arguments: &[&str]) -> Command {
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy").args(arguments);
    command
}

/// Copies an image with everything behind it, byte for byte.
pub(crate) fn copy(source: &str, target: &str) {
    let flags = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    succeeds(skopeo(&["copy", "--quiet", "--all", "--preserve-digests"]).args(flags).args([source, target]));
}

/// `oci:DIR:TAG`.
pub(crate) fn oci(dir: &Path, tag: &str) -> String {
    format!("oci:{}:{tag}", dir.display())
}

/// The digest of an image's manifest or index, as skopeo and sha256 see it.
pub(crate) fn raw_digest(image: &str) -> String {
    let output = skopeo(&["inspect", "--raw", "--tls-verify=false", image]).output().unwrap();
    assert!(output.status.success(), "{image}: {}", String::from_utf8_lossy(&output.stderr));
    test_repos::sha256_digest(&output.stdout)
}

/// Every blob of one layout is in the other, byte for byte.
pub(crate) fn same_blobs(from: &Path, to: &Path) {
    for blob in fs::read_dir(to.join("blobs/sha256")).unwrap() {
        let name = blob.unwrap().file_name();
        let read = |layout: &Path| fs::read(layout.join("blobs/sha256").join(&name));
        assert_eq!(read(to).unwrap(), read(from).unwrap(), "{name:?}");
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

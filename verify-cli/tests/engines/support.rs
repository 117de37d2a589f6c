//! An image, advisories, and `verify` run away from this machine's own state.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use test_repos::images::ImageBuilder;

/// How a run of `verify` ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }

    /// Failed with this code, said this, and printed nothing that could be taken for an answer.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        for words in words {
            assert!(self.err.contains(words), "expected {words:?} in\n{}", self.err);
        }
    }
}

/// Runs `verify` with a clean environment, but for the path of programs.
pub(crate) fn verify(home: &Path, words: &[&str]) -> Run {
    ended(command(home, words).output().unwrap())
}

/// As [`verify`], and the most memory that it ever had, in bytes, as the kernel counts it.
pub(crate) fn verify_measured(home: &Path, words: &[&str]) -> (Run, u64) {
    let mut child =
        command(home, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("verify starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    // The mark only rises, so that nothing is missed but what comes in the last milliseconds.
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = kib.map_or(peak, |kib| kib * 1024);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_ne!(peak, 0, "the kernel tells nothing in {status}");
    (ended(child.wait_with_output().unwrap()), peak)
}

fn ended(output: Output) -> Run {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Run { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn command(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
    command
        .args(words)
        .env_clear()
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// A Debian image in a layout, as `oci:DIR:TAG`.
pub(crate) fn debian(folder: &Path) -> String {
    let status = "Package: bash\nStatus: install ok installed\nMaintainer: A <a@example.com>\n\
                  Architecture: amd64\nVersion: 5.2.15-2+b2\nDescription: a shell\n\n";
    let image = ImageBuilder::new()
        .file("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n")
        .file("etc/debian_version", b"12.1\n")
        // What dpkg's library tells architectures by.
        .file("usr/share/dpkg/cputable", b"amd64\tx86_64\t(amd64|x86_64)\t64\tlittle\n")
        .file("usr/share/dpkg/tupletable", b"# Version=1.0\nbase-gnu-linux-<cpu>\t<cpu>\n")
        .file("var/lib/dpkg/status", status.as_bytes())
        .layer()
        .file("opt/a-1.0.dist-info/METADATA", b"Name: a\nVersion: 1.0\n\n")
        .build()
        .unwrap();
    image.write_layout(folder.join("image"), "1").unwrap();
    format!("oci:{}:1", folder.join("image").display())
}

/// A database of one advisory, `CVE-2026-N`, on Debian's bash.
pub(crate) fn database(folder: &Path, number: u32) -> PathBuf {
    let advisory = json!({
        "id": format!("DEBIAN-CVE-2026-{number}"), "modified": "2026-01-01T00:00:00Z",
        "aliases": [format!("CVE-2026-{number}")], "summary": "A made-up weakness",
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "bash" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "5.2.15-3" }] }],
        }],
    });
    let from = folder.join(format!("osv-{number}"));
    fs::create_dir_all(from.join("Debian")).unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(from.join("Debian/all.zip")).unwrap());
    zip.start_file("advisory.json", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(advisory.to_string().as_bytes()).unwrap();
    zip.finish().unwrap();
    let file = folder.join(format!("{number}.db"));
    advisories::build(&from, &file).unwrap();
    file
}

//! Disks of our own: small ones, and ones that may not be written. In a mount namespace that ends with the test.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set in the process that has a namespace of its own.
const INSIDE: &str = "HALLMARK_IN_NAMESPACE";

/// Runs a test again, by its name, where it may mount, and says whether this is the process that does so.
pub fn is_inside(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let can = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(arguments).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
    let Some(way) = ways.into_iter().find(|way| can(way)) else {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no namespace to mount in");
        eprintln!("SKIPPED: `unshare --user --mount` gives no namespace in which a disk can be mounted");
        return false;
    };
    let mut again = Command::new("unshare");
    again.args(way).arg(env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let done = again.output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
    false
}

fn mount(arguments: &[&str], at: &Path) {
    let done = Command::new("mount").args(arguments).arg(at).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A small disk at a folder; what is in it goes along.
pub struct Disk {
    at: PathBuf,
    filler: PathBuf,
}

impl Disk {
    pub fn of(kib: u32, at: &Path) -> Self {
        let aside = tempfile::tempdir().unwrap();
        super::copy(at, aside.path());
        mount(&["-t", "tmpfs", "-o", &format!("size={kib}k,mode=700"), "tmpfs"], at);
        super::copy(aside.path(), at);
        Self { at: at.to_owned(), filler: at.join(".filler") }
    }

    /// Fills it up, but for so much.
    pub fn leave(&self, room_kib: u64) {
        // As much as goes in.
        let full =
            File::create(&self.filler).and_then(|mut file| std::io::copy(&mut std::io::repeat(0), &mut file));
        full.unwrap_err();
        let full = fs::metadata(&self.filler).unwrap().len();
        let file = File::options().write(true).open(&self.filler).unwrap();
        file.set_len(full.saturating_sub(room_kib.saturating_mul(1024))).unwrap();
    }

    pub fn empty(&self) {
        fs::remove_file(&self.filler).unwrap();
    }

    /// Whether the filler is there is no business of who looks at the rest.
    pub fn at(&self) -> &Path {
        &self.at
    }
}

/// Makes a folder read-only until it is given back.
pub struct ReadOnly(PathBuf);

impl ReadOnly {
    pub fn of(at: &Path) -> Self {
        mount(&["--bind", at.to_str().unwrap()], at);
        mount(&["-o", "remount,bind,ro"], at);
        Self(at.to_owned())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

//! A publisher with `signer`, and a user with `verify`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ran, run, skipped, succeeds};

/// A trust repository of its own, and the state folder of one user.
pub(crate) struct Publisher {
    signer: PathBuf,
    home: tempfile::TempDir,
}

impl Publisher {
    /// `signer init`. `None`, loudly, where cargo hasn't built `signer`: `cargo test --workspace` does.
    pub(crate) fn init() -> Option<Self> {
        let signer = Path::new(env!("CARGO_BIN_EXE_verify")).with_file_name("signer");
        if !signer.is_file() {
            skipped("signer is not built: run cargo test --workspace");
            return None;
        }
        let publisher = Self { signer, home: tempfile::tempdir().unwrap() };
        publisher.sign(&["init"]);
        Some(publisher)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What is served.
    pub(crate) fn published(&self) -> PathBuf {
        self.path("trust/published")
    }

    /// The root that is handed to users.
    pub(crate) fn root(&self) -> PathBuf {
        self.published().join("metadata/1.root.json")
    }

    /// Runs `signer`, which must succeed.
    pub(crate) fn sign(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.signer);
        command.arg("--repo").arg(self.path("trust")).args(arguments);
        succeeds(command.env("HALLMARK_PASSPHRASE", "correct horse battery staple"))
    }

    /// Signs what each of these means now.
    pub(crate) fn publish(&self, images: &[&str]) {
        for image in images {
            self.sign(&["add", image]);
        }
        self.sign(&["publish"]);
    }

    /// Runs `verify` with this publisher's repository and root.
    pub(crate) fn verify(&self, arguments: &[&str]) -> Ran {
        let mut command = verify(&self.path("state"), arguments);
        run(command.arg("--repo").arg(self.published()).arg("--root").arg(self.root()))
    }

    /// `verify image`, which must trust it: the digest reference.
    pub(crate) fn trusted(&self, arguments: &[&str]) -> String {
        let ran = self.verify(&[&["image"], arguments].concat());
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        ran.stdout.trim_end().to_owned()
    }

    /// `verify pull` into a layout of that name with that tag.
    pub(crate) fn pull(&self, image: &str, layout: &str, tag: &str, arguments: &[&str]) -> PathBuf {
        let layout = self.path(layout);
        let target = crate::support::oci(&layout, tag);
        let ran = self.verify(&[&["pull", image, &target], arguments].concat());
        assert_eq!(ran.code, Some(0), "{image}: {}", ran.stderr);
        layout
    }
}

/// `verify`, away from this machine's own pins.
pub(crate) fn verify(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
    command.args(arguments).arg("--state").arg(state).env("NO_COLOR", "1");
    command
}

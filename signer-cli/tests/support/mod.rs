//! A folder with a trust repository and images, and the real program run in it.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(unreachable_pub, reason = "a module of several programs")]

pub mod client;
pub mod disk;
pub mod faulty;
pub mod moto;
pub mod python_tuf;
pub mod strace;
pub mod typist;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use test_repos::images::ImageBuilder;

pub const NAME: &str = "registry.example.com/acme/web:1.4";
pub const PASSPHRASE: &str = "correct horse";

/// A folder of its own.
pub struct Desk {
    pub dir: TempDir,
}

/// What a run said.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// Failed with this code, and said this; stdout is for answers.
    #[track_caller]
    pub fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        for words in words {
            assert!(self.stderr.contains(words), "expected {words:?} in\n{}", self.stderr);
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl Desk {
    /// An empty one.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// With a repository whose keys need no passphrase, which is quicker.
    pub fn with_trust() -> Self {
        let desk = Self::new();
        desk.signer(&["init", "--unencrypted-keys"]).ok();
        desk
    }

    /// With an image that is published.
    pub fn published() -> Self {
        let desk = Self::with_trust();
        desk.add("one");
        desk.signer(&["publish"]).ok();
        desk
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signer"));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        for name in ["HALLMARK_PASSPHRASE", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "HOME"]
        {
            command.env_remove(name);
        }
        command
    }

    pub fn signer(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().unwrap())
    }

    pub fn signer_with(&self, passphrase: &str, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).env("HALLMARK_PASSPHRASE", passphrase).output().unwrap())
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Writes a layout `content/` with one image and returns the image's digest.
    pub fn image(&self, content: &str) -> String {
        let image = ImageBuilder::new().file("content", content.as_bytes()).build().unwrap();
        image.write_layout(self.path(content), "1.4").unwrap();
        image.digest()
    }

    /// Stages an image under [`NAME`].
    #[track_caller]
    pub fn add(&self, content: &str) -> String {
        let digest = self.image(content);
        self.signer(&["add", &format!("oci:{content}:1.4"), "--as", NAME]).ok();
        digest
    }

    /// Makes a key that the repository doesn't have, as openssl users do: `NAME.pem`, and gives `NAME.pub`.
    pub fn public_key(&self, name: &str) -> String {
        let openssl = |arguments: &[&str]| {
            let done = Command::new("openssl").args(arguments).current_dir(self.dir.path()).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &private]);
        openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
        public
    }

    /// The ids of the keys of a top-level role in the newest root.
    #[track_caller]
    pub fn key_ids(&self, role: &str) -> Vec<String> {
        let newest = (1..).take_while(|version| {
            self.path(&format!("trust/published/metadata/{version}.root.json")).exists()
        });
        let root = self.metadata(&format!("{}.root.json", newest.last().unwrap()));
        let ids = root["signed"]["roles"][role]["keyids"].as_array().unwrap();
        ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// A published document, read.
    #[track_caller]
    pub fn metadata(&self, file: &str) -> Value {
        let path = self.path("trust/published/metadata").join(file);
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// The versions that a client gets: timestamp, snapshot, targets.
    #[track_caller]
    pub fn versions(&self) -> [u64; 3] {
        let timestamp = self.metadata("timestamp.json");
        let snapshot = timestamp["signed"]["meta"]["snapshot.json"]["version"].as_u64().unwrap();
        let file = self.metadata(&format!("{snapshot}.snapshot.json"));
        let targets = file["signed"]["meta"]["targets.json"]["version"].as_u64().unwrap();
        [timestamp["signed"]["version"].as_u64().unwrap(), snapshot, targets]
    }

    /// What a client that starts from the first root is told of a name now: `sha256:…`.
    #[track_caller]
    pub fn trusted(&self, path: &str) -> Option<String> {
        let metadata = self.path("trust/published/metadata");
        let read = |file: &str| fs::read(metadata.join(file)).unwrap();
        let now = chrono::Utc::now();
        let root = tuf_core::TrustedRoot::bootstrap(&read("1.root.json"), now, tuf_core::crypto::default());
        let timestamp = root.unwrap().current().unwrap().timestamp(None, &read("timestamp.json")).unwrap();
        let snapshot = read(&format!("{}.snapshot.json", timestamp.snapshot_file().version));
        let snapshot = timestamp.snapshot(None, &snapshot).unwrap();
        let version = snapshot.targets_file(&tuf_core::Role::Targets).unwrap().version;
        let targets = snapshot.targets(&read(&format!("{version}.targets.json"))).unwrap();
        let target = targets.document().target(path)?;
        let sha256 = &target.hashes["sha256"];
        let stored = tuf_core::consistent_target_name(path, sha256);
        target.check(&fs::read(self.path("trust/published/targets").join(stored)).unwrap()).unwrap();
        Some(format!("sha256:{sha256}"))
    }
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Every file below a folder, sorted.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

//! The wheel, built by maturin, installed by pip, and run by Python: `examples/python/verify.py`, and `checks.py`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use test_repos::surface::{Endpoints, Surface, SurfaceKind};

/// Says that a test proved nothing.
fn skipped(why: &str) {
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    // `eprintln!` is heard only where a test fails.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

fn python() -> OsString {
    std::env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into())
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}{wrong}", output.status);
    output
}

/// Builds the wheel in cargo's own profile and folder for tests, and installs it below `folder`.
fn install(folder: &Path) -> PathBuf {
    let (wheels, site) = (folder.join("wheels"), folder.join("site"));
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut maturin = Command::new(python());
    maturin.args(["-m", "maturin", "--quiet", "build", "--profile", "dev", "--locked"]);
    maturin.args(["--compatibility", "linux", "--manifest-path"]).arg(&manifest).arg("--out").arg(&wheels);
    done(&mut maturin);
    let wheel = fs::read_dir(&wheels).unwrap().next().expect("a wheel").unwrap().path();
    // Of the stable ABI: one wheel for every Python from 3.10 on.
    let name = wheel.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("hallmark-") && name.contains("-cp310-abi3-"), "{name}");
    let mut pip = Command::new(python());
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-index", "--no-deps"]);
    done(pip.arg("--target").arg(&site).arg(&wheel));
    site
}

struct Scene {
    folder: tempfile::TempDir,
    surface: Surface,
    endpoints: Endpoints,
    site: PathBuf,
}

impl Scene {
    fn begin() -> Option<Self> {
        let maturin = Command::new(python()).args(["-m", "maturin", "--version"]).output();
        if !maturin.is_ok_and(|output| output.status.success()) {
            skipped("maturin is not installed beside HALLMARK_PYTHON: the wheel was not built");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let site = install(folder.path());
        let surface = Surface::start(SurfaceKind::Registry, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        let host = endpoints.name.split('/').next().unwrap();
        let logins = endpoints.credentials.as_ref().unwrap().auth_file(host);
        fs::write(folder.path().join("auth.json"), logins).unwrap();
        Some(Self { folder, surface, endpoints, site })
    }

    fn python(&self, script: &str, args: &[&str]) -> Command {
        let mut command = Command::new(python());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).args(args);
        command.env("PYTHONPATH", &self.site).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn example(&self, name: &str, repo: &str, at: &str) -> (Option<i32>, String, String) {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let (root, logins) = (file("root.json"), file("auth.json"));
        let args = [name, "--repo", repo, "--root", &root, "--authfile", &logins, "--at", at];
        let mut command = self.python("../examples/python/verify.py", &args);
        let output = command.args(["--platform", self.endpoints.platform]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// The world as files, for what is verified from bytes.
    fn write_bytes(&self) {
        let world = self.surface.world();
        let metadata = self.folder.path().join("metadata");
        fs::create_dir(&metadata).unwrap();
        for name in world.repo.names() {
            fs::write(metadata.join(&name), world.repo.fetch(&name).unwrap().unwrap()).unwrap();
        }
        for (file, digest) in [("good.json", world.index()), ("unsigned.json", world.unsigned())] {
            fs::write(self.folder.path().join(file), &world.images.part(&digest).unwrap().bytes).unwrap();
        }
    }
}

/// One test, because the wheel is built for it.
#[test]
fn python_verifies_images() {
    let Some(scene) = Scene::begin() else { return };
    let (name, repo, now) = (&scene.endpoints.name, &scene.endpoints.repo, scene.endpoints.now.to_rfc3339());

    let (code, said, wrong) = scene.example(name, repo, &now);
    assert_eq!((code, wrong.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("@sha256:"), "{said}");
    let (code, said, wrong) = scene.example(&name.replace(":1.4", ":9.9"), repo, &now);
    assert_eq!((code, said.as_str()), (Some(1), ""), "{wrong}");
    assert!(wrong.starts_with("refused at the target: no role that may speak for"), "{wrong}");
    let (code, said, wrong) = scene.example(name, repo, "noon");
    assert_eq!((code, said.as_str()), (Some(2), ""), "{wrong}");
    assert!(wrong.contains("at: expected a time as in"), "{wrong}");
    let (code, said, wrong) = scene.example(name, "http://127.0.0.1:1/", &now);
    assert_eq!((code, said.as_str()), (Some(3), ""), "{wrong}");
    assert!(wrong.starts_with("could not tell: "), "{wrong}");

    scene.write_bytes();
    let folder = scene.folder.path().display().to_string();
    let mut checks = scene.python("tests/checks.py", &[name, repo, &now, scene.endpoints.platform, &folder]);
    let output = done(&mut checks);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "checked");
    assert!(scene.surface.leaks().is_empty(), "{:?}", scene.surface.leaks());
    assert!(scene.site.join(OsStr::new("hallmark/__init__.pyi")).is_file(), "no type stubs in the wheel");
}

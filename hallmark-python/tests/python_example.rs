//! The package for Python, run by Python over a world of this process: `examples/python/verify.py`, and `checks.py`. And the
//! wheel, built by maturin and installed by pip.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::ffi::OsString;
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

/// Whether Python, and this module of it, is there.
fn there(module: &str) -> bool {
    let script = format!("import sys, {module}; sys.exit(sys.version_info < (3, 10))");
    let output = Command::new(python()).args(["-c", &script]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The package as cargo built it for this test: the module beside the files in Python.
fn copy(folder: &Path) -> PathBuf {
    let (here, site) = (Path::new(env!("CARGO_MANIFEST_DIR")), folder.join("site"));
    let package = site.join("hallmark");
    fs::create_dir_all(&package).unwrap();
    for file in fs::read_dir(here.join("python/hallmark")).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), package.join(file.file_name())).unwrap();
        }
    }
    let test = std::env::current_exe().unwrap();
    let folders = test.ancestors().skip(1).take(2).map(|folder| folder.join("lib_hallmark.so"));
    let module = folders.into_iter().find(|file| file.is_file()).expect("lib_hallmark.so");
    fs::copy(module, package.join("_hallmark.abi3.so")).unwrap();
    site
}

/// Builds the wheel, in cargo's own profile and folder for tests, and installs it.
fn install(folder: &Path) -> PathBuf {
    let (wheels, site) = (folder.join("wheels"), folder.join("site"));
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut maturin = Command::new(python());
    maturin.args(["-m", "maturin", "build", "--quiet", "--profile", "dev", "--locked"]);
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
    fn begin(set_up: fn(&Path) -> PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = set_up(folder.path());
        let surface = Surface::start(SurfaceKind::Registry, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        let host = endpoints.name.split('/').next().unwrap();
        let logins = endpoints.credentials.as_ref().unwrap().auth_file(host);
        fs::write(folder.path().join("auth.json"), logins).unwrap();
        Self { folder, surface, endpoints, site }
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

#[test]
fn python_verifies_images() {
    if !there("sys") {
        return skipped("Python 3.10 or later is not installed: the module was not called");
    }
    let scene = Scene::begin(copy);
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
    assert!(scene.surface.leaks().is_empty(), "{:?}", scene.surface.leaks());
}

#[test]
fn python_keeps_what_it_promises() {
    if !there("sys") {
        return skipped("Python 3.10 or later is not installed: the module was not called");
    }
    let scene = Scene::begin(copy);
    scene.write_bytes();
    let (endpoints, folder) = (&scene.endpoints, scene.folder.path().display().to_string());
    let args = [&endpoints.name, &endpoints.repo, &endpoints.now.to_rfc3339(), endpoints.platform, &folder];
    let output = done(&mut scene.python("tests/checks.py", &args));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "checked");
}

/// The stubs say what the module is, and the example is well typed by them.
fn check_types(site: &Path) {
    if !there("mypy.stubtest") {
        return skipped("mypy is not installed beside HALLMARK_PYTHON: the types were not checked");
    }
    let mypy = |module: &str, args: &[&str]| {
        let mut command = Command::new(python());
        // Types are looked up in the wheel that was installed, as whoever installs it has them.
        command.current_dir(site).env("PYTHONPATH", site).env("MYPYPATH", site);
        command.args(["-m", module]).args(args).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/verify.py");
    let example = example.to_str().unwrap();
    let cache = site.join("mypy_cache");
    let strict = ["--strict", "--no-error-summary", "--cache-dir", cache.to_str().unwrap()];
    done(&mut mypy("mypy", &[&strict[..], &[example]].concat()));
    done(mypy("mypy.stubtest", &["hallmark"]).env("MYPY_CACHE_DIR", &cache));
    // What isn't well typed is found.
    let wrong = site.join("wrong.py");
    fs::write(&wrong, "import hallmark\nhallmark.verify(1, repo=\"x\", root=b\"\")\n").unwrap();
    let output = mypy("mypy", &[&strict[..], &[wrong.to_str().unwrap()]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && said.contains("incompatible type \"int\"; expected \"str\""),
        "{said}"
    );
}

/// What people get, built by maturin and installed by pip.
#[test]
fn the_wheel_has_all_that_is_needed() {
    if !there("maturin, pip") {
        return skipped("maturin is not installed beside HALLMARK_PYTHON: the wheel was not built");
    }
    let scene = Scene::begin(install);
    let (endpoints, now) = (&scene.endpoints, scene.endpoints.now.to_rfc3339());
    let (code, said, wrong) = scene.example(&endpoints.name, &endpoints.repo, &now);
    assert_eq!((code, wrong.as_str()), (Some(0), ""), "{said}");
    for file in ["__init__.pyi", "_hallmark.pyi", "py.typed"] {
        assert!(scene.site.join("hallmark").join(file).is_file(), "no {file} in the wheel");
    }
    check_types(&scene.site);
}

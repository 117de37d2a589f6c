//! `examples/c/verify.c`, compiled against the header and the library, over a registry in this process and from bytes;
//! and under valgrind, where it is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use test_repos::surface::{Endpoints, Surface, SurfaceKind};

/// Says that a test proved nothing.
fn skipped(why: &str) {
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    // `eprintln!` is heard only where a test fails.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

fn there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Where cargo put the library: beside the tests, or a folder above.
fn libraries() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let folders = here.ancestors().skip(1).take(2);
    folders
        .into_iter()
        .find(|folder| folder.join("libhallmark.so").exists())
        .expect("libhallmark.so")
        .to_owned()
}

/// What the example needs to be called: the program, and a world around it.
struct Scene {
    folder: tempfile::TempDir,
    surface: Surface,
    endpoints: Endpoints,
}

impl Scene {
    /// None where there is no C compiler.
    fn begin() -> Option<Self> {
        if !there("cc") {
            skipped("cc is not installed: the library was not called from C");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(SurfaceKind::Registry, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        let scene = Self { folder, surface, endpoints };
        fs::write(scene.path("root.json"), &scene.endpoints.root).unwrap();
        let host = scene.endpoints.name.split('/').next().unwrap();
        let logins = scene.endpoints.credentials.as_ref().unwrap().auth_file(host);
        fs::write(scene.path("auth.json"), logins).unwrap();
        Some(scene)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn compile(&self, name: &str, how: &[&str]) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = self.path(name);
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-I"]).arg(here.join("include"));
        cc.arg(here.join("../examples/c/verify.c")).arg("-o").arg(&program).args(how);
        let output = cc.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        program
    }

    fn dynamic(&self) -> PathBuf {
        let folder = libraries().display().to_string();
        self.compile("dynamic", &["-L", &folder, "-lhallmark", &format!("-Wl,-rpath,{folder}")])
    }

    /// The options of a call over the registry.
    fn options(&self) -> Value {
        json!({
            "repo": self.endpoints.repo,
            "platform": self.endpoints.platform,
            "at": self.endpoints.now.to_rfc3339(),
            "authfile": self.path("auth.json"),
        })
    }

    fn registry(&self, name: &str, options: &Value) -> Vec<String> {
        ["registry", name, &options.to_string(), &self.text("root.json")].map(str::to_owned).into()
    }

    fn bytes(&self, manifest: &str, options: &Value) -> Vec<String> {
        let (root, manifest) = (self.text("root.json"), self.text(manifest));
        ["bytes", &self.endpoints.name, &options.to_string(), &root, &manifest, &self.text("metadata")]
            .map(str::to_owned)
            .into()
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The world as files: metadata, and two manifests.
    fn write_bytes(&self) {
        let world = self.surface.world();
        fs::create_dir(self.path("metadata")).unwrap();
        for name in world.repo.names() {
            fs::write(self.path("metadata").join(&name), world.repo.fetch(&name).unwrap().unwrap()).unwrap();
        }
        for (file, digest) in [("good.json", world.index()), ("unsigned.json", world.unsigned())] {
            fs::write(self.path(file), &world.images.part(&digest).unwrap().bytes).unwrap();
        }
    }
}

#[track_caller]
fn answer(output: &Output) -> (i32, Value) {
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let code = output.status.code().unwrap_or_else(|| panic!("{}: {said}{wrong}", output.status));
    (code, serde_json::from_str(&said).unwrap_or_else(|why| panic!("{why}: {code}: {said}{wrong}")))
}

fn run(program: &Path, args: Vec<String>) -> (i32, Value) {
    answer(&Command::new(program).args(args).output().unwrap())
}

#[test]
fn c_verifies_through_a_registry() {
    let Some(scene) = Scene::begin() else { return };
    let (program, name, options) = (scene.dynamic(), scene.endpoints.name.as_str(), scene.options());

    let (code, report) = run(&program, scene.registry(name, &options));
    assert_eq!((code, &report["verdict"]), (0, &json!("trusted")), "{report}");
    assert!(report["pinned"].as_str().unwrap().contains("@sha256:"), "{report}");

    let (code, report) = run(&program, scene.registry(&name.replace(":1.4", ":9.9"), &options));
    assert_eq!((code, &report["broken"]["stage"]), (1, &json!("target")), "{report}");

    let mut wrong = options.clone();
    wrong["plattform"] = json!("all");
    let (code, report) = run(&program, scene.registry(name, &wrong));
    assert_eq!((code, report.get("verdict")), (2, None), "{report}");
    assert!(report["error"].as_str().unwrap().contains("unknown field `plattform`"), "{report}");

    let mut silent = options;
    silent["repo"] = json!("http://127.0.0.1:1/");
    let (code, report) = run(&program, scene.registry(name, &silent));
    assert_eq!((code, &report["verdict"]), (3, &json!("unknown")), "{report}");
    assert!(scene.surface.leaks().is_empty(), "{:?}", scene.surface.leaks());
}

#[test]
fn c_verifies_bytes_with_the_static_library() {
    let Some(scene) = Scene::begin() else { return };
    scene.write_bytes();
    let archive = libraries().join("libhallmark.a").display().to_string();
    let program = scene.compile("static", &[&archive, "-lpthread", "-ldl", "-lm"]);
    let at = json!({ "at": scene.endpoints.now.to_rfc3339() });

    let (code, report) = run(&program, scene.bytes("good.json", &at));
    assert_eq!((code, &report["verdict"]), (0, &json!("trusted")), "{report}");
    let (code, report) = run(&program, scene.bytes("unsigned.json", &at));
    assert_eq!((code, &report["broken"]["stage"]), (1, &json!("manifest")), "{report}");
    let (code, report) = run(&program, scene.bytes("good.json", &json!({})));
    assert_eq!(code, 2, "{report}");
    assert!(report["error"].as_str().unwrap().contains("missing field `at`"), "{report}");
    fs::remove_file(scene.path("metadata/timestamp.json")).unwrap();
    let (code, report) = run(&program, scene.bytes("good.json", &at));
    assert_eq!((code, &report["verdict"]), (3, &json!("unknown")), "{report}");
}

/// Nothing is lost, freed twice, or read beyond its end. From bytes, because valgrind makes TLS slow and adds nothing.
#[test]
fn valgrind_finds_no_fault() {
    let Some(scene) = Scene::begin() else { return };
    if !there("valgrind") {
        return skipped("valgrind is not installed: memory was not watched");
    }
    scene.write_bytes();
    let program = scene.dynamic();
    let at = json!({ "at": scene.endpoints.now.to_rfc3339() });
    for (args, expected) in [
        (scene.bytes("good.json", &at), 0),
        (scene.bytes("unsigned.json", &at), 1),
        (scene.bytes("good.json", &json!({})), 2),
    ] {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite"]);
        valgrind.args(["--errors-for-leak-kinds=definite"]).arg(&program).args(args);
        let output = valgrind.output().unwrap();
        let (code, report) = answer(&output);
        assert_eq!(code, expected, "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

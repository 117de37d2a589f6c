//! Bundles and trusted roots that came with the packages of the library that judges them, made by other tools.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// Says SKIPPED, or fails where nothing may be skipped.
pub(crate) fn skip<T>(why: &str) -> Option<T> {
    assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    eprintln!("SKIPPED: {why}");
    None
}

/// The folder of a package that this one was built with.
fn package(name: &str) -> Option<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path"])
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let is = |package: &&Value| package["name"] == name;
    let Some(found) = document["packages"].as_array().and_then(|all| all.iter().find(is)) else {
        return skip(&format!("cargo doesn't say where {name} is"));
    };
    Some(PathBuf::from(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned())
}

fn file(name: &str, path: &str) -> Option<Vec<u8>> {
    let path = package(name)?.join(path);
    fs::read(&path).ok().or_else(|| skip(&format!("the package has no {}", path.display())))
}

pub(crate) fn bundle(name: &str) -> Option<Vec<u8>> {
    file("sigstore-verify", &format!("test_data/bundles/{name}"))
}

pub(crate) fn trusted_root(name: &str) -> Option<String> {
    Some(String::from_utf8(file("sigstore-trust-root", &format!("src/{name}"))?).unwrap())
}

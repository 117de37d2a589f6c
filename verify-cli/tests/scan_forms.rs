//! Bills of materials are what the libraries of CycloneDX and SPDX themselves accept.
//!
//! Needs Python with `cyclonedx-python-lib[json-validation]` and `spdx-tools`: `HALLMARK_PYTHON`, else `python3`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use test_repos::images::ImageBuilder;

const CYCLONEDX: &str = r#"
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(errors) if errors else 0)
"#;

const SPDX: &str = r#"
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
document = parse_file(sys.argv[1])
assert len(document.packages) == 3, document.packages
messages = validate_full_spdx_document(document)
sys.exit(str(messages) if messages else 0)
"#;

fn python() -> OsString {
    std::env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into())
}

/// Whether Python lacks the libraries: then it says so, or fails where nothing may be skipped.
fn there_is_no_library() -> bool {
    let output = Command::new(python()).args(["-c", "import cyclonedx.validation.json, spdx_tools"]).output();
    if output.is_ok_and(|output| output.status.success()) {
        return false;
    }
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "no cyclonedx-python-lib and spdx-tools");
    eprintln!("SKIPPED: {:?} has no cyclonedx-python-lib and spdx-tools", python());
    true
}

fn accepted(folder: &Path, image: &str, form: &str, script: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_verify"))
        .args(["scan", image, "--unverified", "--format", form])
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(output.status.success());
    let file = folder.join(format!("{form}.json"));
    std::fs::write(&file, &output.stdout).unwrap();
    let judged = Command::new(python()).args(["-c", script]).arg(&file).output().unwrap();
    assert!(judged.status.success(), "{form}: {}", String::from_utf8_lossy(&judged.stderr));
}

#[test]
fn bills_of_materials_are_accepted_by_the_libraries_of_their_standards() {
    if there_is_no_library() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b2\n";
    let image = ImageBuilder::new()
        .file("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n")
        .file("var/lib/dpkg/status", status.as_bytes())
        .layer()
        .file("opt/a-1.0.dist-info/METADATA", b"Name: a\nVersion: 1.0\n\n")
        .build()
        .unwrap();
    image.write_layout(folder.path().join("image"), "1").unwrap();
    let image = format!("oci:{}:1", folder.path().join("image").display());
    accepted(folder.path(), &image, "cyclonedx", CYCLONEDX);
    accepted(folder.path(), &image, "spdx", SPDX);
}

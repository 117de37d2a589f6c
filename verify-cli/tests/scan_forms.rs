//! Bills of materials are what the libraries of CycloneDX and SPDX themselves accept.
//!
//! Needs Python with `cyclonedx-python-lib[json-validation]`, `spdx-tools` and `spdx-python-model`: `HALLMARK_PYTHON`, else `python3`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::io::Write as _;
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

/// As above, and what is wrong with the components is there, of each that it is wrong with.
const FINDINGS: &str = r#"
import json, sys
from cyclonedx.model.bom import Bom
bom = Bom.from_json(json.load(open(sys.argv[1])))
[one] = bom.vulnerabilities
assert one.id == "CVE-2026-7", one.id
refs = {component.bom_ref.value for component in bom.components}
assert {target.ref for target in one.affects} <= refs, one.affects
assert [rating.severity.value for rating in one.ratings] == ["critical"], one.ratings
"#;

/// The SPDX project's own classes, which know every property and what it must hold; written again, they say
/// what is missing.
const SPDX3: &str = r#"
import io, sys
from spdx_python_model import v3_0_1 as spdx
objects = spdx.SHACLObjectSet()
with open(sys.argv[1], "rb") as file:
    spdx.JSONLDDeserializer().read(file, objects)
objects.link()
spdx.JSONLDSerializer().write(objects, io.BytesIO())
[document] = objects.foreach_type(spdx.SpdxDocument)
[sbom] = document.rootElement
[image] = sbom.rootElement
assert image.software_primaryPurpose.endswith("container"), image
assert len(list(objects.foreach_type(spdx.software_Package))) == 3
[weakness] = objects.foreach_type(spdx.security_Vulnerability)
kinds = {}
for one in objects.foreach_type(spdx.Relationship):
    kinds[one.relationshipType.rsplit("/", 1)[-1]] = (one.from_, list(one.to))
assert kinds["contains"][0] is image and len(kinds["contains"][1]) == 2, kinds
assert kinds["hasAssociatedVulnerability"][0].name == "bash", kinds
assert kinds["hasAssociatedVulnerability"][1] == [weakness], kinds
assert not objects.missing_ids, objects.missing_ids
"#;

/// The same, of any document.
const SPDX3_READS: &str = r#"
import io, sys
from spdx_python_model import v3_0_1 as spdx
objects = spdx.SHACLObjectSet()
with open(sys.argv[1], "rb") as file:
    spdx.JSONLDDeserializer().read(file, objects)
objects.link()
spdx.JSONLDSerializer().write(objects, io.BytesIO())
assert not objects.missing_ids, objects.missing_ids
"#;

/// What a stranger's image and advisories say is in it as they say it, and a form as the standard has it.
const ODD: &str = r#"
import json, sys
text = open(sys.argv[1]).read()
document = json.loads(text)
def texts(value):
    if isinstance(value, dict):
        for one in value.values(): yield from texts(one)
    elif isinstance(value, list):
        for one in value: yield from texts(one)
    elif isinstance(value, str): yield value
everything = list(texts(document))
assert any("</script>" in one for one in everything), everything
assert not any(one.startswith("javascript:") for one in everything), everything
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
    let output = Command::new(python())
        .args(["-c", "import cyclonedx.validation.json, spdx_tools, spdx_python_model"])
        .output();
    if output.is_ok_and(|output| output.status.success()) {
        return false;
    }
    assert!(
        std::env::var_os("HALLMARK_NO_SKIPS").is_none(),
        "no cyclonedx-python-lib, spdx-tools and spdx-python-model"
    );
    eprintln!("SKIPPED: {:?} has no cyclonedx-python-lib, spdx-tools and spdx-python-model", python());
    true
}

/// An advisory on Debian's bash.
const ADVISORY: &str = r#"{ "id": "DEBIAN-CVE-2026-7", "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-7"],
    "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
    "affected": [{ "package": { "ecosystem": "Debian:12", "name": "bash" },
        "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "5.2.15-3" }] }] }] }"#;

/// A database of one advisory.
fn database(folder: &Path, advisory: &str) {
    std::fs::create_dir_all(folder.join("osv/Debian")).unwrap();
    let file = std::fs::File::create(folder.join("osv/Debian/all.zip")).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    zip.start_file("advisory.json", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(advisory.as_bytes()).unwrap();
    zip.finish().unwrap();
    advisories::build(&folder.join("osv"), &folder.join("advisories.db")).unwrap();
}

fn accepted(folder: &Path, image: &str, form: &str, script: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_verify"))
        .args(["scan", image, "--unverified", "--format", form, "--db"])
        .arg(folder.join("advisories.db"))
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
    database(folder.path(), ADVISORY);
    accepted(folder.path(), &image, "cyclonedx", CYCLONEDX);
    accepted(folder.path(), &image, "cyclonedx", FINDINGS);
    accepted(folder.path(), &image, "spdx3", SPDX3);
    accepted(folder.path(), &image, "spdx", SPDX);
}

#[test]
fn names_that_nobody_would_choose_are_accepted_too() {
    if there_is_no_library() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let evil = "</script>\u{202e} \u{10ffff}'&";
    let status = format!(
        "Package: {evil}\nStatus: install ok installed\nSource: bash\nArchitecture: {evil}\nVersion: 1\n"
    );
    let image = ImageBuilder::new()
        .file("etc/os-release", format!("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"{evil}\"\n").as_bytes())
        .file("var/lib/dpkg/status", status.as_bytes())
        .layer()
        .file(
            &format!("{evil}/a\nb/c.dist-info/METADATA"),
            format!("Name: {evil}\nVersion: 1.0 \u{feff}\n\n").as_bytes(),
        )
        .build()
        .unwrap();
    image.write_layout(folder.path().join("image"), "1").unwrap();
    let image = format!("oci:{}:1", folder.path().join("image").display());
    let advisory: serde_json::Value = serde_json::from_str(ADVISORY).unwrap();
    let odd = serde_json::json!({
        "id": format!("X {evil}"), "aliases": ["CVE-2026-7", evil, evil, "CVE-2026-7"], "summary": evil,
        "references": [
            { "url": "javascript:alert(1)" }, { "url": format!("https://example.com/{evil}") },
            { "url": "https://example.com/a" }, { "url": "" },
        ],
    });
    let mut odd = odd.as_object().unwrap().clone();
    for (key, value) in advisory.as_object().unwrap() {
        odd.entry(key.clone()).or_insert_with(|| value.clone());
    }
    database(folder.path(), &serde_json::Value::Object(odd).to_string());
    for (form, script) in [("cyclonedx", CYCLONEDX), ("spdx3", SPDX3_READS), ("spdx", SPDX)] {
        accepted(folder.path(), &image, form, script);
        accepted(folder.path(), &image, form, ODD);
    }
    accepted(folder.path(), &image, "sarif", ODD);
}

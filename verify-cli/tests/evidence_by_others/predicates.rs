//! Predicates that trivy, vexipy and in-toto's own schemas wrote, in statements that cosign signed: whether they are
//! understood. And whether those libraries and schemas read ours.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_image::ImageSource as _;

use super::*;
use crate::others::vulnerable;

const CYCLONEDX: &str = "https://cyclonedx.org/bom";
const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
const OPENVEX: &str = "https://openvex.dev/ns";
const SVR: &str = "https://in-toto.io/attestation/svr/v0.1";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evidence_by_others/documents.py");

/// A Python with the libraries.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("HALLMARK_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let imports = Command::new(&python).args(["-c", "import vexipy, google.protobuf"]).output();
    match imports.is_ok_and(|output| output.status.success()) {
        true => Some(python),
        false => skip("python has no vexipy and protobuf: install them, or set HALLMARK_PYTHON"),
    }
}

/// What the script says of its input.
fn documents(python: &Path, words: &[&str], input: &str) -> String {
    let mut command = Command::new(python);
    command.arg(SCRIPT).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The image of `vulnerable`, as it is signed and looked at.
struct Image<'s> {
    story: &'s Story,
    at: Descriptor,
    pinned: String,
}

impl<'s> Image<'s> {
    fn of(story: &'s Story) -> Self {
        let at = vulnerable(story);
        Self { story, pinned: format!("{}/acme/web@{}", story.host, at.digest), at }
    }

    /// Each predicate type and what it says, by form.
    fn said(&self, key: &str) -> Vec<(String, String, String)> {
        let all = ["--key", key, "--format", "json", "--platform", "linux/amd64"];
        let output = self.story.verify("evidence", &self.pinned, &all);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |piece: &Value, name: &str| piece[name].as_str().unwrap_or_default().to_owned();
        let one = |piece: &Value| {
            assert_eq!(piece["outcome"], "signed", "{piece}");
            (text(piece, "form"), text(piece, "predicate_type"), text(piece, "says"))
        };
        let mut said: Vec<_> = report["pieces"].as_array().unwrap().iter().map(one).collect();
        said.sort();
        said
    }

    /// `cosign attest` of a file, in either form.
    fn attest(&self, cosign: &Path, kind: &str, file: &str) {
        let by = ["attest", "--yes", "--allow-http-registry", "--key", "cosign.key"];
        let three = cosign.ends_with("cosign3");
        let no_log: &[&str] =
            if three { &["--signing-config", "none.json"] } else { &["--tlog-upload=false"] };
        let what = ["--type", kind, "--predicate", file, &self.pinned];
        self.story.run(cosign, &[&by[..], no_log, &what].concat());
    }

    /// `signer attest` of a file, by a key of its own.
    fn attest_ours(&self, kind: &str, file: &str) -> Option<()> {
        let signer = Path::new(env!("CARGO_BIN_EXE_verify")).with_file_name("signer");
        if !signer.is_file() {
            return skip("signer is not built: run cargo test --workspace");
        }
        let key = format!("file:{}", self.key().display());
        let what = ["attest", &self.pinned, "--type", kind, "--predicate", file, "--key", &key];
        self.story.run(&signer, &what);
        Some(())
    }

    fn key(&self) -> PathBuf {
        let key = self.story.path("ours.pem");
        if !key.is_file() {
            let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ours.pem"];
            self.story.run(Path::new("openssl"), &[&["genpkey"], &curve[..]].concat());
            fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
        key
    }

    /// The version of each statement under cosign 2's tag.
    fn versions(&self) -> Vec<Value> {
        let registry = self.story.registry();
        let tag = format!("sha256-{}.att", self.at.digest.hex());
        let manifest = registry.manifest(Selector::Tag(&tag)).unwrap().bytes;
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let envelope = |layer: &Value| -> Value {
            let layer: Descriptor = serde_json::from_value(layer.clone()).unwrap();
            serde_json::from_reader(registry.blob(&layer).unwrap()).unwrap()
        };
        let layers = manifest["layers"].as_array().unwrap();
        layers.iter().map(|layer| statement_of(&envelope(layer))["_type"].clone()).collect()
    }

    /// The predicate of this type in a bundle that refers to the image.
    fn predicate(&self, kind: &str) -> String {
        let registry = self.story.registry();
        let listed = registry.referrers(self.at.digest, None).unwrap().manifests;
        let mut all = listed.iter().filter_map(|one| {
            let manifest = registry.manifest(Selector::Digest(one.digest)).unwrap().bytes;
            let manifest: Value = serde_json::from_slice(&manifest).unwrap();
            let layer: Descriptor = serde_json::from_value(manifest["layers"][0].clone()).unwrap();
            let bundle: Value = serde_json::from_reader(registry.blob(&layer).unwrap()).unwrap();
            let predicate = predicate_of(&bundle);
            (predicate.0 == kind).then_some(predicate.1)
        });
        all.next().unwrap()
    }
}

fn statement_of(envelope: &Value) -> Value {
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// The predicate type in a bundle, and the predicate.
fn predicate_of(bundle: &Value) -> (String, String) {
    let statement = statement_of(&bundle["dsseEnvelope"]);
    (statement["predicateType"].as_str().unwrap().to_owned(), statement["predicate"].to_string())
}

#[test]
fn what_trivy_lists_and_finds_is_understood() {
    let Some(trivy) = std::env::var_os("HALLMARK_TRIVY").map(PathBuf::from) else {
        let _ = skip::<()>("HALLMARK_TRIVY names no trivy");
        return;
    };
    let (Some(two), Some(three), Some(story)) = (program("cosign2"), program("cosign3"), Story::begin())
    else {
        return;
    };
    let image = Image::of(&story);
    story.run(&two, &["generate-key-pair"]);
    story.run(&three, &["signing-config", "create", "--out", "none.json"]);
    let document = |format: &str, file: &str| -> Value {
        let offline = ["--quiet", "--cache-dir", "cache", "image", "--input", "layout", "--offline-scan"];
        let secret: &[&str] = if format == "cosign-vuln" { &["--scanners", "secret"] } else { &[] };
        story.run(&trivy, &[&offline[..], secret, &["--format", format, "--output", file]].concat());
        serde_json::from_slice(&fs::read(story.path(file)).unwrap()).unwrap()
    };
    let (spdx, cyclonedx) = (document("spdx-json", "a.spdx"), document("cyclonedx", "a.cdx"));
    let vuln = document("cosign-vuln", "a.vuln");
    for cosign in [&two, &three] {
        for (kind, file) in [("spdxjson", "a.spdx"), ("cyclonedx", "a.cdx"), ("vuln", "a.vuln")] {
            image.attest(cosign, kind, file);
        }
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let count = |value: &Value| value.as_array().unwrap().len();
    let time = |says: &str| says.rsplit_once(", of ").unwrap().0.to_owned();
    let packages = count(&spdx["packages"]);
    assert!(packages >= 2, "{spdx}");
    let expected = [
        (VULN, format!("{}: its own result", text(&vuln["scanner"]["uri"]))),
        (
            CYCLONEDX,
            format!(
                "CycloneDX {}: {} components",
                text(&cyclonedx["specVersion"]),
                count(&cyclonedx["components"])
            ),
        ),
        (SPDX, format!("SPDX {}: {packages} components", text(&spdx["spdxVersion"]))),
    ];
    let said = image.said("cosign.pub");
    let of = |form: &str| -> Vec<(&str, String)> {
        let of_form = said.iter().filter(|one| one.0 == form);
        of_form.map(|one| (one.1.as_str(), time(&one.2))).collect()
    };
    assert_eq!(of("DSSE envelope"), expected);
    assert_eq!(of("sigstore bundle"), expected);
    assert_eq!(image.versions(), ["https://in-toto.io/Statement/v0.1"; 3]);
}

#[test]
fn an_openvex_document_of_vexipys_is_understood_and_it_reads_ours() {
    let (Some(python), Some(cosign), Some(story)) = (python(), program("cosign2"), Story::begin()) else {
        return;
    };
    let image = Image::of(&story);
    let product = format!("pkg:oci/web@{}", image.at.digest.to_string().replace(':', "%3A"));
    fs::write(story.path("vex.json"), documents(&python, &["openvex", &product], "")).unwrap();
    story.run(&cosign, &["generate-key-pair"]);
    image.attest(&cosign, "openvex", "vex.json");
    let said = image.said("cosign.pub");
    let [(form, kind, says)] = said.as_slice() else { panic!("{said:?}") };
    assert!(form == "DSSE envelope" && kind.starts_with(OPENVEX), "{said:?}");
    assert!(says.starts_with("OpenVEX by Acme: 1 statements, of "), "{says}");
    let Some(()) = image.attest_ours("openvex", "vex.json") else { return };
    let read = documents(&python, &["read-openvex"], &image.predicate(OPENVEX));
    assert_eq!(read, format!("Acme CVE-2026-7 not_affected {product}"));
}

/// In-toto's name of a predicate, its type, and what it says as its schema writes it.
const IN_TOTO: [(&str, &str, &str); 6] = [
    ("svr", SVR, "ACME_REVIEWED for https://verify.example.com"),
    ("vulns01", "https://in-toto.io/attestation/vulns/v0.1", "pkg:x: 1 found, of 2026-01-02T03:04:05Z"),
    ("vulns02", "https://in-toto.io/attestation/vulns/v0.2", "pkg:x: 2 found, of 2026-01-02T03:04:05Z"),
    ("provenance02", "https://slsa.dev/provenance/v0.2", "SLSA provenance 0.2 by https://ci.example.com"),
    ("provenance1", "https://slsa.dev/provenance/v1", "SLSA provenance 1 by https://ci.example.com"),
    ("vsa", VSA, "r.io/x passed SLSA_BUILD_LEVEL_3, ACME_REVIEWED for https://verify.example.com"),
];

#[test]
fn predicates_of_in_totos_schemas_are_understood_and_they_read_ours() {
    let (Some(python), Some(cosign), Some(schemas), Some(story)) =
        (python(), program("cosign2"), program("in-toto.schemas"), Story::begin())
    else {
        return;
    };
    let (image, schemas) = (Image::of(&story), schemas.to_str().unwrap());
    story.run(&cosign, &["generate-key-pair"]);
    for (name, kind, _) in IN_TOTO {
        let made = documents(&python, &["predicate", schemas, name], "");
        fs::write(story.path(name), made).unwrap();
        image.attest(&cosign, kind, name);
    }
    let envelope = "DSSE envelope".to_owned();
    let expected = IN_TOTO.map(|(_, kind, says)| (envelope.clone(), kind.to_owned(), says.to_owned()));
    assert_eq!(image.said("cosign.pub"), expected);
    let more = ["--key", "cosign.pub", "--platform", "linux/amd64", "--format", "json"];
    let output = story.verify("provenance", &image.pinned, &more);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for build in report["builds"].as_array().unwrap() {
        assert_eq!(build["vouched"], "signed", "{build}");
        assert!(build["repository"].as_str().unwrap().ends_with("https://github.com/acme/web"), "{build}");
        assert_eq!(build["commit"], "01".repeat(20), "{build}");
    }
    let of = |name: &str| [&report["builds"][0][name], &report["builds"][1][name]];
    assert_eq!(of("slsa"), ["0.2", "1"]);
    assert_eq!(of("build_file"), ["Dockerfile", ".github/workflows/release.yml"]);

    for (name, kind, _) in IN_TOTO {
        let Some(()) = image.attest_ours(kind, name) else { return };
        let read: Value =
            serde_json::from_str(&documents(&python, &["read", schemas, name], &image.predicate(kind)))
                .unwrap();
        let written: Value = serde_json::from_slice(&fs::read(story.path(name)).unwrap()).unwrap();
        assert_eq!(read, written, "{name}");
    }
    // What is written anew by us, and not handed on.
    let name = format!("{}/acme/web:2", story.host);
    let key = format!("file:{}", image.key().display());
    let trust = ["--repo", "trust", "--root", "trust/metadata/1.root.json", "--platform", "linux/amd64"];
    let by = ["--key", &key, "--verifier-id", "https://verify.example.com", "--out", "svr.json"];
    let verify = Path::new(env!("CARGO_BIN_EXE_verify"));
    story.run(verify, &[&["attest", &name, "--type", "svr"], &trust[..], &by].concat());
    let bundle: Value = serde_json::from_slice(&fs::read(story.path("svr.json")).unwrap()).unwrap();
    let (kind, predicate) = predicate_of(&bundle);
    assert_eq!(kind, SVR);
    let read: Value =
        serde_json::from_str(&documents(&python, &["read", schemas, "svr"], &predicate)).unwrap();
    assert_eq!(read["verifier"], json!({ "id": "https://verify.example.com" }));
    assert_eq!(read["properties"], json!(["HALLMARK_TRUSTED"]));
}

#[test]
fn two_who_signed_by_cosign_2_and_3_are_two_and_one_who_did_both_is_one() {
    let (Some(two), Some(three), Some(story)) = (program("cosign2"), program("cosign3"), Story::begin())
    else {
        return;
    };
    let image = Image::of(&story);
    story.run(&three, &["signing-config", "create", "--out", "none.json"]);
    for name in ["a", "b"] {
        story.run(&two, &["generate-key-pair"]);
        fs::rename(story.path("cosign.pub"), story.path(&format!("{name}.pub"))).unwrap();
        fs::rename(story.path("cosign.key"), story.path(&format!("{name}.key"))).unwrap();
    }
    let sign = |cosign: &Path, key: &str, no_log: &[&str]| {
        let by = ["sign", "--yes", "--allow-http-registry", "--key", key];
        story.run(cosign, &[&by[..], no_log, &[&image.pinned]].concat());
    };
    let name = format!("{}/acme/web:2", story.host);
    let demand = |count: &str| {
        let trust = ["--repo", "trust", "--root", "trust/metadata/1.root.json", "--platform", "linux/amd64"];
        let signers = ["--require-signers", count, "--signer-key", "a.pub", "--signer-key", "b.pub"];
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args([&["image", &name], &trust[..], &signers].concat())
            .env_clear()
            .env("HOME", story.home.path())
            .current_dir(story.home.path())
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = demand("1");
    assert!(code == 1 && said.contains("signed by 1, got none"), "{said}");
    sign(&two, "a.key", &["--tlog-upload=false"]);
    sign(&three, "a.key", &["--signing-config", "none.json"]);
    assert_eq!(demand("1").0, 0);
    let (code, said) = demand("2");
    assert!(code == 1 && said.contains("signed by 2, got 1: key "), "{said}");
    sign(&three, "b.key", &["--signing-config", "none.json"]);
    let (code, said) = demand("2");
    assert_eq!(code, 0, "{said}");
}

//! Policy files that are written for other clients, and what cosign attests of findings.

use std::fs;
use std::process::Command;

use oci_image::{Descriptor, Registry, RegistryOptions, Selector};
use serde_json::{Value, json};

use crate::{Story, program};

/// Runs `verify config` in the story's folder.
fn config(story: &Story, words: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_verify"))
        .arg("config")
        .args(words)
        .env_clear()
        .current_dir(story.home.path())
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn skopeo_keeps_to_the_policy_that_is_written_for_it() {
    let (Some(cosign), Some(skopeo), Some(story)) = (program("cosign2"), program("skopeo"), Story::begin())
    else {
        return;
    };
    for name in ["ours", "other"] {
        story.run(&cosign, &["generate-key-pair"]);
        fs::rename(story.path("cosign.pub"), story.path(&format!("{name}.pub"))).unwrap();
        fs::rename(story.path("cosign.key"), story.path(&format!("{name}.key"))).unwrap();
    }
    let name = format!("{}/acme", story.host);
    let takes = |folder: &str| {
        let home = story.path(&format!("home-{folder}"));
        fs::create_dir_all(home.join(".config")).unwrap();
        std::os::unix::fs::symlink(story.path(folder), home.join(".config/containers")).unwrap();
        let output = Command::new(&skopeo)
            .env("HOME", &home)
            .arg("--policy")
            .arg(story.path(folder).join("policy.json"))
            .args(["copy", "--quiet", "--src-tls-verify=false"])
            .args([format!("docker://{}/acme/web:1", story.host), format!("dir:{}/copied", home.display())])
            .output()
            .unwrap();
        fs::remove_dir_all(&home).unwrap();
        output.status.success()
    };
    for key in ["ours", "other"] {
        let written = config(&story, &["podman", &name, "--key", &format!("{key}.pub"), "--out", key]);
        assert_eq!(written.0, 0, "{}", written.1);
    }
    assert!(!takes("ours"), "nobody signed it");
    let by = ["--yes", "--tlog-upload=false", "--allow-http-registry", "--key", "ours.key"];
    story.run(&cosign, &[&["sign"], &by[..], &[&story.pinned()]].concat());
    assert!(takes("ours"));
    assert!(!takes("other"), "another key is asked for");
    let both = ["podman", &name, "--key", "ours.pub", "--key", "other.pub", "--out", "both"];
    assert_eq!(config(&story, &both).0, 0);
    assert!(!takes("both"), "one of two signed");

    // What is there stays, and what is no key or no name is not written.
    let before = fs::read(story.path("ours/policy.json")).unwrap();
    let again = config(&story, &["podman", &name, "--key", "other.pub", "--out", "ours"]);
    assert!(
        again.0 == 2 && again.1.contains("there is already") && again.1.contains("hint: "),
        "{}",
        again.1
    );
    assert_eq!(fs::read(story.path("ours/policy.json")).unwrap(), before);
    let forced = config(&story, &["podman", &name, "--key", "other.pub", "--out", "ours", "--force"]);
    assert_eq!(forced.0, 0, "{}", forced.1);
    for (name, key) in [("acme/web:1", "ours.pub"), ("r.io/../a", "ours.pub"), (name.as_str(), "ours.key")] {
        let (code, said) = config(&story, &["podman", name, "--key", key, "--out", "new"]);
        assert!(code == 2 && said.contains("expected"), "{said}");
    }
    assert!(!story.path("new").exists());
}

#[test]
fn notation_keeps_to_the_policy_that_is_written_for_it() {
    let (Some(notation), Some(story)) = (program("notation"), Story::begin()) else { return };
    let test = ["cert", "generate-test", "--default", "acme.example.com"];
    story.run(&notation, &test);
    story.run(&notation, &["sign", "--insecure-registry", &story.pinned()]);
    let certificate = story.path("notation/localkeys/acme.example.com.crt");
    let name = format!("{}/acme/web", story.host);
    let takes = |identity: &str| {
        let out = story.path("other-notation/notation");
        let identity = format!("x509.subject: {identity}");
        let words =
            ["notation", &name, "--certificate", certificate.to_str().unwrap(), "--identity", &identity];
        let written = config(&story, &[&words[..], &["--force", "--out", out.to_str().unwrap()]].concat());
        assert_eq!(written.0, 0, "{}", written.1);
        let output = Command::new(&notation)
            .args(["verify", "--insecure-registry", &story.pinned()])
            .env("HOME", story.home.path())
            .env("XDG_CONFIG_HOME", story.path("other-notation"))
            .output()
            .unwrap();
        output.status.success()
    };
    assert!(takes("CN=acme.example.com,O=Notary,L=Seattle,ST=WA,C=US"));
    assert!(!takes("CN=other.example.com,O=Notary,L=Seattle,ST=WA,C=US"));
}

/// A vulnerable image in the registry and in `layout`, which a repository in the folder says is `acme/web:2`; and advisories.
pub(crate) fn vulnerable(story: &Story) -> Descriptor {
    use std::io::Write as _;
    let status = "Package: bash\nStatus: install ok installed\nMaintainer: A <a@example.com>\n\
                  Architecture: amd64\nVersion: 5.2.15-2+b2\nDescription: a shell\n\n";
    let image = test_repos::images::ImageBuilder::new()
        .file("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n")
        .file("var/lib/dpkg/status", status.as_bytes())
        .build()
        .unwrap();
    image.write_layout(story.path("layout"), "2").unwrap();
    let name = format!("{}/acme/web", story.host);
    let registry = Registry::new(&name.parse().unwrap(), RegistryOptions::default()).unwrap();
    for part in image.layers.iter().chain([&image.config]) {
        registry.push_blob(&part.bytes).unwrap();
    }
    let manifest = &image.manifest;
    let pushed = registry.push_manifest(Selector::Tag("2"), &manifest.bytes, &manifest.media_type).unwrap();

    let mut repo = test_repos::simulator::Simulator::new(chrono::Utc::now()).unwrap();
    let target = tuf_core::schema::Target::of(&manifest.bytes);
    repo.role_mut("targets").set_target(&format!("{name}:2"), &target).unwrap();
    repo.publish().unwrap();
    fs::create_dir_all(story.path("trust/metadata")).unwrap();
    for file in repo.names() {
        let bytes = repo.fetch(&file).unwrap().unwrap();
        fs::write(story.path("trust/metadata").join(&file), bytes).unwrap();
    }

    let advisory = json!({
        "id": "DEBIAN-CVE-2026-7", "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-7"],
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "bash" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "5.2.15-3" }] }],
        }],
    });
    fs::create_dir_all(story.path("osv/Debian")).unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(story.path("osv/Debian/all.zip")).unwrap());
    zip.start_file("advisory.json", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(advisory.to_string().as_bytes()).unwrap();
    zip.finish().unwrap();
    advisories::build(&story.path("osv"), &story.path("advisories.db")).unwrap();
    pushed
}

#[test]
fn what_cosign_attests_of_findings_counts_by_keys_that_may_speak_and_for_what_it_names() {
    let (Some(cosign), Some(story)) = (program("cosign2"), Story::begin()) else { return };
    for name in ["ours", "other"] {
        story.run(&cosign, &["generate-key-pair"]);
        fs::rename(story.path("cosign.pub"), story.path(&format!("{name}.pub"))).unwrap();
        fs::rename(story.path("cosign.key"), story.path(&format!("{name}.key"))).unwrap();
    }
    let image = vulnerable(&story);
    let (name, pinned) =
        (format!("{}/acme/web:2", story.host), format!("{}/acme/web@{}", story.host, image.digest));
    let scan = |verb: &str, more: &[&str]| {
        let trust = ["--repo", "trust", "--root", "trust/metadata/1.root.json", "--platform", "linux/amd64"];
        let rules = ["--db", "advisories.db", "--fail-on", "any"];
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args([&[verb, &name][..], &trust, &rules, more].concat())
            .env_clear()
            .env("HOME", story.home.path())
            .current_dir(story.home.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let attest = |key: &str, product: &str, part: &str, status: &str, time: &str| {
        let vex = json!({
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": format!("https://example.com/{time}"),
            "author": "Acme", "timestamp": time, "version": 1,
            "statements": [{
                "vulnerability": { "name": "CVE-2026-7" }, "status": status,
                "justification": "vulnerable_code_not_in_execute_path",
                "products": [{ "@id": product, "subcomponents": [{ "@id": part }] }],
            }],
        });
        fs::write(story.path("vex.json"), vex.to_string()).unwrap();
        let by = ["attest", "--yes", "--tlog-upload=false", "--allow-http-registry", "--key", key];
        story.run(&cosign, &[&by[..], &["--type", "openvex", "--predicate", "vex.json", &pinned]].concat());
    };
    let product = |digest: &str| format!("pkg:oci/web@{}", digest.replace(':', "%3A"));
    let (this, other) = (product(&image.digest.to_string()), product(&story.image.digest.to_string()));
    let key = ["--vex-key", "ours.pub"];
    assert_eq!(scan("scan", &key).0, 4, "nobody said anything");
    // Of another image, of another package, by another key, or that it is affected: none of it mends a finding.
    attest("ours.key", &other, "pkg:deb/debian/bash", "not_affected", "2026-01-01T00:00:00Z");
    attest("ours.key", &this, "pkg:deb/debian/dash", "not_affected", "2026-01-02T00:00:00Z");
    attest("other.key", &this, "pkg:deb/debian/bash", "not_affected", "2026-01-03T00:00:00Z");
    attest("ours.key", &this, "pkg:deb/debian/bash", "affected", "2026-01-04T00:00:00Z");
    let (code, out, err) = scan("scan", &key);
    assert_eq!(code, 4, "{out}{err}");
    attest("ours.key", &this, "pkg:deb/debian/bash@5.2.15-2%2Bb2", "not_affected", "2026-01-05T00:00:00Z");
    let (code, out, err) = scan("scan", &[&key[..], &["--format", "json"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let suppressed = &report["findings"][0]["suppressed"];
    assert_eq!(suppressed["by"], "vex by ours.pub");
    assert_eq!(suppressed["reason"], "not affected: vulnerable_code_not_in_execute_path");
    assert_eq!(scan("scan", &[]).0, 4, "nobody was named who may speak");
    // The same as the last link of the chain.
    assert_eq!(scan("image", &["--scan"]).0, 4);
    let (code, out, err) = scan("image", &[&["--scan"], &key[..]].concat());
    assert_eq!((code, out), (0, format!("{pinned}\n")), "{err}");
    // The latest word counts, whatever was said before.
    attest("ours.key", &this, "pkg:deb/debian/bash", "under_investigation", "2026-01-06T00:00:00Z");
    assert_eq!(scan("scan", &key).0, 4);
    assert_eq!(scan("scan", &["--vex-key", "gone.pub"]).0, 2);
}

#[test]
fn what_cosign_attests_as_csaf_counts_for_the_image_and_the_package_that_it_names() {
    let (Some(cosign), Some(story)) = (program("cosign2"), Story::begin()) else { return };
    for name in ["ours", "other"] {
        story.run(&cosign, &["generate-key-pair"]);
        fs::rename(story.path("cosign.pub"), story.path(&format!("{name}.pub"))).unwrap();
        fs::rename(story.path("cosign.key"), story.path(&format!("{name}.key"))).unwrap();
    }
    let image = vulnerable(&story);
    let (name, pinned) =
        (format!("{}/acme/web:2", story.host), format!("{}/acme/web@{}", story.host, image.digest));
    let scan = |more: &[&str]| {
        let trust = ["--repo", "trust", "--root", "trust/metadata/1.root.json", "--platform", "linux/amd64"];
        let rules =
            ["--db", "advisories.db", "--fail-on", "any", "--vex-key", "ours.pub", "--format", "json"];
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args([&["scan", &name][..], &trust, &rules, more].concat())
            .env_clear()
            .env("HOME", story.home.path())
            .current_dir(story.home.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let attest = |key: &str, hash: &str, purl: &str, status: &str, flags: Value, date: &str| {
        let helper = |helper: Value| json!({ "product_identification_helper": helper });
        let product = |id: &str, with: Value| {
            let mut product = json!({ "name": id, "product_id": id });
            product.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
            product
        };
        let hashes = json!({ "hashes": [{ "filename": "manifest.json", "file_hashes": [
            { "algorithm": "sha256", "value": hash }] }] });
        let csaf = json!({
            "document": {
                "category": "csaf_vex", "csaf_version": "2.0", "title": "bash in web",
                "publisher": { "category": "vendor", "name": "Acme", "namespace": "https://acme.example" },
                "tracking": { "id": "ACME-1", "status": "final", "version": "1", "initial_release_date": date,
                    "current_release_date": date, "revision_history": [{ "date": date, "number": "1", "summary": "s" }] },
            },
            "product_tree": {
                "full_product_names": [
                    product("web", helper(hashes)), product("bash", helper(json!({ "purl": purl }))),
                ],
                "relationships": [{ "category": "default_component_of", "product_reference": "bash",
                    "relates_to_product_reference": "web", "full_product_name": product("bash in web", json!({})) }],
            },
            "vulnerabilities": [{ "cve": "CVE-2026-7", "product_status": { status: ["bash in web"] }, "flags": flags }],
        });
        fs::write(story.path("csaf.json"), csaf.to_string()).unwrap();
        let by = ["attest", "--yes", "--tlog-upload=false", "--allow-http-registry", "--key", key];
        let kind = "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json";
        story.run(&cosign, &[&by[..], &["--type", kind, "--predicate", "csaf.json", &pinned]].concat());
    };
    let flag = || json!([{ "label": "vulnerable_code_not_in_execute_path", "product_ids": ["bash in web"] }]);
    let (this, other) = (image.digest.hex(), story.image.digest.hex());
    let bash = "pkg:deb/debian/bash";
    // Of another image or package, by another key, without a reason, or under investigation: the finding stands.
    attest("ours.key", &other, bash, "known_not_affected", flag(), "2026-01-01T00:00:00Z");
    attest("ours.key", &this, "pkg:deb/debian/dash", "known_not_affected", flag(), "2026-01-02T00:00:00Z");
    attest("other.key", &this, bash, "known_not_affected", flag(), "2026-01-03T00:00:00Z");
    attest("ours.key", &this, bash, "known_not_affected", json!([]), "2026-01-04T00:00:00Z");
    let (code, out, err) = scan(&[]);
    assert_eq!(code, 4, "{out}{err}");
    attest("ours.key", &this, bash, "known_not_affected", flag(), "2026-01-05T00:00:00Z");
    let (code, out, err) = scan(&[]);
    assert_eq!(code, 0, "{out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let suppressed = &report["findings"][0]["suppressed"];
    assert_eq!(suppressed["by"], "vex by ours.pub");
    assert_eq!(suppressed["reason"], "not affected: vulnerable_code_not_in_execute_path");
    attest("ours.key", &this, bash, "under_investigation", json!([]), "2026-01-06T00:00:00Z");
    assert_eq!(scan(&[]).0, 4, "the latest word counts");
    attest("ours.key", &this, bash, "fixed", json!([]), "2026-01-07T00:00:00Z");
    assert_eq!(scan(&[]).0, 0);
}

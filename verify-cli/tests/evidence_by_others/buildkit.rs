//! What BuildKit itself put into an index, and docker/attest signed of it: `HALLMARK_ATTESTED` names a folder with it, for it
//! isn't ours to keep here.

use super::*;

use oci_image::Digest;
use test_repos::simulator::Simulator;
use tuf_core::schema::Target;

pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v0.2";
pub(crate) const ROOT: [&str; 4] = ["--repo", "trust", "--root", "root.json"];
/// Beside it in the layout is what was signed.
const IMAGE: &str = "oci:layout:test";
pub(crate) const NAME: &str = "registry.example.com/acme/web:test";

/// The layout with the signed statement beside the image of one platform, and a repository that speaks for the index.
fn begin() -> Option<tempfile::TempDir> {
    let Some(data) =
        std::env::var_os("HALLMARK_ATTESTED").map(|folder| PathBuf::from(folder).join("buildkit"))
    else {
        eprintln!("SKIPPED: HALLMARK_ATTESTED names no folder with buildkit/");
        return None;
    };
    let home = tempfile::tempdir().unwrap();
    let layout = home.path().join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    for entry in fs::read_dir(data.join("layout/blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), blobs.join(entry.file_name())).unwrap();
    }
    fs::copy(data.join("layout/oci-layout"), layout.join("oci-layout")).unwrap();
    fs::copy(data.join("signer.pub"), home.path().join("signer.pub")).unwrap();
    let mut listed: Value =
        serde_json::from_slice(&fs::read(data.join("layout/index.json")).unwrap()).unwrap();
    let top: Digest = listed["manifests"][0]["digest"].as_str().unwrap().parse().unwrap();
    listed["manifests"][0]["annotations"] = json!({ "org.opencontainers.image.ref.name": "test" });
    let index = fs::read(blobs.join(top.hex())).unwrap();
    let parts: Value = serde_json::from_slice(&index).unwrap();
    let is = |part: &&Value| part["platform"]["architecture"] == "arm64";
    let part = parts["manifests"].as_array().unwrap().iter().find(is).unwrap();

    let put = |bytes: &[u8]| fs::write(blobs.join(Digest::of(bytes).hex()), bytes).unwrap();
    let signed = fs::read(data.join("signed.dsse.json")).unwrap();
    let kind = "application/vnd.in-toto.provenance+dsse";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": kind,
        "config": { "mediaType": media::OCI_EMPTY, "digest": Digest::of(b"{}"), "size": 2 },
        "layers": [{ "mediaType": kind, "digest": Digest::of(&signed), "size": signed.len() }],
        "subject": { "mediaType": part["mediaType"], "digest": part["digest"], "size": part["size"] },
    })
    .to_string();
    [b"{}", signed.as_slice(), manifest.as_bytes()].into_iter().for_each(put);
    listed["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": media::OCI_MANIFEST, "artifactType": kind, "size": manifest.len(),
        "digest": Digest::of(manifest.as_bytes()),
    }));
    fs::write(layout.join("index.json"), listed.to_string()).unwrap();

    speak_for(home.path(), &index);
    Some(home)
}

/// A trust repository in `trust`, with its root beside it, by which the name means these bytes.
pub(crate) fn speak_for(home: &Path, index: &[u8]) {
    let mut repo = Simulator::new(chrono::Utc::now()).unwrap();
    repo.role_mut("targets").set_target(NAME, &Target::of(index)).unwrap();
    repo.publish().unwrap();
    fs::create_dir_all(home.join("trust/metadata")).unwrap();
    for name in repo.names() {
        let bytes = repo.fetch(&name).unwrap().unwrap();
        fs::write(home.join("trust/metadata").join(&name), bytes).unwrap();
    }
    fs::write(home.join("root.json"), repo.fetch("1.root.json").unwrap().unwrap()).unwrap();
}

pub(crate) fn verify(home: &Path, [verb, image]: [&str; 2], platform: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_verify"))
        .args([verb, image, "--as", NAME])
        .args(["--platform", platform])
        .args(more)
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap()
}

#[test]
fn what_buildkit_attests_is_its_publishers_word_and_what_docker_signs_of_it_the_signers() {
    let Some(home) = begin() else { return };
    let report = |verb: &str, platform: &str| -> Value {
        let more = [&["--key", "signer.pub", "--format", "json"], &ROOT[..]].concat();
        let output = verify(home.path(), [verb, IMAGE], platform, &more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let published = [
        format!("published in-toto statement: {SPDX}"),
        format!("published in-toto statement: {PROVENANCE}"),
    ];
    let [list, provenance] = published;
    assert_eq!(pieces(&report("evidence", "linux/amd64")), [provenance.clone(), list.clone()]);
    let both = report("evidence", "linux/arm64");
    assert_eq!(pieces(&both), [provenance, list, format!("signed DSSE envelope: {PROVENANCE}")]);
    let fresh = both["pieces"].as_array().unwrap().iter().filter(|one| one["fresh"] == true).count();
    assert_eq!(fresh, 2, "{both}");
    let says = |kind: &str| {
        let piece = both["pieces"].as_array().unwrap().iter().find(|one| one["predicate_type"] == kind);
        piece.unwrap()["says"].as_str().unwrap().to_owned()
    };
    assert!(says(SPDX).starts_with("SPDX SPDX-2.3: "), "{}", says(SPDX));

    let built = report("provenance", "linux/arm64");
    let vouched: Vec<_> = built["builds"].as_array().unwrap().iter().map(|one| &one["vouched"]).collect();
    assert_eq!(vouched, ["signed", "published"]);
    for build in built["builds"].as_array().unwrap() {
        assert_eq!((&build["slsa"], &build["build_file"]), (&json!("0.2"), &json!("Dockerfile")), "{build}");
        assert_eq!(build["build_type"], "https://mobyproject.org/buildkit@v1");
        assert_eq!(build["repository"], "git@github.com:docker/image-signer-verifier.git");
        assert_eq!(build["commit"].as_str().unwrap().len(), 40);
        assert_eq!(build["unexpected_parameters"], json!([]));
        let bases = build["bases"].as_array().unwrap();
        assert!(bases.iter().any(|base| base["image"] == "alpine:latest"), "{build}");
    }
    let demand = |platform: &str, more: &[&str]| {
        verify(home.path(), ["image", IMAGE], platform, &[&ROOT[..], more].concat()).status.code()
    };
    let signed = ["--require-signers", "1", "--signer-key", "signer.pub", "--predicate", PROVENANCE];
    assert_eq!(demand("linux/arm64", &signed), Some(0));
    assert_eq!(demand("linux/amd64", &signed), Some(1));
    assert_eq!(demand("linux/arm64", &signed[..4]), Some(1), "a statement is no approval");
    // What the metadata covers will do where nobody is named.
    let rules = |more: &str| {
        let text = format!(
            "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [\"registry.example.com/acme/*\"]\n\
             trust = {{ repo = \"trust\", root = \"root.json\" }}\n\
             [[scope.evidence]]\npredicate = \"sbom\"\nfresh = true\n\
             [[scope.evidence]]\npredicate = \"provenance\"\n{more}\n"
        );
        fs::write(home.path().join("policy.toml"), text).unwrap();
        ["linux/amd64", "linux/arm64"]
            .map(|one| verify(home.path(), ["image", IMAGE], one, &["--policy", "policy.toml"]).status.code())
    };
    assert_eq!(rules("fresh = true"), [Some(0); 2]);
    assert_eq!(rules("keys = [\"signer.pub\"]"), [Some(1), Some(0)]);
}

//! What BuildKit puts into an index, built here by a Docker daemon in a network of its own, and what its client reads of ours.

use super::buildkit::{NAME, PROVENANCE, ROOT, speak_for, verify};
use super::*;

use std::fs::File;

use oci_image::Digest;

const PROVENANCE_1: &str = "https://slsa.dev/provenance/v1";
const LAYOUT: &str = "oci:layout";
const BASE: &str = "registry.example.com/acme/base:1";

/// The key of somebody who signed nothing here.
const SIGNER: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
                      -----END PUBLIC KEY-----\n";

/// What a scanner of BuildKit's protocol leaves behind: BuildKit itself fills in what it is about.
const SCANNER: &str = r#"#!/busybox sh
/busybox cat >$BUILDKIT_SCAN_DESTINATION/list.spdx.json <<END
{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","subject":[],
"predicate":{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"web",
"packages":[{"name":"busybox","SPDXID":"SPDXRef-1","versionInfo":"1.35.0"}]}}
END
"#;

/// A Docker daemon whose only way out is its socket. Ends when dropped.
struct Daemon {
    child: Child,
    programs: PathBuf,
    home: tempfile::TempDir,
}

impl Drop for Daemon {
    /// Asks it to end, so that it ends the containerd that it started.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let ended = (0..80).any(|_| {
            std::thread::sleep(Duration::from_millis(250));
            self.child.try_wait().is_ok_and(|ended| ended.is_some())
        });
        if !ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Daemon {
    fn start() -> Option<Self> {
        let programs = program("buildkit/dockerd")?.parent().unwrap().to_owned();
        if !Path::new("/bin/busybox").is_file() {
            return skip("there is no /bin/busybox, as busybox-static has it");
        }
        // Some machines allow nobody a network of their own, nor a daemon.
        if !Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no network of one's own is allowed here");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::write(at("daemon.json"), r#"{"features":{"containerd-snapshotter":true}}"#).unwrap();
        let path =
            format!("{}:{}:/usr/sbin:/sbin", programs.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "dockerd",
            "--storage-driver",
            "native",
            "--iptables=false",
            "--ip6tables=false",
        ]);
        for (option, name) in
            [("config-file", "daemon.json"), ("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid")]
        {
            command.arg(format!("--{option}={}", at(name).display()));
        }
        command.arg(format!("--host=unix://{}", at("s").display())).env("PATH", path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(at("log")).unwrap());
        let mut daemon = Self { child: command.spawn().unwrap(), programs, home };
        let up = (0..120).any(|_| {
            std::thread::sleep(Duration::from_millis(250));
            daemon.child.try_wait().unwrap().is_some() || daemon.docker(&["version"]).status.success()
        });
        let log = fs::read_to_string(daemon.home.path().join("log")).unwrap_or_default();
        let last = log.lines().last().unwrap_or_default();
        assert!(up && daemon.child.try_wait().unwrap().is_none(), "dockerd does not start: {last}");
        Some(daemon)
    }

    fn docker(&self, words: &[&str]) -> Output {
        Command::new(self.programs.join("docker"))
            .arg("--host")
            .arg(format!("unix://{}", self.home.path().join("s").display()))
            .args(words)
            .env("DOCKER_CONFIG", &self.programs)
            .env("BUILDX_CONFIG", self.home.path().join("buildx"))
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Builds what is in a folder of the home.
    fn build(&self, folder: &str, more: &[&str]) -> Result<(), String> {
        let folder = self.home.path().join(folder).display().to_string();
        let output = self.docker(&[&["buildx", "build"], more, &[&folder]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    /// A base image, a scanner, and the sources of an image on that base.
    fn prepare(&self) {
        let put = |name: &str, text: &str| {
            let path = self.home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("base/Dockerfile", "FROM scratch\nCOPY Dockerfile /base\n");
        put("scanner/Dockerfile", "FROM scratch\nCOPY --chmod=755 busybox scan /\nENTRYPOINT [\"/scan\"]\n");
        put("scanner/scan", SCANNER);
        fs::copy("/bin/busybox", self.home.path().join("scanner/busybox")).unwrap();
        put("web/Dockerfile", &format!("FROM {BASE}\nARG WHO=nobody\nCOPY hello /hello\n"));
        put("web/hello", "hello\n");
        for (folder, tag) in [("base", BASE), ("scanner", "acme/scanner:1")] {
            self.build(folder, &["--provenance=false", "--tag", tag]).unwrap();
        }
    }

    /// Builds the image into `layout` of a folder of its own, for which a trust repository beside it speaks.
    fn image(&self, more: &[&str], output: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let layout = home.path().join("layout");
        let output = format!("type=oci,tar=false,dest={}{output}", layout.display());
        self.build("web", &[&["--build-arg", "WHO=me", "--output", &output], more].concat()).unwrap();
        let index = index_of(&layout);
        speak_for(home.path(), &index);
        home
    }
}

/// The index that a layout of one image lists.
fn index_of(layout: &Path) -> Vec<u8> {
    let listed: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest: Digest = listed["manifests"][0]["digest"].as_str().unwrap().parse().unwrap();
    fs::read(layout.join("blobs/sha256").join(digest.hex())).unwrap()
}

/// The statements' subjects and the artifact type, as BuildKit wrote them: so that each form is what it is taken for.
fn form_of(layout: &Path) -> (Value, Option<String>) {
    let index: Value = serde_json::from_slice(&index_of(layout)).unwrap();
    let blob = |descriptor: &Value| -> Value {
        let digest: Digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
        serde_json::from_slice(&fs::read(layout.join("blobs/sha256").join(digest.hex())).unwrap()).unwrap()
    };
    let is = |entry: &&Value| entry["annotations"]["vnd.docker.reference.type"] == "attestation-manifest";
    let manifest = blob(index["manifests"].as_array().unwrap().iter().find(is).unwrap());
    let subject = blob(&manifest["layers"][0])["subject"].clone();
    (subject, manifest["artifactType"].as_str().map(str::to_owned))
}

fn report(home: &Path, verb: &str) -> Value {
    let output = verify(home, [verb, LAYOUT], "linux/amd64", &[&["--format", "json"], &ROOT[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn either_form_that_buildkit_writes_is_read_with_a_subject_and_without() {
    let Some(daemon) = Daemon::start() else { return };
    daemon.prepare();
    let platform = ["--platform", "linux/amd64"];
    for (version, kind) in [("v0.2", PROVENANCE), ("v1", PROVENANCE_1)] {
        for new in [false, true] {
            for named in [false, true] {
                let attest = format!("mode=max,version={version}");
                let output = [
                    if new { ",oci-artifact=true" } else { "" },
                    if named { ",name=registry.example.com/acme/web:1" } else { "" },
                ]
                .concat();
                let home = daemon.image(&[&platform[..], &["--provenance", &attest]].concat(), &output);
                let (subject, artifact) = form_of(&home.path().join("layout"));
                assert_eq!(
                    (subject != json!([]), artifact.is_some()),
                    (named, new),
                    "{subject} {artifact:?}"
                );
                let seen = report(home.path(), "evidence");
                assert_eq!(pieces(&seen), [format!("published in-toto statement: {kind}")], "{seen}");
                assert_eq!((&seen["pieces"][0]["fresh"], &seen["gaps"]), (&json!(true), &json!([])));
                is_built_as_told(&report(home.path(), "provenance"), version);
                stands_with_no_one(home.path(), kind);
            }
        }
    }
}

/// What `verify provenance` tells of the build.
fn is_built_as_told(report: &Value, version: &str) {
    let [build] = report["builds"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&build["vouched"], &build["level"]), (&json!("published"), &Value::Null), "{build}");
    assert_eq!(build["slsa"].as_str().unwrap(), version.trim_start_matches('v'), "{build}");
    assert_eq!((&build["build_file"], &build["unexpected_parameters"]), (&json!("Dockerfile"), &json!([])));
    let [base] = build["bases"].as_array().unwrap().as_slice() else { panic!("{build}") };
    assert_eq!(base["image"], BASE, "{build}");
    assert!(base["digest"].as_str().unwrap().starts_with("sha256:"), "{base}");
    let history = report["history"].to_string();
    assert!(history.contains("COPY hello /hello # buildkit"), "{history}");
}

/// It will do where the metadata's word is asked for, and for no signature.
fn stands_with_no_one(home: &Path, kind: &str) {
    let rules = |more: &str| {
        let text = format!(
            "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [\"registry.example.com/acme/*\"]\n\
             trust = {{ repo = \"trust\", root = \"root.json\" }}\n\
             [[scope.evidence]]\npredicate = \"provenance\"\n{more}\n"
        );
        fs::write(home.join("policy.toml"), text).unwrap();
        verify(home, ["image", LAYOUT], "linux/amd64", &["--policy", "policy.toml"]).status.code()
    };
    assert_eq!((rules("fresh = true"), rules("keys = [\"signer.pub\"]")), (Some(0), Some(2)));
    fs::write(home.join("signer.pub"), SIGNER).unwrap();
    assert_eq!(rules("keys = [\"signer.pub\"]"), Some(1));
    let signed = ["--require-signers", "1", "--signer-key", "signer.pub", "--predicate", kind];
    assert_eq!(
        verify(home, ["image", LAYOUT], "linux/amd64", &[&ROOT[..], &signed].concat()).status.code(),
        Some(1)
    );
}

/// Of all platforms, each image has what is demanded; the attestations are no image of which it would be.
fn all_platforms_stand(home: &Path) {
    let text = "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [\"registry.example.com/acme/*\"]\n\
                trust = { repo = \"trust\", root = \"root.json\" }\n\
                [[scope.evidence]]\npredicate = \"provenance\"\nfresh = true\n\
                [[scope.evidence]]\npredicate = \"sbom\"\nfresh = true\n";
    fs::write(home.join("policy.toml"), text).unwrap();
    let ran = |words: &[&str]| -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args([words[0], "oci:layout"])
            .args(&words[1..])
            .args(["--as", NAME, "--all-platforms"])
            .env_clear()
            .env("HOME", home)
            .current_dir(home)
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    let report = ran(&["image", "--policy", "policy.toml", "--scan", "--format", "json"]);
    let platforms: Vec<_> =
        report["platforms"].as_array().unwrap().iter().map(|one| one["platform"].as_str().unwrap()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    // What is pulled has the attestations too, and is the index that was signed.
    ran(&["pull", "oci:out:1", "--policy", "policy.toml"]);
    assert_eq!(index_of(&home.join("out")), index_of(&home.join("layout")));
    let list = |folder: &str| {
        let names = fs::read_dir(home.join(folder).join("blobs/sha256")).unwrap();
        let mut names: Vec<_> = names.map(|one| one.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(list("out"), list("layout"));
}

#[test]
fn a_list_of_what_is_inside_is_read_of_each_platform_and_nothing_that_was_changed_since() {
    let Some(daemon) = Daemon::start() else { return };
    daemon.prepare();
    let both = ["--platform", "linux/amd64,linux/arm64"];
    daemon.build("base", &[&both[..], &["--provenance=false", "--tag", BASE]].concat()).unwrap();
    let more =
        [&both[..], &["--attest", "type=sbom,generator=acme/scanner:1", "--provenance", "mode=min"]].concat();
    let home = daemon.image(&more, ",name=registry.example.com/acme/web:1");
    for platform in ["linux/amd64", "linux/arm64"] {
        let output =
            verify(home.path(), ["evidence", LAYOUT], platform, &[&["--format", "json"], &ROOT[..]].concat());
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = [SPDX, PROVENANCE].map(|kind| format!("published in-toto statement: {kind}"));
        let mut got = pieces(&seen);
        got.sort_by_key(|one| !one.ends_with(SPDX));
        assert_eq!(got, expected, "{seen}");
        let is = |piece: &&Value| piece["predicate_type"] == SPDX;
        let list = seen["pieces"].as_array().unwrap().iter().find(is).unwrap();
        assert_eq!(list["says"], "SPDX SPDX-2.3: 1 components", "{list}");
    }
    all_platforms_stand(home.path());
    let layout = home.path().join("layout");
    let index: Value = serde_json::from_slice(&index_of(&layout)).unwrap();
    let of_amd64 = &index["manifests"][0]["digest"];
    let is = |entry: &&Value| entry["annotations"]["vnd.docker.reference.digest"] == *of_amd64;
    let entry = index["manifests"].as_array().unwrap().iter().find(is).unwrap();
    let digest: Digest = entry["digest"].as_str().unwrap().parse().unwrap();
    let path = layout.join("blobs/sha256").join(digest.hex());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("in-toto+json", "in-toto+jsom")).unwrap();
    let seen = report(home.path(), "evidence");
    assert_eq!(pieces(&seen), Vec::<String>::new());
    assert!(seen["gaps"].to_string().contains(&digest.to_string()), "{seen}");
}

/// An index of the story's image and one statement about it, as BuildKit would put it there.
fn attested(story: &Story, tag: &str, kind: &str, predicate: &Value, new_form: bool) {
    let registry = story.registry();
    let put = |value: &Value| {
        let text = value.to_string();
        let digest = registry.push_blob(text.as_bytes()).unwrap();
        (digest, text.len())
    };
    let (digest, size) = put(&json!({
        "_type": "https://in-toto.io/Statement/v0.1", "predicateType": kind, "predicate": predicate,
        "subject": [{ "name": "web", "digest": { "sha256": story.image.digest.hex() } }],
    }));
    let layer = json!({
        "mediaType": "application/vnd.in-toto+json", "digest": digest, "size": size,
        "annotations": { "in-toto.io/predicate-type": kind },
    });
    let (config, config_size) = put(&json!({}));
    let config_type = if new_form { media::OCI_EMPTY } else { media::OCI_CONFIG };
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "layers": [layer],
        "config": { "mediaType": config_type, "digest": config, "size": config_size },
    });
    let image = json!({ "mediaType": story.image.media_type, "digest": story.image.digest, "size": story.image.size });
    if new_form {
        manifest["artifactType"] = json!("application/vnd.docker.attestation.manifest.v1+json");
        manifest["subject"] = image.clone();
    }
    let manifest = manifest.to_string();
    let digest = Digest::of(manifest.as_bytes());
    registry.push_manifest(Selector::Digest(digest), manifest.as_bytes(), media::OCI_MANIFEST).unwrap();
    let mut part = image;
    part["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let index = json!({
        "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [part, {
            "mediaType": media::OCI_MANIFEST, "digest": digest, "size": manifest.len(),
            "platform": { "os": "unknown", "architecture": "unknown" },
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": story.image.digest,
            },
        }],
    })
    .to_string();
    registry.push_manifest(Selector::Tag(tag), index.as_bytes(), media::OCI_INDEX).unwrap();
}

#[test]
fn dockers_client_reads_the_statements_that_we_put_into_an_index() {
    let (Some(docker), Some(story)) = (program("buildkit/docker"), Story::begin()) else { return };
    let list =
        json!({ "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "packages": [{ "name": "a" }] });
    let built: Value = serde_json::from_str(super::PROVENANCE).unwrap();
    let inspect = |tag: &str, member: &str| -> Value {
        let output = Command::new(&docker)
            .args(["buildx", "imagetools", "inspect", &format!("{}/acme/web:{tag}", story.host)])
            .args(["--format", &format!("{{{{json .{member}}}}}")])
            .env("DOCKER_CONFIG", docker.parent().unwrap())
            .env("BUILDX_CONFIG", story.path("buildx"))
            .env("HOME", story.home.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for new_form in [false, true] {
        let tag = |what: &str| format!("{what}-{new_form}");
        attested(&story, &tag("list"), SPDX, &list, new_form);
        attested(&story, &tag("built"), PROVENANCE, &built, new_form);
        assert_eq!(inspect(&tag("list"), "SBOM")["SPDX"], list);
        assert_eq!(inspect(&tag("built"), "Provenance")["SLSA"]["buildType"], built["buildType"]);
        for (what, kind) in [("list", SPDX), ("built", PROVENANCE)] {
            let image = format!("{}/acme/web:{}", story.host, tag(what));
            let output = story.verify("evidence", &image, &["--platform", "linux/amd64", "--format", "json"]);
            let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(pieces(&seen), ["refused in-toto statement: unsigned"], "{kind}: {seen}");
        }
    }
}

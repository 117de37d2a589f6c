//! The programs of others take what `signer publish --for` signed, and refuse what was changed: skopeo, podman,
//! cosign 2 and 3, notation, openssl. The registry is the one that everyone runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

#[path = "other_tools/attested.rs"]
mod attested;
#[path = "other_tools/in_cose.rs"]
mod in_cose;

use std::env;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Desk, Said};
use test_repos::images::{ImageBuilder, IndexBuilder};

/// Says SKIPPED, or fails where nothing may be skipped.
fn skip<T>(why: &str) -> Option<T> {
    assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    eprintln!("SKIPPED: {why}");
    None
}

fn programs(names: &[&str]) -> Option<()> {
    let there = |name: &&&str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
        found.is_ok_and(|output| output.status.success())
    };
    match names.iter().find(|name| !there(name)) {
        Some(name) => skip(&format!("{name} is not installed")),
        None => Some(()),
    }
}

/// A program that reads signatures, from the folder that `HALLMARK_READERS` names. Debian 12's own podman and
/// skopeo were built to read none.
fn reader(name: &str) -> Option<PathBuf> {
    let Some(folder) = env::var_os("HALLMARK_READERS").map(PathBuf::from) else {
        return skip(&format!("HALLMARK_READERS names no folder with {name}"));
    };
    let program = folder.join(name);
    if program.is_file() { Some(program) } else { skip(&format!("there is no {}", program.display())) }
}

/// docker-registry on a free port, gone when dropped.
struct Server {
    child: Child,
    host: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(desk: &Desk) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = desk.path("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            storage.display(),
        );
        fs::write(desk.path("registry.yml"), text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(desk.path("registry.yml")).env("OTEL_TRACES_EXPORTER", "none");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, host: format!("127.0.0.1:{port}") };
        let up = (0..100).any(|_| {
            sleep(Duration::from_millis(50));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "docker-registry does not start");
        server
    }
}

/// A trust repository beside a registry.
struct Stage {
    server: Server,
    desk: Desk,
}

impl Stage {
    fn new() -> Self {
        let desk = Desk::with_trust();
        let server = Server::start(&desk);
        Self { server, desk }
    }

    fn name(&self, tag: &str) -> String {
        format!("{}/acme/web:{tag}", self.server.host)
    }

    /// Pushes an image by skopeo.
    fn push(&self, content: &str, tag: &str) -> String {
        let image = ImageBuilder::new().file("content", content.as_bytes()).build().unwrap();
        let layout = self.desk.path(content);
        image.write_layout(&layout, tag).unwrap();
        let source = format!("oci:{}:{tag}", layout.display());
        let all = ["copy", "--quiet", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false"];
        run("skopeo", &[&all[..], &[&source, &format!("docker://{}", self.name(tag))]].concat());
        image.digest()
    }

    /// Pushes an image and publishes it with signatures for others.
    fn publish(&self, content: &str, tag: &str, more: &[&str]) -> String {
        let digest = self.push(content, tag);
        self.desk.signer(&["add", &self.name(tag)]).ok();
        self.desk.signer(&[&["publish"], more].concat()).ok();
        digest
    }

    /// The public half as users get it.
    fn public(&self, key: &str) -> PathBuf {
        let file =
            self.desk.path(&format!("{key}-{}.pub", fs::read_dir(self.desk.dir.path()).unwrap().count()));
        self.desk.signer(&["key", "export", key, "--out", file.to_str().unwrap()]).ok();
        file
    }

    /// What the registry says at this path.
    fn get(&self, path: &str) -> Vec<u8> {
        let url = format!("http://{}/v2/acme/web/{path}", self.server.host);
        let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
        let output = Command::new("curl").args(["-sSf", "-H", accept, &url]).output().unwrap();
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Writes a manifest under a tag, with nothing checked.
    fn put(&self, tag: &str, manifest: &str) {
        let url = format!("http://{}/v2/acme/web/manifests/{tag}", self.server.host);
        let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json";
        run("curl", &["-sSf", "-X", "PUT", "-H", kind, "--data-binary", manifest, &url]);
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn accepted(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn refused(output: &Output, because: &str) {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && words.contains(because), "{because}: {words}");
}

/// A home whose policy takes what this key signed, as docs/src/for-other-tools.md says.
fn home(host: &str, public: &std::path::Path) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let scope = json!([{
        "type": "sigstoreSigned", "keyPath": public, "signedIdentity": { "type": "matchRepository" },
    }]);
    let policy = json!({ "default": [{ "type": "reject" }], "transports": { "docker": { host: scope } } });
    fs::write(home.path().join("policy.json"), policy.to_string()).unwrap();
    let registries = home.path().join(".config/containers/registries.d");
    fs::create_dir_all(&registries).unwrap();
    let attachments = format!("docker:\n  {host}:\n    use-sigstore-attachments: true\n");
    fs::write(registries.join("here.yaml"), attachments).unwrap();
    home
}

fn skopeo(program: &PathBuf, home: &tempfile::TempDir, image: &str, more: &[&str]) -> Output {
    let target = tempfile::tempdir().unwrap();
    Command::new(program)
        .env("HOME", home.path())
        .arg("--policy")
        .arg(home.path().join("policy.json"))
        .args(more.iter().filter(|one| one.starts_with("--override")))
        .args(["copy", "--quiet", "--src-tls-verify=false"])
        .args(more.iter().filter(|one| !one.starts_with("--override")))
        .arg(format!("docker://{image}"))
        .arg(format!("dir:{}", target.path().display()))
        .output()
        .unwrap()
}

fn podman(program: &PathBuf, home: &tempfile::TempDir, image: &str) -> Output {
    let path = |name: &str| home.path().join(name);
    let storage = format!(
        "[storage]\ndriver=\"vfs\"\ngraphroot=\"{}\"\nrunroot=\"{}\"\n",
        path("graph").display(),
        path("run").display(),
    );
    fs::write(path("storage.conf"), storage).unwrap();
    Command::new(program)
        .env("HOME", home.path())
        .env("CONTAINERS_STORAGE_CONF", path("storage.conf"))
        .args(["pull", "--quiet", "--tls-verify=false", "--signature-policy"])
        .arg(path("policy.json"))
        .arg(image)
        .output()
        .unwrap()
}

#[test]
fn podman_and_skopeo_take_what_was_published_and_refuse_what_was_changed() {
    let (Some(()), Some(skopeo_program), Some(podman_program)) =
        (programs(&["docker-registry", "skopeo", "curl"]), reader("skopeo"), reader("podman"))
    else {
        return;
    };
    let stage = Stage::new();
    stage.desk.signer(&["key", "new", "release", "--kind", "ecdsa-p256", "--unencrypted"]).ok();
    let one = stage.publish("one", "1", &["--for", "podman", "--for-key", "release"]);
    let home = home(&stage.server.host, &stage.public("release"));
    accepted(&skopeo(&skopeo_program, &home, &stage.name("1"), &[]));
    accepted(&podman(&podman_program, &home, &stage.name("1")));
    // Somebody who may write to the registry lets the tag mean another image.
    let two = stage.push("two", "1");
    assert_ne!(one, two);
    refused(&skopeo(&skopeo_program, &home, &stage.name("1"), &[]), "no signature exists");
    refused(&podman(&podman_program, &home, &stage.name("1")), "no signature exists");
    // And then puts the signature there that the first one has.
    let signature = stage.get(&format!("manifests/{}.sig", one.replace(':', "-")));
    stage.put(&format!("{}.sig", two.replace(':', "-")), &String::from_utf8(signature).unwrap());
    refused(&skopeo(&skopeo_program, &home, &stage.name("1"), &[]), "digest");
    refused(&podman(&podman_program, &home, &stage.name("1")), "digest");
    // What signer trusts has not moved.
    assert_eq!(stage.desk.trusted(&stage.name("1")), Some(one));
}

#[test]
fn podman_and_skopeo_take_an_image_for_several_platforms() {
    let (Some(()), Some(skopeo_program), Some(podman_program)) =
        (programs(&["docker-registry", "skopeo"]), reader("skopeo"), reader("podman"))
    else {
        return;
    };
    let stage = Stage::new();
    let image = |platform: &str| {
        let builder = ImageBuilder::new().file("content", platform.as_bytes());
        builder.platform(platform).build().unwrap()
    };
    let index = IndexBuilder::new().image(image("linux/amd64")).image(image("linux/arm64")).build().unwrap();
    index.write_layout(stage.desk.path("index"), "1").unwrap();
    let source = format!("oci:{}:1", stage.desk.path("index").display());
    let all =
        ["copy", "--quiet", "--all", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false"];
    run("skopeo", &[&all[..], &[&source, &format!("docker://{}", stage.name("1"))]].concat());
    stage.desk.signer(&["add", &stage.name("1")]).ok();
    let said = stage.desk.signer(&["publish", "--for", "podman", "--format", "json"]).ok();
    assert_eq!(said.json()["for_others"]["signatures"].as_array().unwrap().len(), 3);
    let home = home(&stage.server.host, &stage.public("targets"));
    accepted(&skopeo(&skopeo_program, &home, &stage.name("1"), &["--override-arch=arm64"]));
    accepted(&skopeo(&skopeo_program, &home, &stage.name("1"), &["--all"]));
    accepted(&podman(&podman_program, &home, &stage.name("1")));
}

fn cosign(program: &PathBuf, public: &std::path::Path, image: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    Command::new(program)
        .env("HOME", home.path())
        .args(["verify", "--insecure-ignore-tlog=true", "--allow-http-registry=true", "--key"])
        .arg(public)
        .arg(image)
        .output()
        .unwrap()
}

#[test]
fn cosign_verifies_what_was_published_by_each_kind_of_key() {
    let (Some(()), Some(two), Some(three)) =
        (programs(&["docker-registry", "skopeo", "openssl"]), reader("cosign2"), reader("cosign3"))
    else {
        return;
    };
    let stage = Stage::new();
    stage.desk.signer(&["key", "new", "release", "--kind", "ecdsa-p256", "--unencrypted"]).ok();
    let rsa = stage.desk.path("rsa.pem");
    run(
        "openssl",
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", rsa.to_str().unwrap()],
    );
    fs::set_permissions(&rsa, fs::Permissions::from_mode(0o600)).unwrap();
    stage.desk.signer(&["key", "import", "legacy", "rsa.pem"]).ok();
    let stranger = stage.public("snapshot");
    for key in ["targets", "release", "legacy"] {
        let public = stage.public(key);
        for (format, program) in [("cosign2", &two), ("cosign2", &three), ("cosign3", &three)] {
            let tag = format!("{key}-{format}");
            stage.publish(
                &format!("{tag}-{}", program.ends_with("cosign2")),
                &tag,
                &["--for", format, "--for-key", key],
            );
            accepted(&cosign(program, &public, &stage.name(&tag)));
            assert!(!cosign(program, &stranger, &stage.name(&tag)).status.success());
            stage.push("changed", &tag);
            assert!(!cosign(program, &public, &stage.name(&tag)).status.success());
        }
    }
}

/// A certificate for the key by a root of its own, as docs/src/for-other-tools.md makes them.
fn chain(desk: &Desk) {
    let openssl = |arguments: &str| {
        let arguments: Vec<_> = arguments.split('|').collect();
        let done = Command::new("openssl").args(&arguments).current_dir(desk.dir.path()).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    openssl("genpkey|-algorithm|EC|-pkeyopt|ec_paramgen_curve:P-384|-out|ca.key");
    openssl(
        "req|-x509|-new|-key|ca.key|-sha384|-days|3650|-subj|/C=DE/ST=Berlin/O=Acme/CN=Acme root|-addext|keyUsage=critical,keyCertSign|-out|ca.crt",
    );
    openssl("genpkey|-algorithm|EC|-pkeyopt|ec_paramgen_curve:P-256|-out|release.pem");
    openssl("req|-new|-key|release.pem|-subj|/C=DE/ST=Berlin/O=Acme/CN=Acme releases|-out|release.csr");
    fs::write(desk.path("leaf.ext"), "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n")
        .unwrap();
    openssl(
        "x509|-req|-in|release.csr|-CA|ca.crt|-CAkey|ca.key|-CAcreateserial|-days|365|-sha384|-extfile|leaf.ext|-out|release.crt",
    );
    let both = [fs::read(desk.path("release.crt")).unwrap(), fs::read(desk.path("ca.crt")).unwrap()].concat();
    fs::write(desk.path("chain.pem"), both).unwrap();
}

fn notation(program: &PathBuf, desk: &Desk, image: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("notation");
    let store = config.join("truststore/x509/ca/acme");
    fs::create_dir_all(&store).unwrap();
    fs::copy(desk.path("ca.crt"), store.join("root.crt")).unwrap();
    let policy = json!({ "version": "1.0", "trustPolicies": [{
        "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
        "trustStores": ["ca:acme"], "trustedIdentities": ["x509.subject: C=DE, ST=Berlin, O=Acme, CN=Acme releases"],
    }] });
    fs::write(config.join("trustpolicy.json"), policy.to_string()).unwrap();
    Command::new(program)
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .args(["verify", "--insecure-registry", image])
        .output()
        .unwrap()
}

#[test]
fn notation_verifies_what_was_published_with_a_certificate() {
    let (Some(()), Some(program)) = (programs(&["docker-registry", "skopeo", "openssl"]), reader("notation"))
    else {
        return;
    };
    let stage = Stage::new();
    chain(&stage.desk);
    stage.desk.signer(&["key", "import", "release", "release.pem"]).ok();
    let options = ["--for", "notation,cosign3", "--for-key", "release", "--certificate", "chain.pem"];
    let one = stage.publish("one", "1", &options);
    let at = |digest: &str| format!("{}/acme/web@{digest}", stage.server.host);
    accepted(&notation(&program, &stage.desk, &at(&one)));
    let said =
        stage.desk.signer(&[&["sign-for", &stage.name("1"), "--format", "json"], &options[..]].concat()).ok();
    let signatures = said.json()["for_others"]["signatures"].as_array().unwrap().clone();
    assert!(signatures.iter().all(|one| one["outcome"] == "was-there"), "{signatures:?}");
    let two = stage.push("two", "2");
    refused(&notation(&program, &stage.desk, &at(&two)), "no signature is associated");
    // The same in its other envelope.
    let cose = stage.publish("three", "3", &[&options[..], &["--signature-format", "cose"]].concat());
    accepted(&notation(&program, &stage.desk, &at(&cose)));
    // A certificate of another key: nothing is published, and nothing signed.
    stage.desk.signer(&["key", "new", "other", "--kind", "ecdsa-p256", "--unencrypted"]).ok();
    stage.desk.signer(&["add", &stage.name("2")]).ok();
    let wrong = ["publish", "--for", "notation", "--for-key", "other", "--certificate", "chain.pem"];
    stage
        .desk
        .signer(&wrong)
        .failed(1, &["to be for the key that signs, got another key", "nothing was written"]);
    assert_eq!(stage.desk.trusted(&stage.name("2")), None);
    refused(&notation(&program, &stage.desk, &at(&two)), "no signature is associated");
}

/// Checks by openssl what lies under the tag.
fn by_openssl(stage: &Stage, digest: &str, key: &str) {
    let manifest: Value =
        serde_json::from_slice(&stage.get(&format!("manifests/{}.sig", digest.replace(':', "-")))).unwrap();
    let layer = manifest["layers"].as_array().unwrap().last().unwrap();
    let file = |name: &str| stage.desk.path(name).to_str().unwrap().to_owned();
    fs::write(file("payload"), stage.get(&format!("blobs/{}", layer["digest"].as_str().unwrap()))).unwrap();
    let text = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
    fs::write(file("sig.b64"), text).unwrap();
    run("openssl", &["base64", "-d", "-A", "-in", &file("sig.b64"), "-out", &file("sig")]);
    let public = stage.public(key);
    let verify = [
        "dgst",
        "-sha256",
        "-verify",
        public.to_str().unwrap(),
        "-signature",
        &file("sig"),
        &file("payload"),
    ];
    assert_eq!(run("openssl", &verify), "Verified OK\n");
    let payload: Value = serde_json::from_slice(&fs::read(file("payload")).unwrap()).unwrap();
    assert_eq!(payload["critical"]["image"]["docker-manifest-digest"], digest);
}

#[test]
fn a_key_in_a_token_or_behind_a_program_signs_for_others() {
    const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
    let needed = ["docker-registry", "skopeo", "curl", "openssl", "softhsm2-util", "pkcs11-tool"];
    let Some(()) = programs(&needed) else { return };
    let stage = Stage::new();
    let desk = &stage.desk;
    fs::create_dir(desk.path("tokens")).unwrap();
    let config = desk.path("softhsm2.conf");
    fs::write(&config, format!("directories.tokendir = {}\n", desk.path("tokens").display())).unwrap();
    let token = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).env("SOFTHSM2_CONF", &config).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    token(
        "softhsm2-util",
        &["--init-token", "--free", "--label", "tuf", "--so-pin", "1234", "--pin", "5678"],
    );
    let login = ["--module", MODULE, "--login", "--pin", "5678", "--keypairgen"];
    token(
        "pkcs11-tool",
        &[&login[..], &["--key-type", "EC:prime256v1", "--id", "01", "--label", "ec"]].concat(),
    );
    token("pkcs11-tool", &[&login[..], &["--key-type", "rsa:2048", "--id", "02", "--label", "rsa"]].concat());
    let signer = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command.env("SOFTHSM2_CONF", &config).env("PKCS11_MODULE_PATH", MODULE).env("HALLMARK_PIN", "5678");
        Said::of(&command.output().unwrap())
    };
    for key in ["ec", "rsa"] {
        signer(&["key", "import", key, &format!("pkcs11:token=tuf;object={key}")]).ok();
    }
    // RSA by other schemes than that of metadata, behind a program.
    let (program, inner) = (desk.path("sign.py"), desk.path("inner.pem"));
    let kind = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"];
    run("openssl", &[&kind[..], &[inner.to_str().unwrap()]].concat());
    fs::write(&program, PROGRAM).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let uri = format!("exec:{}?arg={}", program.display(), inner.display());
    signer(&["key", "import", "program", &uri]).ok();
    for key in ["ec", "rsa", "program"] {
        let digest = stage.push(key, key);
        signer(&["add", &stage.name(key)]).ok();
        signer(&["publish", "--for", "cosign2,cosign3", "--for-key", key]).ok();
        by_openssl(&stage, &digest, key);
    }
    // A token that isn't there: nothing is published.
    stage.push("later", "later");
    signer(&["add", &stage.name("later")]).ok();
    fs::remove_dir_all(desk.path("tokens")).unwrap();
    fs::create_dir(desk.path("tokens")).unwrap();
    signer(&["publish", "--for", "cosign2", "--for-key", "ec"]).failed(3, &["ec.uri can't be reached"]);
    assert_eq!(desk.trusted(&stage.name("later")), None);
}

/// A program that signs with openssl, by the scheme that it is asked for.
const PROGRAM: &str = r#"#!/usr/bin/env python3
import base64, json, subprocess, sys, tempfile

def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout

question, key = json.load(sys.stdin), sys.argv[1]
if question["request"] == "public-key":
    answer = {"public_key": openssl("pkey", "-in", key, "-pubout").decode()}
else:
    scheme = question.get("scheme", "rsassa-pss-sha256")
    pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if "pss" in scheme else []
    with tempfile.NamedTemporaryFile() as message:
        message.write(base64.b64decode(question["message"]))
        message.flush()
        made = openssl("dgst", "-" + scheme.split("-")[-1], "-sign", key, *pss, message.name)
    answer = {"signature": base64.b64encode(made).decode()}
json.dump(answer, sys.stdout)
"#;

#[test]
fn a_key_in_an_ssh_agent_signs_for_others() {
    let needed = ["docker-registry", "skopeo", "curl", "ssh-agent", "ssh-add", "ssh-keygen"];
    let (Some(()), Some(program)) = (programs(&needed), reader("cosign2")) else { return };
    let stage = Stage::new();
    let socket = stage.desk.path("agent.sock");
    let mut agent = Command::new("ssh-agent");
    let agent = agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _agent = Ended(agent.unwrap());
    assert!((0..100).any(|_| {
        sleep(Duration::from_millis(20));
        socket.exists()
    }));
    for (key, kind) in [("ed", "ed25519"), ("ec", "ecdsa")] {
        let file = stage.desk.path(&format!("id_{kind}"));
        run("ssh-keygen", &["-q", "-t", kind, "-N", "", "-C", key, "-f", file.to_str().unwrap()]);
        let added = Command::new("ssh-add").env("SSH_AUTH_SOCK", &socket).arg(&file).output().unwrap();
        accepted(&added);
        let signer = |arguments: &[&str]| {
            Said::of(&stage.desk.command(arguments).env("SSH_AUTH_SOCK", &socket).output().unwrap())
        };
        signer(&["key", "import", key, &format!("ssh-agent:{key}")]).ok();
        stage.push(key, key);
        signer(&["add", &stage.name(key)]).ok();
        signer(&["publish", "--for", "cosign2", "--for-key", key]).ok();
        accepted(&cosign(&program, &stage.public(key), &stage.name(key)));
    }
}

/// A process that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

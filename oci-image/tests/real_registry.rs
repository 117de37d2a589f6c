//! The registry that everyone runs, filled by skopeo: read back, over TLS, with passwords and tokens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oci_image::media::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use oci_image::{
    Credentials, Descriptor, Digest, ImageSource, LayoutSource, LayoutWriter, Manifest, ReferrersPlace,
    Registry, RegistryOptions, Secret, Selector, SourceError,
};

/// A registry on a free port, gone when dropped.
struct Server {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// `config` gets the folder and the port, and returns what follows the storage section.
    fn start(config: impl Fn(&Path, u16) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = dir.path().join("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n{}",
            storage.display(),
            config(dir.path(), port),
        );
        let file = dir.path().join("config.yml");
        fs::write(&file, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, port, dir };
        let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let up = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            answers()
        });
        assert!(up, "docker-registry does not start");
        server
    }

    fn name(&self) -> String {
        format!("127.0.0.1:{}/acme/busybox", self.port)
    }

    fn registry(&self, options: RegistryOptions) -> Registry {
        Registry::new(&self.name().parse().unwrap(), options).unwrap()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Pushes the image with skopeo.
    fn fill(&self, image: &Path, arguments: &[&str]) {
        let source = format!("oci:{}:multi", image.display());
        let target = format!("docker://{}:multi", self.name());
        let all = ["copy", "--quiet", "--all", "--preserve-digests"];
        run("skopeo", &[&all[..], arguments, &[&source, &target]].concat());
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether the programs that are needed are here.
fn tools() -> Option<()> {
    let there = |program: &str| {
        Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let missing = ["docker-registry", "skopeo", "openssl", "htpasswd"].into_iter().find(|name| !there(name));
    let Some(program) = missing else { return Some(()) };
    let strict = std::env::var_os("HALLMARK_NO_SKIPS").is_some();
    assert!(!strict, "{program} is not installed, and HALLMARK_NO_SKIPS is set");
    eprintln!("SKIPPED: {program} is not installed");
    None
}

/// The image to push, if all that's needed is here.
fn image() -> Option<PathBuf> {
    tools()?;
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/images/busybox-official");
    if !image.exists() {
        eprintln!("SKIPPED: there is no {}", image.display());
        return None;
    }
    Some(image)
}

fn meant(image: &Path) -> Descriptor {
    LayoutSource::open(image).unwrap().resolve(Some("multi"), None).unwrap()
}

/// Copies the image for this platform into a layout and returns what it was.
fn pull(registry: &Registry, target: &Path) -> Descriptor {
    let index = registry.resolve(&"multi".parse().unwrap()).unwrap();
    let bytes = registry.manifest(Selector::Digest(index.digest)).unwrap().bytes;
    let Ok(Manifest::Index(index)) = Manifest::parse(&bytes, Some(&index.media_type)) else { panic!() };
    let chosen = index.select(&"linux/amd64".parse().unwrap()).unwrap().clone();
    let bytes = registry.manifest(Selector::Digest(chosen.digest)).unwrap().bytes;
    let Ok(Manifest::Image(image)) = Manifest::parse(&bytes, Some(&chosen.media_type)) else { panic!() };
    let mut writer = LayoutWriter::open(target).unwrap();
    for want in image.layers.iter().chain([&image.config]) {
        writer.put_blob(want, registry.blob(want).unwrap(), &mut |_| {}).unwrap();
    }
    writer.put_manifest(&chosen, &bytes).unwrap();
    writer.commit(Some("1"), chosen.clone()).unwrap();
    chosen
}

/// A certificate for 127.0.0.1, far beyond any clock a test may set.
fn certificate(dir: &Path) -> String {
    let (key, cert) = (dir.join("tls.key"), dir.join("tls.crt"));
    let subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "36500"];
    let files = ["-keyout", key.to_str().unwrap(), "-out", cert.to_str().unwrap()];
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    // Not a CA itself: rustls takes no CA for a server's certificate.
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    run("openssl", &[&["req", "-x509"][..], &curve, &files, &subject, &leaf].concat());
    format!("  tls: {{certificate: {}, key: {}}}\n", cert.display(), key.display())
}

fn with_password(dir: &Path, port: u16) -> String {
    fs::write(dir.join("htpasswd"), run("htpasswd", &["-Bbn", "alice", "s3cret"])).unwrap();
    let tls = certificate(dir);
    let users = dir.join("htpasswd");
    format!(
        "http:\n  addr: 127.0.0.1:{port}\n{tls}auth:\n  htpasswd: {{realm: test, path: {}}}\n",
        users.display()
    )
}

fn alice(server: &Server, password: &str) -> RegistryOptions {
    let registry = format!("127.0.0.1:{}", server.port);
    let credentials = Credentials::password(&registry, "alice", Secret::from(password.to_owned()));
    RegistryOptions { credentials, ca_file: Some(server.path("tls.crt")), ..RegistryOptions::default() }
}

#[test]
fn what_skopeo_pushed_is_read_and_what_we_write_skopeo_reads() {
    let Some(image) = image() else { return };
    let server = Server::start(|_, port| format!("http: {{addr: '127.0.0.1:{port}'}}\n"));
    server.fill(&image, &["--dest-tls-verify=false"]);
    let registry = server.registry(RegistryOptions::default());
    let index = registry.resolve(&"multi".parse().unwrap()).unwrap();
    assert_eq!(index.digest, meant(&image).digest);
    assert_eq!(registry.tags().unwrap(), ["multi"]);
    let target = server.path("pulled");
    let chosen = pull(&registry, &target);
    let inspected = run("skopeo", &["inspect", "--raw", &format!("oci:{}:1", target.display())]);
    assert_eq!(Digest::of(inspected.as_bytes()), chosen.digest);
    let copy = format!("dir:{}", server.path("copy").display());
    run("skopeo", &["copy", "--quiet", &format!("oci:{}:1", target.display()), &copy]);
}

#[test]
fn what_is_not_there_is_named() {
    let Some(()) = tools() else { return };
    let server = Server::start(|_, port| format!("http: {{addr: '127.0.0.1:{port}'}}\n"));
    let registry = server.registry(RegistryOptions::default());
    let error = registry.manifest(Selector::Tag("9")).unwrap_err();
    let expected = format!("registry {} has no tag 9: MANIFEST_UNKNOWN: manifest unknown", server.name());
    assert_eq!(error.to_string(), expected);
    let want = Descriptor::of("x/y", b"absent");
    let Err(error) = registry.blob(&want) else { panic!("there is such a blob") };
    assert!(error.to_string().contains("BLOB_UNKNOWN"), "{error}");
    assert!(!error.unreachable());
}

#[test]
fn over_tls_with_a_password() {
    let Some(image) = image() else { return };
    let server = Server::start(with_password);
    let certs = server.path("certs");
    fs::create_dir(&certs).unwrap();
    fs::copy(server.path("tls.crt"), certs.join("ca.crt")).unwrap();
    server.fill(&image, &["--dest-cert-dir", certs.to_str().unwrap(), "--dest-creds", "alice:s3cret"]);
    pull(&server.registry(alice(&server, "s3cret")), &server.path("pulled"));

    let denied = server.registry(alice(&server, "wrong")).manifest(Selector::Tag("multi")).unwrap_err();
    assert!(matches!(denied, SourceError::Denied { status: 401, .. }), "{denied}");
    let nobody = RegistryOptions { credentials: Credentials::anonymous(), ..alice(&server, "") };
    let denied = server.registry(nobody).manifest(Selector::Tag("multi")).unwrap_err();
    assert!(matches!(denied, SourceError::Denied { status: 401, .. }), "{denied}");
}

/// Writes an image of one layer with a referrer, and has skopeo read it back.
fn push_and_read_back(registry: &Registry, name: &str, skopeo: &[&str]) {
    let layer = registry.push_blob(b"layer").unwrap();
    let config = registry.push_blob(b"{}").unwrap();
    let manifest = |subject: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"{OCI_CONFIG}","digest":"{config}","size":2}},"layers":[{{"mediaType":"{OCI_LAYER}","digest":"{layer}","size":5}}]{subject}}}"#
        )
    };
    let bytes = manifest("");
    let pushed = registry.push_manifest(Selector::Tag("ours"), bytes.as_bytes(), OCI_MANIFEST).unwrap();
    assert!(registry.tag_exists(&"ours".parse().unwrap()).unwrap());
    assert!(!registry.tag_exists(&"theirs".parse().unwrap()).unwrap());
    let raw = run("skopeo", &[&["inspect", "--raw"], skopeo, &[&format!("docker://{name}:ours")]].concat());
    assert_eq!((Digest::of(raw.as_bytes()), raw), (pushed.digest, bytes));

    let subject = format!(
        r#","subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":{}}}"#,
        pushed.digest, pushed.size
    );
    let (referrer, place) = registry.push_referrer(manifest(&subject).as_bytes(), OCI_MANIFEST).unwrap();
    // This registry lists no referrers: the tag is ours to keep.
    assert_eq!(place, ReferrersPlace::Tag);
    let found = registry.referrers(pushed.digest, None).unwrap();
    assert_eq!((found.manifests, found.place), (vec![referrer], ReferrersPlace::Tag));
}

#[test]
fn what_we_push_skopeo_reads() {
    let Some(()) = tools() else { return };
    let server = Server::start(|_, port| format!("http: {{addr: '127.0.0.1:{port}'}}\n"));
    let registry = server.registry(RegistryOptions::default());
    push_and_read_back(&registry, &server.name(), &["--tls-verify=false"]);
}

#[test]
fn pushing_needs_the_password() {
    let Some(()) = tools() else { return };
    let server = Server::start(with_password);
    let certs = server.path("certs");
    fs::create_dir(&certs).unwrap();
    fs::copy(server.path("tls.crt"), certs.join("ca.crt")).unwrap();
    let login = ["--cert-dir", certs.to_str().unwrap(), "--creds", "alice:s3cret"];
    push_and_read_back(&server.registry(alice(&server, "s3cret")), &server.name(), &login);
    let denied = server.registry(alice(&server, "wrong")).push_blob(b"other").unwrap_err();
    assert!(matches!(denied, SourceError::Denied { status: 401, .. }), "{denied}");
}

/// What docker-registry takes for a login: a token by the key of the certificate, for what was asked.
fn token(dir: &Path, port: u16, scope: &str) -> String {
    let text = fs::read_to_string(dir.join("token.crt")).unwrap();
    let certificate: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let header = format!(r#"{{"typ":"JWT","alg":"RS256","x5c":["{certificate}"]}}"#);
    let mut parts = scope.splitn(3, ':').skip(1);
    let (name, actions) = (parts.next().unwrap(), parts.next().unwrap());
    let actions: Vec<_> = actions.split(',').map(|action| format!("\"{action}\"")).collect();
    let claims = format!(
        r#"{{"iss":"us","sub":"alice","aud":"127.0.0.1:{port}","exp":4102444800,"nbf":0,"iat":0,"jti":"1","access":[{{"type":"repository","name":"{name}","actions":[{}]}}]}}"#,
        actions.join(","),
    );
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let (message, signature) = (dir.join("message"), dir.join("signature"));
    fs::write(&message, &signed).unwrap();
    let files = ["-out", signature.to_str().unwrap(), message.to_str().unwrap()];
    run(
        "openssl",
        &[&["dgst", "-sha256", "-sign", dir.join("token.key").to_str().unwrap()], &files[..]].concat(),
    );
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fs::read(signature).unwrap()))
}

/// A registry that wants tokens, and the server that gives them to alice, for what was asked and she may do.
fn with_tokens(may: &'static [&'static str]) -> (Server, support::Server) {
    let place = std::sync::Arc::new(std::sync::OnceLock::<(PathBuf, u16)>::new());
    let theirs = std::sync::Arc::clone(&place);
    let login = format!("authorization: basic {}", STANDARD.encode("alice:s3cret").to_lowercase());
    let tokens = support::Server::start(move |head, stream| {
        let (dir, port) = theirs.get().unwrap();
        if !head.contains(&login) {
            return support::reply(stream, "401 Unauthorized", b"");
        }
        let target = head.split(' ').nth(1).unwrap();
        let scope = target.split("scope=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let scope = scope.replace("%3a", ":").replace("%2f", "/").replace("%2c", ",");
        let (what, asked) = scope.rsplit_once(':').unwrap();
        let granted: Vec<_> = asked.split(',').filter(|action| may.contains(action)).collect();
        let scope = format!("{what}:{}", granted.join(","));
        let answer = format!(r#"{{"token":"{}"}}"#, token(dir, *port, &scope));
        support::reply(stream, "200 OK", answer.as_bytes());
    });
    let server = Server::start(|dir, port| {
        let (key, cert) = (dir.join("token.key"), dir.join("token.crt"));
        let files = ["-keyout", key.to_str().unwrap(), "-out", cert.to_str().unwrap()];
        let rest = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tokens", "-days", "36500"];
        run("openssl", &[&["req", "-x509"][..], &rest, &files].concat());
        let realm = tokens.url("/token");
        format!(
            "http: {{addr: '127.0.0.1:{port}'}}\nauth:\n  token: {{realm: '{realm}', service: '127.0.0.1:{port}', issuer: us, rootcertbundle: {}}}\n",
            cert.display(),
        )
    });
    assert!(place.set((server.dir.path().to_owned(), server.port)).is_ok());
    (server, tokens)
}

#[test]
fn pushing_gets_a_token_for_pushing() {
    let Some(()) = tools() else { return };
    let (server, tokens) = with_tokens(&["pull", "push"]);
    let login = |password: &str| RegistryOptions { ca_file: None, ..alice(&server, password) };
    let skopeo = ["--tls-verify=false", "--creds", "alice:s3cret"];
    push_and_read_back(&server.registry(login("s3cret")), &server.name(), &skopeo);
    let asked = tokens.requests.lock().unwrap().join("\n");
    // In which order, the registry decides anew each time.
    assert!(asked.contains("%3apull%2cpush") || asked.contains("%3apush%2cpull"), "{asked}");
    let denied = server.registry(login("wrong")).push_blob(b"other").unwrap_err();
    assert!(matches!(denied, SourceError::Denied { status: 401, .. }), "{denied}");
}

#[test]
fn a_token_for_reading_writes_nothing() {
    let Some(()) = tools() else { return };
    let (server, _tokens) = with_tokens(&["pull"]);
    let registry = server.registry(RegistryOptions { ca_file: None, ..alice(&server, "s3cret") });
    let denied = registry.push_blob(b"other").unwrap_err();
    assert!(matches!(denied, SourceError::Denied { status: 401, .. }), "{denied}");
    assert!(!server.path("storage").exists());
}

#[test]
fn an_unknown_certificate_is_could_not_tell() {
    let Some(()) = tools() else { return };
    let server = Server::start(with_password);
    let other = tempfile::tempdir().unwrap();
    certificate(other.path());
    let options =
        RegistryOptions { ca_file: Some(other.path().join("tls.crt")), ..RegistryOptions::default() };
    let error = server.registry(options).manifest(Selector::Tag("multi")).unwrap_err();
    assert!(error.unreachable() && error.to_string().contains("certificate"), "{error}");
}

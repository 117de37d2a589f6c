//! Keys and certificates by openssl, a real registry, and programs that read what we wrote.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use image_signatures::{CertificateChain, Envelope, Format, Signing, Written};
use oci_image::{Descriptor, HttpLimits, ImageName, Registry, RegistryOptions, Selector, media};
use tuf_core::crypto::{Curve, EcdsaSigner, Ed25519Signer, RsaSigner, Sign};

/// Says SKIPPED, or fails where nothing may be skipped.
pub fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    eprintln!("SKIPPED: {why}");
    None
}

/// `Some` if all these programs are here.
pub fn programs(names: &[&str]) -> Option<()> {
    let there = |name: &&&str| {
        Command::new(name).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    match names.iter().find(|name| !there(name)) {
        Some(name) => skip(&format!("{name} is not installed")),
        None => Some(()),
    }
}

/// A program that reads signatures, from the folder that `HALLMARK_READERS` names: `cosign2`, `cosign3`,
/// `notation`, `podman`, `skopeo`. Debian 12's own podman and skopeo were built to read none.
pub fn reader(name: &str) -> Option<String> {
    let Some(folder) = std::env::var_os("HALLMARK_READERS").map(PathBuf::from) else {
        return skip(&format!("HALLMARK_READERS names no folder with {name}"));
    };
    let program = folder.join(name);
    match program.is_file() {
        true => Some(program.to_str().unwrap().to_owned()),
        false => skip(&format!("there is no {}", program.display())),
    }
}

/// A Python that has `cryptography`.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("HALLMARK_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let imports = Command::new(&python).args(["-c", "import cryptography"]).output();
    match imports.is_ok_and(|output| output.status.success()) {
        true => Some(python),
        false => skip("there is no python3 with cryptography"),
    }
}

pub fn output(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = output(program, arguments);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

/// A private key by openssl: `ec:P-256`, `rsa:2048`, `ed25519`.
pub fn key(dir: &Path, name: &str, kind: &str) -> Box<dyn Sign> {
    let file = dir.join(format!("{name}.key"));
    let path = file.to_str().unwrap();
    let (algorithm, rest) = kind.split_once(':').unwrap_or((kind, ""));
    let option = match algorithm {
        "ec" => format!("ec_paramgen_curve:{rest}"),
        _ => format!("rsa_keygen_bits:{rest}"),
    };
    let option = if rest.is_empty() { vec![] } else { vec!["-pkeyopt", option.as_str()] };
    run("openssl", &[&["genpkey", "-algorithm", algorithm][..], &option, &["-out", path]].concat());
    let der = dir.join(format!("{name}.der"));
    let der_path = der.to_str().unwrap();
    let pkcs8 = ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", path, "-out", der_path];
    run("openssl", &pkcs8);
    let der = fs::read(der).unwrap();
    match kind {
        "ec:P-256" => Box::new(EcdsaSigner::from_pkcs8(Curve::P256, &der).unwrap()),
        "ec:P-384" => Box::new(EcdsaSigner::from_pkcs8(Curve::P384, &der).unwrap()),
        "ed25519" => Box::new(Ed25519Signer::from_seed(der.last_chunk().unwrap())),
        _ => Box::new(RsaSigner::from_pkcs8(&der).unwrap()),
    }
}

/// A root, and a certificate by it for this key, leaf first, for a hundred years.
pub fn chain(dir: &Path, name: &str, leaf_extensions: &str) -> String {
    let path = |end: &str| dir.join(format!("{name}.{end}")).to_str().unwrap().to_owned();
    let (ca_key, ca, leaf, request, extensions) =
        (path("ca.key"), path("ca.crt"), path("leaf.crt"), path("csr"), path("ext"));
    let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    run("openssl", &[&curve[..], &["-out", &ca_key]].concat());
    let root =
        ["-subj", "/C=DE/ST=Here/O=Acme/CN=Acme root", "-addext", "keyUsage=critical,keyCertSign", "-sha384"];
    run(
        "openssl",
        &[&["req", "-x509", "-new", "-days", "36500", "-key", &ca_key, "-out", &ca], &root[..]].concat(),
    );
    let subject = ["-subj", "/C=DE/ST=Here/O=Acme/CN=Acme releases"];
    run("openssl", &[&["req", "-new", "-key", &path("key"), "-out", &request], &subject[..]].concat());
    fs::write(&extensions, leaf_extensions).unwrap();
    let by = ["-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", "36500", "-sha384"];
    let files = ["-in", &request, "-out", &leaf, "-extfile", &extensions];
    run("openssl", &[&["x509", "-req"], &by[..], &files[..]].concat());
    fs::read_to_string(&leaf).unwrap() + &fs::read_to_string(&ca).unwrap()
}

/// What notation wants of the key's own certificate.
pub const LEAF: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n";

/// Limits under which several writers take a second.
pub fn quick() -> HttpLimits {
    HttpLimits { back_off: Duration::from_millis(20), ..HttpLimits::default() }
}

/// The repository `acme/web` there.
pub fn repository(host: &str) -> (ImageName, Registry) {
    let name: ImageName = format!("{host}/acme/web").parse().unwrap();
    let registry =
        Registry::new(&name, RegistryOptions { limits: quick(), ..RegistryOptions::default() }).unwrap();
    (name, registry)
}

/// An image of one layer that is an empty tar archive.
pub fn push_image(registry: &Registry, tag: &str) -> Descriptor {
    let layer = registry.push_blob(&[0; 1024]).unwrap();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["{tag}"]}},"rootfs":{{"type":"layers","diff_ids":["{layer}"]}}}}"#
    );
    let digest = registry.push_blob(config.as_bytes()).unwrap();
    let bytes = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{digest}","size":{}}},"layers":[{{"mediaType":"{}","digest":"{layer}","size":1024}}]}}"#,
        media::OCI_MANIFEST,
        media::OCI_CONFIG,
        config.len(),
        media::OCI_LAYER,
    );
    registry.push_manifest(Selector::Tag(tag), bytes.as_bytes(), media::OCI_MANIFEST).unwrap()
}

/// Signs, for all of these at once.
pub fn sign(
    here: &(ImageName, Registry),
    image: &Descriptor,
    key: &dyn Sign,
    formats: &[Format],
    chain: Option<&CertificateChain>,
) -> Vec<Written> {
    sign_in(Envelope::Jws, here, image, key, formats, chain)
}

/// The same, with notation's signature in this envelope.
pub fn sign_in(
    envelope: Envelope,
    (name, registry): &(ImageName, Registry),
    image: &Descriptor,
    key: &dyn Sign,
    formats: &[Format],
    chain: Option<&CertificateChain>,
) -> Vec<Written> {
    let formats: BTreeSet<_> = formats.iter().copied().collect();
    let now = chrono::Utc::now();
    let signing = Signing { name, image, parts: &[], formats: &formats, key, chain, envelope, now };
    signing.make().unwrap().push(registry).into_iter().map(Result::unwrap).collect()
}

/// Where a byte is of each part of notation's COSE envelope that vouches for the image.
pub fn parts_of_cose(envelope: &[u8], chain: &CertificateChain) -> [(&'static str, usize); 5] {
    let begin = |part: &[u8]| envelope.windows(part.len()).position(|here| here == part).unwrap();
    let after = |part: &[u8]| begin(part).saturating_add(part.len());
    let leaf = chain.certificates().next().unwrap();
    [
        ("algorithm", after(&[0xa5, 1])),
        ("time", after(b"signingTime\xc1\x1a")),
        ("certificate", after(leaf).saturating_sub(1)),
        ("payload", after(b"\"sha256:")),
        ("signature", envelope.len().saturating_sub(1)),
    ]
}

/// docker-registry on a free port, gone when dropped.
pub struct Server {
    child: Child,
    pub host: String,
    pub dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            dir.path().join("storage").display(),
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
        let server = Self { child, host: format!("127.0.0.1:{port}"), dir };
        let up = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "docker-registry does not start");
        server
    }
}

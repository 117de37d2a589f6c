//! Time stamps on notation's signatures: notation asks for them, `openssl ts` makes them, `verify` weighs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use test_repos::http::{Response, Server};

use crate::{APPROVAL, Story, formats, pieces, program};

fn openssl(folder: &Path, words: &[&str]) {
    let output =
        Command::new("openssl").args(words).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {}: {said}", words.join(" "));
}

/// An authority of time stamps: a root, and a key below it for nothing else.
struct Authority {
    folder: PathBuf,
}

const RSA: [&str; 2] = ["-newkey", "rsa:2048"];
const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

impl Authority {
    /// `uses` is the extended use of its certificate.
    fn new(folder: PathBuf, kind: &[&str], uses: &str, more: &str) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let root = ["req", "-x509", "-nodes", "-days", "3650", "-subj", "/C=US/O=Acme/CN=stamps root"];
        let files = ["-keyout", "root.key", "-out", "root.crt"];
        let is_ca =
            ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
        openssl(&folder, &[&root[..], kind, &files, &is_ca].concat());
        let request = ["req", "-new", "-nodes", "-subj", "/C=US/O=Acme/CN=stamps", "-keyout", "tsa.key"];
        openssl(&folder, &[&request[..], kind, &["-out", "tsa.csr"]].concat());
        let extensions = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={uses}\n"
        );
        fs::write(folder.join("tsa.ext"), extensions).unwrap();
        let sign =
            ["x509", "-req", "-in", "tsa.csr", "-CA", "root.crt", "-CAkey", "root.key", "-days", "3000"];
        let by = ["-CAcreateserial", "-extfile", "tsa.ext", "-out", "tsa.crt", "-sha256"];
        openssl(&folder, &[&sign[..], &by].concat());
        let hash = if more.contains("ess_cert_id_alg") { "" } else { "ess_cert_id_alg=sha256" };
        let config = format!(
            "[tsa]\ndefault_tsa=one\n[one]\nserial=serial\ncrypto_device=builtin\nsigner_cert=tsa.crt\ncerts=root.crt\n\
             signer_key=tsa.key\nsigner_digest=sha384\ndefault_policy=1.2.3.4\ndigests=sha256,sha384,sha512\n\
             ordering=no\ntsa_name=no\ness_cert_id_chain=no\n{hash}\n{more}\n"
        );
        fs::write(folder.join("tsa.cnf"), config).unwrap();
        fs::write(folder.join("serial"), "01\n").unwrap();
        Self { folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Answers requests as RFC 3161, section 3.4 says.
    fn serve(&self) -> Server {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let folder = self.folder.clone();
        Server::start(move |request| {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let (query, reply) = (format!("{number}.tsq"), format!("{number}.tsr"));
            fs::write(folder.join(&query), &request.body).unwrap();
            openssl(&folder, &["ts", "-reply", "-config", "tsa.cnf", "-queryfile", &query, "-out", &reply]);
            let bytes = fs::read(folder.join(&reply)).unwrap();
            Response::ok(bytes).header("Content-Type", "application/timestamp-reply")
        })
        .unwrap()
    }
}

/// A key for notation with a certificate of its own, for some seconds from now.
fn signer(story: &Story, seconds: i64) -> DateTime<Utc> {
    let keys = story.path("notation/localkeys");
    fs::create_dir_all(&keys).unwrap();
    let config = "[ca]\ndefault_ca=one\n[one]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n\
                  policy=any\nemail_in_dn=no\n[any]\ncountryName=optional\nstateOrProvinceName=optional\n\
                  organizationName=optional\ncommonName=optional\n[leaf]\nbasicConstraints=critical,CA:FALSE\n\
                  keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n";
    fs::write(keys.join("ca.cnf"), config).unwrap();
    fs::write(keys.join("index"), "").unwrap();
    fs::write(keys.join("serial"), "01\n").unwrap();
    let request = ["req", "-new", "-nodes", "-subj", "/C=US/ST=WA/O=Notary/CN=brief", "-keyout", "brief.key"];
    openssl(&keys, &[&request[..], &RSA, &["-out", "brief.csr"]].concat());
    let after = |seconds| Utc::now().checked_add_signed(TimeDelta::seconds(seconds)).unwrap();
    let (from, until) = (after(-60), after(seconds));
    let time = |at: DateTime<Utc>| at.format("%Y%m%d%H%M%SZ").to_string();
    let (from, end) = (time(from), time(until));
    let sign =
        ["ca", "-batch", "-selfsign", "-config", "ca.cnf", "-extensions", "leaf", "-keyfile", "brief.key"];
    let files = ["-in", "brief.csr", "-out", "brief.crt", "-notext", "-startdate", &from, "-enddate", &end];
    openssl(&keys, &[&sign[..], &files].concat());
    let (key, certificate) = (keys.join("brief.key"), keys.join("brief.crt"));
    let listed =
        json!({ "default": "brief", "keys": [{ "name": "brief", "keyPath": key, "certPath": certificate }] });
    fs::write(story.path("notation/signingkeys.json"), listed.to_string()).unwrap();
    let store = story.path("notation/truststore/x509/ca/acme");
    fs::create_dir_all(&store).unwrap();
    fs::copy(certificate, store.join("brief.crt")).unwrap();
    until
}

fn trust(story: &Story, authority: &Authority) {
    let store = story.path("notation/truststore/x509/tsa/stamps");
    drop(fs::remove_dir_all(&store));
    fs::create_dir_all(&store).unwrap();
    fs::copy(authority.folder.join("root.crt"), store.join("root.crt")).unwrap();
}

/// Writes a policy; `when` is when time stamps are looked at.
fn policy(story: &Story, when: &str, stores: &[&str]) -> PathBuf {
    let verification = json!({ "level": "strict", "verifyTimestamp": when });
    let policy = json!({ "version": "1.0", "trustPolicies": [{
        "name": "all", "registryScopes": ["*"], "signatureVerification": verification,
        "trustStores": stores, "trustedIdentities": ["*"],
    }] });
    let file = story.path("notation/trustpolicy.json");
    fs::write(&file, policy.to_string()).unwrap();
    file
}

/// What the pieces are worth at that time, and why.
fn weigh(story: &Story, policy: &Path, at: DateTime<Utc>) -> (Vec<String>, String) {
    let at = at.to_rfc3339();
    let report = story.report("evidence", &["--notation-policy", policy.to_str().unwrap(), "--at", &at]);
    (pieces(&report), report["pieces"].to_string())
}

fn both(end: &str) -> [String; 2] {
    let word = if end == APPROVAL { "signed" } else { "refused" };
    [format!("{word} notation COSE: {end}"), format!("{word} notation JWS: {end}")]
}

#[test]
fn a_certificate_that_ended_is_good_with_a_time_stamp_from_before_and_without_one_it_is_not() {
    let (Some(notation), Some(story)) = (program("notation"), Story::begin()) else { return };
    let all = ["ca:acme", "tsa:stamps"];
    let until = signer(&story, 8);
    let plain = ["sign", "--insecure-registry", "--signature-format"];
    let authority = Authority::new(story.path("tsa"), &RSA, "critical,timeStamping", "");
    let (server, root) = (authority.serve(), authority.file("root.crt"));
    let url = server.url();
    for format in ["jws", "cose"] {
        let by = ["--timestamp-url", &url, "--timestamp-root-cert", &root];
        story.run(&notation, &[&plain[..], &[format], &by, &[&story.pinned()]].concat());
    }
    trust(&story, &authority);
    let (now, later) = (Utc::now(), until + TimeDelta::days(400));
    for when in ["always", "afterCertExpiry"] {
        let policy = policy(&story, when, &all);
        assert_eq!(weigh(&story, &policy, now).0, both(APPROVAL), "{when}");
        assert_eq!(weigh(&story, &policy, later).0, both(APPROVAL), "{when}");
    }
    let without = policy(&story, "always", &all[..1]);
    assert_eq!(weigh(&story, &without, now).0, both(APPROVAL));
    assert_eq!(weigh(&story, &without, later).0, both("certificate"));

    // notation agrees, once the certificate has ended.
    while Utc::now() <= until + TimeDelta::seconds(1) {
        sleep(Duration::from_millis(200));
    }
    let takes = || {
        let mut verify = Command::new(&notation);
        verify.args(["verify", "--insecure-registry", &story.pinned()]);
        let home = story.home.path();
        verify.env("HOME", home).env("XDG_CONFIG_HOME", home).output().unwrap().status.success()
    };
    assert!(!takes(), "the certificate has ended");
    let with = policy(&story, "afterCertExpiry", &all);
    assert!(takes());
    assert_eq!(weigh(&story, &with, Utc::now()).0, both(APPROVAL));

    // Another authority by that name.
    let other = Authority::new(story.path("other"), &P256, "critical,timeStamping", "");
    trust(&story, &other);
    let (outcomes, why) = weigh(&story, &with, later);
    assert_eq!(outcomes, both("time-stamp"));
    assert!(why.contains("leads to no root of the trust stores"), "{why}");
    assert!(!takes());
    // The store is gone: that is said, and nothing is weighed.
    fs::remove_dir_all(story.path("notation/truststore/x509/tsa")).unwrap();
    let output = story.verify("evidence", &story.pinned(), &["--notation-policy", with.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("there is no trust store tsa:stamps"), "{said}");
}

#[test]
fn a_time_stamp_must_be_there_where_it_is_always_asked_for() {
    let (Some(notation), Some(story)) = (program("notation"), Story::begin()) else { return };
    signer(&story, 3600);
    for format in ["jws", "cose"] {
        story.run(&notation, &["sign", "--insecure-registry", "--signature-format", format, &story.pinned()]);
    }
    let authority = Authority::new(story.path("tsa"), &P256, "critical,timeStamping", "");
    trust(&story, &authority);
    let all = ["ca:acme", "tsa:stamps"];
    let (outcomes, why) = weigh(&story, &policy(&story, "always", &all), Utc::now());
    assert_eq!(outcomes, both("time-stamp"));
    assert!(why.contains("expected an RFC 3161 time stamp that holds: got none"), "{why}");
    let after = policy(&story, "afterCertExpiry", &all);
    assert_eq!(weigh(&story, &after, Utc::now()).0, both(APPROVAL));
    assert_eq!(weigh(&story, &after, Utc::now() + TimeDelta::days(1)).0, both("time-stamp"));
}

/// What an authority made is put into a signature that it doesn't hold for, as whoever keeps a registry can.
#[test]
fn a_time_stamp_of_something_else_or_by_somebody_for_something_else_is_refused() {
    let (Some(notation), Some(story)) = (program("notation"), Story::begin()) else { return };
    signer(&story, 3600);
    let plain = ["sign", "--insecure-registry"];
    let all = ["ca:acme", "tsa:stamps"];
    let with = |name: &str, kind: &[&str], uses: &str, more: &str| {
        let authority = Authority::new(story.path(name), kind, uses, more);
        trust(&story, &authority);
        authority
    };
    let good = with("good", &P256, "critical,timeStamping", "accuracy = secs:1, millisecs:500\n");
    let (server, root) = (good.serve(), good.file("root.crt"));
    let by = ["--timestamp-url", &server.url(), "--timestamp-root-cert", &root];
    story.run(&notation, &[&plain[..], &by, &[&story.pinned()]].concat());
    let policy = policy(&story, "always", &all);
    let later = || Utc::now() + TimeDelta::seconds(5);
    assert_eq!(weigh(&story, &policy, later()).0, [format!("signed notation JWS: {APPROVAL}")]);
    let (outcomes, why) = weigh(&story, &policy, Utc::now() - TimeDelta::days(1));
    assert_eq!(outcomes, ["refused notation JWS: time-stamp"], "it is of a time to come: {why}");

    // The same signature, as a referrer of our own making, with another token.
    let registry = story.registry();
    let listed = registry.referrers(story.image.digest, None).unwrap().manifests;
    let bytes = oci_image::ImageSource::manifest(&registry, oci_image::Selector::Digest(listed[0].digest));
    let manifest: Value = serde_json::from_slice(&bytes.unwrap().bytes).unwrap();
    let layer: oci_image::Descriptor = serde_json::from_value(manifest["layers"][0].clone()).unwrap();
    let mut envelope = Vec::new();
    let mut reader = oci_image::ImageSource::blob(&registry, &layer).unwrap();
    std::io::Read::read_to_end(&mut reader, &mut envelope).unwrap();
    let envelope: Value = serde_json::from_slice(&envelope).unwrap();
    let signature = decoded(envelope["signature"].as_str().unwrap());
    for (number, (name, uses, more, over, says)) in [
        ("over", "critical,timeStamping", "", b"other bytes".as_slice(), "got one over other bytes"),
        ("lax", "timeStamping", "", &signature, "expected a critical extended use of timeStamping alone"),
        ("wide", "critical,timeStamping,codeSigning", "", &signature, "expected a critical extended use"),
        (
            "old",
            "critical,timeStamping",
            "ess_cert_id_alg = sha1\n",
            &signature,
            "1.2.840.113549.1.9.16.2.47, got none",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let authority = with(name, &P256, uses, more);
        let Some(token) = token(&authority, over) else {
            // This openssl makes none for such a certificate.
            assert!(["lax", "wide"].contains(&name), "{name}");
            continue;
        };
        let mut changed = envelope.clone();
        changed["header"]["io.cncf.notary.timestampSignature"] = json!(encoded(&token));
        let mut beside = manifest.clone();
        let bytes = changed.to_string().into_bytes();
        beside["layers"][0]["digest"] = json!(registry.push_blob(&bytes).unwrap());
        beside["layers"][0]["size"] = json!(bytes.len());
        beside["annotations"]["number"] = json!(number.to_string());
        registry.push_referrer(beside.to_string().as_bytes(), oci_image::media::OCI_MANIFEST).unwrap();
        let (_, why) = weigh(&story, &policy, later());
        assert!(why.contains(says), "{name}: expected {says:?} in {why}");
    }
    let (outcomes, why) = weigh(&story, &policy, later());
    assert!(outcomes.iter().all(|one| one.starts_with("refused")), "{why}");
    trust(&story, &good);
    let (outcomes, why) = weigh(&story, &policy, later());
    assert_eq!(outcomes.iter().filter(|one| one.starts_with("signed")).count(), 1, "{why}");
}

/// A token over these bytes; none where openssl refuses.
fn token(authority: &Authority, over: &[u8]) -> Option<Vec<u8>> {
    let folder = &authority.folder;
    fs::write(folder.join("over"), over).unwrap();
    openssl(folder, &["ts", "-query", "-data", "over", "-sha256", "-cert", "-out", "over.tsq"]);
    let reply =
        ["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "over.tsq", "-token_out", "-out", "over.tst"];
    let output = Command::new("openssl").args(reply).current_dir(folder).output().unwrap();
    output.status.success().then(|| fs::read(folder.join("over.tst")).unwrap())
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A token by a large authority, within notation's own test data: RSA, thousandths of a second, accuracy.
#[test]
fn a_real_time_stamp_holds_up_to_the_root_that_nobody_here_trusts() {
    let Some(folder) = formats("notation") else { return };
    let home = tempfile::tempdir().unwrap();
    let layout = folder.join("e2e-with-timestamped-signature");
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let envelopes = blobs.filter_map(|path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).ok());
    let mut signed = envelopes.filter(|one| one["header"]["x5c"].is_array());
    let leaf = signed.next().unwrap()["header"]["x5c"][0].as_str().unwrap().to_owned();
    let authority = Authority::new(home.path().join("tsa"), &P256, "critical,timeStamping", "");
    for (kind, bytes) in
        [("ca", encoded_certificate(&leaf)), ("tsa", fs::read(authority.file("root.crt")).unwrap())]
    {
        let store = home.path().join("truststore/x509").join(kind).join("acme");
        fs::create_dir_all(&store).unwrap();
        fs::write(store.join("one.crt"), bytes).unwrap();
    }
    let file = home.path().join("trustpolicy.json");
    let policy = json!({ "version": "1.0", "trustPolicies": [{ "name": "all", "registryScopes": ["*"],
        "signatureVerification": { "level": "strict", "verifyTimestamp": "always" },
        "trustStores": ["ca:acme", "tsa:acme"], "trustedIdentities": ["*"] }] });
    fs::write(&file, policy.to_string()).unwrap();
    let image = format!("oci:{}:v1", layout.display());
    let output = Command::new(env!("CARGO_BIN_EXE_verify"))
        .args(["evidence", &image, "--unverified", "--format", "json", "--at", "2025-01-21T10:00:00Z"])
        .args(["--notation-policy", file.to_str().unwrap()])
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    // What it is over, and its signature, were asked before.
    assert!(report.contains("its certificate leads to no root of the trust stores"), "{report}");
}

fn encoded_certificate(base64: &str) -> Vec<u8> {
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let body = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n").into_bytes()
}

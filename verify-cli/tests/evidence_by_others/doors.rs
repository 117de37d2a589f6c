//! Evidence behind doors: docker-registry over TLS, with a password, and with tokens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oci_image::{Credentials, RegistryOptions, Secret};
use serde_json::json;
use test_repos::http::{Response, Server};

use crate::{APPROVAL, Story, pieces, program, skip};

fn run(folder: &Path, program: &str, words: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(words).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}", words.join(" "));
    output.stdout
}

/// A certificate for 127.0.0.1, and what the registry's configuration says of it.
fn tls(home: &Path) -> String {
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"];
    let subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "tls.key", "-out", "tls.crt"];
    run(home, "openssl", &[&["req", "-x509"][..], &curve, &subject, &leaf].concat());
    let (certificate, key) = (home.join("tls.crt"), home.join("tls.key"));
    format!("  tls: {{certificate: {}, key: {}}}\n", certificate.display(), key.display())
}

fn alice(port: u16, ca_file: Option<PathBuf>) -> RegistryOptions {
    let host = format!("127.0.0.1:{port}");
    let credentials = Credentials::password(&host, "alice", Secret::from("s3cret".to_owned()));
    RegistryOptions { credentials, ca_file, ..RegistryOptions::default() }
}

/// cosign signs and attests; `verify` gets in with a login, and with another one it could not tell.
fn signed_and_read(story: &Story, cosign: &Path, theirs: &[&str], ours: &[&str]) {
    fs::write(story.path("spdx.json"), r#"{"spdxVersion":"SPDX-2.3","packages":[]}"#).unwrap();
    story.run(cosign, &["generate-key-pair"]);
    let image = story.pinned();
    let by = ["--yes", "--tlog-upload=false", "--key", "cosign.key"];
    let login = ["--registry-username", "alice", "--registry-password", "s3cret"];
    story.run(cosign, &[&["sign"], &by[..], &login, theirs, &[&image]].concat());
    let what = ["--type", "spdxjson", "--predicate", "spdx.json"];
    story.run(cosign, &[&["attest"], &by[..], &login, theirs, &what, &[&image]].concat());
    for (file, password) in [("login.json", "s3cret"), ("wrong.json", "wrong")] {
        let auth = STANDARD.encode(format!("alice:{password}"));
        let config = json!({ "auths": { story.host.clone(): { "auth": auth } } });
        fs::write(story.path(file), config.to_string()).unwrap();
    }
    let with = |login: &'static str| [&["--key", "cosign.pub", "--authfile", login][..], ours].concat();
    let report = story.report("evidence", &with("login.json"));
    let expected = [
        "signed DSSE envelope: https://spdx.dev/Document".to_owned(),
        format!("signed simple signing: {APPROVAL}"),
    ];
    assert_eq!(pieces(&report), expected);
    assert_eq!(report["gaps"], json!([]), "{report}");
    let denied = story.verify("evidence", &image, &with("wrong.json"));
    let said = String::from_utf8_lossy(&denied.stderr);
    assert_eq!(denied.status.code(), Some(3), "{said}");
    assert!(said.contains("denied access (HTTP status 401)"), "{said}");
}

#[test]
fn evidence_is_read_over_tls() {
    let (Some(cosign), Some(story)) = (
        program("cosign2"),
        Story::begin_with(|home, port| {
            let http = format!("http:\n  addr: 127.0.0.1:{port}\n{}", tls(home));
            (http, alice(port, Some(home.join("tls.crt"))))
        }),
    ) else {
        return;
    };
    story.run(&cosign, &["generate-key-pair"]);
    let image = story.pinned();
    let by = ["--yes", "--tlog-upload=false", "--key", "cosign.key", "--registry-cacert", "tls.crt"];
    story.run(&cosign, &[&["sign"], &by[..], &[&image]].concat());
    let report = story.report("evidence", &["--key", "cosign.pub", "--ca-file", "tls.crt"]);
    assert_eq!(pieces(&report), [format!("signed simple signing: {APPROVAL}")]);
    // Without its certificate nobody knows who answers.
    let unknown = story.verify("evidence", &image, &["--key", "cosign.pub", "--ca-file", "cosign.pub"]);
    assert_ne!(unknown.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&unknown.stdout), "");
}

#[test]
fn evidence_is_read_with_a_password() {
    let there =
        Command::new("htpasswd").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        let _ = skip::<()>("htpasswd is not installed");
        return;
    }
    let (Some(cosign), Some(story)) = (
        program("cosign2"),
        Story::begin_with(|home, port| {
            fs::write(home.join("users"), run(home, "htpasswd", &["-Bbn", "alice", "s3cret"])).unwrap();
            let users = home.join("users");
            let http = format!("http:\n  addr: 127.0.0.1:{port}\n{}", tls(home));
            let auth = format!("auth:\n  htpasswd: {{realm: test, path: {}}}\n", users.display());
            (http + &auth, alice(port, Some(home.join("tls.crt"))))
        }),
    ) else {
        return;
    };
    signed_and_read(&story, &cosign, &["--registry-cacert", "tls.crt"], &["--ca-file", "tls.crt"]);
}

/// A token for what was asked, by the key of the certificate that the registry trusts.
fn token(home: &Path, port: u16, scope: &str) -> String {
    let pem = fs::read_to_string(home.join("token.crt")).unwrap();
    let certificate: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [certificate] }).to_string();
    let mut parts = scope.splitn(3, ':').skip(1);
    let (name, actions) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let actions: Vec<_> = actions.split(',').filter(|action| !action.is_empty()).collect();
    let claims = json!({ "iss": "us", "sub": "alice", "aud": format!("127.0.0.1:{port}"), "exp": 4_102_444_800_u64,
        "nbf": 0, "iat": 0, "jti": "1", "access": [{ "type": "repository", "name": name, "actions": actions }] });
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let folder = tempfile::tempdir_in(home).unwrap();
    fs::write(folder.path().join("message"), &signed).unwrap();
    let key = home.join("token.key");
    let signature =
        run(folder.path(), "openssl", &["dgst", "-sha256", "-sign", key.to_str().unwrap(), "message"]);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn evidence_is_read_with_a_token() {
    let Some(cosign) = program("cosign2") else { return };
    let place = Arc::new(OnceLock::<(PathBuf, u16)>::new());
    let theirs = Arc::clone(&place);
    let login = format!("Basic {}", STANDARD.encode("alice:s3cret"));
    let tokens = Server::start(move |request| {
        let (home, port) = theirs.get().unwrap();
        if request.headers.get("Authorization") != Some(login.as_str()) {
            return Response::new(401);
        }
        let scope = request.query("scope").unwrap_or_default();
        let answer = json!({ "token": token(home, *port, &scope) });
        Response::ok(answer.to_string()).header("Content-Type", "application/json")
    })
    .unwrap();
    let story = Story::begin_with(|home, port| {
        let key = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tokens", "-days", "3650"];
        run(home, "openssl", &[&key[..], &["-keyout", "token.key", "-out", "token.crt"]].concat());
        assert!(place.set((home.to_owned(), port)).is_ok());
        let (realm, certificate) = (format!("{}/token", tokens.url()), home.join("token.crt"));
        let auth = format!(
            "http: {{addr: '127.0.0.1:{port}'}}\nauth:\n  token: {{realm: '{realm}', service: '127.0.0.1:{port}', issuer: us, rootcertbundle: {}}}\n",
            certificate.display(),
        );
        (auth, alice(port, None))
    });
    let Some(story) = story else { return };
    signed_and_read(&story, &cosign, &["--allow-http-registry"], &[]);
    // One login is enough for all that is asked.
    let before = tokens.log().len();
    story.report("evidence", &["--key", "cosign.pub", "--authfile", "login.json"]);
    let asked = tokens.log().len() - before;
    assert!(asked <= 1, "{asked} tokens for one look");
}

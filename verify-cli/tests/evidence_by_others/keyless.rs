//! What cosign signs by a certificate, and enters into a log itself: the authority and the log are those of a sigstore
//! of our own, and the payloads, envelopes, annotations and bundles are cosign's.

use std::sync::Arc;

use test_repos::http::{Response, Server};
use test_repos::sigstore::{Holder, Sigstore};

use super::*;

const WHO: Holder<'static> = Holder { subject: "ci@example.com", issuer: "https://accounts.example.com" };

/// Fulcio's way in, and Rekor's. Whoever asks is `WHO`.
fn services(sigstore: &Arc<Sigstore>) -> Server {
    let sigstore = Arc::clone(sigstore);
    Server::start(move |request| {
        if request.path() == "/api/v2/signingCert" {
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            let public = asked["publicKeyRequest"]["publicKey"]["content"].as_str().unwrap();
            let chain = sigstore.issue(WHO, public, chrono::Utc::now()).unwrap();
            let answer = json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": chain } } });
            return Response::ok(answer.to_string()).header("Content-Type", "application/json");
        }
        let entry = sigstore.enter(&request.body, chrono::Utc::now()).unwrap();
        let id = entry.as_object().unwrap().keys().next().unwrap().clone();
        let response = Response::ok(entry.to_string()).status(201).header("ETag", &id);
        response.header("Content-Type", "application/json").header("Location", "/api/v1/log/entries/1")
    })
    .unwrap()
}

/// Runs cosign, which is told of a sigstore that isn't the public one.
fn run(story: &Story, cosign: &Path, words: &[&str]) {
    let root: Value = serde_json::from_slice(&fs::read(story.path("ours.json")).unwrap()).unwrap();
    let pem = |name: &str, kind: &str, bytes: &Value| {
        let text = format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", bytes.as_str().unwrap());
        fs::write(story.path(name), text).unwrap();
        story.path(name)
    };
    let log = |name: &str| &root[name][0]["publicKey"]["rawBytes"];
    let authority = &root["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"];
    let output = Command::new(cosign)
        .args(words)
        .env("HOME", story.home.path())
        .env("COSIGN_PASSWORD", "")
        .env("SIGSTORE_ROOT_FILE", pem("authority.pem", "CERTIFICATE", authority))
        .env("SIGSTORE_REKOR_PUBLIC_KEY", pem("rekor.pem", "PUBLIC KEY", log("tlogs")))
        .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", pem("ctfe.pem", "PUBLIC KEY", log("ctlogs")))
        .current_dir(story.home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_cosign_2_signs_by_a_certificate_and_enters_into_a_log_counts_for_its_identity() {
    let (Some(cosign), Some(story)) = (program("cosign2"), Story::begin()) else { return };
    let (ours, theirs) = (Arc::new(Sigstore::begin().unwrap()), Sigstore::begin().unwrap());
    let server = services(&ours);
    for (name, by) in [("ours", &*ours), ("theirs", &theirs)] {
        fs::write(story.path(&format!("{name}.json")), by.trusted_root().unwrap().to_string()).unwrap();
    }
    story.run(&cosign, &["generate-key-pair"]);
    let public = fs::read_to_string(story.path("cosign.pub")).unwrap();
    let [leaf, chain] = ours.issue(WHO, &public, chrono::Utc::now()).unwrap();
    fs::write(story.path("leaf.pem"), leaf).unwrap();
    fs::write(story.path("chain.pem"), chain).unwrap();
    fs::write(story.path("spdx.json"), r#"{"spdxVersion":"SPDX-2.3","packages":[]}"#).unwrap();
    let (url, image) = (server.url(), story.pinned());
    let by = ["--yes", "--allow-http-registry", "--key", "cosign.key", "--rekor-url", &url];
    let certified = ["--certificate", "leaf.pem", "--certificate-chain", "chain.pem"];
    run(&story, &cosign, &[&["sign"], &by[..], &certified, &[&image]].concat());
    let what = ["--type", "spdxjson", "--predicate", "spdx.json", &image];
    run(&story, &cosign, &[&["attest"], &by[..], &certified, &what].concat());
    // cosign itself agrees that it is good.
    let who = ["--certificate-identity", WHO.subject, "--certificate-oidc-issuer", WHO.issuer];
    run(&story, &cosign, &[&["verify", "--offline", "--allow-http-registry"], &who[..], &[&image]].concat());
    let weigh = |root: &str, identity: &str, issuer: &str| {
        let trust = ["--trusted-root", root, "--identity", identity, "--issuer", issuer];
        pieces(&story.report("evidence", &trust))
    };
    let signed = [format!("signed DSSE envelope: {SPDX}"), format!("signed simple signing: {APPROVAL}")];
    assert_eq!(weigh("ours.json", WHO.subject, WHO.issuer), signed);
    let refused =
        |why: &str| [format!("refused DSSE envelope: {why}"), format!("refused simple signing: {why}")];
    assert_eq!(weigh("ours.json", "mallory@example.com", WHO.issuer), refused("other-signer"));
    assert_eq!(weigh("ours.json", WHO.subject, "https://accounts.example.org"), refused("other-signer"));
    assert_eq!(weigh("theirs.json", WHO.subject, WHO.issuer), refused("log"));
}

/// A token of an issuer whom nobody asks.
fn token() -> String {
    use base64::Engine as _;
    let encoded = |part: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(part.to_string());
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let claims = json!({ "iss": WHO.issuer, "sub": "1", "aud": "sigstore", "email": WHO.subject, "email_verified": true,
        "iat": 0, "exp": 4_102_444_800_u64 });
    format!("{}.{}.AAAA", encoded(header), encoded(claims))
}

#[test]
fn what_cosign_3_signs_and_attests_without_a_key_counts_for_its_identity() {
    let (Some(cosign), Some(story)) = (program("cosign3"), Story::begin()) else { return };
    let (ours, theirs) = (Arc::new(Sigstore::begin().unwrap()), Sigstore::begin().unwrap());
    let server = services(&ours);
    for (name, by) in [("ours", &*ours), ("theirs", &theirs)] {
        fs::write(story.path(&format!("{name}.json")), by.trusted_root().unwrap().to_string()).unwrap();
    }
    let at = format!("url={},api-version=1,start-time=2020-01-01T00:00:00Z,operator=acme", server.url());
    let create = ["signing-config", "create", "--fulcio", &at, "--rekor", &at, "--rekor-config", "ANY"];
    story.run(&cosign, &[&create[..], &["--out", "config.json"]].concat());
    fs::write(story.path("spdx.json"), r#"{"spdxVersion":"SPDX-2.3","packages":[]}"#).unwrap();
    let (image, token) = (story.pinned(), token());
    let by =
        ["--yes", "--allow-http-registry", "--signing-config", "config.json", "--trusted-root", "ours.json"];
    let whose = ["--identity-token", &token];
    story.run(&cosign, &[&["sign"], &by[..], &whose, &[&image]].concat());
    let what = ["--type", "spdxjson", "--predicate", "spdx.json", &image];
    story.run(&cosign, &[&["attest"], &by[..], &whose, &what].concat());
    let who = ["--certificate-identity", WHO.subject, "--certificate-oidc-issuer", WHO.issuer];
    let verify = ["verify", "--allow-http-registry", "--trusted-root", "ours.json"];
    story.run(&cosign, &[&verify[..], &who, &[&image]].concat());
    let weigh = |root: &str, identity: &str, issuer: &str| {
        let trust = ["--trusted-root", root, "--identity", identity, "--issuer", issuer];
        pieces(&story.report("evidence", &trust))
    };
    let of = |word: &str, what: [&str; 2]| what.map(|what| format!("{word} sigstore bundle: {what}"));
    assert_eq!(weigh("ours.json", WHO.subject, WHO.issuer), of("signed", [APPROVAL, SPDX]));
    let other = of("refused", ["other-signer"; 2]);
    assert_eq!(weigh("ours.json", "mallory@example.com", WHO.issuer), other);
    assert_eq!(weigh("ours.json", WHO.subject, "https://accounts.example.org"), other);
    assert_eq!(weigh("theirs.json", WHO.subject, WHO.issuer), of("refused", ["log"; 2]));
}

//! Screens, words and exit codes.

use std::process::Output;

use image_signatures::{Format, SIMPLE_SIGNING};
use serde_json::Value;
use test_repos::registry::{Fault, Place};

use crate::stage::{Kind, Stage};

fn text(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn row<'a>(report: &'a Value, client: &str) -> &'a Value {
    report["clients"].as_array().unwrap().iter().find(|row| row["client"] == client).unwrap()
}

#[test]
fn without_clients_it_tells_and_with_them_it_ends_as_they_would() {
    let stage = Stage::new(Kind::Api).unwrap();
    let key = stage.key("a", "ec:P-256");
    let image = stage.push("1");
    stage.sign(&image, &*key, &[Format::Cosign2]);
    let reference = stage.reference("1");
    let ends = |words: &[&str]| text(&stage.verify(&[&["doctor", &reference], words].concat())).0;
    assert_eq!(ends(&["--key", "a.pub"]), 0, "for information");
    assert_eq!(ends(&["--key", "a.pub", "--client", "cosign2"]), 0);
    assert_eq!(
        ends(&["--key", "a.pub", "--client", "cosign2", "--client", "cosign3"]),
        0,
        "3 reads the tag too"
    );
    assert_eq!(ends(&["--key", "a.pub", "--client", "cosign2", "--client", "notation"]), 1);
    assert_eq!(ends(&["--client", "cosign2"]), 3, "nobody said whose signatures count");
    assert_eq!(ends(&["--key", "missing.pub"]), 2);
    assert_eq!(ends(&["--key", "a.pub", "--offline"]), 3);
    assert_eq!(text(&stage.verify(&["doctor", "oci:./here:1", "--key", "a.pub"])).0, 2);
}

#[test]
fn the_screen_says_who_takes_it_and_what_to_do_about_the_others() {
    let stage = Stage::new(Kind::Api).unwrap();
    let key = stage.key("a", "ec:P-256");
    let image = stage.push("1");
    stage.sign(&image, &*key, &[Format::Cosign2]);
    let reference = stage.reference("1");
    let (code, stdout, stderr) = text(&stage.verify(&["doctor", &reference, "--key", "a.pub"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let screen = stdout.replace(&stage.host, "HOST").replace(&image.digest.to_string(), "DIGEST");
    assert_eq!(
        screen,
        "\
HOST/acme/web:1
  DIGEST

verify             -      no   refused HOST/acme/web:1: no root is pinned that speaks for HOST/acme/web
                               -> pin one with `verify trust add NAME --scope 'HOST/acme/web' --repo URL --root FILE`
cosign 2           a.pub  yes  no log knows of it, so that it must be told to ask none
cosign 3           a.pub  yes  no log knows of it, so that it must be told to ask none
podman, skopeo     a.pub  yes  by a policy as `verify config podman` writes it
notation           -      no   expected a signature of notation that refers to the image; it is signed as simple signing, under the tag for signatures
                               -> have it signed in this form: `signer publish --for notation --for-key NAME --certificate chain.pem`
policy-controller  a.pub  yes  no log knows of it, so that it must be told to ask none
Kyverno            a.pub  yes  no log knows of it, so that it must be told to ask none
docker/attest      a.pub  no   expected an attestation in an envelope of docker/attest; it is signed as simple signing, under the tag for signatures
                               -> have what BuildKit attests signed by docker/attest, with an ECDSA key

as those who take it are asked
  cosign verify --key a.pub --insecure-ignore-tlog=true HOST/acme/web:1
  cosign verify --key a.pub --insecure-ignore-tlog=true HOST/acme/web:1
  podman pull HOST/acme/web:1
"
    );
}

#[test]
fn the_commands_for_cosign_are_those_that_cosign_is_asked_by() {
    let stage = Stage::new(Kind::Api).unwrap();
    let key = stage.key("a", "ec:P-256");
    stage.sign(&stage.push("1"), &*key, &[Format::Cosign2]);
    let reference = stage.reference("1");
    let report = stage.doctor(&[&reference, "--key", "a.pub"]);
    let words: Vec<_> = row(&report, "cosign3")["command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    let (code, stdout, _) = text(&stage.verify(&["config", "cosign", &reference, "--key", "a.pub"]));
    assert_eq!((code, stdout), (0, words.join(" ") + "\n"));
    let by =
        ["config", "cosign", &reference, "--identity", "ci@example.com", "--issuer", "https://a.example.com"];
    let expected = format!(
        "cosign verify --certificate-identity ci@example.com --certificate-oidc-issuer https://a.example.com {reference}\n"
    );
    assert_eq!(text(&stage.verify(&by)).1, expected);
    for (words, why) in [
        (&["config", "cosign", &reference][..], "--key"),
        (&["config", "cosign", &reference, "--key", "a.key"], "expected a public key"),
        (&["config", "kyverno", &stage.host, "--key", "a.key", "--out", "new"], "expected a public key"),
        (&["config", "policy-controller", "no name:1", "--key", "a.pub", "--out", "new"], "expected a name"),
    ] {
        let (code, _, stderr) = text(&stage.verify(words));
        assert!(code == 2 && stderr.contains(why), "{words:?}: {stderr}");
    }
    assert!(!stage.path("new").exists());
}

#[test]
fn a_bundle_hides_the_tag_from_cosign_3_and_the_doctor_says_so_first() {
    let stage = Stage::new(Kind::Api).unwrap();
    let (a, b) = (stage.key("a", "ec:P-256"), stage.key("b", "ec:P-256"));
    let image = stage.push("1");
    stage.sign(&image, &*a, &[Format::Cosign2]);
    stage.sign(&image, &*b, &[Format::Cosign3]);
    let report = stage.doctor(&[&stage.reference("1"), "--key", "a.pub"]);
    let cosign3 = row(&report, "cosign3");
    assert_eq!(cosign3["answer"], "refuses");
    let reasons: Vec<_> = cosign3["reasons"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["shadowed", "other-key"]);
    assert!(cosign3["way_out"].as_str().unwrap().contains("signer publish --for cosign3"));
    assert_eq!(row(&report, "cosign2")["answer"], "accepts");
    assert_eq!(row(&report, "policy-controller")["answer"], "accepts");
    assert_eq!(report["listed"], "referrers");
}

#[test]
fn controllers_read_no_bundle_by_a_key() {
    let stage = Stage::new(Kind::Tag).unwrap();
    let key = stage.key("a", "ec:P-256");
    let image = stage.push("1");
    stage.sign(&image, &*key, &[Format::Cosign3]);
    let report = stage.doctor(&[&stage.reference("1"), "--key", "a.pub"]);
    assert_eq!(report["listed"], "referrers-tag");
    for client in ["policy-controller", "kyverno"] {
        let row = row(&report, client);
        assert_eq!((&row["answer"], &row["reasons"][0]["reason"]), (&"refuses".into(), &"other-form".into()));
    }
    assert_eq!(row(&report, "cosign3")["answer"], "accepts");
}

#[test]
fn of_several_bad_signatures_the_most_telling_comes_first() {
    let stage = Stage::new(Kind::Api).unwrap();
    let (a, b) = (stage.key("a", "ec:P-256"), stage.key("b", "ec:P-256"));
    let (image, other) = (stage.push("1"), stage.push("2"));
    // By a stranger, then the key's own over another image.
    stage.sign(&image, &*b, &[Format::Cosign2]);
    stage.sign(&other, &*a, &[Format::Cosign2]);
    let layers = |image| {
        let tag = image_signatures::signature_tag(image).unwrap();
        let bytes = oci_image::ImageSource::manifest(&stage.registry, oci_image::Selector::Tag(tag.as_str()))
            .unwrap()
            .bytes;
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let (mut both, moved) = (layers(image.digest), layers(other.digest));
    both["layers"].as_array_mut().unwrap().push(moved["layers"][0].clone());
    assert_eq!(both["layers"][1]["mediaType"], SIMPLE_SIGNING);
    let tag = image_signatures::signature_tag(image.digest).unwrap();
    let bytes = both.to_string();
    let selector = oci_image::Selector::Tag(tag.as_str());
    stage.registry.push_manifest(selector, bytes.as_bytes(), oci_image::media::OCI_MANIFEST).unwrap();
    let report = stage.doctor(&[&stage.reference("1"), "--key", "a.pub"]);
    let reasons: Vec<_> = row(&report, "cosign2")["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["other-image", "other-key"]);
}

#[test]
fn what_the_registry_does_not_tell_is_unknown_and_what_it_spoils_counts_for_nothing() {
    let stage = Stage::new(Kind::Api).unwrap();
    let key = stage.key("a", "ec:P-256");
    let image = stage.push("1");
    stage.sign(&image, &*key, &[Format::Cosign2, Format::Cosign3]);
    let words = ["doctor", &stage.reference("1"), "--key", "a.pub", "--client", "cosign3"];
    assert_eq!(text(&stage.verify(&words)).0, 0);
    // Without the list nobody knows whether a bundle hides the tag.
    stage.spoil(Place::referrers("acme/web"), Fault::Unavailable);
    let report = stage.doctor(&words[1..4]);
    for (client, answer) in [("cosign2", "accepts"), ("cosign3", "unknown"), ("notation", "unknown")] {
        assert_eq!(row(&report, client)["answer"], answer, "{client}");
    }
    assert_eq!(row(&report, "cosign3")["reasons"][0]["reason"], "unreachable");
    assert_eq!(text(&stage.verify(&words)).0, 3);
    stage.spoil(Place::blobs("acme/web"), Fault::FlipByte);
    let report = stage.doctor(&words[1..4]);
    let spoilt = row(&report, "cosign2");
    assert_eq!(
        (&spoilt["answer"], &spoilt["reasons"][0]["reason"]),
        (&"refuses".into(), &"malformed".into())
    );
}

#[test]
fn what_a_payload_says_can_not_look_like_a_line_of_ours() {
    let stage = Stage::new(Kind::Api).unwrap();
    let key = stage.key("a", "ec:P-256");
    let image = stage.push("1");
    let mut payload = stage.payload(image.digest);
    payload["critical"]["identity"]["docker-reference"] = "x\nverify  -  yes  trusted\u{1b}[32m".into();
    let payload = payload.to_string();
    stage.put_simple(image.digest, payload.as_bytes(), &key.sign(payload.as_bytes()).unwrap());
    let output = stage.verify(&["doctor", &stage.reference("1"), "--key", "a.pub", "--client", "podman"]);
    let (code, stdout, _) = text(&output);
    assert_eq!(code, 1);
    assert!(!stdout.contains('\u{1b}') && !stdout.lines().any(|line| line.starts_with("verify")), "{stdout}");
}

//! What sigstore-js and sigstore-go sign with a key, as `verify` reads it.

use oci_image::{Descriptor, Digest};
use serde_json::{Value, json};

use super::{APPROVAL, Js, Place, SPDX, changed, go, media_type, said_to_be, statement};
use crate::support::{Ran, run};

const IN_TOTO: &str = image_signatures::IN_TOTO;

/// A bundle beside an image of its own.
struct Case {
    story: &'static str,
    tag: String,
    image: Descriptor,
    manifest: Vec<u8>,
    bundle: Value,
    /// What `verify evidence` says of it.
    expected: String,
    /// What sigstore-js says, which isn't told of which image it should be, nor of which type.
    theirs: Result<(), &'static str>,
}

impl Case {
    fn is_a_signature(&self) -> bool {
        self.expected == format!("signed {APPROVAL}")
    }
}

/// sigstore-js with a key of that kind, in the package that writes that version.
struct Signer<'a> {
    place: &'a Place,
    js: &'a Js,
    kind: &'static str,
    version: &'static str,
}

/// A story; how its bundle is made for an image with that manifest; what `verify evidence` and sigstore-js say of it.
type Story<'a> = (&'static str, &'a dyn Fn(Digest, &[u8]) -> Value, &'a str, Result<(), &'static str>);

impl Signer<'_> {
    fn sign(&self, key: &str, kind: &str, content: impl AsRef<[u8]>) -> Value {
        let file = self.place.file("signed", content);
        self.js.sign(self.version, &self.place.private(key), "the key", kind, &file)
    }

    fn attest(&self, image: Digest, kind: &str) -> Value {
        self.sign(self.kind, IN_TOTO, statement(image, kind).to_string())
    }

    /// A good one, edited.
    fn edited(&self, image: Digest, edit: impl FnOnce(&mut Value)) -> Value {
        let mut bundle = self.attest(image, APPROVAL);
        edit(&mut bundle);
        bundle
    }

    /// Good ones, and each change that is refused for its own reason.
    fn cases(&self) -> Vec<Case> {
        let (approval, list) = (format!("signed {APPROVAL}"), format!("signed {SPDX}"));
        let failed = Err("VerificationError: signature verification failed");
        let unknown = Err("VerificationError: key not found: another");
        let invalid = Err(match self.version {
            "0.1" => "Error: invalid v0.1 bundle",
            "0.2" => "Error: invalid v0.2 bundle",
            _ => "Error: invalid bundle",
        });
        let by_other = |image| self.sign("other", IN_TOTO, statement(image, APPROVAL).to_string());
        let text = |image| self.sign(self.kind, "text/plain", statement(image, APPROVAL).to_string());
        let stories: [Story<'_>; 12] = [
            ("good", &|image, _| self.attest(image, APPROVAL), &approval, Ok(())),
            ("list", &|image, _| self.attest(image, SPDX), &list, Ok(())),
            ("other", &|image, _| by_other(image), "refused other-key", failed),
            ("changed", &|image, _| changed(&self.attest(image, APPROVAL)), "refused other-key", failed),
            ("moved", &|_, _| self.attest(Digest::of(b"x"), APPROVAL), "refused other-subject", Ok(())),
            ("hint", &|image, _| self.edited(image, one_hint), "refused other-kind", unknown),
            ("keyid", &|image, _| self.edited(image, one_keyid), "refused other-kind", Ok(())),
            // Where both are the same it decides nothing here, where all keys are tried, and all there.
            ("hints", &|image, _| self.edited(image, both_hints), &approval, unknown),
            ("twice", &|image, _| self.edited(image, signed_twice), "refused signature-count", invalid),
            ("text", &|image, _| text(image), "refused other-kind", Ok(())),
            (
                "newer",
                &|image, _| said_to_be("0.4", &self.attest(image, APPROVAL)),
                "refused other-kind",
                Ok(()),
            ),
            // Good by itself, and no statement: cosign 3 takes none beside an image either.
            ("message", &|_, manifest| self.sign(self.kind, "", manifest), "refused other-kind", Ok(())),
        ];
        // Another kind of key makes a difference where its signature is looked at.
        let short = self.kind == "ed25519";
        let is_asked = |story: &Story<'_>| !short || ["good", "other", "changed"].contains(&story.0);
        stories.into_iter().filter(is_asked).map(|story| self.case(story)).collect()
    }

    fn case(&self, (story, make, expected, theirs): Story<'_>) -> Case {
        let tag = format!("{}-{}-{story}", self.kind, self.version);
        let (image, manifest) = self.place.push(&tag);
        let bundle = make(image.digest, &manifest);
        // Of a signature alone it writes no newer version.
        let version = if story == "message" && self.version == "0.3" { "0.2" } else { self.version };
        if story != "newer" {
            assert_eq!(bundle["mediaType"], media_type(version), "{tag}");
        }
        self.place.attach(&image, &bundle);
        Case { story, tag, image, manifest, bundle, expected: expected.to_owned(), theirs }
    }

    fn compare(&self, case: &Case) {
        let (place, tag) = (self.place, case.tag.as_str());
        let key = place.public(self.kind);
        assert_eq!(place.weigh(tag, &["--key", &key]), case.expected, "{tag}");
        let demanded = demand(place, self.kind, tag, &[]);
        let code = if case.is_a_signature() { 0 } else { 1 };
        assert_eq!(demanded.code, Some(code), "{tag}: {}", demanded.stderr);
        match case.story {
            "good" => assert_eq!(demand(place, "other", tag, &[]).code, Some(1), "{tag}"),
            "list" => {
                assert_eq!(demand(place, self.kind, tag, &["--predicate", SPDX]).code, Some(0), "{tag}")
            }
            _ => {}
        }
        let bundle = place.file("bundle", case.bundle.to_string());
        let manifest = place.file("manifest", &case.manifest);
        let said = self.js.verify(&["verify", &bundle, &key, "the key", "", &manifest]);
        assert_eq!(said, case.theirs.map_err(str::to_owned), "{tag}");
    }
}

fn one_hint(bundle: &mut Value) {
    bundle["verificationMaterial"]["publicKey"]["hint"] = json!("another");
}

fn one_keyid(bundle: &mut Value) {
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = json!("another");
}

fn both_hints(bundle: &mut Value) {
    one_hint(bundle);
    one_keyid(bundle);
}

fn signed_twice(bundle: &mut Value) {
    let one = bundle["dsseEnvelope"]["signatures"][0].clone();
    bundle["dsseEnvelope"]["signatures"] = json!([one, one]);
}

/// That the key signed the image, which the publisher speaks for.
fn demand(place: &Place, key: &str, tag: &str, more: &[&str]) -> Ran {
    let (image, key) = (place.reference(tag), place.public(key));
    let words = ["image", &image, "--require-signers", "1", "--signer-key", &key];
    place.publisher.verify(&[&words[..], more].concat())
}

#[test]
fn what_sigstore_js_signs_in_each_version_counts_and_each_change_is_refused() {
    let (Some(js), Some(place)) = (Js::find(), Place::begin()) else { return };
    ["other", "ecdsa-p256"].into_iter().for_each(|name| place.key(name, "ecdsa-p256"));
    place.key("ed25519", "ed25519");
    let signers = ["ecdsa-p256", "ed25519"].into_iter().flat_map(|kind| {
        let (place, js) = (&place, &js);
        ["0.1", "0.2", "0.3"].map(|version| Signer { place, js, kind, version })
    });
    let all: Vec<_> = signers.map(|signer| (signer.cases(), signer)).collect();
    let cases = all.iter().flat_map(|(cases, _)| cases);
    place.publish(cases.map(|case| (case.tag.as_str(), &case.image)));
    for (cases, signer) in &all {
        cases.iter().for_each(|case| signer.compare(case));
    }
}

/// A bundle by sigstore-go with a new key, and that key in PEM.
fn signed_by_go(place: &Place, content: &[u8], more: &[&str]) -> (String, Value) {
    let services = json!({ "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json" });
    let services = place.file("services.json", services.to_string());
    let mut command = go("sigstore-go-signing").unwrap();
    let ran = run(command.args(["-s", &services]).args(more).arg(place.file("signed", content)));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (said, bundle) = ran.stdout.split_once('{').unwrap();
    let pem = said.get(said.find("-----BEGIN").unwrap()..).unwrap().trim();
    (format!("{pem}\n"), serde_json::from_str(&format!("{{{bundle}")).unwrap())
}

#[test]
fn what_sigstore_go_signs_counts_by_the_key_that_it_made() {
    let (Some(_), Some(place)) = (go("sigstore-go-signing"), Place::begin()) else { return };
    place.key("other", "ecdsa-p256");
    let mut all = Vec::new();
    for (tag, about, kind, expected) in [
        ("good", "good", APPROVAL, format!("signed {APPROVAL}")),
        ("list", "list", SPDX, format!("signed {SPDX}")),
        ("moved", "good", APPROVAL, "refused other-subject".to_owned()),
        ("message", "message", "", "refused other-kind".to_owned()),
    ] {
        let ((image, manifest), (about, _)) = (place.push(tag), place.push(about));
        let (pem, bundle) = match kind {
            "" => signed_by_go(&place, &manifest, &[]),
            kind => signed_by_go(&place, statement(about.digest, kind).to_string().as_bytes(), &["-in-toto"]),
        };
        assert_eq!(bundle["mediaType"], media_type("0.3"));
        place.attach(&image, &bundle);
        let key = place.file(&format!("{tag}.pub"), &pem);
        assert_eq!(bundle["verificationMaterial"]["publicKey"]["hint"], place.hint(tag));
        assert_eq!(place.weigh(tag, &["--key", &key]), expected, "{tag}");
        let stranger = if kind.is_empty() { "refused other-kind" } else { "refused other-key" };
        assert_eq!(place.weigh(tag, &["--key", &place.public("other")]), stranger, "{tag}");
        all.push((tag, image));
    }
    place.publish(all.iter().map(|(tag, image)| (*tag, image)));
    for (tag, _) in &all {
        let demanded = demand(&place, tag, tag, &[]);
        let code = if *tag == "good" { 0 } else { 1 };
        assert_eq!(demanded.code, Some(code), "{tag}: {}", demanded.stderr);
    }
    assert_eq!(demand(&place, "list", "list", &["--predicate", SPDX]).code, Some(0));
}

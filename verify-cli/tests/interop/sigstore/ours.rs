//! What `signer` and `verify` sign with a key, as sigstore-js and sigstore-go read it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use image_evidence::{Context, Form, Piece, Trust, TrustedKey};
use oci_image::{Descriptor, Digest, media};
use serde_json::{Value, json};
use test_repos::sigstore::Sigstore;

use super::{APPROVAL, BUNDLE, Js, Place, SPDX, changed, ended, go, said_to_be, statement_of};
use crate::attested::ID;
use crate::support::run;

const VSA: &str = "https://slsa.dev/verification_summary/v1";

/// A signature, a list and a verdict about one image, by one key: each bundle as it lies in the registry.
fn sign(place: &Place, key: &str) -> (Digest, Vec<Value>) {
    let (image, _) = place.push(key);
    let reference = place.reference(key);
    place.publisher.sign(&["add", &reference]);
    place.publisher.sign(&["publish", "--for", "cosign3", "--for-key", key]);
    let list = place.file("list.json", json!({ "spdxVersion": "SPDX-2.3", "packages": [] }).to_string());
    place.publisher.sign(&["attest", &reference, "--type", "spdx", "--predicate", &list, "--key", key]);
    let private = format!("file:{}", place.private(key));
    let ran = place.publisher.verify(&["attest", &reference, "--key", &private, "--verifier-id", ID]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let bundles = place.attached(&image);
    let kinds: BTreeSet<_> =
        bundles.iter().map(|bundle| statement_of(bundle)["predicateType"].to_string()).collect();
    assert_eq!(kinds, BTreeSet::from([APPROVAL, SPDX, VSA].map(|kind| format!("{kind:?}"))));
    (image.digest, bundles)
}

#[test]
fn sigstore_js_takes_what_we_sign_and_refuses_each_change() {
    let (Some(js), Some(place)) = (Js::find(), Place::begin()) else { return };
    place.key("other", "ecdsa-p256");
    for kind in ["ecdsa-p256", "ed25519"] {
        place.key(kind, kind);
        let (_, bundles) = sign(&place, kind);
        for bundle in bundles {
            assert_eq!(bundle["mediaType"], BUNDLE);
            // By a key, all versions have the same shape.
            for version in ["0.1", "0.2", "0.3"] {
                let verify = |bundle: &Value, key: &str, hint: &str| {
                    let bundle = place.file("bundle", said_to_be(version, bundle).to_string());
                    js.verify(&["verify", &bundle, &place.public(key), &place.hint(hint), ""])
                };
                assert_eq!(verify(&bundle, kind, kind), Ok(()), "{version}: {bundle}");
                let failed = Err("VerificationError: signature verification failed".to_owned());
                assert_eq!(verify(&changed(&bundle), kind, kind), failed);
                assert_eq!(verify(&bundle, "other", kind), failed);
                let unknown = verify(&bundle, "other", "other").unwrap_err();
                assert!(unknown.contains("key not found"), "{unknown}");
            }
        }
    }
}

/// What a key signed, with the word of a log: sigstore-go asks for a time, which somebody else must tell.
struct Witness<'a> {
    place: &'a Place,
    log: Sigstore,
    at: DateTime<Utc>,
}

impl Witness<'_> {
    /// The bundle with the log's entry, which says that this key signed it.
    fn of(&self, version: &str, bundle: &Value, key: &str) -> Value {
        let pem = std::fs::read_to_string(self.place.public(key)).unwrap();
        let entry = self.log.witness(&bundle["dsseEnvelope"], &pem, self.at).unwrap();
        let mut bundle = said_to_be(version, bundle);
        bundle["verificationMaterial"]["tlogEntries"] = json!([entry]);
        bundle
    }

    fn root(&self, name: &str) -> String {
        self.place.file(name, self.log.trusted_root().unwrap().to_string())
    }
}

#[test]
fn sigstore_go_takes_what_we_sign_and_refuses_each_change() {
    let (Some(_), Some(place)) = (go("sigstore-go"), Place::begin()) else { return };
    ["ci", "other"].into_iter().for_each(|name| place.key(name, "ecdsa-p256"));
    let at = Utc::now().checked_sub_signed(TimeDelta::hours(1)).unwrap();
    let witness = || Witness { place: &place, log: Sigstore::begin().unwrap(), at };
    let (witness, stranger) = (witness(), witness());
    let (root, other_root) = (witness.root("root.json"), stranger.root("other.json"));
    let (image, bundles) = sign(&place, "ci");
    let verify = |version: &str, bundle: &Value, key: &str, root: &str, image: Digest| {
        let bundle = place.file("bundle", bundle.to_string());
        let mut command = go("sigstore-go").unwrap();
        command.args(["-publicKey", &place.public(key), "-trustedrootJSONpath", root]);
        command.args(["-requireCTlog=false", "-minBundleVersion", version]);
        ended(run(command.args(["-artifact-digest", &image.hex(), &bundle])))
    };
    for (bundle, version) in bundles.iter().flat_map(|bundle| ["0.1", "0.2", "0.3"].map(|one| (bundle, one)))
    {
        let good = witness.of(version, bundle, "ci");
        assert_eq!(verify(version, &good, "ci", &root, image), Ok(()), "{version}: {bundle}");
        assert!(takes(&place, "ci", image, &good), "{version}: {bundle}");
        let (edited, another) = (changed(bundle), Digest::of(b"another"));
        let (no_log, no_key) =
            ("not enough verified log entries", "accepted signatures do not match threshold");
        for (bundle, key, root, image, why) in [
            (&good, "ci", &root, another, "artifact digest does not match"),
            (&good, "other", &root, image, "certificate does not match"),
            (&witness.of(version, bundle, "other"), "other", &root, image, no_key),
            (&witness.of(version, &edited, "ci"), "ci", &root, image, no_key),
            (&good, "ci", &other_root, image, no_log),
            (&said_to_be(version, bundle), "ci", &root, image, no_log),
        ] {
            let said = verify(version, bundle, key, root, image).unwrap_err();
            assert!(said.contains(why), "{version}: expected {why}, got {said}");
        }
    }
}

/// Whether our own verifier takes it by that key.
fn takes(place: &Place, key: &str, image: Digest, bundle: &Value) -> bool {
    let pem = std::fs::read_to_string(place.public(key)).unwrap();
    let trust = Trust { keys: vec![TrustedKey::from_pem(key, &pem).unwrap()], ..Trust::default() };
    let image = Descriptor { digest: image, ..Descriptor::of(media::OCI_MANIFEST, b"") };
    let (bytes, annotations) = (bundle.to_string(), BTreeMap::new());
    let piece = Piece { form: Form::Bundle, bytes: bytes.as_bytes(), annotations: &annotations };
    piece.verify(&Context { image: &image, repository: "r.io/x", now: Utc::now() }, &trust).is_ok()
}

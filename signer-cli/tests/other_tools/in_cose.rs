//! notation's signatures in COSE: made once, read by our own verifier, and asked for on the command line or in
//! signer.toml.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use image_evidence::{Context, Form, NotationTrust, Piece, Refusal, Trust, TrustStores};
use image_signatures::CertificateChain;
use oci_image::Descriptor;
use serde_json::{Value, json};
use test_repos::images::ImageBuilder;
use test_repos::registry::{Fault, Place, Registry};

use crate::support::{Desk, Said};
use crate::{chain, programs};

const FOR: [&str; 6] = ["--for", "notation", "--for-key", "release", "--certificate", "chain.pem"];
const COSE: [&str; 2] = ["--signature-format", "cose"];

/// A repository whose images are in a registry of our own, and a key with a certificate.
struct Stage {
    desk: Desk,
    registry: Registry,
}

impl Stage {
    fn new() -> Option<Self> {
        programs(&["openssl"])?;
        let stage = Self { desk: Desk::with_trust(), registry: Registry::start().unwrap() };
        chain(&stage.desk);
        stage.desk.signer(&["key", "import", "release", "release.pem"]).ok();
        Some(stage)
    }

    fn name(&self, tag: &str) -> String {
        format!("{}/acme/web:{tag}", self.registry.host())
    }

    /// Pushes an image, and stages it.
    fn add(&self, tag: &str) -> Descriptor {
        let image = ImageBuilder::new().file("content", tag.as_bytes()).build().unwrap();
        let digest = image.push_to(&self.registry, "acme/web", tag);
        self.desk.signer(&["add", &self.name(tag)]).ok();
        let (media_type, bytes) = self.registry.manifest("acme/web", &digest).unwrap();
        Descriptor::of(&media_type, &bytes)
    }

    fn signer(&self, words: &[&[&str]]) -> Said {
        self.desk.signer(&[&words.concat()[..], &["--format", "json"]].concat())
    }

    /// What lies in the registry as this report says: the type of the envelope, and the envelope.
    fn written(&self, said: &Said) -> (String, Vec<u8>) {
        let manifest = said.json()["for_others"]["signatures"][0]["manifest"].as_str().unwrap().to_owned();
        let (_, bytes) = self.registry.manifest("acme/web", &manifest).unwrap();
        let layer = serde_json::from_slice::<Value>(&bytes).unwrap()["layers"][0].clone();
        let blob = self.registry.blob("acme/web", layer["digest"].as_str().unwrap()).unwrap();
        (layer["mediaType"].as_str().unwrap().to_owned(), blob)
    }

    /// Who signed the image, by notation's rules and a policy that trusts our root.
    fn weigh(&self, image: &Descriptor, envelope: &[u8]) -> Result<usize, Refusal> {
        let policy = json!({ "version": "1.0", "trustPolicies": [{
            "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
            "trustStores": ["ca:acme"], "trustedIdentities": ["x509.subject: C=DE, ST=Berlin, O=Acme, CN=Acme releases"],
        }] });
        let root = fs::read_to_string(self.desk.path("ca.crt")).unwrap();
        let root = CertificateChain::from_pem(&root).unwrap().certificates().map(<[u8]>::to_vec).collect();
        let stores = TrustStores::from([("ca:acme".to_owned(), root)]);
        let notation = NotationTrust::new(&policy.to_string(), stores).unwrap();
        let trust = Trust { notation: Some(notation), ..Trust::default() };
        let context = Context { image, repository: "r.io/acme/web", now: chrono::Utc::now() };
        let piece = Piece { form: Form::NotationCose, bytes: envelope, annotations: &BTreeMap::new() };
        piece.verify(&context, &trust).map(|verified| verified.signers.len())
    }

    fn wrote(&self) -> bool {
        self.registry.log().iter().any(|one| !matches!(one.method.as_str(), "GET" | "HEAD"))
    }
}

fn outcome(said: &Said) -> String {
    said.json()["for_others"]["signatures"][0]["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn a_publish_signs_in_cose_once_and_our_own_verifier_takes_it() {
    let Some(stage) = Stage::new() else { return };
    let image = stage.add("1");
    stage.registry.clear_log();
    let rehearsed = stage.signer(&[&["publish", "--dry-run"], &FOR, &COSE]).ok();
    assert_eq!((outcome(&rehearsed).as_str(), stage.wrote()), ("would-be-pushed", false));
    let said = stage.signer(&[&["publish"], &FOR, &COSE]).ok();
    assert_eq!(outcome(&said), "pushed");
    let (kind, envelope) = stage.written(&said);
    assert_eq!(kind, "application/cose");
    assert_eq!(stage.weigh(&image, &envelope), Ok(1));
    let mut spoilt = envelope.clone();
    *spoilt.last_mut().unwrap() ^= 1;
    assert_eq!(stage.weigh(&image, &spoilt).unwrap_err().reason(), "tampered");
    let other = Descriptor::of(&image.media_type, b"{}");
    assert_eq!(stage.weigh(&other, &envelope).unwrap_err().reason(), "other-subject");
    // Once more, by either command: nothing new.
    stage.registry.clear_log();
    let name = stage.name("1");
    let again = stage.signer(&[&["sign-for", &name], &FOR, &COSE]).ok();
    assert_eq!((outcome(&again).as_str(), stage.written(&again)), ("was-there", (kind, envelope)));
    let again = stage.signer(&[&["publish"], &FOR, &COSE]).ok();
    assert_eq!(again.json()["for_others"]["signatures"], json!([]));
    assert!(!stage.wrote());
    // As JWS it is another signature.
    let other = stage.signer(&[&["sign-for", &name], &FOR]).ok();
    assert_eq!(
        (outcome(&other).as_str(), stage.written(&other).0.as_str()),
        ("pushed", "application/jose+json")
    );
}

#[test]
fn signer_toml_says_in_which_envelope_and_the_command_line_comes_first() {
    let Some(stage) = Stage::new() else { return };
    let file = stage.desk.path("trust/signer.toml");
    let before = fs::read_to_string(&file).unwrap();
    fs::copy(stage.desk.path("chain.pem"), stage.desk.path("trust/chain.pem")).unwrap();
    let lines = "formats = [\"notation\"]\nkey = \"release\"\ncertificate = \"chain.pem\"\nsignature-format = \"cose\"";
    fs::write(&file, format!("{before}\n[for-others]\n{lines}\n")).unwrap();
    stage.add("1");
    let said = stage.signer(&[&["publish"]]).ok();
    assert_eq!(stage.written(&said).0, "application/cose");
    let said = stage.signer(&[&["sign-for", &stage.name("1"), "--signature-format", "jws"]]).ok();
    assert_eq!(
        (outcome(&said).as_str(), stage.written(&said).0.as_str()),
        ("pushed", "application/jose+json")
    );
    // What is shown to be done again says what was said last.
    stage.add("2");
    stage.registry.set_fault(Place::blobs("acme/web"), Fault::Unavailable);
    let failed = stage.signer(&[&["publish", "--signature-format", "jws"]]);
    let repeat = failed.json()["for_others"]["repeat"].as_str().unwrap().to_owned();
    assert!(repeat.ends_with(" --signature-format jws"), "{repeat}");
    stage.registry.clear_faults();
    // What signer.toml says of notation is of no matter to others.
    stage.add("3");
    let said = stage.signer(&[&["publish", "--for", "cosign2"]]).ok();
    assert_eq!(outcome(&said), "pushed");
}

#[test]
fn the_command_that_is_shown_signs_in_cose_too() {
    let Some(stage) = Stage::new() else { return };
    stage.add("1");
    stage.registry.set_fault(Place::blobs("acme/web"), Fault::Unavailable);
    let said = stage.signer(&[&["publish"], &FOR, &COSE]);
    assert_eq!((said.code, outcome(&said).as_str()), (3, "not-pushed"), "{}", said.stderr);
    let repeat = said.json()["for_others"]["repeat"].as_str().unwrap().to_owned();
    assert!(repeat.ends_with(" --certificate chain.pem --signature-format cose"), "{repeat}");
    stage.registry.clear_faults();
    let command = repeat.replacen("signer", env!("CARGO_BIN_EXE_signer"), 1) + " --format json";
    let mut shell = Command::new("sh");
    let done = shell.args(["-c", &command]).current_dir(stage.desk.dir.path()).output().unwrap();
    assert_eq!(stage.written(&Said::of(&done).ok()).0, "application/cose");
}

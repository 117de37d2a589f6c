//! Signatures and attestations beside an image: sigstore bundles with a key, around a statement (sigstore bundle
//! format 0.3; DSSE 1.0.2; in-toto attestation 1.0), made apart from those of the crates under test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tuf_core::crypto::Sign as _;

use super::{Images, Setback, World};
use crate::images::{Format, Part};
use crate::sha256_digest;
use crate::simulator::Keyholder;

/// The media type of a bundle, and the artifact type of what holds it.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The payload type of a statement, and the media type of one that nobody signed.
pub const STATEMENT: &str = "application/vnd.in-toto+json";
/// The predicate type by which somebody signs an image.
pub const APPROVAL: &str = "https://sigstore.dev/cosign/sign/v1";

/// By how many of which keys an image must be signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The public keys, in PEM.
    pub keys: Vec<String>,
    /// How many of them.
    pub count: u32,
}

/// A statement about a manifest.
#[must_use]
pub fn statement(subject: &str, kind: &str) -> Vec<u8> {
    let hex = subject.trim_start_matches("sha256:");
    let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { "sha256": hex } }],
                            "predicateType": kind, "predicate": {} });
    statement.to_string().into_bytes()
}

/// A bundle around a statement, with a signature by each of the keys: an honest one has one.
///
/// # Errors
/// A key can't sign.
pub fn bundle(statement: &[u8], keys: &[Keyholder]) -> Result<Vec<u8>, Setback> {
    let mut message = format!("DSSEv1 {} {STATEMENT} {} ", STATEMENT.len(), statement.len()).into_bytes();
    message.extend_from_slice(statement);
    let sign = |key: &Keyholder| {
        let signature = key.sign(&message).map_err(|why| Setback::Absent(why.to_string()))?;
        Ok(json!({ "sig": STANDARD.encode(signature) }))
    };
    let signatures: Vec<Value> = keys.iter().map(sign).collect::<Result<_, Setback>>()?;
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "" } },
        "dsseEnvelope": { "payload": STANDARD.encode(statement), "payloadType": STATEMENT, "signatures": signatures },
    });
    Ok(bundle.to_string().into_bytes())
}

impl World {
    /// The image must be signed by so many of these from now on.
    pub fn demand(&mut self, count: u32, keys: &[Keyholder]) {
        let keys = keys.iter().filter_map(|key| key.key().to_pem().ok()).collect();
        self.demand = Some(Demand { keys, count });
    }

    /// Somebody says something of a manifest, and puts it beside that manifest. Returns the digest of the bundle.
    ///
    /// # Errors
    /// There is no such manifest, or the key can't sign.
    pub fn attest(&mut self, subject: &str, kind: &str, key: &Keyholder) -> Result<String, Setback> {
        let blob = bundle(&statement(subject, kind), std::slice::from_ref(key))?;
        self.images.attach(subject, BUNDLE, &blob)?;
        Ok(sha256_digest(&blob))
    }

    /// The publisher's metadata names these as what belongs to the image. Nothing is published yet.
    ///
    /// # Errors
    /// The image isn't there.
    pub fn name_evidence(&mut self, evidence: &[String]) -> Result<(), Setback> {
        let (index, tag) = (self.index(), self.tag.clone());
        let mut target = self.target(&index)?;
        let media_type = self.images.part(&index)?.media_type.clone();
        let custom = json!({ "hallmark": { "version": 1, "media_type": media_type, "evidence": evidence } });
        target.custom = Some(serde_json::value::to_raw_value(&custom)?);
        for path in [format!("{}:{tag}", self.name), format!("{}@{index}", self.name)] {
            self.repo.role_mut("targets").set_target(&path, &target)?;
        }
        Ok(())
    }
}

impl Images {
    /// Puts a manifest with one blob beside another manifest. Returns its digest.
    ///
    /// # Errors
    /// There is no such other manifest.
    pub fn attach(&mut self, subject: &str, kind: &str, blob: &[u8]) -> Result<String, Setback> {
        self.attach_sized(subject, kind, blob, blob.len())
    }

    /// As [`Self::attach`], and says that the blob has that size.
    ///
    /// # Errors
    /// There is no such other manifest.
    pub fn attach_sized(
        &mut self,
        subject: &str,
        kind: &str,
        blob: &[u8],
        size: usize,
    ) -> Result<String, Setback> {
        const EMPTY: &str = "application/vnd.oci.empty.v1+json";
        let about = self.part(subject)?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": Format::Oci.manifest(), "artifactType": kind,
            "config": { "mediaType": EMPTY, "digest": sha256_digest(b"{}"), "size": 2 },
            "layers": [{ "mediaType": kind, "digest": sha256_digest(blob), "size": size }],
            "subject": { "mediaType": about.media_type, "digest": subject, "size": about.bytes.len() },
        });
        for (media_type, bytes) in [(EMPTY, b"{}".as_slice()), (kind, blob)] {
            let part = Part { media_type: media_type.into(), bytes: bytes.to_vec() };
            self.blobs.insert(part.digest(), part);
        }
        let part =
            Part { media_type: Format::Oci.manifest().into(), bytes: manifest.to_string().into_bytes() };
        let digest = part.digest();
        self.manifests.insert(digest.clone(), part);
        self.attached.insert(digest.clone());
        Ok(digest)
    }

    /// Takes away everything that was put beside manifests.
    pub fn detach_all(&mut self) {
        for digest in std::mem::take(&mut self.attached) {
            self.manifests.remove(&digest);
        }
    }
}

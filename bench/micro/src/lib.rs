//! What the benches measure with: repositories made and signed in memory, with keys that are numbers.
//!
//! Nothing here is measured.

use tuf_core::authoring::{AuthorError, Document, meta_of};
use tuf_core::crypto::{self, Ed25519Signer, Sign as _};
use tuf_core::key::PublicKey;
use tuf_core::schema::Target;
use tuf_core::{FreshSnapshot, Instant, Refusal, Role, TrustedRoot};

/// What is signed to time a signature.
pub const MESSAGE: &[u8; 1024] = &[7; 1024];

/// One state of a repository, as files.
#[derive(Debug, Default)]
pub struct Repository {
    root: Vec<u8>,
    timestamp: Vec<u8>,
    snapshot: Vec<u8>,
    /// The top-level targets file.
    pub targets: Vec<u8>,
}

fn now() -> Instant {
    Instant::default()
}

fn signer(number: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[number; 32])
}

fn signed(mut document: Document, number: u8) -> Result<Vec<u8>, AuthorError> {
    document.sign(&signer(number), crypto::default())?;
    Ok(document.to_bytes())
}

impl Repository {
    /// Targets listed in one file.
    #[must_use]
    pub fn flat(count: u32) -> Self {
        let mut targets = Document::targets(Self::expires());
        for number in 0..count {
            let path = Self::path(number);
            // Two strings and a number: this can't fail.
            let _ = targets.set_target(&path, &Target::of(path.as_bytes()));
        }
        Self::of(targets).unwrap_or_default()
    }

    /// Sixteen thousand roles, each with four prefixes of four digits.
    #[must_use]
    pub fn bins() -> Self {
        let mut targets = Document::targets(Self::expires());
        let key = signer(5);
        let id = key.key_id();
        let roles: Vec<_> = (0..16_384_u32)
            .map(|bin| {
                let first = bin.saturating_mul(4);
                let prefixes: Vec<_> = (first..first.saturating_add(4)).map(|x| format!("{x:04x}")).collect();
                serde_json::json!({ "name": format!("bin-{bin:04x}"), "keyids": [id], "threshold": 1,
                                    "terminating": false, "path_hash_prefixes": prefixes })
            })
            .collect();
        let delegations = serde_json::json!({ "keys": { id: key.key().to_value() }, "roles": roles });
        targets.signed_mut().insert("delegations".into(), delegations);
        Self::of(targets).unwrap_or_default()
    }

    /// The path of a target.
    #[must_use]
    pub fn path(number: u32) -> String {
        format!("registry.example.com/team-{:03}/service-{number:06}/linux-amd64/index.json", number % 991)
    }

    /// The targets with white space, as other tools write them.
    #[must_use]
    pub fn spaced(&self) -> Vec<u8> {
        let value: serde_json::Value = serde_json::from_slice(&self.targets).unwrap_or_default();
        serde_json::to_vec_pretty(&value).unwrap_or_default()
    }

    /// The state up to the snapshot.
    ///
    /// # Panics
    /// When the repository isn't one, which would make all figures worthless.
    #[must_use]
    #[expect(clippy::panic, reason = "a bench without its repository measures nothing")]
    pub fn snapshot(&self) -> FreshSnapshot {
        self.weighed().unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    fn weighed(&self) -> Result<FreshSnapshot, Refusal> {
        let root = TrustedRoot::bootstrap(&self.root, now(), crypto::default())?.current()?;
        root.timestamp(None, &self.timestamp)?.snapshot(None, &self.snapshot)
    }

    fn expires() -> Instant {
        now().checked_add_signed(chrono::TimeDelta::days(365)).unwrap_or_default()
    }

    fn of(targets: Document) -> Result<Self, AuthorError> {
        let mut root = Document::root(Self::expires());
        for (role, number) in [(Role::Root, 1), (Role::Timestamp, 2), (Role::Snapshot, 3), (Role::Targets, 4)] {
            root.add_key(&role, signer(number).key());
        }
        let targets = signed(targets, 4)?;
        let mut snapshot = Document::snapshot(Self::expires());
        // As most repositories: the version alone.
        let version = |bytes: &[u8]| tuf_core::schema::MetaFile { length: None, hashes: None, ..meta_of(1, bytes) };
        snapshot.set_meta("targets.json", &version(&targets));
        let snapshot = signed(snapshot, 3)?;
        let mut timestamp = Document::timestamp(Self::expires());
        timestamp.set_meta("snapshot.json", &version(&snapshot));
        Ok(Self { root: signed(root, 1)?, timestamp: signed(timestamp, 2)?, snapshot, targets })
    }
}

/// A key of each kind, and its signature of [`MESSAGE`].
#[must_use]
pub fn signatures() -> Vec<(&'static str, PublicKey, Vec<u8>)> {
    let mut all = Vec::new();
    let ed25519 = signer(1);
    if let (Ok(key), Ok(signature)) = (ed25519.key().material(), ed25519.sign(MESSAGE)) {
        all.push(("Ed25519", key, signature));
    }
    all.extend(ecdsa());
    all.extend(rsa());
    all
}

fn ecdsa() -> Option<(&'static str, PublicKey, Vec<u8>)> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).ok()?;
    let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), MESSAGE).ok()?;
    let point = pair.public_key().as_ref().to_vec();
    Some(("ECDSA P-256", PublicKey::EcdsaP256(point), signature.as_ref().to_vec()))
}

fn rsa() -> Option<(&'static str, PublicKey, Vec<u8>)> {
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &aws_lc_rs::rand::SystemRandom::new(), MESSAGE, &mut signature).ok()?;
    let key = PublicKey::RsaPss(tuf_core::key::RsaHash::Sha256, pair.public_key().as_ref().to_vec());
    Some(("RSA-PSS 2048", key, signature))
}

//! Keyless signatures of sigstore, judged offline against a given trusted root: the certificate and its chain,
//! the certificate's own log (SCT), Rekor 1 and 2, time stamps.
//!
//! The rules are those of `sigstore-verify`, with nothing left out. It asks the machine's clock for one thing:
//! whether a log's time is still to come. So that is asked of `now` here too.

use std::fmt;

use chrono::{DateTime, Utc};
use sigstore_verify::types::{
    Artifact, ArtifactDigest, Bundle, HashAlgorithm, Sha256Hash, Sha512Hash, SignatureContent,
};
use sigstore_verify::{Error, VerificationPolicy, VerificationResult, Verifier, trust_root};

use crate::limits::TRUST_MAX;
use crate::provider;
use crate::refusal::Refusal;
use crate::statement::Statement;
use crate::trust::{BadTrust, Identity, Signer};

/// Certificate authorities, logs and time stamp authorities: a `trusted_root.json`.
pub struct SigstoreRoot(Verifier);

impl fmt::Debug for SigstoreRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigstoreRoot")
    }
}

impl SigstoreRoot {
    /// Reads a trusted root (`application/vnd.dev.sigstore.trustedroot+json`, 0.1 or 0.2).
    ///
    /// # Errors
    /// Where it is none, or one of its keys or certificates can't be used.
    pub fn from_json(text: &str) -> Result<Self, BadTrust> {
        provider::install();
        let what = "a trusted root of sigstore";
        let bad = |why: &dyn fmt::Display| BadTrust { what, why: why.to_string() };
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > TRUST_MAX {
            return Err(bad(&format!("it has more than {TRUST_MAX} bytes")));
        }
        let root = trust_root::TrustedRoot::from_json(text).map_err(|why| bad(&why))?;
        Verifier::new(&root).map(Self).map_err(|why| bad(&why))
    }

    /// The payload of a bundle's envelope, and who signed it.
    pub(crate) fn verify(
        &self,
        bundle: &[u8],
        identities: &[Identity],
        now: DateTime<Utc>,
    ) -> Result<(Vec<u8>, Signer), Refusal> {
        let bundle = read(bundle)?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            let (expected, got) = ("a DSSE envelope".into(), "another".into());
            return Err(Refusal::Kind { what: "a bundle of", expected, got });
        };
        let payload = envelope.payload.as_bytes().to_vec();
        // What it is about, is asked by whoever knows the image: here it need only be about something.
        let artifact = subject(&Statement::parse(&payload)?)?;
        let signer = self.signer(&bundle, artifact, identities, now)?;
        Ok((payload, signer))
    }

    /// Who signed these bytes.
    pub(crate) fn verify_bytes(
        &self,
        bundle: &[u8],
        message: &[u8],
        identities: &[Identity],
        now: DateTime<Utc>,
    ) -> Result<Signer, Refusal> {
        let bundle = read(bundle)?;
        provider::knowing(message, || self.signer(&bundle, Artifact::from_blob(message), identities, now))
    }

    fn signer(
        &self,
        bundle: &Bundle,
        artifact: Artifact<'_>,
        identities: &[Identity],
        now: DateTime<Utc>,
    ) -> Result<Signer, Refusal> {
        let policy = VerificationPolicy::any_identity();
        let result = self.0.verify(artifact, bundle, &policy).map_err(refusal)?;
        if !(result.certificate_verified() && result.sct_verified() && result.tlog_verified()) {
            return Err(Refusal::Unchecked { got: "a certificate or log entry that was left out".into() });
        }
        expect_past(&result, now)?;
        let identity = identity(&result)?;
        if identities.contains(&identity) {
            return Ok(Signer::Identity(identity));
        }
        let got = identity.to_string();
        if identities.is_empty() {
            return Err(Refusal::Signer {
                expected: "the identities given, of which there are none".into(),
                got,
            });
        }
        let expected = identities.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Err(Refusal::Signer { expected, got })
    }
}

fn read(bundle: &[u8]) -> Result<Bundle, Refusal> {
    let what = "a sigstore bundle";
    let text = str::from_utf8(bundle).map_err(|why| Refusal::malformed(what, why))?;
    Bundle::from_json(text).map_err(|why| Refusal::malformed(what, why))
}

/// A digest of a statement's subject, as the library wants one.
fn subject(statement: &Statement) -> Result<Artifact<'static>, Refusal> {
    let digests = || statement.subjects.iter().flat_map(|subject| &subject.digest);
    let hex = |name: &str| digests().find(|(algorithm, _)| *algorithm == name).map(|(_, hex)| hex);
    let sha256 = hex("sha256").and_then(|hex| Sha256Hash::from_hex(hex).ok()).map(Artifact::from_digest);
    let sha512 = || {
        let hash = Sha512Hash::from_hex(hex("sha512")?).ok()?;
        ArtifactDigest::new(HashAlgorithm::Sha2512, hash.as_bytes().to_vec()).ok().map(Artifact::from_digest)
    };
    let none = || Refusal::malformed("a statement about a digest", "it has no SHA-256 and no SHA-512");
    sha256.or_else(sha512).ok_or_else(none)
}

fn expect_past(result: &VerificationResult, now: DateTime<Utc>) -> Result<(), Refusal> {
    let times = result.verified_timestamps();
    match times.iter().find(|time| time.as_second() > now.timestamp()) {
        None if times.is_empty() => Err(Refusal::Log { why: "expected a time, got none".into() }),
        None => Ok(()),
        Some(late) => Err(Refusal::Log { why: format!("expected a time before {now}, got {late}") }),
    }
}

fn identity(result: &VerificationResult) -> Result<Identity, Refusal> {
    let missing = |what: &str| Refusal::Certificate { why: format!("expected {what}, got none") };
    let subject = result.identity().ok_or_else(|| missing("an identity"))?.as_str().to_owned();
    let issuer = result.issuer().ok_or_else(|| missing("an issuer of the identity"))?.to_owned();
    Ok(Identity { subject, issuer })
}

fn refusal(error: Error) -> Refusal {
    let why = error.to_string();
    match error {
        Error::SignatureInvalid(_) => Refusal::Signature { expected: "its certificate's key".into() },
        Error::Certificate(_) => Refusal::Certificate { why },
        // Of the root only that is asked here: whether it has a log of certificates.
        Error::TransparencyLog(_) | Error::Timestamp(_) | Error::InvalidTrustRoot(_) => Refusal::Log { why },
        Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) => Refusal::Unchecked { got: why },
        _ => Refusal::malformed("a sigstore bundle", why),
    }
}

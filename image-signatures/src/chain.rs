//! The certificates of a key, weighed as notation weighs them (notary signature specification 1.1,
//! "Certificate requirements"): so that nothing is signed that its readers refuse.
//!
//! Whether a root is trusted is for the readers; revocation too.

use chrono::{DateTime, Utc};
use der::oid::AssociatedOid;
use der::{Decode, Encode as _};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use tuf_core::key::Key;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

/// The largest file: ten certificates with RSA keys of 4096 bits have some 25 KiB.
const PEM_MAX: usize = 128 * 1024;

/// The most certificates in a chain. Real ones have one to four.
const CERTIFICATES_MAX: usize = 10;

/// What notation's certificates may not be for, beside signing (RFC 5280, section 4.2.1.12): anything, servers,
/// clients, mail, time stamps, OCSP.
const NOT_FOR: [(&str, &str); 6] = [
    ("2.5.29.37.0", "anyExtendedKeyUsage"),
    ("1.3.6.1.5.5.7.3.1", "serverAuth"),
    ("1.3.6.1.5.5.7.3.2", "clientAuth"),
    ("1.3.6.1.5.5.7.3.4", "emailProtection"),
    ("1.3.6.1.5.5.7.3.8", "timeStamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning"),
];

/// How certificates may be signed: no SHA-1 is among these.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 11] = [
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::ED25519,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
    webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Certificates, that of the key first and that of the root last.
#[derive(Clone, Debug)]
pub struct CertificateChain(Vec<(Certificate, Vec<u8>)>);

/// What is wrong with a chain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The file is none of PEM certificates.
    #[error("expected certificates in PEM, that of the key first, got {0}")]
    NotPem(String),
    /// What came with a signature are no certificates.
    #[error("expected certificates in DER, that of the key first, got {0}")]
    NotDer(String),
    /// The first certificate is another key's.
    #[error("expected the first certificate, of {subject}, to be for the key that signs, got another key")]
    OtherKey {
        /// Of whom it is.
        subject: String,
    },
    /// A certificate's time is over, or has not come.
    #[error("expected a certificate that is valid at {now}, got that of {subject}: {from} to {until}")]
    Time {
        /// Of whom it is.
        subject: String,
        /// When it would sign.
        now: DateTime<Utc>,
        /// When it begins.
        from: String,
        /// When it ends.
        until: String,
    },
    /// A certificate is not by the next one.
    #[error("expected the certificate of {subject} to be signed by the next one, of {issuer}: it isn't")]
    Link {
        /// Of whom it is.
        subject: String,
        /// By whom it should be.
        issuer: String,
    },
    /// The last certificate is no root.
    #[error("expected the chain to end with a certificate that signed itself, got that of {subject}")]
    NoRoot {
        /// Of whom it is.
        subject: String,
    },
    /// A certificate is for something else.
    #[error("the certificate of {subject}: {why}")]
    Use {
        /// Of whom it is.
        subject: String,
        /// What was expected, and what came.
        why: String,
    },
}

impl CertificateChain {
    /// Reads PEM certificates (RFC 7468, section 5): that of the key, those between, and the root, which
    /// notation wants too. A certificate that signed itself may stand alone.
    ///
    /// # Errors
    /// [`ChainError::NotPem`]. Whether the chain is any good shows when something is to be signed.
    pub fn from_pem(pem: &str) -> Result<Self, ChainError> {
        if pem.len() > PEM_MAX {
            return Err(ChainError::NotPem(format!("more than {PEM_MAX} bytes")));
        }
        let certificates = Certificate::load_pem_chain(pem.as_bytes());
        let certificates = certificates.map_err(|why| ChainError::NotPem(why.to_string()))?;
        if certificates.is_empty() || certificates.len() > CERTIFICATES_MAX {
            let got = certificates.len();
            return Err(ChainError::NotPem(format!(
                "{got} of them, and 1 to {CERTIFICATES_MAX} can be used"
            )));
        }
        let received = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let received = received.map_err(|why| ChainError::NotPem(why.to_string()))?;
        // The parser forgives some lengths. What is weighed must be what is sent: so it is refused if, written
        // anew, it isn't the same.
        let same = |(certificate, received): (&Certificate, &CertificateDer<'_>)| {
            certificate.to_der().is_ok_and(|der| der == received.as_ref())
        };
        if certificates.len() != received.len() || !certificates.iter().zip(&received).all(same) {
            return Err(ChainError::NotPem("a certificate that isn't DER, or something else".into()));
        }
        let received = received.iter().map(|der| der.to_vec());
        Ok(Self(certificates.into_iter().zip(received).collect()))
    }

    /// The certificates of a signature, each in DER: that of the key, those between, and the root.
    ///
    /// # Errors
    /// [`ChainError::NotDer`], where there are too many, or one that isn't DER.
    pub fn from_der(certificates: &[Vec<u8>]) -> Result<Self, ChainError> {
        let (got, size) =
            (certificates.len(), certificates.iter().map(Vec::len).fold(0, usize::saturating_add));
        if got == 0 || got > CERTIFICATES_MAX || size > PEM_MAX {
            return Err(ChainError::NotDer(format!(
                "{got} of them with {size} bytes, and 1 to {CERTIFICATES_MAX} with {PEM_MAX} can be used"
            )));
        }
        let read = |der: &Vec<u8>| {
            let certificate =
                Certificate::from_der(der).map_err(|why| ChainError::NotDer(why.to_string()))?;
            let same = certificate.to_der().is_ok_and(|again| again == *der);
            let no_der = || ChainError::NotDer("a certificate that isn't DER".into());
            same.then_some((certificate, der.clone())).ok_or_else(no_der)
        };
        certificates.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The key that the first certificate is for.
    ///
    /// # Errors
    /// [`ChainError::Use`], where it is of a kind that can't be used.
    pub fn leaf_key(&self) -> Result<Key, ChainError> {
        let (leaf, _) = self.0.first().ok_or_else(|| ChainError::NotDer("none".into()))?;
        let pem = leaf.tbs_certificate().subject_public_key_info().to_der().ok().and_then(|der| {
            let document = der::Document::try_from(der).ok()?;
            document.to_pem("PUBLIC KEY", der::pem::LineEnding::LF).ok()
        });
        let pem = pem.ok_or_else(|| wrong(leaf, "expected a key, got none"))?;
        Key::from_pem(&pem).map_err(|why| wrong(leaf, why.to_string()))
    }

    /// Of whom the first certificate is (RFC 4514).
    #[must_use]
    pub fn leaf_subject(&self) -> String {
        self.0.first().map(|(leaf, _)| subject(leaf)).unwrap_or_default()
    }

    /// The first certificate that says where to ask whether it was revoked (RFC 5280, sections 4.2.1.13 and
    /// 4.2.2.1).
    #[must_use]
    pub fn revocable(&self) -> Option<String> {
        const WHERE: [&str; 2] = ["2.5.29.31", "1.3.6.1.5.5.7.1.1"];
        let asks = |certificate: &Certificate| {
            let extensions = certificate.tbs_certificate().extensions();
            let mut extensions = extensions.into_iter().flat_map(|all| all.iter());
            extensions.any(|one| WHERE.contains(&one.extn_id.to_string().as_str()))
        };
        self.0.iter().find(|(certificate, _)| asks(certificate)).map(|(certificate, _)| subject(certificate))
    }

    /// Each in DER, that of the key first.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(_, der)| der.as_slice())
    }

    /// Whether notation would take a signature by this key with these certificates, made now.
    ///
    /// # Errors
    /// The first thing that it would refuse.
    pub fn expect_usable(&self, key: &Key, now: DateTime<Utc>) -> Result<(), ChainError> {
        self.expect(now, |certificate| expect_leaf(certificate, key), true)
    }

    /// Whether notation would take a time stamp by the holder of the first certificate, made then (RFC 3161,
    /// section 2.3).
    ///
    /// # Errors
    /// The first thing that it would refuse.
    pub fn expect_time_stamping(&self, then: DateTime<Utc>) -> Result<(), ChainError> {
        self.expect(then, expect_stamping_leaf, false)
    }

    /// Each link of the chain. notation asks that authorities' key usage be critical where they are for signing, and
    /// not where they are for time stamps.
    fn expect(
        &self,
        now: DateTime<Utc>,
        expect_leaf: impl Fn(&Certificate) -> Result<(), ChainError>,
        critical: bool,
    ) -> Result<(), ChainError> {
        for (place, (certificate, _)) in self.0.iter().enumerate() {
            expect_time(certificate, now)?;
            match place.checked_sub(1) {
                None => expect_leaf(certificate)?,
                Some(below) => expect_issuer(certificate, below, critical)?,
            }
            let next = place.checked_add(1).and_then(|next| self.0.get(next));
            match next {
                Some((issuer, _)) if is_by(certificate, issuer) => {}
                Some((issuer, _)) => {
                    return Err(ChainError::Link { subject: subject(certificate), issuer: subject(issuer) });
                }
                None if is_by(certificate, certificate) => {}
                None => return Err(ChainError::NoRoot { subject: subject(certificate) }),
            }
        }
        Ok(())
    }
}

fn subject(certificate: &Certificate) -> String {
    certificate.tbs_certificate().subject().to_string()
}

fn wrong(certificate: &Certificate, why: impl Into<String>) -> ChainError {
    ChainError::Use { subject: subject(certificate), why: why.into() }
}

fn expect_time(certificate: &Certificate, now: DateTime<Utc>) -> Result<(), ChainError> {
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
    let (from, until) = (seconds(&validity.not_before), seconds(&validity.not_after));
    let holds = from.is_some_and(|from| from <= now.timestamp())
        && until.is_some_and(|until| now.timestamp() <= until);
    if holds {
        return Ok(());
    }
    let (from, until) = (validity.not_before.to_string(), validity.not_after.to_string());
    Err(ChainError::Time { subject: subject(certificate), now, from, until })
}

fn expect_leaf(certificate: &Certificate, key: &Key) -> Result<(), ChainError> {
    let tbs = certificate.tbs_certificate();
    let theirs = tbs.subject_public_key_info().to_der().ok();
    let pem = theirs.and_then(|der| {
        let document = der::Document::try_from(der).ok()?;
        document.to_pem("PUBLIC KEY", der::pem::LineEnding::LF).ok()
    });
    let ours = key.to_pem().ok();
    if ours.is_none() || pem != ours {
        return Err(ChainError::OtherKey { subject: subject(certificate) });
    }
    expect_signing(certificate, true)?;
    let purposes = extension::<ExtendedKeyUsage>(certificate)?.map(|(usage, _)| usage.0).unwrap_or_default();
    let other = NOT_FOR.iter().find(|(oid, _)| purposes.iter().any(|purpose| purpose.to_string() == *oid));
    match other {
        Some((_, purpose)) => {
            Err(wrong(certificate, format!("expected codeSigning as its extended use, got {purpose}")))
        }
        None => Ok(()),
    }
}

/// A certificate for signing, and not that of an authority.
fn expect_signing(certificate: &Certificate, must_be_critical: bool) -> Result<(), ChainError> {
    let (usage, critical) = extension::<KeyUsage>(certificate)?
        .ok_or_else(|| wrong(certificate, "expected a key usage of digitalSignature, got none"))?;
    if (must_be_critical && !critical) || usage.0 != KeyUsages::DigitalSignature {
        let what = if must_be_critical { "a critical key usage" } else { "a key usage" };
        return Err(wrong(certificate, format!("expected {what} of digitalSignature alone, got another")));
    }
    match extension::<BasicConstraints>(certificate)? {
        Some((constraints, _)) if constraints.ca => {
            Err(wrong(certificate, "expected the key's own certificate, got that of an authority"))
        }
        _ => Ok(()),
    }
}

/// Whoever makes time stamps: for them alone, and whoever reads it must heed that.
fn expect_stamping_leaf(certificate: &Certificate) -> Result<(), ChainError> {
    const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
    expect_signing(certificate, false)?;
    let purposes = extension::<ExtendedKeyUsage>(certificate)?;
    let only =
        |usage: &ExtendedKeyUsage| matches!(usage.0.as_slice(), [one] if one.to_string() == TIME_STAMPING);
    match purposes {
        Some((usage, true)) if only(&usage) => Ok(()),
        _ => Err(wrong(certificate, "expected a critical extended use of timeStamping alone, got another")),
    }
}

/// An authority with `below` other authorities under it.
fn expect_issuer(certificate: &Certificate, below: usize, must_be_critical: bool) -> Result<(), ChainError> {
    let (constraints, _) = extension::<BasicConstraints>(certificate)?
        .filter(|(constraints, _)| constraints.ca)
        .ok_or_else(|| wrong(certificate, "expected an authority's certificate, got none"))?;
    if constraints.path_len_constraint.is_some_and(|most| usize::from(most) < below) {
        return Err(wrong(
            certificate,
            format!("expected one that allows {below} authorities below, got less"),
        ));
    }
    let (usage, critical) = extension::<KeyUsage>(certificate)?
        .ok_or_else(|| wrong(certificate, "expected a key usage of keyCertSign, got none"))?;
    if (critical || !must_be_critical) && usage.0.contains(KeyUsages::KeyCertSign) {
        return Ok(());
    }
    let what = if must_be_critical { "a critical key usage" } else { "a key usage" };
    Err(wrong(certificate, format!("expected {what} of keyCertSign, got another")))
}

/// An extension, and whether it is critical.
fn extension<'a, T>(certificate: &'a Certificate) -> Result<Option<(T, bool)>, ChainError>
where
    T: Decode<'a, Error = der::Error> + AssociatedOid,
{
    let found = certificate.tbs_certificate().get_extension::<T>();
    found
        .map(|found| found.map(|(critical, extension)| (extension, critical)))
        .map_err(|why| wrong(certificate, why.to_string()))
}

/// Whether the one names the other as its issuer, and is signed by it.
fn is_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let (ours, theirs) = (certificate.tbs_certificate(), issuer.tbs_certificate());
    let named = ours.issuer().to_der().ok() == theirs.subject().to_der().ok();
    let parts = (|| {
        let algorithm = content(&certificate.signature_algorithm().to_der().ok()?)?;
        let info = theirs.subject_public_key_info();
        let key_algorithm = content(&info.algorithm.to_der().ok()?)?;
        let key = info.subject_public_key.as_bytes()?.to_vec();
        Some((algorithm, key_algorithm, key, ours.to_der().ok()?, certificate.signature().as_bytes()?))
    })();
    let Some((algorithm, key_algorithm, key, message, signature)) = parts else { return false };
    named
        && ALGORITHMS.iter().any(|known| {
            known.signature_alg_id().as_ref() == algorithm.as_slice()
                && known.public_key_alg_id().as_ref() == key_algorithm.as_slice()
                && known.verify_signature(&key, &message, signature).is_ok()
        })
}

/// What is in a SEQUENCE: webpki names algorithms without its head.
fn content(der: &[u8]) -> Option<Vec<u8>> {
    der::asn1::AnyRef::from_der(der).ok().map(|any| any.value().to_vec())
}

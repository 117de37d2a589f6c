//! Time stamps of notation's signatures (RFC 3161, RFC 5816; CMS: RFC 5652): that somebody who is trusted for it saw a
//! signature, and when.
//!
//! Signatures are over the bytes that came, so these are cut out of the token and never written anew. A token is read
//! in DER alone. Not here: who is trusted, and what a time is good for.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _, Header, Reader as _, SliceReader, Tag};
use image_signatures::CertificateChain;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::ring as known;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::limits::{TOKEN_CERTIFICATES_MAX, TOKEN_PARTS_MAX};
use crate::refusal::Refusal;

/// When a signature was seen: no earlier and no later than this.
#[derive(Debug)]
pub(crate) struct TimeStamp {
    pub(crate) earliest: DateTime<Utc>,
    pub(crate) latest: DateTime<Utc>,
    /// Who says so, root last.
    pub(crate) authority: CertificateChain,
}

const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";

/// Whose times are good to a second where they say nothing (RFC 3628, section 5.1).
const BASELINE_POLICY: &str = "0.4.0.2023.1.1";

/// id-kp-timeStamping, 1.3.6.1.5.5.7.3.8, as webpki compares it.
const TIME_STAMPING: [u8; 8] = [43, 6, 1, 5, 5, 7, 3, 8];

/// The tags that CMS gives by number.
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_1: u8 = 0xa1;
const SET_OF: u8 = 0x31;

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Verifies a token over these bytes, by an authority below one of these roots.
///
/// # Errors
/// [`Refusal::TimeStamp`], with the first thing that doesn't hold.
pub(crate) fn verify(token: &[u8], stamped: &[u8], roots: &[&[u8]]) -> Result<TimeStamp, Refusal> {
    let token = Token::read(token)?;
    let info = Info::read(token.info)?;
    info.expect_over(stamped)?;
    let signer = token.signer()?;
    let leaf = CertificateDer::from(signer);
    let certificate = EndEntityCert::try_from(&leaf).map_err(bad)?;
    token.expect_signed_by(&certificate)?;
    let authority = path(&certificate, &token.certificates, roots, info.time)?;
    // That it is for time stamps and nothing else (RFC 3161, section 2.3).
    authority.expect_time_stamping(info.time).map_err(bad)?;
    let bound = |time: Option<DateTime<Utc>>| time.ok_or_else(|| bad("expected a time, got one beyond all"));
    Ok(TimeStamp {
        earliest: bound(info.time.checked_sub_signed(info.accuracy))?,
        // Certificates end with a second.
        latest: bound(info.time.checked_add_signed(info.accuracy).and_then(up))?,
        authority,
    })
}

fn up(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let more = TimeDelta::seconds(i64::from(time.timestamp_subsec_nanos() > 0));
    time.checked_add_signed(more)
}

fn bad(why: impl std::fmt::Display) -> Refusal {
    Refusal::TimeStamp { why: why.to_string() }
}

/// The certificates from the signer to one of the roots, all valid at that time.
fn path(
    signer: &EndEntityCert<'_>,
    others: &[&[u8]],
    roots: &[&[u8]],
    at: DateTime<Utc>,
) -> Result<CertificateChain, Refusal> {
    let seconds = u64::try_from(at.timestamp()).map_err(|_| bad("expected a time after 1970"))?;
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let between: Vec<_> = others.iter().map(|der| CertificateDer::from(*der)).collect();
    let mut why = bad("expected a trust store tsa: with a root, got none");
    for root in roots {
        let der = CertificateDer::from(*root);
        let Ok(anchor) = anchor_from_trusted_cert(&der) else { continue };
        let anchors = [anchor];
        // What the signer's own certificate is for, is asked of it alone: those above may say nothing.
        let usage = KeyUsage::required_if_present(&TIME_STAMPING);
        let path = signer.verify_for_usage(&CERTIFICATES, &anchors, &between, time, usage, None, None);
        match path {
            Err(error) => why = bad(format!("its certificate leads to no root of the trust stores: {error}")),
            Ok(path) => {
                let between = path.intermediate_certificates().map(|one| one.der().to_vec());
                let all = std::iter::once(signer.der().to_vec()).chain(between);
                let all: Vec<_> = all.chain([root.to_vec()]).collect();
                return CertificateChain::from_der(&all).map_err(bad);
            }
        }
    }
    Err(why)
}

/// How certificates of authorities may be signed: no SHA-1 is among these.
const CERTIFICATES: [Algorithm; 10] = [
    known::ECDSA_P256_SHA256,
    known::ECDSA_P256_SHA384,
    known::ECDSA_P384_SHA256,
    known::ECDSA_P384_SHA384,
    known::RSA_PKCS1_2048_8192_SHA256,
    known::RSA_PKCS1_2048_8192_SHA384,
    known::RSA_PKCS1_2048_8192_SHA512,
    known::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    known::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    known::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By its object identifier (RFC 5754, section 2). SHA-1 is none.
    fn of(oid: &str) -> Result<Self, Refusal> {
        match oid {
            "2.16.840.1.101.3.4.2.1" => Ok(Self::Sha256),
            "2.16.840.1.101.3.4.2.2" => Ok(Self::Sha384),
            "2.16.840.1.101.3.4.2.3" => Ok(Self::Sha512),
            other => Err(bad(format!("expected SHA-256, SHA-384 or SHA-512, got {other}"))),
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// The algorithms that a signature of this name may be by (RFC 5754, section 3; RFC 4056): which it is,
    /// follows from the key. The name's own hash must be the one that is declared.
    fn algorithms(self, signature: &str) -> Result<Vec<Algorithm>, Refusal> {
        use Hash::{Sha256, Sha384, Sha512};
        let ecdsa = |hash| match hash {
            Sha256 => vec![known::ECDSA_P256_SHA256, known::ECDSA_P384_SHA256],
            Sha384 => vec![known::ECDSA_P384_SHA384, known::ECDSA_P256_SHA384],
            Sha512 => vec![],
        };
        let rsa = |hash| match hash {
            Sha256 => vec![known::RSA_PKCS1_2048_8192_SHA256],
            Sha384 => vec![known::RSA_PKCS1_2048_8192_SHA384],
            Sha512 => vec![known::RSA_PKCS1_2048_8192_SHA512],
        };
        let pss = match self {
            Sha256 => known::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            Sha384 => known::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
            Sha512 => known::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        };
        let (named, all): (Self, Vec<Algorithm>) = match signature {
            "1.2.840.113549.1.1.1" => (self, rsa(self)),
            "1.2.840.113549.1.1.10" => (self, vec![pss]),
            "1.2.840.113549.1.1.11" => (Sha256, rsa(Sha256)),
            "1.2.840.113549.1.1.12" => (Sha384, rsa(Sha384)),
            "1.2.840.113549.1.1.13" => (Sha512, rsa(Sha512)),
            "1.2.840.10045.4.3.2" => (Sha256, ecdsa(Sha256)),
            "1.2.840.10045.4.3.3" => (Sha384, ecdsa(Sha384)),
            other => return Err(bad(format!("expected a signature by RSA or ECDSA, got {other}"))),
        };
        if named != self {
            return Err(bad(format!("expected a signature with {self:?}, got one with {named:?}")));
        }
        Ok(all)
    }
}

/// A token's parts, none of them believed.
struct Token<'a> {
    certificates: Vec<&'a [u8]>,
    /// What was signed: a `TSTInfo`.
    info: &'a [u8],
    /// The signed attributes, as they came.
    attributes: Value<'a>,
    hash: Hash,
    algorithm: String,
    signature: &'a [u8],
}

impl<'a> Token<'a> {
    /// A `ContentInfo` of `SignedData` of one signer (RFC 5652, sections 3 and 5; RFC 3161, section 2.4.2).
    fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut content = Parts::of_one(bytes, Tag::Sequence)?;
        content.expect_oid(SIGNED_DATA)?;
        let signed = Parts::of(content.context(CONTEXT_0)?.value)?.next(Tag::Sequence)?;
        let mut signed = Parts::of(signed.value)?;
        signed.next(Tag::Integer)?;
        signed.next(Tag::Set)?;
        let mut inner = Parts::of(signed.next(Tag::Sequence)?.value)?;
        inner.expect_oid(TST_INFO)?;
        let info = Parts::of(inner.context(CONTEXT_0)?.value)?.next(Tag::OctetString)?.value;
        let bag = signed.optional(CONTEXT_0).map(|bag| Parts::of(bag.value)).transpose()?;
        // Others than X.509 certificates have tags by number.
        let bag = bag.map(|bag| bag.0).unwrap_or_default().into_iter().filter(|one| one.is(Tag::Sequence));
        let certificates: Vec<_> = bag.map(|one| one.whole).collect();
        Refusal::expect_size("a list of certificates", TOKEN_CERTIFICATES_MAX, certificates.len())?;
        let _ = signed.optional(CONTEXT_1);
        let signers = Parts::of(signed.next(Tag::Set)?.value)?;
        let [signer] = signers.0.as_slice() else {
            return Err(bad(format!("expected 1 signer, got {}", signers.0.len())));
        };
        let mut signer = Parts::of(signer.expect(Tag::Sequence)?.value)?;
        signer.next(Tag::Integer)?;
        // Who it says that it is, isn't signed: the attributes say it.
        signer.any()?;
        let hash = Hash::of(&algorithm(signer.next(Tag::Sequence)?.value)?)?;
        let attributes = signer.context(CONTEXT_0)?;
        let algorithm = algorithm(signer.next(Tag::Sequence)?.value)?;
        let signature = signer.next(Tag::OctetString)?.value;
        Ok(Self { certificates, info, attributes, hash, algorithm, signature })
    }

    /// The one value of a signed attribute.
    fn attribute(&self, wanted: &str) -> Result<Value<'a>, Refusal> {
        let mut found = None;
        for attribute in Parts::of(self.attributes.value)?.0 {
            let mut attribute = Parts::of(attribute.expect(Tag::Sequence)?.value)?;
            if attribute.oid()? != wanted {
                continue;
            }
            let values = Parts::of(attribute.next(Tag::Set)?.value)?;
            let ([value], None) = (values.0.as_slice(), found) else {
                return Err(bad(format!("expected one signed attribute {wanted}, got several")));
            };
            found = Some(*value);
        }
        found.ok_or_else(|| bad(format!("expected the signed attribute {wanted}, got none")))
    }

    /// The certificate that the signed attributes name by its hash (RFC 5816; RFC 5035, section 4).
    fn signer(&self) -> Result<&'a [u8], Refusal> {
        let mut attribute = Parts::of(self.attribute(SIGNING_CERTIFICATE_V2)?.expect(Tag::Sequence)?.value)?;
        let mut first = Parts::of(attribute.next(Tag::Sequence)?.value)?;
        let mut id = Parts::of(first.next(Tag::Sequence)?.value)?;
        let hash = match id.0.first().is_some_and(|one| one.is(Tag::Sequence)) {
            true => Hash::of(&algorithm(id.next(Tag::Sequence)?.value)?)?,
            false => Hash::Sha256,
        };
        let wanted = id.next(Tag::OctetString)?.value;
        let mut all = self.certificates.iter().copied();
        let found = all.find(|der| hash.digest(der) == wanted);
        found.ok_or_else(|| bad("expected the certificate of its signer in it, got none with that hash"))
    }

    /// That the signed attributes are those of this content, and signed (RFC 5652, section 5.4).
    fn expect_signed_by(&self, certificate: &EndEntityCert<'_>) -> Result<(), Refusal> {
        let kind = self.attribute(CONTENT_TYPE)?.oid()?;
        if kind != TST_INFO {
            return Err(bad(format!("expected the content type {TST_INFO}, got {kind}")));
        }
        let digest = self.attribute(MESSAGE_DIGEST)?.expect(Tag::OctetString)?.value;
        if self.hash.digest(self.info) != digest {
            return Err(bad("expected the digest of what is in it, got another"));
        }
        // They are signed as a set, and stand there under a number.
        let mut message = self.attributes.whole.to_vec();
        if let Some(tag) = message.first_mut() {
            *tag = SET_OF;
        }
        let mut all = self.hash.algorithms(&self.algorithm)?.into_iter();
        match all.any(|one| certificate.verify_signature(one, &message, self.signature).is_ok()) {
            true => Ok(()),
            false => Err(bad("expected the signature of its signer's certificate, got another")),
        }
    }
}

/// What a token says (RFC 3161, section 2.4.2).
struct Info<'a> {
    hash: Hash,
    imprint: &'a [u8],
    time: DateTime<Utc>,
    accuracy: TimeDelta,
}

impl<'a> Info<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut info = Parts::of_one(bytes, Tag::Sequence)?;
        let version = info.next(Tag::Integer)?.number()?;
        if version != 1 {
            return Err(bad(format!("expected version 1, got {version}")));
        }
        let policy = info.oid()?;
        let mut imprint = Parts::of(info.next(Tag::Sequence)?.value)?;
        let hash = Hash::of(&algorithm(imprint.next(Tag::Sequence)?.value)?)?;
        let imprint = imprint.next(Tag::OctetString)?.value;
        info.next(Tag::Integer)?;
        let time = time(info.next(Tag::GeneralizedTime)?.value)?;
        let stated = info.0.first().filter(|one| one.is(Tag::Sequence)).copied();
        let stated = stated.map(|one| accuracy(one.value)).transpose()?.unwrap_or_default();
        let accuracy = match stated.is_zero() && policy == BASELINE_POLICY {
            true => TimeDelta::seconds(1),
            false => stated,
        };
        let extensions = info.0.iter().find(|one| one.first() == CONTEXT_1);
        for extension in extensions.map(|all| Parts::of(all.value)).transpose()?.unwrap_or_default().0 {
            if Parts::of(extension.value)?.0.iter().any(|part| part.is(Tag::Boolean)) {
                return Err(bad("expected no critical extension, got one"));
            }
        }
        Ok(Self { hash, imprint, time, accuracy })
    }

    /// That it is over these bytes.
    fn expect_over(&self, stamped: &[u8]) -> Result<(), Refusal> {
        match self.hash.digest(stamped) == self.imprint {
            true => Ok(()),
            false => Err(bad("expected one over this signature, got one over other bytes")),
        }
    }
}

/// A time in UTC, with or without a fraction of a second (RFC 3161, "genTime").
fn time(value: &[u8]) -> Result<DateTime<Utc>, Refusal> {
    let text = str::from_utf8(value).ok().and_then(|text| text.strip_suffix('Z'));
    let is_plain =
        |text: &&str| text.len() >= 14 && text.bytes().all(|one| one.is_ascii_digit() || one == b'.');
    let read =
        text.filter(is_plain).and_then(|text| NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S%.f").ok());
    read.map(|time| time.and_utc()).ok_or_else(|| bad("expected a time as YYYYMMDDhhmmssZ, got another"))
}

/// Seconds, and thousandths and millionths by number.
fn accuracy(value: &[u8]) -> Result<TimeDelta, Refusal> {
    let mut sum = TimeDelta::zero();
    for part in Parts::of(value)?.0 {
        let count = part.number()?;
        let one = match part.first() {
            0x02 => TimeDelta::try_seconds(count),
            0x80 => TimeDelta::try_milliseconds(count),
            0x81 => Some(TimeDelta::microseconds(count)),
            _ => None,
        };
        let all = one.filter(|_| count >= 0).and_then(|one| sum.checked_add(&one));
        sum = all.ok_or_else(|| bad("expected an accuracy in seconds, got something else"))?;
    }
    Ok(sum)
}

/// The object identifier of an `AlgorithmIdentifier`.
fn algorithm(value: &[u8]) -> Result<String, Refusal> {
    Parts::of(value)?.oid()
}

/// A value in DER.
#[derive(Clone, Copy, Debug)]
struct Value<'a> {
    tag: Tag,
    /// With its tag and length.
    whole: &'a [u8],
    value: &'a [u8],
}

impl<'a> Value<'a> {
    fn first(&self) -> u8 {
        self.whole.first().copied().unwrap_or_default()
    }

    fn is(&self, tag: Tag) -> bool {
        self.tag == tag
    }

    fn expect(self, tag: Tag) -> Result<Self, Refusal> {
        if self.is(tag) { Ok(self) } else { Err(bad(format!("expected {tag}, got {}", self.tag))) }
    }

    fn oid(&self) -> Result<String, Refusal> {
        let oid: ObjectIdentifier = ObjectIdentifier::from_der(self.whole).map_err(bad)?;
        Ok(oid.to_string())
    }

    /// A small number, whatever its tag is.
    fn number(&self) -> Result<i64, Refusal> {
        let mut bytes = self.value.iter();
        let negative = self.value.first().is_some_and(|first| first & 0x80 != 0);
        if self.value.is_empty() || self.value.len() > 7 || negative {
            return Err(bad("expected a small number, got another"));
        }
        Ok(bytes.by_ref().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte)))
    }
}

/// The values within another, of which each is taken once.
#[derive(Debug, Default)]
struct Parts<'a>(Vec<Value<'a>>);

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut reader = SliceReader::new(bytes).map_err(bad)?;
        let mut parts = Vec::new();
        while !reader.is_finished() {
            Refusal::expect_size("a list of parts", TOKEN_PARTS_MAX, parts.len().saturating_add(1))?;
            let header = Header::peek(&reader).map_err(bad)?;
            let whole = reader.tlv_bytes().map_err(bad)?;
            let head = header.encoded_len().and_then(usize::try_from).map_err(bad)?;
            let value = whole.get(head..).ok_or_else(|| bad("expected a value, got its head alone"))?;
            parts.push(Value { tag: header.tag(), whole, value });
        }
        Ok(Self(parts))
    }

    /// The parts of a single value, after which nothing may come.
    fn of_one(bytes: &'a [u8], tag: Tag) -> Result<Self, Refusal> {
        let all = Self::of(bytes)?;
        match all.0.as_slice() {
            [one] => Self::of(one.expect(tag)?.value),
            other => Err(bad(format!("expected one value, got {}", other.len()))),
        }
    }

    fn any(&mut self) -> Result<Value<'a>, Refusal> {
        match self.0.is_empty() {
            true => Err(bad("expected one more part, got none")),
            false => Ok(self.0.remove(0)),
        }
    }

    fn next(&mut self, tag: Tag) -> Result<Value<'a>, Refusal> {
        self.any()?.expect(tag)
    }

    fn optional(&mut self, first: u8) -> Option<Value<'a>> {
        let is_there = self.0.first().is_some_and(|one| one.first() == first);
        is_there.then(|| self.0.remove(0))
    }

    fn context(&mut self, first: u8) -> Result<Value<'a>, Refusal> {
        self.optional(first).ok_or_else(|| bad(format!("expected a part with tag {first:#x}, got another")))
    }

    fn oid(&mut self) -> Result<String, Refusal> {
        self.next(Tag::ObjectIdentifier)?.oid()
    }

    fn expect_oid(&mut self, wanted: &str) -> Result<(), Refusal> {
        match self.oid()? {
            oid if oid == wanted => Ok(()),
            other => Err(bad(format!("expected {wanted}, got {other}"))),
        }
    }
}

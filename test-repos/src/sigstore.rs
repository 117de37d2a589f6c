//! A private sigstore in memory: a certificate authority, the log of its certificates, a log of signatures as Rekor 1
//! keeps it, and the trusted root by which all of them are verified without a network.
//!
//! Forms: Fulcio's certificate specification; RFC 5280; RFC 6962 (logs of certificates, trees); the bundle and trusted
//! root of sigstore's protobuf-specs; Rekor's `dsse` and `hashedrekord` 0.0.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tuf_core::crypto::{Curve, EcdsaSigner, Sign as _};

use crate::digest::{sha256, sha256_hex};

/// Why one can't be made: keys that can't, and times that don't exist.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The payload type of statements (in-toto attestation, "Envelope").
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// How long a certificate lives.
const LIFE: TimeDelta = TimeDelta::minutes(10);

/// Whose certificate is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// An e-mail address, or a URI.
    pub subject: &'a str,
    /// Who vouches for it.
    pub issuer: &'a str,
}

/// The certificate authority and its logs.
#[derive(Debug)]
pub struct Sigstore {
    authority: EcdsaSigner,
    certificate: Vec<u8>,
    certificates: EcdsaSigner,
    signatures: EcdsaSigner,
}

/// What was signed without a key that outlives it.
struct Logged {
    certificate: Vec<u8>,
    signature: Vec<u8>,
    body: String,
    time: DateTime<Utc>,
}

fn key() -> Result<EcdsaSigner, Fault> {
    Ok(EcdsaSigner::from_pkcs8(Curve::P256, &EcdsaSigner::generate(Curve::P256)?)?)
}

/// The key as certificates and logs have it (RFC 5280, `SubjectPublicKeyInfo`).
fn spki(key: &EcdsaSigner) -> Result<Vec<u8>, Fault> {
    let pem = key.key().to_pem()?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(STANDARD.decode(body)?)
}

impl Sigstore {
    /// Keys of its own, all of them new.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn begin() -> Result<Self, Fault> {
        let authority = key()?;
        let from =
            DateTime::<Utc>::UNIX_EPOCH.checked_add_signed(TimeDelta::days(365 * 50)).unwrap_or_default();
        let until = from.checked_add_signed(TimeDelta::days(365 * 60)).unwrap_or_default();
        let public = spki(&authority)?;
        let id = der::octets(&sha256(&public));
        let extensions = [
            der::extension(&[0x55, 0x1d, 0x13], true, &der::sequence(&[der::boolean(true)])),
            // Certificates and lists of them.
            der::extension(&[0x55, 0x1d, 0x0f], true, &der::tagged(0x03, &[0x01, 0x06])),
            der::extension(&[0x55, 0x1d, 0x0e], false, &id),
        ];
        let body =
            der::certificate(&der::name(ISSUER), &der::name(ISSUER), (from, until), &public, &extensions);
        let certificate = der::signed(&body, &authority.sign(&body)?);
        Ok(Self { authority, certificate, certificates: key()?, signatures: key()? })
    }

    /// sigstore's `trusted_root.json`.
    ///
    /// # Errors
    /// Where a key can't be written.
    pub fn trusted_root(&self) -> Result<Value, Fault> {
        let since = "2019-12-31T00:00:00Z";
        let log = |name: &str, key: &EcdsaSigner| -> Result<Value, Fault> {
            let public = spki(key)?;
            Ok(json!({
                "baseUrl": format!("https://{name}.example.com"), "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(&public), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": { "start": since },
                },
                "logId": { "keyId": STANDARD.encode(sha256(&public)) },
            }))
        };
        Ok(json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log("rekor", &self.signatures)?],
            "certificateAuthorities": [{
                "subject": { "organization": "Acme", "commonName": ISSUER },
                "uri": "https://fulcio.example.com",
                "certChain": { "certificates": [{ "rawBytes": STANDARD.encode(&self.certificate) }] },
                "validFor": { "start": since },
            }],
            "ctlogs": [log("ctfe", &self.certificates)?],
        }))
    }

    /// A bundle 0.3 around a statement, signed by its holder at this time.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn attest(&self, holder: Holder<'_>, statement: &str, at: DateTime<Utc>) -> Result<Value, Fault> {
        let message = format!("DSSEv1 {} {IN_TOTO} {} {statement}", IN_TOTO.len(), statement.len());
        let logged = self.log(holder, message.as_bytes(), at, |certificate, signature| {
            dsse_body(&envelope(statement, signature), statement.as_bytes(), &pem(certificate))
        })?;
        Ok(json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(&logged.certificate) },
                "tlogEntries": [self.entry(&logged, ("dsse", "0.0.1"))?],
            },
            "dsseEnvelope": envelope(statement, &logged.signature),
        }))
    }

    /// The entry of the log for an envelope that a key signed, whose public half is given in PEM, as bundles have it.
    ///
    /// # Errors
    /// Where it is no envelope.
    pub fn witness(&self, envelope: &Value, key: &str, at: DateTime<Utc>) -> Result<Value, Fault> {
        let payload =
            envelope.get("payload").and_then(Value::as_str).ok_or("expected a payload, got none")?;
        let payload = STANDARD.decode(payload)?;
        let body = dsse_body(envelope, &payload, key).to_string();
        let logged = Logged { certificate: Vec::new(), signature: Vec::new(), body, time: at };
        self.entry(&logged, ("dsse", "0.0.1"))
    }

    /// What cosign up to 2 keeps in annotations of a payload of simple signing.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn annotate(
        &self,
        holder: Holder<'_>,
        payload: &[u8],
        at: DateTime<Utc>,
    ) -> Result<Vec<(&'static str, String)>, Fault> {
        let logged = self.log(holder, payload, at, |certificate, signature| {
            json!({
                "apiVersion": "0.0.1", "kind": "hashedrekord",
                "spec": {
                    "data": { "hash": { "algorithm": "sha256", "value": sha256_hex(payload) } },
                    "signature": {
                        "content": STANDARD.encode(signature),
                        "publicKey": { "content": STANDARD.encode(pem(certificate)) },
                    },
                },
            })
        })?;
        let (promise, said) = self.promise(&logged)?;
        Ok(vec![
            ("dev.cosignproject.cosign/signature", STANDARD.encode(&logged.signature)),
            ("dev.sigstore.cosign/certificate", pem(&logged.certificate)),
            ("dev.sigstore.cosign/chain", pem(&self.certificate)),
            (
                "dev.sigstore.cosign/bundle",
                json!({ "SignedEntryTimestamp": promise, "Payload": said }).to_string(),
            ),
        ])
    }

    /// A new key, its certificate, its signature, and what the log keeps of it.
    fn log(
        &self,
        holder: Holder<'_>,
        message: &[u8],
        at: DateTime<Utc>,
        body: impl FnOnce(&[u8], &[u8]) -> Value,
    ) -> Result<Logged, Fault> {
        let key = key()?;
        let certificate = self.certify(holder, &spki(&key)?, at)?;
        let signature = key.sign(message)?;
        let body = body(&certificate, &signature).to_string();
        Ok(Logged { certificate, signature, body, time: at })
    }

    /// A certificate that its log knows of.
    fn certify(&self, holder: Holder<'_>, public: &[u8], at: DateTime<Utc>) -> Result<Vec<u8>, Fault> {
        let until = at.checked_add_signed(LIFE).unwrap_or(at);
        // rfc822Name or uniformResourceIdentifier.
        let kind = if holder.subject.contains("://") { 0x86 } else { 0x81 };
        let name = der::sequence(&[der::tagged(kind, holder.subject.as_bytes())]);
        // 1.3.6.1.4.1.57264.1: "Issuer" as it is (1), and as a string of DER (8).
        let old = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x01];
        let issuer = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x08];
        let authority = der::sequence(&[der::tagged(0x80, &sha256(&spki(&self.authority)?))]);
        let code_signing = der::sequence(&[der::tagged(0x06, &[0x2b, 6, 1, 5, 5, 7, 3, 3])]);
        let mut extensions = vec![
            der::extension(&[0x55, 0x1d, 0x0f], true, &der::tagged(0x03, &[0x07, 0x80])),
            der::extension(&[0x55, 0x1d, 0x25], false, &code_signing),
            der::extension(&[0x55, 0x1d, 0x0e], false, &der::octets(&sha256(public))),
            der::extension(&[0x55, 0x1d, 0x23], false, &authority),
            der::extension(&[0x55, 0x1d, 0x11], true, &name),
            der::extension(&old, false, holder.issuer.as_bytes()),
            der::extension(&issuer, false, &der::tagged(0x0c, holder.issuer.as_bytes())),
        ];
        let body = |extensions: &[Vec<u8>]| {
            der::certificate(&der::name(ISSUER), &der::sequence(&[]), (at, until), public, extensions)
        };
        let stamp = self.stamp(&body(&extensions), at)?;
        extensions.push(stamp);
        let body = body(&extensions);
        Ok(der::signed(&body, &self.authority.sign(&body)?))
    }

    /// The extension with the word of the log of certificates (RFC 6962, sections 3.2 and 3.3).
    fn stamp(&self, body: &[u8], at: DateTime<Utc>) -> Result<Vec<u8>, Fault> {
        let time = u64::try_from(at.timestamp_millis())?.to_be_bytes();
        let length = u32::try_from(body.len())?.to_be_bytes();
        let issuer = sha256(&spki(&self.authority)?);
        // Version 1, of a certificate; of one that isn't whole yet.
        let parts: [&[u8]; 7] =
            [&[0, 0], &time, &[0, 1], &issuer, length.get(1..).unwrap_or_default(), body, &[0, 0]];
        let signature = self.certificates.sign(&parts.concat())?;
        let log = sha256(&spki(&self.certificates)?);
        // ECDSA with SHA-256.
        let one = [&[0][..], &log, &time, &[0, 0], &[4, 3], &sized(&signature)?].concat();
        let list = sized(&sized(&one)?)?;
        // 1.3.6.1.4.1.11129.2.4.2
        let id = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];
        Ok(der::extension(&id, false, &der::octets(&list)))
    }

    /// That the log has taken it, and what it says of it.
    fn promise(&self, logged: &Logged) -> Result<(String, Value), Fault> {
        let log = sha256_hex(&spki(&self.signatures)?);
        // In the order and form of canonical JSON (RFC 8785), which is also what serde_json writes of it.
        let said = json!({
            "body": STANDARD.encode(&logged.body), "integratedTime": logged.time.timestamp(), "logID": log,
            "logIndex": INDEX,
        });
        Ok((STANDARD.encode(self.signatures.sign(said.to_string().as_bytes())?), said))
    }

    /// The entry as bundles have it: the second of two.
    fn entry(&self, logged: &Logged, (kind, version): (&str, &str)) -> Result<Value, Fault> {
        let leaf = |bytes: &[u8]| sha256(&[&[0][..], bytes].concat());
        let (first, second) = (leaf(b"{}"), leaf(logged.body.as_bytes()));
        let root = sha256(&[&[1][..], &first, &second].concat());
        let public = spki(&self.signatures)?;
        let id = sha256(&public);
        // The number of the tree tells checkpoints of Rekor 1 from those of 2.
        let name = "rekor.example.com";
        let note = format!("{name} - 1193050959916656506\n2\n{}\n", STANDARD.encode(root));
        let signed = [id.get(..4).unwrap_or_default(), &self.signatures.sign(note.as_bytes())?].concat();
        let checkpoint = format!("{note}\n\u{2014} {name} {}\n", STANDARD.encode(signed));
        Ok(json!({
            "logIndex": INDEX.to_string(), "logId": { "keyId": STANDARD.encode(id) },
            "kindVersion": { "kind": kind, "version": version },
            "integratedTime": logged.time.timestamp().to_string(),
            "inclusionPromise": { "signedEntryTimestamp": self.promise(logged)?.0 },
            "inclusionProof": {
                "logIndex": INDEX.to_string(), "rootHash": STANDARD.encode(root), "treeSize": "2",
                "hashes": [STANDARD.encode(first)], "checkpoint": { "envelope": checkpoint },
            },
            "canonicalizedBody": STANDARD.encode(&logged.body),
        }))
    }
}

/// What others ask of the authority and the log, who sign themselves.
impl Sigstore {
    /// A certificate for a public key in PEM, and what is above it, in PEM.
    ///
    /// # Errors
    /// Where it is no key.
    pub fn issue(&self, holder: Holder<'_>, public: &str, at: DateTime<Utc>) -> Result<[String; 2], Fault> {
        let body: String = public.lines().filter(|line| !line.starts_with("-----")).collect();
        let certificate = self.certify(holder, &STANDARD.decode(body)?, at)?;
        Ok([pem(&certificate), pem(&self.certificate)])
    }

    /// What Rekor 1 answers to whoever enters this (`POST /api/v1/log/entries`): an entry of kind `hashedrekord` or
    /// `dsse`.
    ///
    /// # Errors
    /// Where it is no such entry.
    pub fn enter(&self, proposed: &[u8], at: DateTime<Utc>) -> Result<Value, Fault> {
        let proposed: Value = serde_json::from_slice(proposed)?;
        let body = match proposed.pointer("/spec/proposedContent") {
            Some(content) => dsse_entry(content)?.to_string(),
            None => proposed.to_string(),
        };
        let logged = Logged { certificate: Vec::new(), signature: Vec::new(), body, time: at };
        let (promise, mut said) = self.promise(&logged)?;
        let entry = self.entry(&logged, ("", ""))?;
        let proof = |name: &str| entry.pointer(&format!("/inclusionProof/{name}"));
        let hex = |name: &str| -> Result<String, Fault> {
            let bytes = STANDARD.decode(proof(name).and_then(Value::as_str).unwrap_or_default())?;
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        };
        let verification = json!({
            "signedEntryTimestamp": promise,
            "inclusionProof": {
                "logIndex": INDEX, "treeSize": 2, "rootHash": hex("rootHash")?, "hashes": [hex("hashes/0")?],
                "checkpoint": proof("checkpoint/envelope"),
            },
        });
        if let Some(members) = said.as_object_mut() {
            members.insert("verification".into(), verification);
        }
        Ok(json!({ sha256_hex(logged.body.as_bytes()): said }))
    }
}

/// What the log keeps of an envelope that is proposed.
fn dsse_entry(proposed: &Value) -> Result<Value, Fault> {
    let text = proposed.get("envelope").and_then(Value::as_str).ok_or("expected an envelope, got none")?;
    let envelope: Value = serde_json::from_str(text)?;
    let payload = envelope.get("payload").and_then(Value::as_str).ok_or("expected a payload, got none")?;
    Ok(json!({
        "apiVersion": "0.0.1", "kind": "dsse",
        "spec": {
            "envelopeHash": { "algorithm": "sha256", "value": sha256_hex(text.as_bytes()) },
            "payloadHash": { "algorithm": "sha256", "value": sha256_hex(&STANDARD.decode(payload)?) },
            "signatures": [{
                "signature": envelope.pointer("/signatures/0/sig"), "verifier": proposed.pointer("/verifiers/0"),
            }],
        },
    }))
}

const ISSUER: &str = "Acme private authority";
const INDEX: u64 = 1;

fn envelope(statement: &str, signature: &[u8]) -> Value {
    json!({
        "payload": STANDARD.encode(statement), "payloadType": IN_TOTO,
        "signatures": [{ "sig": STANDARD.encode(signature) }],
    })
}

/// What the log keeps of an envelope with one signature, by a key or certificate in PEM.
fn dsse_body(envelope: &Value, payload: &[u8], verifier: &str) -> Value {
    json!({
        "apiVersion": "0.0.1", "kind": "dsse",
        "spec": {
            "envelopeHash": { "algorithm": "sha256", "value": sha256_hex(envelope.to_string().as_bytes()) },
            "payloadHash": { "algorithm": "sha256", "value": sha256_hex(payload) },
            "signatures": [{
                "signature": envelope.pointer("/signatures/0/sig"), "verifier": STANDARD.encode(verifier),
            }],
        },
    })
}

fn pem(certificate: &[u8]) -> String {
    let body = STANDARD.encode(certificate);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

/// Bytes behind their length (RFC 5246, section 4.3).
fn sized(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    Ok([&u16::try_from(bytes.len())?.to_be_bytes()[..], bytes].concat())
}

/// As much of DER as certificates need (X.690).
mod der {
    use chrono::{DateTime, Datelike as _, Utc};

    /// ecdsa-with-SHA256.
    const ALGORITHM: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

    pub(super) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
        let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
        let mut out = vec![tag];
        match (significant.as_slice(), u8::try_from(significant.len())) {
            ([], _) => out.push(0),
            ([short], _) if *short < 0x80 => out.push(*short),
            (long, count) => {
                out.push(0x80 | count.unwrap_or_default());
                out.extend(long);
            }
        }
        out.extend(content);
        out
    }

    pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
        tagged(0x30, &parts.concat())
    }

    pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
        tagged(0x04, bytes)
    }

    pub(super) fn boolean(yes: bool) -> Vec<u8> {
        tagged(0x01, &[if yes { 0xff } else { 0 }])
    }

    pub(super) fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
        let critical = if critical { boolean(true) } else { Vec::new() };
        sequence(&[tagged(0x06, id), critical, octets(value)])
    }

    /// A common name alone.
    pub(super) fn name(common: &str) -> Vec<u8> {
        let pair = sequence(&[tagged(0x06, &[0x55, 0x04, 0x03]), tagged(0x0c, common.as_bytes())]);
        sequence(&[tagged(0x31, &pair)])
    }

    fn time(time: DateTime<Utc>) -> Vec<u8> {
        // From 2050 on it is written in full (RFC 5280, section 4.1.2.5).
        match time.year() < 2050 {
            true => tagged(0x17, time.format("%y%m%d%H%M%SZ").to_string().as_bytes()),
            false => tagged(0x18, time.format("%Y%m%d%H%M%SZ").to_string().as_bytes()),
        }
    }

    /// What is signed of a certificate.
    pub(super) fn certificate(
        issuer: &[u8],
        subject: &[u8],
        (from, until): (DateTime<Utc>, DateTime<Utc>),
        public: &[u8],
        extensions: &[Vec<u8>],
    ) -> Vec<u8> {
        let serial: Vec<u8> =
            [&[0x01][..], crate::digest::sha256(public).get(..15).unwrap_or_default()].concat();
        sequence(&[
            tagged(0xa0, &tagged(0x02, &[2])),
            tagged(0x02, &serial),
            sequence(&[tagged(0x06, &ALGORITHM)]),
            issuer.to_vec(),
            sequence(&[time(from), time(until)]),
            subject.to_vec(),
            public.to_vec(),
            tagged(0xa3, &sequence(extensions)),
        ])
    }

    pub(super) fn signed(body: &[u8], signature: &[u8]) -> Vec<u8> {
        let bits = [&[0][..], signature].concat();
        sequence(&[body.to_vec(), sequence(&[tagged(0x06, &ALGORITHM)]), tagged(0x03, &bits)])
    }
}

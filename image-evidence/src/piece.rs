//! One piece of evidence: bytes in, what is claimed and by whom out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use chrono::{DateTime, Utc};
use image_signatures::{COSIGN_SIGN, Dsse};
use oci_image::{Descriptor, Digest};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::refusal::Refusal;
use crate::statement::Statement;
use crate::trust::{Signer, Trust};
use crate::{annotations, bundle, cose, dsse, notation, simple, strict};

/// In which form something is said.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Form {
    /// cosign's simple signing, under the tag `sha256-HEX.sig`.
    SimpleSigning,
    /// A DSSE envelope, under the tag `sha256-HEX.att` or referring to the image.
    Envelope,
    /// A sigstore bundle.
    Bundle,
    /// notation's JWS.
    NotationJws,
    /// notation's COSE.
    NotationCose,
    /// A statement that nobody signed, as BuildKit writes it.
    Statement,
}

impl Form {
    /// What a blob of this media type is.
    #[must_use]
    pub fn of(media_type: &str) -> Option<Self> {
        let is = |start: &str| media_type.starts_with(start);
        Some(match media_type {
            simple::LAYER => Self::SimpleSigning,
            "application/vnd.dsse.envelope.v1+json" => Self::Envelope,
            "application/vnd.in-toto+json" => Self::Statement,
            "application/jose+json" => Self::NotationJws,
            "application/cose" => Self::NotationCose,
            _ if is("application/vnd.dev.sigstore.bundle.v")
                || is("application/vnd.dev.sigstore.bundle+json") =>
            {
                Self::Bundle
            }
            // docker/attest's, such as application/vnd.in-toto.provenance+dsse.
            _ if is("application/vnd.in-toto.") && media_type.ends_with("+dsse") => Self::Envelope,
            _ => return None,
        })
    }

    /// What these bytes are, where they say so themselves, without a media type: a hint, as that is one. Simple signing
    /// has its signature elsewhere, and so is none of these.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Members {
            #[serde(default)]
            dsse_envelope: Option<IgnoredAny>,
            #[serde(default)]
            payload_type: Option<IgnoredAny>,
            #[serde(default, rename = "_type")]
            kind: Option<IgnoredAny>,
            #[serde(default)]
            protected: Option<IgnoredAny>,
        }
        // A tagged COSE_Sign1 (RFC 9052, section 2).
        if bytes.first() == Some(&0xd2) {
            return Some(Self::NotationCose);
        }
        let members: Members = serde_json::from_slice(bytes).ok()?;
        match members {
            Members { dsse_envelope: Some(_), .. } => Some(Self::Bundle),
            Members { payload_type: Some(_), .. } => Some(Self::Envelope),
            Members { protected: Some(_), .. } => Some(Self::NotationJws),
            Members { kind: Some(_), .. } => Some(Self::Statement),
            _ => None,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SimpleSigning => "simple signing",
            Self::Envelope => "DSSE envelope",
            Self::Bundle => "sigstore bundle",
            Self::NotationJws => "notation JWS",
            Self::NotationCose => "notation COSE",
            Self::Statement => "in-toto statement",
        })
    }
}

/// The image that evidence is asked about, where and when.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Its manifest or index, whose digest and size were computed.
    pub image: &'a Descriptor,
    /// Its repository, such as `registry.example.com/acme/web`, by which notation's policies go.
    pub repository: &'a str,
    /// The time.
    pub now: DateTime<Utc>,
}

/// Bytes that may be evidence.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// In which form.
    pub form: Form,
    /// The bytes, hashed by whoever found them.
    pub bytes: &'a [u8],
    /// The annotations of their descriptor: simple signing has its signature there.
    pub annotations: &'a BTreeMap<String, String>,
}

/// What was signed, and by whom.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What is said of the image.
    pub claim: Claim,
    /// The trusted signers, each once.
    pub signers: Vec<Signer>,
}

/// What is said of an image.
#[derive(Clone, Debug)]
pub enum Claim {
    /// That it is the signer's: a signature, and no statement about it.
    Approval,
    /// A statement about it.
    Statement(Statement),
}

impl Claim {
    /// The predicate type. A signature has that of cosign's, in whatever form it came.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        match self {
            Self::Approval => COSIGN_SIGN,
            Self::Statement(statement) => &statement.predicate_type,
        }
    }
}

impl Piece<'_> {
    /// What is said of the image, where somebody who is trusted signed it.
    ///
    /// # Errors
    /// The first thing that doesn't hold.
    pub fn verify(&self, context: &Context<'_>, trust: &Trust) -> Result<Verified, Refusal> {
        self.verify_after(context, trust, &BTreeSet::new())
    }

    /// The same, where these keys signed what lies beside it: simple signing has a signature for each key, so that
    /// others are tried before them. It decides nothing.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_after(
        &self,
        context: &Context<'_>,
        trust: &Trust,
        signed: &BTreeSet<Digest>,
    ) -> Result<Verified, Refusal> {
        let image = context.image.digest;
        let (statement, signers) = match self.form {
            Form::SimpleSigning => {
                let asked = simple::Asked { image, now: context.now, signed };
                let signers = simple::verify(self.bytes, self.annotations, trust, &asked)?;
                return Ok(Verified { claim: Claim::Approval, signers });
            }
            Form::NotationJws => {
                let signers = notation::verify_jws(self.bytes, context, trust)?;
                return Ok(Verified { claim: Claim::Approval, signers });
            }
            Form::NotationCose => {
                let signers = notation::verify_cose(self.bytes, context, trust)?;
                return Ok(Verified { claim: Claim::Approval, signers });
            }
            Form::Envelope => dsse::verify(self.bytes, self.annotations, trust, context.now)?,
            Form::Bundle => bundle::verify(self.bytes, trust, context.now)?,
            Form::Statement => {
                Statement::parse(self.bytes)?.expect_about(image)?;
                return Err(Refusal::Unsigned);
            }
        };
        statement.expect_about(image)?;
        let claim = match statement.predicate_type == COSIGN_SIGN {
            true => Claim::Approval,
            false => Claim::Statement(statement),
        };
        Ok(Verified { claim, signers })
    }

    /// Whether the annotations have no part in what it is worth, so that the bytes alone say all.
    #[must_use]
    pub fn stands_by_itself(&self) -> bool {
        match self.form {
            Form::SimpleSigning => false,
            Form::Envelope => !annotations::are_keyless(self.annotations),
            Form::Bundle | Form::NotationJws | Form::NotationCose | Form::Statement => true,
        }
    }

    /// Whether it says that it is about this manifest, whoever may have written it.
    #[must_use]
    pub fn is_about(&self, image: Digest) -> bool {
        match self.form {
            Form::SimpleSigning => simple::expect_about(self.bytes, image).is_ok(),
            Form::NotationJws => notation::is_about(notation::jws, self.bytes, image),
            Form::NotationCose => notation::is_about(cose::read, self.bytes, image),
            Form::Envelope | Form::Bundle | Form::Statement => {
                self.unverified().is_some_and(|statement| statement.expect_about(image).is_ok())
            }
        }
    }

    /// The statement that is in there, whoever may have written it: to be shown as such, and to decide nothing.
    #[must_use]
    pub fn unverified(&self) -> Option<Statement> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Bundle {
            dsse_envelope: Dsse,
        }
        let envelope = match self.form {
            Form::Statement => return Statement::parse(self.bytes).ok(),
            Form::Envelope => dsse::read(self.bytes).ok()?,
            Form::Bundle => strict::read::<Bundle>("a bundle", self.bytes).ok()?.dsse_envelope,
            Form::SimpleSigning | Form::NotationJws | Form::NotationCose => return None,
        };
        let payload = STANDARD.decode(&envelope.payload).or_else(|_| URL_SAFE.decode(&envelope.payload));
        Statement::parse(&payload.ok()?).ok()
    }
}

//! The signatures and attestations that an image has: found, verified, and told apart by who vouches for them.
//!
//! Evidence that the publisher's metadata names is *fresh*: it is what they say today, and they may replace or
//! revoke it. What is only *signed* was said once, and whoever keeps the registry chooses what is seen of it.
//!
//! ```no_run
//! use image_evidence::{Demand, Trust, TrustedKey, Wanted};
//! use verifier_lib::{Verdict, VerifiedImage, evidence};
//!
//! # fn example(
//! #     image: Box<VerifiedImage>,
//! #     registry: &oci_image::Registry,
//! #     pem: &str,
//! #     now: chrono::DateTime<chrono::Utc>,
//! # ) -> Result<Verdict, Box<dyn std::error::Error>> {
//! let trust = Trust { keys: vec![TrustedKey::from_pem("release.pub", pem)?], ..Trust::default() };
//! let subjects = evidence::Subjects::of(&image);
//! let found = evidence::collect(registry, &subjects);
//! let judged = evidence::judge(found.pieces, "registry.example.com/acme/web", &trust, now);
//! let demand = Demand { wanted: Wanted::Approval, signers: std::num::NonZeroU32::MIN };
//! Ok(evidence::demand(image, &demand, &subjects, &judged, &found.gaps))
//! # }
//! ```

mod history;
mod search;
mod summaries;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use image_evidence::{
    COSIGN_SIGN, Claim, Context, Demand, Form, NotEnough, Piece, Predicate, Refusal, Signer, Statement,
    Trust, Verified,
};
use oci_image::{
    Descriptor, Digest, ImageIndex, ImageSource, LayoutSource, Manifest, Platform, ReferrersPlace, Registry,
    Selector, SourceError,
};
use tuf_core::Failing;

use crate::image::VerifiedImage;
use crate::proof::{Broken, Link, Reason, Stage, Status};
use crate::verify::Verdict;

pub use history::{Step, history};
pub use search::{Collection, Gap, collect};
pub use summaries::summaries;

/// Where evidence was found.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// Named by the publisher's metadata.
    Named,
    /// In the image's own index, as BuildKit puts it there.
    Index,
    /// Under the tag `sha256-HEX.sig`.
    SignatureTag,
    /// Under the tag `sha256-HEX.att`.
    AttestationTag,
    /// In the registry's list of what refers to the image.
    Referrers,
    /// In the list that clients keep under the tag `sha256-HEX`, or in a layout.
    ReferrersTag,
}

impl Place {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Index => "index",
            Self::SignatureTag => "signature-tag",
            Self::AttestationTag => "attestation-tag",
            Self::Referrers => "referrers",
            Self::ReferrersTag => "referrers-tag",
        }
    }
}

/// A place of images that can say what refers to one.
pub trait EvidenceSource: ImageSource {
    /// What refers to this manifest, as listed: a hint where to look.
    ///
    /// # Errors
    /// When there is no usable answer, or too long a one.
    fn refers_to(&self, subject: Digest) -> Result<(Vec<Descriptor>, Place), SourceError>;
}

impl EvidenceSource for Registry {
    fn refers_to(&self, subject: Digest) -> Result<(Vec<Descriptor>, Place), SourceError> {
        let listed = self.referrers(subject, None)?;
        let place = match listed.place {
            ReferrersPlace::Api => Place::Referrers,
            ReferrersPlace::Tag => Place::ReferrersTag,
        };
        Ok((listed.manifests, place))
    }
}

impl EvidenceSource for LayoutSource {
    fn refers_to(&self, subject: Digest) -> Result<(Vec<Descriptor>, Place), SourceError> {
        Ok((self.referrers(subject)?, Place::ReferrersTag))
    }
}

/// What evidence is looked for about: an image, and its parts that will run.
#[derive(Clone, Debug)]
pub struct Subjects {
    pub(crate) top: Descriptor,
    pub(crate) index: Option<ImageIndex>,
    pub(crate) parts: Vec<Descriptor>,
    named: Vec<String>,
    /// Whether a chain of trust led to the image.
    verified: bool,
}

impl Subjects {
    /// An image whose chain held.
    #[must_use]
    pub fn of(image: &VerifiedImage) -> Self {
        let top = image.descriptor().clone();
        let index = match Manifest::parse(image.bytes(), Some(&top.media_type)) {
            Ok(Manifest::Index(index)) => Some(index),
            _ => None,
        };
        let parts = image.platforms().iter().map(|platform| platform.descriptor().clone());
        let parts = parts.filter(|part| part.digest != top.digest).collect();
        Self { top, index, parts, named: image.named_evidence().to_vec(), verified: true }
    }

    /// Whatever is in that place, for which nobody vouches. Nothing found about it is fresh.
    ///
    /// # Errors
    /// When it can't be had, or is no manifest or index.
    pub fn unverified(
        source: &dyn ImageSource,
        selector: Selector<'_>,
        platform: &Platform,
    ) -> Result<Self, SourceError> {
        let malformed = |why: String| SourceError::Malformed { at: source.describe(), why };
        let fetched = source.manifest(selector)?;
        if let Selector::Digest(expected) = selector
            && Digest::of(&fetched.bytes) != expected
        {
            let got = Digest::of(&fetched.bytes);
            return Err(SourceError::FalseDigest {
                at: source.describe(),
                claimed: expected.to_string(),
                got,
            });
        }
        let manifest = Manifest::parse(&fetched.bytes, fetched.media_type.as_deref());
        let manifest = manifest.map_err(|why| malformed(why.to_string()))?;
        let top = Descriptor::of(manifest.media_type(), &fetched.bytes);
        let index = match manifest {
            Manifest::Index(index) => Some(index),
            Manifest::Image(_) => None,
        };
        let parts = index.as_ref().and_then(|index| index.select(platform)).cloned().into_iter().collect();
        Ok(Self { top, index, parts, named: Vec::new(), verified: false })
    }

    /// The manifest or index.
    #[must_use]
    pub fn top(&self) -> &Descriptor {
        &self.top
    }

    /// The images of an index that were chosen; none where the image is one itself.
    #[must_use]
    pub fn parts(&self) -> &[Descriptor] {
        &self.parts
    }

    /// The digests that the metadata names, and those of its entries that are none.
    fn named(&self) -> (Vec<Digest>, Vec<&str>) {
        let (mut digests, mut others) = (Vec::new(), Vec::new());
        for text in &self.named {
            match text.parse() {
                Ok(digest) => digests.push(digest),
                Err(_) => others.push(text.as_str()),
            }
        }
        (digests, others)
    }
}

/// One piece that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// In which form.
    pub form: Form,
    /// Where.
    pub place: Place,
    /// What it should be about.
    pub subject: Descriptor,
    /// The manifest that holds it; the blob itself, where the metadata names that and no manifest was met.
    pub manifest: Digest,
    /// Whether that manifest says itself what it refers to, so that who signs it signs that too.
    pub refers: bool,
    /// Its blob.
    pub blob: Descriptor,
    /// Whether the publisher's metadata names it.
    pub fresh: bool,
    /// The bytes, hashed; or why they weren't read.
    pub bytes: Result<Vec<u8>, Refusal>,
}

impl Found {
    /// Whether a statement in it is about the image that it was found for. BuildKit names no subject where the image
    /// got no name: then it is about the one that the index says.
    #[must_use]
    pub fn is_about(&self, statement: &Statement) -> bool {
        let by_index =
            self.form == Form::Statement && self.place == Place::Index && statement.subjects.is_empty();
        by_index || statement.expect_about(self.subject.digest).is_ok()
    }
}

/// What a piece is worth.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Somebody who is trusted signed it.
    Signed(Verified),
    /// Its builder signed nothing, but the publisher's metadata names it: they vouch for it, and nobody else.
    Published(Statement),
    /// It counts for nothing.
    Refused(Refusal),
}

/// A piece, and what it is worth.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What was found.
    pub found: Found,
    /// What it is worth.
    pub outcome: Outcome,
}

impl Judged {
    /// The predicate type, where it can be told; of what is refused, whatever it claims.
    #[must_use]
    pub fn predicate_type(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Signed(verified) => Some(verified.claim.predicate_type().to_owned()),
            Outcome::Published(statement) => Some(statement.predicate_type.clone()),
            Outcome::Refused(_) => self.unverified().map(|statement| statement.predicate_type),
        }
    }

    /// What is said, by whom somebody vouches for.
    #[must_use]
    pub fn statement(&self) -> Option<&Statement> {
        match &self.outcome {
            Outcome::Signed(Verified { claim: Claim::Statement(statement), .. })
            | Outcome::Published(statement) => Some(statement),
            Outcome::Signed(_) | Outcome::Refused(_) => None,
        }
    }

    /// What is said, read; an error where it isn't what its type promises.
    #[must_use]
    pub fn predicate(&self) -> Option<Result<Predicate, Refusal>> {
        self.statement().map(Predicate::of)
    }

    /// Its signers, who are trusted.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        match &self.outcome {
            Outcome::Signed(verified) => &verified.signers,
            Outcome::Published(_) | Outcome::Refused(_) => &[],
        }
    }

    /// The statement that is in there, whoever wrote it: to be shown as such.
    #[must_use]
    pub fn unverified(&self) -> Option<Statement> {
        let bytes = self.found.bytes.as_deref().ok()?;
        Piece { form: self.found.form, bytes, annotations: &self.found.blob.annotations }.unverified()
    }
}

/// Weighs what was found. `repository` is the image's, by which notation's policies go.
#[must_use]
pub fn judge(pieces: Vec<Found>, repository: &str, trust: &Trust, now: DateTime<Utc>) -> Vec<Judged> {
    // By the manifest that holds the signatures, the keys that made them.
    let mut signed: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
    let one = |found: Found| {
        let context = Context { image: &found.subject, repository, now };
        let beside = signed.entry(found.manifest).or_default();
        let outcome = outcome(&found, &context, trust, beside);
        if let Outcome::Signed(verified) = &outcome {
            beside.extend(verified.signers.iter().filter_map(|signer| match signer {
                Signer::Key { id, .. } => Some(*id),
                Signer::Identity(_) | Signer::Certificate { .. } => None,
            }));
        }
        Judged { found, outcome }
    };
    let mut judged: Vec<_> = pieces.into_iter().map(one).collect();
    let manifests = approved(&judged);
    for one in &mut judged {
        one.sign_by(&manifests);
    }
    judged
}

/// Lets what is signed and not fresh count for nothing: it was said once, and may have been taken back. But for a
/// verifier's verdict that the image failed: no publisher takes that back.
pub fn only_fresh(judged: &mut [Judged]) {
    let failed = |one: &Judged| matches!(one.predicate(), Some(Ok(Predicate::Vsa(vsa))) if !vsa.passed);
    let stale =
        |one: &&mut Judged| matches!(one.outcome, Outcome::Signed(_)) && !one.found.fresh && !failed(one);
    for one in judged.iter_mut().filter(stale) {
        one.outcome = Outcome::Refused(Refusal::NotFresh);
    }
}

/// The manifests that somebody who is trusted signed, and by whom.
fn approved(judged: &[Judged]) -> BTreeMap<Digest, Vec<Signer>> {
    let mut manifests: BTreeMap<Digest, Vec<Signer>> = BTreeMap::new();
    for one in judged {
        if let Outcome::Signed(Verified { claim: Claim::Approval, signers }) = &one.outcome {
            let all = manifests.entry(one.found.subject.digest).or_default();
            let others = signers.iter().filter(|signer| !all.contains(signer));
            let others: Vec<_> = others.cloned().collect();
            all.extend(others);
        }
    }
    manifests
}

impl Judged {
    /// A statement that nobody signed, in a manifest that somebody signed, is theirs: so Docker signs what BuildKit
    /// attests, since the manifest names the statement by its digest.
    fn sign_by(&mut self, manifests: &BTreeMap<Digest, Vec<Signer>>) {
        let unsigned = matches!(self.outcome, Outcome::Published(_) | Outcome::Refused(Refusal::Unsigned));
        let Some(signers) = manifests.get(&self.found.manifest) else { return };
        if !unsigned || self.found.form != Form::Statement {
            return;
        }
        // That it is about this image was asked before it was found to be unsigned; where it names nothing, who signed
        // it said so only by what the manifest refers to. Who signs a list of statements approves of no image by it,
        // whatever the statements call themselves.
        let refers = self.found.refers;
        let says =
            |one: &Statement| one.predicate_type != COSIGN_SIGN && (refers || !one.subjects.is_empty());
        if let Some(statement) = self.unverified().filter(says) {
            let (claim, signers) = (Claim::Statement(statement), signers.clone());
            self.outcome = Outcome::Signed(Verified { claim, signers });
        }
    }
}

fn outcome(found: &Found, context: &Context<'_>, trust: &Trust, signed: &BTreeSet<Digest>) -> Outcome {
    let bytes = match &found.bytes {
        Ok(bytes) => bytes,
        Err(why) => return Outcome::Refused(why.clone()),
    };
    let piece = Piece { form: found.form, bytes, annotations: &found.blob.annotations };
    let why = match piece.verify_after(context, trust, signed) {
        Ok(verified) => return Outcome::Signed(verified),
        Err(why) => why,
    };
    let statement = if found.form == Form::Statement { piece.unverified() } else { None };
    let Some(statement) = statement else { return Outcome::Refused(why) };
    match (found.is_about(&statement), found.fresh) {
        (true, true) => Outcome::Published(statement),
        (true, false) => Outcome::Refused(Refusal::Unsigned),
        (false, _) => Outcome::Refused(why),
    }
}

/// Whether enough signed the image: for each part that will run, those who signed it or what lists it.
///
/// # Errors
/// [`NotEnough`], for the first part that too few signed.
pub fn weigh(demand: &Demand, subjects: &Subjects, judged: &[Judged]) -> Result<Vec<Signer>, NotEnough> {
    weigh_those(demand, subjects, &judged.iter().collect::<Vec<_>>())
}

fn weigh_those(demand: &Demand, subjects: &Subjects, judged: &[&Judged]) -> Result<Vec<Signer>, NotEnough> {
    let about = |part: Digest| {
        let top = subjects.top.digest;
        let is = move |one: &&&Judged| [top, part].contains(&one.found.subject.digest);
        judged.iter().filter(is).filter_map(|one| match &one.outcome {
            Outcome::Signed(verified) => Some(verified),
            Outcome::Published(_) | Outcome::Refused(_) => None,
        })
    };
    let mut parts = subjects.parts.iter().map(|part| part.digest);
    let first = demand.weigh(about(parts.next().unwrap_or(subjects.top.digest)))?;
    for part in parts {
        demand.weigh(about(part))?;
    }
    Ok(first)
}

/// Whether enough signed what the name leads to, and not just the parts of it that were looked at.
fn top_is_signed(demand: &Demand, subjects: &Subjects, judged: &[Judged]) -> bool {
    let on_top = judged.iter().filter(|one| one.found.subject.digest == subjects.top.digest);
    let signed = on_top.filter_map(|one| match &one.outcome {
        Outcome::Signed(verified) => Some(verified),
        Outcome::Published(_) | Outcome::Refused(_) => None,
    });
    demand.weigh(signed).is_ok()
}

/// The verdict on an image whose chain held, after the demand was weighed: one more link. Where too few signed
/// and something could not be reached, it could not be told.
#[must_use]
pub fn demand(
    mut image: Box<VerifiedImage>,
    demand: &Demand,
    subjects: &Subjects,
    judged: &[Judged],
    gaps: &[Gap],
) -> Verdict {
    let subject = image.digest().to_string();
    match weigh(demand, subjects, judged) {
        Ok(signers) => {
            let names: Vec<_> = signers.iter().map(ToString::to_string).collect();
            let detail = format!(
                "{} signed by {} of {} needed: {}",
                demand.wanted,
                names.len(),
                demand.signers,
                names.join(", ")
            );
            let fresh: Vec<_> = judged.iter().filter(|one| one.found.fresh).collect();
            let fresh = weigh_those(demand, subjects, &fresh).is_ok();
            let detail = format!("{detail}; {}", if fresh { "fresh" } else { "only signed" });
            let detail = match subjects.parts.first().filter(|_| !top_is_signed(demand, subjects, judged)) {
                Some(part) => format!("{detail}; the index itself is not signed: only {} is", part.digest),
                None => detail,
            };
            let link = Link {
                threshold: Some(demand.signers.get()),
                fresh: Some(fresh),
                ..Link::new(Stage::Evidence, Status::Passed, subject, detail)
            };
            image.proof.push(link);
            Verdict::Trusted(image)
        }
        Err(few) => {
            let unreached = gaps.iter().filter(|gap| gap.unreachable);
            let others = gaps.iter().filter(|gap| !gap.unreachable);
            let unseen = unreached.clone().chain(others).take(SHOWN);
            let status = if unreached.clone().count() > 0 { Status::Unknown } else { Status::Broken };
            let refused = judged.iter().filter_map(|one| match &one.outcome {
                Outcome::Refused(why) => {
                    let said = format!("{} in {}: {why}", one.found.form, one.found.place.name());
                    Some(Reason::new(why.failing(), in_a_line(&said)))
                }
                Outcome::Signed(_) | Outcome::Published(_) => None,
            });
            // Of a flood of bad signatures the most telling are named, and not the first that came.
            let mut reasons: Vec<_> = refused.collect();
            tuf_core::rank(&mut reasons, |reason| reason.kind);
            reasons.truncate(SHOWN);
            let mut detail = few.to_string();
            detail.extend(reasons.iter().map(|reason| format!("; {}", reason.detail)));
            detail.extend(unseen.map(|gap| format!("; {}: {}", gap.what, gap.why)));
            let detail = in_a_line(&detail);
            let expected = format!("{} by {}", few.wanted, few.expected);
            let got = if few.got.is_empty() { "none".to_owned() } else { few.got.join(", ") };
            reasons.push(Reason::new(Failing::Missing, few.to_string()));
            reasons.extend(unreached.map(|gap| {
                Reason::new(Failing::Unreachable, in_a_line(&format!("{}: {}", gap.what, gap.why)))
            }));
            let link = Link {
                threshold: Some(few.expected.get()),
                ..Link::new(Stage::Evidence, status, subject, detail)
            };
            let link = link.with_values(expected, got).with_reasons(reasons);
            let broken = Box::new(Broken::new(link, image.proof));
            if status == Status::Unknown { Verdict::Unknown(broken) } else { Verdict::Refused(broken) }
        }
    }
}

/// What came from outside must not look like lines of ours.
fn in_a_line(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// How many refused pieces an answer names, and how much that was not seen: a flood says nothing more.
const SHOWN: usize = 5;

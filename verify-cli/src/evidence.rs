//! From arguments to evidence: who is trusted, where it is looked for, and what was found.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use image_evidence::{
    BadTrust, Demand, Identity, NotationTrust, Predicate, SigstoreRoot, Trust, TrustStores, TrustedKey,
    Wanted, limits,
};
use image_scan::{VexProduct, VexStatement, VexStatus};
use image_signatures::COSIGN_SIGN;
use oci_image::{Digest, LayoutSource, Location, Platform, Selector};
use serde::Serialize;
use verifier_lib::evidence::{self, Collection, EvidenceSource, Found, Gap, Judged, Outcome, Subjects};
use verifier_lib::{Layers, Verdict, VerifiedImage};

use crate::access::{Access, registry, source_failure, trusted_name};
use crate::args::ChainArgs;
use crate::commands::image::verify;
use crate::evidence_args::{DemandArgs, EvidencePrinting, SignerArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy::Applied;
use crate::style::shown;
use crate::verifier_args::{SignsForIt, VerifierArgs};
use crate::verifiers::{Demanded, Verifiers};

/// How the image itself stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Standing {
    /// A chain of trust led to it.
    Trusted,
    /// Nobody was asked: nothing about it is verified, and nothing found is fresh.
    Unverified,
    /// Its chain of trust is broken: nothing was looked for.
    Refused,
    /// It could not be told: nothing was looked for.
    Unknown,
}

impl Standing {
    /// Of what ended early; none of a wrong call, which has no answer.
    pub(crate) fn of(failure: &Failure) -> Option<Self> {
        match failure.exit {
            Exit::Refused => Some(Self::Refused),
            Exit::Unknown => Some(Self::Unknown),
            Exit::Trusted | Exit::Usage | Exit::Gate => None,
        }
    }
}

/// What was found about an image, and what it is worth.
pub(crate) struct Gathered {
    /// The name that was asked for.
    pub(crate) reference: String,
    pub(crate) standing: Standing,
    pub(crate) subjects: Subjects,
    pub(crate) pieces: Vec<Judged>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) source: Box<dyn EvidenceSource>,
    /// The verdicts of others that are demanded, by options or by rules.
    pub(crate) verdicts: Vec<Demanded>,
    /// The time that everything was weighed at.
    pub(crate) now: DateTime<Utc>,
}

/// The image's chain, unless it is to be left out; then all evidence. Where rules are applied, the role must be one that
/// may speak.
pub(crate) fn gather(
    chain: &ChainArgs,
    printing: EvidencePrinting,
    signers: &SignerArgs,
    verifiers: &VerifierArgs,
    applied: Option<&Applied>,
) -> Result<Gathered, Failure> {
    expect_root_is_used(signers, verifiers)?;
    let trust = trust(signers)?;
    let verifiers = Verifiers::of(verifiers, signers.trusted_root.as_deref())?;
    let mut verdicts = applied.map(Applied::verdicts).transpose()?.unwrap_or_default();
    verdicts.extend(verifiers.iter().map(|one| Demanded { demand: one.demand.clone(), fresh: false }));
    let (source, tag, digest) = source(chain)?;
    let now = chain.at.unwrap_or_else(Utc::now);
    if printing.unverified {
        let selector = match (&digest, &tag) {
            (Some(digest), _) => Selector::Digest(*digest),
            (None, tag) => Selector::Tag(tag.as_deref().unwrap_or("latest")),
        };
        let platform = chain.platform.clone().unwrap_or_else(Platform::host);
        let subjects = Subjects::unverified(source.as_ref(), selector, &platform);
        let subjects = subjects.map_err(|error| source_failure(&error))?;
        let name = trusted_name(chain).ok();
        let repository = name.map(|name| name.name().to_string()).unwrap_or_default();
        let (pieces, gaps) =
            found_by(source.as_ref(), &subjects, &repository, (&trust, verifiers.as_ref()), now);
        let (reference, standing) = (chain.image.to_string(), Standing::Unverified);
        return Ok(Gathered { reference, standing, subjects, pieces, gaps, source, verdicts, now });
    }
    let access = Access::of(chain)?;
    let verdict = match (verify(&access, chain, Layers::Defer), applied) {
        (Verdict::Trusted(image), Some(applied)) => applied.weigh(image),
        (other, _) => other,
    };
    let image = match verdict {
        Verdict::Trusted(image) => image,
        Verdict::Refused(broken) => {
            return Err(Failure::refused(format!(
                "refused {}\n  {}",
                access.name,
                shown(&broken.link.detail)
            )));
        }
        Verdict::Unknown(broken) => {
            let what = format!("could not tell {}\n  {}", access.name, shown(&broken.link.detail));
            return Err(Failure::unknown(what));
        }
    };
    access.trusted()?;
    let subjects = Subjects::of(&image);
    let repository = access.name.name().to_string();
    let (mut pieces, gaps) =
        found_by(source.as_ref(), &subjects, &repository, (&trust, verifiers.as_ref()), now);
    if applied.is_some() && verifiers.is_some() {
        signed_by_either(&mut pieces, &repository, &trust, now);
    }
    Ok(Gathered {
        reference: access.name.to_string(),
        standing: Standing::Trusted,
        subjects,
        pieces,
        gaps,
        source,
        verdicts,
        now,
    })
}

/// Summaries by those whom rules name for verifiers, beside those of verifiers that options name.
fn signed_by_either(pieces: &mut [Judged], repository: &str, trust: &Trust, now: DateTime<Utc>) {
    for piece in pieces.iter_mut().filter(|piece| matches!(piece.outcome, Outcome::Refused(_))) {
        if let Some(signed @ Judged { outcome: Outcome::Signed(_), .. }) =
            evidence::judge(vec![piece.found.clone()], repository, trust, now).pop()
        {
            *piece = signed;
        }
    }
}

/// All that was found: summaries weighed by the verifiers, where there are any, and the rest by the signers.
fn found_by(
    source: &dyn EvidenceSource,
    subjects: &Subjects,
    repository: &str,
    (trust, verifiers): (&Trust, Option<&Verifiers>),
    now: DateTime<Utc>,
) -> (Vec<Judged>, Vec<Gap>) {
    let collection = evidence::collect(source, subjects);
    (judged(collection.pieces, repository, (trust, verifiers), now), collection.gaps)
}

fn judged(
    mut pieces: Vec<Found>,
    repository: &str,
    (trust, verifiers): (&Trust, Option<&Verifiers>),
    now: DateTime<Utc>,
) -> Vec<Judged> {
    let summaries = verifiers.map(|one| one.judge(&mut pieces, repository, now));
    let mut judged = evidence::judge(pieces, repository, trust, now);
    judged.extend(summaries.unwrap_or_default());
    judged
}

fn found(
    source: &dyn EvidenceSource,
    subjects: &Subjects,
    repository: &str,
    trust: &Trust,
    now: DateTime<Utc>,
) -> (Vec<Judged>, Vec<Gap>) {
    let collection = evidence::collect(source, subjects);
    (evidence::judge(collection.pieces, repository, trust, now), collection.gaps)
}

/// Everything that was found about a verified image, before it was weighed by anybody's trust.
pub(crate) struct Searched {
    subjects: Subjects,
    collection: Collection,
    repository: String,
    now: DateTime<Utc>,
}

impl Searched {
    pub(crate) fn of(chain: &ChainArgs, image: &VerifiedImage) -> Result<Self, Failure> {
        let (source, ..) = source(chain)?;
        let subjects = Subjects::of(image);
        let collection = evidence::collect(source.as_ref(), &subjects);
        let repository = image.name().name().to_string();
        Ok(Self { subjects, collection, repository, now: chain.at.unwrap_or_else(Utc::now) })
    }

    pub(crate) fn judged(&self, trust: &Trust, verifiers: Option<&Verifiers>) -> Vec<Judged> {
        judged(self.collection.pieces.clone(), &self.repository, (trust, verifiers), self.now)
    }

    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.collection.gaps
    }
}

/// Whether enough signed an image whose chain held, and the verifiers passed it; otherwise it is refused. And what
/// was weighed. `args` say who must have signed, `options` what is asked for besides, also where rules say who. What
/// was searched before isn't again.
pub(crate) fn demanded(
    args: &DemandArgs,
    options: &DemandArgs,
    chain: &ChainArgs,
    image: Box<VerifiedImage>,
    searched: Option<&Searched>,
) -> Result<(Verdict, Vec<Judged>), Failure> {
    let verifiers = Verifiers::of(&options.verifiers, options.signers.trusted_root.as_deref())?;
    if args.require_signers.is_none() && verifiers.is_none() && args.signers.keys.is_empty() {
        return Ok((Verdict::Trusted(image), Vec::new()));
    }
    let trust = trust(&args.signers)?;
    let own;
    let searched = match searched {
        Some(searched) => searched,
        None => {
            own = Searched::of(chain, &image)?;
            &own
        }
    };
    let mut pieces = searched.judged(&trust, verifiers.as_ref());
    if options.fresh {
        evidence::only_fresh(&mut pieces);
    }
    let (subjects, gaps) = (&searched.subjects, searched.gaps());
    let verdict = match args.require_signers {
        Some(signers) => {
            let wanted = Wanted::of(args.predicate.as_deref().unwrap_or(COSIGN_SIGN));
            // Rules may ask it of signers, and options nothing of verifiers.
            let own = (args.fresh && !options.fresh).then(|| {
                let mut own = pieces.clone();
                evidence::only_fresh(&mut own);
                own
            });
            let own = own.as_deref().unwrap_or(&pieces);
            evidence::demand(image, &Demand { wanted, signers }, subjects, own, gaps)
        }
        None => Verdict::Trusted(image),
    };
    let verdict = match (verdict, &verifiers) {
        (Verdict::Trusted(image), Some(verifiers)) => {
            evidence::summaries(image, &verifiers.demand, subjects, &pieces, gaps, searched.now)
        }
        (other, _) => other,
    };
    Ok((verdict, pieces))
}

/// What those who hold these keys say of the image's findings, in attestations of it that they signed.
pub(crate) fn vex(
    keys: &[PathBuf],
    chain: &ChainArgs,
    image: &VerifiedImage,
) -> Result<Vec<VexStatement>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let trust = trust(&SignerArgs { keys: keys.to_vec(), ..SignerArgs::default() })?;
    let (source, ..) = source(chain)?;
    let subjects = Subjects::of(image);
    let now = chain.at.unwrap_or_else(Utc::now);
    let (pieces, _) = found(source.as_ref(), &subjects, &image.name().name().to_string(), &trust, now);
    let mut statements = Vec::new();
    for piece in &pieces {
        // What nobody signed whose key was given is nobody's word, also where the metadata names it.
        let Some(signer) = piece.signers().first() else { continue };
        let Some(Ok(Predicate::Vex(vex))) = piece.predicate() else { continue };
        let by = signer.name();
        let about = piece.found.subject.digest.to_string();
        statements.extend(vex.statements.into_iter().map(|said| statement(said, &about, &by)));
    }
    Ok(statements)
}

/// A statement as the scan reads it. Where it names no product, it is about what was attested.
fn statement(said: image_evidence::VexStatement, about: &str, by: &str) -> VexStatement {
    let whole = || VexProduct { names: vec![about.to_owned()], ..VexProduct::default() };
    // A part without a name stays one that is nothing: without any part, all of the product would be meant.
    let named = |part: image_evidence::VexProduct| match part.names.is_empty() {
        true => vec![String::new()],
        false => part.names,
    };
    let product = |product: image_evidence::VexProduct| VexProduct {
        names: product.names,
        sha256: product.sha256,
        parts: product.parts.into_iter().flat_map(named).collect(),
    };
    VexStatement {
        vulnerability: std::iter::once(said.vulnerability).chain(said.aliases).collect(),
        status: match said.status.as_str() {
            "fixed" => VexStatus::Fixed,
            "not_affected" => VexStatus::NotAffected,
            "affected" => VexStatus::Affected,
            _ => VexStatus::UnderInvestigation,
        },
        reason: said.justification,
        time: said.time,
        products: match said.products.is_empty() {
            true => vec![whole()],
            false => said.products.into_iter().map(product).collect(),
        },
        by: by.to_owned(),
    }
}

/// That nobody names signers and asks for none of them. With rules, these say who must have signed; where it is
/// recorded, whose signatures are seen is worth knowing in itself.
pub(crate) fn expect_demand(args: &DemandArgs, rules: bool, recorded: bool) -> Result<(), Failure> {
    let SignerArgs { keys, identities, notation_policy, .. } = &args.signers;
    if !recorded {
        expect_root_is_used(&args.signers, &args.verifiers)?;
    }
    let named = !keys.is_empty() || !identities.is_empty() || notation_policy.is_some();
    if args.fresh && !rules && args.require_signers.is_none() && args.verifiers.verifiers.is_empty() {
        return Err(Failure::usage("only fresh evidence shall count, and none is demanded")
            .hint("say who must have signed with --require-signers N or --verifier ID=KEY"));
    }
    match (args.require_signers, named) {
        // Whose signatures are seen is recorded, also where none is required.
        (None, true) if recorded => Ok(()),
        (None, true) => Err(Failure::usage("signers are named, and none is required")
            .hint("say how many must have signed with --require-signers N")),
        (Some(_), false) => Err(Failure::usage("signers are required, and none is named")
            .hint("name them with --signer-key FILE, --identity ID or --notation-policy FILE")),
        _ => Ok(()),
    }
}

/// That a root of keyless signatures is given for somebody: under it anybody can have a certificate.
fn expect_root_is_used(signers: &SignerArgs, verifiers: &VerifierArgs) -> Result<(), Failure> {
    let identity = verifiers.verifiers.iter().any(|one| matches!(one.by, SignsForIt::Identity(..)));
    if signers.trusted_root.is_some() && signers.identities.is_empty() && !identity {
        return Err(Failure::usage("a root of keyless signatures was given, and no identity")
            .hint("say whose signatures count with --identity ID --issuer URL"));
    }
    Ok(())
}

pub(crate) type Source = (Box<dyn EvidenceSource>, Option<String>, Option<Digest>);

/// Where evidence is looked for: where the image is.
pub(crate) fn source(args: &ChainArgs) -> Result<Source, Failure> {
    if let Some(pack) = &args.carried.pack {
        return Ok((Box::new(pack.source()), None, Some(pack.index().digest)));
    }
    match &args.image {
        Location::Registry(reference) if args.offline => {
            Err(Failure::unknown(format!("could not look for evidence of {reference}: --offline was given")))
        }
        Location::Registry(reference) => {
            let tag = reference.tag().map(|tag| tag.as_str().to_owned());
            Ok((Box::new(registry(reference, &args.access)?), tag, reference.digest()))
        }
        Location::Layout { dir, tag, digest } => {
            let layout = LayoutSource::open(dir).map_err(|error| source_failure(&error))?;
            let found = layout.resolve(tag.as_deref(), *digest).map_err(|error| source_failure(&error))?;
            Ok((Box::new(layout), tag.clone(), Some(found.digest)))
        }
    }
}

/// Who is trusted to sign.
pub(crate) fn trust(args: &SignerArgs) -> Result<Trust, Failure> {
    let key = |file: &PathBuf| {
        let name = file.display().to_string();
        TrustedKey::from_pem(&name, &read(file)?).map_err(bad(file))
    };
    if args.identities.len() != args.issuers.len() {
        let (identities, issuers) = (args.identities.len(), args.issuers.len());
        let what = format!("expected an --issuer for each --identity, got {issuers} for {identities}");
        return Err(Failure::usage(what));
    }
    let pairs = args.identities.iter().cloned().zip(args.issuers.iter().cloned());
    let root = args.trusted_root.as_ref();
    let root = root.map(|file| SigstoreRoot::from_json(&read(file)?).map_err(bad(file)));
    let notation = args.notation_policy.as_ref();
    let notation = notation.map(|file| {
        let policy = read(file)?;
        let stores = stores(file, &policy)?;
        NotationTrust::new(&policy, stores).map_err(bad(file))
    });
    Ok(Trust {
        keys: args.keys.iter().map(key).collect::<Result<_, _>>()?,
        sigstore: root.transpose()?,
        identities: pairs.map(|(subject, issuer)| Identity { subject, issuer }).collect(),
        notation: notation.transpose()?,
    })
}

/// A file of trust that can't be used.
pub(crate) fn bad(file: &Path) -> impl Fn(BadTrust) -> Failure {
    let file = file.display().to_string();
    move |why| Failure::usage(format!("{file}: {why}"))
}

/// The certificates of notation's trust stores: `truststore/x509/KIND/NAME/*.{pem,crt,cer}` beside the policy. No link
/// is followed.
fn stores(policy: &Path, text: &str) -> Result<TrustStores, Failure> {
    let named = NotationTrust::stores_of(text)
        .map_err(|why| Failure::usage(format!("{}: {why}", policy.display())))?;
    let beside = policy.parent().unwrap_or(Path::new("."));
    let mut stores = BTreeMap::new();
    for store in named {
        let Some((kind, name)) = store.split_once(':') else { continue };
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\\']);
        if !plain(kind) || !plain(name) {
            return Err(Failure::usage(format!("expected a trust store KIND:NAME, got {store:?}")));
        }
        let folders =
            ["truststore", "trust-store"].map(|top| beside.join(top).join("x509").join(kind).join(name));
        let folder = folders.into_iter().find(|folder| folder.is_dir());
        let folder = folder.ok_or_else(|| {
            let what = format!("there is no trust store {store} beside {}", policy.display());
            Failure::usage(what).hint("expected its certificates in truststore/x509/KIND/NAME")
        })?;
        stores.insert(store, certificates(&folder)?);
    }
    Ok(stores)
}

fn certificates(folder: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let failed = |why: std::io::Error| Failure::usage(format!("{}: {why}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let ends = ["pem", "crt", "cer"].iter().any(|end| path.extension().is_some_and(|own| own == *end));
        if !ends || !entry.file_type().map_err(failed)?.is_file() {
            continue;
        }
        let bytes = read_bytes(&path)?;
        let pem = str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN CERTIFICATE-----"));
        match pem {
            None => found.push(bytes),
            Some(pem) => {
                let chain = image_signatures::CertificateChain::from_pem(pem);
                let chain = chain.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
                found.extend(chain.certificates().map(<[u8]>::to_vec));
            }
        }
    }
    Ok(found)
}

pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    String::from_utf8(read_bytes(file)?).map_err(|why| Failure::usage(format!("{}: {why}", file.display())))
}

fn read_bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |why: std::io::Error| Failure::usage(format!("{}: {why}", file.display()));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    opened.take(limits::TRUST_MAX.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    match u64::try_from(bytes.len()).is_ok_and(|got| got <= limits::TRUST_MAX) {
        true => Ok(bytes),
        false => {
            let most = limits::TRUST_MAX;
            Err(Failure::usage(format!("{}: expected at most {most} bytes, got more", file.display())))
        }
    }
}

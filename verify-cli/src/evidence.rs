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
use verifier_lib::evidence::{self, Collection, EvidenceSource, Gap, Judged, Subjects};
use verifier_lib::{Layers, Verdict, VerifiedImage};

use crate::access::{Access, registry, source_failure, trusted_name};
use crate::args::ChainArgs;
use crate::commands::image::verify;
use crate::evidence_args::{DemandArgs, EvidencePrinting, SignerArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy::Applied;
use crate::style::shown;

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
}

/// The image's chain, unless it is to be left out; then all evidence.
pub(crate) fn gather(
    chain: &ChainArgs,
    printing: EvidencePrinting,
    signers: &SignerArgs,
) -> Result<Gathered, Failure> {
    gather_by(chain, printing, signers, None)
}

/// The same, as rules demand: the role must be one that may speak.
pub(crate) fn gather_by(
    chain: &ChainArgs,
    printing: EvidencePrinting,
    signers: &SignerArgs,
    applied: Option<&Applied>,
) -> Result<Gathered, Failure> {
    let trust = trust(signers)?;
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
        let (pieces, gaps) = found(source.as_ref(), &subjects, &repository, &trust, now);
        let reference = chain.image.to_string();
        return Ok(Gathered { reference, standing: Standing::Unverified, subjects, pieces, gaps, source });
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
    let (pieces, gaps) = found(source.as_ref(), &subjects, &access.name.name().to_string(), &trust, now);
    Ok(Gathered {
        reference: access.name.to_string(),
        standing: Standing::Trusted,
        subjects,
        pieces,
        gaps,
        source,
    })
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

    pub(crate) fn judged(&self, trust: &Trust) -> Vec<Judged> {
        evidence::judge(self.collection.pieces.clone(), &self.repository, trust, self.now)
    }

    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.collection.gaps
    }
}

/// Whether enough signed an image whose chain held; otherwise it is refused. What was searched before isn't again.
pub(crate) fn demanded(
    args: &DemandArgs,
    chain: &ChainArgs,
    image: Box<VerifiedImage>,
    searched: Option<&Searched>,
) -> Result<Verdict, Failure> {
    let Some(signers) = args.require_signers else { return Ok(Verdict::Trusted(image)) };
    let trust = trust(&args.signers)?;
    let own;
    let searched = match searched {
        Some(searched) => searched,
        None => {
            own = Searched::of(chain, &image)?;
            &own
        }
    };
    let pieces = searched.judged(&trust);
    let wanted = Wanted::of(args.predicate.as_deref().unwrap_or(COSIGN_SIGN));
    Ok(evidence::demand(image, &Demand { wanted, signers }, &searched.subjects, &pieces, searched.gaps()))
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
    let product = |product: image_evidence::VexProduct| VexProduct {
        names: product.names,
        sha256: product.sha256,
        parts: product.parts.into_iter().flat_map(|part| part.names).collect(),
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

/// That nobody names signers and asks for none of them.
pub(crate) fn expect_demand(args: &DemandArgs, recorded: bool) -> Result<(), Failure> {
    let SignerArgs { keys, trusted_root, notation_policy, .. } = &args.signers;
    let named = !keys.is_empty() || trusted_root.is_some() || notation_policy.is_some();
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

type Source = (Box<dyn EvidenceSource>, Option<String>, Option<Digest>);

/// Where evidence is looked for: where the image is.
fn source(args: &ChainArgs) -> Result<Source, Failure> {
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
    let bad = |file: &Path| {
        let file = file.display().to_string();
        move |why: BadTrust| Failure::usage(format!("{file}: {why}"))
    };
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

/// The certificates of notation's trust stores: `truststore/x509/KIND/NAME/*.{pem,crt,cer}` beside the policy. No link
/// is followed.
fn stores(policy: &Path, text: &str) -> Result<TrustStores, Failure> {
    let named = NotationTrust::stores_of(text)
        .map_err(|why| Failure::usage(format!("{}: {why}", policy.display())))?;
    let beside = policy.parent().unwrap_or(Path::new("."));
    let mut stores = BTreeMap::new();
    for store in named.into_iter().filter(|store| !store.starts_with("tsa:")) {
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

fn read(file: &Path) -> Result<String, Failure> {
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

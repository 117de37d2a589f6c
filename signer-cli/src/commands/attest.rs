//! `signer attest`: says something about an image, in a statement that is signed and pushed beside it; and stages
//! that the metadata names it, or names it no more.
//!
//! Whatever can be refused is refused before anything is pushed. What is pushed comes before what is staged: metadata
//! must not name what is nowhere.

use std::io::Read as _;
use std::path::Path;

use image_evidence::{Predicate, Statement, limits};
use image_signatures::{Attached, Attestation, Attesting, Place, PushError, SigningError};
use oci_image::{Descriptor, Digest, Reference, ReferrersPlace, Registry};
use serde_json::value::RawValue;
use signing_keys::KeyUri;

use crate::Surroundings;
use crate::args::attest::AttestArgs;
use crate::config::Config;
use crate::evidence;
use crate::failure::Failure;
use crate::files;
use crate::image::{self, Image};
use crate::key_ring::KeyRing;
use crate::places;
use crate::published::Published;
use crate::report::VERSION;
use crate::reports::attest::{Attest, Attestation as Line, Named};
use crate::reports::for_others::Outcome;
use crate::repository::Repository;
use crate::staged::Staged;
use crate::terminal;

pub(crate) fn run(dir: &Path, args: &AttestArgs, around: &Surroundings) -> Result<Attest, Failure> {
    // Without a repository, such as in a build, it can only be signed and pushed.
    let needed = args.stage || !args.revoke.is_empty();
    let repository = match Repository::at(dir).config().is_file() || needed {
        true => Some(Repository::open(dir)?),
        false => None,
    };
    let meant = match &repository {
        Some(repository) => meant(repository, args, around)?,
        None => None,
    };
    if needed && meant.is_none() {
        return Err(Failure::refused(format!("{} is neither published nor staged", args.name))
            .hint("`signer add` stages what it means; `signer status` lists what there is"));
    }
    let mut report = Attest {
        version: VERSION,
        dry_run: args.rehearsal.dry_run,
        image: String::new(),
        predicate_type: args.kind.as_ref().map(|kind| kind.uri().to_owned()),
        key: args.key.clone(),
        attestations: Vec::new(),
        revoked: args.revoke.iter().map(ToString::to_string).collect(),
        staged: Vec::new(),
    };
    let (digest, added) = match args.kind {
        Some(_) => attest(dir, args, meant, around, &mut report)?,
        None => (meant, Vec::new()),
    };
    let digest = digest.ok_or_else(|| Failure::refused(format!("{} means nothing", args.name)))?;
    report.image = args.name.digest_path(digest);
    let all = report.attestations.iter().all(|one| one.outcome != Outcome::NotPushed);
    if let Some(repository) = repository.filter(|_| needed && all) {
        report.staged = stage(&repository, args, digest, &added, around)?;
    }
    Ok(report)
}

/// What the name means in the repository: not what the registry says that it means.
fn meant(
    repository: &Repository,
    args: &AttestArgs,
    around: &Surroundings,
) -> Result<Option<Digest>, Failure> {
    let config = Config::read(&repository.config())?;
    let store = places::open(repository, &config, around)?;
    let published = Published::read(repository, store.as_ref())?;
    let staged = Staged::read(repository)?;
    let meant = evidence::meant(&args.name, &published, &staged)?;
    if let (Some(meant), Some(expected)) = (meant, args.name.digest())
        && meant != expected
    {
        return Err(Failure::refused(format!("{} means another image", args.name))
            .detail(format!("expected {expected}, got {meant}")));
    }
    if !args.revoke.is_empty()
        && let Some(meant) = meant
    {
        // Whether they are named at all, before anything is pushed.
        let mut rehearsed = Staged::read(repository)?;
        evidence::stage(&args.name, meant, (&[], &args.revoke), &published, &mut rehearsed)?;
    }
    Ok(meant)
}

/// Signs the statement and pushes it. Returns what it is about, and the digests that metadata may name.
fn attest(
    dir: &Path,
    args: &AttestArgs,
    meant: Option<Digest>,
    around: &Surroundings,
    report: &mut Attest,
) -> Result<(Option<Digest>, Vec<Digest>), Failure> {
    let predicate = predicate(args)?;
    let registry = image::registry(args.name.name(), &args.access, around)?;
    let image = fetched(&registry, &args.name, meant)?;
    let (made, digest) = (signed(dir, args, &predicate, &image, around)?, image.digest);
    if args.rehearsal.dry_run {
        report.attestations = made.each().map(|(format, digest)| would_be(&format, digest)).collect();
        return Ok((Some(digest), made.each().map(|(_, digest)| digest).collect()));
    }
    let pushed = made.push(&registry);
    report.attestations = pushed.iter().map(line).collect();
    let added = pushed.into_iter().filter_map(|one| one.ok()).map(|one| one.evidence).collect();
    Ok((Some(digest), added))
}

fn fetched(registry: &Registry, name: &Reference, meant: Option<Digest>) -> Result<Image, Failure> {
    let wanted = meant.map_or_else(|| name.clone(), |digest| name.with_digest(digest));
    let image = Image::fetch_from(registry, &wanted)
        .map_err(|failure| failure.detail("nothing was signed: an attestation lies beside its image"))?;
    if meant.is_none() && name.digest().is_none() {
        terminal::note(&format!(
            "no metadata here says what {name} means: {} has {}",
            image.source, image.digest
        ));
    }
    Ok(image)
}

/// Signs what was looked at: a statement that is read as others will read it, and is what it says.
fn signed(
    dir: &Path,
    args: &AttestArgs,
    predicate: &RawValue,
    image: &Image,
    around: &Surroundings,
) -> Result<Attestation, Failure> {
    let (Some(kind), Some(key_name)) = (&args.kind, &args.key) else {
        return Err(Failure::usage("expected --type and --key, got neither"));
    };
    let descriptor = Descriptor::of(image.manifest.media_type(), &image.bytes);
    let mut ring = KeyRing::new(Repository::at(dir).keys(), &args.passphrase, around);
    let of = |key: &dyn tuf_core::crypto::Sign| {
        let attesting = Attesting {
            name: args.name.name(),
            image: &descriptor,
            predicate_type: kind.uri(),
            predicate,
            formats: &args.formats.0,
            key,
            now: around.now,
        };
        let failed = |why: SigningError| not_made(&why, key_name);
        expect_whole(args, &attesting.statement().map_err(failed)?)?;
        attesting.make().map_err(failed)
    };
    if KeyUri::is_one(key_name) {
        let uri: KeyUri = key_name.parse().map_err(|why| Failure::usage(why).detail(key_name))?;
        return of(ring.open_uri(&uri, &uri.to_string())?.as_ref());
    }
    let path = ring.open_named(key_name)?;
    of(ring.opened(&path).ok_or_else(|| Failure::unknown(format!("key {key_name} isn't open")))?)
}

/// The predicate, as text.
fn predicate(args: &AttestArgs) -> Result<Box<RawValue>, Failure> {
    let most = limits::ATTESTATION_MAX;
    let Some(path) = &args.predicate else { return Err(Failure::usage("expected --predicate, got none")) };
    let bytes = match path.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut bytes);
            read.map_err(|why| Failure::unknown(format!("standard input: {why}")))?;
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
                return Err(Failure::usage(format!(
                    "expected a predicate of at most {most} bytes, got more"
                )));
            }
            bytes
        }
        false => files::read(path, most).map_err(Failure::into_usage)?,
    };
    let text = String::from_utf8(bytes).map_err(|why| no_predicate(args, &why))?;
    RawValue::from_string(text).map_err(|why| no_predicate(args, &why))
}

fn expect_whole(args: &AttestArgs, statement: &[u8]) -> Result<(), Failure> {
    let statement = Statement::parse(statement).map_err(|why| no_predicate(args, &why))?;
    Predicate::whole(&statement).map(drop).map_err(|why| no_predicate(args, &why))
}

fn no_predicate(args: &AttestArgs, why: &dyn std::fmt::Display) -> Failure {
    let path = args.predicate.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let kind = args.kind.as_ref().map(ToString::to_string).unwrap_or_default();
    Failure::usage(format!("{path} is no predicate of type {kind}")).detail(why).detail("nothing was signed")
}

fn not_made(why: &SigningError, key: &str) -> Failure {
    let failure = match why {
        SigningError::Nothing | SigningError::NoAttestations { .. } => {
            Failure::usage("the statement can't be signed for these tools")
                .hint("--for cosign3, --for cosign2, or both with a comma")
        }
        SigningError::Key { .. } => Failure::refused("the statement can't be signed by this key")
            .hint("`signer key new NAME --kind ecdsa-p256` makes one that all can read"),
        _ => Failure::refused("the statement can't be signed"),
    };
    failure.detail(format!("key {key}: {why}")).detail("nothing was pushed")
}

/// Stages what the metadata shall name.
fn stage(
    repository: &Repository,
    args: &AttestArgs,
    digest: Digest,
    added: &[Digest],
    around: &Surroundings,
) -> Result<Vec<Named>, Failure> {
    let added = if args.stage { added } else { &[] };
    let staging = || {
        let config = Config::read(&repository.config())?;
        let store = places::open(repository, &config, around)?;
        let _lock = repository.lock_unless(args.rehearsal)?;
        let published = Published::read(repository, store.as_ref())?;
        let mut staged = Staged::read(repository)?;
        let named = evidence::stage(&args.name, digest, (added, &args.revoke), &published, &mut staged)?;
        if !args.rehearsal.dry_run {
            staged.write()?;
        }
        Ok(named.into_iter().map(|one| Named { name: one.path, evidence: one.evidence }).collect())
    };
    staging().map_err(|failure: Failure| match args.kind.is_some() && !args.rehearsal.dry_run {
        true => failure.detail("the attestation was pushed all the same; nothing was staged"),
        false => failure,
    })
}

fn would_be(format: &image_signatures::Format, digest: Digest) -> Line {
    Line { evidence: Some(digest.to_string()), ..blank(format.to_string(), Outcome::WouldBePushed) }
}

fn line(pushed: &Result<Attached, PushError>) -> Line {
    let names = |formats: &[image_signatures::Format]| {
        formats.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match pushed {
        Ok(Attached { written, evidence }) => {
            let outcome = if written.was_there { Outcome::WasThere } else { Outcome::Pushed };
            let place = match &written.place {
                Place::Tag(tag) => format!("tag {tag}"),
                Place::Referrer(ReferrersPlace::Api) => "listed by the registry".to_owned(),
                Place::Referrer(ReferrersPlace::Tag) => {
                    format!("listed under tag sha256-{}", written.image.hex())
                }
            };
            Line {
                evidence: Some(evidence.to_string()),
                manifest: Some(written.manifest.to_string()),
                place: Some(place),
                ..blank(names(&written.formats), outcome)
            }
        }
        Err(error) => Line {
            why: Some(error.source.to_string()),
            unreachable: error.source.unreachable(),
            ..blank(names(&error.formats), Outcome::NotPushed)
        },
    }
}

fn blank(format: String, outcome: Outcome) -> Line {
    Line { format, outcome, evidence: None, manifest: None, place: None, why: None, unreachable: false }
}

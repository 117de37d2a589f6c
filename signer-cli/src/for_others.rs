//! Signatures that other tools read, for the images that a publish adds or moves.
//!
//! All are made and checked before anything is published, so that a key that a format can't take, or an image
//! that isn't in its registry, stops a publish that has written nothing. They are pushed after it: whoever
//! trusts them alone must not meet an image sooner than those who ask the metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use image_signatures::{
    CertificateChain, Envelope, Format, Place, PushError, Signatures, Signing, SigningError, Written,
    expect_usable, push_all,
};
use oci_image::{Descriptor, Digest, ImageName, Manifest, Reference, ReferrersPlace, Registry};
use tuf_core::Role;
use tuf_core::schema::Target;

use crate::Surroundings;
use crate::args::AccessArgs;
use crate::args::others::ForArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::image::{self, Image};
use crate::key_ring::KeyRing;
use crate::owed::Owed;
use crate::proposal::{KeySet, Proposal};
use crate::published::Published;
use crate::reports::for_others::{ForOthers as Report, Outcome, Signature};
use crate::repository::Repository;
use crate::rules::{custom_of, is_yanked};
use crate::staged::{Change, digest_of, is_file_path};
use crate::terminal;

/// The largest file of certificates: see `image_signatures`.
const CERTIFICATES_MAX: u64 = 128 * 1024;

/// An image in a registry, by its digest.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Wanted {
    name: ImageName,
    digest: Digest,
}

impl Wanted {
    /// The image of this digest, under that name without its tag.
    pub(crate) fn of(known_as: &Reference, digest: Digest) -> Self {
        Self { name: known_as.name().clone(), digest }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

/// Images, and under which name each is known.
pub(crate) type Images = BTreeMap<Wanted, Reference>;

/// Images whose signatures were pushed, with those readers for whom one wasn't.
pub(crate) type Tried = Vec<(Wanted, BTreeSet<Format>)>;

/// What is to be signed for whom, as far as it is known.
pub(crate) struct ForOthers<'a> {
    formats: BTreeSet<Format>,
    key: Option<String>,
    certificate: Option<PathBuf>,
    chain: Option<CertificateChain>,
    /// notation's, where anybody said.
    envelope: Option<Envelope>,
    repository: PathBuf,
    access: &'a AccessArgs,
    around: &'a Surroundings,
    /// The key that was opened.
    opened: Option<(String, PathBuf)>,
    registries: BTreeMap<ImageName, Registry>,
    /// Each with what it is an index of.
    found: BTreeMap<Wanted, (Descriptor, Vec<Descriptor>)>,
    made: BTreeMap<Wanted, Signatures>,
    /// What is owed and can't be made good now: told once, and not asked for again.
    given_up: GivenUp,
}

/// Of what is owed to other tools.
#[derive(Default)]
struct GivenUp {
    images: BTreeSet<Wanted>,
    /// Registries that gave no answer.
    silent: BTreeSet<String>,
    /// The key could not be opened.
    key: bool,
}

impl<'a> ForOthers<'a> {
    /// What was asked for here or in signer.toml; nothing where no format was.
    pub(crate) fn of(
        args: &'a ForArgs,
        config: &Config,
        repository: &Repository,
        around: &'a Surroundings,
    ) -> Result<Option<Self>, Failure> {
        let formats = args.formats.as_ref().map_or(&config.for_others.formats, |formats| &formats.0).clone();
        if formats.is_empty() {
            if args.formats.is_none() && args.says_how() {
                return Err(nobody());
            }
            return Ok(None);
        }
        if args.signature_format.is_some() && !formats.contains(&Format::Notation) {
            return Err(not_for_notation(&formats));
        }
        let beside = |path: &PathBuf| repository.dir().join(path);
        let certificate =
            args.certificate.clone().or_else(|| config.for_others.certificate.as_ref().map(beside));
        Ok(Some(Self {
            formats,
            key: args.for_key.clone().or_else(|| config.for_others.key.clone()),
            chain: certificate.as_deref().map(read_chain).transpose()?,
            certificate,
            envelope: args.signature_format.or(config.for_others.signature_format),
            repository: repository.dir().to_owned(),
            access: &args.access,
            around,
            opened: None,
            registries: BTreeMap::new(),
            found: BTreeMap::new(),
            made: BTreeMap::new(),
            given_up: GivenUp::default(),
        }))
    }

    /// Opens the key, and refuses one that a format can't take. `sets` are the keys of targets.
    pub(crate) fn open_key(&mut self, ring: &mut KeyRing, sets: &[KeySet]) -> Result<(), Failure> {
        let name = match &self.key {
            Some(name) => name.clone(),
            None => only_one(ring.names_for(&Role::Targets, sets)?)?,
        };
        let path = ring.open_named(&name)?;
        let signer = ring.opened(&path).ok_or_else(|| Failure::unknown(format!("key {name} isn't open")))?;
        expect_usable(&self.formats, signer.key(), self.chain.as_ref(), self.around.now)
            .map_err(|why| not_made(&why, &name))?;
        self.opened = Some((name, path));
        Ok(())
    }

    /// Who shall read the signatures.
    pub(crate) fn formats(&self) -> &BTreeSet<Format> {
        &self.formats
    }

    /// Opens the key and looks for what is to be signed: what a publish adds, and of what is owed that which is
    /// there. New images must be there, and the key usable; old ones hold nothing up: what fails for them is tried
    /// once, and so is a registry that is silent.
    pub(crate) fn prepare(
        &mut self,
        added: Images,
        owed: Images,
        ring: &mut KeyRing,
        sets: &[KeySet],
    ) -> Result<Images, Failure> {
        let mut images = added;
        if images.is_empty() && (owed.is_empty() || self.given_up.key) {
            return Ok(images);
        }
        match self.open_key(ring, sets) {
            Err(failure) if images.is_empty() => {
                self.given_up.key = true;
                still_owed(&failure);
                return Ok(images);
            }
            opened => opened?,
        }
        self.find(&images).map_err(not_there)?;
        for (wanted, known_as) in owed {
            let host = wanted.name.registry().to_owned();
            if self.given_up.silent.contains(&host) || self.given_up.images.contains(&wanted) {
                continue;
            }
            match self.find(&Images::from([(wanted.clone(), known_as.clone())])) {
                Ok(()) => drop(images.insert(wanted, known_as)),
                Err(failure) => {
                    if failure.exit() == Exit::Unknown {
                        self.given_up.silent.insert(host);
                    }
                    self.given_up.images.insert(wanted);
                    still_owed(&failure);
                }
            }
        }
        Ok(images)
    }

    /// Asks the registries for the images, once.
    pub(crate) fn find(&mut self, images: &Images) -> Result<(), Failure> {
        for (wanted, known_as) in images {
            if self.found.contains_key(wanted) {
                continue;
            }
            if !self.registries.contains_key(&wanted.name) {
                let registry = image::registry(&wanted.name, self.access, self.around)?;
                self.registries.insert(wanted.name.clone(), registry);
            }
            let Some(registry) = self.registries.get(&wanted.name) else { continue };
            let image = Image::fetch_from(registry, &known_as.with_digest(wanted.digest))?;
            let descriptor = Descriptor::of(image.manifest.media_type(), &image.bytes);
            let parts = match image.manifest {
                Manifest::Index(index) => index.manifests,
                _ => Vec::new(),
            };
            self.found.insert(wanted.clone(), (descriptor, parts));
        }
        Ok(())
    }

    /// Makes and checks the signatures of these images, which were found. Nothing is pushed.
    pub(crate) fn make(&mut self, images: &Images, ring: &KeyRing) -> Result<(), Failure> {
        let Some((key_name, path)) = &self.opened else { return Ok(()) };
        let Some(key) = ring.opened(path) else { return Ok(()) };
        for wanted in images.keys() {
            if self.made.contains_key(wanted) {
                continue;
            }
            let Some((image, parts)) = self.found.get(wanted) else { continue };
            let (formats, chain, now) = (&self.formats, self.chain.as_ref(), self.around.now);
            let (name, envelope) = (&wanted.name, self.envelope.unwrap_or_default());
            let signing = Signing { name, image, parts, formats, key, chain, envelope, now };
            let made = signing.make().map_err(|why| not_made(&why, key_name))?;
            self.made.insert(wanted.clone(), made);
        }
        Ok(())
    }

    /// Says what [`Self::push`] would push.
    pub(crate) fn rehearse(&self, images: &Images) -> Report {
        let signatures = images.keys().filter_map(|wanted| Some((wanted, self.made.get(wanted)?)));
        let signatures = signatures.flat_map(|(wanted, made)| {
            made.each()
                .map(|(formats, image)| line(&wanted.name, image, formats, Outcome::WouldBePushed))
                .collect::<Vec<_>>()
        });
        Report { key: self.key_name(), signatures: signatures.collect(), repeat: None }
    }

    /// Pushes what was made for these images, and says of each what became of it.
    /// And what is missing still.
    pub(crate) fn push(&self, images: &Images) -> (Report, Tried) {
        let there = |(wanted, known_as)| {
            Some((wanted, known_as, self.made.get(wanted)?, self.registries.get(&wanted.name)?))
        };
        let jobs: Vec<(&Wanted, &Reference, _, _)> = images.iter().filter_map(there).collect();
        let (mut signatures, mut again, mut tried) = (Vec::new(), BTreeSet::new(), Vec::new());
        let done =
            push_all(&jobs.iter().map(|(_, _, made, registry)| (*made, *registry)).collect::<Vec<_>>());
        for ((wanted, known_as, ..), done) in jobs.iter().zip(done) {
            let missing = done.iter().filter_map(|one| one.as_ref().err());
            let missing: BTreeSet<_> = missing.flat_map(|error| error.formats.clone()).collect();
            if !missing.is_empty() {
                again.insert(known_as.to_string());
            }
            tried.push(((*wanted).clone(), missing));
            signatures.extend(done.iter().map(|one| match one {
                Ok(written) => pushed(&wanted.name, written),
                Err(error) => not_pushed(&wanted.name, error),
            }));
        }
        let repeat = (!again.is_empty()).then(|| self.command(&again));
        (Report { key: self.key_name(), signatures, repeat }, tried)
    }

    /// What does once more what was not done.
    fn command(&self, names: &BTreeSet<String>) -> String {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let formats: Vec<_> = self.formats.iter().map(Format::to_string).collect();
        let mut command = format!("signer sign-for {} --for {}", names.join(" "), formats.join(","));
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let envelope = self.envelope.filter(|_| self.formats.contains(&Format::Notation));
        let repository = Some(self.repository.display().to_string()).filter(|dir| dir != "./trust");
        for (option, value) in [
            ("--for-key", self.key.clone()),
            ("--certificate", path(&self.certificate)),
            ("--signature-format", envelope.map(|envelope| envelope.to_string())),
            ("--repo", repository),
            ("--to", self.around.publish_to.clone()),
            ("--authfile", path(&self.access.authfile)),
            ("--ca-file", path(&self.access.ca_file)),
        ] {
            if let Some(value) = value {
                command.push_str(&format!(" {option} {}", quoted(&value)));
            }
        }
        if self.access.allow_http {
            command.push_str(" --allow-http");
        }
        command
    }

    fn key_name(&self) -> String {
        self.opened.as_ref().map(|(name, _)| name.clone()).unwrap_or_default()
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// No tool was named.
pub(crate) fn nobody() -> Failure {
    Failure::usage("expected the tools to sign for, got none")
        .hint("--for cosign2,podman names some, and so does [for-others] in signer.toml")
}

/// notation wasn't named, and how its signatures are written was.
fn not_for_notation(formats: &BTreeSet<Format>) -> Failure {
    let got: Vec<_> = formats.iter().map(Format::to_string).collect();
    Failure::usage("--signature-format is for notation's signatures, and none are asked for")
        .detail(format!("expected notation among the tools to sign for, got {}", got.join(", ")))
        .hint("add notation to --for, or leave --signature-format out")
}

/// Opens the key that signs for other tools, and looks for the images that it will sign.
pub(crate) fn prepare(
    for_others: &mut ForOthers<'_>,
    owed: &mut Owed,
    proposal: &Proposal,
    published: &Published<'_>,
    ring: &mut KeyRing,
) -> Result<Images, Failure> {
    let old = owed.still_meant(for_others.formats(), proposal, published)?;
    let sets = proposal.online_sets(&Role::Targets, published)?;
    for_others.prepare(added(proposal, published)?, old, ring, &sets)
}

/// The images to which a name leads for the first time. What is yanked is signed for nobody.
fn added(proposal: &Proposal, published: &Published<'_>) -> Result<Images, Failure> {
    let (mut images, changes) = (BTreeMap::new(), by_path(proposal));
    for (path, change) in &changes {
        let Change::Add { digest, custom, .. } = *change else { continue };
        // Signatures for other tools are of images.
        if is_file_path(path) {
            continue;
        }
        let known_as: Reference = path.parse().map_err(Failure::refused)?;
        // What was yanked until now was signed for nobody.
        let was = published.target(path)?.filter(|target| !is_yanked_target(target));
        if was.and_then(|target| digest_of(&target)) == Some(*digest)
            || is_yanked(&custom.value())
            || is_withdrawn(&known_as, *digest, &changes, published)?
        {
            continue;
        }
        let wanted = Wanted { name: known_as.name().clone(), digest: *digest };
        // By the digest it is the same image tomorrow.
        if known_as.digest().is_some() || !images.contains_key(&wanted) {
            images.insert(wanted, known_as);
        }
    }
    Ok(images)
}

/// Changes by the paths that they are of.
pub(crate) type Changes<'p> = BTreeMap<&'p str, &'p Change>;

pub(crate) fn by_path(proposal: &Proposal) -> Changes<'_> {
    proposal.changes.iter().map(|one| (&*one.path, &*one.change)).collect()
}

pub(crate) fn is_yanked_target(target: &Target) -> bool {
    custom_of(target).is_some_and(|custom| is_yanked(&custom))
}

/// Whether nobody shall run the image, whichever tag leads to it: signatures for other tools name no tag.
pub(crate) fn is_withdrawn(
    known_as: &Reference,
    digest: Digest,
    changes: &Changes<'_>,
    published: &Published<'_>,
) -> Result<bool, Failure> {
    let path = known_as.digest_path(digest);
    Ok(match changes.get(path.as_str()) {
        Some(Change::Add { custom, .. }) => is_yanked(&custom.value()),
        Some(Change::Remove { .. }) => false,
        None => published.target(&path)?.is_some_and(|target| is_yanked_target(&target)),
    })
}

/// What these names mean in the published metadata.
pub(crate) fn named(names: &[Reference], published: &Published<'_>) -> Result<Images, Failure> {
    let mut images = BTreeMap::new();
    for name in names {
        let path = match (name.digest(), name.tag_path()) {
            (Some(digest), _) => name.digest_path(digest),
            (None, path) => path.unwrap_or_default(),
        };
        let refused = || Failure::refused(format!("refused {path}"));
        let target = published.target(&path)?.ok_or_else(|| {
            refused()
                .detail("expected a name that is published, got another")
                .hint("`signer status` lists them")
        })?;
        let digest = digest_of(&target)
            .ok_or_else(|| refused().detail("expected a SHA-256 in its target, got none"))?;
        if is_yanked_target(&target) || is_withdrawn(name, digest, &Changes::new(), published)? {
            return Err(refused().detail("it is yanked: nobody shall run it"));
        }
        images.insert(Wanted { name: name.name().clone(), digest }, name.clone());
    }
    Ok(images)
}

/// Crosses out what was pushed, also where another signer wrote things down in the meantime.
pub(crate) fn settle(repository: &Repository, tried: &Tried, formats: &BTreeSet<Format>) {
    let settled = repository.lock().and_then(|_lock| Owed::read(repository)?.settle(tried, formats));
    if let Err(failure) = settled {
        terminal::warn(&format!("what was signed for other tools could not be noted: {}", failure.line()));
    }
}

fn still_owed(failure: &Failure) {
    terminal::warn(&format!("a signature for another tool is missing still: {}", failure.line()));
}

/// Other tools look for signatures beside the image.
pub(crate) fn not_there(failure: Failure) -> Failure {
    let failure = failure.detail("nothing was published, and nothing signed for other tools");
    match failure.exit() {
        Exit::Refused => failure.hint(
            "signatures for other tools lie beside the image: push it there first, or publish with --for none",
        ),
        _ => failure,
    }
}

fn only_one(names: Vec<String>) -> Result<String, Failure> {
    let refused = |got: String| {
        Failure::usage("no key to sign with for other tools")
            .detail(format!("expected one key of targets in keys/, got {got}"))
            .hint("name one with --for-key")
    };
    match <[String; 1]>::try_from(names) {
        Ok([name]) => Ok(name),
        Err(names) if names.is_empty() => Err(refused("none".into())),
        Err(names) => Err(refused(names.join(", "))),
    }
}

fn read_chain(path: &Path) -> Result<CertificateChain, Failure> {
    let unusable =
        |why: &dyn std::fmt::Display| Failure::usage(format!("{} can't be used", path.display())).detail(why);
    let bytes = files::read(path, CERTIFICATES_MAX).map_err(Failure::into_usage)?;
    let pem = String::from_utf8(bytes).map_err(|_| unusable(&"expected certificates in PEM, got no text"))?;
    CertificateChain::from_pem(&pem).map_err(|why| unusable(&why))
}

fn not_made(why: &SigningError, key: &str) -> Failure {
    let failure = match why {
        SigningError::NoCertificates => Failure::usage("an image can't be signed for other tools")
            .hint("--certificate names a file with the key's certificate and those above it"),
        SigningError::Key { .. } => Failure::refused("an image can't be signed for other tools")
            .hint("--for-key names another key; `signer key new NAME --kind ecdsa-p256` makes one for all"),
        _ => Failure::refused("an image can't be signed for other tools"),
    };
    failure.detail(format!("key {key}: {why}")).detail("nothing was written")
}

fn line(name: &ImageName, image: Digest, formats: &[Format], outcome: Outcome) -> Signature {
    Signature {
        image: format!("{name}@{image}"),
        formats: formats.iter().map(Format::to_string).collect(),
        outcome,
        manifest: None,
        place: None,
        why: None,
        unreachable: false,
    }
}

fn pushed(name: &ImageName, written: &Written) -> Signature {
    let outcome = if written.was_there { Outcome::WasThere } else { Outcome::Pushed };
    let place = match &written.place {
        Place::Tag(tag) => format!("tag {tag}"),
        Place::Referrer(ReferrersPlace::Api) => "listed by the registry".to_owned(),
        Place::Referrer(ReferrersPlace::Tag) => format!("listed under tag sha256-{}", written.image.hex()),
    };
    let manifest = Some(written.manifest.to_string());
    Signature { manifest, place: Some(place), ..line(name, written.image, &written.formats, outcome) }
}

fn not_pushed(name: &ImageName, error: &PushError) -> Signature {
    Signature {
        why: Some(error.source.to_string()),
        unreachable: error.source.unreachable(),
        ..line(name, error.image, &error.formats, Outcome::NotPushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        for (word, shown) in [
            ("./trust", "./trust"),
            ("my chain.pem", "'my chain.pem'"),
            ("s3://b/p?region=x", "'s3://b/p?region=x'"),
            ("it's", "'it'\\''s'"),
            ("$(id)", "'$(id)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}

//! The chain, link by link. The order is the order of the code; the first broken link is the answer.

use std::io::Read;

use oci_image::{
    BlobError, Descriptor, Digest, ImageIndex, ImageManifest, ImageSource, Manifest, Platform, Reference,
    Selector, SourceError, VerifyingReader, verify_blob,
};
use tuf_client::{Client, ClientError, Found, Refreshed};
use tuf_core::Failing;
use tuf_core::schema::Target;

use crate::custom::{Hallmark, Yanked};
use crate::image::{VerifiedImage, VerifiedPlatform};
use crate::manifest::{VerifiedManifest, left_to_readers};
use crate::proof::{Broken, Link, Proof, Reason, Stage, Status};

/// The most that manifests and configurations of one image may measure together: they are kept until the
/// image is written. The largest official images have about 30 entries of some kilobytes.
const KEPT_MAX: u64 = 128 * 1024 * 1024;

/// The most that a configuration may measure: as a manifest, it is read whole.
const CONFIG_MAX: u64 = oci_image::MANIFEST_MAX;

/// Told of each blob as it is read: which, and how many of its bytes are done.
pub type Progress<'p> = &'p mut dyn FnMut((&Descriptor, u64));

/// Which platforms of an index are verified.
#[derive(Clone, Debug)]
pub enum Platforms {
    /// The one that fits this machine best. An image without an index is taken as it is, as pulling it
    /// would.
    Host(Platform),
    /// This one. An image without an index must be of it.
    One(Platform),
    /// Every one that the index lists.
    All,
}

/// Whether layers are hashed now, or by whoever reads them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layers {
    /// Read and hash every layer now.
    Hash,
    /// Leave it to the stage that reads them, which can't read wrong bytes to the end.
    Defer,
}

/// The answer. Never a bool: what could not be told is not trusted, and not accused.
#[derive(Debug)]
pub enum Verdict<T = VerifiedImage> {
    /// The chain held.
    Trusted(Box<T>),
    /// A link is broken.
    Refused(Box<Broken>),
    /// A link could not be told: unreachable, or offline without a proof that still holds.
    Unknown(Box<Broken>),
}

impl Verdict {
    /// The links of the chain.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        match self {
            Self::Trusted(image) => image.proof(),
            Self::Refused(broken) | Self::Unknown(broken) => &broken.proof,
        }
    }
}

/// What the name stands for, and who says so.
struct Top {
    role: String,
    delegation_path: Vec<String>,
    evidence: Vec<String>,
    descriptor: Descriptor,
    bytes: Vec<u8>,
    manifest: Manifest,
}

/// A verification about to run.
#[derive(Clone)]
pub struct Verification<'a> {
    client: &'a Client,
    source: &'a dyn ImageSource,
    selector: Selector<'a>,
    name: &'a Reference,
    platforms: Platforms,
    layers: Layers,
    proof: Proof,
}

/// That a name was yanked, why, and what to use.
fn taken_back(path: &str, yanked: &Yanked) -> String {
    let since = yanked.since.as_ref().map(|since| format!(" on {since}")).unwrap_or_default();
    let instead = yanked.replacement.as_ref().map(|name| format!("; use {name} instead")).unwrap_or_default();
    format!("{path} was yanked by its publisher{since}: {}{instead}", yanked.reason)
}

type Chained<T> = Result<T, Box<Link>>;

impl<'a> Verification<'a> {
    /// Verifies that what `selector` chooses in `source` is what the repository behind `client` says
    /// `name` means. One platform, the host's, and layers deferred, unless said otherwise.
    #[must_use]
    pub fn new(
        client: &'a Client,
        source: &'a dyn ImageSource,
        selector: Selector<'a>,
        name: &'a Reference,
    ) -> Self {
        let platforms = Platforms::Host(Platform::host());
        Self { client, source, selector, name, platforms, layers: Layers::Defer, proof: Proof::default() }
    }

    /// Chooses the platforms of an index.
    #[must_use]
    pub fn platforms(self, platforms: Platforms) -> Self {
        Self { platforms, ..self }
    }

    /// Chooses when layers are hashed.
    #[must_use]
    pub fn layers(self, layers: Layers) -> Self {
        Self { layers, ..self }
    }

    /// Puts a link before the others: how the root was chosen, which is the caller's affair.
    #[must_use]
    pub fn after(mut self, link: Link) -> Self {
        self.proof.push(link);
        self
    }

    /// Runs the chain to its end or to the first link that doesn't hold.
    pub fn run(mut self, progress: Progress<'_>) -> Verdict {
        match self.chain(progress) {
            Ok(image) => Verdict::Trusted(Box::new(VerifiedImage { proof: self.proof, ..image })),
            Err(link) => self.ended_by(*link),
        }
    }

    /// Runs the chain as far as the manifest or index: what it names is left to whoever reads it, and platforms
    /// are not chosen. For who has its bytes, and nothing else, at hand.
    pub fn run_to_manifest(mut self) -> Verdict<VerifiedManifest> {
        let top = match self.top() {
            Ok(top) => top,
            Err(link) => return self.ended_by(*link),
        };
        left_to_readers(&top.manifest).into_iter().for_each(|link| self.proof.push(link));
        let Top { role, descriptor, bytes, .. } = top;
        let name = self.name.clone();
        Verdict::Trusted(Box::new(VerifiedManifest { name, top: descriptor, bytes, proof: self.proof, role }))
    }

    /// The verdict of a chain that this link ends.
    fn ended_by<T>(self, link: Link) -> Verdict<T> {
        let unknown = link.status == Status::Unknown;
        let broken = Box::new(Broken::new(link, self.proof));
        if unknown { Verdict::Unknown(broken) } else { Verdict::Refused(broken) }
    }

    fn top(&mut self) -> Chained<Top> {
        self.passed(Stage::Reference, &self.name.to_string(), self.source.describe());
        let state = self.client.refresh().map_err(|error| metadata_link(&error))?;
        self.documents(&state);
        let (target, role, delegation_path) = self.target(&state)?;
        let (descriptor, bytes, manifest) = self.manifest(&target, &state)?;
        let evidence = Hallmark::of(&target).unwrap_or_default().evidence;
        Ok(Top { role, delegation_path, evidence, descriptor, bytes, manifest })
    }

    fn chain(&mut self, progress: Progress<'_>) -> Chained<VerifiedImage> {
        let Top { role, delegation_path, evidence, descriptor: top, bytes: top_bytes, manifest } =
            self.top()?;
        let parts = match manifest {
            Manifest::Image(image) => {
                let image = self.platform_image(None, top.clone(), top_bytes.clone(), image, progress)?;
                self.of_platform(&image)?;
                vec![image]
            }
            Manifest::Index(index) => self.children(&index, progress)?,
        };
        let (attestations, platforms) = parts.into_iter().partition(|part| part.descriptor.is_attestation());
        let proof = Proof::default();
        let name = self.name.clone();
        Ok(VerifiedImage {
            name,
            top,
            top_bytes,
            platforms,
            attestations,
            proof,
            role,
            delegation_path,
            evidence,
        })
    }

    fn passed(&mut self, stage: Stage, subject: &str, detail: String) {
        self.proof.push(Link::new(stage, Status::Passed, subject, detail));
    }

    /// The accepted metadata, as links.
    fn documents(&mut self, state: &Refreshed) {
        let snapshot = state.snapshot();
        let timestamp = snapshot.timestamp();
        let root = timestamp.root();
        let targets = state.targets();
        for link in [
            Link::document(Stage::Root, "root", root.version(), root.expires(), root.signers()),
            Link::document(
                Stage::Timestamp,
                "timestamp",
                timestamp.version(),
                timestamp.expires(),
                timestamp.signers(),
            ),
            Link::document(
                Stage::Snapshot,
                "snapshot",
                snapshot.version(),
                snapshot.expires(),
                snapshot.signers(),
            ),
            Link::document(
                Stage::Targets,
                "targets",
                targets.version(),
                targets.expires(),
                targets.signers(),
            ),
        ] {
            self.proof.push(link);
        }
    }

    /// What the repository says of the name: by its tag where it has one, else by its digest. Where it
    /// has both, the tag must stand for that digest. With the role that says so, and the delegated ones on the way to it.
    fn target(&mut self, state: &Refreshed) -> Chained<(Target, String, Vec<String>)> {
        let path = match (self.name.tag_path(), self.name.digest()) {
            (Some(path), _) => path,
            (None, Some(digest)) => self.name.digest_path(digest),
            (None, None) => self.name.to_string(),
        };
        let broken = || Link::new(Stage::Target, Status::Broken, &path, "");
        let (target, chain) = match state.find(&path).map_err(|error| metadata_link(&error))? {
            Found::Target { target, chain } => (target, chain),
            Found::Absent(absent) => return Err(Box::new(not_listed(broken(), &path, &absent))),
        };
        for delegated in chain.iter().skip(1) {
            let (name, signers) = (delegated.role().to_string(), delegated.signers());
            self.proof.push(Link::document(
                Stage::Targets,
                &name,
                delegated.version(),
                delegated.expires(),
                signers,
            ));
        }
        let delegation_path = chain.iter().skip(1).map(|role| role.role().name().to_owned()).collect();
        let role = chain.last().map_or_else(|| "targets".to_owned(), |last| last.role().name().to_owned());
        let stated = stated_digest(&target).map_err(|got| {
            let detail = format!("{path} has no usable digest: expected a sha256 hash, got {got}");
            let link = Link { detail, ..broken().with_values("a sha256 hash", got) };
            Box::new(link.because(Failing::Unusable))
        })?;
        if let Some(asked) = self.name.digest().filter(|asked| *asked != stated) {
            let detail = format!("{path} stands for another digest: expected {stated}, got {asked}");
            let link = Link { detail, ..broken().with_values(stated.to_string(), asked.to_string()) };
            return Err(Box::new(link.because(Failing::Substituted)));
        }
        let said = Hallmark::of(&target).unwrap_or_default();
        if let Some(yanked) = said.yanked {
            let link = Link { detail: taken_back(&path, &yanked), ..broken() };
            return Err(Box::new(link.because(Failing::TakenBack)));
        }
        if let Some((expected, got)) = said.broken_promise(&stated.to_string()) {
            let detail = format!("{path} breaks its publisher's promise: expected {expected}, got {got}");
            let link = Link { detail, ..broken().with_values(expected, got) };
            return Err(Box::new(link.because(Failing::Substituted)));
        }
        let detail = format!("{stated}, {} bytes, says role {role}", target.length);
        self.passed(Stage::Target, &path, detail);
        Ok((target, role, delegation_path))
    }

    /// The manifest or index: its bytes must be those that the target names.
    fn manifest(&mut self, target: &Target, state: &Refreshed) -> Chained<(Descriptor, Vec<u8>, Manifest)> {
        let stage = Stage::Manifest;
        let subject = self.selector.to_string();
        let broken = |expected: String, got: String| {
            let detail = format!("{stage} {subject}: expected {expected}, got {got}");
            Box::new(Link::new(stage, Status::Broken, &subject, detail).with_values(expected, got))
        };
        let hallmark = Hallmark::of(target).map_err(|(expected, got)| broken(expected, got))?;
        let fetched =
            self.source.manifest(self.selector).map_err(|error| source_link(stage, &subject, &error))?;
        if let Err(reason) = target.check(&fetched.bytes) {
            // The digest says more than the length does: it names the image that came instead.
            let came = Digest::of(&fetched.bytes);
            let (expected, got) = match stated_digest(target) {
                Ok(stated) if stated != came => (stated.to_string(), came.to_string()),
                _ => reason.expected_and_got(),
            };
            let mut link = broken(expected, got);
            // Only what is at hand is looked at: a refusal fetches nothing and keeps nothing.
            if state.targets().document().target(&self.name.digest_path(came)).is_some() {
                link.detail.push_str(", which is signed, but is not what the name means now");
            }
            return Err(link);
        }
        // What the registry calls it counts only where nobody signed a media type.
        let declared = hallmark.media_type.as_deref().or(fetched.media_type.as_deref());
        let manifest = parse(stage, &subject, &fetched.bytes, declared)?;
        if let Some(expected) = hallmark.media_type.filter(|stated| stated != manifest.media_type()) {
            return Err(broken(format!("media type {expected}"), manifest.media_type().to_owned()));
        }
        let top = Descriptor::of(manifest.media_type(), &fetched.bytes);
        self.passed(stage, &subject, format!("{}, {} bytes, as stated", top.digest, top.size));
        Ok((top, fetched.bytes, manifest))
    }

    fn children(&mut self, index: &ImageIndex, progress: Progress<'_>) -> Chained<Vec<VerifiedPlatform>> {
        let chosen: Vec<Descriptor> = match &self.platforms {
            Platforms::All => index.manifests.clone(),
            Platforms::Host(platform) | Platforms::One(platform) => {
                index.select(platform).into_iter().cloned().collect()
            }
        };
        if chosen.iter().all(Descriptor::is_attestation) {
            return Err(Box::new(self.no_platform(index)));
        }
        let mut kept = 0_u64;
        let mut images = Vec::new();
        for child in chosen {
            kept = kept.saturating_add(child.size);
            let image = self.child(child, progress)?;
            kept = kept.saturating_add(image.manifest.config.size);
            if kept > KEPT_MAX {
                let (expected, got) = (format!("at most {KEPT_MAX} bytes"), format!("{kept} bytes"));
                let detail = format!("manifests and configurations: expected {expected}, got {got}");
                let link = Link::new(Stage::Child, Status::Broken, "the index", detail);
                return Err(Box::new(link.with_values(expected, got).because(Failing::Unusable)));
            }
            images.push(image);
        }
        Ok(images)
    }

    /// An image without an index says only in its configuration what it is made for.
    fn of_platform(&self, image: &VerifiedPlatform) -> Chained<()> {
        #[derive(serde::Deserialize)]
        struct Made {
            os: String,
            architecture: String,
            #[serde(default)]
            variant: Option<String>,
        }
        let Platforms::One(wanted) = &self.platforms else { return Ok(()) };
        let made = serde_json::from_slice::<Made>(&image.config_bytes).map(|made| Platform {
            os: made.os,
            architecture: made.architecture,
            variant: made.variant,
            os_version: None,
        });
        let got = match made {
            Ok(made) if wanted.accepts(&made) => return Ok(()),
            Ok(made) => made.to_string(),
            Err(_) => "a configuration that names no platform".to_owned(),
        };
        let detail = format!("the image is not for the platform: expected {wanted}, got {got}");
        let link = Link::new(Stage::Child, Status::Broken, wanted.to_string(), detail);
        Err(Box::new(link.with_values(wanted.to_string(), got).because(Failing::Missing)))
    }

    fn no_platform(&self, index: &ImageIndex) -> Link {
        let listed = |child: &Descriptor| child.platform.as_ref().map(ToString::to_string);
        let got = index.images().filter_map(listed).collect::<Vec<_>>().join(", ");
        let got = if got.is_empty() { "none".to_owned() } else { got };
        let expected = match &self.platforms {
            Platforms::Host(platform) | Platforms::One(platform) => platform.to_string(),
            Platforms::All => "at least one image".to_owned(),
        };
        let detail = format!("the index has no image for the platform: expected {expected}, got {got}");
        let link = Link::new(Stage::Child, Status::Broken, &expected, detail);
        link.with_values(expected.clone(), got).because(Failing::Missing)
    }

    fn child(&mut self, child: Descriptor, progress: Progress<'_>) -> Chained<VerifiedPlatform> {
        let stage = Stage::Child;
        let subject = child.digest.to_string();
        let fetched = self
            .source
            .manifest(Selector::Digest(child.digest))
            .map_err(|error| source_link(stage, &subject, &error))?;
        verify_blob(fetched.bytes.as_slice(), &child, &mut |_| ())
            .map_err(|error| fault(stage, &child, &error))?;
        let platform = child.platform.clone();
        let Manifest::Image(image) = parse(stage, &subject, &fetched.bytes, Some(&child.media_type))? else {
            let detail =
                format!("{stage} {subject}: expected an image manifest, got an index within an index");
            let link = Link::new(stage, Status::Broken, &subject, detail);
            return Err(Box::new(
                link.with_values("an image manifest", "an index").because(Failing::Unusable),
            ));
        };
        let shown = platform.as_ref().map_or_else(|| "no platform".to_owned(), ToString::to_string);
        self.passed(stage, &subject, format!("{shown}, {} bytes, as the index says", child.size));
        self.platform_image(platform, child, fetched.bytes, image, progress)
    }

    /// The configuration and layers of one manifest.
    fn platform_image(
        &mut self,
        platform: Option<Platform>,
        descriptor: Descriptor,
        manifest_bytes: Vec<u8>,
        manifest: ImageManifest,
        progress: Progress<'_>,
    ) -> Chained<VerifiedPlatform> {
        let config_bytes = self.config(&manifest.config)?;
        self.passed(
            Stage::Config,
            &manifest.config.digest.to_string(),
            format!("{} bytes, as stated", manifest.config.size),
        );
        for layer in &manifest.layers {
            let link = match self.layers {
                Layers::Hash => self.layer(layer, progress)?,
                Layers::Defer => {
                    let detail = format!("{} bytes, hashed when they are read", layer.size);
                    Link::new(Stage::Layer, Status::Deferred, layer.digest.to_string(), detail)
                }
            };
            self.proof.push(link);
        }
        Ok(VerifiedPlatform { platform, descriptor, manifest, manifest_bytes, config_bytes })
    }

    fn config(&self, config: &Descriptor) -> Chained<Vec<u8>> {
        let stage = Stage::Config;
        if config.size > CONFIG_MAX {
            let (expected, got) = (format!("at most {CONFIG_MAX} bytes"), format!("{} bytes", config.size));
            let detail = format!("{stage} {}: expected {expected}, got {got}", config.digest);
            let link = Link::new(stage, Status::Broken, config.digest.to_string(), detail);
            return Err(Box::new(link.with_values(expected, got).because(Failing::Unusable)));
        }
        let blob = self.source.blob(config);
        let blob = blob.map_err(|error| source_link(stage, &config.digest.to_string(), &error))?;
        let mut bytes = Vec::new();
        let read = VerifyingReader::for_blob(blob, config).read_to_end(&mut bytes);
        read.map_err(|error| fault(stage, config, &error.into()))?;
        Ok(bytes)
    }

    fn layer(&self, layer: &Descriptor, progress: Progress<'_>) -> Chained<Link> {
        let stage = Stage::Layer;
        let subject = layer.digest.to_string();
        let blob = self.source.blob(layer).map_err(|error| source_link(stage, &subject, &error))?;
        verify_blob(blob, layer, &mut |done| progress((layer, done)))
            .map_err(|error| fault(stage, layer, &error))?;
        Ok(Link::new(stage, Status::Passed, subject, format!("{} bytes, as stated", layer.size)))
    }
}

fn parse(stage: Stage, subject: &str, bytes: &[u8], declared: Option<&str>) -> Chained<Manifest> {
    Manifest::parse(bytes, declared).map_err(|error| {
        let detail = format!("{stage} {subject}: {error}");
        let link = Link::new(stage, Status::Broken, subject, detail);
        let link = link.with_values("a manifest or index of OCI or Docker v2s2", error.to_string());
        Box::new(link.because(Failing::Unusable))
    })
}

/// The SHA-256 of a target as an image digest. On failure: the algorithms it has instead.
fn stated_digest(target: &Target) -> Result<Digest, String> {
    let others = || target.hashes.keys().cloned().collect::<Vec<_>>().join(", ");
    let hex = target.hashes.get("sha256").ok_or_else(others)?;
    format!("sha256:{}", hex.to_ascii_lowercase()).parse().map_err(|_| hex.clone())
}

fn not_listed(link: Link, path: &str, absent: &tuf_core::NotFound) -> Link {
    let searched: Vec<_> = absent.searched.iter().map(ToString::to_string).collect();
    let searched = searched.join(", ");
    let limit = if absent.exhausted { ", and the search ended at its limit of roles" } else { "" };
    let detail =
        format!("no role that may speak for {path} lists it: searched {searched}{limit} (TUF 5.6.7)");
    Link { detail, ..link.with_values(format!("{path} in {searched}"), "nothing") }
}

fn metadata_link(error: &ClientError) -> Box<Link> {
    let status = if error.unreachable() { Status::Unknown } else { Status::Broken };
    let role = error.role();
    let link = Link::new(Stage::of(&role), status, role.to_string(), error.to_string());
    let link = match error.blames() {
        [] => link.because(error.failing()),
        blames => {
            let each = blames.iter().map(|blame| Reason::new(blame.error.failing(), blame.to_string()));
            link.with_reasons(each.collect())
        }
    };
    Box::new(match error.refusal() {
        Some(refusal) => {
            let (expected, got) = refusal.reason.expected_and_got();
            link.with_values(expected, got)
        }
        None => link,
    })
}

fn source_link(stage: Stage, subject: &str, error: &SourceError) -> Box<Link> {
    // A tag that isn't there says nothing about the image; a blob that a signed manifest names is missing.
    let unknown = error.unreachable() || matches!(error, SourceError::Ambiguous { .. });
    let status = if unknown { Status::Unknown } else { Status::Broken };
    let detail = match error {
        SourceError::NotFound { .. } => {
            format!("{stage} {subject} is missing: expected it, got nothing: {error}")
        }
        _ => format!("{stage} {subject}: {error}"),
    };
    let link = Link::new(stage, status, subject, detail);
    Box::new(match error {
        SourceError::NotFound { .. } => link.with_values(subject, "nothing").because(Failing::Missing),
        SourceError::FalseDigest { claimed, got, .. } => link.with_values(claimed, got.to_string()),
        SourceError::TooLarge { limit, got, .. } => {
            let got = got.map_or_else(|| "more".to_owned(), |got| format!("{got} bytes"));
            link.with_values(format!("at most {limit} bytes"), got).because(Failing::Unusable)
        }
        _ if unknown => link,
        _ => link.because(Failing::Unusable),
    })
}

fn fault(stage: Stage, blob: &Descriptor, error: &BlobError) -> Box<Link> {
    Box::new(blob_link(stage, blob, error))
}

/// The link of a blob whose bytes are not those of its descriptor, or could not be had.
pub(crate) fn blob_link(stage: Stage, blob: &Descriptor, error: &BlobError) -> Link {
    let status = if error.unreachable() { Status::Unknown } else { Status::Broken };
    let subject = blob.digest.to_string();
    let link = Link::new(stage, status, &subject, format!("{stage} {subject}: {error}"));
    match error {
        BlobError::Digest { expected, got } => link.with_values(expected.to_string(), got.to_string()),
        BlobError::TooLong { expected } => link.with_values(format!("{expected} bytes"), "more"),
        BlobError::TooShort { expected, got } => {
            link.with_values(format!("{expected} bytes"), format!("{got} bytes"))
        }
        BlobError::Source(error) => *source_link(stage, &subject, error),
        _ => link,
    }
}

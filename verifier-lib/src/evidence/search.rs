//! Where evidence is looked for, and how much of it: nothing here believes what a registry says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::time::{Duration, Instant};

use image_evidence::{Form, Piece, Refusal, limits};
use oci_image::{
    BlobError, Descriptor, Digest, ImageManifest, Manifest, ManifestError, Selector, SourceError,
    VerifyingReader,
};

use super::{EvidenceSource, Found, Place, Subjects};

/// The most manifests that are looked into for one image. Real ones have a handful; cosign stops at 1000. What
/// the publisher names, manifests or blobs, is fetched first: no flood hides anything of it.
const MANIFESTS_MAX: usize = 300;

/// The most digests that the metadata may name: each is fetched.
const NAMED_MAX: usize = 100;

/// The most pieces: cosign's older form has a layer a signature.
const PIECES_MAX: usize = 1000;

/// The most bytes of all pieces together: three of the largest attestations.
const BYTES_MAX: u64 = 3 * limits::ATTESTATION_MAX;

/// How long is looked: a person waits. One answer more may come after it, within its own limits.
const TIME_MAX: Duration = Duration::from_secs(120);

/// The artifact type of a signature of notation.
const NOTATION: &str = "application/vnd.cncf.notary.signature";

/// The annotations by which BuildKit marks what is no image.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const ATTESTATION_MANIFEST: &str = "attestation-manifest";

/// What was found, and what could not be looked at.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    /// The pieces.
    pub pieces: Vec<Found>,
    /// What could not be looked at, or wasn't.
    pub gaps: Vec<Gap>,
}

/// Something that may have held evidence, and wasn't seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// Whether it may be there another time: nobody answered.
    pub unreachable: bool,
}

/// Looks everywhere where evidence about the image may be.
pub fn collect(source: &dyn EvidenceSource, subjects: &Subjects) -> Collection {
    let mut search = Search::new(source, subjects);
    // What both name is met where the index says which image it is about. The rest of the index, which may be long,
    // comes after what the metadata names.
    let mut attested = search.index(true);
    search.named();
    attested.extend(search.index(false));
    let each: Vec<_> = std::iter::once(&subjects.top).chain(&subjects.parts).collect();
    for subject in &each {
        search.tag(subject, "sig", Place::SignatureTag);
        search.tag(subject, "att", Place::AttestationTag);
    }
    for subject in each.into_iter().chain(&attested) {
        search.referrers(subject);
    }
    search.end()
}

struct Search<'a> {
    source: &'a dyn EvidenceSource,
    subjects: &'a Subjects,
    named: BTreeSet<Digest>,
    /// The blobs that the metadata names, hashed: fetched before anything that others may have put there.
    blobs: BTreeMap<Digest, Vec<u8>>,
    /// Those of them that a manifest named, which are used once for nothing: they were counted as they came.
    used: BTreeSet<Digest>,
    seen: BTreeSet<Digest>,
    /// Manifests that weren't looked into, since there were too many.
    left: usize,
    bytes: u64,
    until: Option<Instant>,
    collection: Collection,
}

impl<'a> Search<'a> {
    fn new(source: &'a dyn EvidenceSource, subjects: &'a Subjects) -> Self {
        let (digests, others) = subjects.named();
        let mut collection = Collection::default();
        for other in others {
            let why = "it is no digest".into();
            let what = format!("evidence {other:?} that the metadata names");
            collection.gaps.push(Gap { what, why, unreachable: false });
        }
        let until = Instant::now().checked_add(TIME_MAX);
        let mut named: BTreeSet<_> = digests.into_iter().collect();
        if named.len() > NAMED_MAX {
            let why = format!("at most {NAMED_MAX} are fetched, and {} are named", named.len());
            collection.gaps.push(Gap {
                what: "evidence that the metadata names".into(),
                why,
                unreachable: false,
            });
            named = named.into_iter().take(NAMED_MAX).collect();
        }
        let (blobs, used, seen) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { source, subjects, named, blobs, used, seen, left: 0, bytes: 0, until, collection }
    }

    fn end(mut self) -> Collection {
        self.loose();
        if self.left > 0 {
            let why = format!("at most {MANIFESTS_MAX} are looked into, and {} are left", self.left);
            self.gap("what refers to the image", why);
        }
        let (found, missing): (Vec<_>, Vec<_>) =
            self.named.iter().copied().partition(|digest| self.is_found(*digest));
        // Asked for the manifest of what is a blob, some registries have an error of their own instead of none.
        for digest in found {
            let what = format!("evidence {digest} that the metadata names");
            self.collection.gaps.retain(|gap| gap.what != what);
        }
        for digest in missing {
            let already = self.collection.gaps.iter().any(|gap| gap.what.contains(&digest.to_string()));
            if !already {
                self.gap(&format!("evidence {digest} that the metadata names"), "it is nowhere".into());
            }
        }
        self.collection
    }

    /// That there is time to ask for more.
    fn expect_time(&self) -> Result<(), SourceError> {
        match self.until.is_some_and(|until| Instant::now() < until) {
            true => Ok(()),
            false => {
                Err(SourceError::Overdue { at: self.source.describe(), limit: TIME_MAX, got: self.bytes })
            }
        }
    }

    fn is_found(&self, digest: Digest) -> bool {
        let is =
            |piece: &Found| piece.manifest == digest || piece.blob.digest == digest && is_signed(piece.form);
        self.collection.pieces.iter().any(is)
    }

    /// Which of the subjects a piece says that it is about; the image, where it is none.
    fn about(&self, piece: &Piece<'_>) -> Descriptor {
        let mut all = std::iter::once(&self.subjects.top).chain(&self.subjects.parts);
        all.find(|subject| piece.is_about(subject.digest)).unwrap_or(&self.subjects.top).clone()
    }

    fn gap(&mut self, what: &str, why: String) {
        self.collection.gaps.push(Gap { what: what.to_owned(), why, unreachable: false });
    }

    fn failed(&mut self, what: &str, why: &SourceError) {
        let gap = Gap { what: what.to_owned(), why: why.to_string(), unreachable: why.unreachable() };
        self.collection.gaps.push(gap);
    }

    /// What the metadata names: manifests by digest, or blobs, whose manifest may be met later.
    fn named(&mut self) {
        let named: Vec<_> = self.named.iter().copied().collect();
        for digest in named {
            match self.manifest(digest) {
                Ok(Some(manifest)) => match self.subject_of(&manifest) {
                    Some(subject) => self.pieces(&subject, digest, &manifest, Place::Named),
                    None => {
                        let got =
                            manifest.subject.map_or_else(|| "nothing".into(), |to| to.digest.to_string());
                        let why = format!("it refers to {got}, which isn't this image");
                        self.gap(&format!("evidence {digest} that the metadata names"), why);
                    }
                },
                Ok(None) => {}
                // It may be the digest of a blob; a layout has both in one place.
                Err(
                    SourceError::NotFound { .. }
                    | SourceError::Malformed { .. }
                    | SourceError::TooLarge { .. },
                ) => self.named_blob(digest),
                Err(why) => self.failed(&format!("evidence {digest} that the metadata names"), &why),
            }
        }
    }

    /// A blob of which nothing but the digest is known.
    fn named_blob(&mut self, digest: Digest) {
        let most = BYTES_MAX.saturating_sub(self.bytes).min(limits::ATTESTATION_MAX.saturating_mul(2));
        let want = Descriptor { digest, size: most, ..Descriptor::of("application/octet-stream", b"") };
        let mut bytes = Vec::new();
        let opened = self.expect_time().and_then(|()| self.source.blob(&want));
        let read = opened.and_then(|reader| {
            let read = reader.take(most.saturating_add(1)).read_to_end(&mut bytes);
            read.map_err(|error| match BlobError::from(error) {
                BlobError::Source(why) => why,
                other => SourceError::Malformed { at: self.source.describe(), why: other.to_string() },
            })
        });
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(got);
        let what = format!("evidence {digest} that the metadata names");
        match read {
            Err(SourceError::NotFound { .. }) => {}
            Err(why) => self.failed(&what, &why),
            Ok(_) if got > most => self.gap(&what, format!("expected at most {most} bytes, got more")),
            Ok(_) if Digest::of(&bytes) != digest => {
                self.gap(&what, format!("expected bytes with that digest, got {}", Digest::of(&bytes)));
            }
            Ok(_) => drop(self.blobs.insert(digest, bytes)),
        }
    }

    /// The blobs that the metadata names, of which no manifest was met, or one that says something else of them than
    /// they do: whoever keeps the registry may hide or flood its list, and write any manifest. What holds its own
    /// signature says by itself what it is.
    fn loose(&mut self) {
        for (digest, bytes) in std::mem::take(&mut self.blobs) {
            let Some(form) = Form::of_bytes(&bytes) else {
                if !self.is_found(digest) {
                    let why = match self.collection.pieces.iter().any(|piece| piece.blob.digest == digest) {
                        true => "it is what was signed, and no signature: those are in the manifest",
                        false => "it is met in no manifest, and is of no form that is known by itself",
                    };
                    self.gap(&format!("evidence {digest} that the metadata names"), why.into());
                }
                continue;
            };
            let piece = Piece { form, bytes: &bytes, annotations: &BTreeMap::new() };
            let about = self.about(&piece);
            let is_there = |one: &Found| {
                let piece = Piece { form, bytes: &bytes, annotations: &one.blob.annotations };
                one.blob.digest == digest
                    && one.bytes.is_ok()
                    && one.form == form
                    && one.subject.digest == about.digest
                    && piece.stands_by_itself()
            };
            if self.collection.pieces.iter().any(is_there) {
                continue;
            }
            let found = Found {
                form,
                place: Place::Named,
                subject: about,
                manifest: digest,
                refers: false,
                blob: Descriptor::of("application/octet-stream", &bytes),
                fresh: self.subjects.verified,
                bytes: Ok(bytes),
            };
            self.collection.pieces.push(found);
        }
    }

    /// Which of the subjects a manifest refers to; without a word, the image.
    fn subject_of(&self, manifest: &ImageManifest) -> Option<Descriptor> {
        let Some(to) = &manifest.subject else { return Some(self.subjects.top.clone()) };
        let mut all = std::iter::once(&self.subjects.top).chain(&self.subjects.parts);
        all.find(|subject| subject.digest == to.digest).cloned()
    }

    /// What BuildKit put into the index about the parts. The index covers it: so it is as fresh as the image.
    /// Returns the manifests that hold it, which may be signed themselves. First those that the metadata names too,
    /// then the others.
    fn index(&mut self, named: bool) -> Vec<Descriptor> {
        let mut attested = Vec::new();
        let Some(index) = &self.subjects.index else { return attested };
        let annotation = |entry: &Descriptor, name: &str| entry.annotations.get(name).cloned();
        for entry in &index.manifests {
            let is = annotation(entry, REFERENCE_TYPE).as_deref() == Some(ATTESTATION_MANIFEST);
            if !is || !entry.is_attestation() || self.named.contains(&entry.digest) != named {
                continue;
            }
            let about = annotation(entry, REFERENCE_DIGEST).and_then(|text| text.parse::<Digest>().ok());
            let part = self.subjects.parts.iter().find(|part| Some(part.digest) == about).cloned();
            // About a platform that wasn't asked for.
            let Some(part) = part else { continue };
            let what = format!("attestation manifest {}", entry.digest);
            match self.manifest(entry.digest) {
                // The new form says it within, too; it must be the same.
                Ok(Some(manifest)) if manifest.subject.as_ref().is_none_or(|to| to.digest == part.digest) => {
                    self.pieces(&part, entry.digest, &manifest, Place::Index);
                    attested.push(entry.clone());
                }
                Ok(Some(_)) => self.gap(&what, "it refers to another image than the index says".into()),
                Ok(None) => {}
                Err(why) => self.failed(&what, &why),
            }
        }
        attested
    }

    /// cosign's tags, which have a layer a signature.
    fn tag(&mut self, subject: &Descriptor, end: &str, place: Place) {
        let tag = format!("sha256-{}.{end}", subject.digest.hex());
        let fetched = match self.expect_time().and_then(|()| self.source.manifest(Selector::Tag(&tag))) {
            Ok(fetched) => fetched,
            Err(SourceError::NotFound { .. }) => return,
            Err(why) => return self.failed(&format!("tag {tag}"), &why),
        };
        let digest = Digest::of(&fetched.bytes);
        if !self.seen.insert(digest) {
            return;
        }
        match image(&fetched.bytes) {
            Ok(Some(manifest)) => self.pieces(subject, digest, &manifest, place),
            Ok(None) => self.gap(&format!("tag {tag}"), "expected a manifest, got an index".into()),
            Err(why) => self.gap(&format!("tag {tag}"), why.to_string()),
        }
    }

    fn referrers(&mut self, subject: &Descriptor) {
        let listed = self.expect_time().and_then(|()| self.source.refers_to(subject.digest));
        let (listed, place) = match listed {
            Ok(listed) => listed,
            Err(why) => return self.failed(&format!("what refers to {}", subject.digest), &why),
        };
        for entry in listed {
            match self.manifest(entry.digest) {
                Ok(Some(manifest))
                    if manifest.subject.as_ref().is_some_and(|to| to.digest == subject.digest) =>
                {
                    self.pieces(subject, entry.digest, &manifest, place);
                }
                Ok(Some(_)) => {
                    let why = "it is listed, and refers to something else".into();
                    self.gap(&format!("referrer {}", entry.digest), why);
                }
                Ok(None) => {}
                Err(why) => self.failed(&format!("referrer {}", entry.digest), &why),
            }
        }
    }

    /// The manifest with this digest, the first time that it is met.
    fn manifest(&mut self, digest: Digest) -> Result<Option<ImageManifest>, SourceError> {
        if self.seen.contains(&digest) {
            return Ok(None);
        }
        if self.seen.len() >= MANIFESTS_MAX {
            self.left = self.left.saturating_add(1);
            return Ok(None);
        }
        self.expect_time()?;
        self.seen.insert(digest);
        let bytes = self.source.manifest(Selector::Digest(digest))?.bytes;
        let got = Digest::of(&bytes);
        if got != digest {
            let (at, claimed) = (self.source.describe(), digest.to_string());
            return Err(SourceError::FalseDigest { at, claimed, got });
        }
        let malformed =
            |why: ManifestError| SourceError::Malformed { at: digest.to_string(), why: why.to_string() };
        image(&bytes).map_err(malformed)
    }

    fn pieces(&mut self, subject: &Descriptor, digest: Digest, manifest: &ImageManifest, place: Place) {
        let forms = manifest.layers.iter().map(|layer| Form::of(&layer.media_type));
        let known: Vec<_> = manifest.layers.iter().zip(forms).collect();
        let kind = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
        if known.iter().all(|(_, form)| form.is_none()) {
            if let (NOTATION, [blob]) = (kind, manifest.layers.as_slice()) {
                // Before version 1.1 of the format the config told the type.
                return self.no_signature(subject, digest, blob, place);
            }
            return self
                .gap(&format!("{digest} of type {kind}"), "it holds nothing of a form that is known".into());
        }
        let mut left = 0_usize;
        for (layer, form) in known {
            let Some(form) = form else { continue };
            let named = self.named.contains(&digest) || is_signed(form) && self.named.contains(&layer.digest);
            // What the metadata names is never among what is left out.
            if !self.named.contains(&layer.digest) && self.collection.pieces.len() >= PIECES_MAX {
                left = left.saturating_add(1);
                continue;
            }
            let fresh = self.subjects.verified && (named || place == Place::Index);
            let bytes = self.blob(form, layer);
            // What lies under a tag doesn't refer to anything: a tag that was named by digest says by itself what it is
            // about.
            let subject = match (&manifest.subject, place, &bytes) {
                (None, Place::Named, Ok(bytes)) => {
                    self.about(&Piece { form, bytes, annotations: &layer.annotations })
                }
                _ => subject.clone(),
            };
            let (refers, blob) = (manifest.subject.is_some(), layer.clone());
            let found = Found { form, place, subject, manifest: digest, refers, blob, fresh, bytes };
            self.collection.pieces.push(found);
        }
        if left > 0 {
            let why = format!("at most {PIECES_MAX} pieces are looked at, and {left} are left");
            self.gap(&format!("more of {digest}"), why);
        }
    }

    /// What says that it is a signature of notation, and holds something else.
    fn no_signature(&mut self, subject: &Descriptor, manifest: Digest, blob: &Descriptor, place: Place) {
        let (expected, got) = ("application/jose+json".into(), blob.media_type.clone());
        let bytes = Err(Refusal::Kind { what: "a signature of type", expected, got });
        let (form, subject, blob) = (Form::NotationJws, subject.clone(), blob.clone());
        self.collection.pieces.push(Found {
            form,
            place,
            subject,
            manifest,
            refers: false,
            blob,
            fresh: false,
            bytes,
        });
    }

    /// What is refused leaves room for what is smaller.
    fn expect_room(&self, size: u64) -> Result<(), Refusal> {
        let all = self.bytes.saturating_add(size);
        if all > BYTES_MAX {
            let what = "evidence in bytes, all together,";
            return Err(Refusal::TooLarge { what, expected: BYTES_MAX, got: all });
        }
        Ok(())
    }

    /// The same bytes, where they came before: they aren't asked for again. They count again, since they are kept and
    /// weighed again, however many manifests name them; but for the first use of what the metadata names.
    fn held(&mut self, blob: &Descriptor) -> Option<Result<Vec<u8>, Refusal>> {
        let same = |one: &&Found| one.blob.digest == blob.digest && one.bytes.is_ok();
        let met = || self.collection.pieces.iter().find(same).and_then(|one| one.bytes.as_ref().ok());
        let named = self.blobs.get(&blob.digest);
        let bytes = named.or_else(met)?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size != blob.size {
            return Some(Err(Refusal::Malformed {
                what: "the bytes that the manifest names",
                why: format!("expected {} bytes, got {size}", blob.size),
            }));
        }
        let free = named.is_some() && !self.used.contains(&blob.digest);
        if let (false, Err(why)) = (free, self.expect_room(size)) {
            return Some(Err(why));
        }
        let bytes = bytes.clone();
        match free {
            true => drop(self.used.insert(blob.digest)),
            false => self.bytes = self.bytes.saturating_add(size),
        }
        Some(Ok(bytes))
    }

    fn blob(&mut self, form: Form, blob: &Descriptor) -> Result<Vec<u8>, Refusal> {
        let most = match form {
            Form::SimpleSigning | Form::NotationJws | Form::NotationCose => limits::SIGNATURE_MAX,
            // In base64 a third is added.
            Form::Envelope | Form::Bundle => limits::ATTESTATION_MAX.saturating_mul(2),
            Form::Statement => limits::ATTESTATION_MAX,
        };
        if blob.size > most {
            return Err(Refusal::TooLarge {
                what: "a piece of evidence in bytes",
                expected: most,
                got: blob.size,
            });
        }
        if let Some(held) = self.held(blob) {
            return held;
        }
        self.expect_room(blob.size)?;
        let mut bytes = Vec::new();
        let opened = self.expect_time().and_then(|()| self.source.blob(blob));
        let read = opened.map_err(BlobError::Source).and_then(|reader| {
            VerifyingReader::for_blob(reader, blob).read_to_end(&mut bytes).map_err(BlobError::from)
        });
        // What came counts: whoever announces much and sends nothing takes no room from others.
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match read {
            Ok(_) => Ok(bytes),
            Err(why) => {
                if why.unreachable() {
                    let gap = Gap {
                        what: format!("blob {}", blob.digest),
                        why: why.to_string(),
                        unreachable: true,
                    };
                    self.collection.gaps.push(gap);
                }
                Err(Refusal::Malformed { what: "the bytes that the manifest names", why: why.to_string() })
            }
        }
    }
}

/// Whether a blob of this form holds its signatures. That of simple signing is what was signed, by whomever, and the
/// signatures are in the manifest.
fn is_signed(form: Form) -> bool {
    form != Form::SimpleSigning
}

/// A manifest that is no index.
fn image(bytes: &[u8]) -> Result<Option<ImageManifest>, ManifestError> {
    match Manifest::parse(bytes, None)? {
        Manifest::Image(image) => Ok(Some(image)),
        Manifest::Index(_) => Ok(None),
    }
}

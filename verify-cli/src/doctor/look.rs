//! What lies beside an image, place by place, as its readers find it. Nothing here decides anything.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::{Duration, Instant};

use image_evidence::{Form, limits};
use oci_image::{BlobError, Descriptor, Digest, Manifest, Selector, SourceError, VerifyingReader};
use verifier_lib::evidence::{EvidenceSource, Place, Subjects};

/// The most that is looked into under one tag or in one list. Real images have a handful of signatures.
const HOLDERS_MAX: usize = 100;

/// The most bytes of all together, as where evidence is looked for: three of the largest attestations.
const BYTES_MAX: u64 = 3 * limits::ATTESTATION_MAX;

/// How long is looked: a person waits.
const TIME_MAX: Duration = Duration::from_secs(120);

/// What is in a place.
#[derive(Debug)]
pub(crate) enum Sight<T> {
    There(T),
    Absent,
    Unseen(Trouble),
}

/// Why something wasn't seen.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) why: String,
    /// Whether it may be there another time.
    pub(crate) unreachable: bool,
}

/// A manifest that holds signatures.
#[derive(Debug)]
pub(crate) struct Holder {
    /// As it declares itself, or as the registry does.
    pub(crate) media_type: String,
    /// The type of its configuration.
    pub(crate) config_type: String,
    pub(crate) artifact_type: Option<String>,
    pub(crate) blobs: Vec<Blob>,
    /// Blobs that weren't looked at: there are too many.
    pub(crate) left: usize,
}

/// What a manifest holds.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) descriptor: Descriptor,
    /// Its bytes, hashed; none where they are of no form that is read.
    pub(crate) bytes: Result<Option<Vec<u8>>, Trouble>,
}

/// The list of what refers to the image.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) place: Place,
    pub(crate) entries: Vec<(Descriptor, Result<Holder, Trouble>)>,
    /// Entries that weren't looked into: there are too many.
    pub(crate) left: usize,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What the name leads to.
    pub(crate) top: Descriptor,
    /// The image of one platform in it, where it is an index.
    pub(crate) part: Option<Descriptor>,
    /// What is under the tag `sha256-HEX.sig` of each of them.
    tags: BTreeMap<Digest, Sight<Holder>>,
    pub(crate) listing: Sight<Listing>,
    /// What is under the tag `sha256-HEX.att` of what the name leads to.
    pub(crate) attestations: Sight<Holder>,
    pub(crate) docker: Docker,
}

/// What docker/attest looks at; nothing where it isn't asked about.
#[derive(Debug)]
pub(crate) struct Docker {
    /// The manifest of attestations that the index lists beside the image.
    pub(crate) attached: Sight<Holder>,
    /// What refers to the image of one platform, with its envelopes.
    pub(crate) referring: Sight<Listing>,
}

/// Which envelopes are looked at, besides signatures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Those of cosign.
    pub(crate) cosign: bool,
    /// Those of docker/attest.
    pub(crate) docker: bool,
}

impl Seen {
    pub(crate) fn of(source: &dyn EvidenceSource, subjects: &Subjects, wanted: Wanted) -> Self {
        let until = Instant::now().checked_add(TIME_MAX);
        let mut look = Look { source, bytes: BYTES_MAX, until, envelopes: false };
        let (top, part) = (subjects.top().clone(), subjects.parts().first().cloned());
        let each = std::iter::once(&top).chain(&part);
        let tags = each.map(|image| (image.digest, look.tag(image.digest, "sig"))).collect();
        let listing = look.listing(top.digest);
        // Of each reader as much is read, so that what lies there for one takes no room from another.
        let mut look = Look { bytes: BYTES_MAX, envelopes: true, ..look };
        let attestations = if wanted.cosign { look.tag(top.digest, "att") } else { Sight::Absent };
        look.bytes = BYTES_MAX;
        let docker = match wanted.docker {
            true => Docker {
                attached: part.as_ref().map_or(Sight::Absent, |part| look.attached(&top, part)),
                referring: look.listing(part.as_ref().unwrap_or(&top).digest),
            },
            false => Docker { attached: Sight::Absent, referring: Sight::Absent },
        };
        Self { top, part, tags, listing, attestations, docker }
    }

    /// What is under the tag for signatures of this image.
    pub(crate) fn tag(&self, image: Digest) -> &Sight<Holder> {
        self.tags.get(&image).unwrap_or(&Sight::Absent)
    }

    /// Every blob of this form, wherever it is.
    pub(crate) fn count(&self, is: impl Fn(Form) -> bool) -> usize {
        let tags = self.tags.values().filter_map(|sight| match sight {
            Sight::There(holder) => Some(holder),
            Sight::Absent | Sight::Unseen(_) => None,
        });
        let listed = match &self.listing {
            Sight::There(listing) => listing.entries.as_slice(),
            Sight::Absent | Sight::Unseen(_) => &[],
        };
        let holders = tags.chain(listed.iter().filter_map(|(_, holder)| holder.as_ref().ok()));
        let blobs = holders.flat_map(|holder| &holder.blobs);
        blobs.filter(|blob| Form::of(&blob.descriptor.media_type).is_some_and(&is)).count()
    }
}

impl From<&SourceError> for Trouble {
    fn from(why: &SourceError) -> Self {
        Self { why: why.to_string(), unreachable: why.unreachable() }
    }
}

struct Look<'a> {
    source: &'a dyn EvidenceSource,
    /// How many more bytes are read.
    bytes: u64,
    until: Option<Instant>,
    /// Whether envelopes are read too.
    envelopes: bool,
}

impl Look<'_> {
    fn expect_time(&self) -> Result<(), Trouble> {
        match self.until.is_some_and(|until| Instant::now() < until) {
            true => Ok(()),
            false => {
                let why = format!("{} took longer than {TIME_MAX:.0?}", self.source.describe());
                Err(Trouble { why, unreachable: true })
            }
        }
    }

    fn tag(&mut self, image: Digest, end: &str) -> Sight<Holder> {
        if let Err(why) = self.expect_time() {
            return Sight::Unseen(why);
        }
        let fetched = match self.source.manifest(Selector::Tag(&format!("sha256-{}.{end}", image.hex()))) {
            Ok(fetched) => fetched,
            Err(SourceError::NotFound { .. }) => return Sight::Absent,
            Err(why) => return Sight::Unseen(Trouble::from(&why)),
        };
        match self.holder(&fetched.bytes, fetched.media_type.as_deref()) {
            Ok(holder) => Sight::There(holder),
            Err(why) => Sight::Unseen(why),
        }
    }

    fn listing(&mut self, image: Digest) -> Sight<Listing> {
        if let Err(why) = self.expect_time() {
            return Sight::Unseen(why);
        }
        let (listed, place) = match self.source.refers_to(image) {
            Ok(listed) => listed,
            Err(why) => return Sight::Unseen(Trouble::from(&why)),
        };
        let left = listed.len().saturating_sub(HOLDERS_MAX);
        let entries = listed.into_iter().take(HOLDERS_MAX).map(|entry| {
            let holder = self.referrer(&entry);
            (entry, holder)
        });
        Sight::There(Listing { place, entries: entries.collect(), left })
    }

    /// The first manifest of attestations of this image that the index lists (BuildKit, "Attestation storage").
    fn attached(&mut self, top: &Descriptor, image: &Descriptor) -> Sight<Holder> {
        let unusable = |why: String| Sight::Unseen(Trouble { why, unreachable: false });
        if let Err(why) = self.expect_time() {
            return Sight::Unseen(why);
        }
        let fetched = match self.source.manifest(Selector::Digest(top.digest)) {
            Ok(fetched) => fetched,
            Err(why) => return Sight::Unseen(Trouble::from(&why)),
        };
        let got = Digest::of(&fetched.bytes);
        if got != top.digest {
            return unusable(format!("expected {}, got {got}", top.digest));
        }
        let index = match Manifest::parse(&fetched.bytes, Some(&top.media_type)) {
            Ok(Manifest::Index(index)) => index,
            Ok(Manifest::Image(_)) => return Sight::Absent,
            Err(why) => return unusable(why.to_string()),
        };
        let (wanted, text) =
            (image.digest.to_string(), |one: &Descriptor, name: &str| one.annotations.get(name).cloned());
        let entry = index.manifests.into_iter().find(|one| {
            text(one, "vnd.docker.reference.type").as_deref() == Some("attestation-manifest")
                && text(one, "vnd.docker.reference.digest").as_ref() == Some(&wanted)
        });
        let Some(entry) = entry else { return Sight::Absent };
        match self.referrer(&entry) {
            Ok(holder) => Sight::There(holder),
            Err(why) => Sight::Unseen(why),
        }
    }

    fn referrer(&mut self, entry: &Descriptor) -> Result<Holder, Trouble> {
        self.expect_time()?;
        let fetched = self.source.manifest(Selector::Digest(entry.digest));
        let fetched = fetched.map_err(|why| Trouble::from(&why))?;
        let got = Digest::of(&fetched.bytes);
        if got != entry.digest {
            let why = format!("expected {}, got {got}", entry.digest);
            return Err(Trouble { why, unreachable: false });
        }
        self.holder(&fetched.bytes, fetched.media_type.as_deref())
    }

    fn holder(&mut self, bytes: &[u8], declared: Option<&str>) -> Result<Holder, Trouble> {
        let unusable = |why: String| Trouble { why, unreachable: false };
        let manifest = match Manifest::parse(bytes, declared) {
            Ok(Manifest::Image(manifest)) => manifest,
            Ok(Manifest::Index(_)) => return Err(unusable("expected a manifest, got an index".into())),
            Err(why) => return Err(unusable(why.to_string())),
        };
        let left = manifest.layers.len().saturating_sub(HOLDERS_MAX);
        let blobs = manifest.layers.into_iter().take(HOLDERS_MAX).map(|descriptor| {
            let bytes = self.blob(&descriptor);
            Blob { descriptor, bytes }
        });
        let blobs = blobs.collect();
        let config_type = manifest.config.media_type;
        let (media_type, artifact_type) = (manifest.media_type, manifest.artifact_type);
        Ok(Holder { media_type, config_type, artifact_type, blobs, left })
    }

    fn blob(&mut self, blob: &Descriptor) -> Result<Option<Vec<u8>>, Trouble> {
        let most = match Form::of(&blob.media_type) {
            Some(Form::SimpleSigning | Form::NotationJws | Form::NotationCose) => limits::SIGNATURE_MAX,
            Some(Form::Bundle) => limits::ATTESTATION_MAX.saturating_mul(2),
            Some(Form::Envelope) if self.envelopes => limits::ATTESTATION_MAX.saturating_mul(2),
            Some(Form::Envelope | Form::Statement) | None => return Ok(None),
        };
        self.expect_time()?;
        if blob.size > most.min(self.bytes) {
            let why = format!("expected at most {} bytes, got {}", most.min(self.bytes), blob.size);
            return Err(Trouble { why, unreachable: false });
        }
        let mut bytes = Vec::new();
        let read = self.source.blob(blob).map_err(BlobError::Source).and_then(|reader| {
            VerifyingReader::for_blob(reader, blob).read_to_end(&mut bytes).map_err(BlobError::from)
        });
        // What came counts: whoever announces much and sends nothing takes no room from others.
        self.bytes = self.bytes.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(why) => Err(Trouble { unreachable: why.unreachable(), why: why.to_string() }),
        }
    }
}

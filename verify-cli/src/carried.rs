//! What a verification reads instead of the network, and what is taken down of it: packs.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::SecondsFormat;
use image_pack::{Draft, Pack, PackError, Recorder, Witness};
use oci_image::{Descriptor, Location, Platform, Reference, media};
use tuf_client::{Fetch, Fetched, MemoryStore, Store, Transport};
use tuf_core::{TrustedRoot, limits, metadata_file_name};
use verifier_lib::evidence::{Subjects, collect};
use verifier_lib::{Stage, VerifiedImage};

use crate::access::{Access, FIRST_ROOT_TIME, now};
use crate::args::ChainArgs;
use crate::evidence;
use crate::failure::Failure;
use crate::style::shown;

/// What stands in for the network, and takes notes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    /// The pack that is read, where one is.
    pub(crate) pack: Option<Pack>,
    /// By which tag the image is asked for in it; without one, by its digest.
    pub(crate) tag: Option<String>,
    /// Whether what this machine accepted before is left alone: neither read nor advanced.
    pub(crate) apart: bool,
    /// Who takes notes of the metadata.
    pub(crate) recorder: Option<Recorder>,
}

impl Carried {
    /// The store of accepted metadata, with whoever takes notes.
    pub(crate) fn store(&self, store: impl Store + 'static) -> Box<dyn Store> {
        let store: Box<dyn Store> =
            if self.apart { Box::new(MemoryStore::default()) } else { Box::new(store) };
        match &self.recorder {
            Some(recorder) => recorder.over(store),
            None => store,
        }
    }
}

/// A chain that is read from a pack: of the name that the pack is of, or that the user says it is, and of the
/// platforms that are in it.
pub(crate) fn from_pack(path: &Path, given: &ChainArgs) -> Result<ChainArgs, Failure> {
    let pack = Pack::open(path).map_err(|error| unusable(path, &error))?;
    let asked = match (&given.known_as, &given.image) {
        (Some(name), _) | (None, Location::Registry(name)) => Some(name),
        (None, Location::Layout { .. }) => None,
    };
    let name = name_of(&pack, asked)?;
    // Whatever doesn't know of packs opens no socket either.
    let (image, offline) = (Location::Registry(name.clone()), true);
    let chain = ChainArgs { image, offline, known_as: Some(name), at: Some(now(given)), ..given.clone() };
    Ok(in_pack(pack, chain))
}

/// The name that a pack is of, where it is the one that is asked for.
pub(crate) fn name_of(pack: &Pack, asked: Option<&Reference>) -> Result<Reference, Failure> {
    let said = &pack.index().reference;
    let of: Reference = said.parse().map_err(|why| {
        Failure::refused(format!(
            "refused {}: it says that it is of {}: {why}",
            pack.describe(),
            shown(&format!("{said:?}"))
        ))
    })?;
    let Some(asked) = asked else { return Ok(of) };
    // A digest that is asked for besides is the chain's to compare.
    let same = asked.name() == of.name() && asked.tag() == of.tag();
    if !same {
        let what =
            format!("refused {asked}: {} is of another image: expected {asked}, got {of}", pack.describe());
        return Err(Failure::refused(what));
    }
    Ok(asked.clone())
}

/// The same chain, read from a pack. Unless the user chose, of all platforms that are in it.
pub(crate) fn in_pack(pack: Pack, chain: ChainArgs) -> ChainArgs {
    let index = pack.index();
    let chosen = chain.all_platforms || chain.platform.is_some();
    let only = match index.platforms.as_slice() {
        [only] if !chosen && !index.complete => only.parse::<Platform>().ok(),
        _ => None,
    };
    let is_index = media::kind(&index.media_type) == media::Kind::Index;
    let all = chain.all_platforms || !chosen && index.complete && is_index;
    let carried = Carried { pack: Some(pack), ..chain.carried };
    ChainArgs { all_platforms: all, platform: only.or(chain.platform), carried, ..chain }
}

/// That the layers of an image are in the pack that it is read from, if it is.
pub(crate) fn expect_layers(pack: Option<&Pack>, layers: &[Descriptor]) -> Result<(), Failure> {
    let Some(pack) = pack else { return Ok(()) };
    let missing = layers.iter().filter(|layer| !pack.holds(layer.digest)).count();
    if missing == 0 {
        return Ok(());
    }
    let (image, all) = (&pack.index().reference, layers.len());
    let what = format!("could not scan: {} lacks {missing} of the image's {all} layers", pack.describe());
    Err(Failure::unknown(shown(&what))
        .hint(format!("make one that holds them with `verify pack {} -o FILE --with-layers`", shown(image))))
}

/// That a pack can't be used: because nothing could be read, or because of what was.
pub(crate) fn unusable(path: &Path, error: &PackError) -> Failure {
    if error.unreadable() {
        return Failure::usage(shown(&error.to_string()));
    }
    let what = format!("refused pack {}: {}", path.display(), shown(&error.to_string()));
    Failure::refused(what).hint("it is damaged, or somebody changed it: ask for it anew")
}

/// What a pack of a trusted image holds, but for layers and evidence. `recorder` took notes of its metadata.
pub(crate) fn draft(
    access: &Access,
    chain: &ChainArgs,
    image: &VerifiedImage,
    recorder: &Recorder,
) -> Result<Draft, Failure> {
    let incomplete = |error: PackError| Failure::unknown(shown(&error.to_string()));
    let newest = image.proof().links.iter().find(|link| link.stage == Stage::Root);
    let newest = newest.and_then(|link| link.version).unwrap_or_default();
    let mut metadata = recorder.metadata(&access.root_bytes, newest).map_err(incomplete)?;
    metadata.extend(earlier_roots(access, chain));
    Ok(Draft::of(image, access.selector(), metadata))
}

/// And all evidence about the image that is to be found, whatever it is worth.
pub(crate) fn with_evidence(
    draft: Draft,
    chain: &ChainArgs,
    image: &VerifiedImage,
) -> Result<Draft, Failure> {
    let (source, ..) = evidence::source(chain)?;
    let witness = Witness::of(source.as_ref());
    let collection = collect(&witness, &Subjects::of(image));
    Ok(draft.with_evidence(witness.seen(), &collection))
}

/// The roots before the one that this machine began with, where the repository still has all of them: so that
/// whoever was given an earlier one can judge the pack too. They are no part of the verdict.
fn earlier_roots(access: &Access, chain: &ChainArgs) -> BTreeMap<String, Vec<u8>> {
    let none = BTreeMap::new();
    if chain.offline && access.remote {
        return none;
    }
    let version = |root: &TrustedRoot| root.version();
    let bootstrap = |bytes: &[u8]| {
        TrustedRoot::bootstrap(bytes, chrono::DateTime::UNIX_EPOCH, tuf_core::crypto::default()).ok()
    };
    let Some(first) = bootstrap(&access.root_bytes).as_ref().map(version) else { return none };
    let mut roots = BTreeMap::new();
    let mut newest: Option<TrustedRoot> = None;
    for number in 1..first.min(u64::from(limits::ROOT_STEPS)) {
        let name = metadata_file_name("root", Some(number));
        let Some(bytes) = root_file(access.transport.as_ref(), &name) else { return none };
        let next = match &newest {
            None => bootstrap(&bytes),
            Some(before) => before.next(&bytes).ok(),
        };
        let Some(next) = next.filter(|next| next.version() == number) else { return none };
        newest = Some(next);
        roots.insert(name, bytes);
    }
    match newest.map(|before| before.next(&access.root_bytes)) {
        Some(Ok(_)) => roots,
        _ => none,
    }
}

fn root_file(transport: &dyn Transport, name: &str) -> Option<Vec<u8>> {
    let wanted = Fetch { name, limit: limits::ROOT_BYTES, known: None, time: FIRST_ROOT_TIME };
    match transport.fetch(&wanted) {
        Ok(Fetched::File { bytes, .. }) => Some(bytes),
        _ => None,
    }
}

/// A time as it is in reports.
pub(crate) fn stamp(chain: &ChainArgs) -> String {
    now(chain).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

//! What is in an image: its layers are read once, the lowest first, and what they leave is catalogued.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use oci_image::{Descriptor, Digest, ImageSource};
use serde::{Deserialize, Serialize};

use crate::catalog;
use crate::component::{Component, Found};
use crate::config::Config;
use crate::error::{ArchiveError, ScanError};
use crate::layer::Layer;
use crate::limits;
use crate::os_release::{self, OsRelease};
use crate::purl::purl;
use crate::tree::{Path, What};
use crate::vendor;
use crate::walk::{Content, Kept, Walk, WalkError};
use crate::wanted::Wanted;

/// How often the layers of one image are read. Once is enough, unless a file has two names of which only the second
/// says what it is, as stores of package managers have them; then they are read again, for the files so named.
const WALKS_MAX: usize = 3;

/// The image to look into: one platform's. Whoever names it has verified manifest and configuration.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The bytes of its configuration.
    pub config: &'a [u8],
    /// Its layers, the lowest first.
    pub layers: &'a [Descriptor],
}

/// What is in an image.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inventory {
    /// The distribution, where the image says which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<OsRelease>,
    /// The layers, the lowest first.
    pub layers: Vec<LayerInfo>,
    /// The components, sorted.
    pub components: Vec<Component>,
    /// Files that should have been read and were not: what they hold is not known.
    pub unread: Vec<Unread>,
    /// How many more there were of those.
    #[serde(skip_serializing_if = "is_zero")]
    pub unread_more: usize,
}

/// A layer, as it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LayerInfo {
    /// The digest of the compressed bytes, as in the manifest.
    pub digest: String,
    /// The digest of the uncompressed bytes, as in the configuration.
    pub diff_id: String,
    /// How many bytes it has, compressed.
    pub size: u64,
    /// How many bytes it has, uncompressed.
    pub uncompressed: u64,
    /// The build step that made it, as the configuration tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether it seems to belong to the base image: a guess from the order of the build steps.
    pub base: bool,
}

/// A file that should have been read and was not.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unread {
    /// The layer that has it.
    pub layer: usize,
    /// Where it is.
    pub path: String,
    /// Why it wasn't read.
    pub why: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Inventory {
    /// Reads every layer to its last byte, checks it against the manifest's digest and the configuration's diff
    /// id, and lists what a container made of the image would have. `progress` is told how many bytes of which
    /// layer are done.
    ///
    /// # Errors
    /// When a layer can't be had, isn't the one that is meant, or isn't an archive within the bounds.
    pub fn take(
        subject: &Subject<'_>,
        source: &dyn ImageSource,
        progress: &mut dyn FnMut((&Descriptor, u64)),
    ) -> Result<Self, ScanError> {
        let config = Config::parse(subject.config, subject.layers.len())?;
        let mut walked = Walked::through(subject, &config, source, HashMap::new(), progress)?;
        for _ in 1..WALKS_MAX {
            let Some(spare) = walked.walk.worth_another() else { break };
            walked = Walked::through(subject, &config, source, spare, progress)?;
        }
        let Walked { mut walk, packages, layers } = walked;
        walk.tell_of_moved_databases();
        let os = os_of(&walk);
        let components = components(&walk, packages, os.as_ref())?;
        Ok(Self { os, layers, components, unread: walk.unread, unread_more: walk.unread_more })
    }
}

/// What a walk through all layers left.
struct Walked {
    walk: Walk,
    packages: Packages,
    layers: Vec<LayerInfo>,
}

impl Walked {
    fn through(
        subject: &Subject<'_>,
        config: &Config,
        source: &dyn ImageSource,
        spare: HashMap<Path, Wanted>,
        progress: &mut dyn FnMut((&Descriptor, u64)),
    ) -> Result<Self, ScanError> {
        let (mut walk, mut packages, mut layers) = (Walk::keeping(spare), Packages::default(), Vec::new());
        for (index, (descriptor, made)) in subject.layers.iter().zip(&config.layers).enumerate() {
            let progress = &mut |done| progress((descriptor, done));
            let uncompressed = read_layer(&mut walk, index, descriptor, made.diff_id, source, progress)?;
            packages.after_layer(&mut walk, index);
            layers.push(LayerInfo {
                digest: descriptor.digest.to_string(),
                diff_id: made.diff_id.to_string(),
                size: descriptor.size,
                uncompressed,
                created_by: made.created_by.clone(),
                base: made.base,
            });
        }
        Ok(Self { walk, packages, layers })
    }
}

fn read_layer(
    walk: &mut Walk,
    index: usize,
    descriptor: &Descriptor,
    expected: Digest,
    source: &dyn ImageSource,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, ScanError> {
    let digest = descriptor.digest;
    let blob = source.blob(descriptor).map_err(|error| ScanError::Source { layer: digest, error })?;
    let walked = std::thread::scope(|scope| {
        let layer = Layer::open(scope, blob, descriptor, progress);
        walk.layer(index, layer).map(Layer::finish)
    });
    let (got, size) = walked.map_err(|error| walk_error(digest, error))?;
    if got != expected {
        return Err(ScanError::DiffId { layer: digest, expected, got });
    }
    Ok(size)
}

/// Finds what is wrong with the blob within what is wrong with its archive.
pub(crate) fn walk_error(layer: Digest, error: WalkError) -> ScanError {
    let error = match error {
        WalkError::TooMany { what, limit } => return ScanError::TooMany { what, limit },
        WalkError::Archive(ArchiveError::Read(error)) => error,
        WalkError::Archive(why) => return ScanError::Archive { layer, why },
    };
    let error = match error.downcast::<ArchiveError>() {
        Ok(why) => return ScanError::Archive { layer, why },
        Err(error) => error,
    };
    // Uncompressing errors are the stranger's: only the blob's own reader knows of networks and digests.
    match error
        .get_ref()
        .is_some_and(|inner| inner.is::<oci_image::BlobError>() || inner.is::<oci_image::SourceError>())
    {
        true => ScanError::Blob { layer, error: error.into() },
        false => ScanError::Archive { layer, why: ArchiveError::Read(error) },
    }
}

fn os_of(walk: &Walk) -> Option<OsRelease> {
    os_release::PLACES.iter().find_map(|place| match &walk.tree.file(place)?.1.what {
        What::File(kept) => match &kept.content {
            Content::Bytes(bytes) => OsRelease::parse(bytes),
            Content::Found(_) => None,
        },
        What::Link(_) | What::Spare(_) => None,
    })
}

/// The packages of the distribution, and the layer that brought each.
///
/// A database is written anew by every layer that installs something, so the layer of the file says little: a
/// package came with the first layer of which on it has been there in this version.
#[derive(Default)]
struct Packages(HashMap<Path, Packaged>);

/// What one database says.
struct Packaged {
    /// What it was read from.
    kept: Arc<Kept>,
    since: HashMap<Found, usize>,
}

impl Packages {
    fn after_layer(&mut self, walk: &mut Walk, index: usize) {
        for path in walk.tree.take_changed() {
            let before = self.0.remove(&path);
            let there = walk.tree.at(&path).and_then(|node| match &node.what {
                What::File(kept) if kept.wanted.is_database() => Some(Arc::clone(kept)),
                What::File(_) | What::Spare(_) | What::Link(_) => None,
            });
            let Some(kept) = there else { continue };
            let packaged = match before {
                // Also what a layer has written again as it was.
                Some(packaged) if packaged.kept.is_same(&kept) => Packaged { kept, ..packaged },
                packaged => {
                    let since = packaged.map(|packaged| packaged.since).unwrap_or_default();
                    Packaged { since: read(walk, &path, &kept, &since, index), kept }
                }
            };
            self.0.insert(path, packaged);
        }
    }
}

/// The packages of a database, each with the layer since which it is there.
fn read(
    walk: &mut Walk,
    path: &[u8],
    kept: &Kept,
    before: &HashMap<Found, usize>,
    index: usize,
) -> HashMap<Found, usize> {
    let Content::Bytes(bytes) = &kept.content else { return HashMap::new() };
    let packages = match catalog::packages(kept.wanted, bytes) {
        Ok(packages) => packages,
        Err(why) => {
            walk.not_read(path, &why);
            return HashMap::new();
        }
    };
    if packages.unreadable > 0 {
        let why = format!("{} of its packages can't be looked up", packages.unreadable);
        walk.not_read(path, &why);
    }
    let since = |found: &Found| before.get(found).copied().unwrap_or(index);
    let with_layer = |found| (since(&found), found);
    packages.found.into_iter().map(with_layer).map(|(layer, found)| (found, layer)).collect()
}

fn components(walk: &Walk, packages: Packages, os: Option<&OsRelease>) -> Result<Vec<Component>, ScanError> {
    let owners = owners(walk);
    let mut all = Vec::new();
    for (path, packaged) in packages.0 {
        all.extend(packaged.since.into_iter().map(|(found, layer)| component(found, &path, layer, None, os)));
        expect_few(&all)?;
    }
    for (path, layer, kept) in walk.tree.files() {
        let Content::Found(found) = &kept.content else { continue };
        let owner = owners.get(path);
        all.extend(found.iter().map(|found| component(found.clone(), path, layer, owner.cloned(), os)));
        expect_few(&all)?;
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// Files may name more than anybody can list: each of a package of Rust names hundreds, and may have many names.
fn expect_few(all: &[Component]) -> Result<(), ScanError> {
    match all.len() > limits::COMPONENTS_MAX {
        true => {
            let limit = u64::try_from(limits::COMPONENTS_MAX).unwrap_or(u64::MAX);
            Err(ScanError::TooMany { what: "components", limit })
        }
        false => Ok(()),
    }
}

fn component(
    found: Found,
    path: &Path,
    layer: usize,
    owner: Option<String>,
    os: Option<&OsRelease>,
) -> Component {
    let purl = purl(&found, os);
    let vendor = vendor::other_than(&found, os);
    let mut path = format!("/{}", String::from_utf8_lossy(path));
    if let Some(inside) = &found.inside {
        path.push('!');
        path.push_str(inside);
    }
    Component {
        kind: found.kind,
        name: found.name,
        version: found.version,
        source: found.source,
        architecture: found.architecture,
        module: found.module,
        purl,
        layer,
        path,
        owner,
        guess: found.guess,
        vendor,
    }
}

/// Which package of the distribution brought the files of the other components.
fn owners(walk: &Walk) -> HashMap<Path, String> {
    let is_candidate = |kept: &Kept| matches!(kept.content, Content::Found(_));
    let candidates: HashSet<&Path> =
        walk.tree.files().filter(|(_, _, kept)| is_candidate(kept)).map(|(path, ..)| path).collect();
    let names: HashSet<&[u8]> = candidates.iter().map(|path| crate::tree::split(path).1).collect();
    let mut owners = HashMap::new();
    if candidates.is_empty() {
        return owners;
    }
    let mut own = |path: &[u8], package: &str| {
        if !names.contains(crate::tree::split(path).1) {
            return;
        }
        // Packages name their files as they were before folders were merged, such as /lib into /usr/lib.
        if let Ok(real) = crate::tree::clean(path).and_then(|path| walk.tree.real_place(&path))
            && candidates.contains(&real)
        {
            owners.insert(real, package.to_owned());
        }
    };
    for (path, _, kept) in walk.tree.files() {
        let Content::Bytes(bytes) = &kept.content else { continue };
        match kept.wanted {
            Wanted::DpkgFiles => catalog::dpkg_files(path, bytes, &mut own),
            Wanted::ApkInstalled => catalog::apk_files(bytes, &mut own),
            Wanted::RpmSqlite | Wanted::RpmBerkeley | Wanted::RpmNdb => {
                catalog::rpm_files(kept.wanted, bytes, &mut own);
            }
            _ => {}
        }
    }
    owners
}

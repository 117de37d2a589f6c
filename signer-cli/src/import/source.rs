//! Where the files of a repository are that another program wrote. Programs differ in the names: versions in
//! front or not, names of roles encoded or not, targets beside the metadata or within it. So a file is taken
//! for what is in it, and a name only says where to look.
//!
//! Nothing found here is trusted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tuf_core::authoring::Document;
use tuf_core::metadata_file_name;
use tuf_core::schema::Target;

use crate::failure::Failure;
use crate::files::{self, is_file_name, stored_name};

/// Where programs put metadata: python-tuf and tough where they are told, go-tuf in `repository`.
const METADATA: [&str; 5] = ["", "metadata", "repository", "repository/metadata", "published/metadata"];
/// tuf-on-ci keeps its old roots in a folder of their own.
const ROOT_HISTORY: &str = "root_history";
/// What is read of a target at most, in memory.
pub(super) const TARGET_MAX: u64 = 1 << 30;
/// The most files that are taken over from one folder.
pub(super) const STEPS: usize = 4_000_000;

/// The bytes of a target, and the names under which they are kept.
pub(super) type Kept = (Vec<u8>, BTreeSet<String>);

/// The folders.
#[derive(Debug)]
pub(crate) struct Source {
    pub(super) metadata: PathBuf,
    /// None where target files are kept elsewhere.
    pub(super) targets: Option<PathBuf>,
}

impl Source {
    /// Finds the repository in a folder.
    pub(crate) fn find(dir: &Path, targets: Option<&Path>) -> Result<Self, Failure> {
        fs::read_dir(dir).map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))?;
        // Joined with nothing, a path would end with a slash.
        let place = |name: &&str| if name.is_empty() { dir.to_owned() } else { dir.join(name) };
        let mut places = METADATA.iter().map(place).filter(|place| place == dir || is_own_dir(place));
        let Some(metadata) = places.find(|place| place.join("timestamp.json").is_file()) else {
            return Err(Failure::usage(format!("there is no TUF repository in {}", dir.display()))
                .detail(format!(
                    "expected timestamp.json there, or below it in {}",
                    METADATA.join(" ").trim()
                ))
                .hint("name the folder that is served, or the one with its metadata"));
        };
        let targets = match targets {
            Some(named) if !named.is_dir() => {
                return Err(Failure::usage(format!("{} is no folder", named.display())));
            }
            Some(named) => Some(named.to_owned()),
            None => [dir.join("targets"), metadata.join("targets"), metadata.join("../targets")]
                .into_iter()
                .find(|place| is_own_dir(place)),
        };
        Ok(Self { metadata, targets })
    }

    /// The document of a role in one version, if it is there. `seen` is told what was there instead.
    pub(super) fn document(
        &self,
        role: &str,
        version: u64,
        limit: u64,
        seen: &mut Vec<String>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        for path in self.candidates(role, version).into_iter().filter(|path| path.is_file()) {
            let bytes = files::read(&path, limit)?;
            match Document::parse_listed(&bytes).map(|document| document.version()) {
                Ok(got) if got == version => return Ok(Some(bytes)),
                Ok(got) => seen.push(format!("version {got} in {}", path.display())),
                Err(why) => seen.push(format!("no metadata in {}: {why}", path.display())),
            }
        }
        Ok(None)
    }

    /// The file that leads to the others.
    pub(super) fn timestamp(&self, limit: u64) -> Result<Vec<u8>, Failure> {
        files::read(&self.metadata.join("timestamp.json"), limit)
    }

    fn candidates(&self, role: &str, version: u64) -> Vec<PathBuf> {
        let mut names = vec![metadata_file_name(role, Some(version)), metadata_file_name(role, None)];
        if is_file_name(role) {
            names.extend([format!("{version}.{role}.json"), format!("{role}.json")]);
        }
        let old = role == "root" && is_own_dir(&self.metadata.join(ROOT_HISTORY));
        let history = old.then(|| format!("{ROOT_HISTORY}/{version}.root.json"));
        names.into_iter().chain(history).map(|name| self.metadata.join(name)).collect()
    }

    /// The newest root by the names of the files, and by what root.json says.
    pub(super) fn last_root(&self) -> u64 {
        let names = self
            .metadata_dirs()
            .into_iter()
            .flat_map(|dir| fs::read_dir(dir).into_iter().flatten().take(STEPS));
        let versions = names.filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_suffix(".root.json")?.parse::<u64>().ok()
        });
        let unnamed = Some(self.metadata.join("root.json")).filter(|path| path.is_file());
        let unnamed = unnamed.and_then(|path| files::read(&path, tuf_core::limits::ROOT_BYTES).ok());
        let unnamed = unnamed.and_then(|bytes| Some(Document::parse(&bytes).ok()?.version()));
        versions.chain(unnamed).max().unwrap_or(0)
    }

    fn metadata_dirs(&self) -> Vec<PathBuf> {
        let history = Some(self.metadata.join(ROOT_HISTORY)).filter(|dir| is_own_dir(dir));
        [self.metadata.clone()].into_iter().chain(history).collect()
    }

    /// Every file of metadata, with the name that it has where it is served. Links are left out: nobody weighs
    /// these files any more, and what a link leads to may be nobody's to publish.
    pub(super) fn all_metadata(&self) -> Result<Vec<(String, PathBuf)>, Failure> {
        let mut all = Vec::new();
        for dir in self.metadata_dirs() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let name = entry.file_name().into_string().unwrap_or_default();
                let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
                if is_file && name.ends_with(".json") && is_file_name(&name) {
                    all.push((name, entry.path()));
                    expect_few(&self.metadata, all.len())?;
                }
            }
        }
        all.sort();
        Ok(all)
    }

    /// Every file in the folder of targets, by its path there. Links are left out: what they lead to may be
    /// nobody's to publish.
    pub(super) fn all_targets(&self) -> Result<Vec<PathBuf>, Failure> {
        let Some(root) = &self.targets else { return Ok(Vec::new()) };
        let (mut all, mut waiting) = (Vec::new(), vec![root.clone()]);
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                    Ok(kind) if kind.is_file() => {
                        all.extend(entry.path().strip_prefix(root).map(Path::to_owned));
                    }
                    _ => {}
                }
                expect_few(root, all.len().saturating_add(waiting.len()))?;
            }
        }
        all.sort();
        Ok(all)
    }

    /// The bytes of a target that are what the metadata says, and the names under which they are kept. `None`
    /// where no file of it is there.
    ///
    /// A link is followed: tough links to the files that were added, and what comes is what was signed. `plain`:
    /// clients ask for the name without a hash. Where they don't, an older file may lie there.
    pub(super) fn target(&self, path: &str, target: &Target, plain: bool) -> Result<Option<Kept>, Failure> {
        let Some(root) = &self.targets else { return Ok(None) };
        let refused =
            |what: String| Failure::refused(format!("the target {path:?} can't be imported")).detail(what);
        if !path.split('/').all(is_file_name) {
            return Err(refused(
                "expected a path within the folder of targets, got one that leads out of it".into(),
            ));
        }
        if target.length > TARGET_MAX {
            let length = target.length;
            return Err(refused(format!("expected at most {TARGET_MAX} bytes, got {length}")));
        }
        let mut names: BTreeSet<String> = BTreeSet::new();
        let mut found = None;
        let hashed = target.hashes.values().filter_map(|hash| stored_name(path, hash));
        for name in hashed.chain([path.to_owned()]) {
            let place = root.join(&name);
            if !place.is_file() {
                continue;
            }
            let bytes = files::read(&place, TARGET_MAX)?;
            if let Err(why) = target.check(&bytes) {
                if name == path && found.is_some() && !plain {
                    continue;
                }
                return Err(refused(format!("{} is damaged: {why}", place.display())));
            }
            names.insert(name);
            found = Some(bytes);
        }
        Ok(found.map(|bytes| (bytes, names)))
    }
}

fn expect_few(dir: &Path, count: usize) -> Result<(), Failure> {
    match count <= STEPS {
        true => Ok(()),
        false => Err(Failure::refused(format!("{} can't be imported", dir.display()))
            .detail(format!("expected at most {STEPS} files, got more"))),
    }
}

/// Whether it is a folder, and no link to one: whoever hands over a repository chooses where its links lead.
fn is_own_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

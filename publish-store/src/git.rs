//! A folder in a git work tree: each publish is one commit, made whole before the branch moves to it.
//!
//! Files that are put become objects that nothing points to. [`Store::advance`] makes a commit of them and
//! moves the branch, by a push where it has an upstream, else by comparing and swapping its tip. Only then
//! does the work tree follow. What others have in the index, in the work tree or in other folders stays.

mod program;
mod repo;
mod work_tree;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci_image::Digest;

use crate::{HEAD_MAX, Head, Store, StoreError, Token};
use program::Git;
use repo::{Commit, Id, Moved, Repo};

/// How often a commit is made anew because others pushed to the branch, but published nothing.
const TRIES: u32 = 8;

/// Says that files are what they are: git would change line ends, and clients would refuse them.
const ATTRIBUTES: (&str, &str) = (
    ".gitattributes",
    "/metadata/** -text -filter -ident !working-tree-encoding\n\
     /targets/** -text -filter -ident !working-tree-encoding\n",
);
/// Rules that somebody wrote by hand.
const ATTRIBUTES_MAX: u64 = 64 * 1024;

/// A repository in a folder of a git work tree.
pub struct GitStore {
    dir: PathBuf,
    branch: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    repo: Option<Repo>,
    /// Where the branch was when it was last asked for.
    tip: Option<Option<Id>>,
    /// What was put, and in no commit yet: objects by their paths in the folder.
    put: BTreeMap<String, Id>,
}

impl fmt::Debug for GitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitStore")
            .field("dir", &self.dir)
            .field("branch", &self.branch)
            .finish_non_exhaustive()
    }
}

impl GitStore {
    /// The repository in this folder, on this branch or the one that is checked out.
    pub fn new(dir: impl Into<PathBuf>, branch: Option<&str>) -> Self {
        Self { dir: dir.into(), branch: branch.map(str::to_owned), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repo(&self, state: &mut State) -> Result<Repo, StoreError> {
        if let Some(repo) = &state.repo {
            return Ok(repo.clone());
        }
        let repo = Repo::find(&self.dir, self.branch.as_deref())?;
        state.repo = Some(repo.clone());
        Ok(repo)
    }

    /// Where the branch was when it was last asked for, or is now.
    fn tip(&self, state: &mut State) -> Result<(Repo, Option<Id>), StoreError> {
        let repo = self.repo(state)?;
        let tip = match &state.tip {
            Some(tip) => tip.clone(),
            None => state.tip.insert(repo.tip()?).clone(),
        };
        Ok((repo, tip))
    }

    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut state = self.state();
        let (repo, tip) = self.tip(&mut state)?;
        match (state.put.get(path), tip) {
            (Some(id), _) => repo.object(id.as_str(), path, limit),
            (None, Some(tip)) => repo.file(&tip, path, limit),
            (None, None) => Ok(None),
        }
    }

    /// Keeps objects for the next commit. One that is there already with other bytes is [`StoreError::Taken`].
    fn keep(&self, files: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        let mut state = self.state();
        let (repo, tip) = self.tip(&mut state)?;
        let ids = repo.write(files.iter().map(|(_, bytes)| bytes.as_slice()))?;
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        let there = repo.ids(tip.as_ref(), &paths)?;
        for ((path, _), id) in files.iter().zip(ids) {
            match state.put.get(path).or_else(|| there.get(path)) {
                Some(other) if *other != id => return Err(StoreError::Taken { name: path.clone() }),
                Some(_) => {}
                None => {
                    state.put.insert(path.clone(), id);
                }
            }
        }
        Ok(())
    }
}

impl Store for GitStore {
    fn describe(&self) -> String {
        match &self.branch {
            Some(branch) => format!("git:{}#{branch}", self.dir.display()),
            None => format!("git:{}", self.dir.display()),
        }
    }

    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(&metadata(name), limit)
    }

    fn has_metadata(&self, name: &str) -> Result<bool, StoreError> {
        let mut state = self.state();
        let (repo, tip) = self.tip(&mut state)?;
        let path = metadata(name);
        Ok(state.put.contains_key(&path) || repo.ids(tip.as_ref(), &[&path])?.contains_key(&path))
    }

    fn target(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(&format!("targets/{name}"), limit)
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        let mut state = self.state();
        state.tip = None;
        let (repo, tip) = self.tip(&mut state)?;
        head(&repo, tip.as_ref())
    }

    fn put_metadata(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.keep(vec![(metadata(name), bytes.to_vec())])
    }

    fn put_all_metadata(
        &self,
        files: &mut dyn Iterator<Item = (String, Vec<u8>)>,
        progress: &dyn Fn(u64),
    ) -> Result<(), StoreError> {
        // One call of git for many files: to start it takes longer than to write one.
        let mut done = 0_u64;
        loop {
            let some: Vec<_> =
                (&mut *files).take(1024).map(|(name, bytes)| (metadata(&name), bytes)).collect();
            if some.is_empty() {
                return Ok(());
            }
            done = done.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
            self.keep(some)?;
            progress(done);
        }
    }

    fn put_target(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut state = self.state();
        let (repo, _) = self.tip(&mut state)?;
        // Named by its hash: what is damaged there is repaired.
        if let Some(id) = repo.write([bytes].into_iter())?.pop() {
            state.put.insert(format!("targets/{name}"), id);
        }
        Ok(())
    }

    fn advance(
        &self,
        from: Option<&Token>,
        timestamp: &[u8],
        roots: &[(String, Vec<u8>)],
    ) -> Result<Token, StoreError> {
        let mut state = self.state();
        let repo = self.repo(&mut state)?;
        let _lock = repo.lock()?;
        for _ in 0..TRIES {
            let tip = repo.tip()?;
            state.tip = Some(tip.clone());
            let head = head(&repo, tip.as_ref())?;
            if head.map(|head| head.token).as_ref() != from {
                state.forget_what_others_wrote(&repo, tip.as_ref())?;
                return Err(StoreError::Moved);
            }
            repo.follow(tip.as_ref())?;
            let files = files(&state, &repo, tip.as_ref(), timestamp, roots)?;
            let commit = Commit { parent: tip.as_ref(), files: &files, message: "Publish trust metadata" };
            let next = repo.commit(&commit)?;
            repo.expect_nothing_lost(&next)?;
            repo.expect_room()?;
            match repo.move_to(&next, tip.as_ref())? {
                Moved::Yes => {
                    state.put.clear();
                    state.tip = Some(Some(next));
                    repo.check_out().map_err(StoreError::after)?;
                    return Ok(token(timestamp));
                }
                // Perhaps by somebody who has nothing to do with us: the next round tells.
                Moved::No => {}
            }
        }
        Err(StoreError::Moved)
    }

    /// What a crash leaves is a work tree that doesn't hold what its branch does. Objects that nothing points
    /// to are git's to clear away.
    fn sweep(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let repo = self.repo(&mut state)?;
        state.put.clear();
        let _lock = repo.lock()?;
        repo.clear_unfinished()?;
        if let Some(local) = repo.local()? {
            repo.expect_nothing_lost(&local)?;
        }
        repo.check_out()
    }
}

impl State {
    /// What somebody else put there in the meantime is theirs.
    fn forget_what_others_wrote(&mut self, repo: &Repo, tip: Option<&Id>) -> Result<(), StoreError> {
        let paths: Vec<&str> = self.put.keys().map(String::as_str).collect();
        let there = repo.ids(tip, &paths)?;
        self.put.retain(|path, id| {
            path.starts_with("targets/") || there.get(path).is_none_or(|other| other == id)
        });
        Ok(())
    }
}

/// All that the next commit adds to its parent.
fn files(
    state: &State,
    repo: &Repo,
    tip: Option<&Id>,
    timestamp: &[u8],
    roots: &[(String, Vec<u8>)],
) -> Result<BTreeMap<String, Id>, StoreError> {
    let mut files = state.put.clone();
    let versioned: Vec<(String, &[u8])> =
        roots.iter().map(|(name, bytes)| (metadata(name), bytes.as_slice())).collect();
    let (attributes, rules) = ATTRIBUTES;
    let added = versioned.iter().map(|(_, bytes)| *bytes).chain([timestamp, rules.as_bytes()]);
    let ids = repo.write(added)?;
    let names = versioned.iter().map(|(path, _)| path.as_str());
    let names: Vec<&str> = names.chain(["metadata/timestamp.json", attributes]).collect();
    files.extend(names.iter().map(|name| (*name).to_owned()).zip(ids));
    let written_once: Vec<&str> = files
        .keys()
        .map(String::as_str)
        .filter(|path| !path.starts_with("targets/") && *path != "metadata/timestamp.json")
        .collect();
    let there = repo.ids(tip, &written_once)?;
    if let Some(id) = there.get(attributes) {
        // Its owner may have written more into it.
        files.remove(attributes);
        expect_rules(repo, id)?;
    }
    for (path, id) in &files {
        if there.get(path).is_some_and(|other| other != id) {
            return Err(StoreError::Taken { name: path.clone() });
        }
    }
    Ok(files)
}

/// Whoever clones it gets the bytes that are in it only with these rules.
fn expect_rules(repo: &Repo, id: &Id) -> Result<(), StoreError> {
    let (attributes, rules) = ATTRIBUTES;
    let bytes = repo.object(id.as_str(), attributes, ATTRIBUTES_MAX)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    match rules.lines().find(|rule| !text.lines().any(|line| line.trim() == *rule)) {
        None => Ok(()),
        Some(rule) => {
            let why =
                format!("expected the line {rule:?} in {attributes}: git may change line ends without it");
            Err(repo.malformed(why))
        }
    }
}

fn head(repo: &Repo, tip: Option<&Id>) -> Result<Option<Head>, StoreError> {
    let Some(tip) = tip else { return Ok(None) };
    let timestamp = repo.file(tip, "metadata/timestamp.json", HEAD_MAX)?;
    Ok(timestamp.map(|timestamp| Head { token: token(&timestamp), timestamp }))
}

fn metadata(name: &str) -> String {
    format!("metadata/{name}")
}

/// The timestamp itself is what stood there, whatever else the branch holds.
fn token(timestamp: &[u8]) -> Token {
    Token(Digest::of(timestamp).hex())
}

/// The nearest folder that is there: the one that is named is made by the first publish.
fn nearest(dir: &Path) -> PathBuf {
    let here = Path::new(".");
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    absolute.ancestors().find(|above| above.is_dir()).unwrap_or(here).to_owned()
}

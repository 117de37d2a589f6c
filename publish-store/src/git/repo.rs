//! The repository behind a work tree: objects, commits, and a branch that moves if it is where it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Git;
use super::program::{LIST_MAX, is_missing, shown, without_login};
use crate::StoreError;
use crate::dir::lock_within;

/// The name of an object, as git writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Id(String);

impl Id {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads one; a name that looks like a switch is none.
    fn read(text: &str) -> Option<Self> {
        let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| Self(text.to_owned()))
    }
}

/// Where a branch is pushed to.
#[derive(Clone, Debug)]
struct Upstream {
    remote: String,
    /// Its name there, `refs/heads/…`.
    branch: String,
}

/// A branch of a repository, and a folder in it.
#[derive(Clone, Debug)]
pub(super) struct Repo {
    /// At the top of the work tree.
    pub(super) git: Git,
    /// The top of the work tree.
    pub(super) top: PathBuf,
    /// Where the repository itself is, shared by all its work trees.
    common: PathBuf,
    /// The folder, from the top: empty, or with `/` at its end.
    pub(super) prefix: String,
    branch: String,
    /// Whether the branch is checked out in this work tree.
    pub(super) checked_out: bool,
    upstream: Option<Upstream>,
}

/// What a commit adds to its parent: objects by their paths in the folder.
pub(super) struct Commit<'c> {
    pub(super) parent: Option<&'c Id>,
    pub(super) files: &'c BTreeMap<String, Id>,
    pub(super) message: &'c str,
}

/// Whether the branch moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Moved {
    Yes,
    /// It wasn't where it was expected.
    No,
}

impl Repo {
    /// Looks for the work tree that a folder is in, and the branch in it.
    pub(super) fn find(dir: &Path, branch: Option<&str>) -> Result<Self, StoreError> {
        let near = super::nearest(dir);
        let malformed = |why: String| StoreError::Malformed { at: format!("git:{}", dir.display()), why };
        let git = Git::new(&near);
        let ask =
            ["rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir", "--show-prefix"];
        let ran = git.run(&ask, b"", LIST_MAX).map_err(|error| match is_missing(&error) {
            true => malformed("the program git isn't installed".into()),
            false => error,
        })?;
        let text = ran.text();
        let mut lines = text.lines();
        let (Some(top), Some(common), true) = (lines.next(), lines.next(), ran.ok) else {
            return Err(malformed(format!("expected a folder in a git work tree: {}", ran.words)));
        };
        let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let rest = absolute.strip_prefix(&near).unwrap_or(Path::new(""));
        let rest = rest.to_str().ok_or_else(|| malformed("expected a name in UTF-8".into()))?;
        let mut prefix = format!("{}{rest}", lines.next().unwrap_or_default());
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        let git = Git::new(Path::new(top));
        let ssh = git.run(&["config", "--get", "core.sshCommand"], b"", LIST_MAX)?;
        let is_chosen = ssh.ok || std::env::var_os("GIT_SSH").is_some();
        let git = if is_chosen { git } else { git.with_silent_ssh() };
        // In short it would be another name where a tag has the same.
        let head = git.run(&["symbolic-ref", "--quiet", "HEAD"], b"", LIST_MAX)?;
        let head = head.ok.then(|| head.text());
        let head = head.and_then(|head| head.strip_prefix("refs/heads/").map(str::to_owned));
        let branch = branch.map(str::to_owned).or_else(|| head.clone()).ok_or_else(|| {
            malformed("expected a branch, got a detached HEAD: check one out, or name it behind #".into())
        })?;
        let mut repo = Self {
            checked_out: head.as_deref() == Some(&branch),
            top: top.into(),
            common: common.into(),
            git,
            prefix,
            branch,
            upstream: None,
        };
        repo.upstream = repo.find_upstream()?;
        repo.expect_nowhere_else()?;
        Ok(repo)
    }

    fn find_upstream(&self) -> Result<Option<Upstream>, StoreError> {
        let of = |what: &str| {
            let name = format!("branch.{}.{what}", self.branch);
            let ran = self.git.run(&["config", "--get", &name], b"", LIST_MAX)?;
            Ok(ran.ok.then(|| ran.text()))
        };
        let (remote, branch) = (of("remote")?, of("merge")?);
        Ok(remote
            .zip(branch)
            .filter(|(remote, _)| remote != ".")
            .map(|(remote, branch)| Upstream { remote, branch }))
    }

    /// A branch that moves under another work tree's feet would leave that one in a mess.
    fn expect_nowhere_else(&self) -> Result<(), StoreError> {
        let list = self.git.expect(&["worktree", "list", "--porcelain"], b"")?.text();
        let wanted = format!("branch {}", self.reference());
        let count = list.lines().filter(|line| **line == wanted).count();
        if count > usize::from(self.checked_out) {
            return Err(self.malformed(format!(
                "expected {} to be checked out nowhere else, got another work tree of it",
                self.branch
            )));
        }
        Ok(())
    }

    fn reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    pub(super) fn malformed(&self, why: String) -> StoreError {
        StoreError::Malformed { at: format!("git:{}", self.top.join(&self.prefix).display()), why }
    }

    /// Held while a publisher on this machine moves the branch. Whoever is killed lets go of it.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        lock_within(&self.common.join("hallmark.lock"))
    }

    /// Where the branch is: at its upstream, if it has one. What is there is fetched.
    pub(super) fn tip(&self) -> Result<Option<Id>, StoreError> {
        let local = self.local()?;
        let Some(upstream) = &self.upstream else { return Ok(local) };
        let remote = self.remote_tip(upstream)?;
        if let Some(local) = &local
            && !self.is_within(local, remote.as_ref())?
        {
            return Err(self.malformed(format!(
                "{} has commits that aren't in {}: push them first, or drop them",
                self.branch,
                without_login(&upstream.remote)
            )));
        }
        Ok(remote)
    }

    /// The branch as it is here.
    pub(super) fn local(&self) -> Result<Option<Id>, StoreError> {
        let name = format!("{}^{{commit}}", self.reference());
        let ran =
            self.git.run(&["rev-parse", "--quiet", "--verify", "--end-of-options", &name], b"", LIST_MAX)?;
        Ok(Id::read(&ran.text()).filter(|_| ran.ok))
    }

    fn remote_tip(&self, upstream: &Upstream) -> Result<Option<Id>, StoreError> {
        let ask = ["ls-remote", "--quiet", "--end-of-options", &upstream.remote, &upstream.branch];
        let list = self.git.expect(&ask, b"")?.text();
        let named = list.lines().filter_map(|line| line.split_once('\t'));
        let Some((id, _)) = named.into_iter().find(|(_, name)| *name == upstream.branch) else {
            return Ok(None);
        };
        let id = Id::read(id).ok_or_else(|| self.malformed("expected the id of a commit".into()))?;
        let commit = format!("{}^{{commit}}", id.as_str());
        if !self.git.run(&["cat-file", "-e", &commit], b"", LIST_MAX)?.ok {
            let fetch = [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--end-of-options",
                &upstream.remote,
                &upstream.branch,
            ];
            self.git.expect(&fetch, b"")?;
        }
        Ok(Some(id))
    }

    fn is_within(&self, commit: &Id, tip: Option<&Id>) -> Result<bool, StoreError> {
        let Some(tip) = tip else { return Ok(false) };
        let ask = ["merge-base", "--is-ancestor", commit.as_str(), tip.as_str()];
        Ok(self.git.run(&ask, b"", LIST_MAX)?.ok)
    }

    /// A file of a commit.
    pub(super) fn file(&self, commit: &Id, path: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.object(&format!("{}:{}{path}", commit.as_str(), self.prefix), path, limit)
    }

    /// The bytes of an object, which `name` is known by to people.
    pub(super) fn object(&self, object: &str, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.expect_lines([object])?;
        let too_large = |got| StoreError::TooLarge { name: name.to_owned(), limit, got };
        // In front of the bytes stands a line with the object's name, its kind and its size.
        let most = limit.saturating_add(256);
        let ran = match self.git.run(&["cat-file", "--batch"], format!("{object}\n").as_bytes(), most) {
            Err(StoreError::TooLarge { got, .. }) => return Err(too_large(got)),
            ran => ran?,
        };
        if !ran.ok {
            return Err(self.git.failed(&["cat-file"], &ran));
        }
        let mut parts = ran.stdout.splitn(2, |byte| *byte == b'\n');
        let line = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        if line.ends_with(" missing") {
            return Ok(None);
        }
        let bytes = parts.next().and_then(|rest| rest.strip_suffix(b"\n"));
        let (Some(bytes), true) = (bytes, line.contains(" blob ")) else {
            return Err(self.malformed(format!("expected {name} to be a file, got {line:?}")));
        };
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if got > limit { Err(too_large(got)) } else { Ok(Some(bytes.to_vec())) }
    }

    /// The objects that a commit has under these paths, where it has any.
    pub(super) fn ids(
        &self,
        commit: Option<&Id>,
        paths: &[&str],
    ) -> Result<BTreeMap<String, Id>, StoreError> {
        let Some(commit) = commit else { return Ok(BTreeMap::new()) };
        self.expect_lines(paths.iter().copied())?;
        let asked: Vec<String> =
            paths.iter().map(|path| format!("{}:{}{path}\n", commit.as_str(), self.prefix)).collect();
        let ask = ["cat-file", "--batch-check=%(objectname)"];
        let answer = self.git.expect(&ask, asked.concat().as_bytes())?.text();
        let found = paths.iter().zip(answer.lines());
        Ok(found.filter_map(|(path, line)| Some(((*path).to_owned(), Id::read(line)?))).collect())
    }

    /// Git is asked line by line, and answers so: a name with two lines would be two questions.
    pub(super) fn expect_lines<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<(), StoreError> {
        match names.into_iter().find(|name| name.contains('\n')) {
            None => Ok(()),
            Some(name) => Err(self.malformed(format!("expected a name on one line, got {name:?}"))),
        }
    }

    /// Writes objects, and gives their names in the same order.
    pub(super) fn write<'b>(&self, files: impl Iterator<Item = &'b [u8]>) -> Result<Vec<Id>, StoreError> {
        let folder = tempfile::tempdir().map_err(|error| self.io(error))?;
        let mut list = String::new();
        for (number, bytes) in files.enumerate() {
            let path = folder.path().join(number.to_string());
            File::create(&path).and_then(|mut file| file.write_all(bytes)).map_err(|error| self.io(error))?;
            list.push_str(&path.to_string_lossy());
            list.push('\n');
        }
        let arguments = ["hash-object", "-w", "--no-filters", "--stdin-paths"];
        let answer = self.git.expect(&arguments, list.as_bytes())?.text();
        let ids: Vec<Id> = answer.lines().filter_map(Id::read).collect();
        if ids.len() == list.lines().count() {
            return Ok(ids);
        }
        Err(self.malformed(format!("expected {} ids of objects, got {answer:?}", list.lines().count())))
    }

    /// Makes a commit. Nothing points to it yet.
    pub(super) fn commit(&self, commit: &Commit<'_>) -> Result<Id, StoreError> {
        let folder = tempfile::tempdir().map_err(|error| self.io(error))?;
        let git = self.git.with_index(folder.path().join("index"));
        if let Some(parent) = commit.parent {
            git.expect(&["read-tree", parent.as_str()], b"")?;
        }
        let files = commit.files.iter();
        let lines: Vec<String> =
            files.map(|(path, id)| format!("100644 {}\t{}{path}\0", id.as_str(), self.prefix)).collect();
        git.expect(&["update-index", "-z", "--index-info"], lines.concat().as_bytes())?;
        let tree = git.expect(&["write-tree"], b"")?.text();
        self.expect_in(&tree, commit.files)?;
        let named = self.git.run(&["var", "GIT_COMMITTER_IDENT"], b"", LIST_MAX)?.ok
            && self.git.run(&["config", "--get", "user.email"], b"", LIST_MAX)?.ok;
        let git = if named { self.git.clone() } else { self.git.with_author() };
        let mut arguments = vec!["commit-tree", &tree, "-m", commit.message];
        arguments.extend(commit.parent.into_iter().flat_map(|parent| ["-p", parent.as_str()]));
        let id = git.expect(&arguments, b"")?.text();
        Id::read(&id).ok_or_else(|| self.malformed(format!("expected the id of a commit, got {id:?}")))
    }

    /// A name that reaches into git's own folder, or out of ours, is passed over by git without an error.
    fn expect_in(&self, tree: &str, files: &BTreeMap<String, Id>) -> Result<(), StoreError> {
        let tree = Id::read(tree)
            .ok_or_else(|| self.malformed(format!("expected the id of a tree, got {tree:?}")))?;
        let paths: Vec<&str> = files.keys().map(String::as_str).collect();
        let there = self.ids(Some(&tree), &paths)?;
        match files.iter().find(|(path, id)| there.get(*path) != Some(*id)) {
            Some((path, _)) => {
                Err(self.malformed(format!("expected a name that a work tree may have, got {path:?}")))
            }
            None => Ok(()),
        }
    }

    /// Moves the branch on, if it is still at `from`.
    pub(super) fn move_to(&self, next: &Id, from: Option<&Id>) -> Result<Moved, StoreError> {
        let local = self.local()?;
        if let Some(upstream) = &self.upstream {
            if self.push(upstream, next, from)? == Moved::No {
                return Ok(Moved::No);
            }
            // It is published by now: whoever moved the branch here has it to bring together.
            self.swap(next, local.as_ref()).map_err(StoreError::after)?;
            return Ok(Moved::Yes);
        }
        self.swap(next, from)
    }

    /// Compares and swaps the branch here.
    pub(super) fn swap(&self, next: &Id, from: Option<&Id>) -> Result<Moved, StoreError> {
        let reference = self.reference();
        // No old value at all: there must be no such branch.
        let nothing = "0".repeat(next.as_str().len());
        let old = from.map_or(nothing.as_str(), Id::as_str);
        let arguments = ["update-ref", "-m", "publish trust metadata", &reference, next.as_str(), old];
        let ran = self.git.run(&arguments, b"", LIST_MAX)?;
        match ran.ok {
            true => Ok(Moved::Yes),
            false if self.local()?.as_ref() != from => Ok(Moved::No),
            false => Err(self.git.failed(&arguments, &ran)),
        }
    }

    /// Never by force, so the server lets one of two publishers win.
    fn push(&self, upstream: &Upstream, next: &Id, from: Option<&Id>) -> Result<Moved, StoreError> {
        let what = format!("{}:{}", next.as_str(), upstream.branch);
        let arguments = [
            "push",
            "--quiet",
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            "--end-of-options",
            &upstream.remote,
            &what,
        ];
        let ran = self.git.run(&arguments, b"", LIST_MAX)?;
        if ran.ok {
            return Ok(Moved::Yes);
        }
        // It may have arrived all the same, or another one before it.
        match self.remote_tip(upstream) {
            Ok(Some(there)) if there == *next => Ok(Moved::Yes),
            Ok(there) if there.as_ref() != from => Ok(Moved::No),
            _ if String::from_utf8_lossy(&ran.stdout).contains("[remote rejected]") => {
                let said = String::from_utf8_lossy(&ran.stdout).into_owned();
                let why = said.lines().find(|line| line.contains("[remote rejected]")).unwrap_or_default();
                let why = shown(why.rsplit('\t').next().unwrap_or_default().as_bytes());
                Err(StoreError::Denied { at: without_login(&upstream.remote), why })
            }
            _ => Err(self.git.failed(&arguments, &ran)),
        }
    }

    pub(super) fn io(&self, error: std::io::Error) -> StoreError {
        StoreError::Io { at: self.top.display().to_string(), error }
    }
}

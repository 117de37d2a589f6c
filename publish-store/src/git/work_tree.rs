//! The work tree follows its branch: only what is ours, files that never change first, the timestamp last and
//! in one step, since the folder may be served as it lies there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;

use super::program::LIST_MAX;
use super::repo::{Id, Repo};
use crate::StoreError;
use crate::dir::{clear_unfinished, replace};

/// The folders that are ours.
const OURS: [&str; 3] = [super::ATTRIBUTES.0, "metadata", "targets"];
const TIMESTAMP: &str = "metadata/timestamp.json";
/// What is left of a file that git was stopped at is compared with the whole of it. Clients read no more.
const FILE_MAX: u64 = 64 * 1024 * 1024;

impl Repo {
    /// Whether the work tree can follow to this commit without losing what is nowhere else: a file of ours that
    /// somebody wrote to, and is in no commit.
    pub(super) fn expect_nothing_lost(&self, next: &Id) -> Result<(), StoreError> {
        if !self.checked_out {
            return Ok(());
        }
        let ours = self.ours();
        let list = |arguments: &[&str]| -> Result<Vec<String>, StoreError> {
            let all = arguments.iter().copied().chain(ours.iter().map(String::as_str));
            Ok(paths(&self.git.expect(&all.collect::<Vec<_>>(), b"")?.stdout))
        };
        let mut changed = list(&["diff-files", "-z", "--name-only", "--"])?;
        changed.extend(match self.local()? {
            Some(local) => {
                list(&["diff-tree", "-r", "-z", "--name-only", local.as_str(), next.as_str(), "--"])?
            }
            None => list(&["ls-tree", "-r", "-z", "--name-only", next.as_str(), "--"])?,
        });
        let is_file =
            |path: &String| fs::symlink_metadata(self.top.join(path)).is_ok_and(|found| found.is_file());
        let there: BTreeSet<String> = changed.into_iter().filter(is_file).collect();
        if there.is_empty() {
            return Ok(());
        }
        self.expect_lines(there.iter().map(String::as_str))?;
        let lines: String = there.iter().map(|path| format!("{}\n", self.top.join(path).display())).collect();
        let hashed =
            self.git.expect(&["hash-object", "--no-filters", "--stdin-paths"], lines.as_bytes())?.text();
        let known =
            self.git.expect(&["cat-file", "--batch-check=known"], format!("{hashed}\n").as_bytes())?.text();
        for (path, _) in there.iter().zip(known.lines()).filter(|(_, answer)| *answer != "known") {
            if !self.is_beginning(path, next)? {
                return Err(self.malformed(format!(
                    "expected {path} as it was published, got it changed and in no commit: commit it, or take it away"
                )));
            }
        }
        Ok(())
    }

    /// Whether a file holds the beginning of what the commit has: git was stopped while it wrote.
    fn is_beginning(&self, path: &str, next: &Id) -> Result<bool, StoreError> {
        let mut bytes = Vec::new();
        let file = File::open(self.top.join(path)).map_err(|error| self.io(error))?;
        file.take(FILE_MAX).read_to_end(&mut bytes).map_err(|error| self.io(error))?;
        let whole = self.object(&format!("{}:{path}", next.as_str()), path, FILE_MAX)?;
        Ok(whole.is_some_and(|whole| whole.starts_with(&bytes)))
    }

    fn ours(&self) -> Vec<String> {
        OURS.iter().map(|name| format!("{}{name}", self.prefix)).collect()
    }

    /// Brings the branch and its work tree to where the upstream is, as `git pull --ff-only` does.
    pub(super) fn follow(&self, tip: Option<&Id>) -> Result<(), StoreError> {
        let local = self.local()?;
        let (Some(tip), true) = (tip, local.as_ref() != tip) else { return Ok(()) };
        if !self.checked_out {
            self.swap(tip, local.as_ref())?;
            return Ok(());
        }
        self.expect_nothing_lost(tip)?;
        // Ours first, in their order; then git has nothing to do but the rest.
        self.check_out_from(tip.as_str())?;
        let merge = ["merge", "--quiet", "--ff-only", "--no-stat", "--no-autostash", tip.as_str()];
        self.git.expect(&merge, b"").map(|_| ())
    }

    /// Brings our files in the work tree to where its branch is.
    pub(super) fn check_out(&self) -> Result<(), StoreError> {
        match self.local()?.filter(|_| self.checked_out) {
            Some(local) => self.check_out_from(local.as_str()),
            None => Ok(()),
        }
    }

    fn check_out_from(&self, commit: &str) -> Result<(), StoreError> {
        self.expect_no_links()?;
        let ours = self.ours();
        let with_ours = |arguments: &[&str]| -> Vec<String> {
            arguments.iter().map(|argument| (*argument).to_owned()).chain(ours.iter().cloned()).collect()
        };
        let call = |arguments: &[&str]| {
            let all = with_ours(arguments);
            self.git.expect(&all.iter().map(String::as_str).collect::<Vec<_>>(), b"")
        };
        call(&["reset", "--quiet", commit, "--"])?;
        let differ = call(&["diff-files", "-z", "--name-only", "--"])?;
        let timestamp = format!("{}{TIMESTAMP}", self.prefix);
        let mut paths = paths(&differ.stdout);
        let moved = paths.contains(&timestamp);
        let rules = format!("{}{}", self.prefix, super::ATTRIBUTES.0);
        if paths.contains(&rules) {
            self.git.expect(&["checkout-index", "--force", "--", &rules], b"")?;
        }
        paths.retain(|path| *path != timestamp && *path != rules);
        if !paths.is_empty() {
            self.expect_no_conversion(&paths)?;
            let list: Vec<String> = paths.iter().map(|path| format!("{path}\0")).collect();
            self.git.expect(&["checkout-index", "--force", "-z", "--stdin"], list.concat().as_bytes())?;
        }
        if moved {
            self.expect_no_links()?;
            let bytes = self.object(&format!(":{timestamp}"), &timestamp, crate::HEAD_MAX)?;
            let path = self.top.join(&timestamp);
            match bytes {
                Some(bytes) => replace(&path, &bytes)?,
                None => return Err(self.malformed(format!("expected {timestamp} in the index"))),
            }
            self.git.run(&["update-index", "--refresh", "-q"], b"", LIST_MAX)?;
        }
        Ok(())
    }

    /// Nothing may change files on their way into the work tree: rules of the repository, of its parents or of
    /// this machine.
    fn expect_no_conversion(&self, paths: &[String]) -> Result<(), StoreError> {
        let ask = ["check-attr", "-z", "--stdin", "text", "filter", "ident", "working-tree-encoding"];
        let list: String = paths.iter().map(|path| format!("{path}\0")).collect();
        let answer = self.git.expect(&ask, list.as_bytes())?.stdout;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let parts: Vec<&str> = answer.split('\0').collect();
        for rule in parts.chunks_exact(3) {
            if let [path, name, value] = rule
                && !(*value == "unset" || (*value == "unspecified" && *name != "text"))
            {
                let why = format!("expected git to leave {path} as it is, got the attribute {name}: {value}");
                return Err(self.malformed(why));
            }
        }
        Ok(())
    }

    /// What would stand in the way of the work tree's following, as far as that shows before anybody is led on.
    pub(super) fn expect_room(&self) -> Result<(), StoreError> {
        if !self.checked_out {
            return Ok(());
        }
        self.expect_no_links()?;
        // Before the first publish there are no rules yet.
        let ruled = self.top.join(format!("{}{}", self.prefix, super::ATTRIBUTES.0)).is_file();
        if ruled { self.expect_no_conversion(&[format!("{}{TIMESTAMP}", self.prefix)]) } else { Ok(()) }
    }

    /// Clears away what a crash left beside the timestamp.
    pub(super) fn clear_unfinished(&self) -> Result<(), StoreError> {
        self.expect_no_links()?;
        clear_unfinished(&self.top.join(format!("{}metadata", self.prefix)))
    }

    /// Who may push to the branch must not lead our writes to other places of this machine.
    fn expect_no_links(&self) -> Result<(), StoreError> {
        let mut path = self.top.clone();
        for part in format!("{}{TIMESTAMP}", self.prefix).split('/') {
            path.push(part);
            let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
            if is_link {
                return Err(
                    self.malformed(format!("expected a folder or file, got the link {}", path.display()))
                );
            }
        }
        Ok(())
    }
}

/// A list as git writes it with `-z`.
fn paths(list: &[u8]) -> Vec<String> {
    let list = String::from_utf8_lossy(list);
    list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

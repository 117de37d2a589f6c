//! The work tree follows its branch: only what is ours, files that never change first, the timestamp last and
//! in one step, since the folder may be served as it lies there.

use std::fs;

use super::program::LIST_MAX;
use super::repo::{Id, Repo};
use crate::StoreError;
use crate::dir::replace;

/// The folders that are ours.
const OURS: [&str; 3] = [super::ATTRIBUTES.0, "metadata", "targets"];
const TIMESTAMP: &str = "metadata/timestamp.json";

impl Repo {
    /// Brings the branch and its work tree to where the upstream is, as `git pull --ff-only` does.
    pub(super) fn follow(&self, tip: Option<&Id>) -> Result<(), StoreError> {
        let local = self.local()?;
        let (Some(tip), true) = (tip, local.as_ref() != tip) else { return Ok(()) };
        if !self.checked_out {
            self.swap(tip, local.as_ref())?;
            return Ok(());
        }
        // Ours first, in their order; then git has nothing to do but the rest.
        self.check_out_from(tip.as_str())?;
        let merge = ["merge", "--quiet", "--ff-only", "--no-stat", "--no-autostash", tip.as_str()];
        self.git.expect(&merge, b"").map(|_| ())
    }

    /// Brings our files in the work tree to where its branch is.
    pub(super) fn check_out(&self) -> Result<(), StoreError> {
        match self.checked_out && self.local()?.is_some() {
            true => self.check_out_from("HEAD"),
            false => Ok(()),
        }
    }

    fn check_out_from(&self, commit: &str) -> Result<(), StoreError> {
        self.expect_no_links()?;
        let ours: Vec<String> = OURS.iter().map(|name| format!("{}{name}", self.prefix)).collect();
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
        let mut paths: Vec<String> = String::from_utf8_lossy(&differ.stdout)
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect();
        let moved = paths.iter().any(|path| *path == timestamp);
        paths.retain(|path| *path != timestamp);
        if !paths.is_empty() {
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

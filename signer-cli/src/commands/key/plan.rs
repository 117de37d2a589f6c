//! What a command on keys would write: made whole first, then written or only told.

use std::path::{Path, PathBuf};

use tuf_core::key::Key;
use zeroize::Zeroizing;

use crate::commands::edits::Desk;
use crate::failure::Failure;
use crate::files::{self, Readers};

/// Files, and the key that they are about.
pub(super) struct Plan {
    pub(super) name: String,
    /// What is new: where the key lives, and its public half.
    pub(super) made: Option<(String, Key)>,
    writes: Vec<Write>,
}

struct Write {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    readers: Readers,
    /// Whether a file that is there is to be replaced.
    anew: bool,
}

impl Plan {
    /// Nothing yet.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), made: None, writes: Vec::new() }
    }

    /// A key for `keys/`: `NAME.pub`, then what makes it one of ours.
    pub(super) fn of_key(
        keys: &Path,
        name: &str,
        place: String,
        key: &Key,
        (extension, text): (&str, &str),
    ) -> Result<Self, Failure> {
        let mut plan = Self::new(name);
        plan.made = Some((place, key.clone()));
        let public = key.to_pem().map_err(Failure::refused)?;
        // First, so that no key is there without it. One without a key beside it is what a crash left.
        plan.replace(keys.join(format!("{name}.pub")), &public, Readers::Everyone);
        plan.write(keys.join(format!("{name}.{extension}")), text, Readers::Owner);
        Ok(plan)
    }

    /// A file that isn't there yet.
    pub(super) fn write(&mut self, path: PathBuf, text: &str, readers: Readers) {
        let bytes = Zeroizing::new(text.as_bytes().to_vec());
        self.writes.push(Write { path, bytes, readers, anew: false });
    }

    /// A file that is there.
    pub(super) fn replace(&mut self, path: PathBuf, text: &str, readers: Readers) {
        let bytes = Zeroizing::new(text.as_bytes().to_vec());
        self.writes.push(Write { path, bytes, readers, anew: true });
    }

    /// Writes all of it, unless that is only to be told.
    pub(super) fn carry_out(&self, desk: &Desk, dry_run: bool) -> Result<(), Failure> {
        let _lock = if dry_run { None } else { Some(desk.repository.lock()?) };
        if let Some(taken) = self.writes.iter().find(|write| !write.anew && write.path.exists()) {
            return Err(Failure::refused(format!("{} is there already", taken.path.display()))
                .detail("nothing was changed: a key is never overwritten"));
        }
        if dry_run {
            return Ok(());
        }
        let mut new = Vec::new();
        for Write { path, bytes, readers, anew } in &self.writes {
            let was_there = path.symlink_metadata().is_ok();
            let done = match anew {
                true => files::replace(path, bytes, *readers),
                false => files::write_once(path, bytes, *readers),
            };
            if done.is_err() {
                new.into_iter().try_for_each(files::remove)?;
                return done;
            }
            // Only what this made is taken away again.
            if !was_there {
                new.push(path);
            }
        }
        Ok(())
    }

    /// The files, as people know them.
    pub(super) fn paths(&self) -> Vec<String> {
        self.writes.iter().map(|write| write.path.display().to_string()).collect()
    }
}

//! A new key for a role, in `keys/`.

use std::path::PathBuf;

use signing_keys::file::{NewKind, PrivateKey};
use tuf_core::crypto::Sign as _;
use tuf_core::{Role, metadata_file_name};
use zeroize::Zeroizing;

use crate::edit::{KeyText, short};
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::passphrase::Source;
use crate::repository::Repository;
use crate::terminal;

/// A key that was made and is not on disk yet: what it is for may still turn out to be impossible.
pub(crate) struct NewKey {
    path: PathBuf,
    pem: Zeroizing<String>,
    pub(crate) public: KeyText,
}

impl NewKey {
    /// Makes a key for `keys/ROLE.pem`, or `keys/ROLE-2.pem` and so on where that is taken.
    pub(crate) fn make(
        repository: &Repository,
        role: &Role,
        source: &Source,
        unencrypted: bool,
    ) -> Result<Self, Failure> {
        let passphrase = if unencrypted { None } else { Some(source.new_one()?) };
        let key = PrivateKey::generate(NewKind::default()).map_err(Failure::unknown)?;
        let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_slice());
        let pem = key.to_pem(passphrase).map_err(Failure::unknown)?;
        let name = metadata_file_name(role.name(), None);
        let name = name.strip_suffix(".json").unwrap_or(&name).to_owned();
        let free = |number: u32| {
            let stem = if number == 1 { name.clone() } else { format!("{name}-{number}") };
            let path = |extension: &str| repository.keys().join(format!("{stem}.{extension}"));
            // Also a key that lives elsewhere, and one of which only the public half is here.
            let is_free = |extension: &&str| path(extension).symlink_metadata().is_err();
            ["pem", "pub", "uri"].iter().all(is_free).then(|| path("pem"))
        };
        let path = (1..1000).find_map(free);
        let path = path.ok_or_else(|| Failure::refused(format!("keys/ has a thousand keys of {role}")))?;
        Ok(Self { path, pem, public: KeyText::of(key.key()) })
    }

    /// Says where it would be, and that this one never will.
    pub(crate) fn tell(&self) {
        let id = short(&self.public.id);
        terminal::note(&format!(
            "would make {}; key {id} is thrown away with this dry run",
            self.path.display()
        ));
    }

    /// Writes it, and then what it is for: without that it would only lie about.
    pub(crate) fn save_for(&self, purpose: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let public = self.public.key().to_pem().map_err(Failure::refused)?;
        let public_path = self.path.with_extension("pub");
        files::write_once(&self.path, self.pem.as_bytes(), Readers::Owner)?;
        let mut made = vec![&self.path];
        let done = files::write_once(&public_path, public.as_bytes(), Readers::Everyone).and_then(|()| {
            made.push(&public_path);
            purpose()
        });
        if done.is_err() {
            made.into_iter().rev().try_for_each(|path| files::remove(path))?;
            return done;
        }
        terminal::note(&format!("made {}", self.path.display()));
        Ok(())
    }
}

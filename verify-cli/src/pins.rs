//! Which root speaks for which names: pins, kept in the state folder.
//!
//! `trust/NAME.toml` holds scope, repository and the root's fingerprint; `trust/roots/` the roots, by their
//! fingerprint. A pin is one file, written whole or not at all, after the root that it speaks of; the root
//! is compared with the fingerprint when it is read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use image_policy::{canonical, covers};
use oci_image::{Digest, ImageName};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A pin: a root, where its repository is, and for which names it speaks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    #[serde(skip)]
    pub(crate) name: String,
    /// Patterns of names, without tag.
    pub(crate) scope: Vec<String>,
    /// A folder or an address.
    pub(crate) repo: String,
    /// The fingerprint of the root file.
    pub(crate) root_sha256: String,
    /// How the root was come by: `given`, `fingerprint` or `first use`.
    pub(crate) origin: String,
}

impl Pin {
    /// How well the pin fits a name: the length of the pattern that does, so that the most exact wins.
    /// A host in capitals, or with the port that it has anyway, must not lead to a pin that is less exact.
    fn fit(&self, name: &ImageName) -> Option<usize> {
        let names = [name.to_string(), canonical(name)];
        let covers = |pattern: &&String| names.iter().any(|name| covers(pattern, name));
        self.scope.iter().filter(covers).map(String::len).max()
    }
}

/// The pins of one state folder.
#[derive(Clone, Debug)]
pub(crate) struct Pins {
    dir: PathBuf,
}

impl Pins {
    pub(crate) fn of(state: &Path) -> Self {
        Self { dir: state.join("trust") }
    }

    pub(crate) fn all(&self) -> Result<Vec<Pin>, Failure> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.failed(&error))?,
        };
        let mut pins = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| self.failed(&error))?.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".toml")) {
                pins.extend(self.find(name)?);
            }
        }
        pins.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pins)
    }

    pub(crate) fn find(&self, name: &str) -> Result<Option<Pin>, Failure> {
        let path = self.dir.join(format!("{name}.toml"));
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| self.failed(&error))?,
        };
        let pin: Pin = toml::from_str(&text)
            .map_err(|why| Failure::unknown(format!("{} can't be read: {why}", path.display())))?;
        if format!("sha256:{}", pin.root_sha256).parse::<Digest>().is_err() {
            let what = format!(
                "{}: expected 64 hex digits as root_sha256, got {:?}",
                path.display(),
                pin.root_sha256
            );
            return Err(Failure::unknown(what));
        }
        Ok(Some(Pin { name: name.to_owned(), ..pin }))
    }

    /// The pin that fits a name best.
    pub(crate) fn for_image(&self, name: &ImageName) -> Result<Option<Pin>, Failure> {
        let mut fitting: Vec<(usize, Pin)> =
            self.all()?.into_iter().filter_map(|pin| Some((pin.fit(name)?, pin))).collect();
        fitting.sort_by_key(|(fit, _)| std::cmp::Reverse(*fit));
        if let [(first, a), (second, b), ..] = fitting.as_slice()
            && first == second
        {
            let what = format!("pins {:?} and {:?} fit {name} equally well", a.name, b.name);
            return Err(
                Failure::usage(what).hint("remove one with `verify trust remove`, or narrow its scope")
            );
        }
        Ok(fitting.into_iter().next().map(|(_, pin)| pin))
    }

    /// The root of a pin.
    pub(crate) fn root(&self, pin: &Pin) -> Result<Vec<u8>, Failure> {
        let path = self.root_path(&pin.root_sha256);
        let bytes =
            fs::read(&path).map_err(|error| Failure::unknown(format!("{}: {error}", path.display())))?;
        let got = Digest::of(&bytes).hex();
        if got == pin.root_sha256 {
            return Ok(bytes);
        }
        let what = format!("{} was changed: expected sha256 {}, got {got}", path.display(), pin.root_sha256);
        Err(Failure::refused(what))
    }

    /// Keeps a pin: the root first, so that a pin always has one.
    pub(crate) fn add(&self, pin: &Pin, root: &[u8]) -> Result<(), Failure> {
        check_name(&pin.name)?;
        let text = toml::to_string(pin).map_err(Failure::usage)?;
        private_dir(&self.dir.join("roots")).map_err(|error| self.failed(&error))?;
        self.write(&self.root_path(&pin.root_sha256), root)?;
        self.write(&self.dir.join(format!("{}.toml", pin.name)), text.as_bytes())
    }

    fn root_path(&self, sha256: &str) -> PathBuf {
        self.dir.join("roots").join(format!("{sha256}.json"))
    }

    /// Forgets a pin, and its root where no other pin has it.
    pub(crate) fn remove(&self, pin: &Pin) -> Result<(), Failure> {
        let gone = |path: PathBuf| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(&error)),
            _ => Ok(()),
        };
        gone(self.dir.join(format!("{}.toml", pin.name)))?;
        match self.all()?.iter().any(|other| other.root_sha256 == pin.root_sha256) {
            true => Ok(()),
            false => gone(self.root_path(&pin.root_sha256)),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let dir = path.parent().unwrap_or(&self.dir);
        let write = || -> io::Result<()> {
            let mut new = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
            new.write_all(bytes)?;
            new.as_file().sync_all()?;
            new.persist(path).map_err(|failed| failed.error)?;
            fs::File::open(dir)?.sync_all()
        };
        write().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::unknown(format!("{}: {error}", self.dir.display()))
    }
}

/// A folder that only its owner can read.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// The name of a pin is a file's name.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let good = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(good) {
        return Ok(());
    }
    Err(Failure::usage(format!("expected a name of letters, digits, '-', '_' and '.', got {name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_scope_wins_and_a_tie_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::of(dir.path());
        let pin = |name: &str, scope: &str| Pin {
            name: name.into(),
            scope: vec![scope.into()],
            repo: "x".into(),
            root_sha256: Digest::of(b"{}").hex(),
            origin: "given".into(),
        };
        pins.add(&pin("wide", "r.example.com/**"), b"{}").unwrap();
        pins.add(&pin("narrow", "r.example.com/acme/*"), b"{}").unwrap();
        let reference: oci_image::Reference = "r.example.com/acme/web:1".parse().unwrap();
        assert_eq!(pins.for_image(reference.name()).unwrap().unwrap().name, "narrow");
        // The same host in another spelling doesn't get around it.
        pins.add(&pin("any", "*/acme/*"), b"{}").unwrap();
        for spelt in
            ["R.example.com/acme/web:1", "r.example.com:443/acme/web:1", "R.Example.com:0443/acme/web"]
        {
            let spelt: oci_image::Reference = spelt.parse().unwrap();
            assert_eq!(pins.for_image(spelt.name()).unwrap().unwrap().name, "narrow", "{spelt}");
        }
        let other: oci_image::Reference = "r.example.com:444/acme/web:1".parse().unwrap();
        assert_eq!(pins.for_image(other.name()).unwrap().unwrap().name, "any");
        pins.add(&pin("other", "r.example.com/acme/*"), b"{}").unwrap();
        assert_eq!(pins.for_image(reference.name()).unwrap_err().exit, crate::exit::Exit::Usage);
    }

    #[test]
    fn a_changed_root_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::of(dir.path());
        let pin = Pin {
            name: "a".into(),
            scope: vec!["x/*".into()],
            repo: "x".into(),
            root_sha256: Digest::of(b"{}").hex(),
            origin: "given".into(),
        };
        pins.add(&pin, b"{}").unwrap();
        assert_eq!(pins.root(&pin).unwrap(), b"{}");
        fs::write(dir.path().join(format!("trust/roots/{}.json", pin.root_sha256)), b"{ }").unwrap();
        assert_eq!(pins.root(&pin).unwrap_err().exit, crate::exit::Exit::Refused);
    }

    #[test]
    fn no_pin_name_leaves_the_folder() {
        for name in ["", "../x", "a/b", ".hidden", "a b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

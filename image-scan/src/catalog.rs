//! Cataloguers: from the bytes of one file to the components that it names. They read nothing else, decide
//! nothing, and answer for any bytes.

mod apk;
mod cargo;
mod composer;
mod dpkg;
mod gem;
mod go;
mod jar;
mod npm;
mod packed;
mod program;
mod python;
mod rpm;

use crate::component::Found;
use crate::limits::PACKAGES_MAX;
use crate::tree::split;
use crate::wanted::Wanted;

pub(crate) use apk::owned_files as apk_files;
pub(crate) use dpkg::owned_files as dpkg_files;
pub(crate) use rpm::owned_files as rpm_files;

/// The packages of a database, and how many it has besides that can't be looked up: their names or versions are missing
/// or no text.
#[derive(Debug, Default)]
pub(crate) struct Packages {
    pub(crate) found: Vec<Found>,
    pub(crate) unreadable: usize,
    /// Whether there are more than are looked at.
    too_many: bool,
}

impl Packages {
    fn of(all: impl Iterator<Item = Option<Found>>) -> Self {
        let mut packages = Self::default();
        for one in all {
            packages.add(one);
            if packages.too_many {
                break;
            }
        }
        packages
    }

    fn add(&mut self, one: Option<Found>) {
        match one {
            Some(_) if self.found.len() >= PACKAGES_MAX => self.too_many = true,
            Some(found) => self.found.push(found),
            None => self.unreadable = self.unreadable.saturating_add(1),
        }
    }
}

/// The packages of a database.
pub(crate) fn packages(wanted: Wanted, bytes: &[u8]) -> Result<Packages, String> {
    let packages = match wanted {
        Wanted::DpkgStatus => dpkg::status(bytes),
        Wanted::DpkgPart => dpkg::part(bytes),
        Wanted::ApkInstalled => apk::installed(bytes),
        Wanted::RpmSqlite | Wanted::RpmBerkeley | Wanted::RpmNdb => rpm::packages(wanted, bytes)?,
        _ => Packages::default(),
    };
    match packages.too_many {
        true => Err(format!("expected at most {PACKAGES_MAX} packages in it, got more")),
        false => Ok(packages),
    }
}

/// The components that a file of its own names, and for some its own name; nothing of it is needed afterwards.
/// `left` is how many bytes may still come of what is packed within files of the image.
pub(crate) fn components(
    wanted: Wanted,
    place: &[u8],
    bytes: &[u8],
    left: &mut u64,
) -> Result<Vec<Found>, String> {
    if *left == 0 && matches!(wanted, Wanted::Jar | Wanted::YarnCache | Wanted::Egg | Wanted::Program) {
        return Err("all that is packed within files of the image is more than is looked through".to_owned());
    }

    match wanted {
        Wanted::Python => Ok(python::metadata(bytes).into_iter().collect()),
        Wanted::Npm => npm::package(bytes).map(|found| found.into_iter().collect()),
        Wanted::Gemspec => Ok(gem::specification(bytes).into_iter().collect()),
        Wanted::Composer => composer::installed(bytes),
        Wanted::Jar => jar::artifacts(&String::from_utf8_lossy(split(place).1), bytes, left),
        Wanted::YarnCache => packed::npm(bytes, left),
        Wanted::Egg => packed::egg(bytes, left),
        Wanted::Program => program::components(bytes, left),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_more_packages_than_there_are_is_told_and_not_kept() {
        for (wanted, stanza) in [
            (Wanted::ApkInstalled, "P:a\nV:1\n\n"),
            (Wanted::DpkgStatus, "Package: a\nVersion: 1\nStatus: x x installed\n\n"),
        ] {
            let why = packages(wanted, stanza.repeat(PACKAGES_MAX + 1).as_bytes()).unwrap_err();
            assert_eq!(why, "expected at most 200000 packages in it, got more");
            assert_eq!(packages(wanted, stanza.repeat(1000).as_bytes()).unwrap().found.len(), 1000);
        }
    }

    #[test]
    fn a_folder_longer_than_any_path_is_not_written_anew_for_each_of_its_files() {
        let long = format!("P:a\nF:{}\n{}", "x".repeat(1 << 20), "R:a\n".repeat(100_000));
        let mut files = 0;
        apk_files(long.as_bytes(), &mut |_, _| files += 1);
        assert_eq!(files, 0);
    }

    #[test]
    fn what_is_packed_within_an_image_is_looked_through_up_to_a_bound() {
        let mut left = 0;
        for wanted in [Wanted::Jar, Wanted::YarnCache, Wanted::Egg, Wanted::Program] {
            let why = components(wanted, b"a/b", b"", &mut left).unwrap_err();
            assert!(why.ends_with("is more than is looked through"), "{why}");
        }
        assert!(components(Wanted::Npm, b"a/package.json", b"{}", &mut left).unwrap().is_empty());
    }
}

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
pub(crate) use jar::ENDS as JAVA;
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

/// Adds the components that a file of its own names, and for some its own name; nothing of it is needed afterwards.
/// `left` is how many bytes may still come of what is packed within files of the image. Where something can't be read,
/// what could be is there, and the error says why not all.
pub(crate) fn components(
    wanted: Wanted,
    place: &[u8],
    bytes: &[u8],
    left: &mut u64,
    found: &mut Vec<Found>,
) -> Result<(), String> {
    if *left == 0 && matches!(wanted, Wanted::Jar | Wanted::YarnCache | Wanted::Egg | Wanted::Program) {
        return Err("all that is packed within files of the image is more than is looked through".to_owned());
    }
    let nameless = || "expected a name and a version in it that can be shown, got none".to_owned();
    match wanted {
        Wanted::Python => found.push(python::metadata(bytes).ok_or_else(nameless)?),
        Wanted::Npm => found.extend(npm::package(bytes)?),
        Wanted::Gemspec => found.push(gem::specification(bytes).ok_or_else(nameless)?),
        Wanted::Composer => composer::installed(bytes, found)?,
        Wanted::Jar => jar::artifacts(&String::from_utf8_lossy(split(place).1), bytes, left, found)?,
        Wanted::YarnCache => found.extend(packed::npm(bytes, left)?),
        Wanted::Egg => found.push(packed::egg(bytes, left)?.ok_or_else(nameless)?),
        Wanted::Program => program::components(bytes, left, found)?,
        _ => {}
    }
    Ok(())
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
        let (mut left, mut found) = (0, Vec::new());
        for wanted in [Wanted::Jar, Wanted::YarnCache, Wanted::Egg, Wanted::Program] {
            let why = components(wanted, b"a/b", b"", &mut left, &mut found).unwrap_err();
            assert!(why.ends_with("is more than is looked through"), "{why}");
        }
        components(Wanted::Npm, b"a/package.json", b"{}", &mut left, &mut found).unwrap();
        assert!(found.is_empty());
    }

    #[test]
    fn what_names_nothing_that_can_be_shown_is_said_to_be_unread_and_not_passed_over() {
        let spec = b"s.name = NAME\ns.version = \"1.0\"\n";
        for (wanted, bytes) in [
            (Wanted::Python, &b"Name: a\n\n"[..]),
            (Wanted::Python, b"Name: a\x1b[31m\nVersion: 1\n\n"),
            (Wanted::Gemspec, spec),
            (Wanted::Npm, br#"{"name":"a\u001b","version":"1"}"#),
            (Wanted::Composer, br#"[{"name":"a\u001b","version":"1"},{"name":"b","version":"1"}]"#),
            (Wanted::Program, b"\x7fELF\x02\x01\x01 and no more"),
        ] {
            let mut found = Vec::new();
            let why = components(wanted, b"a/b", bytes, &mut 1000, &mut found).unwrap_err();
            assert!(!why.is_empty());
            assert_eq!(
                found.len(),
                usize::from(wanted == Wanted::Composer),
                "{wanted:?}: what can be read counts"
            );
        }
    }
}

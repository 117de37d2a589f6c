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
mod program;
mod python;
mod rpm;

use crate::component::Found;
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
}

impl Packages {
    fn of(all: impl Iterator<Item = Option<Found>>) -> Self {
        let mut packages = Self::default();
        for one in all {
            match one {
                Some(found) => packages.found.push(found),
                None => packages.unreadable = packages.unreadable.saturating_add(1),
            }
        }
        packages
    }
}

/// The packages of a database.
pub(crate) fn packages(wanted: Wanted, bytes: &[u8]) -> Result<Packages, String> {
    match wanted {
        Wanted::DpkgStatus => Ok(dpkg::status(bytes)),
        Wanted::DpkgPart => Ok(dpkg::part(bytes)),
        Wanted::ApkInstalled => Ok(apk::installed(bytes)),
        Wanted::RpmSqlite | Wanted::RpmBerkeley | Wanted::RpmNdb => rpm::packages(wanted, bytes),
        _ => Ok(Packages::default()),
    }
}

/// The components that a file of its own names; nothing of it is needed afterwards.
pub(crate) fn components(wanted: Wanted, bytes: &[u8]) -> Result<Vec<Found>, String> {
    match wanted {
        Wanted::Python => Ok(python::metadata(bytes).into_iter().collect()),
        Wanted::Npm => npm::package(bytes).map(|found| found.into_iter().collect()),
        Wanted::Gemspec => Ok(gem::specification(bytes).into_iter().collect()),
        Wanted::Composer => composer::installed(bytes),
        Wanted::Jar => jar::artifacts(bytes),
        Wanted::Program => program::components(bytes),
        _ => Ok(Vec::new()),
    }
}

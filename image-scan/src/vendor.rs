//! Whether a package of the distribution's format is the distribution's: packages from elsewhere have names like its own,
//! and versions that are in no order with its own.
//!
//! It is told by what the package says of itself, as far as it says something: who made it, or a mark in its version that
//! only others leave. What says nothing is taken for the distribution's.

use crate::component::{Found, Kind};
use crate::limits::NAME_MAX;
use crate::os_release::OsRelease;

/// What distributions that sign their packages write as the vendor, in lower case. AlmaLinux 8 has packages that were built
/// at CloudLinux, which made it.
const RPM: [(&str, &[&str]); 4] = [
    ("almalinux", &["almalinux", "cloudlinux"]),
    ("rocky", &["rocky"]),
    ("rhel", &["red hat"]),
    ("fedora", &["fedora"]),
];

/// What distributions write as the origin, where they write one.
const DEB: [&str; 2] = ["debian", "ubuntu"];

/// Marks in versions of packages from elsewhere, and who leaves them.
const MARKS: [(&str, &str); 4] = [
    ("pgdg", "apt.postgresql.org"),
    ("nodesource", "NodeSource"),
    ("+maria~", "MariaDB"),
    ("~1.gbp", "deb.sury.org"),
];

/// Names of releases: others put them behind a tilde to tell their own builds apart, the distributions their numbers.
const RELEASES: [&str; 10] =
    ["stretch", "buster", "bullseye", "bookworm", "trixie", "xenial", "bionic", "focal", "jammy", "noble"];

/// Who packaged it, where that isn't the distribution.
pub(crate) fn other_than(found: &Found, os: Option<&OsRelease>) -> Option<String> {
    let os = os?;
    let vendor = found.vendor.as_deref().map(str::trim).filter(|vendor| !vendor.is_empty());
    let other = match found.kind {
        Kind::Rpm => {
            let (_, own) = RPM.iter().find(|(id, _)| *id == os.id)?;
            vendor.filter(|vendor| !own.iter().any(|own| vendor.to_lowercase().contains(own)))?
        }
        Kind::Deb if DEB.contains(&os.id.as_str()) => {
            let other = vendor.filter(|vendor| !DEB.iter().any(|own| vendor.to_lowercase().contains(own)));
            other.or_else(|| marked(&found.version))?
        }
        _ => return None,
    };
    Some(other.chars().filter(|one| !one.is_control()).take(NAME_MAX).collect())
}

fn marked(version: &str) -> Option<&'static str> {
    let mark = MARKS.iter().find(|(mark, _)| version.contains(mark)).map(|(_, who)| *who);
    let named = || {
        let (_, after) = version.rsplit_once('~')?;
        RELEASES.iter().any(|release| after.starts_with(release)).then_some("another archive")
    };
    mark.or_else(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_from_elsewhere_are_told_by_what_they_say() {
        let os = |id: &str| OsRelease { id: id.to_owned(), version: None, name: None };
        for (id, kind, version, vendor, expected) in [
            ("debian", Kind::Deb, "15.5-0+deb12u1", None, None),
            ("debian", Kind::Deb, "15.5-0+deb12u1", Some("Debian"), None),
            ("ubuntu", Kind::Deb, "1.18.0-6ubuntu14.4", Some("Ubuntu"), None),
            ("debian", Kind::Deb, "15.5-1.pgdg120+1", None, Some("apt.postgresql.org")),
            ("debian", Kind::Deb, "1.24.0-1~bookworm", None, Some("another archive")),
            ("debian", Kind::Deb, "18.19.0-1nodesource1", None, Some("NodeSource")),
            ("debian", Kind::Deb, "1:10.11.6+maria~deb12", None, Some("MariaDB")),
            ("debian", Kind::Deb, "8.2.14-1+0~20231222.37+debian12~1.gbp1", None, Some("deb.sury.org")),
            ("debian", Kind::Deb, "2.40.1", Some("GitHub"), Some("GitHub")),
            // The distribution's own updates, backports and rebuilds.
            ("debian", Kind::Deb, "2.4.57-2~deb12u1", None, None),
            ("debian", Kind::Deb, "1.0-1~bpo12+1", None, None),
            ("debian", Kind::Deb, "1.0-1+b2", None, None),
            ("ubuntu", Kind::Deb, "2.34-1ubuntu1~22.04.1", None, None),
            ("almalinux", Kind::Rpm, "1.20.1-14.el9", Some("AlmaLinux"), None),
            ("almalinux", Kind::Rpm, "1:1.24.0-1.el9.ngx", Some("NGINX Packaging"), Some("NGINX Packaging")),
            ("almalinux", Kind::Rpm, "1-1.el9", Some("Fedora Project"), Some("Fedora Project")),
            ("rhel", Kind::Rpm, "1-1.el9", Some("Red Hat, Inc."), None),
            ("almalinux", Kind::Rpm, "1-1.el8", Some("CloudLinux"), None),
            ("almalinux", Kind::Rpm, "1-1.el9", None, None),
            // Of a distribution that nothing is known of, nothing is told.
            ("arch", Kind::Rpm, "1-1", Some("Somebody"), None),
            ("alpine", Kind::Apk, "1-r0", Some("Somebody"), None),
        ] {
            let mut found = Found::new(kind, "a", version).unwrap();
            found.vendor = vendor.map(str::to_owned);
            assert_eq!(other_than(&found, Some(&os(id))).as_deref(), expected, "{id} {version} {vendor:?}");
        }
        assert_eq!(other_than(&Found::new(Kind::Deb, "a", "1.pgdg").unwrap(), None), None);
    }
}

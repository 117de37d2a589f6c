//! Which ecosystem of the OSV schema a component belongs to, with the release of its distribution.

use crate::component::{Component, Kind};
use crate::os_release::OsRelease;

/// The ecosystem's name, such as `Debian:12` or `PyPI`, as advisories have it.
pub(crate) fn name(kind: Kind, os: Option<&OsRelease>) -> String {
    match kind {
        Kind::Deb | Kind::Apk | Kind::Rpm => distribution(os),
        Kind::Pypi => "PyPI".to_owned(),
        Kind::Npm => "npm".to_owned(),
        Kind::Cargo => "crates.io".to_owned(),
        Kind::Golang => "Go".to_owned(),
        Kind::Maven => "Maven".to_owned(),
        Kind::Gem => "RubyGems".to_owned(),
        Kind::Composer => "Packagist".to_owned(),
    }
}

/// The distribution in the words of OSV; others in their own.
fn distribution(os: Option<&OsRelease>) -> String {
    let Some(os) = os else { return "an unnamed distribution".to_owned() };
    let name = match os.id.as_str() {
        "debian" => "Debian",
        "ubuntu" => "Ubuntu",
        "alpine" => "Alpine",
        "almalinux" => "AlmaLinux",
        "rocky" => "Rocky Linux",
        other => other,
    };
    match release(os) {
        Some(release) => format!("{name}:{release}"),
        None => name.to_owned(),
    }
}

/// The release in the words of OSV.
pub(crate) fn release(os: &OsRelease) -> Option<String> {
    let version = os.version.as_deref()?;
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next());
    Some(match os.id.as_str() {
        // edge is no release: `3.23_alpha20251016`.
        "alpine" if version.contains('_') => "edge".to_owned(),
        "alpine" => format!("v{major}.{}", minor?),
        "debian" | "almalinux" | "rocky" => major.to_owned(),
        _ => version.to_owned(),
    })
}

/// Why a component isn't looked up, where it isn't.
pub(crate) fn left_out(component: &Component) -> Option<&'static str> {
    if component.owner.is_some() {
        return Some("files of the distribution's packages are looked up as those packages");
    }
    let source = component.source.as_ref().map_or("", |source| source.name.as_str());
    let headers = match component.kind {
        Kind::Deb => component.name == "linux-libc-dev" || component.name.starts_with("linux-headers-"),
        Kind::Rpm => component.name == "kernel-headers",
        Kind::Apk => component.name == "linux-headers" || source == "linux-headers",
        _ => false,
    };
    headers.then_some("headers of a kernel that doesn't run here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_spelled_as_advisories_spell_them() {
        for (id, version, expected) in [
            ("debian", "12", "Debian:12"),
            ("alpine", "3.18.4", "Alpine:v3.18"),
            ("alpine", "3.23_alpha20251016", "Alpine:edge"),
            ("ubuntu", "22.04", "Ubuntu:22.04"),
            ("almalinux", "9.3", "AlmaLinux:9"),
            ("arch", "", "arch"),
        ] {
            let os = OsRelease::parse(format!("ID={id}\nVERSION_ID={version}\n").as_bytes());
            assert_eq!(name(Kind::Deb, os.as_ref()), expected);
        }
        assert_eq!(name(Kind::Deb, None), "an unnamed distribution");
    }
}

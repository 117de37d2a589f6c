//! Which ecosystem of the OSV schema a component belongs to, and what its advisories call it.

use crate::component::{Component, Kind};
use crate::os_release::OsRelease;

/// Rust's ecosystem, by the name that OSV and cargo give it. It is a host's name too, and nothing here asks a host.
pub(crate) const CRATES_IO: &str = concat!("crates", ".io");

/// An ecosystem of the OSV schema.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ecosystem {
    /// `Debian`, `PyPI`; a distribution that the schema doesn't name by its own word.
    pub name: String,
    /// The release of a distribution, as advisories spell it: `12`, `v3.18`.
    pub release: Option<String>,
}

impl std::fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.release {
            Some(release) => write!(f, "{}:{release}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Ecosystem {
    /// The ecosystem of components that are packaged so.
    pub(crate) fn of(kind: Kind, os: Option<&OsRelease>) -> Self {
        let (name, release) = match kind {
            Kind::Deb | Kind::Apk | Kind::Rpm => match os {
                Some(os) => (distribution(os), release(os)),
                None => ("an unnamed distribution", None),
            },
            Kind::Pypi => ("PyPI", None),
            Kind::Npm => ("npm", None),
            Kind::Cargo => (CRATES_IO, None),
            Kind::Golang => ("Go", None),
            Kind::Maven => ("Maven", None),
            Kind::Gem => ("RubyGems", None),
            Kind::Composer => ("Packagist", None),
        };
        Self { name: name.to_owned(), release }
    }
}

/// A component, as advisories name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// Whose advisories.
    pub ecosystem: Ecosystem,
    /// The name in them: normalised, and of the source package for Debian, Ubuntu and Alpine.
    pub name: String,
    /// The version to compare: that of the source package, where the name is.
    pub version: String,
    /// The binary package, where the name is that of the source.
    pub binary: Option<String>,
    /// What it was built for.
    pub architecture: Option<String>,
    /// The module and stream of an rpm package.
    pub module: Option<String>,
}

impl Query {
    /// What to look a component up by; or why it isn't looked up. `is_owned`: a package of the distribution that is
    /// there brought the file as it is.
    pub(crate) fn of(
        component: &Component,
        os: Option<&OsRelease>,
        is_owned: bool,
    ) -> Result<Self, &'static str> {
        if let Some(why) = left_out(component, is_owned) {
            return Err(why);
        }
        let source = component.source.as_ref().filter(|_| matches!(component.kind, Kind::Deb | Kind::Apk));
        let (name, version) = match source {
            Some(source) => (source.name.clone(), &source.version),
            None => (normalised(component), &component.version),
        };
        Ok(Self {
            ecosystem: Ecosystem::of(component.kind, os),
            version: spelt(component.kind, &name, version),
            name,
            binary: source.map(|_| component.name.clone()),
            architecture: component.architecture.clone(),
            module: component.module.clone(),
        })
    }
}

/// One spelling a name, where an ecosystem takes several for the same.
fn normalised(component: &Component) -> String {
    match component.kind {
        Kind::Pypi => pep_503(&component.name),
        Kind::Composer => component.name.to_lowercase(),
        _ => component.name.clone(),
    }
}

/// Go's own releases have a spelling of their own, which only `go` before it tells: `go1.21rc2` is before `1.21.0`.
fn spelt(kind: Kind, name: &str, version: &str) -> String {
    match (kind, name) {
        (Kind::Golang, "stdlib") => format!("go{version}"),
        _ => version.to_owned(),
    }
}

/// Lower case, and one dash for each run of dashes, dots and underscores (PEP 503).
fn pep_503(name: &str) -> String {
    let parts = name.split(['-', '.', '_']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// The distribution in the words of OSV; others in their own.
fn distribution(os: &OsRelease) -> &str {
    match os.id.as_str() {
        "debian" => "Debian",
        "ubuntu" => "Ubuntu",
        "alpine" => "Alpine",
        "almalinux" => "AlmaLinux",
        "rocky" => "Rocky Linux",
        other => other,
    }
}

/// The release in the words of OSV.
fn release(os: &OsRelease) -> Option<String> {
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

fn left_out(component: &Component, is_owned: bool) -> Option<&'static str> {
    if is_owned {
        return Some("brought by packages of the distribution, and looked up as those");
    }
    if component.kind == Kind::Golang && component.version == "(devel)" {
        return Some("built from a checkout, which has no version");
    }
    let branch = |version: &str| version.starts_with("dev-") || version.ends_with("-dev");
    if component.kind == Kind::Composer && branch(&component.version) {
        return Some("taken from a branch, which has no version");
    }
    let headers = match component.kind {
        Kind::Deb => component.name == "linux-libc-dev" || component.name.starts_with("linux-headers-"),
        Kind::Rpm => component.name == "kernel-headers",
        Kind::Apk => component.name == "linux-headers",
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
            assert_eq!(Ecosystem::of(Kind::Deb, os.as_ref()).to_string(), expected);
        }
        assert_eq!(Ecosystem::of(Kind::Deb, None).to_string(), "an unnamed distribution");
    }

    fn component(kind: Kind, name: &str, version: &str) -> Component {
        Component {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            source: None,
            architecture: None,
            module: None,
            purl: String::new(),
            layer: 0,
            path: "/a".to_owned(),
            owner: None,
            guess: None,
            vendor: None,
        }
    }

    #[test]
    fn a_module_built_from_a_checkout_is_left_out_and_one_of_a_version_is_not() {
        let module = |version: &str| component(Kind::Golang, "example.com/a", version);
        let why = Query::of(&module("(devel)"), None, false).unwrap_err();
        assert_eq!(why, "built from a checkout, which has no version");
        for version in ["v1.0.0", "v2.0.0+incompatible", "v1.2.4-0.20200101000000-abcdef123456"] {
            assert_eq!(Query::of(&module(version), None, false).unwrap().version, version);
        }
    }

    #[test]
    fn gos_library_is_asked_for_as_go_spells_its_releases() {
        for version in ["1.21.5", "1.21rc2"] {
            let query = Query::of(&component(Kind::Golang, "stdlib", version), None, false).unwrap();
            assert_eq!((query.name.as_str(), query.version), ("stdlib", format!("go{version}")));
        }
    }

    #[test]
    fn a_branch_of_composers_has_no_version_to_compare() {
        for version in ["dev-main", "dev-feature/x", "2.x-dev", "1.0.x-dev"] {
            let why = Query::of(&component(Kind::Composer, "a/b", version), None, false).unwrap_err();
            assert_eq!(why, "taken from a branch, which has no version");
        }
        for version in ["v1.0.0", "1.0.0-beta1", "2.0.0-RC1"] {
            assert!(Query::of(&component(Kind::Composer, "a/b", version), None, false).is_ok(), "{version}");
        }
    }

    #[test]
    fn python_names_are_normalised() {
        for (name, expected) in [("Ruamel.YAML", "ruamel-yaml"), ("a__b-.c", "a-b-c"), ("x", "x")] {
            assert_eq!(pep_503(name), expected);
        }
    }
}

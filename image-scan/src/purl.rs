//! Package URLs (ECMA-427): one spelling for a component's name in every ecosystem.

use packageurl::PackageUrl;

use crate::component::{Found, Kind};
use crate::os_release::OsRelease;

/// The package URL of a component; empty if there can be none.
pub(crate) fn purl(found: &Found, os: Option<&OsRelease>) -> String {
    let (namespace, name) = namespaced(found, os);
    // Without its group, an artifact is none in particular.
    if found.kind == Kind::Maven && namespace.is_empty() {
        return String::new();
    }
    let Ok(mut purl) = PackageUrl::new(found.kind.name(), name) else { return String::new() };
    let (epoch, version) = match found.version.split_once(':') {
        Some((epoch, version)) if found.kind == Kind::Rpm => (Some(epoch), version),
        _ => (None, found.version.as_str()),
    };
    let done = (|| {
        if !namespace.is_empty() {
            purl.with_namespace(namespace)?;
        }
        purl.with_version(version.to_owned())?;
        if let Some(architecture) = &found.architecture {
            purl.add_qualifier("arch", architecture.clone())?;
        }
        if let Some(os) = os.filter(|_| found.kind.is_distribution()) {
            purl.add_qualifier("distro", os.label())?;
        }
        if let Some(epoch) = epoch {
            purl.add_qualifier("epoch", epoch.to_owned())?;
        }
        Ok::<_, packageurl::Error>(())
    })();
    done.map(|()| purl.to_string()).unwrap_or_default()
}

/// Namespace and name, as the type's definition splits and spells them.
fn namespaced(found: &Found, os: Option<&OsRelease>) -> (String, String) {
    let name = found.name.as_str();
    let split = |separator| match name.rsplit_once(separator) {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => (String::new(), name.to_owned()),
    };
    match found.kind {
        Kind::Deb | Kind::Apk | Kind::Rpm => {
            let namespace = os.map(|os| os.id.clone()).unwrap_or_default();
            (namespace, name.to_owned())
        }
        Kind::Pypi => (String::new(), name.to_lowercase().replace('_', "-")),
        Kind::Npm | Kind::Golang => split('/'),
        Kind::Composer => {
            let (namespace, name) = split('/');
            (namespace.to_lowercase(), name.to_lowercase())
        }
        Kind::Maven => split(':'),
        Kind::Cargo | Kind::Gem => (String::new(), name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_those_of_the_specification() {
        let os = OsRelease::parse(b"ID=debian\nVERSION_ID=\"12\"\n").unwrap();
        for (kind, name, version, expected) in [
            (Kind::Deb, "libc6", "2.36-9+deb12u4", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?distro=debian-12"),
            (Kind::Rpm, "bash", "1:5.1-2", "pkg:rpm/debian/bash@5.1-2?distro=debian-12&epoch=1"),
            (Kind::Pypi, "Ruamel_YAML", "1.0", "pkg:pypi/ruamel-yaml@1.0"),
            (Kind::Npm, "@babel/core", "7.0.0", "pkg:npm/%40babel/core@7.0.0"),
            (Kind::Golang, "github.com/a/b", "v1.2.3", "pkg:golang/github.com/a/b@v1.2.3"),
            (Kind::Maven, "org.x:y", "1", "pkg:maven/org.x/y@1"),
            (Kind::Composer, "Symfony/Http", "v1", "pkg:composer/symfony/http@v1"),
            (Kind::Cargo, "serde", "1.0.0", "pkg:cargo/serde@1.0.0"),
        ] {
            let found = Found::new(kind, name, version).unwrap();
            assert_eq!(purl(&found, Some(&os)), expected);
        }
    }
}

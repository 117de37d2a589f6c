//! Which files of an image say what is in it. All others are passed over.

use crate::catalog::JAVA;
use crate::limits;
use crate::tree::split;

/// What a file may tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Wanted {
    OsRelease,
    /// dpkg's database.
    DpkgStatus,
    /// One package of it, as images without dpkg have it.
    DpkgPart,
    /// The files of a package of dpkg's.
    DpkgFiles,
    ApkInstalled,
    RpmSqlite,
    RpmBerkeley,
    RpmNdb,
    Python,
    Npm,
    Gemspec,
    Composer,
    Jar,
    /// A package in yarn's cache, from which Plug'n'Play loads it.
    YarnCache,
    /// A Python distribution in one file, as setuptools installed them.
    Egg,
    /// A program, if its first bytes say so.
    Program,
}

impl Wanted {
    /// What a file is wanted for, by its place in the image.
    pub(crate) fn of(place: &[u8], size: u64) -> Option<Self> {
        let (dir, name) = split(place);
        database(dir, name).or_else(|| package(dir, name)).or_else(|| {
            // No program is smaller than its headers; most files are no programs, and their first bytes tell.
            (size >= 4096).then_some(Self::Program)
        })
    }

    /// The most bytes that such a file may have.
    pub(crate) fn limit(self) -> u64 {
        match self {
            Self::DpkgStatus | Self::ApkInstalled | Self::RpmSqlite | Self::RpmBerkeley | Self::RpmNdb => {
                limits::DATABASE_MAX
            }
            Self::DpkgPart | Self::DpkgFiles => limits::LIST_MAX,
            Self::OsRelease | Self::Python | Self::Npm | Self::Gemspec => limits::METADATA_MAX,
            Self::Composer => limits::LIST_MAX,
            Self::Jar | Self::YarnCache | Self::Egg | Self::Program => limits::PROGRAM_MAX,
        }
    }

    /// Whether it is a database of the distribution's package manager, read again whenever a layer changes it.
    pub(crate) fn is_database(self) -> bool {
        matches!(
            self,
            Self::DpkgStatus
                | Self::DpkgPart
                | Self::ApkInstalled
                | Self::RpmSqlite
                | Self::RpmBerkeley
                | Self::RpmNdb
        )
    }
}

/// Package managers look in one place each.
fn database(dir: &[u8], name: &[u8]) -> Option<Wanted> {
    match (dir, name) {
        (b"etc" | b"usr/lib", b"os-release") => Some(Wanted::OsRelease),
        (b"var/lib/dpkg", b"status") => Some(Wanted::DpkgStatus),
        (b"var/lib/dpkg/status.d", name) if name.ends_with(b".md5sums") => Some(Wanted::DpkgFiles),
        (b"var/lib/dpkg/status.d", name) if !name.starts_with(b".") => Some(Wanted::DpkgPart),
        (b"var/lib/dpkg/info", name) if name.ends_with(b".list") => Some(Wanted::DpkgFiles),
        (b"lib/apk/db" | b"usr/lib/apk/db", b"installed") => Some(Wanted::ApkInstalled),
        (b"var/lib/rpm" | b"usr/lib/sysimage/rpm" | b"usr/share/rpm", name) => match name {
            b"rpmdb.sqlite" => Some(Wanted::RpmSqlite),
            b"Packages" => Some(Wanted::RpmBerkeley),
            b"Packages.db" => Some(Wanted::RpmNdb),
            _ => None,
        },
        _ => None,
    }
}

/// Language packages may be anywhere.
fn package(dir: &[u8], name: &[u8]) -> Option<Wanted> {
    let parent = split(dir).1;
    match name {
        b"METADATA" if parent.ends_with(b".dist-info") => Some(Wanted::Python),
        b"PKG-INFO" if parent.ends_with(b".egg-info") || parent == b"EGG-INFO" => Some(Wanted::Python),
        b"package.json" if is_node_module(dir) => Some(Wanted::Npm),
        b"installed.json" if dir.ends_with(b"vendor/composer") => Some(Wanted::Composer),
        _ => by_extension(dir, name),
    }
}

fn by_extension(dir: &[u8], name: &[u8]) -> Option<Wanted> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    match name.get(dot..)?.to_ascii_lowercase().as_slice() {
        // distutils wrote a file of this name, not a folder.
        b".egg-info" => Some(Wanted::Python),
        b".gemspec" if is_specifications(dir) => Some(Wanted::Gemspec),
        b".egg" => Some(Wanted::Egg),
        b".zip" if is_yarn_cache(dir) => Some(Wanted::YarnCache),
        [b'.', end @ ..] if JAVA.iter().any(|one| one.as_bytes() == end) => Some(Wanted::Jar),
        _ => None,
    }
}

/// `…/specifications/x.gemspec` is installed, and `…/specifications/default/x.gemspec` came with Ruby; others
/// lie in the source of a gem.
fn is_specifications(dir: &[u8]) -> bool {
    let (above, name) = split(dir);
    name == b"specifications" || name == b"default" && split(above).1 == b"specifications"
}

/// A project's own cache, or the one that all of a user's projects share.
fn is_yarn_cache(dir: &[u8]) -> bool {
    let (above, name) = split(dir);
    name == b"cache" && (split(above).1 == b".yarn" || above.ends_with(b".yarn/berry"))
}

/// Folders of `node_modules` in which package managers keep each package apart: pnpm, bun, npm.
const STORES: [&[u8]; 3] = [b".pnpm", b".bun", b".store"];

/// Whether a package of this folder is installed: in `node_modules` directly, or in its scope there. Packages
/// carry others as test data, and those are not.
fn is_node_module(dir: &[u8]) -> bool {
    let parts: Vec<&[u8]> = dir.split(|byte| *byte == b'/').collect();
    let mut after = parts.split(|part| *part == b"node_modules");
    // What is before the first one is the application's.
    let (_, mut modules) = (after.next(), after.peekable());
    modules.peek().is_some()
        && modules.all(|module| match module {
            // yarn's own linker leaves `node_modules` out within its store.
            [b".store", _, b"package"] => true,
            [scope, _] => scope.starts_with(b"@") || STORES.contains(scope),
            [name] => !name.starts_with(b".") && !name.starts_with(b"@"),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_wanted_by_their_place() {
        use Wanted::*;
        for (place, expected) in [
            ("var/lib/dpkg/status", Some(DpkgStatus)),
            ("opt/chroot/var/lib/dpkg/status", None),
            ("var/lib/dpkg/status.d/base", Some(DpkgPart)),
            ("var/lib/dpkg/status.d/base.md5sums", Some(DpkgFiles)),
            ("var/lib/dpkg/info/libc6:amd64.list", Some(DpkgFiles)),
            ("lib/apk/db/installed", Some(ApkInstalled)),
            ("var/lib/rpm/Packages", Some(RpmBerkeley)),
            ("x/requests-2.0.dist-info/METADATA", Some(Python)),
            ("x/METADATA", None),
            ("x/foo.egg-info", Some(Python)),
            ("app/node_modules/a/package.json", Some(Npm)),
            ("app/node_modules/@s/a/package.json", Some(Npm)),
            ("app/node_modules/a/node_modules/b/package.json", Some(Npm)),
            ("app/node_modules/.pnpm/a@1.0.0/node_modules/a/package.json", Some(Npm)),
            ("app/node_modules/.bun/a@1.0.0/node_modules/@s/a/package.json", Some(Npm)),
            ("app/node_modules/.store/a@1.0.0-x/node_modules/a/package.json", Some(Npm)),
            ("app/node_modules/.store/a-npm-1.0.0-x/package/package.json", Some(Npm)),
            ("app/node_modules/.cache/a/package.json", None),
            ("app/.yarn/unplugged/a-npm-1.0.0-x/node_modules/a/package.json", Some(Npm)),
            ("app/.yarn/cache/a-npm-1.0.0-x.zip", Some(YarnCache)),
            ("root/.yarn/berry/cache/a-npm-1.0.0-x.zip", Some(YarnCache)),
            ("app/cache/a.zip", None),
            ("x/site-packages/a-1.0-py3.9.egg", Some(Egg)),
            ("app/node_modules/a/test/fixtures/package.json", None),
            ("app/node_modules/a/test/node_modules/b/package.json", None),
            ("app/node_modules/a/lib/package.json", None),
            ("app/package.json", None),
            ("node_modules/package.json", None),
            ("usr/gems/specifications/rake-13.gemspec", Some(Gemspec)),
            ("usr/gems/specifications/default/json-2.gemspec", Some(Gemspec)),
            ("usr/gems/gems/rake-13/rake.gemspec", None),
            ("app/vendor/composer/installed.json", Some(Composer)),
            ("app/x.JAR", Some(Jar)),
        ] {
            assert_eq!(Wanted::of(place.as_bytes(), 10), expected, "{place}");
        }
        assert_eq!(Wanted::of(b"bin/sh", 100_000), Some(Program));
        assert_eq!(Wanted::of(b"bin/sh", 100), None);
    }
}

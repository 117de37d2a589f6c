//! dpkg's database: stanzas of fields (`deb-control(5)`), one a package.

use super::Packages;
use crate::component::{Found, Kind, Source, fits};
use crate::limits::NAME_MAX;

/// The packages whose files are there, by the last word of `Status` (`dpkg-query(1)`).
pub(super) fn status(bytes: &[u8]) -> Packages {
    // dpkg writes a status for each.
    let counts = |stanza: &Stanza<'_>| stanza.status.is_none() || stanza.is_present();
    let of = |stanza: Stanza<'_>| stanza.status.and_then(|_| stanza.found());
    Packages::of(stanzas(bytes).filter(|stanza| !stanza.is_empty).filter(counts).map(of))
}

/// One package in a file of its own. Images made without dpkg have no `Status` there.
pub(super) fn part(bytes: &[u8]) -> Packages {
    let counts = |stanza: &Stanza<'_>| stanza.status.is_none() || stanza.is_present();
    Packages::of(stanzas(bytes).filter(|stanza| !stanza.is_empty).filter(counts).map(|stanza| stanza.found()))
}

/// Calls `file` with the paths in a package's list of files (`NAME[:ARCH].list`, or `NAME.md5sums` where there is
/// no dpkg), and the package.
pub(crate) fn owned_files(list: &[u8], bytes: &[u8], file: &mut dyn FnMut(&[u8], &str)) {
    let name = String::from_utf8_lossy(crate::tree::split(list).1);
    let (name, sums) = match (name.strip_suffix(".list"), name.strip_suffix(".md5sums")) {
        (Some(name), _) => (name, false),
        (None, Some(name)) => (name, true),
        (None, None) => return,
    };
    let package = name.split(':').next().unwrap_or(name);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        // 32 hex digits and two spaces.
        let path = if sums { line.get(34..).unwrap_or_default() } else { line };
        file(path, package);
    }
}

/// The fields that matter.
struct Stanza<'a> {
    is_empty: bool,
    package: Option<&'a str>,
    version: Option<&'a str>,
    status: Option<&'a str>,
    architecture: Option<&'a str>,
    source: Option<&'a str>,
    vendor: Option<&'a str>,
}

fn stanzas(bytes: &[u8]) -> impl Iterator<Item = Stanza<'_>> {
    let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
    std::iter::from_fn(move || {
        lines.peek()?;
        let mut stanza = Stanza {
            is_empty: true,
            package: None,
            version: None,
            status: None,
            architecture: None,
            source: None,
            vendor: None,
        };
        for line in lines.by_ref() {
            if line.trim_ascii().is_empty() {
                break;
            }
            stanza.is_empty = false;
            stanza.take(line);
        }
        Some(stanza)
    })
}

impl<'a> Stanza<'a> {
    /// A field of one line. Lines that begin with a space go on with a field that doesn't matter here.
    fn take(&mut self, line: &'a [u8]) {
        if line.first().is_none_or(|byte| byte.is_ascii_whitespace()) {
            return;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        let field = match name.to_ascii_lowercase().as_slice() {
            b"package" => &mut self.package,
            b"version" => &mut self.version,
            b"status" => &mut self.status,
            b"architecture" => &mut self.architecture,
            b"source" => &mut self.source,
            // Tools that make packages outside of a distribution write the one, archives of others the other.
            b"vendor" | b"origin" => &mut self.vendor,
            _ => return,
        };
        *field = str::from_utf8(value.get(1..).unwrap_or_default()).ok().map(str::trim);
    }

    fn is_present(&self) -> bool {
        let state = self.status.and_then(|status| status.split_whitespace().nth(2));
        matches!(
            state,
            Some(
                "installed"
                    | "unpacked"
                    | "half-configured"
                    | "half-installed"
                    | "triggers-awaited"
                    | "triggers-pending"
            )
        )
    }

    fn found(&self) -> Option<Found> {
        let mut found = Found::new(Kind::Deb, self.package?, self.version?)?;
        found.architecture = self.architecture.filter(|text| fits(text)).map(str::to_owned);
        // What it is looked up by.
        found.source = Some(self.source_package(&found)?);
        found.vendor = self.vendor.map(|text| text.chars().take(NAME_MAX).collect());
        Some(found)
    }

    /// `Source: name (version)`; both are left out where they are those of the binary package. A version that
    /// was only built anew has the source's version and `+bN`.
    fn source_package(&self, found: &Found) -> Option<Source> {
        let source = self.source.filter(|source| !source.is_empty()).unwrap_or(&found.name);
        let (name, version) = match source.split_once('(') {
            Some((name, version)) => (name.trim(), version.trim_end_matches(')').trim()),
            None => (source, without_rebuild(&found.version)),
        };
        Source::new(name, version)
    }
}

fn without_rebuild(version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((source, build)) if !build.is_empty() && build.bytes().all(|byte| byte.is_ascii_digit()) => {
            source
        }
        _ => version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(found: &[Found]) -> Vec<String> {
        let source =
            |found: &Found| found.source.clone().map(|source| format!("{} {}", source.name, source.version));
        found
            .iter()
            .map(|found| format!("{} {} < {}", found.name, found.version, source(found).unwrap()))
            .collect()
    }

    #[test]
    fn packages_are_there_by_their_state() {
        for (state, there) in [
            ("install ok installed", true),
            ("install ok half-configured", true),
            ("install reinstreq half-installed", true),
            ("install ok unpacked", true),
            ("install ok triggers-pending", true),
            ("deinstall ok config-files", false),
            ("purge ok not-installed", false),
            ("", false),
        ] {
            let text = format!("Package: a\nStatus: {state}\nVersion: 1\n");
            assert_eq!(status(text.as_bytes()).found.len() == 1, there, "{state}");
        }
    }

    #[test]
    fn the_source_package_is_named_or_the_same() {
        let text = b"Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.1-1+b2\n\n\
            Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\nDescription: a\n Source: no\n\n\
            Package: libgcc\nStatus: hold ok installed\nSource: gcc-12 (12.2.0-14)\nVersion: 1:12.2.0-14+b1\n";
        assert_eq!(
            brief(&status(text).found),
            [
                "libssl3 3.0.1-1+b2 < openssl 3.0.1-1",
                "bash 5.2-1 < bash 5.2-1",
                "libgcc 1:12.2.0-14+b1 < gcc-12 12.2.0-14"
            ]
        );
    }

    #[test]
    fn versions_of_stable_updates_are_no_rebuilds() {
        assert_eq!(without_rebuild("1.0-1+deb12u1"), "1.0-1+deb12u1");
        assert_eq!(without_rebuild("1.0-1+b1"), "1.0-1");
        assert_eq!(without_rebuild("1.0-1+b"), "1.0-1+b");
        assert_eq!(without_rebuild("1.0+beta-1"), "1.0+beta-1");
    }

    #[test]
    fn a_part_needs_no_status() {
        assert_eq!(part(b"Package: base-files\nVersion: 12\n").found.len(), 1);
        assert_eq!(part(b"Package: x\nStatus: deinstall ok config-files\nVersion: 12\n").found.len(), 0);
        let broken = part(b"\xff\xfe\n\n::\n");
        assert_eq!((broken.found.len(), broken.unreadable), (0, 2));
        let broken =
            status(b"Package: openssl\nStatus: install ok installed\nVersion: 3\xff\n\nPackage: x\n\n\n");
        assert_eq!(
            (broken.found.len(), broken.unreadable),
            (0, 2),
            "a version that is no text, and no status"
        );
        let long = "x".repeat(2000);
        let text = format!(
            "Package: a\nStatus: install ok installed\nVersion: 1\nSource: {long}\n\n\
            Package: b\nStatus: install ok installed\nVersion: 1\nArchitecture: {long}\n"
        );
        let read = status(text.as_bytes());
        assert_eq!((read.found.len(), read.unreadable), (1, 1), "a source that can't be looked up");
        assert_eq!(read.found[0].architecture, None);
    }
}

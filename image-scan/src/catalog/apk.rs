//! Alpine's database: stanzas of lines `LETTER:value` (apk-tools, `apk_db_fdb_read`).

use super::Packages;
use crate::component::{Found, Kind, Source, fits};
use crate::limits::PATH_MAX;

/// The packages installed. The origin is what they were built from: advisories name it.
pub(super) fn installed(bytes: &[u8]) -> Packages {
    Packages::of(stanzas(bytes).map(|lines| package(&lines)))
}

/// Calls `file` with the paths of all files of all packages, and the package.
pub(crate) fn owned_files(bytes: &[u8], file: &mut dyn FnMut(&[u8], &str)) {
    let (mut package, mut folder) = ("", &b""[..]);
    for line in bytes.split(|byte| *byte == b'\n') {
        match line.split_at_checked(2) {
            Some((b"P:", name)) => package = str::from_utf8(name).unwrap_or_default(),
            Some((b"F:", path)) => folder = path,
            // A long folder for many short names would be written anew for each.
            Some((b"R:", name)) if folder.len().saturating_add(name.len()) < PATH_MAX => {
                file(&[folder, b"/", name].concat(), package)
            }
            _ => {}
        }
    }
}

/// Lines whose letter matters, up to an empty line.
fn stanzas(bytes: &[u8]) -> impl Iterator<Item = Vec<(u8, &str)>> {
    let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.is_empty()).is_some() {}
        lines.peek()?;
        let stanza = lines.by_ref().take_while(|line| !line.is_empty());
        Some(stanza.filter_map(field).collect())
    })
}

fn field(line: &[u8]) -> Option<(u8, &str)> {
    match line {
        [letter @ (b'P' | b'V' | b'A' | b'o'), b':', value @ ..] => {
            Some((*letter, str::from_utf8(value).ok()?))
        }
        _ => None,
    }
}

fn package(lines: &[(u8, &str)]) -> Option<Found> {
    let value = |letter| lines.iter().find(|(found, _)| *found == letter).map(|(_, value)| *value);
    let mut found = Found::new(Kind::Apk, value(b'P')?, value(b'V')?)?;
    found.architecture = value(b'A').filter(|text| fits(text)).map(str::to_owned);
    let origin = value(b'o').filter(|origin| !origin.is_empty()).unwrap_or(&found.name);
    found.source = Some(Source::new(origin, &found.version)?);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"C:Q1x=\nP:libcrypto3\nV:3.1.4-r5\nA:x86_64\no:openssl\nF:lib\nR:libcrypto.so.3\nZ:Q1=\n\n\
        P:musl\nV:1.2.4-r2\nA:x86_64\n\nP:broken\n\n";

    #[test]
    fn packages_have_their_origin() {
        let Packages { found, unreadable, .. } = installed(TEXT);
        assert_eq!(unreadable, 1, "one has no version");
        let brief: Vec<_> =
            found.iter().map(|one| (one.name.as_str(), one.source.clone().unwrap().name)).collect();
        assert_eq!(brief, [("libcrypto3", "openssl".to_owned()), ("musl", "musl".to_owned())]);
    }

    #[test]
    fn files_have_their_package() {
        let mut files = Vec::new();
        owned_files(TEXT, &mut |path, package| files.push((path.to_vec(), package.to_owned())));
        assert_eq!(files, [(b"lib/libcrypto.so.3".to_vec(), "libcrypto3".to_owned())]);
    }
}

//! Python's core metadata: a header as of mail, of which the first `Name` and `Version` count.

use crate::component::{Found, Kind};

/// The distribution that `METADATA` or `PKG-INFO` describes.
pub(super) fn metadata(bytes: &[u8]) -> Option<Found> {
    let (mut name, mut version) = (None, None);
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        // After the header comes a description, which may say anything.
        if line.is_empty() {
            break;
        }
        let Some((key, value)) = field(line) else { continue };
        if key.eq_ignore_ascii_case("name") {
            name = name.or(Some(value));
        } else if key.eq_ignore_ascii_case("version") {
            version = version.or(Some(value));
        }
    }
    Found::new(Kind::Pypi, name?, version?)
}

fn field(line: &[u8]) -> Option<(&str, &str)> {
    if line.first()?.is_ascii_whitespace() {
        return None;
    }
    let colon = line.iter().take(16).position(|byte| *byte == b':')?;
    let (key, value) = line.split_at_checked(colon)?;
    Some((str::from_utf8(key).ok()?, str::from_utf8(value.get(1..)?).ok()?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_counts_and_the_description_does_not() {
        let text = b"Metadata-Version: 2.1\r\nName: Ruamel.YAML\r\nVersion: 0.17.21\r\n\r\nName: other\nVersion: 9\n";
        let found = metadata(text).unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("Ruamel.YAML", "0.17.21"));
        for bad in [
            &b"Name: x\n\nVersion: 1\n"[..],
            b"Name: \nVersion: 1\n",
            b"",
            b"\xff",
            b"Name: x\n Version: 1\n",
        ] {
            assert!(metadata(bad).is_none(), "{bad:?}");
        }
    }
}

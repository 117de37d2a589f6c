//! Which distribution an image is of: `os-release(5)`.

use serde::{Deserialize, Serialize};

/// Where it may be, first match wins (`os-release(5)`).
pub(crate) const PLACES: [&[u8]; 2] = [b"etc/os-release", b"usr/lib/os-release"];

/// The distribution, as the image says itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OsRelease {
    /// `ID`, such as `debian`.
    pub id: String,
    /// `VERSION_ID`, such as `12`; Debian's testing has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `PRETTY_NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl OsRelease {
    /// Reads the file; `None` if it names no distribution.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.trim().split_once('='));
            // A later assignment wins, as in the shell whose syntax it is.
            let found = lines.rfind(|(name, _)| *name == key).map(|(_, value)| unquoted(value))?;
            (!found.is_empty() && found.len() <= crate::limits::NAME_MAX).then_some(found)
        };
        Some(Self {
            id: value("ID")?.to_lowercase(),
            version: value("VERSION_ID"),
            name: value("PRETTY_NAME"),
        })
    }

    /// `debian-12`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.version {
            Some(version) => format!("{}-{version}", self.id),
            None => self.id.clone(),
        }
    }
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    inner.unwrap_or(value).replace('\\', "").chars().filter(|one| !one.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_read() {
        let text = b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n# ID=x\nID=debian\n";
        let os = OsRelease::parse(text).unwrap();
        assert_eq!(
            (os.label().as_str(), os.name.as_deref()),
            ("debian-12", Some("Debian GNU/Linux 12 (bookworm)"))
        );
        assert_eq!(OsRelease::parse(b"ID='arch'\n").unwrap().label(), "arch");
        assert!(OsRelease::parse(b"NAME=x\n").is_none());
        assert!(OsRelease::parse(b"\xff\xfe").is_none());
    }
}

//! Where an image is: in a registry, or in an OCI layout folder.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::digest::Digest;
use crate::reference::{BadReference, Reference};

/// What a user names on the command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// An image in a registry.
    Registry(Reference),
    /// An image in an OCI layout: `oci:DIR[:TAG][@DIGEST]`.
    Layout {
        /// The layout's folder.
        dir: PathBuf,
        /// The `org.opencontainers.image.ref.name` to look for. It is not a [`crate::Tag`]: a layout
        /// may call an image `registry.example.com/acme/web:1`.
        tag: Option<String>,
        /// The digest of one of the manifests.
        digest: Option<Digest>,
    },
}

impl FromStr for Location {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        match text.strip_prefix("oci:") {
            Some(layout) => in_layout(layout),
            None => text.parse().map(Self::Registry),
        }
    }
}

/// As skopeo: the folder ends at the first colon. A digest at the end is taken off before.
fn in_layout(text: &str) -> Result<Location, BadReference> {
    let (text, digest) = match text.rsplit_once('@') {
        Some((text, digest)) if digest.starts_with("sha256:") => (text, Some(digest.parse()?)),
        _ => (text, None),
    };
    let (dir, tag) = match text.split_once(':') {
        Some((_, "")) => return Err(BadReference::Tag { tag: String::new() }),
        Some((dir, tag)) => (dir, Some(tag.to_owned())),
        None => (text, None),
    };
    if dir.is_empty() {
        return Err(BadReference::NoFolder);
    }
    Ok(Location::Layout { dir: dir.into(), tag, digest })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Layout { dir, tag, digest } => {
                write!(f, "oci:{}", dir.display())?;
                if let Some(tag) = tag {
                    write!(f, ":{tag}")?;
                }
                digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    fn layout(dir: &str, tag: Option<&str>, digest: Option<&str>) -> Location {
        let digest = digest.map(|text| text.parse().unwrap());
        Location::Layout { dir: dir.into(), tag: tag.map(str::to_owned), digest }
    }

    #[test]
    fn layouts_are_read_as_skopeo_reads_them() {
        let cases = [
            ("oci:dir".to_owned(), layout("dir", None, None)),
            ("oci:./a/b:1.4".to_owned(), layout("./a/b", Some("1.4"), None)),
            ("oci:/abs:ghcr.io/x/y:1".to_owned(), layout("/abs", Some("ghcr.io/x/y:1"), None)),
            (format!("oci:dir@{DIGEST}"), layout("dir", None, Some(DIGEST))),
            (format!("oci:dir:1@{DIGEST}"), layout("dir", Some("1"), Some(DIGEST))),
            ("oci:a@b".to_owned(), layout("a@b", None, None)),
        ];
        for (typed, read) in cases {
            assert_eq!(typed.parse::<Location>(), Ok(read.clone()), "{typed}");
            assert_eq!(read.to_string(), typed);
        }
    }

    #[test]
    fn anything_else_is_a_registry() {
        let location: Location = "nginx".parse().unwrap();
        assert_eq!(location.to_string(), "docker.io/library/nginx:latest");
    }

    #[test]
    fn what_is_refused_says_why() {
        for (typed, why) in [
            ("oci:", "expected a folder after oci:, as in oci:DIR[:TAG][@DIGEST]"),
            ("oci::tag", "expected a folder after oci:, as in oci:DIR[:TAG][@DIGEST]"),
            ("oci:dir:", "not a tag: \"\""),
            ("oci:dir@sha256:00", "not a digest: expected 64 hex digits after sha256:, got 2"),
        ] {
            assert_eq!(typed.parse::<Location>().unwrap_err().to_string(), why, "{typed}");
        }
    }
}

//! For whom an image is signed.

use std::fmt;
use std::str::FromStr;

/// A kind of signature, by who reads it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Format {
    /// cosign up to version 2: simple signing under the tag `sha256-HEX.sig`. cosign 3 reads it too.
    Cosign2,
    /// cosign from version 3 on: a sigstore bundle v0.3 that refers to the image.
    Cosign3,
    /// notation: an envelope with certificates that refers to the image, in JWS or COSE.
    Notation,
    /// podman, skopeo, CRI-O and buildah, by `sigstoreSigned` in `policy.json`. The same as [`Self::Cosign2`].
    Podman,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cosign2, Self::Cosign3, Self::Notation, Self::Podman];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosign2 => "cosign2",
            Self::Cosign3 => "cosign3",
            Self::Notation => "notation",
            Self::Podman => "podman",
        })
    }
}

/// There is no such format.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected cosign2, cosign3, notation or podman, got {0:?}")]
pub struct BadFormat(pub String);

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(text: &str) -> Result<Self, BadFormat> {
        let named = Self::ALL.into_iter().find(|format| format.to_string() == text);
        named.ok_or_else(|| BadFormat(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_read_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        let error = "cosign".parse::<Format>().unwrap_err().to_string();
        assert_eq!(error, "expected cosign2, cosign3, notation or podman, got \"cosign\"");
    }
}

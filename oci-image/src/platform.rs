//! Platforms, and which image of an index runs on which.
//!
//! Names are normalised as containerd normalises them, so that the image verified here is the image
//! that a runtime picks. Left out on purpose: containerd also offers 32-bit `arm` images to an `arm64`
//! host. Asked about one architecture, this module never answers with another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An operating system and a processor.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Platform {
    /// The operating system, for example `linux`.
    pub os: String,
    /// The architecture in Go's spelling, for example `amd64`.
    pub architecture: String,
    /// The variant of the architecture, for example `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system; in practice for Windows only.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

impl Platform {
    /// The platform of the machine this runs on, with `linux` for the operating system wherever
    /// containers run in a Linux machine.
    pub fn host() -> Self {
        let os = if cfg!(target_os = "windows") { "windows" } else { "linux" };
        let host = Self {
            os: os.into(),
            architecture: std::env::consts::ARCH.into(),
            variant: None,
            os_version: None,
        };
        host.normalised()
    }

    /// The same platform in containerd's spelling: `aarch64` is `arm64`, and so on.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            os => os.to_owned(),
        };
        let variant = self.variant.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (architecture, variant) = architecture(&self.architecture.to_ascii_lowercase(), &variant);
        let variant = (!variant.is_empty()).then_some(variant);
        Self { os, architecture, variant, os_version: self.os_version.clone() }
    }

    /// How well an image for `offered` suits this platform: 0 is best, `None` is not at all.
    pub fn rank(&self, offered: &Self) -> Option<usize> {
        let (wanted, offered) = (self.normalised(), offered.normalised());
        let same_version = wanted.os_version.is_none() || wanted.os_version == offered.os_version;
        if wanted.os != offered.os || wanted.architecture != offered.architecture || !same_version {
            return None;
        }
        let accepted = fallbacks(&wanted.architecture, wanted.variant.as_deref());
        accepted.iter().position(|variant| *variant == offered.variant)
    }

    /// Whether an image for `offered` runs on this platform.
    pub fn accepts(&self, offered: &Self) -> bool {
        self.rank(offered).is_some()
    }

    /// `unknown/unknown`, which BuildKit writes for what is no image.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

/// containerd's `normalizeArch`.
fn architecture(name: &str, variant: &str) -> (String, String) {
    let (name, variant) = match (name, variant) {
        ("i386" | "i486" | "i586" | "i686" | "x86" | "386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1" | "1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64" | "arm64", variant) => ("arm64", variant),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        ("powerpc64le", variant) => ("ppc64le", variant),
        ("loongarch64", variant) => ("loong64", variant),
        other => other,
    };
    (name.into(), variant.into())
}

/// The variants that run where this one runs, best first.
fn fallbacks(architecture: &str, variant: Option<&str>) -> Vec<Option<String>> {
    let chain: &[&str] = match architecture {
        "arm" => &["v8", "v7", "v6", "v5"],
        "amd64" => &["v4", "v3", "v2"],
        "arm64" => &["v9", "v8"],
        _ => &[],
    };
    let mut accepted: Vec<_> = match variant.and_then(|variant| chain.iter().position(|v| *v == variant)) {
        Some(at) => chain.iter().skip(at).map(|variant| Some((*variant).to_owned())).collect(),
        None => vec![variant.map(str::to_owned)],
    };
    // The baseline of amd64 and arm64 is written without a variant; the one of arm is not.
    if variant.is_some() && matches!(architecture, "amd64" | "arm64") {
        accepted.push(None);
    }
    accepted
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = BadPlatform;

    fn from_str(text: &str) -> Result<Self, BadPlatform> {
        let bad = || BadPlatform { text: text.into() };
        let word = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(word) {
            return Err(bad());
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some((*variant).to_owned())),
            _ => return Err(bad()),
        };
        let platform = Self {
            os: (*os).to_owned(),
            architecture: (*architecture).to_owned(),
            variant,
            os_version: None,
        };
        Ok(platform.normalised())
    }
}

/// A text that is not a platform.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("expected a platform as in linux/amd64 or linux/arm/v7, got {text:?}")]
pub struct BadPlatform {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect(text)
    }

    #[test]
    fn spellings_are_normalised_as_containerd_does() {
        for (typed, read) in [
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
            ("linux/s390x", "linux/s390x"),
        ] {
            assert_eq!(platform(typed).to_string(), read, "{typed}");
        }
    }

    #[test]
    fn what_runs_where() {
        for (wanted, offered, rank) in [
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm64/v8", "linux/arm64", Some(0)),
            ("linux/arm", "linux/arm/v7", Some(0)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v7", "linux/arm/v5", Some(2)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm64", "linux/arm/v7", None),
            ("linux/amd64/v3", "linux/amd64", Some(2)),
            ("linux/amd64", "linux/amd64/v3", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/riscv64", "linux/riscv64", Some(0)),
        ] {
            assert_eq!(platform(wanted).rank(&platform(offered)), rank, "{wanted} {offered}");
        }
    }

    #[test]
    fn the_version_of_the_system_counts_when_asked_for() {
        let offered = Platform { os_version: Some("10.0.1".into()), ..platform("windows/amd64") };
        let other = Platform { os_version: Some("10.0.2".into()), ..platform("windows/amd64") };
        assert!(platform("windows/amd64").accepts(&offered));
        assert!(offered.accepts(&offered) && !other.accepts(&offered));
    }

    #[test]
    fn what_is_refused() {
        for typed in ["", "linux", "linux/", "a/b/c/d", "linux/a b", "/amd64"] {
            assert!(typed.parse::<Platform>().is_err(), "{typed:?}");
        }
    }
}

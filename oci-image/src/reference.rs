//! Image names, tags and references, read exactly as Docker's `distribution/reference` reads them.
//!
//! A reference is the name under which an image is trusted, so two readings of one text would be two
//! trust decisions. Where Docker and this module could differ, Docker is right, with two exceptions
//! that refuse more: only SHA-256 digests, and 255 characters for registry and repository together.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::digest::{BadDigest, Digest};

/// The registry of names without one.
pub const DOCKER_HUB: &str = "docker.io";

/// The longest name, registry and repository together (`NameTotalLengthMax`).
const NAME_MAX: usize = 255;

/// The longest tag (distribution specification, "Pulling manifests").
const TAG_MAX: usize = 128;

/// A registry and a repository in it: what tags and digests are looked up in.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ImageName {
    registry: String,
    repository: String,
}

impl ImageName {
    /// The registry's host and port, as it was written; `docker.io` if none was.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry, for example `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

impl FromStr for ImageName {
    type Err = BadReference;

    /// A name without tag or digest.
    fn from_str(text: &str) -> Result<Self, BadReference> {
        match split(text)? {
            (name, None, None) => Ok(name),
            _ => Err(BadReference::NotAName { text: text.into() }),
        }
    }
}

/// A tag: one to 128 of `A-Za-z0-9_.-`, not starting with `.` or `-`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(String);

impl Tag {
    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let later = |byte: u8| first(byte) || byte == b'.' || byte == b'-';
        match text.as_bytes() {
            [head, tail @ ..] if first(*head) && tail.len() < TAG_MAX && tail.iter().all(|b| later(*b)) => {
                Ok(Self(text.into()))
            }
            _ => Err(BadReference::Tag { tag: text.into() }),
        }
    }
}

/// A name with a tag, a digest, or both.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    name: ImageName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// Registry and repository.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// The tag, if one was written, or `latest` if nothing was.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one was written.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same reference, pinned to this digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The target path of the tag, `registry/repository:tag`.
    pub fn tag_path(&self) -> Option<String> {
        self.tag.as_ref().map(|tag| format!("{}:{tag}", self.name))
    }

    /// The target path of a digest, `registry/repository@sha256:…`.
    pub fn digest_path(&self, digest: Digest) -> String {
        format!("{}@{digest}", self.name)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let (name, tag, digest) = split(text)?;
        let tag = match (tag, digest) {
            (None, None) => Some(Tag("latest".into())),
            (tag, _) => tag,
        };
        Ok(Self { name, tag, digest })
    }
}

/// Name, tag and digest, in Docker's order: registry first, then what follows the name.
fn split(text: &str) -> Result<(ImageName, Option<Tag>, Option<Digest>), BadReference> {
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(BadReference::LooksLikeId { text: text.into() });
    }
    let (registry, rest) = split_registry(text);
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse()?)),
        None => (rest, None),
    };
    let (repository, tag) = match rest.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag.parse()?)),
        None => (rest, None),
    };
    Ok((image_name(registry, repository)?, tag, digest))
}

/// The first part is a registry if it has a dot, a colon or an uppercase letter, or is `localhost`.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.chars().any(|letter| letter.is_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DOCKER_HUB, text),
    }
}

fn image_name(registry: &str, repository: &str) -> Result<ImageName, BadReference> {
    let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
    let repository = match registry {
        DOCKER_HUB if !repository.contains('/') => format!("library/{repository}"),
        _ => repository.to_owned(),
    };
    if repository.chars().any(|letter| letter.is_uppercase()) {
        return Err(BadReference::Uppercase { repository });
    }
    if !is_host_and_port(registry) {
        return Err(BadReference::Registry { registry: registry.into() });
    }
    if !repository.split('/').all(is_path_component) {
        return Err(BadReference::Repository { repository });
    }
    let got = registry.len().saturating_add(repository.len()).saturating_add(1);
    if got > NAME_MAX {
        return Err(BadReference::Long { limit: NAME_MAX, got });
    }
    Ok(ImageName { registry: registry.into(), repository })
}

fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let host_is_good = if text.starts_with('[') {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
    } else {
        host.split('.').all(is_host_component)
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host_is_good && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
}

/// Letters and digits, with hyphens inside.
fn is_host_component(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Lowercase letters and digits, parted by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut runs = part.as_bytes().chunk_by(|a, b| alphanumeric(a) == alphanumeric(b)).peekable();
    let starts_well = runs.peek().is_some_and(|run| run.iter().all(alphanumeric));
    let ends_well = part.as_bytes().last().is_some_and(alphanumeric);
    let is_separator = |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-');
    starts_well && ends_well && runs.all(|run| run.iter().all(alphanumeric) || is_separator(run))
}

/// Why a text is not an image reference.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum BadReference {
    /// The registry is not a host with an optional port.
    #[error("not a registry host: {registry:?}")]
    Registry {
        /// What stood in its place.
        registry: String,
    },
    /// The repository has a character or an order of separators that is not allowed.
    #[error("not a repository name: {repository:?}")]
    Repository {
        /// What stood in its place.
        repository: String,
    },
    /// The repository has uppercase letters.
    #[error("a repository name must be lowercase: {repository:?}")]
    Uppercase {
        /// What was written.
        repository: String,
    },
    /// The tag is empty, too long, or has a character that is not allowed.
    #[error("not a tag: {tag:?}")]
    Tag {
        /// What was written.
        tag: String,
    },
    /// The digest is not a SHA-256 digest.
    #[error("not a digest: {0}")]
    Digest(#[from] BadDigest),
    /// The name is too long.
    #[error("an image name has at most {limit} characters, got {got}")]
    Long {
        /// The most that is allowed.
        limit: usize,
        /// The length found.
        got: usize,
    },
    /// 64 hex digits, which Docker takes for an image id.
    #[error("64 hex digits are an image id, not a name: {text}")]
    LooksLikeId {
        /// What was written.
        text: String,
    },
    /// A tag or digest where a name alone is expected.
    #[error("expected a name without tag or digest: {text:?}")]
    NotAName {
        /// What was written.
        text: String,
    },
    /// `oci:` without a folder.
    #[error("expected a folder after oci:, as in oci:DIR[:TAG][@DIGEST]")]
    NoFolder,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    /// Each case: what was typed, how Docker reads it.
    const READ: &[(&str, &str)] = &[
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("acme/web", "docker.io/acme/web:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/acme/web:1", "docker.io/acme/web:1"),
        ("docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("localhost/web", "localhost/web:latest"),
        ("localhost:5000/web", "localhost:5000/web:latest"),
        ("127.0.0.1:5000/acme/web:1.4", "127.0.0.1:5000/acme/web:1.4"),
        ("[::1]:5000/web", "[::1]:5000/web:latest"),
        ("[2001:db8::1]/web", "[2001:db8::1]/web:latest"),
        ("registry.example.com/a/b/c/d", "registry.example.com/a/b/c/d:latest"),
        ("Registry.Example.com/web", "Registry.Example.com/web:latest"),
        ("FOO/bar", "FOO/bar:latest"),
        ("a.b/c", "a.b/c:latest"),
        ("a__b/c---d.e", "docker.io/a__b/c---d.e:latest"),
        ("localhost", "docker.io/library/localhost:latest"),
        ("web:5000", "docker.io/library/web:5000"),
        ("web:_.-", "docker.io/library/web:_.-"),
    ];

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (typed, read) in READ {
            assert_eq!(&typed.parse::<Reference>().expect(typed).to_string(), read, "{typed}");
        }
    }

    #[test]
    fn a_digest_takes_the_place_of_latest() {
        let reference: Reference = format!("nginx@sha256:{HEX}").parse().unwrap();
        assert_eq!(reference.to_string(), format!("docker.io/library/nginx@sha256:{HEX}"));
        assert_eq!(reference.tag_path(), None);
    }

    #[test]
    fn a_tag_and_a_digest_are_both_kept() {
        let reference: Reference = format!("ghcr.io/acme/web:1@sha256:{HEX}").parse().unwrap();
        assert_eq!(reference.tag_path().unwrap(), "ghcr.io/acme/web:1");
        let digest = reference.digest().unwrap();
        assert_eq!(reference.digest_path(digest), format!("ghcr.io/acme/web@sha256:{HEX}"));
        assert_eq!(reference.to_string(), format!("ghcr.io/acme/web:1@sha256:{HEX}"));
    }

    #[test]
    fn printing_and_reading_again_changes_nothing() {
        for (typed, _) in READ {
            let once: Reference = typed.parse().unwrap();
            assert_eq!(once.to_string().parse::<Reference>().unwrap(), once, "{typed}");
        }
    }

    /// Each case: what was typed, why it is refused.
    const REFUSED: &[(&str, &str)] = &[
        ("", "not a repository name: \"library/\""),
        (":tag", "not a repository name: \"library/\""),
        ("NGINX", "a repository name must be lowercase: \"library/NGINX\""),
        ("ghcr.io/Acme/web", "a repository name must be lowercase: \"Acme/web\""),
        ("web:", "not a tag: \"\""),
        ("web:.a", "not a tag: \".a\""),
        ("web:a b", "not a tag: \"a b\""),
        ("web:1:2", "not a tag: \"1:2\""),
        ("a//b", "not a repository name: \"a//b\""),
        ("a/../b", "not a repository name: \"a/../b\""),
        ("a/./b", "not a repository name: \"a/./b\""),
        ("-a", "not a repository name: \"library/-a\""),
        ("a-", "not a repository name: \"library/a-\""),
        ("a___b", "not a repository name: \"library/a___b\""),
        ("a..b", "not a repository name: \"library/a..b\""),
        ("a._b", "not a repository name: \"library/a._b\""),
        ("a/b/", "not a repository name: \"a/b/\""),
        ("/a", "not a repository name: \"/a\""),
        ("https://ghcr.io/web", "not a registry host: \"https:\""),
        ("-x.io/web", "not a registry host: \"-x.io\""),
        ("x.io:/web", "not a registry host: \"x.io:\""),
        ("x.io:80a/web", "not a registry host: \"x.io:80a\""),
        ("x..io/web", "not a registry host: \"x..io\""),
        ("[::1/web", "not a registry host: \"[::1\""),
        ("[::g]:1/web", "not a registry host: \"[::g]:1\""),
        ("user@x.io/web", "not a registry host: \"user@x.io\""),
        ("web@sha256:00", "not a digest: expected 64 hex digits after sha256:, got 2"),
        ("web@sha512:00", "not a digest: expected a digest that starts with sha256:"),
        ("web@", "not a digest: expected a digest that starts with sha256:"),
        ("wéb", "not a repository name: \"library/wéb\""),
    ];

    #[test]
    fn what_is_refused_says_why() {
        for (typed, why) in REFUSED {
            let got = typed.parse::<Reference>().expect_err(typed).to_string();
            assert_eq!(&got, why, "{typed}");
        }
    }

    #[test]
    fn an_image_id_is_not_a_name() {
        assert!(matches!(HEX.parse::<Reference>(), Err(BadReference::LooksLikeId { .. })));
    }

    #[test]
    fn names_end_at_255_characters_and_tags_at_128() {
        let name = format!("a.io/{}", "x".repeat(250));
        assert!(name.parse::<Reference>().is_ok());
        let long = format!("{name}x").parse::<Reference>();
        assert_eq!(long, Err(BadReference::Long { limit: 255, got: 256 }));
        assert!(format!("web:{}", "t".repeat(128)).parse::<Reference>().is_ok());
        assert!(format!("web:{}", "t".repeat(129)).parse::<Reference>().is_err());
    }

    #[test]
    fn a_name_alone_has_no_tag() {
        assert_eq!("nginx".parse::<ImageName>().unwrap().to_string(), "docker.io/library/nginx");
        assert!("nginx:1".parse::<ImageName>().is_err());
    }
}

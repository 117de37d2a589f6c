//! Media types of manifests, indexes, configs and layers, OCI and Docker version 2 schema 2.

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The empty config of an artifact, `{}`.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// An OCI layer, uncompressed; `+gzip` and `+zstd` may follow.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// An OCI layer that registries may not hold, uncompressed; `+gzip` and `+zstd` may follow.
pub const OCI_FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// A Docker image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A Docker layer, uncompressed; `.gzip` and `.zstd` may follow.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// A Docker layer that registries may not hold, uncompressed; `.gzip` and `.zstd` may follow.
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";

/// What is asked for when a manifest is fetched.
pub const MANIFESTS: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/// The prefix of Docker's schema 1 manifests, plain and signed.
const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";

/// What a media type stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An image manifest.
    Manifest,
    /// An index or manifest list.
    Index,
    /// A manifest of Docker's schema 1, which can't be verified by its digest.
    Schema1,
    /// An image config.
    Config,
    /// A layer of an image's file system.
    Layer {
        /// How its tar archive is compressed.
        compression: Compression,
        /// Whether registries may refuse to hold it.
        foreign: bool,
    },
    /// Anything else, for example the content of an artifact.
    Other,
}

/// How a layer's tar archive is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// What this media type stands for. Compared exactly: media types of OCI have one spelling.
pub fn kind(media_type: &str) -> Kind {
    match media_type {
        OCI_MANIFEST | DOCKER_MANIFEST => Kind::Manifest,
        OCI_INDEX | DOCKER_LIST => Kind::Index,
        OCI_CONFIG | DOCKER_CONFIG => Kind::Config,
        other if other.starts_with(DOCKER_SCHEMA_1) => Kind::Schema1,
        other => layer(other).unwrap_or(Kind::Other),
    }
}

/// A media type without parameters such as `; charset=utf-8`, in lower case.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn layer(media_type: &str) -> Option<Kind> {
    let families = [
        (OCI_FOREIGN_LAYER, '+', true),
        (OCI_LAYER, '+', false),
        (DOCKER_FOREIGN_LAYER, '.', true),
        (DOCKER_LAYER, '.', false),
    ];
    families.into_iter().find_map(|(family, separator, foreign)| {
        let compression = compression(media_type.strip_prefix(family)?, separator)?;
        Some(Kind::Layer { compression, foreign })
    })
}

fn compression(suffix: &str, separator: char) -> Option<Compression> {
    match suffix {
        "" => Some(Compression::Plain),
        suffix => match suffix.strip_prefix(separator)? {
            "gzip" => Some(Compression::Gzip),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn layer_of(compression: Compression, foreign: bool) -> Kind {
        Kind::Layer { compression, foreign }
    }

    const KINDS: &[(&str, Kind)] = &[
        (OCI_MANIFEST, Kind::Manifest),
        (DOCKER_MANIFEST, Kind::Manifest),
        (OCI_INDEX, Kind::Index),
        (DOCKER_LIST, Kind::Index),
        (OCI_CONFIG, Kind::Config),
        (DOCKER_CONFIG, Kind::Config),
        (OCI_EMPTY, Kind::Other),
        ("application/vnd.docker.distribution.manifest.v1+json", Kind::Schema1),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", Kind::Schema1),
        ("application/vnd.oci.image.layer.v1.tar", layer_of(Compression::Plain, false)),
        ("application/vnd.oci.image.layer.v1.tar+gzip", layer_of(Compression::Gzip, false)),
        ("application/vnd.oci.image.layer.v1.tar+zstd", layer_of(Compression::Zstd, false)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", layer_of(Compression::Gzip, true)),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer_of(Compression::Gzip, false)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", layer_of(Compression::Gzip, true)),
        ("application/vnd.oci.image.layer.v1.tar+bzip2", Kind::Other),
        ("application/vnd.oci.image.layer.v1.tar.gzip", Kind::Other),
        ("Application/vnd.oci.image.manifest.v1+json", Kind::Other),
        ("", Kind::Other),
    ];

    #[test]
    fn every_media_type_has_its_kind() {
        for (media_type, expected) in KINDS {
            assert_eq!(kind(media_type), *expected, "{media_type}");
        }
    }

    #[test]
    fn parameters_are_no_part_of_the_type() {
        assert_eq!(essence("Application/JSON ; charset=utf-8"), "application/json");
    }
}

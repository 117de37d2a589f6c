//! Which image a verification summary names. SLSA leaves the form to whoever signs: a reference as registries have it,
//! or a package URL (ECMA-427) of type `oci`, or of type `docker` as Docker's tools write it.
//!
//! A name narrows what the statement's subject says, and never widens it. What isn't understood is another image's.

use oci_image::{Digest, ImageName, Reference};
use packageurl::PackageUrl;

use crate::verifiers::Asked;

/// The longest name that is read: a reference has at most some 400 bytes, and each may be escaped to three.
const RESOURCE_MAX: usize = 4096;

/// What a resource says of an image.
struct Named {
    name: ImageName,
    tag: Option<String>,
    digest: Option<Digest>,
    /// Whether it names one platform of it.
    one_platform: bool,
}

/// Whether a resource is what was asked about: the repository must be the same, and so must be the digest and the tag,
/// where both say one. One that names a platform is about its manifest alone, and not about what lists it.
pub(crate) fn is_about(resource: &str, subjects: &[Digest], asked: &Asked<'_>) -> bool {
    let Some(named) = Named::read(resource) else { return false };
    let same_tag = match (&named.tag, asked.name.tag()) {
        (Some(named), Some(asked)) => named == asked.as_str(),
        _ => true,
    };
    let same_digest = named.digest.is_none_or(|digest| digest == asked.top || digest == asked.part);
    let same_platform = !named.one_platform || subjects.contains(&asked.part);
    named.name == *asked.name.name() && same_tag && same_digest && same_platform
}

impl Named {
    fn read(resource: &str) -> Option<Self> {
        if resource.len() > RESOURCE_MAX {
            return None;
        }
        if resource.starts_with("pkg:") {
            return Self::by_purl(resource);
        }
        let text = ["oci://", "docker://"].iter().find_map(|scheme| resource.strip_prefix(scheme));
        let text = text.unwrap_or(resource);
        if let Ok(name) = text.parse::<ImageName>() {
            return Some(Self { name, tag: None, digest: None, one_platform: false });
        }
        let named = text.parse::<Reference>().ok()?;
        let tag = named.tag().map(|tag| tag.as_str().to_owned());
        Some(Self { name: named.name().clone(), tag, digest: named.digest(), one_platform: false })
    }

    fn by_purl(text: &str) -> Option<Self> {
        const KNOWN: [&str; 8] =
            ["arch", "digest", "mediatype", "os", "platform", "repository_url", "tag", "variant"];
        let purl: PackageUrl<'_> = text.parse().ok()?;
        let qualifiers = purl.qualifiers();
        let all_known = qualifiers.keys().all(|key| KNOWN.contains(&key.as_ref()));
        // Of one that is there twice, another reader may believe the other.
        let each_once = text.split_once('?').is_none_or(|(_, rest)| {
            rest.split('&').filter(|pair| !pair.ends_with('=')).count() == qualifiers.len()
        });
        if purl.subpath().is_some() || !all_known || !each_once {
            return None;
        }
        let said = |key: &str| qualifiers.get(key).map(|value| value.as_ref());
        let place = said("repository_url").map(|place| place.trim_end_matches('/'));
        let (name, version) = match (purl.ty(), place) {
            ("oci", Some(place)) => (oci_name(place, purl.name())?, Version::digest(purl.version())?),
            ("docker", place) => {
                let above = [place, purl.namespace()];
                let parts: Vec<_> = above.into_iter().flatten().chain([purl.name()]).collect();
                (parts.join("/").parse().ok()?, Version::digest_or_tag(purl.version())?)
            }
            // Type `oci` has no registry but the one that it names.
            _ => return None,
        };
        let digest = said("digest").map(str::parse::<Digest>).transpose().ok()?;
        let tag = said("tag").map(str::to_owned);
        let one_platform = ["arch", "os", "platform", "variant"].iter().any(|key| said(key).is_some());
        Some(Self {
            name,
            tag: agreed(version.tag, tag)?,
            digest: agreed(version.digest, digest)?,
            one_platform,
        })
    }
}

/// The repository of type `oci`: `repository_url` whole, or what is above the name, as some write it.
fn oci_name(place: &str, name: &str) -> Option<ImageName> {
    match place.rsplit_once('/') {
        Some((_, last)) if last == name => place.parse().ok(),
        _ => format!("{place}/{name}").parse().ok(),
    }
}

/// What stands behind the `@`.
#[derive(Default)]
struct Version {
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Version {
    fn digest(text: Option<&str>) -> Option<Self> {
        let digest = text.map(str::parse).transpose().ok()?;
        Some(Self { digest, tag: None })
    }

    /// No tag has a colon.
    fn digest_or_tag(text: Option<&str>) -> Option<Self> {
        match text {
            Some(tag) if !tag.contains(':') => Some(Self { tag: Some(tag.to_owned()), digest: None }),
            other => Self::digest(other),
        }
    }
}

/// What is said twice must be the same both times.
fn agreed<T: PartialEq>(one: Option<T>, other: Option<T>) -> Option<Option<T>> {
    match (one, other) {
        (Some(one), Some(other)) => (one == other).then_some(Some(one)),
        (one, other) => Some(one.or(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    const NAME: &str = "registry.example.com/acme/web:1.4";
    const TOP: &[u8] = b"index";
    const PART: &[u8] = b"part";

    fn about(resource: &str, name: &str, subject: &[u8]) -> bool {
        let (name, now) = (name.parse().unwrap(), DateTime::UNIX_EPOCH);
        let (top, part) = (Digest::of(TOP), Digest::of(PART));
        is_about(resource, &[Digest::of(subject)], &Asked { name: &name, top, part, now })
    }

    #[test]
    fn a_resource_is_the_image_in_each_of_its_spellings() {
        let (top, part) = (Digest::of(TOP), Digest::of(PART));
        let digest = format!("registry.example.com/acme/web@{top}");
        for (resource, name, is) in [
            (NAME, NAME, true),
            ("oci://registry.example.com/acme/web:1.4", NAME, true),
            ("docker://registry.example.com/acme/web", NAME, true),
            (&digest, NAME, true),
            (&format!("registry.example.com/acme/web@{part}"), NAME, true),
            (&format!("registry.example.com/acme/web:1.4@{part}"), NAME, true),
            (NAME, &digest, true),
            ("registry.example.com/acme/web:1.5", NAME, false),
            ("registry.example.com/acme/web:latest", NAME, false),
            ("registry.example.com:443/acme/web:1.4", NAME, false),
            (&format!("registry.example.com/acme/web@{}", Digest::of(b"x")), NAME, false),
            ("https://registry.example.com/acme/web:1.4", NAME, false),
            ("", NAME, false),
            ("web:1.4", NAME, false),
        ] {
            assert_eq!(about(resource, name, TOP), is, "{resource} {name}");
        }
    }

    #[test]
    fn package_urls_name_the_same_image_as_references() {
        let (top, part) = (Digest::of(TOP), Digest::of(PART));
        let escaped = top.to_string().replace(':', "%3A");
        for (resource, name) in [
            // As the type's definition has it, with the colon escaped or not.
            (format!("pkg:oci/web@{escaped}?repository_url=registry.example.com/acme/web&tag=1.4"), NAME),
            (format!("pkg:oci/web@{top}?repository_url=registry.example.com%2Facme%2Fweb&tag=1.4"), NAME),
            (format!("pkg:oci/web@{part}?repository_url=registry.example.com/acme/web"), NAME),
            ("pkg:oci/web?repository_url=registry.example.com/acme/web".to_owned(), NAME),
            // With what is above the name alone.
            (format!("pkg:oci/web@{top}?repository_url=registry.example.com/acme"), NAME),
            (format!("pkg:oci/pause@{top}?repository_url=registry.k8s.io"), "registry.k8s.io/pause:3.9"),
            (format!("pkg:oci/debian@{top}?repository_url=docker.io/library/debian&tag=12"), "debian:12"),
            (format!("pkg:oci/debian@{top}?repository_url=index.docker.io/library/debian"), "debian:12"),
            // As Docker's tools write it.
            (format!("pkg:docker/alpine@3.19?digest={escaped}"), "alpine:3.19"),
            ("pkg:docker/acme/web@1.4".to_owned(), "docker.io/acme/web:1.4"),
            (format!("pkg:docker/registry.example.com/acme/web@1.4?digest={top}"), NAME),
            (format!("pkg:docker/acme/web@{top}?repository_url=registry.example.com"), NAME),
            (format!("pkg:docker/localhost%3A5000/web@1?digest={part}"), "localhost:5000/web:1"),
            // As packageurl-python 0.17 does, which escapes neither colon nor slash.
            (format!("pkg:docker/localhost:5000/web@1?digest={part}"), "localhost:5000/web:1"),
            ("pkg:docker/localhost:5000/web@1".to_owned(), "localhost:5000/web:1"),
            (
                format!("pkg:oci/web@{top}?repository_url=localhost:5000/acme/web&tag=1.4"),
                "localhost:5000/acme/web:1.4",
            ),
        ] {
            assert!(about(&resource, name, TOP), "{resource} of {name}");
        }
    }

    #[test]
    fn package_urls_of_other_images_are_refused() {
        let (top, other) = (Digest::of(TOP), Digest::of(b"other"));
        let acme = "repository_url=registry.example.com/acme/web";
        for resource in [
            format!("pkg:oci/web@{other}?{acme}"),
            format!("pkg:oci/web@{top}?{acme}&tag=1.3"),
            format!("pkg:oci/web@{top}?repository_url=registry.example.com/other/web"),
            format!("pkg:oci/web@{top}?repository_url=other.example.com/acme/web"),
            format!("pkg:oci/other@{top}?{acme}"),
            // No registry is named.
            format!("pkg:oci/web@{top}"),
            format!("pkg:oci/web@{top}?tag=1.4"),
            format!("pkg:oci/web@1.4?{acme}"),
            format!("pkg:oci/web@{top}?{acme}&repository_url=registry.example.com/other/web"),
            format!("pkg:oci/web@{top}?repository_url=registry.example.com/other/web&{acme}"),
            format!("pkg:oci/web@{top}?{acme}&REPOSITORY_URL=registry.example.com/acme/web"),
            format!("pkg:oci/web@{top}?{acme}&digest={other}"),
            format!("pkg:oci/web@{top}?{acme}&layer=2"),
            format!("pkg:oci/web@{top}?{acme}#usr/bin"),
            format!("pkg:oci/web@{top}?{acme}?tag=1.4"),
            // Another file of the same name: what it names isn't this image.
            format!("pkg:generic/registry.example.com/acme/web@{top}?{acme}"),
            format!("pkg:docker/acme/web@1.4?digest={top}"),
            format!("pkg:docker/registry.example.com/acme/web@1.3?digest={top}"),
            format!("pkg:docker/registry.example.com/acme/web@1.4?digest={other}"),
            format!("pkg:docker/registry.example.com/acme/web@1.4?digest={top}&tag=1.3"),
            format!("pkg:docker/registry.example.com/acme/web@{other}"),
            "pkg:docker/registry.example.com/acme/web@1.4?digest=md5:00".to_owned(),
            format!("PKG:oci/web@{top}?{acme}"),
            "pkg:oci/%2e%2e@?repository_url=registry.example.com/acme/web".to_owned(),
            "pkg:".to_owned(),
            format!("pkg:oci/web@{top}?{acme}&tag={}", "1".repeat(RESOURCE_MAX)),
        ] {
            assert!(!about(&resource, NAME, TOP), "{resource}");
        }
    }

    #[test]
    fn one_that_names_a_platform_is_about_that_manifest_alone() {
        for qualifier in
            ["arch=arm64", "os=linux", "platform=linux%2Farm64", "platform=linux/arm64/v8", "variant=v8"]
        {
            let resource = format!("pkg:oci/web?repository_url=registry.example.com/acme/web&{qualifier}");
            assert!(about(&resource, NAME, PART), "{resource}");
            assert!(!about(&resource, NAME, TOP), "{resource}");
        }
    }
}

//! What others say of findings (OpenVEX 0.2.0): a finding that somebody who may speak says does not touch the image is
//! marked with who said so and why. It does not vanish.
//!
//! Whose word it is was settled before: this code is given statements, and by whom each was signed. A statement applies to
//! the product that it names, and to nothing that is only called alike.

use std::str::FromStr as _;

use chrono::{DateTime, Utc};
use packageurl::PackageUrl;

use crate::gate::{FIXED, Suppression};
use crate::report::{Finding, Report};

/// What is said of a vulnerability in a product.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VexStatement {
    /// Its names.
    pub vulnerability: Vec<String>,
    /// Whether the product is affected.
    pub status: VexStatus,
    /// Why not. Whoever says that a product isn't affected has to say why.
    pub reason: Option<String>,
    /// When it was said.
    pub time: Option<DateTime<Utc>>,
    /// Of which products. None: of nothing.
    pub products: Vec<VexProduct>,
    /// Who signed it.
    pub by: String,
}

/// Whether a product is affected.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum VexStatus {
    /// It was mended.
    Fixed,
    /// It isn't.
    NotAffected,
    /// Nobody knows yet.
    UnderInvestigation,
    /// It is.
    Affected,
}

/// What a statement is about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VexProduct {
    /// Its names: package URLs, or the digest of an image.
    pub names: Vec<String>,
    /// Its SHA-256 in hex.
    pub sha256: Option<String>,
    /// Names of parts of it. None: all of it.
    pub parts: Vec<String>,
}

impl Report {
    /// Marks the findings that somebody who may speak says don't touch this image. Of several statements the latest
    /// counts, and of two at once the one that is worse news.
    #[must_use]
    pub fn with_vex(mut self, statements: &[VexStatement]) -> Self {
        let digests: Vec<&str> = [self.image.digest.as_str(), self.image.manifest.as_str()]
            .iter()
            .filter_map(|digest| digest.strip_prefix("sha256:"))
            .collect();
        for finding in &mut self.findings {
            let latest = statements
                .iter()
                .filter(|statement| statement.is_about(finding, &digests))
                .max_by_key(|statement| (statement.time, statement.status, statement.reason.is_none()));
            if let Some(statement) = latest {
                finding.suppressed = statement.suppression();
            }
        }
        self
    }
}

impl VexStatement {
    fn is_about(&self, finding: &Finding, digests: &[&str]) -> bool {
        let named = self.vulnerability.iter().any(|name| {
            finding.id.eq_ignore_ascii_case(name)
                || finding.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
        });
        named && self.products.iter().any(|product| product.holds(finding, digests))
    }

    /// `None` where the finding stands.
    fn suppression(&self) -> Option<Suppression> {
        let reason = match (self.status, &self.reason) {
            (VexStatus::NotAffected, Some(reason)) => format!("not affected: {reason}"),
            (VexStatus::Fixed, reason) => {
                let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("{FIXED}{why}")
            }
            // OpenVEX asks for a reason: without one, anything could be said.
            (VexStatus::NotAffected, None) | (VexStatus::UnderInvestigation | VexStatus::Affected, _) => {
                return None;
            }
        };
        Some(Suppression { by: format!("vex by {}", self.by), reason, expires: None })
    }
}

impl VexProduct {
    fn holds(&self, finding: &Finding, digests: &[&str]) -> bool {
        let is_image = self.sha256.as_deref().is_some_and(|hex| digests.contains(&hex))
            || self.names.iter().any(|name| names_image(name, digests));
        if is_image {
            return self.parts.is_empty() || self.parts.iter().any(|part| names_package(part, &finding.purl));
        }
        // A package is a product of its own; what it says of parts is about what is within it, which isn't told here.
        self.parts.is_empty() && self.names.iter().any(|name| names_package(name, &finding.purl))
    }
}

/// Whether a name is that of the image, by its digest: a name alone could stand for any.
fn names_image(name: &str, digests: &[&str]) -> bool {
    let is = |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| digests.contains(&hex));
    if is(name) {
        return true;
    }
    let Ok(purl) = PackageUrl::from_str(name) else { return false };
    matches!(purl.ty(), "oci" | "docker") && purl.version().is_some_and(is)
}

/// Whether a package URL is that of a component: every member that it has must be the component's.
fn names_package(name: &str, component: &str) -> bool {
    let (Ok(wanted), Ok(got)) = (PackageUrl::from_str(name), PackageUrl::from_str(component)) else {
        return false;
    };
    wanted.ty() == got.ty()
        && wanted.namespace() == got.namespace()
        && wanted.name() == got.name()
        && wanted.version().is_none_or(|version| Some(version) == got.version())
        && wanted.qualifiers().iter().all(|(key, value)| got.qualifiers().get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "1111111111111111111111111111111111111111111111111111111111111111";

    #[test]
    fn an_image_is_named_by_its_digest_alone() {
        for (name, is) in [
            (format!("sha256:{DIGEST}"), true),
            (format!("pkg:oci/web@sha256%3A{DIGEST}?repository_url=r.io/acme/web"), true),
            (format!("pkg:docker/acme/web@sha256:{DIGEST}"), true),
            (format!("pkg:oci/web@sha256%3A{}", DIGEST.replace('1', "2")), false),
            ("pkg:oci/web".to_owned(), false),
            ("pkg:oci/web@1.4".to_owned(), false),
            (format!("pkg:npm/web@sha256:{DIGEST}"), false),
            (DIGEST.to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(names_image(&name, &[DIGEST]), is, "{name}");
        }
    }

    #[test]
    fn a_package_is_named_by_all_that_is_said_of_it() {
        let bash = "pkg:deb/debian/bash@5.2.15-2?arch=amd64&distro=debian-12";
        for (name, is) in [
            (bash, true),
            ("pkg:deb/debian/bash", true),
            ("pkg:deb/debian/bash@5.2.15-2", true),
            ("pkg:deb/debian/bash?arch=amd64", true),
            ("pkg:deb/debian/bash@5.2.15-3", false),
            ("pkg:deb/debian/bash?arch=arm64", false),
            ("pkg:deb/ubuntu/bash", false),
            ("pkg:deb/bash", false),
            ("pkg:npm/bash", false),
            ("bash", false),
        ] {
            assert_eq!(names_package(name, bash), is, "{name}");
        }
    }
}

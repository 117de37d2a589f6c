//! Patterns of names of images.

use oci_image::{DOCKER_HUB, ImageName};
use tuf_core::PathPattern;

/// Hosts by which Docker Hub answers too.
const HUB_HOSTS: [&str; 3] = ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// A name in the one spelling by which rules go: whoever writes a host in capitals, or with the port that it has anyway,
/// gets the same images, and must meet the same rule.
#[must_use]
pub fn canonical(name: &ImageName) -> String {
    let registry = name.registry().to_ascii_lowercase();
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            match port.trim_start_matches('0') {
                "443" => host.to_owned(),
                port => format!("{host}:{port}"),
            }
        }
        _ => registry,
    };
    let host = if HUB_HOSTS.contains(&host.as_str()) { DOCKER_HUB.to_owned() } else { host };
    let repository = name.repository();
    match host == DOCKER_HUB && !repository.contains('/') {
        true => format!("{host}/library/{repository}"),
        false => format!("{host}/{repository}"),
    }
}

/// Whether a pattern fits the name of an image without its tag, such as `registry.example.com/acme/web`. `*` and `?`
/// stand for what is within one part of a name; `/**` at the end for any parts that follow; `**` alone for every
/// name.
#[must_use]
pub fn covers(pattern: &str, name: &str) -> bool {
    if pattern == "**" {
        return true;
    }
    let Some(stem) = pattern.strip_suffix("/**") else { return PathPattern::new(pattern).matches(name) };
    let parts = stem.split('/').count();
    let mut ends = name.match_indices('/').map(|(at, _)| at);
    let end = parts.checked_sub(1).and_then(|last| ends.nth(last));
    end.and_then(|end| name.get(..end)).is_some_and(|start| PathPattern::new(stem).matches(start))
}

/// What is wrong with a pattern, so that it could never fit, or not as its writer means it.
pub(crate) fn fault(pattern: &str) -> Option<&'static str> {
    let last = pattern.rsplit('/').next().unwrap_or(pattern);
    let parts = || pattern.split('/');
    if pattern == "**" {
        None
    } else if parts().any(str::is_empty) || parts().any(|part| part == "." || part == "..") {
        Some("a pattern of names such as registry.example.com/acme/**, without empty parts and dots")
    } else if pattern.contains('@') || (pattern.contains('/') && last.contains(':')) {
        Some("a pattern of names without tag or digest: tags have rules of their own, `tags`")
    } else if parts().next().is_some_and(|host| {
        host.chars().any(char::is_uppercase) || host.ends_with(":443") || HUB_HOSTS.contains(&host)
    }) {
        Some("a host in lower case, without :443, and docker.io for Docker Hub: names are compared so")
    } else if !pattern.contains('/') {
        Some("a registry and a repository, such as docker.io/library/*, or ** for every name")
    } else if parts().take(parts().count().saturating_sub(1)).any(|part| part.contains("**")) {
        Some("** as the last part alone: registry.example.com/acme/**")
    } else if last != "**" && last.contains("**") {
        Some("** as a part of its own, or *")
    } else if pattern
        .chars()
        .any(|c| c.is_uppercase() && pattern.find('/').is_some_and(|at| pattern.find(c) > Some(at)))
    {
        Some("lower case: names of repositories have no other")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_what_it_says_and_no_more() {
        for (pattern, name, fits) in [
            ("r.io/acme/web", "r.io/acme/web", true),
            ("r.io/acme/*", "r.io/acme/web", true),
            ("r.io/acme/*", "r.io/acme/team/web", false),
            ("r.io/acme/**", "r.io/acme/team/web", true),
            ("r.io/acme/**", "r.io/acme", false),
            ("r.io/acme/**", "r.io/acme2/web", false),
            ("r.io/acme/**", "evil.io/r.io/acme/web", false),
            ("*/acme/**", "r.io/acme/web", true),
            ("r.io/ac*/web", "r.io/acme/web", true),
            ("**", "anything.io/at/all", true),
            ("registry.example.com/**", "registry.example.com.evil.example/acme/web", false),
            ("docker.io/library/nginx", "docker.io/library/nginx", true),
        ] {
            assert_eq!(covers(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_could_never_fit_is_a_fault() {
        for good in ["r.io/a", "r.io:5000/a/**", "**", "r.io/a*/b?", "*/library/*"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in [
            "",
            "r.io",
            "r.io//a",
            "r.io/../a",
            "r.io/a:1",
            "r.io/a@sha256:0",
            "r.io/**/a",
            "r.io/a**",
            "r.io/A",
            "R.io/a",
            "r.io:443/a",
            "index.docker.io/library/*",
        ] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}

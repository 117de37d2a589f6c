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

/// Whether a pattern fits every name that another one fits. Where that can't be told at a glance, it is no.
pub(crate) fn covers_all_of(pattern: &str, other: &str) -> bool {
    let parts = |pattern: &str| pattern.split('/').map(str::to_owned).collect::<Vec<_>>();
    match (pattern.strip_suffix("/**"), other.strip_suffix("/**")) {
        _ if pattern == "**" => true,
        _ if other == "**" => false,
        (None, Some(_)) => false,
        (stem, below) => {
            let (first, second) = (parts(stem.unwrap_or(pattern)), parts(below.unwrap_or(other)));
            let (one, all) = (first.len(), second.len());
            let long_enough = match (stem, below) {
                (None, _) => one == all,
                (Some(_), Some(_)) => one <= all,
                (Some(_), None) => one < all,
            };
            long_enough && first.iter().zip(&second).all(|(part, other)| part_covers(part, other))
        }
    }
}

/// The same of one part: what `*` stands for, only `*` covers.
fn part_covers(pattern: &str, other: &str) -> bool {
    let (mut pattern, mut other) = (pattern.chars(), other.chars());
    let mut retry = None;
    loop {
        let before = other.clone();
        match (pattern.next(), other.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((pattern.clone(), before.clone()));
                other = before;
            }
            (Some('?'), Some(one)) if one != '*' => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after_star, mut from)) = retry.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                retry = Some((after_star.clone(), from.clone()));
                (pattern, other) = (after_star, from);
            }
        }
    }
}

/// What is wrong with a pattern of tags.
pub(crate) fn tag_fault(pattern: &str) -> Option<&'static str> {
    let good = |one: char| one.is_ascii_alphanumeric() || "._-*?".contains(one);
    match !pattern.is_empty() && pattern.chars().all(good) {
        true => None,
        false => Some("a pattern of tags such as 1.* or latest: letters, digits, '.', '_', '-', * and ?"),
    }
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
    } else if parts()
        .skip(1)
        .flat_map(str::chars)
        .any(|one| !one.is_ascii_alphanumeric() && !"._-*?".contains(one))
    {
        Some("letters, digits, '.', '_', '-', * and ?: names have no others, and nothing else is a wildcard")
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
            "r.io/[a-z]*",
            "r.io/{a,b}",
            "r.io/a b",
            "r.io/!a",
        ] {
            assert!(fault(bad).is_some(), "{bad}");
        }
        for (tag, good) in [("1.*", true), ("*-rc?", true), ("", false), ("[0-9]*", false), ("a:b", false)] {
            assert_eq!(tag_fault(tag).is_none(), good, "{tag}");
        }
    }

    #[test]
    fn a_pattern_covers_another_where_it_fits_all_of_its_names() {
        for (pattern, other, covers) in [
            ("**", "r.io/a/**", true),
            ("r.io/**", "**", false),
            ("r.io/**", "r.io/a/*", true),
            ("r.io/**", "r.io/a/**", true),
            ("r.io/a/**", "r.io/**", false),
            ("r.io/a/**", "r.io/a", false),
            // One part isn't any.
            ("r.io/a/*", "r.io/a/**", false),
            ("r.io/a/*", "r.io/a/b*", true),
            ("r.io/a/*", "r.io/a/b", true),
            ("r.io/a/b*", "r.io/a/*", false),
            ("r.io/a/b?", "r.io/a/b*", false),
            ("r.io/a/?b", "r.io/a/cb", true),
            ("r.io/a/?b", "r.io/a/?b", true),
            ("r.io/a/*b*", "r.io/a/c*b?", true),
            ("*/a/**", "r.io/a/b", true),
            ("r.io/a/**", "*/a/b", false),
        ] {
            assert_eq!(covers_all_of(pattern, other), covers, "{pattern} {other}");
        }
    }
}

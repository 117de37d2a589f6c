//! Path patterns of delegations (section 4.5), and the names of files (sections 4.2 and 6.2).

use alloc::format;
use alloc::string::String;

use serde::Deserialize;

/// PATHPATTERN of section 4.5: `*` and `?` stand for any characters but `/`.
///
/// Brackets stand for themselves. A client that reads `[a-c]` as a set matches more than this one, so a
/// difference can only hide a target, never admit one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct PathPattern(String);

impl PathPattern {
    /// A pattern from its text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern covers `path`: segment by segment, case counts.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.0.split('/').count() == path.split('/').count()
            && self.0.split('/').zip(path.split('/')).all(|(pattern, text)| glob(pattern, text))
    }
}

/// Linear-time glob: on a mismatch only the last `*` takes one character more.
fn glob(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut retry = None;
    loop {
        let before_text = text.clone();
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((pattern.clone(), before_text.clone()));
                text = before_text;
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after_star, mut from)) = retry.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                retry = Some((after_star.clone(), from.clone()));
                pattern = after_star;
                text = from;
            }
        }
    }
}

/// The file name of a role's metadata: percent-encoded, so that no role name can leave its folder, and
/// with the version where snapshots are consistent.
#[must_use]
pub fn metadata_file_name(role: &str, version: Option<u64>) -> String {
    let name = percent_encode(role);
    version.map_or_else(|| format!("{name}.json"), |version| format!("{version}.{name}.json"))
}

/// The name under which a target is stored: `dir/HASH.name` where snapshots are consistent (section 6.2).
#[must_use]
pub fn consistent_target_name(path: &str, hash: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{hash}.{name}"),
        None => format!("{hash}.{path}"),
    }
}

/// RFC 3986: all but the unreserved characters.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_one_level_and_care_for_case() {
        let cases: &[(&str, &str, bool)] = &[
            ("registry.example.com/acme/*", "registry.example.com/acme/web:1.4", true),
            ("registry.example.com/acme/*", "registry.example.com/acme/team/web:1.4", false),
            ("registry.example.com/acme/*", "registry.example.com/ACME/web:1.4", false),
            ("*", "a", true),
            ("*", "a/b", false),
            ("a/*/c", "a//c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?c", "a/c", false),
            ("*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaab", true),
            ("*a*a*a*a*a*a*c", "aaaaaaaaaaaaaaaaaaaaaaaab", false),
            ("", "", true),
            ("[ab]", "a", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(PathPattern::new(*pattern).matches(path), *expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn no_role_name_leaves_its_folder() {
        assert_eq!(metadata_file_name("../up", Some(3)), "3...%2Fup.json");
        assert_eq!(metadata_file_name("?", None), "%3F.json");
        assert_eq!(consistent_target_name("a/b/c", "00"), "a/b/00.c");
        assert_eq!(consistent_target_name("c", "00"), "00.c");
    }
}

//! Under which names the files of a repository of The Update Framework lie in a registry, as docker/attest has
//! it: which role a file is of, and under which tag a role's files are. Whoever reads them and whoever writes
//! them ask here.
//!
//! Nothing is decoded here: names are compared and hashed as they stand in the file's name. What is in the
//! files is nobody's business here.

use crate::digest::Digest;
use crate::reference::Tag;

/// The annotation of a layer that says which file it is.
pub const FILE_NAME: &str = "tuf.io/filename";

/// The media type of a layer that is a file of metadata.
pub const METADATA: &str = "application/vnd.tuf.metadata+json";

/// The media type of a layer that is a target.
pub const TARGET: &str = "application/vnd.tuf.target";

/// The prefix of tags for the roles whose name can't be one. A role that is called so is such a role, so tags
/// that begin with it and go on with anything but 64 hexadecimal digits are no role's.
pub const ENCODED: &str = "role-sha256-";

/// Where a file stands in an update.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked<'a> {
    /// A root of this version: an update begins, or goes on along the chain.
    Root(u64),
    /// The timestamp, which is asked for once an update.
    Timestamp,
    /// Another file of a top-level role, which the timestamp leads to.
    Stated,
    /// A file of the delegated role of this name, percent-encoded.
    Delegated(&'a str),
}

impl<'a> Asked<'a> {
    /// Reads `[VERSION.]ROLE.json`. In this layout only the timestamp has no version (TUF 6.2, consistent
    /// snapshots), so digits in front of the first dot are one.
    pub fn of(name: &'a str) -> Self {
        let stem = name.strip_suffix(".json").unwrap_or(name);
        let (version, role) = match stem.split_once('.') {
            Some((digits, role)) if is_number(digits) => (digits.parse().unwrap_or(u64::MAX), role),
            _ => (0, stem),
        };
        match role {
            "root" => Self::Root(version),
            "timestamp" => Self::Timestamp,
            "snapshot" | "targets" => Self::Stated,
            role => Self::Delegated(role),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The tag of a delegated role: its name, as docker/attest has it, where that is a tag and no other role's;
/// else the name's SHA-256 behind a prefix, which is a tag for every name and the same one for no two.
pub fn tag_of(role: &str, top: &str) -> String {
    let plain = role.parse::<Tag>().is_ok() && role != top && !role.starts_with(ENCODED);
    if plain { role.to_owned() } else { format!("{ENCODED}{}", Digest::of(role.as_bytes()).hex()) }
}

/// The prefix of tags for targets whose name can't be one.
const TARGET_ENCODED: &str = "target-sha256-";

/// The tag of a target in the repository of targets, by its name there: its name, as docker/attest has it, where that is
/// a tag; else the name's SHA-256 behind a prefix.
pub fn target_tag(name: &str) -> String {
    let plain = name.parse::<Tag>().is_ok() && !is_target_encoded(name);
    if plain { name.to_owned() } else { format!("{TARGET_ENCODED}{}", Digest::of(name.as_bytes()).hex()) }
}

/// Whether a tag is, or looks like, that of a target whose name can't be one.
pub fn is_target_encoded(tag: &str) -> bool {
    tag.starts_with(TARGET_ENCODED)
}

/// The repository of the targets, beside that of the metadata.
pub fn targets_of(metadata: &str) -> String {
    format!("{metadata}-targets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_tells_its_role() {
        for (name, asked) in [
            ("1.root.json", Asked::Root(1)),
            ("99999999999999999999.root.json", Asked::Root(u64::MAX)),
            ("root.json", Asked::Root(0)),
            ("timestamp.json", Asked::Timestamp),
            ("7.snapshot.json", Asked::Stated),
            ("7.targets.json", Asked::Stated),
            ("3.doi.json", Asked::Delegated("doi")),
            ("3.npm.example.json", Asked::Delegated("npm.example")),
            ("3.1.2.json", Asked::Delegated("1.2")),
            ("3..json", Asked::Delegated("")),
            ("3.a%2Fb.json", Asked::Delegated("a%2Fb")),
            ("npm.example.json", Asked::Delegated("npm.example")),
            ("x", Asked::Delegated("x")),
        ] {
            assert_eq!(Asked::of(name), asked, "{name}");
        }
    }

    #[test]
    fn plain_roles_are_their_own_tags_and_the_others_share_none() {
        let long = "x".repeat(129);
        for role in ["doi", "npm.example", "bins-0f", "_a", "1", &long[..128]] {
            assert_eq!(tag_of(role, "latest"), role);
        }
        let squatter = tag_of("a%2Fb", "latest");
        let odd = ["a%2Fb", "a%2FB", "", ".a", "-a", "a~", "%2E", "latest", &long, &squatter];
        let tags: std::collections::BTreeSet<_> = odd.iter().map(|role| tag_of(role, "latest")).collect();
        assert_eq!(tags.len(), odd.len());
        for tag in &tags {
            assert!(tag.parse::<Tag>().is_ok() && tag.starts_with(ENCODED), "{tag}");
            assert!(!odd.contains(&tag.as_str()) || *tag == squatter, "{tag}");
        }
        // The tag of the top-level roles is the only other one that is taken.
        assert_eq!(tag_of("latest", "v2"), "latest");
        assert_eq!(
            tag_of("a%2Fb", "latest"),
            "role-sha256-771723a684e0f10fdcc8940e71c27d1a08a49a566514935a9af3ef6950e04ce9"
        );
    }
}

//! The answer of `signer import`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Report, day};
use crate::report::Role;

/// The answer.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    pub dry_run: bool,
    /// The folder that was taken over.
    pub imported: String,
    /// The repository that was made of it.
    pub repository: String,
    /// The folder to serve.
    pub published: String,
    /// The version of the root that trust starts at.
    pub root_version: u64,
    /// The SHA-256 of that root, to compare over the telephone.
    pub root_sha256: String,
    /// Whether files are named by version and hash (TUF 6.2). Where not, the next publish signs a root that says
    /// so.
    pub consistent_snapshot: bool,
    /// The roles, bins aside: their keys, and when they expire.
    pub roles: Vec<Role>,
    /// How many bins there are.
    pub bins: u64,
    /// How many files of metadata were copied.
    pub metadata_files: u64,
    /// How many targets are listed whose file was copied.
    pub targets_present: u64,
    /// How many targets are listed whose file isn't there: it is served from elsewhere.
    pub targets_absent: u64,
}

impl Report for Import {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn text(&self) -> String {
        let mut out = match self.dry_run {
            true => {
                format!("{} can be imported into {}; nothing was written\n", self.imported, self.repository)
            }
            false => format!("imported {} into {}\n", self.imported, self.repository),
        };
        let _ = writeln!(out, "  trust starts at root {}, sha256:{}", self.root_version, self.root_sha256);
        for Role { role, version, expires, threshold, key_ids, .. } in &self.roles {
            let keys = key_ids.len();
            let expires = day(*expires);
            let _ =
                writeln!(out, "  {role:<9} {version:>4}  expires {expires}, {threshold} of {keys} keys sign");
        }
        if self.bins > 0 {
            let _ = writeln!(out, "  and {} bins", self.bins);
        }
        let _ = writeln!(out, "{} files of metadata, byte for byte", self.metadata_files);
        let _ = match (self.targets_present, self.targets_absent) {
            (present, 0) => writeln!(out, "{present} targets, with their files"),
            (present, absent) => {
                writeln!(out, "{present} targets with their files; {absent} whose file isn't there")
            }
        };
        if !self.consistent_snapshot {
            let _ = writeln!(
                out,
                "files have no version in their names: the next publish signs a root that gives"
            );
            let _ = writeln!(out, "  them one, so it needs the keys of root");
        }
        let _ = writeln!(out, "next: `signer key import NAME FILE` for each key that shall sign here");
        out
    }
}

//! What `signer key …` answers. Never a private half.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::edit::short;

/// The answer of `signer key …`: all keys, or the one that the command was about.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The version of this report.
    pub version: u32,
    /// Whether people are shown the public half too.
    #[serde(skip)]
    pub in_full: bool,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// The files that were written, or would have been.
    #[serde(default)]
    pub writes: Vec<String>,
    /// The keys, by name.
    pub keys: Vec<OneKey>,
}

/// A key in `keys/`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OneKey {
    /// What it is called here.
    pub name: String,
    /// `file`, or the URI of what holds it.
    pub place: String,
    /// Its SCHEME (TUF 4.2.1), where its public half is known.
    pub kind: Option<String>,
    /// Its id.
    pub key_id: Option<String>,
    /// The roles that it may sign for, as published and staged.
    pub signs: Vec<String>,
    /// Its public half, as PEM.
    pub public: Option<String>,
}

impl Keys {
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for key in &self.keys {
            let id = key.key_id.as_deref().map_or_else(|| "?".to_owned(), short);
            let kind = key.kind.as_deref().unwrap_or("closed: no public half beside it");
            let signs = if key.signs.is_empty() { "nothing".to_owned() } else { key.signs.join(", ") };
            let place = if key.place == "file" { String::new() } else { format!(", in {}", key.place) };
            let _ = writeln!(out, "{:<16} {id:<12}  {kind}, signs {signs}{place}", key.name);
            if let Some(public) = key.public.as_ref().filter(|_| self.in_full) {
                let _ = writeln!(out, "{}", public.trim_end());
            }
        }
        let wrote = if self.dry_run { "would write" } else { "wrote" };
        for path in &self.writes {
            let _ = writeln!(out, "{wrote} {path}");
        }
        out
    }
}

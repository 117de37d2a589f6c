//! What commands answer, for people and for programs. The schemas are in `docs/schema/signer-*.json`.
//!
//! `version` is 1. Members may be added to it; what is there keeps its meaning.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _, stdout};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use oci_image::Digest;
use serde::{Deserialize, Serialize};

use crate::args::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::reports::Report;
use crate::reports::ceremony::Ceremony;
use crate::reports::duty::Duty;
use crate::reports::edits::{Delegations, Edits, Reset};
use crate::reports::for_others::ForOthers;
use crate::reports::keys::Keys;
use crate::terminal::shown;

/// The version of every report here.
pub const VERSION: u32 = 1;

/// How many names are written at once.
const IN_A_PART: usize = 1000;

/// What stands above an answer that came of nothing but a rehearsal.
const DRY_RUN: &str = "dry run, nothing was written. What would be said:";

/// Any command's answer.
#[derive(Debug)]
pub(crate) enum Answer {
    Init(Init),
    Add(Add),
    Remove(Remove),
    Status(Status),
    Publish(Publish),
    Reset(Reset),
    Edits(Edits),
    Delegations(Delegations),
    Ceremony(Ceremony),
    Keys(Keys),
    /// One of `reports/`.
    Other(Box<dyn Report>),
}

impl Answer {
    pub(crate) fn print(&self, format: Format) -> Result<(), Failure> {
        let mut out = stdout().lock();
        let written = match (self, format) {
            (Self::Publish(report), Format::Text) => {
                report.parts().try_for_each(|part| out.write_all(shown(&part).as_bytes()))
            }
            (_, Format::Text) => {
                let text = if self.dry_run() { format!("{DRY_RUN}\n{}", self.text()) } else { self.text() };
                writeln!(out, "{}", shown(text.trim_end()))
            }
            (_, Format::Json) => {
                let text = self.json()?;
                writeln!(out, "{text}")
            }
        };
        match written {
            // Whoever read has seen enough.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::unknown(format!("standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    fn json(&self) -> Result<String, Failure> {
        match self {
            Self::Init(report) => serde_json::to_string_pretty(report),
            Self::Add(report) => serde_json::to_string_pretty(report),
            Self::Remove(report) => serde_json::to_string_pretty(report),
            Self::Status(report) => serde_json::to_string_pretty(report),
            Self::Publish(report) => serde_json::to_string_pretty(report),
            Self::Reset(report) => serde_json::to_string_pretty(report),
            Self::Edits(report) => serde_json::to_string_pretty(report),
            Self::Delegations(report) => serde_json::to_string_pretty(report),
            Self::Ceremony(report) => serde_json::to_string_pretty(report),
            Self::Keys(report) => serde_json::to_string_pretty(report),
            Self::Other(report) => report.json(),
        }
        .map_err(Failure::unknown)
    }

    fn text(&self) -> String {
        match self {
            Self::Init(report) => report.text(),
            Self::Add(report) => report.text(),
            Self::Remove(report) => report.text(),
            Self::Status(report) => report.text(),
            Self::Publish(report) => report.text(),
            Self::Reset(report) => report.text(),
            Self::Edits(report) => report.text(),
            Self::Delegations(report) => report.text(),
            Self::Ceremony(report) => report.text(),
            Self::Keys(report) => report.text(),
            Self::Other(report) => report.text(),
        }
    }

    /// Whether people must be told that nothing was written. Where the text itself says so, they aren't.
    fn dry_run(&self) -> bool {
        match self {
            Self::Init(report) => report.dry_run,
            Self::Add(report) => report.dry_run,
            Self::Remove(report) => report.dry_run,
            Self::Reset(report) => report.dry_run,
            Self::Edits(report) => report.dry_run,
            Self::Ceremony(report) => report.dry_run,
            Self::Status(_) | Self::Publish(_) | Self::Delegations(_) | Self::Keys(_) => false,
            Self::Other(report) => report.dry_run(),
        }
    }

    /// How the run ends that answers so.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Status(status) => status.exit(),
            Self::Publish(publish) => publish.exit(),
            Self::Other(report) => report.exit(),
            _ => Exit::Done,
        }
    }
}

/// The answer of `signer init`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// The repository that was made.
    pub repository: String,
    /// The folder to serve.
    pub published: String,
    /// The root to hand to users.
    pub root: String,
    /// The SHA-256 of the root, to compare over the telephone; empty in a dry run, whose root is thrown away.
    pub root_sha256: String,
    /// Whether the keys need a passphrase.
    pub encrypted_keys: bool,
    /// The roles, their keys and when they expire.
    pub roles: Vec<Role>,
}

impl Init {
    fn text(&self) -> String {
        let mut out = format!("made {}\n", self.repository);
        for role in &self.roles {
            role.line(&mut out, None);
        }
        let _ = writeln!(out, "serve {}", self.published);
        let _ = writeln!(out, "hand to users {}", self.root);
        match self.root_sha256.as_str() {
            "" => {}
            sha256 => {
                let _ = write!(out, "  sha256:{sha256}");
            }
        }
        out
    }
}

/// One top-level role.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub role: String,
    /// The version of its statement.
    pub version: u64,
    /// When that expires.
    #[cfg_attr(test, schemars(with = "String"))]
    pub expires: DateTime<Utc>,
    /// How many of its keys must sign.
    pub threshold: u32,
    /// The ids of its keys.
    pub key_ids: Vec<String>,
    /// The role that delegates to it; none for a top-level role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated_by: Option<String>,
}

impl Role {
    fn line(&self, out: &mut String, now: Option<DateTime<Utc>>) {
        let expires = self.expires.format("%Y-%m-%d %H:%M UTC");
        let _ = write!(out, "  {:<9} {:>4}  expires {expires}", self.role, self.version);
        if let Some(now) = now {
            let _ = write!(out, " ({})", relative(self.expires, now));
        }
        out.push('\n');
    }
}

/// A digest that a name means, or will.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The name: `registry/repository:tag`, or `registry/repository@sha256:…`.
    pub name: String,
    /// The digest of its manifest or index.
    pub digest: String,
    /// How many bytes that has.
    pub length: u64,
    /// Its media type, where it is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The platforms, for an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platforms: Option<Vec<String>>,
    /// The digest that the tag meant before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// What became of a name that was added.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is staged for the next publish.
    Staged,
    /// The same was staged before.
    AlreadyStaged,
    /// The same is published; nothing is staged for it.
    AlreadyPublished,
}

/// The answer of `signer add`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// The names: of the tag, where there is one, and of the digest.
    pub names: Vec<Added>,
    /// How many of a list were staged, of which none is named here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<u64>,
}

/// One name of an image that was added.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Added {
    /// What became of it.
    pub outcome: Outcome,
    /// What it means.
    pub image: Image,
}

impl Add {
    fn text(&self) -> String {
        let mut out = String::new();
        if let Some(count) = self.listed {
            let _ = writeln!(out, "staged {count} names");
        }
        for Added { outcome, image } in &self.names {
            let outcome = match outcome {
                Outcome::Staged => "staged",
                Outcome::AlreadyStaged => "already staged",
                Outcome::AlreadyPublished => "already published",
            };
            let _ = writeln!(out, "{outcome} {}", image.name);
            if !image.name.ends_with(&image.digest) {
                let _ = writeln!(out, "  now    {}", image.digest);
                if let Some(previous) = &image.previous {
                    let _ = writeln!(out, "  before {previous}");
                }
            }
        }
        out
    }
}

/// What became of a name that was removed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// The next publish removes it.
    Staged,
    /// It was only staged, and no longer is.
    Unstaged,
}

/// The answer of `signer remove`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// The name.
    pub name: String,
    /// What became of it.
    pub outcome: Removal,
}

impl Remove {
    fn text(&self) -> String {
        match self.outcome {
            Removal::Staged => format!("staged the removal of {}", self.name),
            Removal::Unstaged => format!("{} is no longer staged", self.name),
        }
    }
}

/// What the next publish will do to a name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// List it.
    Add,
    /// Let it mean another digest.
    Change,
    /// List it no more.
    Remove,
}

/// A change to a name.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// To which name.
    #[cfg_attr(test, schemars(with = "String"))]
    pub name: Arc<str>,
    /// The digest that it means afterwards; none for a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub digest: Option<Digest>,
}

impl Change {
    fn line(&self, out: &mut String) {
        let sign = match self.action {
            Action::Add => '+',
            Action::Change => '~',
            Action::Remove => '-',
        };
        let _ = write!(out, "  {sign} {}", self.name);
        let digest = self.digest.map(|digest| digest.to_string());
        if let Some(digest) = digest.filter(|digest| !self.name.ends_with(digest)) {
            let _ = write!(out, "  {digest}");
        }
        out.push('\n');
    }
}

/// The answer of `signer status`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The version of this report.
    pub version: u32,
    /// The time of this report.
    #[cfg_attr(test, schemars(with = "String"))]
    pub now: DateTime<Utc>,
    /// The folder that is served.
    pub published: String,
    /// What is published, by role.
    pub roles: Vec<Role>,
    /// What names mean now.
    pub images: Vec<Image>,
    /// What the next publish changes.
    pub staged: Vec<Change>,
    /// What the next publish changes of the roles, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<String>,
    /// Who must sign what by when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duties: Vec<Duty>,
    /// Signatures for other tools that may be missing in their registries, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<String>,
    /// Whether something is due; only where that was asked for, by `--check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<bool>,
}

impl Status {
    /// 1 where something is due and that was the question.
    fn exit(&self) -> Exit {
        if self.due == Some(true) { Exit::Refused } else { Exit::Done }
    }

    fn text(&self) -> String {
        let mut out = format!("published in {}\n", self.published);
        for role in &self.roles {
            role.line(&mut out, Some(self.now));
        }
        out.push_str("who must sign what by when\n");
        for duty in &self.duties {
            duty.lines(&mut out, self.now);
        }
        out.push_str(if self.images.is_empty() { "images: none\n" } else { "images\n" });
        for image in &self.images {
            let digest = if image.name.ends_with(&image.digest) { "" } else { &image.digest };
            let _ = writeln!(out, "{}", format!("  {}  {digest}", image.name).trim_end());
        }
        let nothing = self.staged.is_empty() && self.edits.is_empty();
        out.push_str(if nothing { "staged: nothing\n" } else { "staged\n" });
        for change in &self.staged {
            change.line(&mut out);
        }
        for edit in &self.edits {
            let _ = writeln!(out, "  {edit}");
        }
        if !self.owed.is_empty() {
            out.push_str("signatures for other tools that may be missing\n");
        }
        for owed in &self.owed {
            let _ = writeln!(out, "  {owed}");
        }
        out
    }
}

/// Why a role signed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// What it says has changed.
    Changed,
    /// Others sign it from now on.
    Rekeyed,
    /// It would have expired too early.
    Renewed,
}

/// A statement that was signed.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The role that signed.
    pub role: String,
    /// The new version.
    pub version: u64,
    /// When it expires.
    #[cfg_attr(test, schemars(with = "String"))]
    pub expires: DateTime<Utc>,
    /// Why it signed.
    pub reason: Reason,
}

/// The answer of `signer publish`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The version of this report.
    pub version: u32,
    /// The folder that is served.
    pub published: String,
    /// What changed for users.
    pub changes: Vec<Change>,
    /// What changed of the roles, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<String>,
    /// What was signed, in the order of writing.
    pub signed: Vec<Statement>,
    /// The signatures for other tools, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_others: Option<ForOthers>,
}

impl Publish {
    /// What was asked for is published. What was asked for besides may not be.
    fn exit(&self) -> Exit {
        self.for_others.as_ref().map_or(Exit::Done, ForOthers::exit)
    }

    fn text(&self) -> String {
        self.parts().collect()
    }

    /// The lines, part by part: those of a million names are never there all at once.
    fn parts(&self) -> impl Iterator<Item = String> {
        let first = match (self.changes.is_empty() && self.edits.is_empty(), &*self.signed) {
            (true, []) => "all of it was published already\n",
            (true, _) => "nothing staged: renewed what was published\n",
            (false, _) => "published\n",
        };
        let lines = |changes: &[Change]| {
            let mut out = String::new();
            changes.iter().for_each(|change| change.line(&mut out));
            out
        };
        let changes = self.changes.chunks(IN_A_PART).map(lines);
        std::iter::once(first.to_owned()).chain(changes).chain(std::iter::once_with(|| self.statements()))
    }

    fn statements(&self) -> String {
        let mut out = String::new();
        for edit in &self.edits {
            let _ = writeln!(out, "  {edit}");
        }
        for Statement { role, version, expires, reason } in &self.signed {
            let reason = match reason {
                Reason::Changed => "changed",
                Reason::Rekeyed => "has new keys",
                Reason::Renewed => "renewed",
            };
            let expires = expires.format("%Y-%m-%d %H:%M UTC");
            let _ = writeln!(out, "  {role:<9} {version:>4}  {reason}, expires {expires}");
        }
        if let Some(for_others) = &self.for_others {
            for_others.lines(&mut out);
        }
        out
    }
}

pub(crate) fn relative(moment: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let left = moment.signed_duration_since(now);
    let (days, hours) = (left.num_days().unsigned_abs(), left.num_hours().unsigned_abs());
    let span = match (days, hours) {
        (0, 1) => "1 hour".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    };
    if moment > now { format!("in {span}") } else { format!("expired {span} ago") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{env, fs};

    use super::*;

    #[test]
    fn a_span_is_said_in_the_unit_that_matters() {
        let now: DateTime<Utc> = "2030-01-10T00:00:00Z".parse().unwrap();
        for (moment, said) in [
            ("2030-01-17T00:00:00Z", "in 7 days"),
            ("2030-01-11T12:00:00Z", "in 1 day"),
            ("2030-01-10T01:30:00Z", "in 1 hour"),
            ("2030-01-10T00:30:00Z", "in 0 hours"),
            ("2030-01-10T00:00:00Z", "expired 0 hours ago"),
            ("2030-01-08T00:00:00Z", "expired 2 days ago"),
        ] {
            assert_eq!(relative(moment.parse().unwrap(), now), said, "{moment}");
        }
    }

    /// `HALLMARK_UPDATE_SCHEMAS=1` writes them anew.
    #[test]
    fn the_schemas_in_docs_are_those_of_the_reports() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
        for (name, schema) in [
            ("signer-init.json", schemars::schema_for!(Init)),
            ("signer-add.json", schemars::schema_for!(Add)),
            ("signer-remove.json", schemars::schema_for!(Remove)),
            ("signer-status.json", schemars::schema_for!(Status)),
            ("signer-publish.json", schemars::schema_for!(Publish)),
            ("signer-reset.json", schemars::schema_for!(Reset)),
            ("signer-edits.json", schemars::schema_for!(Edits)),
            ("signer-delegate-list.json", schemars::schema_for!(Delegations)),
            ("signer-ceremony.json", schemars::schema_for!(Ceremony)),
            ("signer-key.json", schemars::schema_for!(Keys)),
        ] {
            let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            if env::var_os("HALLMARK_UPDATE_SCHEMAS").is_some() {
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join(name), &schema).unwrap();
            }
            assert_eq!(fs::read_to_string(dir.join(name)).unwrap_or_default(), schema, "{name}");
        }
    }
}

//! `verify policy test`: whether rules say of cases what they should, by names and roles, or by what was seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image_policy::{Choice, Decision, Entry, Outcome, decide};
use oci_image::Reference;
use serde::Deserialize;

use super::inventory;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::policy::{Beside, Rulebook};
use crate::style::{out, say, shown};

/// The largest file of cases, in bytes: tens of thousands of them.
const CASES_MAX: u64 = 8 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[serde(default)]
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    image: String,
    digest: Option<String>,
    role: Option<String>,
    expect: Expect,
    scope: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Admit,
    Deny,
}

impl Expect {
    fn word(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Deny => "deny",
        }
    }
}

/// What was recorded of images, by name: each digest that a name had.
type Seen = BTreeMap<String, Vec<Entry>>;

pub(super) fn run(files: &[PathBuf], policy: &Path, inventory: Option<&Path>) -> Result<Exit, Failure> {
    let rules = Rulebook::read(policy)?;
    let (outside, seen) = (Beside::of(&rules), inventory.map(seen).transpose()?);
    let (mut right, mut wrong, mut by_name) = (0_usize, 0_usize, 0_usize);
    for file in files {
        let text = files::text(file, CASES_MAX)?;
        let cases: Cases = toml::from_str(&text).map_err(|error| {
            Failure::usage(format!("{} can't be used: {}", file.display(), shown(&error.to_string())))
        })?;
        if cases.case.is_empty() {
            return Err(Failure::usage(format!("expected cases in {}, got none", file.display())));
        }
        for case in &cases.case {
            let name: Reference = case.image.parse().map_err(|why| {
                Failure::usage(format!("expected the name of an image, got {:?}: {why}", shown(&case.image)))
            })?;
            let known = seen.as_ref().and_then(|seen| seen.get(&name.to_string()));
            let how = match known {
                Some(entries) => by_what_was_seen(&rules, &outside, entries, case),
                None => {
                    by_name = by_name.saturating_add(1);
                    by_its_name(&rules, &name, case)?
                }
            };
            match how {
                None => right = right.saturating_add(1),
                Some(how) => {
                    wrong = wrong.saturating_add(1);
                    say!("{}: {}: {}", file.display(), shown(&case.image), shown(&how));
                }
            }
        }
    }
    match seen {
        None => out!("{right} cases as they should be, {wrong} not"),
        Some(_) => out!("{right} cases as they should be, {wrong} not; {by_name} by name alone"),
    }
    Ok(if wrong == 0 { Exit::Trusted } else { Exit::Refused })
}

fn seen(inventory: &Path) -> Result<Seen, Failure> {
    let mut seen = Seen::new();
    for entry in inventory::read(inventory)? {
        // Of a name alone nothing was seen.
        let Some(facts) = entry.facts() else { continue };
        let name =
            facts.image.parse::<Reference>().map_or_else(|_| facts.image.clone(), |name| name.to_string());
        seen.entry(name).or_default().push(entry);
    }
    Ok(seen)
}

/// How what the rules say of a case differs from what they should say, as they would have decided on what was seen; of
/// several digests that were seen under the name, of each.
fn by_what_was_seen(
    rules: &Rulebook,
    outside: &Beside<'_>,
    entries: &[Entry],
    case: &Case,
) -> Option<String> {
    let is =
        |entry: &&Entry| case.digest.is_none() || entry.facts().is_some_and(|one| one.digest == case.digest);
    let mut entries = entries.iter().filter(is).peekable();
    if entries.peek().is_none() {
        return Some(format!("{} was not seen under this name", case.digest.as_deref().unwrap_or_default()));
    }
    entries.find_map(|entry| {
        let role = entry.facts().and_then(|facts| facts.role.as_deref());
        if let (Some(expected), Some(got)) = (case.role.as_deref(), role)
            && expected != got
        {
            return Some(format!("expected role {expected} to speak for it, got {got}"));
        }
        let Decision { outcome, scope, why, .. } = decide(&rules.policy, entry, outside);
        let got = match outcome {
            Outcome::Admitted | Outcome::ByName => Expect::Admit.word(),
            Outcome::Blocked => Expect::Deny.word(),
            Outcome::Unknown => "that it can't be told",
        };
        differs(case, got, scope.as_deref()).map(|how| match why.is_empty() {
            true => how,
            false => format!("{how}: {}", why.join("; ")),
        })
    })
}

/// The same by its name, and the role that would speak for it.
fn by_its_name(rules: &Rulebook, name: &Reference, case: &Case) -> Result<Option<String>, Failure> {
    let name = rules.meant(name)?;
    let (mut got, scope) = match rules.policy.choose(&name) {
        Choice::Admits(scope) => (Expect::Admit, Some(scope)),
        Choice::Denies { scope, .. } => (Expect::Deny, scope),
    };
    if let (Expect::Admit, Some(scope), Some(role)) = (got, scope, &case.role)
        && scope.expect_role(role, &[]).is_err()
    {
        got = Expect::Deny;
    }
    Ok(differs(case, got.word(), scope.map(|scope| scope.name.as_str())))
}

fn differs(case: &Case, got: &str, scope: Option<&str>) -> Option<String> {
    let by = scope.unwrap_or("no scope");
    let (wanted, expected) = (case.expect.word(), case.scope.as_deref().unwrap_or(by));
    (got != wanted || expected != by).then(|| format!("expected {wanted} by {expected}, got {got} by {by}"))
}

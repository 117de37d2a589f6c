//! `verify policy`: what is wrong with rules, what they say of a name, and whether that is what they should say.

mod cases;
mod inventory;
mod learn;
mod simulate;

use std::path::Path;

use chrono::Utc;
use image_policy::{Attested, Choice, Policy, Problem, RootOfTrust, Scope, SignerRule};
use oci_image::Reference;
use serde::Serialize;

use crate::args::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::policy::{Rulebook, reason};
use crate::policy_args::{PolicyCommand, PolicyCommands};
use crate::report::print_json;
use crate::style::{out, say, shown};

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

pub(crate) fn run(args: &PolicyCommands) -> Result<Exit, Failure> {
    match &args.command {
        PolicyCommand::Check { policy, strict } => check(policy, *strict),
        PolicyCommand::Explain { image, policy, format } => explain(image, policy, *format),
        PolicyCommand::Test { cases, policy, inventory } => cases::run(cases, policy, inventory.as_deref()),
        PolicyCommand::Simulate(args) => simulate::run(args),
        PolicyCommand::Learn(args) => learn::run(args),
    }
}

fn check(path: &Path, strict: bool) -> Result<Exit, Failure> {
    let text = files::text(path, image_policy::POLICY_MAX)?;
    let policy = match Policy::parse(&text) {
        Ok(policy) => policy,
        Err(problems) => {
            for problem in &problems.0 {
                say!("{}:{}", path.display(), shown(&problem.to_string()));
            }
            let what = format!("{} can't be used: {} wrong", path.display(), problems.0.len());
            return Err(Failure::usage(what));
        }
    };
    let mut warnings = policy.warnings(Utc::now());
    let rules = Rulebook::of(policy, path);
    for scope in &rules.policy.scopes {
        let odd = |why: String| format!("scope {:?}: {why}", scope.name);
        let odd = rules.unusable(scope).into_iter().map(odd);
        warnings.extend(odd.map(|what| Problem { line: scope.line, column: 1, what }));
    }
    warnings.sort_by_key(|one| one.line);
    for warning in &warnings {
        say!("{}:{}", path.display(), shown(&format!("{warning}, warning")));
    }
    let (scopes, mirrors) = (rules.policy.scopes.len(), rules.policy.mirrors.len());
    out!("{}: {scopes} scopes, {mirrors} mirrors, {} warnings", path.display(), warnings.len());
    Ok(if strict && !warnings.is_empty() { Exit::Refused } else { Exit::Trusted })
}

/// The answer of `verify policy explain`. Schema: `docs/schema/verify-policy.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Explained {
    /// The version of this form.
    version: u32,
    /// The name that was asked for.
    reference: String,
    /// The name that is meant: another one behind a mirror.
    meant: String,
    /// Whether it may be verified at all.
    admitted: bool,
    /// The scope that decides; none where none fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The line where the scope is.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// Why it is denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What must hold, in words.
    demands: Vec<String>,
}

fn explain(image: &Reference, path: &Path, format: Format) -> Result<Exit, Failure> {
    let rules = Rulebook::read(path)?;
    let meant = rules.meant(image)?;
    let choice = rules.policy.choose(&meant);
    let (scope, why) = match choice {
        Choice::Admits(scope) => (Some(scope), None),
        Choice::Denies { scope, why } => (scope, Some(reason(why, &meant))),
    };
    let explained = Explained {
        version: REPORT_VERSION,
        reference: image.to_string(),
        meant: meant.to_string(),
        admitted: why.is_none(),
        scope: scope.map(|scope| scope.name.clone()),
        line: scope.map(|scope| scope.line),
        demands: scope.filter(|_| why.is_none()).map(demands).unwrap_or_default(),
        why,
    };
    match format {
        Format::Json => print_json(&explained),
        Format::Text => {
            if explained.meant != explained.reference {
                out!("{} stands for {}", shown(&explained.reference), shown(&explained.meant));
            }
            let word = if explained.admitted { "is decided by" } else { "is denied by" };
            out!("{} {word} {}", shown(&explained.meant), shown(&rules.rule(scope)));
            for line in explained.why.iter().chain(&explained.demands) {
                out!("  {}", shown(line));
            }
        }
    }
    Ok(if explained.admitted { Exit::Trusted } else { Exit::Refused })
}

/// What a scope demands, a line each.
fn demands(scope: &Scope) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match &scope.trust {
        Some(trust) => match &trust.root {
            RootOfTrust::File(file) => format!("trusts {} from root {} on", trust.repo, file.display()),
            RootOfTrust::Sha256(hex) => format!("trusts {} from root sha256:{hex} on", trust.repo),
        },
        None => "trusts the root that is pinned for it on this machine".to_owned(),
    });
    if !scope.roles.is_empty() {
        lines.push(format!("only these roles may speak: {}", scope.roles.join(", ")));
    }
    if let Some(signers) = &scope.signers {
        let keys = signers.keys.iter().map(|key| key.display().to_string());
        let identities = signers.identities.iter().map(|one| format!("{} by {}", one.identity, one.issuer));
        let notation = signers.notation_policy.iter().map(|file| format!("notation's {}", file.display()));
        let whose: Vec<String> = keys.chain(identities).chain(notation).collect();
        let what = signers.predicate.as_deref().unwrap_or("the image itself");
        let fresh = if signers.fresh { ", named by the publisher's metadata today" } else { "" };
        lines.push(format!("{} of these signed {what}{fresh}: {}", signers.at_least, whose.join(", ")));
    }
    if let Some(build) = &scope.build {
        let pairs = build.builders.iter().map(|one| {
            format!("{} signed by {} (SLSA build level {})", one.id, signs_for_it(&one.signer), one.level)
        });
        lines.push(format!("built by {}", pairs.collect::<Vec<_>>().join(" or ")));
        if !build.sources.is_empty() {
            lines.push(format!("from {}", build.sources.join(" or ")));
        }
        if build.min_level > 0 {
            lines.push(format!("at SLSA build level {} or above", build.min_level));
        }
        if build.deny_unexpected_parameters {
            lines.push("with no parameters that its kind of build isn't known to take".to_owned());
        }
    }
    for one in &scope.evidence {
        let keys = one.keys.iter().map(|key| key.display().to_string());
        let identities = one.identities.iter().map(|one| format!("{} by {}", one.identity, one.issuer));
        let whose: Vec<String> = keys.chain(identities).collect();
        let by = match (whose.is_empty(), one.verifiers.is_empty()) {
            (false, _) => format!(" signed by {} of {}", one.at_least, whose.join(", ")),
            (true, true) => String::new(),
            (true, false) => verdicts(one),
        };
        let fresh = if one.fresh { ", named by the publisher's metadata today" } else { "" };
        let hours = one.max_age.and_then(|age| age.checked_div(3600));
        let age = hours.map(|hours| format!(", at most {hours} hours old")).unwrap_or_default();
        lines.push(format!("a {}{by}{fresh}{age}", one.predicate));
    }
    if !scope.tags.allow.is_empty() {
        lines.push(format!("tags: {}", scope.tags.allow.join(", ")));
    }
    if !scope.tags.deny.is_empty() {
        lines.push(format!("no tags: {}", scope.tags.deny.join(", ")));
    }
    if let Some(scan) = &scope.scan {
        let severity = scan
            .fail_on
            .map(|severity| format!("nothing {} or worse", format!("{severity:?}").to_lowercase()));
        let fixable = scan.fixable_only.then(|| "that a newer version mends".to_owned());
        let exploited = scan.fail_on_exploited.then(|| "nothing known to be exploited".to_owned());
        let gaps = scan.fail_on_gaps.then(|| "no gaps".to_owned());
        let age = scan
            .max_db_age
            .map(|age| format!("advisories of at most {} hours", age.checked_div(3600).unwrap_or(0)));
        let ignored =
            Some(scan.ignore.len()).filter(|count| *count > 0).map(|count| format!("{count} ignored"));
        let parts: Vec<String> = severity
            .into_iter()
            .chain(fixable)
            .chain(exploited)
            .chain(gaps)
            .chain(age)
            .chain(ignored)
            .collect();
        let parts = if parts.is_empty() { "it can be scanned".to_owned() } else { parts.join(", ") };
        lines.push(format!("a scan: {parts}"));
        if !scan.vex_keys.is_empty() {
            let keys: Vec<String> = scan.vex_keys.iter().map(|key| key.display().to_string()).collect();
            lines.push(format!("these may say what doesn't touch it: {}", keys.join(", ")));
        }
    }
    if let Some(condition) = &scope.condition {
        lines.push(format!("a condition: {condition}"));
    }
    lines
}

fn signs_for_it(signer: &SignerRule) -> String {
    match signer {
        SignerRule::Key(file) => file.display().to_string(),
        SignerRule::Identity(one) => format!("{} by {}", one.identity, one.issuer),
    }
}

/// Whose verdicts are demanded, and what they must have found.
fn verdicts(of: &Attested) -> String {
    let whose = of.verifiers.iter().map(|one| format!("{} signed by {}", one.id, signs_for_it(&one.signer)));
    let whose = whose.collect::<Vec<_>>().join(", ");
    let found = match of.levels.as_slice() {
        [] => String::new(),
        levels => format!(", who found {}", levels.join(" and ")),
    };
    format!(" that it passed, by {} of {whose}{found}", of.at_least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-policy", &schemars::schema_for!(Explained));
    }
}

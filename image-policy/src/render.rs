//! Rules as text: TOML that reads back as the same rules.

use std::fmt::Write as _;
use std::path::Path;

use chrono::SecondsFormat;

use crate::demands::{Attested, Build, SignerRule};
use crate::policy::{Identity, Mirror, RootOfTrust, Scan, Scope, Severity, Signers};

/// A scope as it stands in a file of rules.
#[must_use]
pub fn render(scope: &Scope) -> String {
    let mut text = format!("[[scope]]\nname = {}\nmatch = {}\n", quoted(&scope.name), list(&scope.patterns));
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if let Some(why) = &scope.deny {
        line(format!("deny = {}", quoted(why)));
    }
    if let Some(trust) = &scope.trust {
        let root = match &trust.root {
            RootOfTrust::File(file) => format!("root = {}", path(file)),
            RootOfTrust::Sha256(hex) => format!("root-sha256 = {}", quoted(hex)),
        };
        line(format!("trust = {{ repo = {}, {root} }}", quoted(&trust.repo)));
    }
    if !scope.roles.is_empty() {
        line(format!("roles = {}", list(&scope.roles)));
    }
    let tags = [("allow", &scope.tags.allow), ("deny", &scope.tags.deny)];
    let tags: Vec<_> = tags.iter().filter(|(_, all)| !all.is_empty()).collect();
    if !tags.is_empty() {
        let tags: Vec<_> = tags.iter().map(|(name, all)| format!("{name} = {}", list(all))).collect();
        line(format!("tags = {{ {} }}", tags.join(", ")));
    }
    if let Some(condition) = &scope.condition {
        line(format!("condition = {}", quoted(&condition.to_string())));
    }
    // Tables come last: what follows one belongs to it.
    let tables = scope.signers.as_ref().map(signers).into_iter().chain(scope.build.as_ref().map(build));
    let tables = tables.chain(scope.evidence.iter().map(attested)).chain(scope.scan.as_ref().map(scan));
    for (header, members) in tables {
        let _ = write!(text, "\n{header}\n");
        for (name, value) in members {
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    text
}

/// A mirror as it stands in a file of rules.
pub(crate) fn mirror(mirror: &Mirror) -> String {
    format!("[[mirror]]\nfrom = {}\nto = {}\n", quoted(&mirror.from), quoted(&mirror.to))
}

type Table = (&'static str, Vec<(&'static str, String)>);

fn signers(of: &Signers) -> Table {
    let mut members = vec![("at-least", of.at_least.to_string())];
    members.extend(of.predicate.as_ref().map(|kind| ("predicate", quoted(kind))));
    members.extend(files("keys", &of.keys));
    members.extend(keyless(&of.identities));
    members.extend(of.trusted_root.as_deref().map(|file| ("trusted-root", path(file))));
    members.extend(of.notation_policy.as_deref().map(|file| ("notation-policy", path(file))));
    members.extend(yes("fresh", of.fresh));
    ("[scope.signers]", members)
}

fn build(of: &Build) -> Table {
    let builders = of.builders.iter().map(|one| {
        format!("{{ id = {}, level = {}, {} }}", quoted(&one.id), one.level, signs_for_it(&one.signer))
    });
    let mut members = vec![("builders", array(builders))];
    members.extend(of.trusted_root.as_deref().map(|file| ("trusted-root", path(file))));
    if !of.sources.is_empty() {
        members.push(("sources", list(&of.sources)));
    }
    if of.min_level > 0 {
        members.push(("min-level", of.min_level.to_string()));
    }
    members.extend(yes("deny-unexpected-parameters", of.deny_unexpected_parameters));
    ("[scope.build]", members)
}

fn signs_for_it(signer: &SignerRule) -> String {
    match signer {
        SignerRule::Key(file) => format!("key = {}", path(file)),
        SignerRule::Identity(Identity { identity, issuer }) => {
            format!("identity = {}, issuer = {}", quoted(identity), quoted(issuer))
        }
    }
}

fn attested(of: &Attested) -> Table {
    let mut members = vec![("predicate", quoted(&of.predicate))];
    let verifiers = of
        .verifiers
        .iter()
        .map(|one| format!("{{ id = {}, {} }}", quoted(&one.id), signs_for_it(&one.signer)));
    members.extend((!of.verifiers.is_empty()).then(|| ("verifiers", array(verifiers))));
    members.extend((!of.levels.is_empty()).then(|| ("levels", list(&of.levels))));
    if !of.keys.is_empty() || !of.identities.is_empty() || !of.verifiers.is_empty() {
        members.push(("at-least", of.at_least.to_string()));
    }
    members.extend(files("keys", &of.keys));
    members.extend(keyless(&of.identities));
    members.extend(of.trusted_root.as_deref().map(|file| ("trusted-root", path(file))));
    members.extend(of.max_age.map(|age| ("max-age", hours(age))));
    members.extend(yes("fresh", of.fresh));
    ("[[scope.evidence]]", members)
}

fn scan(of: &Scan) -> Table {
    let mut members = Vec::new();
    members.extend(of.db.as_deref().map(|file| ("db", path(file))));
    members.extend(of.fail_on.map(|severity| ("fail-on", quoted(word(severity)))));
    members.extend(yes("fixable-only", of.fixable_only));
    members.extend(yes("fail-on-exploited", of.fail_on_exploited));
    members.extend(yes("fail-on-gaps", of.fail_on_gaps));
    members.extend(of.max_db_age.map(|age| ("max-db-age", hours(age))));
    members.extend(files("vex-keys", &of.vex_keys));
    if !of.ignore.is_empty() {
        let one = of.ignore.iter().map(|one| {
            let package =
                one.package.as_ref().map(|name| format!(", package = {}", quoted(name))).unwrap_or_default();
            let expires = one.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
            let reason = quoted(&one.reason);
            format!("{{ id = {}{package}, reason = {reason}, expires = {expires} }}", quoted(&one.id))
        });
        members.push(("ignore", array(one)));
    }
    ("[scope.scan]", members)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Negligible => "negligible",
        Severity::Any => "any",
    }
}

fn hours(seconds: u64) -> String {
    match (seconds.checked_rem(24 * 3600), seconds.checked_div(24 * 3600), seconds.checked_div(3600)) {
        (Some(0), Some(days), _) => quoted(&format!("{days}d")),
        (_, _, hours) => quoted(&format!("{}h", hours.unwrap_or_default())),
    }
}

fn yes(name: &'static str, said: bool) -> Option<(&'static str, String)> {
    said.then(|| (name, "true".to_owned()))
}

fn files(name: &'static str, files: &[std::path::PathBuf]) -> Option<(&'static str, String)> {
    let all = array(files.iter().map(|file| path(file)));
    (!files.is_empty()).then_some((name, all))
}

fn keyless(identities: &[Identity]) -> Option<(&'static str, String)> {
    let one = |one: &Identity| {
        format!("{{ identity = {}, issuer = {} }}", quoted(&one.identity), quoted(&one.issuer))
    };
    (!identities.is_empty()).then(|| ("identities", array(identities.iter().map(one))))
}

/// One in a line, several in a line each.
fn array(values: impl Iterator<Item = String>) -> String {
    let values: Vec<_> = values.collect();
    match values.as_slice() {
        [] => "[]".to_owned(),
        [one] => format!("[{one}]"),
        several => format!("[\n    {},\n]", several.join(",\n    ")),
    }
}

fn list(values: &[String]) -> String {
    array(values.iter().map(|value| quoted(value)))
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A basic string: on one line, whatever is in it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for one in text.chars() {
        match one {
            '"' | '\\' => quoted.extend(['\\', one]),
            one if one.is_control()
                || matches!(one, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}') =>
            {
                let _ = write!(quoted, "\\u{:04X}", u32::from(one));
            }
            one => quoted.push(one),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use crate::Policy;

    #[test]
    fn what_is_written_reads_back_as_the_same_rules() {
        let text = r#"
version = 1
[[scope]]
name = "all of \"it\" \\ \u202E"
match = ["r.io/a/**", "r.io/b"]
trust = { repo = "https://t.example.com", root = "a b.json" }
roles = ["targets", "releases"]
tags = { allow = ["1.*"], deny = ["*-rc"] }
condition = 'role == "targets" && size(signers) > 1'
[scope.signers]
at-least = 2
keys = ["a.pub", "b.pub"]
identities = [{ identity = "a@example.com", issuer = "https://i.example.com" }]
trusted-root = "root.json"
notation-policy = "trustpolicy.json"
fresh = true
predicate = "https://example.com/reviewed/v1"
[scope.build]
builders = [
    { id = "https://ci.example.com", level = 3, key = "ci.pub" },
    { id = "https://other.example.com", level = 1, identity = "x", issuer = "y" },
]
trusted-root = "root.json"
sources = ["https://github.com/acme/*"]
min-level = 2
deny-unexpected-parameters = true
[[scope.evidence]]
predicate = "sbom"
keys = ["ci.pub"]
max-age = "36h"
fresh = true
[[scope.evidence]]
predicate = "vulns"
fresh = true
[[scope.evidence]]
predicate = "vsa"
verifiers = [
    { id = "https://verify.example.com", key = "verifier.pub" },
    { id = "https://other.example.com", identity = "x", issuer = "y" },
]
trusted-root = "root.json"
at-least = 2
levels = ["SLSA_BUILD_LEVEL_2", "ACME_REVIEWED"]
[scope.scan]
db = "x.db"
fail-on = "high"
fixable-only = true
fail-on-exploited = true
fail-on-gaps = true
max-db-age = "7d"
vex-keys = ["vendor.pub"]
ignore = [{ id = "CVE-1", package = "bash", reason = "no shell", expires = 2027-03-31 }]
[[scope]]
name = "rest"
match = ["**"]
deny = "ask us"
"#;
        let policy = Policy::parse(text).unwrap();
        let scopes: Vec<_> = policy.scopes.iter().map(super::render).collect();
        let written = format!("version = 1\n\n{}", scopes.join("\n"));
        let again = Policy::parse(&written).unwrap_or_else(|why| panic!("{why}\n{written}"));
        let plain = |policy: &Policy| {
            let lines = policy.scopes.iter().cloned().map(|scope| crate::Scope { line: 0, ..scope });
            lines.collect::<Vec<_>>()
        };
        assert_eq!(plain(&again), plain(&policy), "{written}");
    }
}

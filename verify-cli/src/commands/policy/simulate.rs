//! `verify policy simulate`: what rules would say of images that were seen before, without asking anybody.

use image_policy::{Decision, Entry, Outcome, Word, decide, render, smallest_rule};
use serde::Serialize;

use super::inventory;
use crate::args::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy::{Beside, Rulebook};
use crate::policy_args::SimulateArgs;
use crate::report::print_json;
use crate::style::{Style, in_a_line, out, shown};

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

/// The answer of `verify policy simulate`. Schema: `docs/schema/verify-policy-simulate.json`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Simulated {
    /// The version of this form.
    version: u32,
    /// The rules.
    policy: String,
    /// Those that they are compared with; what was recorded, where none are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<String>,
    /// How many images there are.
    images: usize,
    /// How many may run.
    admitted: usize,
    /// How many may run by their names, of which nothing else is known.
    by_name: usize,
    /// Of how many it can't be told.
    unknown: usize,
    /// How many may not run.
    blocked: usize,
    /// How many could run, and can't any more.
    newly_blocked: usize,
    /// How many could not run, and can now.
    newly_admitted: usize,
    /// Each image.
    decisions: Vec<Decided>,
}

/// What the rules say of an image.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Decided {
    /// The name that was asked for.
    image: String,
    /// The digest that it meant then.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// What was said before; none of a name alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Said>,
    /// What the rules say.
    now: Said,
    /// The scope that decides; none where none fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The line where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// Why it may not run, or can't be told.
    why: Vec<String>,
    /// The scope that admits it, when it is put before all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    smallest_rule: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Said {
    /// It may run.
    Admitted,
    /// Its name may run; nothing else is known of it.
    ByName,
    /// It can't be told.
    Unknown,
    /// It may not run.
    Blocked,
}

impl Said {
    fn may_run(self) -> bool {
        matches!(self, Self::Admitted | Self::ByName)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::ByName => "by name ",
            Self::Unknown => "unknown ",
            Self::Blocked => "blocked ",
        }
    }
}

impl From<Outcome> for Said {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Admitted => Self::Admitted,
            Outcome::ByName => Self::ByName,
            Outcome::Unknown => Self::Unknown,
            Outcome::Blocked => Self::Blocked,
        }
    }
}

impl From<Word> for Said {
    fn from(verdict: Word) -> Self {
        match verdict {
            Word::Trusted => Self::Admitted,
            Word::Refused => Self::Blocked,
            Word::Unknown => Self::Unknown,
        }
    }
}

pub(super) fn run(args: &SimulateArgs) -> Result<Exit, Failure> {
    let rules = Rulebook::read(&args.policy)?;
    let against = args.against.as_deref().map(Rulebook::read).transpose()?;
    let entries = inventory::read(&args.inventory)?;
    let (outside, old) = (Beside::of(&rules), against.as_ref().map(|rules| (rules, Beside::of(rules))));
    let mut report = Simulated {
        version: REPORT_VERSION,
        policy: args.policy.display().to_string(),
        against: args.against.as_ref().map(|path| path.display().to_string()),
        images: entries.len(),
        ..Simulated::default()
    };
    let mut untold = false;
    for entry in &entries {
        let before = match &old {
            Some((rules, outside)) => Some(decide(&rules.policy, entry, outside).outcome.into()),
            None => entry.facts().map(|facts| facts.verdict.into()),
        };
        let decided = Decided::of(&rules, entry, before, &outside);
        // Whoever lists a name runs it.
        let ran = before.is_none_or(Said::may_run);
        let count = match decided.now {
            Said::Admitted => &mut report.admitted,
            Said::ByName => &mut report.by_name,
            Said::Unknown => &mut report.unknown,
            Said::Blocked => &mut report.blocked,
        };
        *count = count.saturating_add(1);
        match decided.now {
            Said::Blocked if ran => report.newly_blocked = report.newly_blocked.saturating_add(1),
            Said::Unknown if ran => untold = true,
            now if now.may_run() && !ran => report.newly_admitted = report.newly_admitted.saturating_add(1),
            _ => {}
        }
        report.decisions.push(decided);
    }
    match args.format {
        Format::Json => print_json(&report),
        Format::Text => report.print(),
    }
    Ok(match (report.newly_blocked, untold) {
        (1.., _) => Exit::Refused,
        (0, true) => Exit::Unknown,
        (0, false) => Exit::Trusted,
    })
}

impl Decided {
    fn of(rules: &Rulebook, entry: &Entry, before: Option<Said>, outside: &Beside<'_>) -> Self {
        let Decision { outcome, scope, line, why, .. } = decide(&rules.policy, entry, outside);
        let rule = (outcome == Outcome::Blocked).then(|| smallest_rule(&rules.policy, entry, outside));
        Self {
            image: entry.image().to_owned(),
            digest: entry.facts().and_then(|facts| facts.digest.clone()),
            before,
            now: outcome.into(),
            scope,
            line,
            why,
            smallest_rule: rule.flatten().map(|scope| render(&scope)),
        }
    }

    fn print(&self, policy: &str, rules: &mut Vec<String>, style: Style) {
        let word = match self.now {
            Said::Admitted | Said::ByName => style.good(self.now.word()),
            Said::Unknown => style.unsure(self.now.word()),
            Said::Blocked => style.bad(self.now.word()),
        };
        let changed = match self.before {
            Some(before) if before.may_run() != self.now.may_run() => {
                format!(", was {}", before.word().trim())
            }
            _ => String::new(),
        };
        out!("{word}  {}{changed}", in_a_line(&self.image));
        let by = match (&self.scope, self.line) {
            (Some(scope), Some(line)) => format!("{policy}:{line}, scope {scope}"),
            _ => policy.to_owned(),
        };
        out!("          {}", style.faint(&format!("by {}", in_a_line(&by))));
        for why in &self.why {
            out!("          {}", in_a_line(why));
        }
        let Some(rule) = &self.smallest_rule else {
            if self.now == Said::Blocked {
                out!("          no rule admits it, as it was seen");
            }
            return;
        };
        if rules.contains(rule) {
            out!("          the same rule as above admits it");
            return;
        }
        rules.push(rule.clone());
        out!("          to admit it, put this before all other scopes:");
        for line in rule.lines() {
            out!("            {}", shown(line));
        }
    }
}

impl Simulated {
    fn print(&self) {
        let style = Style::stdout();
        let mut rules = Vec::new();
        for one in &self.decisions {
            let same = one.before.is_none_or(|before| before.may_run());
            if !one.now.may_run() || !same {
                one.print(&self.policy, &mut rules, style);
            }
        }
        let by_name = match self.by_name {
            0 => String::new(),
            count => format!(" {count} by name alone,"),
        };
        out!(
            "{} images: {} admitted,{by_name} {} can't be told, {} blocked",
            self.images,
            self.admitted,
            self.unknown,
            self.blocked
        );
        out!(
            "{} are blocked that could run, {} can run that were not admitted",
            self.newly_blocked,
            self.newly_admitted
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-policy-simulate", &schemars::schema_for!(Simulated));
    }
}

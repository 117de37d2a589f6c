//! The comparison of two scans, for people: first whether it got better, then what to look at.

use std::collections::BTreeMap;

use image_scan::{Because, ComponentChange, Diff, FindingChange, Severity, Side};

use crate::style::{Style, in_a_line, out};

/// How many components of a list are shown.
const COMPONENTS_SHOWN: usize = 15;

/// How many packages are shown of what is still there.
const STILL_SHOWN: usize = 10;

/// How much of a summary a line shows.
const SUMMARY_SHOWN: usize = 60;

pub(crate) fn print(diff: &Diff) {
    let style = Style::stdout();
    side("old", &diff.old, style);
    side("new", &diff.new, style);
    if diff.is_same_image() {
        out!("  {}", style.unsure("both are the same image"));
    }
    severities(diff, style);
    components(diff, style);
    findings("NEW", &diff.findings.new, style);
    findings("GONE", &diff.findings.gone, style);
    still(&diff.findings.still, style);
    not_known(diff, style);
    summary(diff, style);
}

fn side(name: &str, side: &Side, style: Style) {
    let image = &side.image;
    let reference = in_a_line(&image.reference);
    let name = style.strong(name);
    match (&side.file, image.verified, &image.role) {
        (Some(file), verified, _) => {
            let was = if verified { "verified then, it says" } else { "UNVERIFIED" };
            let what = style.unsure(&format!("report {}: nobody vouches for it", in_a_line(file)));
            out!("{name}  {reference} ({was})\n     {what}");
        }
        (None, true, Some(role)) => {
            out!("{name}  {} {reference}, by role {}", style.good("verified"), in_a_line(role));
        }
        (None, true, None) => out!("{name}  {} {reference}", style.good("verified")),
        (None, false, _) => {
            out!("{name}  {} {reference}: nobody vouches for these bytes", style.bad("UNVERIFIED"));
        }
    }
    out!("     {}", in_a_line(&image.digest));
    let os = side.os.as_deref().unwrap_or("no distribution named");
    let looked_up = match &side.database {
        Some(made) => format!("advisories made {}", in_a_line(made)),
        None => "nothing was looked up".to_owned(),
    };
    out!("     {}; {} components; {looked_up}", in_a_line(os), side.components);
}

fn severities(diff: &Diff, style: Style) {
    let some: Vec<_> = diff.severities.iter().filter(|one| one.old > 0 || one.new > 0).collect();
    out!("\n{}", style.strong("FINDINGS THAT COUNT"));
    if some.is_empty() {
        out!("  none in either, of what could be looked up");
        return;
    }
    out!("  {:<11} {:>6} {:>6}   {:>6} {:>6}", "", "old", "new", "gone", "new");
    for one in some {
        let name = style.severity(one.severity, &format!("{:<11}", one.severity.name()));
        let gone = some_of('-', one.gone);
        let appeared = some_of('+', one.appeared);
        let gone = if one.gone > 0 { style.good(&gone) } else { style.faint(&gone) };
        let appeared = if one.appeared > 0 { style.bad(&appeared) } else { style.faint(&appeared) };
        out!("  {name} {:>6} {:>6}   {gone} {appeared}", one.old, one.new);
    }
}

/// A number with its sign, as wide as a column.
fn some_of(sign: char, count: usize) -> String {
    match count {
        0 => format!("{:>6}", "."),
        count => format!("{:>6}", format!("{sign}{count}")),
    }
}

fn components(diff: &Diff, style: Style) {
    let all = &diff.components;
    let count = [all.added.len(), all.removed.len(), all.changed.len()];
    let [added, removed, changed] = count;
    out!(
        "\n{}  {added} added, {removed} removed, {changed} in other versions, {} the same",
        style.strong("COMPONENTS"),
        all.same
    );
    for (mark, list) in [("+", &all.added), ("-", &all.removed), ("~", &all.changed)] {
        for one in list.iter().take(COMPONENTS_SHOWN) {
            out!("  {mark} {}", component(one));
        }
        if let Some(more) = list.len().checked_sub(COMPONENTS_SHOWN).filter(|more| *more > 0) {
            out!("  {mark} {}", style.faint(&format!("and {more} more: in --format json")));
        }
    }
}

fn component(one: &ComponentChange) -> String {
    let name = format!("{:<8} {}", in_a_line(&one.kind), in_a_line(&one.name));
    match (one.old.is_empty(), one.new.is_empty()) {
        (false, false) => format!("{name} {} -> {}", versions(&one.old), versions(&one.new)),
        (true, _) => format!("{name} {}", versions(&one.new)),
        (_, true) => format!("{name} {}", versions(&one.old)),
    }
}

fn versions(versions: &[String]) -> String {
    match versions {
        [] => "none".to_owned(),
        all => in_a_line(&all.join(", ")),
    }
}

/// Grouped by package, the worst first, each with why it came or went.
fn findings(title: &str, list: &[FindingChange], style: Style) {
    if list.is_empty() {
        return;
    }
    out!("\n{} ({})", style.strong(title), list.len());
    for group in groups(list) {
        let Some(first) = group.first() else { continue };
        out!("  {} {}", style.strong(&in_a_line(&first.package)), moved(first));
        for one in group {
            finding(one, style);
        }
    }
}

/// Where the package is from, and what became of its versions.
fn moved(one: &FindingChange) -> String {
    let ecosystem = in_a_line(&one.ecosystem);
    match one.old == one.new {
        true => format!("{}  {ecosystem}", versions(&one.new)),
        false => format!("{} -> {}  {ecosystem}", versions(&one.old), versions(&one.new)),
    }
}

fn finding(one: &FindingChange, style: Style) {
    let severity = style.severity(one.severity, &format!("{:<10}", one.severity.name()));
    let id = in_a_line(&one.id);
    let exploited = if one.exploited { style.bad("EXPLOITED ") } else { String::new() };
    let fixed = one
        .fixed
        .as_ref()
        .map_or_else(|| "no fix yet".to_owned(), |fixed| format!("-> {}", in_a_line(fixed)));
    let why = one.because.map(Because::words).unwrap_or_default();
    let summary: String = one.summary.iter().flat_map(|text| text.chars()).take(SUMMARY_SHOWN).collect();
    out!("      {severity} {id:<16} {fixed:<20} {exploited}{why}");
    if !summary.trim().is_empty() {
        out!("      {:<10} {}", "", style.faint(&in_a_line(&summary)));
    }
}

/// What is there as before: a line a package.
fn still(list: &[FindingChange], style: Style) {
    if list.is_empty() {
        return;
    }
    out!("\n{} ({})", style.strong("STILL"), list.len());
    let groups = groups(list);
    for group in groups.iter().take(STILL_SHOWN) {
        let Some(first) = group.first() else { continue };
        let counted: Vec<String> = Severity::ALL
            .into_iter()
            .map(|severity| (severity, group.iter().filter(|one| one.severity == severity).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| style.severity(severity, &format!("{count} {}", severity.name())))
            .collect();
        out!("  {} {}: {}", in_a_line(&first.package), moved(first), counted.join(", "));
    }
    if let Some(more) = groups.len().checked_sub(STILL_SHOWN).filter(|more| *more > 0) {
        out!("  {}", style.faint(&format!("and of {more} more packages: in --format json")));
    }
}

/// What of the comparison can't be told. It comes with every one, because silence would read as "better".
fn not_known(diff: &Diff, style: Style) {
    let gaps = [("old", &diff.old.gaps), ("new", &diff.new.gaps)];
    if gaps.iter().all(|(_, gaps)| gaps.is_empty()) && diff.findings.not_known.is_empty() {
        return;
    }
    out!("\n{}", style.strong("NOT KNOWN"));
    for (name, gaps) in gaps {
        for gap in gaps {
            out!("  in {name}: {}", style.unsure(&in_a_line(gap)));
        }
    }
    for one in diff.findings.not_known.iter().take(STILL_SHOWN) {
        let why = one.because.map(Because::words).unwrap_or_default();
        let what = format!("whether {} in {} is gone", in_a_line(&one.id), in_a_line(&one.package));
        out!("  {}: {why}", style.unsure(&what));
    }
    if let Some(more) = diff.findings.not_known.len().checked_sub(STILL_SHOWN).filter(|more| *more > 0) {
        out!("  {}", style.unsure(&format!("and {more} more that can't be told")));
    }
}

fn summary(diff: &Diff, style: Style) {
    let (new, gone) = (diff.findings.new.len(), diff.findings.gone.len());
    let unknown = diff.findings.not_known.len();
    let told =
        format!("{gone} findings are gone, {new} are new, {} are still there", diff.findings.still.len());
    let word = match (gone, new) {
        (0, 0) => style.strong("the same"),
        (_, 0) => style.good("better"),
        (0, _) => style.bad("worse"),
        _ => style.unsure("better and worse"),
    };
    let rest = if unknown > 0 { format!(", of {unknown} it can't be told") } else { String::new() };
    out!("\n{word}: {told}{rest}");
    let Some(gate) = &diff.gate else { return };
    match gate.passed {
        true => out!("{} {} by what is new", style.good("passed"), gate.summary()),
        false => out!("{} {}", style.bad("FAILED"), in_a_line(&gate.summary())),
    }
    for rule in &gate.expired {
        out!("  {} {}", style.unsure("no longer ignored"), in_a_line(rule));
    }
}

fn groups(list: &[FindingChange]) -> Vec<Vec<&FindingChange>> {
    let mut groups: BTreeMap<_, Vec<&FindingChange>> = BTreeMap::new();
    for one in list {
        groups
            .entry((one.ecosystem.as_str(), one.package.as_str(), &one.old, &one.new))
            .or_default()
            .push(one);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.iter().map(|one| one.severity).max()));
    groups
}

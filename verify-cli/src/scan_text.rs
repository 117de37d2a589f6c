//! The report of a scan, for people: what to worry about, where it came from, and what to do next.

use std::collections::{BTreeMap, BTreeSet};

use image_scan::{CoverageStatus, Finding, LayerInfo, Report, Severity, counts};

use crate::style::{Style, in_a_line, out, short_digests};

/// How much of a build step a line shows.
const STEP_SHOWN: usize = 60;

/// How many packages a next step names.
const NAMES_SHOWN: usize = 6;

/// How many files that were not read are shown.
const UNREAD_SHOWN: usize = 10;

pub(crate) fn print(report: &Report) {
    let style = Style::stdout();
    head(report, style);
    layers(report, style);
    findings(report, style);
    not_known(report, style);
    next_steps(report, style);
    gate(report, style);
}

fn head(report: &Report, style: Style) {
    let image = &report.image;
    match (image.verified, &image.role) {
        (true, Some(role)) => {
            out!("{} {}, by role {}", style.good("verified"), in_a_line(&image.reference), in_a_line(role))
        }
        (true, None) => out!("{} {}", style.good("verified"), in_a_line(&image.reference)),
        (false, _) => {
            out!(
                "{} {}: nobody vouches for these bytes",
                style.bad("UNVERIFIED"),
                in_a_line(&image.reference)
            )
        }
    }
    out!("  {}", image.digest);
    let os = report.os.as_ref().map_or_else(
        || "no distribution named".to_owned(),
        |os| os.name.clone().unwrap_or_else(|| os.label()),
    );
    out!("  {}; {} layers, {} components", in_a_line(&os), report.layers.len(), report.components.len());
    if let Some(database) = &report.database {
        out!("  {}", in_a_line(&database.words()));
    }
    for engine in &report.engines {
        let version = engine.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        let data = engine.data.as_deref().map(|data| format!(", by {data}")).unwrap_or_default();
        out!(
            "  {}{} found {}{}",
            in_a_line(&engine.name),
            in_a_line(&version),
            engine.findings,
            in_a_line(&data)
        );
    }
}

/// The map: for each layer, how bad what it brought is.
fn layers(report: &Report, style: Style) {
    out!("\n{}", style.strong("LAYERS"));
    for (index, layer) in report.layers.iter().enumerate() {
        let components = report.components.iter().filter(|one| one.layer == index).count();
        let worst = counts(report.findings.iter().filter(|one| one.layer == index));
        let origin = if layer.base { "base" } else { "own" };
        let severities: Vec<_> = Severity::ALL
            .iter()
            .filter_map(|severity| Some((severity, worst.get(severity)?)))
            .map(|(severity, count)| style.severity(*severity, &format!("{count} {}", severity.name())))
            .collect();
        let severities = match (severities.is_empty(), report.has_gap(index)) {
            (false, _) => severities.join(", "),
            (true, false) => "nothing known".to_owned(),
            (true, true) => "not all looked up".to_owned(),
        };
        out!(
            "  {index:>3} {origin:<4} {:>9} {components:>5} components  {severities}",
            megabytes(layer.size)
        );
        if let Some(step) = step(layer) {
            out!("        {}", style.faint(&step));
        }
    }
}

/// Grouped by what has to be updated: the source package where there is one.
fn findings(report: &Report, style: Style) {
    // Other engines may have found what we had nothing to look up in.
    if report.database.is_none() && report.engines.is_empty() {
        return;
    }
    out!("\n{}", style.strong("FINDINGS"));
    let (minor, worth): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|one| one.severity == Severity::Negligible);
    if report.findings.is_empty() {
        out!("  none of what could be looked up");
    }
    for group in groups(&worth) {
        package(&group, style);
    }
    if !minor.is_empty() {
        let what = format!("{} of no consequence, says the distribution: in the other formats", minor.len());
        out!("  {}", style.faint(&what));
    }
}

fn package(group: &[&Finding], style: Style) {
    let Some(first) = group.first() else { return };
    let binaries: BTreeSet<_> = group.iter().map(|one| one.package.as_str()).collect();
    let name = first.source_package.as_deref().unwrap_or(&first.package);
    let title = format!("{} {}", style.strong(&in_a_line(name)), in_a_line(&first.version));
    out!("  {title}  {}, layer {}", in_a_line(&first.ecosystem), first.layer);
    if binaries.len() > 1 || !binaries.contains(name) {
        out!("      in {}", in_a_line(&listed(binaries.into_iter())));
    }
    let mut told = BTreeSet::new();
    for one in group.iter().filter(|one| told.insert(one.id.as_str())) {
        advisory(one, style);
    }
}

fn advisory(one: &Finding, style: Style) {
    let severity = style.severity(one.severity, &format!("{:<10}", one.severity.name()));
    let fixed = match (&one.fixed, &one.fixed_for_some) {
        (Some(fixed), _) => format!("-> {fixed}"),
        (None, Some(some)) => format!("-> {some}"),
        (None, None) => "no fix yet".to_owned(),
    };
    let exploited = if one.exploited { style.bad("EXPLOITED ") } else { String::new() };
    let summary: String = one.summary.iter().flat_map(|summary| summary.chars()).take(STEP_SHOWN).collect();
    let (id, fixed) = (in_a_line(&one.id), in_a_line(&fixed));
    match &one.suppressed {
        None => out!("      {severity} {id:<16} {fixed:<20} {exploited}{}", in_a_line(&summary)),
        Some(answer) => {
            let until = answer.expires.as_deref().map(|at| format!(" until {at}")).unwrap_or_default();
            let what = format!("{id:<16} {fixed:<20} {}, by {}{until}", answer.reason, answer.by);
            out!("      {} {}", style.faint("ignored   "), style.faint(&in_a_line(&what)));
        }
    }
}

/// What nothing was learnt about. It comes with every report, because silence would read as "clean".
fn not_known(report: &Report, style: Style) {
    let gaps: Vec<_> = report.coverage.iter().filter(|one| one.status != CoverageStatus::Matched).collect();
    if gaps.is_empty() && report.unread.is_empty() && report.undecided.is_empty() {
        return;
    }
    out!("\n{}", style.strong("NOT KNOWN"));
    for gap in gaps {
        let why = in_a_line(gap.why.as_deref().unwrap_or("nothing to look them up in"));
        out!(
            "  {} {}: {why}",
            style.unsure(&format!("{} components of", gap.components)),
            in_a_line(&gap.ecosystem)
        );
    }
    for one in report.undecided.iter().take(UNREAD_SHOWN) {
        let what = format!("{} {}: {}", one.package, one.version, one.why);
        out!("  {} {}", style.unsure(&format!("whether {} applies", in_a_line(&one.id))), in_a_line(&what));
    }
    if report.undecided.len() > UNREAD_SHOWN {
        let more = report.undecided.len().saturating_sub(UNREAD_SHOWN);
        out!("  {}", style.unsure(&format!("and {more} more that can't be told")));
    }
    for unread in report.unread.iter().take(UNREAD_SHOWN) {
        out!(
            "  {} {}, layer {}: {}",
            style.unsure("not read"),
            in_a_line(&unread.path),
            unread.layer,
            in_a_line(&unread.why)
        );
    }
    let more = report.unread.len().saturating_sub(UNREAD_SHOWN).saturating_add(report.unread_more);
    if more > 0 {
        out!("  {}", style.unsure(&format!("and {more} more files that were not read")));
    }
}

fn next_steps(report: &Report, style: Style) {
    let fixable: Vec<_> =
        report.findings.iter().filter(|one| one.fixed.is_some() && one.suppressed.is_none()).collect();
    if fixable.is_empty() {
        return;
    }
    out!("\n{}", style.strong("NEXT"));
    for (index, layer) in report.layers.iter().enumerate() {
        let here: Vec<_> = fixable.iter().filter(|one| one.layer == index).collect();
        let names: BTreeSet<_> =
            here.iter().map(|one| one.source_package.as_deref().unwrap_or(&one.package)).collect();
        if names.is_empty() {
            continue;
        }
        let what = if layer.base { "take a newer base image" } else { "update" };
        let ids: BTreeSet<_> = here.iter().map(|one| one.id.as_str()).collect();
        out!("  layer {index}: {what}: {} ({} mended)", in_a_line(&listed(names.into_iter())), ids.len());
    }
}

fn gate(report: &Report, style: Style) {
    let Some(gate) = &report.gate else { return };
    match gate.passed {
        true => out!("\n{} {}", style.good("passed"), gate.summary()),
        false => out!("\n{} {}", style.bad("FAILED"), in_a_line(&gate.summary())),
    }
    for rule in &gate.expired {
        out!("  {} {}", style.unsure("no longer ignored"), in_a_line(rule));
    }
    for rule in &gate.unused {
        out!("  {} {}", style.faint("fits nothing"), style.faint(&in_a_line(rule)));
    }
}

fn groups<'f>(findings: &[&'f Finding]) -> Vec<Vec<&'f Finding>> {
    let mut groups: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for one in findings {
        let name = one.source_package.as_deref().unwrap_or(&one.package);
        groups.entry((one.ecosystem.as_str(), name, one.version.as_str(), one.layer)).or_default().push(one);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.iter().map(|one| one.severity).max()));
    groups
}

fn step(layer: &LayerInfo) -> Option<String> {
    let step = in_a_line(layer.created_by.as_deref()?);
    let words: String = step.chars().take(STEP_SHOWN).collect();
    let more = if words.len() < step.len() { "…" } else { "" };
    Some(short_digests(&format!("{words}{more}")))
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.collect();
    let shown: Vec<_> = names.iter().take(NAMES_SHOWN).copied().collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).checked_div(1_000_000).unwrap_or_default();
    let (whole, tenth) =
        (tenths.checked_div(10).unwrap_or_default(), tenths.checked_rem(10).unwrap_or_default());
    format!("{whole}.{tenth} MB")
}

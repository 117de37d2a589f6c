//! One file for people: the map of layers, what was found, what wasn't looked up, what is in the image.
//!
//! It needs nothing from elsewhere and asks nothing of anywhere: its policy allows its own style and its own script,
//! by the script's hash, so that even an error in escaping here runs nothing. Without the script all is there to read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oci_image::Digest;

use crate::report::{CoverageStatus, DatabaseInfo, Finding, Report, Severity, counts};

pub(super) const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// The report as a page of its own.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    let hash = BASE64_STANDARD.encode(Digest::of(SCRIPT.as_bytes()).bytes());
    let title = escaped(&report.image.reference);
    // Writing into a String can't fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Scan of {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    head(&mut page, report);
    page.push_str("<main>\n");
    layers(&mut page, report);
    findings(&mut page, report);
    not_known(&mut page, report);
    components(&mut page, report);
    let _ = write!(page, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

fn head(page: &mut String, report: &Report) {
    let image = &report.image;
    let mark = match (image.verified, &image.role) {
        (true, Some(role)) => {
            format!("<span class=\"mark good\">\u{2713} verified, by role {}</span>", escaped(role))
        }
        (true, None) => "<span class=\"mark good\">\u{2713} verified</span>".to_owned(),
        (false, _) => {
            "<span class=\"mark bad\">\u{2717} unverified: nobody vouches for these bytes</span>".to_owned()
        }
    };
    let os = report.os.as_ref().map_or_else(
        || "no distribution named".to_owned(),
        |os| os.name.clone().unwrap_or_else(|| os.label()),
    );
    let database = report.database.as_ref();
    let database = database.map_or_else(|| "none: nothing was looked up".to_owned(), DatabaseInfo::words);
    let _ = write!(
        page,
        "<header>\n<h1>{}</h1>\n<p>{mark}{}</p>\n<dl>\n<dt>Digest</dt><dd><code>{}</code></dd>\n<dt>System</dt><dd>{}</dd>\n\
         <dt>Database</dt><dd>{}</dd>\n</dl>\n<ul class=\"totals\">",
        escaped(&image.reference),
        gate(report),
        escaped(&image.digest),
        escaped(&os),
        escaped(&database),
    );
    let totals = counts(report.findings.iter());
    for severity in Severity::ALL {
        let count = totals.get(&severity).copied().unwrap_or_default();
        let name = severity.name();
        let _ = write!(page, "<li class=\"{name}\"><b>{count}</b> {name}</li>");
    }
    page.push_str("</ul>\n</header>\n");
}

fn gate(report: &Report) -> String {
    let Some(gate) = &report.gate else { return String::new() };
    match gate.passed {
        true => " <span class=\"mark good\">\u{2713} passed: no rule is broken</span>".to_owned(),
        false => format!(" <span class=\"mark bad\">\u{2717} failed: {}</span>", escaped(&gate.summary())),
    }
}

fn layers(page: &mut String, report: &Report) {
    page.push_str("<section id=\"layers\">\n<h2>Layers</h2>\n<ol start=\"0\">\n");
    for (index, layer) in report.layers.iter().enumerate() {
        let here = counts(report.findings.iter().filter(|one| one.layer == index));
        let components = report.components.iter().filter(|one| one.layer == index).count();
        let step = layer.created_by.as_deref().unwrap_or("made by an unnamed step");
        let _ = write!(
            page,
            "<li><div class=\"step\"><code>{}</code></div><div class=\"facts\">{} \u{b7} {} \u{b7} {components} components</div>",
            escaped(step),
            if layer.base { "base image" } else { "this image" },
            megabytes(layer.size),
        );
        bar(page, &here, report.has_gap(index));
        page.push_str("</li>\n");
    }
    page.push_str("</ol>\n</section>\n");
}

/// How bad a layer is: a part for each severity, as wide as its share, with its letter and number.
fn bar(page: &mut String, counts: &BTreeMap<Severity, usize>, gap: bool) {
    if counts.is_empty() {
        let what = if gap { "not all looked up" } else { "nothing known" };
        let _ = write!(page, "<div class=\"bar none\">{what}</div>");
        return;
    }
    page.push_str("<div class=\"bar\">");
    for (severity, count) in counts.iter().rev() {
        let name = severity.name();
        let _ = write!(
            page,
            "<span class=\"{name}\" style=\"flex-grow:{count}\" title=\"{count} {name}\">{} {count}</span>",
            letter(*severity)
        );
    }
    page.push_str("</div>");
}

fn findings(page: &mut String, report: &Report) {
    page.push_str("<section id=\"findings\">\n<h2>Findings</h2>\n");
    if report.findings.is_empty() {
        let what = match report.database {
            Some(_) => "None of what could be looked up. See what could not, below.",
            None => "Nothing was looked up: no database was given.",
        };
        let _ = write!(page, "<p>{what}</p>\n</section>\n");
        return;
    }
    filters(page, report);
    for group in groups(&report.findings) {
        package(page, &group);
    }
    page.push_str("<p id=\"none\" hidden>No finding is left by the filters.</p>\n</section>\n");
}

fn filters(page: &mut String, report: &Report) {
    page.push_str("<form id=\"filters\" hidden>\n<label>Search <input type=\"search\" id=\"search\"></label>\n<label>At least <select id=\"least\">");
    for severity in Severity::ALL.iter().rev() {
        let _ = write!(page, "<option value=\"{}\">{}</option>", rank(*severity), severity.name());
    }
    page.push_str("</select></label>\n<label>Layer <select id=\"layer\"><option value=\"\">all</option>");
    for index in 0..report.layers.len() {
        let _ = write!(page, "<option>{index}</option>");
    }
    page.push_str("</select></label>\n<label><input type=\"checkbox\" id=\"fixable\"> mended by a newer version</label>\n</form>\n");
}

/// All that is known of one package, the worst in front.
fn package(page: &mut String, group: &[&Finding]) {
    let Some(first) = group.first() else { return };
    let name = first.source_package.as_deref().unwrap_or(&first.package);
    let worst = group.iter().map(|one| one.severity).max().unwrap_or(Severity::Unknown);
    let by_id = by_id(group);
    let _ = writeln!(
        page,
        "<details class=\"package\"><summary><span class=\"badge {}\">{}</span> <b>{}</b> {} \
         <span class=\"facts\">{} \u{b7} layer {} \u{b7} {} known</span></summary>",
        worst.name(),
        worst.name(),
        escaped(name),
        escaped(&first.version),
        escaped(&first.ecosystem),
        first.layer,
        by_id.len(),
    );
    for findings in by_id.values() {
        advisory(page, findings);
    }
    page.push_str("</details>\n");
}

/// One advisory, with all that a decision needs.
fn advisory(page: &mut String, findings: &[&Finding]) {
    let Some(one) = findings.first() else { return };
    let packages: Vec<_> = findings.iter().map(|one| one.package.as_str()).collect();
    let words = format!(
        "{} {} {} {}",
        one.id,
        one.aliases.join(" "),
        packages.join(" "),
        one.summary.as_deref().unwrap_or_default()
    );
    let fixed =
        one.fixed.as_ref().map_or_else(|| "no fix yet".to_owned(), |fixed| format!("fixed in {fixed}"));
    let _ = write!(
        page,
        "<details class=\"advisory\" data-rank=\"{}\" data-layer=\"{}\" data-fixed=\"{}\" data-words=\"{}\"><summary>\
         <span class=\"badge {}\">{}</span> <b>{}</b>{} <span class=\"fixed\">{}</span> {}</summary>\n<dl>",
        rank(one.severity),
        one.layer,
        u8::from(one.fixed.is_some()),
        escaped(&words.to_lowercase()),
        one.severity.name(),
        one.severity.name(),
        escaped(&one.id),
        match (&one.suppressed, one.exploited) {
            (Some(_), _) => " <span class=\"mark\">ignored</span>",
            (None, true) => " <span class=\"mark bad\">known to be exploited</span>",
            (None, false) => "",
        },
        escaped(&fixed),
        escaped(one.summary.as_deref().unwrap_or_default()),
    );
    if let Some(answer) = &one.suppressed {
        let until = answer.expires.as_deref().map(|at| format!(", until {at}")).unwrap_or_default();
        entry(page, "Ignored", &format!("{} (by {}{until})", answer.reason, answer.by));
    }
    entry(page, "In", &packages.join(", "));
    entry(page, "Fixed for some", one.fixed_for_some.as_deref().unwrap_or_default());
    entry(page, "Disputed", if one.disputed { "yes" } else { "" });
    entry(page, "Also", &one.aliases.join(", "));
    let score = one.score.map(|score| format!("{score:.1}")).unwrap_or_default();
    entry(page, "Score", &[score.as_str(), one.vector.as_deref().unwrap_or_default()].join(" "));
    entry(page, "Says", one.severity_source.as_deref().unwrap_or_default());
    entry(page, "File", &one.path);
    entry(page, "Package URL", &one.purl);
    page.push_str("</dl>\n<ul>");
    // Anything else than a page to read could be a script.
    for url in one.references.iter().filter(|url| url.starts_with("https://") || url.starts_with("http://")) {
        let url = escaped(url);
        let _ = write!(page, "<li><a rel=\"noopener noreferrer\" href=\"{url}\">{url}</a></li>");
    }
    page.push_str("</ul></details>\n");
}

fn entry(page: &mut String, name: &str, value: &str) {
    if !value.trim().is_empty() {
        let _ = write!(page, "<dt>{name}</dt><dd>{}</dd>", escaped(value.trim()));
    }
}

fn not_known(page: &mut String, report: &Report) {
    let gaps: Vec<_> = report.coverage.iter().filter(|one| one.status != CoverageStatus::Matched).collect();
    if gaps.is_empty() && report.unread.is_empty() && report.undecided.is_empty() {
        return;
    }
    page.push_str("<section id=\"not-known\">\n<h2>Not known</h2>\n<ul>\n");
    for gap in gaps {
        let why = escaped(gap.why.as_deref().unwrap_or_default());
        let _ = writeln!(
            page,
            "<li><b>{} components of {}</b>: {why}</li>",
            gap.components,
            escaped(&gap.ecosystem)
        );
    }
    for one in &report.undecided {
        let (id, package, version, why) = (&one.id, &one.package, &one.version, &one.why);
        let what = escaped(&format!("{package} {version}: {why}"));
        let _ = writeln!(page, "<li><b>Whether {} applies</b>: {what}</li>", escaped(id));
    }
    for unread in &report.unread {
        let (path, why) = (escaped(&unread.path), escaped(&unread.why));
        let _ =
            writeln!(page, "<li><b>Not read</b>: <code>{path}</code>, layer {}: {why}</li>", unread.layer);
    }
    if report.unread_more > 0 {
        let _ = writeln!(page, "<li>and {} more files that were not read</li>", report.unread_more);
    }
    page.push_str("</ul>\n</section>\n");
}

fn components(page: &mut String, report: &Report) {
    let _ = write!(
        page,
        "<section id=\"components\">\n<h2>Components</h2>\n<details><summary>{} in all</summary>\n<table>\n<thead><tr>\
         <th>Name</th><th>Version</th><th>Kind</th><th>Layer</th><th>File</th></tr></thead>\n<tbody>\n",
        report.components.len()
    );
    for one in &report.components {
        let owner = one.owner.as_ref().map(|owner| format!(" (of {})", escaped(owner)));
        let guess = one.guess.as_ref().map(|guess| format!(" (a guess by its {})", escaped(&guess.from)));
        let owner = owner.or(guess).unwrap_or_default();
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code>{owner}</td></tr>",
            escaped(&one.name),
            escaped(&one.version),
            one.kind.name(),
            one.layer,
            escaped(&one.path),
        );
    }
    page.push_str("</tbody></table></details>\n</section>\n");
}

fn groups(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for one in findings {
        let name = one.source_package.as_deref().unwrap_or(&one.package);
        groups.entry((one.ecosystem.as_str(), name, one.version.as_str(), one.layer)).or_default().push(one);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.iter().map(|one| one.severity).max()));
    groups
}

/// The findings of a group by advisory, in the order they had: the worst first.
fn by_id<'f>(group: &[&'f Finding]) -> BTreeMap<(std::cmp::Reverse<Severity>, &'f str), Vec<&'f Finding>> {
    let mut by_id: BTreeMap<_, Vec<&Finding>> = BTreeMap::new();
    for one in group {
        by_id.entry((std::cmp::Reverse(one.severity), one.id.as_str())).or_default().push(one);
    }
    by_id
}

fn rank(severity: Severity) -> usize {
    Severity::ALL.iter().rev().position(|one| *one == severity).unwrap_or_default()
}

fn letter(severity: Severity) -> char {
    match severity {
        Severity::Critical => 'C',
        Severity::High => 'H',
        Severity::Medium => 'M',
        Severity::Low => 'L',
        Severity::Negligible => 'N',
        Severity::Unknown => '?',
    }
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).checked_div(1_000_000).unwrap_or_default();
    let (whole, tenth) =
        (tenths.checked_div(10).unwrap_or_default(), tenths.checked_rem(10).unwrap_or_default());
    format!("{whole}.{tenth} MB")
}

/// Text for a page, in an element and in an attribute. What turns the order of letters around is shown by its name.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.extend(one.escape_unicode()),
            _ if one.is_control() => escaped.push(' '),
            _ => escaped.push(one),
        }
    }
    escaped
}

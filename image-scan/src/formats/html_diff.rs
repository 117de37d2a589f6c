//! The comparison of two scans as a page of its own: no script, and nothing from elsewhere.

use std::fmt::Write as _;

use super::html::{STYLE, escaped};
use crate::diff::{Because, ComponentChange, Diff, FindingChange, Side};

/// The comparison as a page.
#[must_use]
pub fn html_diff(diff: &Diff) -> String {
    let mut page = String::new();
    let (old, new) = (escaped(&diff.old.image.reference), escaped(&diff.new.image.reference));
    // Writing into a String can't fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>From {old} to {new}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>From {old} to {new}</h1>\n{}<dl>\n",
        verdict(diff)
    );
    side(&mut page, "Old", &diff.old);
    side(&mut page, "New", &diff.new);
    page.push_str("</dl>\n</header>\n<main>\n");
    severities(&mut page, diff);
    list(&mut page, "new", "New", &diff.findings.new);
    list(&mut page, "gone", "Gone", &diff.findings.gone);
    list(&mut page, "still", "Still there", &diff.findings.still);
    not_known(&mut page, diff);
    components(&mut page, diff);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn verdict(diff: &Diff) -> String {
    let (new, gone) = (diff.findings.new.len(), diff.findings.gone.len());
    let (class, word) = match (gone, new) {
        (0, 0) => ("mark", "the same"),
        (_, 0) => ("mark good", "better"),
        (0, _) => ("mark bad", "worse"),
        _ => ("mark", "better and worse"),
    };
    let still = diff.findings.still.len();
    let mut text = format!(
        "<p><span class=\"{class}\">{word}</span>: {gone} findings are gone, {new} are new, {still} are still there"
    );
    if !diff.findings.not_known.is_empty() {
        let _ = write!(text, ", of {} it can't be told", diff.findings.not_known.len());
    }
    match &diff.gate {
        Some(gate) if gate.passed => {
            text.push_str(
                " <span class=\"mark good\">\u{2713} passed: no rule is broken by what is new</span>",
            );
        }
        Some(gate) => {
            let _ = write!(
                text,
                " <span class=\"mark bad\">\u{2717} failed: {}</span>",
                escaped(&gate.summary())
            );
        }
        None => {}
    }
    text + "</p>\n"
}

fn side(page: &mut String, name: &str, side: &Side) {
    let mark = match (&side.file, side.image.verified) {
        (Some(file), _) => {
            format!("<span class=\"mark bad\">report {}: nobody vouches for it</span>", escaped(file))
        }
        (None, true) => "<span class=\"mark good\">\u{2713} verified</span>".to_owned(),
        (None, false) => {
            "<span class=\"mark bad\">\u{2717} unverified: nobody vouches for these bytes</span>".to_owned()
        }
    };
    let looked_up = match &side.database {
        Some(made) => format!("advisories made {}", escaped(made)),
        None => "nothing was looked up".to_owned(),
    };
    let _ = writeln!(
        page,
        "<dt>{name}</dt><dd>{} {mark}<br><code>{}</code><br>{} \u{b7} {} components \u{b7} {looked_up}</dd>",
        escaped(&side.image.reference),
        escaped(&side.image.digest),
        escaped(side.os.as_deref().unwrap_or("no distribution named")),
        side.components,
    );
}

fn severities(page: &mut String, diff: &Diff) {
    page.push_str(
        "<section id=\"severities\">\n<h2>Findings that count</h2>\n<table class=\"numbers\">\n<thead><tr><th>Severity</th><th>Old</th>\
         <th>New</th><th>Gone</th><th>New ones</th></tr></thead>\n<tbody>\n",
    );
    for one in &diff.severities {
        let name = one.severity.name();
        let _ = writeln!(
            page,
            "<tr><td><span class=\"badge {name}\">{name}</span></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            one.old, one.new, one.gone, one.appeared
        );
    }
    page.push_str("</tbody></table>\n</section>\n");
}

fn list(page: &mut String, id: &str, title: &str, findings: &[FindingChange]) {
    if findings.is_empty() {
        return;
    }
    let _ = writeln!(page, "<section id=\"{id}\">\n<h2>{title} ({})</h2>", findings.len());
    for one in findings {
        finding(page, one);
    }
    page.push_str("</section>\n");
}

fn finding(page: &mut String, one: &FindingChange) {
    let name = one.severity.name();
    let fixed = match &one.fixed {
        Some(fixed) => format!("fixed in {}", escaped(fixed)),
        None => "no fix yet".to_owned(),
    };
    let was = one.was.map(|was| format!(" (was {})", was.name())).unwrap_or_default();
    let exploited = if one.exploited { " <span class=\"mark bad\">known to be exploited</span>" } else { "" };
    let why = one.because.map(|why| format!(" \u{b7} {}", why.words())).unwrap_or_default();
    let _ = writeln!(
        page,
        "<details class=\"package\"><summary><span class=\"badge {name}\">{name}</span>{was} <b>{}</b> in <b>{}</b> {}{exploited} \
         <span class=\"fixed\">{fixed}</span> <span class=\"facts\">{}{why}</span></summary>\n<p>{}</p>\n<p class=\"facts\">{}</p></details>",
        escaped(&one.id),
        escaped(&one.package),
        moved(&one.old, &one.new),
        escaped(&one.ecosystem),
        escaped(one.summary.as_deref().unwrap_or("no summary")),
        escaped(&one.aliases.join(", ")),
    );
}

fn moved(old: &[String], new: &[String]) -> String {
    let text = |versions: &[String]| match versions {
        [] => "none".to_owned(),
        all => escaped(&all.join(", ")),
    };
    if old == new { text(new) } else { format!("{} \u{2192} {}", text(old), text(new)) }
}

fn not_known(page: &mut String, diff: &Diff) {
    let gaps = [("old", &diff.old.gaps), ("new", &diff.new.gaps)];
    if gaps.iter().all(|(_, gaps)| gaps.is_empty()) && diff.findings.not_known.is_empty() {
        return;
    }
    page.push_str("<section id=\"not-known\">\n<h2>Not known</h2>\n<ul>\n");
    for (name, gaps) in gaps {
        for gap in gaps {
            let _ = writeln!(page, "<li>In {name}: {}</li>", escaped(gap));
        }
    }
    for one in &diff.findings.not_known {
        let (id, package) = (escaped(&one.id), escaped(&one.package));
        let why = one.because.map(Because::words).unwrap_or_default();
        let _ = writeln!(page, "<li><b>Whether {id} in {package} is gone</b>: {why}</li>");
    }
    page.push_str("</ul>\n</section>\n");
}

fn components(page: &mut String, diff: &Diff) {
    let all = &diff.components;
    let (added, removed, changed) = (all.added.len(), all.removed.len(), all.changed.len());
    let _ = write!(
        page,
        "<section id=\"components\">\n<h2>Components</h2>\n<details><summary>{added} added, {removed} removed, {changed} in \
         other versions, {} the same</summary>\n<table>\n<thead><tr><th>What</th><th>Kind</th><th>Name</th><th>Versions</th>\
         </tr></thead>\n<tbody>\n",
        all.same
    );
    for (what, list) in [("added", &all.added), ("removed", &all.removed), ("changed", &all.changed)] {
        for one in list {
            component(page, what, one);
        }
    }
    page.push_str("</tbody></table></details>\n</section>\n");
}

fn component(page: &mut String, what: &str, one: &ComponentChange) {
    let _ = writeln!(
        page,
        "<tr><td>{what}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escaped(&one.kind),
        escaped(&one.name),
        moved(&one.old, &one.new),
    );
}

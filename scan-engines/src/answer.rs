//! What every engine's answer becomes, and why one can't be used.

use image_scan::{Engine, Foreign, Severity};

use crate::FINDINGS_MAX;

/// Texts of a finding, in bytes: names are short, and a summary is a line.
const NAME_MAX: usize = 1024;
const LINE_MAX: usize = 500;
/// References and other names that are kept of a finding.
const LIST_MAX: usize = 16;

/// An engine's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Who it is from.
    pub engine: Engine,
    /// What it found.
    pub findings: Vec<Foreign>,
}

/// Why an answer can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(pub String);

impl From<serde_json::Error> for BadAnswer {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("expected its JSON, got something else: {error}"))
    }
}

impl Answer {
    /// An answer, cut to what a report can hold.
    ///
    /// # Errors
    /// When there are more findings than a report can hold, or one without an id or package.
    pub fn new(
        name: &str,
        version: Option<String>,
        data: Option<String>,
        findings: Vec<Foreign>,
    ) -> Result<Self, BadAnswer> {
        if findings.len() > FINDINGS_MAX {
            let got = findings.len();
            return Err(BadAnswer(format!("expected at most {FINDINGS_MAX} findings, got {got}")));
        }
        let findings = findings.into_iter().map(bounded).collect::<Result<Vec<_>, _>>()?;
        let engine = Engine {
            name: name.to_owned(),
            version: version.map(|version| line(&version)),
            data: data.map(|data| line(&data)),
            findings: findings.len(),
        };
        Ok(Self { engine, findings })
    }
}

fn bounded(one: Foreign) -> Result<Foreign, BadAnswer> {
    let fits = |text: &str| text.len() <= NAME_MAX && !text.chars().any(char::is_control);
    let (id, package) = (one.id.trim(), one.package.trim());
    if id.is_empty() || package.is_empty() {
        return Err(BadAnswer("expected an id and a package of each finding, got none".to_owned()));
    }
    let path = one.path.as_deref().unwrap_or_default();
    let names = [id, package, &one.version, &one.ecosystem, path];
    if let Some(long) = names.into_iter().find(|text| !fits(text)) {
        let begin: String = long.chars().take(40).collect();
        return Err(BadAnswer(format!(
            "expected names of a line and at most {NAME_MAX} bytes, got {begin:?}…"
        )));
    }
    let mut aliases: Vec<String> = one
        .aliases
        .into_iter()
        .filter(|alias| fits(alias) && !alias.is_empty() && *alias != one.id)
        .collect();
    aliases.sort();
    aliases.dedup();
    aliases.truncate(LIST_MAX);
    let mut references = one.references;
    references.retain(|link| fits(link) && (link.starts_with("https://") || link.starts_with("http://")));
    references.truncate(LIST_MAX);
    Ok(Foreign {
        id: id.to_owned(),
        package: package.to_owned(),
        fixed: one.fixed.filter(|fixed| fits(fixed) && !fixed.is_empty()),
        summary: one.summary.map(|summary| line(&summary)).filter(|summary| !summary.is_empty()),
        purl: one.purl.filter(|purl| fits(purl) && !purl.is_empty()),
        layer: one.layer.filter(|layer| fits(layer)),
        aliases,
        references,
        ..one
    })
}

/// A text as one line of bounded length.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::new();
    for word in
        text.split(|one: char| one.is_whitespace() || one.is_control()).filter(|word| !word.is_empty())
    {
        if line.len().saturating_add(word.len()) > LINE_MAX {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// A word for how bad it is, as engines write it.
pub(crate) fn severity(word: &str) -> Option<Severity> {
    match word.to_ascii_lowercase().as_str() {
        "critical" | "defcon1" => Some(Severity::Critical),
        "high" | "important" => Some(Severity::High),
        "medium" | "moderate" => Some(Severity::Medium),
        "low" | "minor" => Some(Severity::Low),
        "negligible" | "unimportant" | "none" => Some(Severity::Negligible),
        _ => None,
    }
}

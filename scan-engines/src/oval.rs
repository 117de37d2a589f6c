//! OpenSCAP: which definitions of an OVAL file `oscap oval eval` found true of a root folder.

use std::collections::BTreeMap;

use image_scan::Foreign;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::answer::{Answer, BadAnswer, severity};

/// The most bytes of an OVAL file: Debian's for one release has 40 MB.
pub const OVAL_MAX: u64 = 512 << 20;

/// Definitions of one file: Red Hat's has 30,000.
const DEFINITIONS_MAX: usize = 1_000_000;

/// A definition, as far as a finding needs it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Definition {
    class: String,
    title: String,
    severity: String,
    names: Vec<String>,
    links: Vec<String>,
    /// Of the first criterion `PACKAGE … is earlier than VERSION`.
    package: Option<String>,
    fixed: Option<String>,
}

/// Reads what `oscap` said on stdout, a line a definition, with the file that it evaluated.
///
/// # Errors
/// When the file can't be read, oscap met an error, or says nothing of a definition.
pub fn parse(oval: &[u8], stdout: &[u8]) -> Result<Answer, BadAnswer> {
    let definitions = definitions(oval)?;
    let results = results(stdout)?;
    let (mut findings, mut untold) = (Vec::new(), 0_usize);
    for (id, one) in &definitions {
        if !matches!(one.class.as_str(), "vulnerability" | "patch") {
            continue;
        }
        match results.get(id.as_str()).copied() {
            Some("true") => findings.push(finding(id, one)),
            Some("false" | "not applicable") => {}
            Some("unknown" | "not evaluated") => untold = untold.saturating_add(1),
            Some(other) => return Err(BadAnswer(format!("definition {id}: {}", crate::answer::line(other)))),
            None => return Err(BadAnswer(format!("expected a word on definition {id}, got none"))),
        }
    }
    let data = match untold {
        0 => format!("{} definitions", definitions.len()),
        untold => format!("{} definitions, of which {untold} could not be told", definitions.len()),
    };
    Answer::new("oscap", None, Some(data), findings)
}

fn finding(id: &str, one: &Definition) -> Foreign {
    let cve = one.names.iter().find(|name| name.starts_with("CVE-"));
    let id = cve.or_else(|| one.names.first()).cloned().unwrap_or_else(|| id.to_owned());
    Foreign {
        package: one.package.clone().unwrap_or_else(|| "image".to_owned()),
        fixed: one.fixed.clone(),
        severity: severity(&one.severity),
        summary: Some(one.title.clone()),
        aliases: one.names.clone(),
        references: one.links.clone(),
        id,
        ..Foreign::default()
    }
}

/// `Definition oval:…:def:1: true`.
fn results(stdout: &[u8]) -> Result<BTreeMap<&str, &str>, BadAnswer> {
    let text =
        std::str::from_utf8(stdout).map_err(|_| BadAnswer("expected text, got something else".to_owned()))?;
    let mut results = BTreeMap::new();
    for line in text.lines() {
        results.extend(line.strip_prefix("Definition ").and_then(|rest| rest.rsplit_once(": ")));
    }
    Ok(results)
}

/// The definitions of an OVAL file. Entities beyond XML's own are an error, so nothing expands.
fn definitions(oval: &[u8]) -> Result<BTreeMap<String, Definition>, BadAnswer> {
    let bad = |why: String| BadAnswer(format!("the OVAL file can't be read: {}", crate::answer::line(&why)));
    let mut reader = Reader::from_reader(oval);
    let (mut all, mut open, mut text) = (BTreeMap::new(), None::<(String, Definition)>, String::new());
    loop {
        match reader.read_event().map_err(|error| bad(error.to_string()))? {
            Event::Start(start) | Event::Empty(start) if start.local_name().as_ref() == b"definition" => {
                let id = attribute(&start, "id").ok_or_else(|| bad("a definition has no id".to_owned()))?;
                let class = attribute(&start, "class").unwrap_or_default();
                open = Some((id, Definition { class, ..Definition::default() }));
            }
            Event::Start(start) | Event::Empty(start) => {
                text.clear();
                if let Some((_, definition)) = &mut open {
                    definition.take(&start);
                }
            }
            Event::Text(piece) => {
                let piece = piece.decode().map_err(|error| bad(error.to_string()))?;
                text.push_str(&piece);
            }
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|error| bad(error.to_string()))?;
                let one = reference.resolve_char_ref().map_err(|error| bad(error.to_string()))?;
                match (one, quick_xml::escape::resolve_predefined_entity(&name)) {
                    (Some(one), _) => text.push(one),
                    (None, Some(known)) => text.push_str(known),
                    (None, None) => return Err(bad(format!("expected no entity of its own, got {name}"))),
                }
            }
            Event::End(end) => match (end.local_name().as_ref(), &mut open) {
                (b"definition", Some(_)) => {
                    all.extend(open.take());
                    if all.len() > DEFINITIONS_MAX {
                        return Err(bad(format!("expected at most {DEFINITIONS_MAX} definitions")));
                    }
                }
                (b"title", Some((_, definition))) => definition.title = std::mem::take(&mut text),
                (b"severity", Some((_, definition))) => definition.severity = std::mem::take(&mut text),
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    match all.is_empty() {
        true => Err(bad("expected definitions, got none".to_owned())),
        false => Ok(all),
    }
}

impl Definition {
    fn take(&mut self, start: &BytesStart<'_>) {
        match start.local_name().as_ref() {
            b"reference" => {
                self.names.extend(attribute(start, "ref_id"));
                self.links.extend(attribute(start, "ref_url"));
            }
            b"criterion" if self.package.is_none() => {
                let comment = attribute(start, "comment").unwrap_or_default();
                let Some((package, version)) = comment.split_once(" is earlier than ") else { return };
                self.package = package.split_whitespace().next().map(str::to_owned);
                self.fixed = version.split_whitespace().next().map(str::to_owned);
            }
            _ => {}
        }
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = start.try_get_attribute(name).ok()??;
    let text = std::str::from_utf8(&attribute.value).ok()?;
    Some(quick_xml::escape::unescape(text).ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVAL: &[u8] = include_bytes!("../tests/answers/oval.xml");

    fn said(word: &str) -> String {
        format!(
            "Definition oval:example:def:2: true\nDefinition oval:example:def:1: {word}\nEvaluation done.\n"
        )
    }

    #[test]
    fn what_is_true_is_found() {
        let answer = parse(OVAL, said("true").as_bytes()).unwrap();
        let [one] = answer.findings.as_slice() else { panic!("{answer:?}") };
        assert_eq!((one.id.as_str(), one.package.as_str()), ("CVE-2026-7", "bash"));
        assert_eq!(one.fixed.as_deref(), Some("0:5.2.15-3"));
        assert_eq!(one.summary.as_deref(), Some("CVE-2026-7 & bash"));
        assert_eq!(one.severity, Some(image_scan::Severity::High));
        assert!(parse(OVAL, said("false").as_bytes()).unwrap().findings.is_empty());
    }

    #[test]
    fn what_is_not_told_is_said_and_silence_is_an_error() {
        let answer = parse(OVAL, said("unknown").as_bytes()).unwrap();
        assert_eq!(answer.engine.data.as_deref(), Some("2 definitions, of which 1 could not be told"));
        assert!(parse(OVAL, said("error").as_bytes()).is_err());
        assert!(parse(OVAL, b"Definition oval:example:def:2: true\n").is_err());
        for oval in ["", "<a/>", "<a><definition/></a>", "not xml <"] {
            assert!(parse(oval.as_bytes(), b"").is_err(), "{oval}");
        }
    }
}

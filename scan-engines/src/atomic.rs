//! Atomic's contract for scanners: `/etc/atomic.d/NAME` says which image to run; it finds the root folder in
//! `/scanin/UUID` and writes `/scanout/UUID/json`.

use std::collections::BTreeMap;

use image_scan::Foreign;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Answer, BadAnswer, severity};

/// The most bytes of a scanner's file.
pub const CONFIG_MAX: u64 = 64 * 1024;

/// A scanner, of those that `atomic scan --list` would show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scanner {
    /// Its name.
    pub name: String,
    /// The image to run.
    pub image: String,
    /// What the image is started with.
    pub args: Vec<String>,
    /// More arguments for the container engine.
    pub custom_args: Vec<String>,
}

/// Reads `/etc/atomic.d/NAME`, whose form is YAML's: `key: value` and lists in brackets, as all such files have it.
///
/// # Errors
/// When a scanner's name or image is missing.
pub fn scanner(text: &str) -> Result<Scanner, BadAnswer> {
    let (mut top, mut scans, mut scan) = (BTreeMap::new(), Vec::<BTreeMap<&str, &str>>::new(), false);
    let joined = joined(text);
    for line in joined.iter().filter(|line| !line.trim_start().starts_with('#')) {
        let begins = line.trim_start().starts_with("- ");
        let text = line.trim().trim_start_matches("- ");
        let Some((key, value)) = text.split_once(':') else { continue };
        let value = value.trim();
        match (key.trim(), line.starts_with([' ', '-'])) {
            ("scans", false) => scan = true,
            (key, true) if scan => {
                if begins || scans.is_empty() {
                    scans.push(BTreeMap::new());
                }
                scans.last_mut().map(|scan| scan.insert(key, value));
            }
            (key, _) => {
                scan = false;
                top.insert(key, value);
            }
        }
    }
    let plain = |value: Option<&&str>| {
        value.map(|value| unquoted(value).to_owned()).filter(|value| !value.is_empty())
    };
    let wanted =
        |key: &str| plain(top.get(key)).ok_or_else(|| BadAnswer(format!("expected {key}, got none")));
    let default = plain(top.get("default_scan"));
    let named = |scan: &&BTreeMap<&str, &str>| default.is_none() || plain(scan.get("name")) == default;
    let chosen = scans.iter().find(named);
    if default.is_some() && chosen.is_none() {
        return Err(BadAnswer("expected the scan that default_scan names, got none".to_owned()));
    }
    Ok(Scanner {
        name: wanted("scanner_name")?,
        image: wanted("image_name")?,
        args: chosen.and_then(|scan| scan.get("args")).map_or_else(Vec::new, |args| list(args)),
        custom_args: top.get("custom_args").map_or_else(Vec::new, |args| list(args)),
    })
}

/// Lines, of which a list that goes on over several is one.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let open = |line: &String| line.contains('[') && !line.contains(']');
        match lines.last_mut().filter(|last| open(last)) {
            Some(last) => last.push_str(line.trim()),
            None => lines.push(line.to_owned()),
        }
    }
    lines
}

fn list(text: &str) -> Vec<String> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    inner.split(',').map(|word| unquoted(word).to_owned()).filter(|word| !word.is_empty()).collect()
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "Scanner")]
    scanner: String,
    #[serde(rename = "Successful")]
    successful: Value,
    #[serde(rename = "UUID")]
    uuid: String,
    #[serde(default, rename = "CVE Feed Last Updated")]
    feed: Option<String>,
    #[serde(default, rename = "Vulnerabilities")]
    vulnerabilities: Option<Vec<Vulnerability>>,
    #[serde(default, rename = "Results")]
    results: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vulnerability {
    title: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    custom: Option<Value>,
}

/// Reads `/scanout/UUID/json`. `uuid` is the name of the folder below `/scanin`.
///
/// # Errors
/// When it is something else, about something else, or says that it was no success.
pub fn parse(bytes: &[u8], name: &str, uuid: &str) -> Result<Answer, BadAnswer> {
    let said: Said = serde_json::from_slice(bytes)?;
    let got = crate::answer::line(&said.uuid);
    if said.uuid.trim_start_matches("/scanin/") != uuid {
        return Err(BadAnswer(format!("expected an answer about {uuid}, got one about {got:?}")));
    }
    let successful = match &said.successful {
        Value::String(word) => word == "true",
        other => other == &Value::Bool(true),
    };
    if !successful {
        return Err(BadAnswer("it says that the scan was no success".to_owned()));
    }
    if said.vulnerabilities.is_none() && said.results.is_none() {
        return Err(BadAnswer("expected Vulnerabilities or Results, got neither".to_owned()));
    }
    let findings = said.vulnerabilities.unwrap_or_default().into_iter().map(|one| Foreign {
        // `RHSA-2026:1: bash security update (Important)`: the first word is the advisory, the next the package.
        id: one.title.split_whitespace().next().unwrap_or_default().trim_end_matches(':').to_owned(),
        package: package(&one).unwrap_or_else(|| "image".to_owned()),
        severity: severity(&one.severity),
        summary: Some(if one.description.is_empty() { one.title } else { one.description }),
        aliases: cves(one.custom.as_ref()),
        ..Foreign::default()
    });
    let data = said.feed.map(|feed| format!("feed of {feed}"));
    let name = format!("atomic/{name}");
    let version = Some(said.scanner).filter(|scanner| *scanner != name);
    Answer::new(&name, version, data, findings.collect())
}

fn package(one: &Vulnerability) -> Option<String> {
    let custom = one.custom.as_ref()?;
    ["Package", "package", "package_name"].iter().find_map(|key| Some(custom.get(key)?.as_str()?.to_owned()))
}

/// The CVEs that a scanner names anywhere in what it adds.
fn cves(custom: Option<&Value>) -> Vec<String> {
    let text = custom.map(Value::to_string).unwrap_or_default();
    let words = text.split(|one: char| !one.is_ascii_alphanumeric() && one != '-');
    words.filter(|word| word.starts_with("CVE-") && word.len() < 24).take(64).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanners_file_is_read() {
        let text = "type: scanner\nscanner_name: \"openscap\"\nimage_name: registry.example.com/openscap\n\
                    default_scan: cve\ncustom_args: ['-v', '/etc/oscapd:/etc/oscapd:ro']\nscans: [\n";
        assert!(scanner(text).is_err(), "a list that never ends");
        let text = "type: scanner\nscanner_name: openscap\nimage_name: registry.example.com/openscap\n\
                    default_scan: cve\ncustom_args: ['-v', '/etc/oscapd:/etc/oscapd:ro']\nscans:\n\
                    \x20 - name: other\n    args: ['x']\n  - name: cve\n    args: ['oscapd-evaluate',\n     'scan']\n";
        let read = scanner(text).unwrap();
        assert_eq!((read.name.as_str(), read.image.as_str()), ("openscap", "registry.example.com/openscap"));
        assert_eq!(read.args, ["oscapd-evaluate", "scan"]);
        assert_eq!(read.custom_args, ["-v", "/etc/oscapd:/etc/oscapd:ro"]);
    }

    #[test]
    fn an_answer_is_read_and_no_success_is_an_error() {
        let good = include_str!("../tests/answers/atomic.json");
        let answer = parse(good.as_bytes(), "openscap", "image").unwrap();
        let [one] = answer.findings.as_slice() else { panic!("{answer:?}") };
        assert_eq!((one.id.as_str(), one.package.as_str()), ("RHSA-2026:1", "bash"));
        assert_eq!(one.aliases, ["CVE-2026-7"]);
        assert!(parse(good.as_bytes(), "openscap", "other").is_err());
        for bytes in
            ["", "{}", &good.replace("\"true\"", "\"false\""), &good.replace("Vulnerabilities", "Nothing")]
        {
            assert!(parse(bytes.as_bytes(), "openscap", "image").is_err(), "{bytes}");
        }
    }
}

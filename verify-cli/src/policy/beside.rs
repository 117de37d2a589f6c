//! The files that rules name, and a scan's rules on what was found before: for rules that are weighed on facts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use image_evidence::TrustedKey;
use image_policy::{FindingFact, Outside, Scan, ScanFacts};
use image_scan::{DatabaseInfo, Finding, ImageInfo, Report, Severity, Suppression};
use oci_image::Digest;
use tuf_core::limits::ROOT_BYTES;

use super::{Rulebook, limits};
use crate::files;
use crate::record::policy_digest;

/// Files are read once, however many images are weighed.
pub(crate) struct Beside<'r> {
    rules: &'r Rulebook,
    keys: RefCell<BTreeMap<PathBuf, Result<Digest, String>>>,
    others: RefCell<BTreeMap<PathBuf, Result<String, String>>>,
}

impl<'r> Beside<'r> {
    pub(crate) fn of(rules: &'r Rulebook) -> Self {
        Self { rules, keys: RefCell::default(), others: RefCell::default() }
    }

    fn other(
        &self,
        file: &Path,
        read: impl Fn(&Path) -> Result<String, crate::failure::Failure>,
    ) -> Result<String, String> {
        let read = || read(&self.rules.beside(file)).map_err(|failure| failure.what().to_owned());
        self.others.borrow_mut().entry(file.to_owned()).or_insert_with(read).clone()
    }

    fn ids(&self, files: &[PathBuf]) -> Result<Vec<String>, String> {
        files.iter().map(|file| self.key(file).map(|id| id.to_string())).collect()
    }
}

/// What makes the key in a file the same key.
pub(crate) fn key_id(file: &Path) -> Result<Digest, String> {
    let text = files::text(file, image_evidence::limits::TRUST_MAX);
    let text = text.map_err(|failure| failure.what().to_owned())?;
    let key = TrustedKey::from_pem(&file.display().to_string(), &text);
    key.map(|key| key.id()).map_err(|why| format!("{}: {why}", file.display()))
}

impl Outside for Beside<'_> {
    fn root(&self, file: &Path) -> Result<String, String> {
        self.other(file, |file| Ok(Digest::of(&files::bytes(file, ROOT_BYTES)?).hex()))
    }

    fn key(&self, file: &Path) -> Result<Digest, String> {
        let read = || key_id(&self.rules.beside(file));
        self.keys.borrow_mut().entry(file.to_owned()).or_insert_with(read).clone()
    }

    fn notation_policy(&self, file: &Path) -> Result<String, String> {
        self.other(file, policy_digest)
    }

    fn broken_rules(&self, rules: &Scan, found: &ScanFacts, at: &str) -> Result<Option<String>, String> {
        let at: DateTime<Utc> = at.parse().map_err(|why| format!("expected a time, got {at:?}: {why}"))?;
        let vex = self.ids(&rules.vex_keys)?;
        let mut own = limits(rules);
        // How many gaps there were is known, and not which.
        own.fail_on_gaps = false;
        let report = report(found, &vex).gated(&own, at);
        let broken = report.gate.filter(|gate| !gate.passed).map(|gate| gate.summary());
        let gaps = (rules.fail_on_gaps && found.gaps > 0).then(|| {
            format!("expected that all could be looked up, got no answer for {} things", found.gaps)
        });
        let all: Vec<String> = broken.iter().cloned().chain(gaps).collect();
        if all.is_empty() {
            return Ok(None);
        }
        let overlooked = vex.iter().find(|key| !found.vex_keys.contains(key));
        match overlooked.filter(|_| broken.is_some()) {
            Some(key) => Err(format!("{}; not looked for: what key {key} says of findings", all.join("; "))),
            None => Ok(Some(all.join("; "))),
        }
    }
}

/// The report that would have these findings, as far as rules look at one.
fn report(found: &ScanFacts, vex: &[String]) -> Report {
    let database = found.database_made_at.as_ref().map(|made_at| DatabaseInfo {
        made_at: made_at.clone(),
        age_seconds: found.database_age_seconds.unwrap_or(i64::MAX),
        advisories: 0,
        sources: Vec::new(),
    });
    let image = ImageInfo {
        reference: String::new(),
        digest: String::new(),
        manifest: String::new(),
        platform: None,
        verified: false,
        role: None,
    };
    Report {
        version: 1,
        image,
        database,
        os: None,
        engines: Vec::new(),
        layers: Vec::new(),
        findings: found.findings.iter().map(|one| finding(one, vex)).collect(),
        undecided: Vec::new(),
        coverage: Vec::new(),
        components: Vec::new(),
        unread: Vec::new(),
        unread_more: 0,
        gate: None,
    }
}

fn finding(fact: &FindingFact, vex: &[String]) -> Finding {
    let said = fact.not_affected_by.as_ref().filter(|by| vex.contains(by));
    Finding {
        id: fact.id.clone(),
        aliases: fact.aliases.clone(),
        ecosystem: String::new(),
        package: fact.package.clone(),
        source_package: fact.source_package.clone(),
        version: String::new(),
        fixed: fact.fixable.then(String::new),
        fixed_for_some: None,
        severity: severity(&fact.severity),
        score: None,
        vector: None,
        severity_source: None,
        exploited: fact.exploited,
        disputed: false,
        summary: None,
        references: Vec::new(),
        layer: 0,
        path: String::new(),
        purl: String::new(),
        engine: String::new(),
        engines: Vec::new(),
        suppressed: said.map(|by| Suppression {
            by: by.clone(),
            reason: "it was said not to touch the image".to_owned(),
            expires: None,
        }),
    }
}

fn severity(word: &str) -> Severity {
    let all = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Negligible];
    all.into_iter().find(|severity| severity.name() == word).unwrap_or(Severity::Unknown)
}

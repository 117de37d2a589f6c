//! What is wrong with a repository, or soon will be: looked for in one area after another. Nothing is changed,
//! nothing is signed, and no passphrase or PIN is asked for.

mod client;
mod clock;
mod expiry;
mod files;
mod keys;
mod modes;
mod roles;
mod served;
mod targets;

use std::sync::Arc;

use publish_store::{Place, Store};

use crate::Surroundings;
use crate::args::DoctorArgs;
use crate::config::Config;
use crate::published::Published;
use crate::reports::doctor::{Area, Finding, Severity};
use crate::repository::Repository;

/// As many of one kind are told apart: what ails one file often ails a thousand.
const TOLD: usize = 12;

/// What is looked at.
pub(crate) struct Subject<'s> {
    pub(crate) repository: &'s Repository,
    pub(crate) config: &'s Config,
    pub(crate) place: &'s Place,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) around: &'s Surroundings,
    pub(crate) args: &'s DoctorArgs,
}

impl Subject<'_> {
    /// The folder that is served, where it is one on this machine.
    fn folder(&self) -> Option<&std::path::Path> {
        match self.place {
            Place::Dir(dir) => Some(dir),
            _ => None,
        }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    all: Vec<Finding>,
    /// How many of the area that is looked at are not told apart.
    more: usize,
    worst: Option<Severity>,
}

impl Findings {
    /// Something that refuses clients, or lets others sign.
    fn problem(&mut self, area: Area, what: impl Into<String>, place: impl Into<String>, hint: &str) {
        self.found(Severity::Problem, area, what.into(), place.into(), hint);
    }

    /// Something that works, until one thing more goes wrong.
    fn warning(&mut self, area: Area, what: impl Into<String>, place: impl Into<String>, hint: &str) {
        self.found(Severity::Warning, area, what.into(), place.into(), hint);
    }

    fn found(&mut self, severity: Severity, area: Area, what: String, place: String, hint: &str) {
        let told = self.all.iter().filter(|one| one.area == area).count();
        if told >= TOLD {
            self.more = self.more.saturating_add(1);
            self.worst = self.worst.max(Some(severity));
            return;
        }
        let hint = Some(hint.to_owned());
        self.all.push(Finding { severity, area, what, place: Some(place), hint });
    }

    /// Ends an area: says that it is as it should be, where nothing was found.
    fn close(&mut self, area: Area, well: impl Into<String>) {
        let (more, worst) = (std::mem::take(&mut self.more), self.worst.take());
        let (severity, what) = match worst {
            Some(severity) => (severity, format!("and {more} more")),
            None if self.all.iter().any(|one| one.area == area) => return,
            None => (Severity::Ok, well.into()),
        };
        self.all.push(Finding { severity, area, what, place: None, hint: None });
    }

    /// Ends an area that could not be looked at: what is published gives no roles.
    fn skip(&mut self, area: Area) {
        let what = "not looked at: what is published doesn't verify".to_owned();
        let hint = Some("mend that first, and look again".to_owned());
        self.all.push(Finding { severity: Severity::Warning, area, what, place: None, hint });
    }

    pub(crate) fn into_all(self) -> Vec<Finding> {
        self.all
    }
}

/// Looks at everything. What can't be read is a finding too.
pub(crate) fn look(subject: &Subject<'_>) -> Findings {
    let mut findings = Findings::default();
    let published = Published::read(subject.repository, subject.store.as_ref());
    let known = published.as_ref().ok();
    clock::look(subject, known, &mut findings);
    roles::look(known, &mut findings);
    keys::look(subject, known, &mut findings);
    modes::look(subject, &mut findings);
    served::look(subject, &mut findings);
    files::look(subject, published.as_ref(), &mut findings);
    targets::look(subject, known, &mut findings);
    expiry::look(subject, known, &mut findings);
    client::look(subject, known, &mut findings);
    findings
}

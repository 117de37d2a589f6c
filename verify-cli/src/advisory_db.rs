//! The database of advisories, as a scan asks it.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use advisories::{Coverage, Database, Level, Match, Package, Texts};
use chrono::{DateTime, SecondsFormat, Utc};
use image_scan::{Advisories, Answer, DatabaseInfo, Ecosystem, Known, Query, Severity, SourceInfo};
use oci_image::Digest;

use crate::access::{now, state_dir};
use crate::args::ChainArgs;
use crate::failure::Failure;
use crate::files;
use crate::installed_db::Shelf;
use crate::style::{say, shown};

/// A database that is open, and the time as of which its age is told.
pub(crate) struct AdvisoryDb {
    path: PathBuf,
    database: Database,
    /// Between answers, empty: room that is used again.
    texts: Cell<Texts>,
    now: DateTime<Utc>,
}

impl AdvisoryDb {
    /// The database that was named; else the one that `verify db update` brought, if it did.
    pub(crate) fn of(named: Option<&Path>, chain: &ChainArgs) -> Result<Option<Self>, Failure> {
        let now = now(chain);
        if let Some(path) = named {
            return Self::open(path, now).map(Some);
        }
        // Without a home there is none, and that is no reason not to scan.
        let Ok(state) = state_dir(&chain.state) else { return Ok(None) };
        let shelf = Shelf::of(&state);
        let Some(installed) = shelf.installed()? else { return Ok(None) };
        let database = match Self::open(&shelf.database(&installed), now) {
            Ok(database) => database,
            // An update just replaced it.
            Err(failure) => match shelf.installed()? {
                Some(newer) if newer != installed => Self::open(&shelf.database(&newer), now)?,
                _ => return Err(failure.hint("fetch it anew with `verify db update`")),
            },
        };
        if installed.expires <= now {
            let since = installed.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
            say!("warning: since {since} nobody vouches that there are no newer advisories");
            say!("  fetch the newest with `verify db update`");
        }
        Ok(Some(database))
    }

    /// The same, where a scan is demanded: then none is no answer.
    pub(crate) fn needed(named: Option<&Path>, chain: &ChainArgs) -> Result<Self, Failure> {
        Self::of(named, chain)?.ok_or_else(|| {
            Failure::unknown("a scan is demanded, and there are no advisories to look components up in")
                .hint("fetch them with `verify db update`, or name a database in the rules")
        })
    }

    pub(crate) fn open(path: &Path, now: DateTime<Utc>) -> Result<Self, Failure> {
        let database = Database::open(path).map_err(|error| {
            let what = format!("could not use the database: {}", shown(&error.to_string()));
            Failure::unknown(what).hint("make one with `verify db build --from FOLDER --out FILE`")
        })?;
        Ok(Self { path: path.to_owned(), database, texts: Cell::default(), now })
    }

    /// The digest of its file: which database it is.
    pub(crate) fn digest(&self) -> Result<Digest, Failure> {
        let failed = |why| format!("could not hash the database {}: {why}", self.path.display());
        files::digest(&self.path).map_err(|why| Failure::unknown(failed(why)))
    }
}

impl Advisories for AdvisoryDb {
    fn info(&self) -> DatabaseInfo {
        let info = self.database.info();
        let made = DateTime::parse_from_rfc3339(&info.made_at).ok();
        let age = made.map(|made| self.now.signed_duration_since(made).num_seconds());
        let sources = info.sources.into_iter().map(|source| SourceInfo {
            name: source.name,
            advisories: source.advisories,
            newest: source.newest,
        });
        DatabaseInfo {
            made_at: info.made_at,
            // Of no time that can be read, it could be any age: a rule about it is broken.
            age_seconds: age.unwrap_or(i64::MAX),
            advisories: info.advisories,
            sources: sources.collect(),
        }
    }

    fn no_data(&self, ecosystem: &Ecosystem) -> Option<String> {
        match self.database.coverage(&of(ecosystem)) {
            Coverage::HasData => None,
            Coverage::NoData(why) => Some(why),
        }
    }

    fn affecting(&self, query: &Query) -> Result<Answer, String> {
        let package = Package {
            ecosystem: of(&query.ecosystem),
            name: query.name.clone(),
            version: query.version.clone(),
            binary: query.binary.clone(),
            architecture: query.architecture.clone(),
            module: query.module.clone(),
        };
        let mut texts = self.texts.take();
        let answer = self.database.affecting(&package, &texts).map(owned).map_err(|error| error.to_string());
        texts.clear();
        self.texts.set(texts);
        answer
    }
}

fn of(ecosystem: &Ecosystem) -> advisories::Ecosystem {
    advisories::Ecosystem { name: ecosystem.name.clone(), release: ecosystem.release.clone() }
}

fn owned(answer: advisories::Answer<'_>) -> Answer {
    let undecided = answer.unknown.into_iter().map(|one| (one.id.to_owned(), one.why.to_owned()));
    Answer { known: answer.matches.into_iter().map(known).collect(), undecided: undecided.collect() }
}

fn known(one: Match<'_>) -> Known {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Known {
        id: one.id.to_owned(),
        aliases: list(one.aliases),
        fixed: text(one.fixed),
        fixed_for_some: text(one.fixed_for_some),
        severity: severity(one.severity.level),
        score: one.severity.score,
        vector: text(one.severity.vector),
        severity_source: text(one.severity.source),
        exploited: one.kev,
        disputed: one.disputed,
        summary: text(one.summary),
        references: list(one.references),
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Critical => Severity::Critical,
        Level::High => Severity::High,
        Level::Medium => Severity::Medium,
        Level::Low => Severity::Low,
        Level::Negligible => Severity::Negligible,
        Level::Unknown => Severity::Unknown,
    }
}

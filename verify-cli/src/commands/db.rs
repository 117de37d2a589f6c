//! `verify db`: makes a database of advisories, and says what one holds.

mod bucket;
mod publish;
mod update;

use advisories::{Database, Error, Info};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::access::state_dir;
use crate::args::{DbArgs, DbBuildArgs, DbCommand, DbStatusArgs, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::installed_db::{Installed, Shelf};
use crate::report::print_json;
use crate::style::{Style, out, say, shown};

/// The answer of `verify db build` and `verify db status`. Schema: `docs/schema/verify-db.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Report {
    /// The version of this form. It grows only by new members.
    version: u32,
    /// The form of the file.
    form: u32,
    /// The length of the file in bytes.
    length: u64,
    /// When the newest advisory in it was changed (RFC 3339, UTC).
    made_at: String,
    /// How long ago that is.
    age_seconds: Option<i64>,
    /// Whether that is longer ago than `--max-age`, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_old: Option<bool>,
    /// How many advisories it has.
    advisories: u64,
    /// What it was made from.
    sources: Vec<Source>,
    /// Where it came from, where it was fetched as a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<Delivered>,
}

/// How a database was delivered: as a target of a TUF repository.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Delivered {
    /// The repository.
    repo: String,
    /// The path of the target.
    target: String,
    /// The role that lists it.
    role: String,
    /// The version of that role's statement.
    version: u64,
    /// The database's digest, in hex.
    sha256: String,
    /// When it was fetched, or found to be the newest still (RFC 3339, UTC).
    updated_at: String,
    /// Until when the repository vouches that there is no newer one (RFC 3339, UTC).
    expires: String,
    /// Whether that is past.
    expired: bool,
    /// Whether the last update fetched it; otherwise it was here already.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<bool>,
}

impl Delivered {
    fn of(installed: &Installed, now: DateTime<Utc>) -> Self {
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        Self {
            repo: installed.repo.clone(),
            target: installed.target.clone(),
            role: installed.role.clone(),
            version: installed.version,
            sha256: installed.sha256.clone(),
            updated_at: text(installed.updated_at),
            expires: text(installed.expires),
            // An expiry is the first moment at which it no longer holds (TUF 5.4.4).
            expired: installed.expires <= now,
            fetched: None,
        }
    }
}

/// One archive that a database was made from.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Source {
    /// The ecosystem.
    name: String,
    /// How many advisories.
    advisories: u64,
    /// How many were withdrawn or rejected, and are left out.
    withdrawn: u64,
    /// When the newest was changed, where one says.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<String>,
}

pub(crate) fn run(args: &DbArgs) -> Result<Exit, Failure> {
    match &args.command {
        DbCommand::Build(args) => build(args),
        DbCommand::Publish(args) => publish::run(args),
        DbCommand::Update(args) => update::run(args),
        DbCommand::Status(args) => status(args),
    }
}

fn build(args: &DbBuildArgs) -> Result<Exit, Failure> {
    let fetched = match bucket::address(&args.from) {
        Some(url) => Some(bucket::fetched(&url?, &args.ecosystem, &args.access)?),
        None if args.ecosystem.is_empty() => None,
        None => {
            let what = "--ecosystem says what to fetch: expected --from URL, got a folder";
            return Err(Failure::usage(what));
        }
    };
    let from = fetched.as_ref().map_or(args.from.as_path(), |folder| folder.path());
    let info = advisories::build(from, &args.out).map_err(|error| failure(&error))?;
    print(&Report::of(&info, Utc::now(), None), args.format);
    say!("wrote {}", args.out.display());
    Ok(Exit::Trusted)
}

fn status(args: &DbStatusArgs) -> Result<Exit, Failure> {
    let now = Utc::now();
    let (path, installed) = match &args.db {
        Some(path) => (path.clone(), None),
        None => {
            let shelf = Shelf::of(&state_dir(&args.state)?);
            let installed = shelf.installed()?.ok_or_else(|| {
                Failure::unknown("no database is installed").hint("fetch one with `verify db update`")
            })?;
            if !shelf.is_whole(&installed) {
                let what = format!("the database isn't the one that was verified: {}", installed.sha256);
                return Err(Failure::refused(what).hint("fetch it anew with `verify db update`"));
            }
            (shelf.database(&installed), Some(installed))
        }
    };
    let database = Database::open(&path).map_err(|error| failure(&error))?;
    let mut report = Report::of(&database.info(), now, args.max_age);
    report.delivered = installed.map(|installed| Delivered::of(&installed, now));
    print(&report, args.format);
    let expired = report.delivered.as_ref().is_some_and(|delivered| delivered.expired);
    if report.too_old == Some(true) {
        say!("{}: the advisories are older than --max-age allows", Style::stderr().bad("error"));
        say!("hint: make the database anew with verify db build, or fetch it with verify db update");
        return Ok(Exit::Gate);
    }
    if expired && args.max_age.is_some() {
        say!("{}: nobody vouches any more that there is no newer database", Style::stderr().bad("error"));
        say!("hint: verify db update");
        return Ok(Exit::Gate);
    }
    Ok(Exit::Trusted)
}

fn failure(error: &Error) -> Failure {
    let what = shown(&error.to_string());
    match error {
        Error::Io { .. } => Failure::unknown(what),
        Error::Source { .. } => {
            Failure::refused(what).hint("expected a copy of OSV's bucket: ECOSYSTEM/all.zip")
        }
        Error::Version { .. } | Error::NotADatabase { .. } | Error::Damaged { .. } => {
            Failure::refused(what).hint("make it anew with verify db build")
        }
    }
}

impl Report {
    /// An age that isn't known is more than any that is allowed.
    fn of(info: &Info, now: DateTime<Utc>, max_age: Option<chrono::TimeDelta>) -> Self {
        let made_at = DateTime::parse_from_rfc3339(&info.made_at).ok();
        let age = made_at.map(|made_at| now.signed_duration_since(made_at));
        let source = |source: &advisories::SourceInfo| Source {
            name: source.name.clone(),
            advisories: source.advisories,
            withdrawn: source.withdrawn,
            newest: source.newest.clone(),
        };
        Self {
            version: 1,
            form: info.form,
            length: info.length,
            made_at: info.made_at.clone(),
            age_seconds: age.map(|age| age.num_seconds()),
            too_old: max_age.map(|max_age| age.is_none_or(|age| age > max_age)),
            advisories: info.advisories,
            sources: info.sources.iter().map(source).collect(),
            delivered: None,
        }
    }
}

fn print(report: &Report, format: Format) {
    if format == Format::Json {
        return print_json(report);
    }
    let days = match report.age_seconds {
        Some(seconds) => format!("{} days old", seconds.div_euclid(86_400)),
        None => "nobody says how old".to_owned(),
    };
    out!("{} advisories, the newest of {} ({days})", report.advisories, shown(&report.made_at));
    for source in &report.sources {
        let newest = source.newest.as_deref().unwrap_or("-");
        out!("  {:<12} {:>8}  {}", shown(&source.name), source.advisories, shown(newest));
    }
    if let Some(one) = &report.delivered {
        let (target, repo) = (shown(&one.target), shown(&one.repo));
        out!("{target} of {repo}, by {} version {}", shown(&one.role), one.version);
        let holds = if one.expired { "held until" } else { "holds until" };
        out!("  updated {}, {holds} {}", one.updated_at, one.expires);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-db", &schemars::schema_for!(Report));
    }

    #[test]
    fn what_has_no_age_is_too_old() {
        let info = |made_at: &str| Info {
            form: 1,
            made_at: made_at.to_owned(),
            advisories: 0,
            sources: Vec::new(),
            length: 0,
        };
        let now = DateTime::parse_from_rfc3339("2026-11-26T00:00:00Z").unwrap().to_utc();
        let day = Some(chrono::TimeDelta::days(1));
        for (made_at, max_age, expected) in [
            ("2026-11-25T12:00:00Z", day, Some(false)),
            ("2026-11-24T12:00:00Z", day, Some(true)),
            ("", day, Some(true)),
            ("", None, None),
        ] {
            assert_eq!(Report::of(&info(made_at), now, max_age).too_old, expected, "{made_at}");
        }
    }
}

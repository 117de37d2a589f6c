//! `signer doctor`: what is wrong with a repository, or soon will be, and what mends it. Changes nothing.

use std::path::Path;
use std::sync::Arc;

use crate::Surroundings;
use crate::args::DoctorArgs;
use crate::config::Config;
use crate::doctor::{Subject, look};
use crate::failure::Failure;
use crate::places;
use crate::report::VERSION;
use crate::reports::doctor::{Doctor, Severity};
use crate::repository::Repository;

pub(crate) fn run(dir: &Path, args: &DoctorArgs, around: &Surroundings) -> Result<Doctor, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let place = places::named(&repository, &config, around)?;
    let store = Arc::from(places::open(&repository, &config, around)?);
    let subject = Subject {
        repository: &repository,
        config: &config,
        place: &place,
        store: Arc::clone(&store),
        around,
        args,
    };
    let findings = look(&subject).into_all();
    let count = |severity| findings.iter().filter(|one| one.severity == severity).count();
    Ok(Doctor {
        version: VERSION,
        published: store.describe(),
        asked: args.url.as_ref().map(ToString::to_string),
        strict: args.strict,
        problems: count(Severity::Problem),
        warnings: count(Severity::Warning),
        findings,
    })
}

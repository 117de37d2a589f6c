//! `signer reset`: forgets what is staged.

use std::path::Path;

use crate::args::RehearsalArgs;
use crate::failure::Failure;
use crate::report::VERSION;
use crate::reports::edits::Reset;
use crate::repository::Repository;
use crate::staged::Staged;

pub(crate) fn run(dir: &Path, rehearsal: RehearsalArgs) -> Result<Reset, Failure> {
    let repository = Repository::open(dir)?;
    let _lock = repository.lock_unless(rehearsal)?;
    let staged = Staged::read(&repository)?;
    let forgotten = staged.changes.len().saturating_add(staged.edits.len());
    let dry_run = rehearsal.dry_run;
    if !dry_run {
        staged.clear()?;
    }
    Ok(Reset { version: VERSION, dry_run, forgotten })
}

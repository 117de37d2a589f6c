//! `signer reset`: forgets what is staged.

use std::path::Path;

use crate::failure::Failure;
use crate::report::VERSION;
use crate::reports::edits::Reset;
use crate::repository::Repository;
use crate::staged::Staged;

pub(crate) fn run(dir: &Path) -> Result<Reset, Failure> {
    let repository = Repository::open(dir)?;
    let _lock = repository.lock()?;
    let staged = Staged::read(&repository)?;
    let forgotten = staged.changes.len().saturating_add(staged.edits.len());
    staged.clear()?;
    Ok(Reset { version: VERSION, forgotten })
}

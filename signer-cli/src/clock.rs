//! Whether this machine's clock can be right. What is signed by one that is behind expires too early, and then
//! everybody is refused: so nothing is signed where our own files are from later, and where only expiries tell,
//! people are told.

use std::fs;
use std::path::PathBuf;

use chrono::TimeDelta;
use tuf_core::{Instant, Role};

use crate::draft::Signed;
use crate::failure::Failure;
use crate::published::Published;
use crate::repository::Repository;
use crate::terminal;

/// Clocks of machines that write to one disk differ by seconds.
const SLACK: TimeDelta = TimeDelta::minutes(5);
/// So many delegated roles are looked at for an earlier expiry: where one has it, all have.
const LOOKED_AT: usize = 16;

/// Refuses to go on where what the last publish wrote is from later than now.
pub(crate) fn expect_not_behind(repository: &Repository, now: Instant) -> Result<(), Failure> {
    let latest = now.checked_add_signed(SLACK).unwrap_or(now);
    let own = [repository.timestamp(), repository.metadata().join("timestamp.json")];
    let written = |path: PathBuf| -> Option<(PathBuf, Instant)> {
        let written = fs::metadata(&path).ok()?.modified().ok()?.into();
        Some((path, written))
    };
    match own.into_iter().filter_map(written).find(|(_, written)| *written > latest) {
        None => Ok(()),
        Some((path, written)) => Err(Failure::refused("this machine's clock is behind")
            .detail(format!(
                "it says {}, and {} was written {}",
                moment(now),
                path.display(),
                moment(written)
            ))
            .detail("nothing was signed: it would expire before what is published")
            .hint("set the clock. If it is right, `touch` that file")),
    }
}

/// Warns of what expires before that which it takes the place of.
pub(crate) fn warn_of_earlier(
    signed: &[Signed],
    published: &Published<'_>,
    now: Instant,
) -> Result<(), Failure> {
    for one in signed
        .iter()
        .filter(|one| !is_delegated(&one.role))
        .chain(signed.iter().filter(|one| is_delegated(&one.role)).take(LOOKED_AT))
    {
        let before = match &one.role {
            Role::Root => Some(published.root.expires),
            Role::Timestamp => Some(published.timestamp.expires),
            Role::Snapshot => Some(published.snapshot.expires),
            role => published.role(role)?.map(|loaded| loaded.statement.expires),
        };
        let latest = one.expires.checked_add_signed(SLACK).unwrap_or(one.expires);
        if let Some(before) = before.filter(|before| *before > latest) {
            terminal::warn(&format!(
                "{} expires {}, before what it replaces would have ({}): either signer.toml lets it hold for less \
                 time, or this machine's clock is behind; it says {}",
                one.role,
                moment(one.expires),
                moment(before),
                moment(now)
            ));
            break;
        }
    }
    Ok(())
}

fn is_delegated(role: &Role) -> bool {
    matches!(role, Role::Delegated(_))
}

fn moment(moment: Instant) -> String {
    moment.format("%Y-%m-%d %H:%M UTC").to_string()
}

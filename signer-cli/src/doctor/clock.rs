//! Whether this machine's clock is behind: then what it signs expires too early, and what has expired looks
//! well.

use std::fs;
use std::path::PathBuf;

use chrono::TimeDelta;
use tuf_core::{Instant, Role};

use super::{Findings, Subject};
use crate::published::Published;
use crate::reports::day;
use crate::reports::doctor::Area;

/// Clocks of machines that write to one disk differ by seconds.
const SLACK: TimeDelta = TimeDelta::minutes(5);
/// Names of a folder that are looked at; the newest of them is any of them.
const NAMES: usize = 100_000;

pub(super) fn look(subject: &Subject<'_>, published: Option<&Published<'_>>, findings: &mut Findings) {
    let now = subject.around.now;
    let latest = now.checked_add_signed(SLACK).unwrap_or(now);
    if let Some((path, written)) = newest(subject).filter(|(_, written)| *written > latest) {
        findings.problem(
            Area::Clock,
            format!(
                "this clock is behind: it says {}, after something was written {}",
                day(now),
                day(written)
            ),
            path.display().to_string(),
            "set the clock, as with `timedatectl set-ntp true`; sign nothing before",
        );
    }
    if let Some(published) = published {
        for (role, expires) in
            [(Role::Snapshot, published.snapshot.expires), (Role::Timestamp, published.timestamp.expires)]
        {
            let most = subject.config.expiry(&role, latest);
            if expires > most {
                findings.warning(
                    Area::Clock,
                    format!("{role} holds until {}, longer than what is signed now would", day(expires)),
                    role.name(),
                    "either this clock is behind that of who signed it: set it; or signer.toml allowed more \
                     then: `signer publish` signs it anew",
                );
            }
        }
    }
    findings.close(Area::Clock, format!("{}, and nothing here is from later", day(now)));
}

/// The file that was written last.
fn newest(subject: &Subject<'_>) -> Option<(PathBuf, Instant)> {
    let repository = subject.repository;
    let own = [repository.config(), repository.root(), repository.timestamp(), repository.staged()];
    let served = subject.folder().map(|dir| dir.join("metadata"));
    let served = served.and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().take(NAMES);
    let paths = own.into_iter().chain(served.filter_map(|entry| Some(entry.ok()?.path())));
    let written = |path: PathBuf| {
        let written: Instant = fs::metadata(&path).ok()?.modified().ok()?.into();
        Some((path, written))
    };
    paths.filter_map(written).max_by_key(|(_, written)| *written)
}

//! `signer serve`: refreshes on a schedule until it is told to end. Several may run on one repository: who
//! comes second finds that nothing is due.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tuf_core::{Instant, Role};

use crate::Surroundings;
use crate::args::ServeArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_ring::KeyRing;
use crate::monitor::{self, Shared};
use crate::places;
use crate::published::Published;
use crate::refresh::{Expiry, Job, Renewed};
use crate::report::VERSION;
use crate::reports::serve::Served;
use crate::repository::Repository;
use crate::terminal::shown;

/// After a failure: a second, then twice as long each time, up to the schedule.
const BACK_OFF: Duration = Duration::from_secs(1);
/// The least time between two looks, however short what is signed holds.
const LEAST: Duration = Duration::from_millis(200);

pub(crate) fn run(dir: &Path, args: &ServeArgs, around: &Surroundings) -> Result<Served, Failure> {
    let repository = Repository::open(dir)?;
    let ends = signals()?;
    let shared = Shared::default();
    let (address, monitor) = monitor::listen(args.listen, shared.clone(), around.clock)?;
    log(around, &format!("listening on http://{address}"));
    let mut service = Service {
        repository: &repository,
        args,
        around,
        shared: &shared,
        ring: KeyRing::new(repository.keys(), &args.passphrase, around),
        bins: None,
        failures: 0,
    };
    let ended = service.run(&ends);
    shared.record().ending = true;
    // It looks at the record five times a second.
    let _ = monitor.join();
    let (checks, refreshes, failures) = {
        let record = shared.record();
        (record.checks, record.refreshes, record.failures)
    };
    ended.map(|signal| {
        log(around, &format!("ended by {signal}"));
        Served { version: VERSION, checks, refreshes, failures }
    })
}

/// Says which signal came, as soon as one does.
fn signals() -> Result<Receiver<&'static str>, Failure> {
    let failed = |error| Failure::unknown(format!("signals can't be waited for: {error}"));
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    let (say, ends) = mpsc::channel();
    let waiting = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let _ = say.send(if signal == SIGINT { "SIGINT" } else { "SIGTERM" });
        }
    });
    waiting.map(|_| ends).map_err(failed)
}

struct Service<'s> {
    repository: &'s Repository,
    args: &'s ServeArgs,
    around: &'s Surroundings,
    shared: &'s Shared,
    ring: KeyRing,
    /// The snapshot under which bins were looked at, and when the first of them is due.
    bins: Option<(u64, Instant)>,
    failures: u32,
}

impl Service<'_> {
    fn run(&mut self, ends: &Receiver<&'static str>) -> Result<&'static str, Failure> {
        loop {
            let first = self.shared.record().checks == 0;
            let wait = match self.look() {
                Ok(next) => {
                    self.failures = 0;
                    self.until(next)
                }
                // A wrong call stays wrong: a passphrase, a setting. Later, somebody may be at work on it.
                Err(failure) if first && failure.exit() == Exit::Usage => return Err(failure),
                Err(failure) => {
                    self.failed(&failure);
                    self.back_off()
                }
            };
            match ends.recv_timeout(wait) {
                Ok(signal) => return Ok(signal),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(wait),
            }
        }
    }

    /// One look at the repository: renews what is due. Returns when something is due next.
    fn look(&mut self) -> Result<Option<Instant>, Failure> {
        let now = (self.around.clock)();
        self.shared.record().begin();
        let config = Config::read(&self.repository.config())?;
        let store = places::open(self.repository, &config, self.around)?;
        let published = Published::read(self.repository, store.as_ref())?;
        let bins =
            self.bins.is_none_or(|(snapshot, due)| snapshot != published.snapshot.version || due <= now);
        let job = Job {
            repository: self.repository,
            config: &config,
            store: store.as_ref(),
            within: self.args.within,
            now,
            bins,
            dry_run: false,
        };
        let renewed = job.run(&mut self.ring)?;
        // What was published may be another's: read what clients get now.
        let published = Published::read(self.repository, store.as_ref())?;
        if bins {
            let of_bins: Vec<Expiry> =
                renewed.expiries.iter().filter(|(role, _)| is_delegated(role)).cloned().collect();
            self.bins = Some((published.snapshot.version, job.next(&of_bins).unwrap_or(Instant::MAX_UTC)));
        }
        let root = (Role::Root, published.root.expires);
        let mut next = renewed.expiries.clone();
        // What can't be renewed here is looked at on schedule, and not all the time.
        next.retain(|(role, _)| !renewed.left.iter().any(|left| left.role == role.name()));
        let next = job.next(&next).into_iter().chain(self.bins.map(|(_, due)| due)).min();
        self.done(now, renewed, root);
        Ok(next)
    }

    fn done(&self, now: Instant, renewed: Renewed, root: Expiry) {
        for signed in &renewed.signed {
            let expires = signed.expires.format("%Y-%m-%dT%H:%M:%SZ");
            self.log(&format!("renewed {} version {}, expires {expires}", signed.role, signed.version));
        }
        let mut record = self.shared.record();
        for left in &renewed.left {
            if record.left == 0 {
                self.log(&format!("{} is due, and its keys aren't here", left.role));
            }
        }
        record.left = renewed.left.len();
        record.refreshes = record.refreshes.saturating_add(u64::from(!renewed.signed.is_empty()));
        record.expiries = renewed.expiries;
        record.expiries.push(root);
        record.last_success = Some(now);
        record.well = true;
    }

    fn failed(&mut self, failure: &Failure) {
        self.failures = self.failures.saturating_add(1);
        self.log(&format!("failed: {}", failure.line()));
        let mut record = self.shared.record();
        record.failures = record.failures.saturating_add(1);
        record.well = false;
    }

    fn every(&self) -> Duration {
        self.args.every.delta().to_std().unwrap_or(LEAST)
    }

    /// Until the next look: on schedule, or when something is due before. Instances that were started
    /// together don't stay together.
    fn until(&self, next: Option<Instant>) -> Duration {
        let every = jittered(self.every());
        let now = (self.around.clock)();
        let due = next.map(|next| next.signed_duration_since(now).to_std().unwrap_or_default());
        due.map_or(every, |due| every.min(due.saturating_add(jittered(LEAST)))).max(LEAST)
    }

    fn back_off(&self) -> Duration {
        let times = 2_u32.saturating_pow(self.failures.saturating_sub(1).min(20));
        jittered(BACK_OFF.saturating_mul(times).min(self.every()))
    }

    fn log(&self, event: &str) {
        log(self.around, event);
    }
}

fn is_delegated(role: &Role) -> bool {
    matches!(role, Role::Delegated(_))
}

/// A tenth more or less.
fn jittered(time: Duration) -> Duration {
    let tenth = time.checked_div(10).unwrap_or_default();
    let chance = getrandom::u32().unwrap_or_default();
    let share = tenth.saturating_mul(2).mul_f64(f64::from(chance) / f64::from(u32::MAX));
    time.saturating_sub(tenth).saturating_add(share)
}

/// One line an event, on stderr, with the time in front.
fn log(around: &Surroundings, event: &str) {
    let now = (around.clock)().format("%Y-%m-%dT%H:%M:%SZ");
    eprintln!("{now} {}", shown(event).replace('\n', " "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_a_tenth() {
        for _ in 0..100 {
            let time = jittered(Duration::from_secs(100));
            assert!((90..=110).contains(&time.as_secs()), "{time:?}");
        }
    }
}

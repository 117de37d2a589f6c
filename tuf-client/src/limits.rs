//! How long an update may take, and how much of that is left. Time is measured by the monotonic clock,
//! which says nothing about the date.

use std::time::{Duration, Instant};

/// How long a client waits at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// For all documents of one update, or of one search, together. The largest that are read, 64 MiB of
    /// targets, take 110 s at 5 Mbit/s; an update of everyday takes one. Who needs longer is holding us
    /// (TUF 1.0.34, section 1.5.2, "slow retrieval attack").
    pub update: Duration,
    /// For another process to finish its update of the same store: as long as it may take.
    pub lock: Duration,
    /// For one target file. An image of 10 GB takes an hour at 22 Mbit/s.
    pub download: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let update = Duration::from_secs(120);
        Self { update, lock: update, download: Duration::from_secs(3600) }
    }
}

/// Time that is being used up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    began: Instant,
    total: Duration,
}

impl Budget {
    pub(crate) fn begin(total: Duration) -> Self {
        Self { began: Instant::now(), total }
    }

    pub(crate) fn total(&self) -> Duration {
        self.total
    }

    /// What is left; `None` when it is over.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.total.checked_sub(self.began.elapsed()).filter(|left| !left.is_zero())
    }

    /// What the next of several sources may use: one that hangs must leave time for the `others` that
    /// can still be asked, and for the documents that follow. A single source may use it all.
    pub(crate) fn share(&self, sources: usize, others: usize) -> Option<Duration> {
        let parts = if sources > 1 { u32::try_from(others).unwrap_or(u32::MAX).saturating_add(2) } else { 1 };
        self.left()?.checked_div(parts)
    }
}

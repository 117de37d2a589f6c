//! When one fetch ends, whatever has come by then.
//!
//! It bounds what the rate doesn't: a server that is just fast enough, redirects that each take their
//! time, an answer that is always promised for later.

use std::time::{Duration, Instant};

use crate::source::SourceError;

/// A moment after which no more is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    began: Instant,
    /// `None` for what is streamed: a layer takes the time that it takes, at the rate that is demanded.
    total: Option<Duration>,
}

impl Deadline {
    /// This much time, from now on.
    pub(crate) fn after(total: Duration) -> Self {
        Self { began: Instant::now(), total: Some(total) }
    }

    /// No end but that of the rate.
    pub(crate) fn none() -> Self {
        Self { began: Instant::now(), total: None }
    }

    /// How much is left, zero when it is over; `None` if it never is.
    pub(crate) fn left(&self) -> Option<Duration> {
        Some(self.total?.saturating_sub(self.began.elapsed()))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// The error for an answer of which `got` bytes have come by now.
    pub(crate) fn passed(&self, at: String, got: u64) -> SourceError {
        SourceError::Overdue { at, limit: self.total.unwrap_or(Duration::MAX), got }
    }
}

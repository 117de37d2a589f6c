//! The time of an update, which the caller supplies. Nothing in this crate reads a wall clock.

use tuf_core::Instant;

/// Tells the time. It is asked once for each update (TUF 5.1).
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> Instant;
}

/// A clock that stands still: one update, or an update as of a given time.
impl Clock for Instant {
    fn now(&self) -> Instant {
        *self
    }
}

/// Such as `chrono::Utc::now`.
impl<F: Fn() -> Instant + Send + Sync> Clock for F {
    fn now(&self) -> Instant {
        self()
    }
}

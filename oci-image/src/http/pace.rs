//! A reader that gives up on whoever sends too slowly, and reading that stops at a bound.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::limits::HttpLimits;
use crate::source::SourceError;

/// Counts bytes and the time spent waiting for them. Time between reads is the reader's own.
pub(crate) struct Paced<R> {
    reader: R,
    at: String,
    window: Duration,
    rate: u64,
    /// In this window.
    got: u64,
    waited: Duration,
    /// In all.
    seen: u64,
    deadline: Deadline,
}

impl<R: Read> Paced<R> {
    pub(crate) fn new(reader: R, at: String, limits: &HttpLimits, deadline: Deadline) -> Self {
        let (window, rate) = (limits.window, limits.rate);
        Self { reader, at, window, rate, got: 0, waited: Duration::ZERO, seen: 0, deadline }
    }

    /// What should have come in the time waited.
    fn expected(&self) -> u64 {
        let milliseconds = u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX);
        self.rate.saturating_mul(milliseconds) / 1000
    }

    fn stalled(&self) -> io::Error {
        let expected = self.expected().max(self.got.saturating_add(1));
        let (at, got, waited) = (self.at.clone(), self.got, self.waited);
        io::Error::other(SourceError::Stalled { at, expected, got, waited })
    }

    fn overdue(&self) -> io::Error {
        io::Error::other(self.deadline.passed(self.at.clone(), self.seen))
    }

    /// At the end of each window: enough, then a new window; too little, then the end.
    fn weigh(&mut self) -> io::Result<()> {
        if self.deadline.is_over() {
            return Err(self.overdue());
        }
        if self.waited < self.window {
            return Ok(());
        }
        if self.got < self.expected() {
            return Err(self.stalled());
        }
        (self.got, self.waited) = (0, Duration::ZERO);
        Ok(())
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        let read = self.reader.read(buffer);
        self.waited = self.waited.saturating_add(start.elapsed());
        match read {
            Ok(0) => Ok(0),
            Ok(count) => {
                let came = u64::try_from(count).unwrap_or(u64::MAX);
                self.got = self.got.saturating_add(came);
                self.seen = self.seen.saturating_add(came);
                self.weigh().map(|()| count)
            }
            Err(error) if is_timeout(&error) && self.deadline.is_over() => Err(self.overdue()),
            Err(error) if is_timeout(&error) => Err(self.stalled()),
            Err(error) => {
                let why = format!("the answer broke off: {}", super::chain(&error));
                Err(io::Error::other(SourceError::Unreachable { at: self.at.clone(), why }))
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}

/// The most memory that is taken on the word of an announcement: as much as the largest metadata file may
/// have. What is longer grows as it comes, so that a length that somebody made up takes nothing.
pub(crate) const ANNOUNCED_MAX: u64 = 64 * 1024 * 1024;

/// Reads to the end, or fails when there are more than `limit` bytes. With the length that was announced,
/// the memory is taken once, and not twice over as it grows; an announcement alone fills none of it.
pub(crate) fn read_bounded(
    reader: impl Read,
    limit: u64,
    announced: Option<u64>,
    at: &str,
) -> Result<Vec<u8>, SourceError> {
    let taken = announced.unwrap_or(0).min(limit).min(ANNOUNCED_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(taken).unwrap_or(0));
    let mut reader = reader.take(limit.saturating_add(1));
    reader.read_to_end(&mut bytes).map_err(|error| SourceError::from_read(error, at))?;
    if u64::try_from(bytes.len()).is_ok_and(|got| got <= limit) {
        return Ok(bytes);
    }
    Err(SourceError::TooLarge { at: at.into(), limit, got: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte after each pause, for ever.
    struct Drip(Duration);

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.0);
            buffer.fill(0);
            Ok(buffer.len().min(1))
        }
    }

    fn paced<R: Read>(reader: R, rate: u64) -> Paced<R> {
        let limits = HttpLimits { window: Duration::from_millis(50), rate, ..HttpLimits::default() };
        Paced::new(reader, "drip".into(), &limits, Deadline::none())
    }

    #[test]
    fn a_drip_ends_after_the_first_window() {
        let mut paced = paced(Drip(Duration::from_millis(10)), 1_000_000);
        let error = io::copy(&mut paced, &mut io::sink()).unwrap_err();
        let error = SourceError::from_read(error, "");
        assert!(matches!(error, SourceError::Stalled { got: 1..=9, .. }), "{error}");
        assert!(!error.unreachable());
    }

    #[test]
    fn slow_but_fast_enough_goes_on() {
        let paced = paced(Drip(Duration::from_millis(10)), 1);
        assert_eq!(io::copy(&mut paced.take(20), &mut io::sink()).unwrap(), 20);
    }

    #[test]
    fn a_fast_start_buys_no_slow_end() {
        let fast = io::repeat(0).take(1_000_000);
        let both = fast.chain(Drip(Duration::from_millis(60)));
        let mut paced = paced(both, 1000);
        assert!(io::copy(&mut paced, &mut io::sink()).is_err());
    }

    #[test]
    fn fast_enough_for_ever_ends_at_the_deadline() {
        let (limits, total) = (HttpLimits { rate: 0, ..HttpLimits::default() }, Duration::from_millis(40));
        let drip = Drip(Duration::from_millis(15));
        let mut paced = Paced::new(drip, "drip".into(), &limits, Deadline::after(total));
        let error = io::copy(&mut paced, &mut io::sink()).unwrap_err();
        let error = SourceError::from_read(error, "");
        assert!(matches!(error, SourceError::Overdue { got: 1..=3, .. }), "{error}");
        assert!(error.unreachable());
    }

    #[test]
    fn an_endless_answer_ends_at_the_bound() {
        let error = read_bounded(io::repeat(0), 1000, None, "x").unwrap_err();
        assert_eq!(error.to_string(), "x sent too much: expected at most 1000 bytes, got more");
        assert_eq!(read_bounded(io::repeat(0).take(1000), 1000, None, "x").unwrap().len(), 1000);
    }

    #[test]
    fn what_was_announced_is_taken_once() {
        let bytes = read_bounded(io::repeat(0).take(1000), 4000, Some(1000), "x").unwrap();
        assert_eq!((bytes.len(), bytes.capacity()), (1000, 1000));
        let none = read_bounded(io::empty(), 100, Some(u64::MAX), "x").unwrap();
        assert_eq!((none.len(), none.capacity()), (0, 100));
        // A signed length may be made up as well: who believed both would end here.
        let none = read_bounded(io::empty(), u64::MAX, Some(u64::MAX), "x").unwrap();
        assert_eq!(none.len(), 0);
        assert!(none.capacity() <= usize::try_from(ANNOUNCED_MAX).unwrap());
    }
}

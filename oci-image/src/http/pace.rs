//! A reader that gives up on whoever sends too slowly, and reading that stops at a bound.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::limits::HttpLimits;
use crate::source::SourceError;

/// Counts bytes and the time spent waiting for them. Time between reads is the reader's own.
pub(crate) struct Paced<R> {
    reader: R,
    at: String,
    window: Duration,
    rate: u64,
    got: u64,
    waited: Duration,
}

impl<R: Read> Paced<R> {
    pub(crate) fn new(reader: R, at: String, limits: &HttpLimits) -> Self {
        Self { reader, at, window: limits.window, rate: limits.rate, got: 0, waited: Duration::ZERO }
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

    /// At the end of each window: enough, then a new window; too little, then the end.
    fn weigh(&mut self) -> io::Result<()> {
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
                self.got = self.got.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                self.weigh().map(|()| count)
            }
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

/// Reads to the end, or fails when there are more than `limit` bytes.
pub(crate) fn read_bounded(reader: impl Read, limit: u64, at: &str) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
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

    fn limits(rate: u64) -> HttpLimits {
        HttpLimits { window: Duration::from_millis(50), rate, ..HttpLimits::default() }
    }

    #[test]
    fn a_drip_ends_after_the_first_window() {
        let mut paced = Paced::new(Drip(Duration::from_millis(10)), "drip".into(), &limits(1_000_000));
        let error = io::copy(&mut paced, &mut io::sink()).unwrap_err();
        let error = SourceError::from_read(error, "");
        assert!(matches!(error, SourceError::Stalled { got: 1..=9, .. }), "{error}");
        assert!(!error.unreachable());
    }

    #[test]
    fn slow_but_fast_enough_goes_on() {
        let paced = Paced::new(Drip(Duration::from_millis(10)), "drip".into(), &limits(1));
        assert_eq!(io::copy(&mut paced.take(20), &mut io::sink()).unwrap(), 20);
    }

    #[test]
    fn a_fast_start_buys_no_slow_end() {
        let fast = io::repeat(0).take(1_000_000);
        let both = fast.chain(Drip(Duration::from_millis(60)));
        let mut paced = Paced::new(both, "drip".into(), &limits(1000));
        assert!(io::copy(&mut paced, &mut io::sink()).is_err());
    }

    #[test]
    fn an_endless_answer_ends_at_the_bound() {
        let error = read_bounded(io::repeat(0), 1000, "x").unwrap_err();
        assert_eq!(error.to_string(), "x sent too much: expected at most 1000 bytes, got more");
        assert_eq!(read_bounded(io::repeat(0).take(1000), 1000, "x").unwrap().len(), 1000);
    }
}

//! How far long work has come: one line on standard error, where that is a terminal, and only while it lasts.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// How often the line changes.
const PAUSE: Duration = Duration::from_millis(100);
/// What is done sooner than this is not worth a line.
const PATIENCE: Duration = Duration::from_millis(500);
/// Steps between two looks at the clock.
const STRIDE: usize = 64;

/// So many of so many steps.
pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    done: usize,
    began: Instant,
    /// How long after that the line changes next; `None` where nobody looks.
    next: Option<Duration>,
    shown: bool,
}

impl Progress {
    /// `what`: what is counted, such as `roles signed`.
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        let next = (total > STRIDE && stderr().is_terminal()).then_some(PATIENCE);
        Self { what, total, done: 0, began: Instant::now(), next, shown: false }
    }

    pub(crate) fn step(&mut self) {
        self.at(self.done.saturating_add(1));
    }

    pub(crate) fn at(&mut self, done: usize) {
        self.done = done;
        if let Some(next) = self.next
            && done.is_multiple_of(STRIDE)
            && self.began.elapsed() >= next
        {
            self.next = Some(self.began.elapsed().saturating_add(PAUSE));
            self.shown = true;
            let _ = write!(stderr(), "\r\x1b[2K{}", self.line());
        }
    }

    fn line(&self) -> String {
        let share = self.done.saturating_mul(100).checked_div(self.total).unwrap_or(100);
        format!("{} of {} {} ({share} %)", grouped(self.done), grouped(self.total), self.what)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }
}

/// A number with commas between its thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_how_much() {
        let mut progress = Progress::new("names placed", 1_000_000);
        progress.at(99_500);
        assert_eq!(progress.line(), "99,500 of 1,000,000 names placed (9 %)");
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1000), "1,000");
    }
}

//! A length of time, as people write it: `7d`, `12h`, `30m`, `45s`.

use std::str::FromStr;

use chrono::TimeDelta;
use serde::Deserialize;

/// More than this is a slip: metadata that holds for ever protects nobody.
const MOST: i64 = 100 * 365 * 24 * 3600;

/// From a second to a hundred years. A bare number counts days.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Span(i64);

impl Span {
    pub(crate) fn delta(self) -> TimeDelta {
        TimeDelta::try_seconds(self.0).unwrap_or(TimeDelta::MAX)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected a time such as 7d, 12h, 30m or 45s, of 100 years at most, got {text:?}");
        let digits = text.trim_end_matches(|one: char| one.is_ascii_alphabetic());
        let unit = match text.get(digits.len()..) {
            Some("d" | "") => 24 * 3600,
            Some("h") => 3600,
            Some("m") => 60,
            Some("s") => 1,
            _ => return Err(wrong()),
        };
        let count: u32 = digits.parse().map_err(|_| wrong())?;
        let seconds = i64::from(count).checked_mul(unit).filter(|seconds| (1..=MOST).contains(seconds));
        seconds.map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, seconds) in [("7", 604_800), ("1d", 86_400), ("12h", 43_200), ("30m", 1800), ("5s", 5)] {
            assert_eq!(text.parse::<Span>().unwrap().delta().num_seconds(), seconds, "{text}");
        }
        for text in ["", "d", "0d", "-1d", "1.5h", "1w", "1 d", "40000d", "4294967296s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}

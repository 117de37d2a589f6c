//! Times (section 4.2: "date-time data follows the ISO 8601 standard").
//!
//! Documents are written with `YYYY-MM-DDTHH:MM:SSZ`, and python-tuf reads nothing else. Early roots of
//! Sigstore, which open its history to this day, have a fraction of a second and an offset, so these two are
//! read as well. What a lenient reader of RFC 3339 would take beyond that is refused.

use alloc::string::String;

use chrono::DateTime;
use serde::de::{self, Deserialize, Deserializer};

use crate::Instant;

/// The most digits of a fraction: nanoseconds, as Go writes them. What is finer would be cut off.
const FRACTION: usize = 9;

/// For `#[serde(deserialize_with)]`.
pub(super) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
    let text = String::deserialize(deserializer)?;
    read(&text).ok_or_else(|| {
        de::Error::custom(format_args!("expected a time such as 2030-01-31T00:00:00Z, got {text:?}"))
    })
}

/// Reads `YYYY-MM-DDTHH:MM:SS`, a fraction of up to nine digits where there is one, and `Z` or an offset.
pub(crate) fn read(text: &str) -> Option<Instant> {
    let (second, rest) = text.split_at_checked(19)?;
    let year_0 = second.starts_with("0000");
    // No clock of a computer shows it, and the same bytes would be two times for two readers.
    let leap = second.ends_with(":60");
    if second.as_bytes().get(10) != Some(&b'T') || year_0 || leap || !zoned(rest) {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc())
}

/// A fraction and an offset, as far as their characters go. ISO 8601 has no offset of minus zero.
fn zoned(rest: &str) -> bool {
    let zone =
        rest.strip_prefix('.').map(|fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = zone.unwrap_or(rest);
    let short = rest.len().saturating_sub(zone.len()) <= FRACTION.saturating_add(1);
    let offset = zone.starts_with(['+', '-']) && zone != "-00:00";
    short && (zone == "Z" || offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_documents_are_written_with_or_what_old_roots_have() {
        for (text, moment) in [
            ("2030-01-31T00:00:00Z", "2030-01-31T00:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("2021-12-18T13:28:12.99008-06:00", "2021-12-18T19:28:12.990080Z"),
            ("2022-05-11T19:09:02.663975009Z", "2022-05-11T19:09:02.663975009Z"),
            ("2030-01-31T00:00:00+00:00", "2030-01-31T00:00:00Z"),
        ] {
            assert_eq!(read(text), Some(moment.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "2030-01-31",
            "2030-01-31T00:00:00",
            "2030-01-31T00:00Z",
            "2030-01-31 00:00:00Z",
            "2030-01-31t00:00:00Z",
            "2030-01-31T00:00:00z",
            "2030-01-31T00:00:00Z\n",
            " 2030-01-31T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "12030-01-31T00:00:00Z",
            "2030-1-1T0:0:0Z",
            "2030-02-30T00:00:00Z",
            "2030-01-31T24:00:00Z",
            "2030-06-30T23:59:60Z",
            "2030-01-31T00:00:00.Z",
            "2030-01-31T00:00:00,5Z",
            "2030-01-31T00:00:00.1234567890Z",
            "2030-01-31T00:00:00-00:00",
            "2030-01-31T00:00:00+0000",
            "2030-01-31T00:00:00+00",
            "2030-01-31T00:00:00+24:00",
            "2030-01-31T00:00:00\u{2212}01:00",
            "2030-01-31T00:00:00 +01:00",
            "\u{662}\u{660}\u{663}\u{660}-01-31T00:00:00Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

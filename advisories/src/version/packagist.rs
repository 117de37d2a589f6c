//! PHP's `version_compare`, which Composer compares by.

use std::cmp::Ordering;

use super::{front, is_digit, numbers};

/// Its parts are looked for where they are needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version<'a>(&'a str);

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        Self(text.strip_prefix(['v', 'V']).unwrap_or(text))
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        compare(Parts(self.0), Parts(other.0))
    }

    /// As `compare`, of versions as Composer writes them: PHP itself takes `4` to be less than `4.0.0-rc2`.
    pub(super) fn against(self, boundary: Self) -> Ordering {
        compare(self.whole(), boundary.whole())
    }

    /// Composer writes every version with four numbers before it compares.
    fn whole(self) -> Whole<'a> {
        Whole { parts: Parts(self.0), numbers: Some(0), zeros: 0, held: None }
    }
}

/// The parts of a version, filled up with zeros to four numbers.
struct Whole<'a> {
    parts: Parts<'a>,
    /// How many there were, until they end.
    numbers: Option<usize>,
    /// How many zeros are to come, and what is behind them.
    zeros: usize,
    held: Option<&'a str>,
}

impl<'a> Iterator for Whole<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if let Some(left) = self.zeros.checked_sub(1) {
            self.zeros = left;
            return Some("0");
        }
        let part = self.held.take().or_else(|| self.parts.next());
        let Some(numbers) = self.numbers else { return part };
        if part.is_some_and(is_number) {
            self.numbers = numbers.checked_add(1);
            return part;
        }
        (self.numbers, self.held) = (None, part);
        self.zeros = if numbers == 0 { 0 } else { NUMBERS.saturating_sub(numbers) };
        self.next()
    }
}

/// Numbers and words, one after another.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        front(&mut self.0, separates);
        let digits = front(&mut self.0, is_digit);
        let part = match digits {
            "" => front(&mut self.0, |c| !is_digit(c) && !separates(c)),
            digits => digits,
        };
        (!part.is_empty()).then_some(part)
    }
}

const NUMBERS: usize = 4;

fn compare<'a>(mut a: impl Iterator<Item = &'a str>, mut b: impl Iterator<Item = &'a str>) -> Ordering {
    loop {
        let order = match (a.next(), b.next()) {
            (Some(a), Some(b)) => part(a, b),
            (Some(more), None) => over(more),
            (None, Some(more)) => over(more).reverse(),
            (None, None) => return Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn separates(c: char) -> bool {
    matches!(c, '-' | '_' | '+' | '.')
}

/// A number more is more; a word more is what it stands for.
fn over(more: &str) -> Ordering {
    if is_number(more) { Ordering::Greater } else { rank(more).cmp(&NUMBER) }
}

fn part(a: &str, b: &str) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => numbers(a, b),
        (true, false) => NUMBER.cmp(&rank(b)),
        (false, true) => rank(a).cmp(&NUMBER),
        (false, false) => rank(a).cmp(&rank(b)),
    }
}

fn is_number(part: &str) -> bool {
    part.starts_with(is_digit)
}

/// Where `#`, which stands for a number, is in the row.
const NUMBER: i8 = 5;

fn rank(word: &str) -> i8 {
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| word.starts_with(prefix));
    match word {
        _ if is(&["dev"]) => 0,
        _ if is(&["a"]) => 1,
        _ if is(&["b"]) => 2,
        _ if is(&["RC", "rc"]) => 3,
        _ if is(&["#"]) => NUMBER,
        _ if is(&["p"]) => 6,
        _ => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_compared_as_composer_writes_them() {
        for (version, expected, bound) in [
            ("4", Ordering::Greater, "4.0.0-rc2"),
            ("1.5.0", Ordering::Equal, "1.5"),
            ("v1.5", Ordering::Equal, "1.5.0.0"),
            ("1.5.1", Ordering::Greater, "1.5"),
            ("1.2-beta1", Ordering::Less, "1.2.0"),
            ("dev-main", Ordering::Less, "1.0"),
        ] {
            assert_eq!(Version::parse(version).against(Version::parse(bound)), expected, "{version} {bound}");
        }
    }
}

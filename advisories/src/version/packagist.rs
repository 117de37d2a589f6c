//! PHP's `version_compare`, which Composer compares by.

use std::cmp::Ordering;

use super::{front, is_digit, numbers};

#[derive(Clone, Debug)]
pub(super) struct Version(Vec<String>);

impl Version {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            front(&mut rest, |c| "-_+.".contains(c));
            let digits = front(&mut rest, is_digit);
            let part = match digits {
                "" => front(&mut rest, |c| !is_digit(c) && !"-_+.".contains(c)),
                digits => digits,
            };
            if !part.is_empty() {
                parts.push(part.to_owned());
            }
        }
        Self(parts)
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let both = self.0.iter().zip(&other.0).map(|(a, b)| part(a, b)).find(|order| order.is_ne());
        both.unwrap_or_else(|| {
            let more_a = self.0.iter().skip(other.0.len()).map(|part| over(part));
            let more_b = other.0.iter().skip(self.0.len()).map(|part| over(part).reverse());
            more_a.chain(more_b).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        })
    }

    /// As `compare`, of versions as Composer writes them: PHP itself takes `4` to be less than `4.0.0-rc2`.
    pub(super) fn against(&self, boundary: &Self) -> Ordering {
        self.whole().compare(&boundary.whole())
    }

    fn whole(&self) -> Self {
        let mut numbers: Vec<String> = self.0.iter().take_while(|part| is_number(part)).cloned().collect();
        let words = self.0.iter().skip(numbers.len());
        if (1..NUMBERS).contains(&numbers.len()) {
            numbers.resize(NUMBERS, "0".to_owned());
        }
        Self(numbers.into_iter().chain(words.cloned()).collect())
    }
}

/// Composer writes every version with four numbers before it compares.
const NUMBERS: usize = 4;

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
            assert_eq!(
                Version::parse(version).against(&Version::parse(bound)),
                expected,
                "{version} {bound}"
            );
        }
    }
}

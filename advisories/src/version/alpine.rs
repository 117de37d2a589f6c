//! The order of apk-tools 2 (`version.c`): tokens, each of a kind that says what may follow.
//!
//! Also of what isn't a version by its rules it says an order, and so do we: those are in its packages.

use std::cmp::Ordering;

use super::{front, is_digit};

/// What a token is. Of two versions that are equal up to here, the one whose next token is *further down* is less:
/// an end is below everything, a letter below a digit.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Invalid,
    DigitOrZero,
    Digit,
    Letter,
    Suffix,
    SuffixNumber,
    Revision,
    End,
}

const BEFORE: [(&str, i128); 4] = [("alpha", -4), ("beta", -3), ("pre", -2), ("rc", -1)];
const AFTER: [(&str, i128); 5] = [("cvs", 0), ("svn", 1), ("git", 2), ("hg", 3), ("p", 4)];

/// Where a number would not fit: apk stops at 18 digits.
const DIGITS_MAX: usize = 36;

struct Tokens<'a> {
    rest: &'a str,
    kind: Kind,
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let mut a = Tokens { rest: a, kind: Kind::Digit };
    let mut b = Tokens { rest: b, kind: Kind::Digit };
    let mut values = (0, 0);
    while a.kind == b.kind && a.kind != Kind::End && a.kind != Kind::Invalid && values.0 == values.1 {
        values = (a.value(), b.value());
    }
    if values.0 != values.1 || a.kind == b.kind {
        return values.0.cmp(&values.1);
    }
    if a.kind == Kind::Suffix && a.value() < 0 {
        return Ordering::Less;
    }
    if b.kind == Kind::Suffix && b.value() < 0 {
        return Ordering::Greater;
    }
    b.kind.cmp(&a.kind)
}

impl Tokens<'_> {
    /// The value of this token; the next is then at hand.
    fn value(&mut self) -> i128 {
        if self.rest.is_empty() {
            self.kind = Kind::End;
            return 0;
        }
        let mut next = None;
        let value = match self.kind {
            Kind::DigitOrZero if self.rest.starts_with('0') => {
                next = Some(Kind::Digit);
                let zeros = front(&mut self.rest, |c| c == '0').len();
                i128::try_from(zeros).map_or(i128::MIN, i128::wrapping_neg)
            }
            Kind::DigitOrZero | Kind::Digit | Kind::SuffixNumber | Kind::Revision => self.number(),
            Kind::Letter => self.letter(),
            Kind::Suffix => match self.suffix() {
                Some(value) => value,
                None => return self.invalid(),
            },
            Kind::Invalid | Kind::End => return self.invalid(),
        };
        if self.rest.is_empty() {
            self.kind = Kind::End;
        } else if let Some(next) = next {
            self.kind = next;
        } else {
            self.advance();
        }
        value
    }

    fn invalid(&mut self) -> i128 {
        self.kind = Kind::Invalid;
        -1
    }

    fn number(&mut self) -> i128 {
        let digits = front(&mut self.rest, is_digit);
        match digits {
            "" => 0,
            digits if digits.len() <= DIGITS_MAX => digits.parse().unwrap_or(i128::MAX),
            _ => i128::MAX,
        }
    }

    fn letter(&mut self) -> i128 {
        let mut chars = self.rest.chars();
        let letter = chars.next().map_or(0, u32::from);
        self.rest = chars.as_str();
        i128::from(letter)
    }

    fn suffix(&mut self) -> Option<i128> {
        let (word, value) = BEFORE.iter().chain(&AFTER).find(|(word, _)| self.rest.starts_with(word))?;
        self.rest = self.rest.strip_prefix(word)?;
        Some(*value)
    }

    /// What kind the next token is, by its first characters and by what was before.
    fn advance(&mut self) {
        let mut chars = self.rest.chars();
        let first = chars.next().unwrap_or('\0');
        let before = self.kind;
        let after_digits = matches!(before, Kind::Digit | Kind::DigitOrZero);
        let kind = if after_digits && first.is_ascii_lowercase() {
            Kind::Letter
        } else if before == Kind::Letter && is_digit(first) {
            Kind::Digit
        } else if before == Kind::Suffix && is_digit(first) {
            Kind::SuffixNumber
        } else {
            self.rest = chars.as_str();
            match first {
                '.' => Kind::DigitOrZero,
                '_' => Kind::Suffix,
                '-' => match self.rest.strip_prefix('r') {
                    Some(rest) => {
                        self.rest = rest;
                        Kind::Revision
                    }
                    None => Kind::Invalid,
                },
                _ => Kind::Invalid,
            }
        };
        let back = matches!(
            (kind, before),
            (Kind::DigitOrZero, Kind::Digit)
                | (Kind::Suffix, Kind::SuffixNumber)
                | (Kind::Digit, Kind::Letter)
        );
        self.kind = if kind < before && !back { Kind::Invalid } else { kind };
    }
}

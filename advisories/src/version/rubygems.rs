//! `Gem::Version`: numbers and words; a word makes it a pre-release.

use std::cmp::Ordering;

use super::{Unreadable, front, is_digit, numbers};

#[derive(Clone, Debug)]
pub(super) struct Version<'a>(Vec<&'a str>);

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let text = text.trim();
        let known = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        if !text.starts_with(is_digit) || !text.chars().all(known) {
            return Err(Unreadable::new("a version of RubyGems, NUMBER[.PART]…", text));
        }
        let mut segments = Vec::new();
        for part in text.split('.') {
            let mut dashes = part.split('-');
            split(dashes.next().unwrap_or(""), &mut segments);
            for after in dashes {
                segments.push("pre");
                split(after, &mut segments);
            }
        }
        Ok(Self(canonical(segments)))
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let longest = self.0.len().max(other.0.len());
        let at = |version: &Self, index: usize| version.0.get(index).copied().unwrap_or("0");
        let mut order = (0..longest).map(|index| segment(at(self, index), at(other, index)));
        order.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Numbers and words, apart.
fn split<'a>(mut part: &'a str, segments: &mut Vec<&'a str>) {
    while !part.is_empty() {
        let digits = front(&mut part, is_digit);
        let word = if digits.is_empty() { front(&mut part, |c| !is_digit(c)) } else { digits };
        segments.push(word);
    }
}

/// Without zeros at the end of the release, and of what follows it: `1.0.a` is `1.a`.
fn canonical(mut segments: Vec<&str>) -> Vec<&str> {
    let is_zero = |segment: &&str| segment.bytes().all(|byte| byte == b'0');
    let zeros = |segments: &[&str]| segments.iter().rev().take_while(|one| is_zero(one)).count();
    let words = segments.iter().position(|segment| !is_number(segment)).unwrap_or(segments.len());
    let (release, rest) = segments.split_at_checked(words).unwrap_or((&segments, &[]));
    let kept = words.saturating_sub(zeros(release));
    let end = segments.len().saturating_sub(zeros(rest));
    segments.truncate(end);
    segments.drain(kept..words);
    segments
}

fn is_number(segment: &str) -> bool {
    segment.starts_with(is_digit)
}

/// Words are below numbers.
fn segment(a: &str, b: &str) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => numbers(a, b),
        (false, true) => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

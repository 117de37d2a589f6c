//! PEP 440. What isn't of it is a *legacy* version, as setuptools ordered them until 2022: below all that is.

use std::cmp::Ordering;
use std::str::FromStr;

use super::{front, is_digit, numbers, parts};

#[derive(Clone, Debug)]
pub(super) enum Version {
    Pep440(pep440_rs::Version),
    Legacy(Vec<String>),
}

impl Version {
    pub(super) fn parse(text: &str) -> Self {
        match pep440_rs::Version::from_str(text) {
            Ok(version) => Self::Pep440(version),
            Err(_) => Self::Legacy(legacy(text)),
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Pep440(a), Self::Pep440(b)) => a.cmp(b),
            (Self::Legacy(a), Self::Legacy(b)) => parts(a, b, |a, b| word(a, b), |a| word(a, END)),
            (Self::Legacy(_), Self::Pep440(_)) => Ordering::Less,
            (Self::Pep440(_), Self::Legacy(_)) => Ordering::Greater,
        }
    }

    /// As `compare`; where the boundary has no local version, ours doesn't count.
    pub(super) fn against(&self, boundary: &Self) -> Ordering {
        match (self, boundary) {
            (Self::Pep440(a), Self::Pep440(b)) if a.is_local() && !b.is_local() => {
                a.clone().without_local().cmp(b)
            }
            _ => self.compare(boundary),
        }
    }
}

const END: &str = "*final";

/// Words, numbers as text; trailing zeros and what is `final` dropped.
fn legacy(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut rest = lower.as_str();
    let mut words: Vec<String> = Vec::new();
    while !rest.is_empty() {
        let word = piece(&mut rest);
        let word = match word {
            "" | "." => continue,
            "pre" | "preview" | "rc" => "c",
            "-" => "final-",
            "dev" => "@",
            word => word,
        };
        if is_number(word) {
            words.push(word.to_owned());
            continue;
        }
        if word < "final" {
            pop_while(&mut words, "*final-");
        }
        pop_while(&mut words, "0");
        words.push(format!("*{word}"));
    }
    pop_while(&mut words, "0");
    words
}

fn pop_while(words: &mut Vec<String>, what: &str) {
    let is = |word: &String| match what {
        "0" => is_number(word) && word.chars().all(|c| c == '0'),
        what => word == what,
    };
    while words.last().is_some_and(is) {
        words.pop();
    }
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// Digits, letters, or one character.
fn piece<'a>(rest: &mut &'a str) -> &'a str {
    let letter = |c: char| c.is_ascii_lowercase();
    match rest.chars().next() {
        Some(c) if is_digit(c) => front(rest, is_digit),
        Some(c) if letter(c) => front(rest, letter),
        Some('.' | '-') => {
            let (first, after) = rest.split_at(1);
            *rest = after;
            first
        }
        _ => front(rest, |c| !is_digit(c) && !letter(c) && c != '.' && c != '-'),
    }
}

/// Text was filled up with zeros to compare: digits are below a `*`? No: `*` is below digits.
fn word(a: &str, b: &str) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => numbers(a, b),
        _ => a.cmp(b),
    }
}

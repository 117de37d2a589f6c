//! rpm's order, `rpmvercmp`, over epoch, version and release. An epoch that is missing is 0.

use std::cmp::Ordering;

use super::{front, is_digit, numbers, split_at_byte};

#[derive(Clone, Debug)]
pub(super) struct Version<'a> {
    epoch: &'a str,
    version: &'a str,
    release: Option<&'a str>,
}

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (epoch, rest) = match split_at_byte(text, b':') {
            Some((epoch, rest)) if epoch.chars().all(is_digit) => (epoch, rest),
            _ => ("", text),
        };
        let (version, release) = match split_at_byte(rest, b'-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        Self { epoch, version, release }
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let releases = || match (self.release, other.release) {
            (Some(a), Some(b)) => segments(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        numbers(self.epoch, other.epoch)
            .then_with(|| segments(self.version, other.version))
            .then_with(releases)
    }
}

fn segments(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let separates = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
        front(&mut a, separates);
        front(&mut b, separates);
        if let Some(order) = mark(&mut a, &mut b, '~', Ordering::Less) {
            match order {
                Ordering::Equal => continue,
                order => return order,
            }
        }
        if let Some(order) = mark(&mut a, &mut b, '^', Ordering::Greater) {
            match order {
                Ordering::Equal => continue,
                order => return order,
            }
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let order = segment(&mut a, &mut b);
        if order.is_ne() {
            return order;
        }
    }
}

/// A tilde is below everything, also the end. A caret is above the end, and below everything else.
fn mark(a: &mut &str, b: &mut &str, mark: char, to_end: Ordering) -> Option<Ordering> {
    let of = |marked: &str, other: &str| {
        let other_ended = other.is_empty();
        if marked.starts_with(mark) && other_ended { to_end } else { Ordering::Less }
    };
    match (a.strip_prefix(mark), b.strip_prefix(mark)) {
        (Some(rest_a), Some(rest_b)) => {
            (*a, *b) = (rest_a, rest_b);
            Some(Ordering::Equal)
        }
        (Some(_), None) => Some(of(a, b)),
        (None, Some(_)) => Some(of(b, a).reverse()),
        (None, None) => None,
    }
}

/// Digits against digits, letters against letters; of the two, digits are above.
fn segment(a: &mut &str, b: &mut &str) -> Ordering {
    let digits = (front(a, is_digit), front(b, is_digit));
    match digits {
        ("", "") => {
            let letter = |c: char| c.is_ascii_alphabetic();
            front(a, letter).cmp(front(b, letter))
        }
        ("", _) => Ordering::Less,
        (_, "") => Ordering::Greater,
        (a, b) => numbers(a, b),
    }
}

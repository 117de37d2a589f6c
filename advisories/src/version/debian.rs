//! Debian Policy 5.6.12, as dpkg's `verrevcmp` does it: Debian and Ubuntu.

use std::cmp::Ordering;

use super::{Unreadable, front, is_digit, numbers, split_at_byte};

#[derive(Clone, Debug)]
pub(super) struct Version<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let (epoch, rest) = split_at_byte(text, b':').unwrap_or(("", text));
        let dash = rest.bytes().rposition(|byte| byte == b'-');
        let (upstream, revision) = dash.and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
        let revision = revision.strip_prefix('-').unwrap_or("");
        let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'+' | b'~' | b'-' | b':' | b'_');
        if !epoch.bytes().all(|byte| byte.is_ascii_digit()) || upstream.is_empty() || !rest.bytes().all(known)
        {
            return Err(Unreadable::new("a version of Debian, [EPOCH:]UPSTREAM[-REVISION]", text));
        }
        Ok(Self { epoch, upstream, revision })
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        numbers(self.epoch, other.epoch)
            .then_with(|| part(self.upstream, other.upstream))
            .then_with(|| part(self.revision, other.revision))
    }
}

/// What isn't digits, then what is, in turn.
fn part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let words = words(front(&mut a, |c| !is_digit(c)), front(&mut b, |c| !is_digit(c)));
        let order = words.then_with(|| numbers(front(&mut a, is_digit), front(&mut b, is_digit)));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn words(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    a.bytes().map(rank).chain([END]).cmp(b.bytes().map(rank).chain([END]))
}

const END: u16 = 1;

/// A tilde is below the end, the end below letters, letters below the rest.
fn rank(byte: u8) -> u16 {
    match byte {
        b'~' => 0,
        byte if byte.is_ascii_alphabetic() => u16::from(byte),
        byte => u16::from(byte) | 0x100,
    }
}

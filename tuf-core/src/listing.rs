//! A large JSON object that stays text: its members are found by name without reading them all.
//!
//! A targets document may list a hundred thousand targets, of which an update wants one. So the object is
//! checked once, member by member, and then kept as the bytes it came in, with a mark at every
//! [`STRIDE`]th key: a look-up halves its way through the marks and reads one stride.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::scan::{Scanner, unescaped};

/// Members from one mark to the next: a few kilobytes to read, and the marks stay a thousandth of the text.
pub(crate) const STRIDE: usize = 32;
/// How deep the values of the members lie within the signed part.
const DEPTH: usize = 2;

/// An object within a text in normal form.
#[derive(Clone)]
pub(crate) struct Listing {
    file: Arc<Vec<u8>>,
    marks: Marks,
}

/// Where a member stands within the text of all; of length 0 where it would stand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) length: usize,
}

/// A member that goes back or away: its key, what was said of it, and what is said now.
pub(crate) type Older<'a> = (Cow<'a, str>, &'a [u8], Option<&'a [u8]>);

/// Where the keys of an object stand, the first of every stride.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Marks {
    /// Positions of opening quotes.
    pub(crate) at: Vec<u32>,
    /// How many members the object has.
    pub(crate) count: u32,
}

impl Marks {
    /// Reads an object, and marks its keys.
    pub(crate) fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut marks = Self::default();
        scanner.members(DEPTH.saturating_sub(1), |scanner, key| {
            if usize::try_from(marks.count).ok()? % STRIDE == 0 {
                // Behind the key are its closing quote and a colon.
                let quote = scanner.at().checked_sub(key.len())?.checked_sub(3)?;
                marks.at.push(u32::try_from(quote).ok()?);
            }
            marks.count = marks.count.checked_add(1)?;
            scanner.value(DEPTH)
        })?;
        Some(marks)
    }
}

impl Listing {
    pub(crate) fn new(file: Arc<Vec<u8>>, marks: Marks) -> Self {
        Self { file, marks }
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.marks.count).unwrap_or(usize::MAX)
    }

    /// The value of a member, as it is written.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let not_after = |mark: &u32| self.key_at(*mark).is_some_and(|key| *key <= *name);
        let stride = self.marks.at.partition_point(not_after).checked_sub(1)?;
        let mut entries = self.entries_from(*self.marks.at.get(stride)?, STRIDE);
        entries.find(|(key, _)| **key >= *name).filter(|(key, _)| **key == *name).map(|(_, value)| value)
    }

    /// The first member whose key starts with `prefix`.
    pub(crate) fn first_with(&self, prefix: &str) -> Option<Cow<'_, str>> {
        let not_after = |mark: &u32| self.key_at(*mark).is_some_and(|key| *key <= *prefix);
        let stride = self.marks.at.partition_point(not_after).saturating_sub(1);
        // Where all keys of the stride come before it, it is the first of the next one.
        let entries = self.entries_from(*self.marks.at.get(stride)?, STRIDE.saturating_add(1));
        let mut keys = entries.map(|(key, _)| key);
        keys.find(|key| **key >= *prefix).filter(|key| key.starts_with(prefix))
    }

    /// The members as text, without the braces around them.
    pub(crate) fn text(&self) -> &str {
        let text = self.file.get(self.start()..self.end()).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }

    /// How long that is, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.end().saturating_sub(self.start())
    }

    fn start(&self) -> usize {
        self.marks.at.first().map_or(0, |&first| usize::try_from(first).unwrap_or(usize::MAX))
    }

    /// Where the last member ends.
    fn end(&self) -> usize {
        let last = self.marks.at.last().map(|&last| self.entries_from(last, STRIDE));
        last.and_then(|mut last| last.by_ref().last().map(|_| last.end)).unwrap_or(0)
    }

    /// Where a member is in [`Self::text`], or would be.
    pub(crate) fn place(&self, name: &str) -> Place {
        let Some(&first) = self.marks.at.first() else { return Place::default() };
        let not_after = |mark: &u32| self.key_at(*mark).is_some_and(|key| *key <= *name);
        let stride = self.marks.at.partition_point(not_after).saturating_sub(1);
        let mark = self.marks.at.get(stride).copied().unwrap_or(first);
        // Where all keys of the stride come before it, it is at the first of the next one.
        let mut entries = self.entries_from(mark, STRIDE.saturating_add(1));
        let within = |at: usize| at.saturating_sub(usize::try_from(first).unwrap_or(usize::MAX));
        let mut end = entries.end;
        while let Some((key, _)) = entries.next() {
            if *key >= *name {
                let length = if *key == *name { entries.end.saturating_sub(entries.start) } else { 0 };
                return Place { start: within(entries.start), length };
            }
            end = entries.end;
        }
        Place { start: within(end), length: 0 }
    }

    fn key_at(&self, mark: u32) -> Option<Cow<'_, str>> {
        let mut scanner = Scanner::new(&self.file, usize::try_from(mark).ok()?);
        unescaped(scanner.string()?)
    }

    /// All members in the order of their keys.
    pub(crate) fn entries(&self) -> Entries<'_> {
        match self.marks.at.first() {
            Some(&first) => self.entries_from(first, self.len()),
            None => self.entries_from(0, 0),
        }
    }

    fn entries_from(&self, mark: u32, left: usize) -> Entries<'_> {
        let at = usize::try_from(mark).unwrap_or(usize::MAX);
        Entries { text: &self.file, scanner: Scanner::new(&self.file, at), left, start: at, end: at }
    }

    /// The first member that goes back or away: its key, and what this and `next` say of it. `older`
    /// compares two values that are written differently.
    pub(crate) fn first_older<'a>(
        &'a self,
        next: &'a Self,
        mut older: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Option<Older<'a>> {
        let mut after = next.entries().peekable();
        self.entries().find_map(|(key, value)| {
            while after.next_if(|(other, _)| *other < key).is_some() {}
            match after.next_if(|(other, _)| *other == key) {
                Some((_, other)) if value == other || !older(value, other) => None,
                Some((_, other)) => Some((key, value, Some(other))),
                None => Some((key, value, None)),
            }
        })
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries().map(|(key, value)| (key, value.len()))).finish()
    }
}

/// Members in the order of their keys: key and value, as it is written.
pub(crate) struct Entries<'a> {
    text: &'a [u8],
    scanner: Scanner<'a>,
    left: usize,
    /// Of the member that came last.
    start: usize,
    end: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Cow<'a, str>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let start = self.scanner.at();
        let key = unescaped(self.scanner.string()?)?;
        self.scanner.take_spaced(b':')?;
        let value: Range<usize> = self.scanner.span(DEPTH)?;
        (self.start, self.end) = (start, value.end);
        if self.scanner.take_spaced(b',').is_none() {
            self.left = 0;
        }
        Some((key, self.text.get(value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    fn listing(members: &[(String, u64)]) -> Listing {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
        let text = format!("{{{}}}", members.join(","));
        let file = Arc::new(text.into_bytes());
        let marks = Marks::scan(&mut Scanner::new(&file, 0)).unwrap();
        Listing::new(file, marks)
    }

    fn numbered(count: u64) -> Vec<(String, u64)> {
        // One in ten has a character that is written escaped.
        (0..count)
            .map(|n| (format!("key {n:05}{}", if n % 10 == 0 { "\"" } else { "" }), n.saturating_mul(3)))
            .collect()
    }

    #[test]
    fn the_first_member_with_a_prefix_is_found_whichever_stride_it_is_in() {
        for count in [0, 1, 31, 32, 33, 65, 100] {
            let members = numbered(count);
            let listing = listing(&members);
            let whole = members.iter().map(|(key, _)| key.as_str());
            let halves = whole.clone().map(|key| key.get(..key.len().saturating_sub(1)).unwrap());
            for prefix in whole.clone().chain(halves).chain(["", "0", "zz"]) {
                let expected = whole.clone().find(|key| key.starts_with(prefix));
                assert_eq!(listing.first_with(prefix).as_deref(), expected, "{prefix} of {count}");
            }
            for (key, _) in &members {
                assert_eq!(listing.first_with(&format!("{key}x")), None);
            }
        }
    }

    #[test]
    fn every_member_is_found_and_nothing_else() {
        for count in [0, 1, 2, 31, 32, 33, 64, 65, 1000] {
            let members = numbered(count);
            let listing = listing(&members);
            assert_eq!(listing.len(), members.len());
            let keys: Vec<_> = listing.entries().map(|(key, _)| key).collect();
            assert!(keys.is_sorted() && keys.len() == members.len());
            for (key, value) in &members {
                assert_eq!(listing.get(key), Some(format!("{value}").as_bytes()), "{key} of {count}");
                assert_eq!(listing.get(&format!("{key}x")), None);
                assert_eq!(listing.get(key.get(..8).unwrap()), None);
            }
            assert_eq!((listing.get(""), listing.get("z")), (None, None));
        }
    }

    #[test]
    fn the_first_member_that_goes_back_or_away_is_named() {
        let (members, older) = (numbered(100), |a: &[u8], b: &[u8]| (b.len(), b) < (a.len(), a));
        let before = listing(&members);
        let mut more = members.clone();
        more.insert(0, ("a".into(), 1));
        more.push(("z".into(), 1));
        more[50].1 = 999_999;
        assert!(before.first_older(&listing(&more), older).is_none());
        let mut back = more.clone();
        back[50].1 = 1;
        let after = listing(&back);
        let (key, was, is) = before.first_older(&after, older).unwrap();
        assert_eq!((&*key, was, is), (members[49].0.as_str(), &b"147"[..], Some(&b"1"[..])));
        let mut away = more.clone();
        away.remove(100);
        let after = listing(&away);
        let (key, _, is) = before.first_older(&after, older).unwrap();
        assert_eq!((&*key, is), (members[99].0.as_str(), None));
        assert!(before.first_older(&listing(&[]), older).is_some());
    }
}

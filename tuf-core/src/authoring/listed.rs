//! A member that may list a hundred thousand things, kept as text: one of them is changed, and the others are
//! neither read nor copied one by one.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use serde_json::Value;

use crate::listing::{Listing, Place};

/// Members of a large object, each as text in normal form: those that were read, as they stood, and what
/// changed since.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) name: &'static str,
    read: Option<Listing>,
    /// What takes the place of a member, or comes to them; `None` for one that is gone.
    changed: BTreeMap<Arc<str>, Option<Box<str>>>,
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.members() == other.members()
    }
}

impl Listed {
    pub(super) fn of(name: &'static str, listing: Listing) -> Self {
        Self { name, read: Some(listing), changed: BTreeMap::new() }
    }

    /// A member as it was read, if it is a string of text.
    fn read(&self, key: &str) -> Option<&str> {
        core::str::from_utf8(self.read.as_ref()?.get(key)?).ok()
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        match self.changed.get(key) {
            Some(changed) => changed.as_deref(),
            None => self.read(key),
        }
    }

    pub(super) fn set(&mut self, key: Arc<str>, text: String) {
        self.changed.insert(key, Some(text.into()));
    }

    /// Says whether it was there.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let was = self.get(key).is_some();
        match self.read(key) {
            Some(_) => self.changed.insert(key.into(), None),
            None => self.changed.remove(key),
        };
        was
    }

    pub(super) fn clear(&mut self) {
        (self.read, self.changed) = (None, BTreeMap::new());
    }

    pub(super) fn members(&self) -> BTreeMap<Cow<'_, str>, &str> {
        let entries = self.read.iter().flat_map(Listing::entries);
        let mut all: BTreeMap<_, _> =
            entries.filter_map(|(key, text)| Some((key, core::str::from_utf8(text).ok()?))).collect();
        for (key, text) in &self.changed {
            match text {
                Some(text) => all.insert(Cow::Borrowed(&**key), text),
                None => all.remove(&**key),
            };
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        let mut count = self.read.as_ref().map_or(0, Listing::len);
        for (key, text) in &self.changed {
            count = match (text.is_some(), self.read(key).is_some()) {
                (true, false) => count.saturating_add(1),
                (false, true) => count.saturating_sub(1),
                _ => count,
            };
        }
        count
    }

    /// About how long its text is.
    pub(super) fn size(&self) -> usize {
        let lengths = self.changed.iter().map(|(key, text)| {
            key.len().saturating_add(text.as_ref().map_or(0, |text| text.len())).saturating_add(4)
        });
        let read = self.read.as_ref().map_or(0, Listing::size);
        lengths.fold(read.saturating_add(4096), usize::saturating_add)
    }

    /// Writes the object: what was read in large pieces, up to each change.
    pub(super) fn write(&self, out: &mut String) {
        let mut separator = '{';
        let mut piece = |out: &mut String, text: &str| {
            let text = text.trim_matches(',');
            if !text.is_empty() {
                out.push(core::mem::replace(&mut separator, ','));
                out.push_str(text);
            }
        };
        let mut left = self.read.as_ref().map_or("", Listing::text);
        // How much of the text that was read is before `left`.
        let mut passed = 0_usize;
        for (key, text) in &self.changed {
            let place = self.read.as_ref().map_or(Place::default(), |listing| listing.place(key));
            let (before, rest) =
                left.split_at_checked(place.start.saturating_sub(passed)).unwrap_or((left, ""));
            let (_, after) = rest.split_at_checked(place.length).unwrap_or(("", ""));
            piece(out, before);
            if let Some(text) = text {
                let mut member =
                    String::with_capacity(key.len().saturating_add(text.len()).saturating_add(3));
                quoted(&mut member, key);
                member.push(':');
                member.push_str(text);
                piece(out, &member);
            }
            passed = place.start.saturating_add(place.length);
            left = after;
        }
        piece(out, left);
        out.push_str(if separator == '{' { "{}" } else { "}" });
    }
}

/// A string as JSON writes it.
pub(super) fn quoted(out: &mut String, text: &str) {
    // Looked at to its end, which goes sixteen bytes at a time.
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if !text.bytes().fold(false, |found, byte| found | special(byte)) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned as _;
    use alloc::format;
    use alloc::string::String;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use crate::listing::Marks;
    use crate::scan::Scanner;

    fn listed(members: &BTreeMap<String, String>) -> Listed {
        let mut text = String::from("[");
        write(&mut text, members);
        text.push(']');
        let file = Arc::new(text.into_bytes());
        let marks = Marks::scan(&mut Scanner::new(&file, 1)).unwrap();
        Listed::of("targets", Listing::new(file, marks))
    }

    fn write(out: &mut String, members: &BTreeMap<String, String>) {
        let members: Vec<_> = members
            .iter()
            .map(|(key, text)| {
                let mut member = String::new();
                quoted(&mut member, key);
                format!("{member}:{text}")
            })
            .collect();
        out.push_str(&format!("{{{}}}", members.join(",")));
    }

    #[test]
    fn whatever_changes_it_is_written_as_a_map_would_be() {
        let mut number = 1_u32;
        let mut chance = |below: u32| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (number >> 8) % below
        };
        for round in 0..400_u32 {
            let count = [0, 1, 2, 31, 32, 33, 64, 100][usize::try_from(round % 8).unwrap()];
            let key =
                |number: u32| format!("k{number:03}{}", ["", "\"", "\\", "é", ","][number as usize % 5]);
            let mut all: BTreeMap<String, String> =
                (0..count).map(|number| (key(number * 2), format!("{{\"a\":{number}}}"))).collect();
            let mut listed = listed(&all);
            for step in 0..chance(12) {
                let key = key(chance(count * 2 + 4));
                if chance(3) == 0 {
                    assert_eq!(listed.remove(&key), all.remove(&key).is_some(), "{key}");
                } else {
                    let text = format!("{{\"b\":{step}}}");
                    listed.set(key.as_str().into(), text.clone());
                    all.insert(key, text);
                }
            }
            let (mut expected, mut got) = (String::new(), String::new());
            write(&mut expected, &all);
            listed.write(&mut got);
            assert_eq!(got, expected, "round {round}");
            assert!(got.len() <= listed.size());
            assert_eq!(listed.len(), all.len());
            for (key, text) in &all {
                assert_eq!(listed.get(key), Some(text.as_str()));
            }
            let members: Vec<_> =
                listed.members().into_iter().map(|(key, text)| (key.into_owned(), text.to_owned())).collect();
            assert_eq!(members, all.into_iter().collect::<Vec<_>>());
        }
    }
}

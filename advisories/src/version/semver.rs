//! Semantic Versioning 2.0.0, read as Go, npm and Cargo write it: `v1.2`, `go1.21rc2`, numbers of any size.

use std::cmp::Ordering;

use super::{Unreadable, front, is_digit, numbers, parts, split_at_byte};

#[derive(Clone, Debug)]
pub(crate) struct Semver<'a> {
    core: [&'a str; 3],
    pre: Vec<&'a str>,
}

impl<'a> Semver<'a> {
    /// Reads a version.
    ///
    /// # Errors
    /// When it doesn't begin with a number.
    pub(super) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let unreadable = || Unreadable::new("a semantic version, MAJOR.MINOR.PATCH[-PRE]", text);
        let bare = text.trim_start_matches(['v', 'V', '=']);
        let (bare, of_go) = match bare.strip_prefix("go") {
            Some(bare) => (bare, true),
            None => (bare, false),
        };
        let bare = split_at_byte(bare, b'+').map_or(bare, |(bare, _)| bare);
        let (numbers, pre) = match split_at_byte(bare, b'-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (bare, None),
        };
        let mut core = ["0"; 3];
        let mut pre: Vec<&str> = pre.map(|pre| pre.split('.').collect()).unwrap_or_default();
        // What is beyond the third part says nothing, as in npm's loose form.
        let mut left = Some(numbers);
        for slot in &mut core {
            let Some(part) = left else { break };
            let (mut rest, behind) = match split_at_byte(part, b'.') {
                Some((part, behind)) => (part, Some(behind)),
                None => (part, None),
            };
            left = behind;
            let digits = front(&mut rest, is_digit);
            if digits.is_empty() {
                return Err(unreadable());
            }
            *slot = digits;
            if rest.is_empty() {
                continue;
            }
            // Go's own: `go1.21rc2` is before `go1.21.0`.
            if !of_go {
                return Err(unreadable());
            }
            pre = vec![front(&mut rest, |c| !is_digit(c)), rest];
            break;
        }
        Ok(Self { core, pre })
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let core = || self.core.iter().zip(&other.core).map(|(a, b)| numbers(a, b));
        let pre = || match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => parts(&self.pre, &other.pre, |a, b| identifier(a, b), |_| Ordering::Greater),
        };
        core().find(|order| order.is_ne()).unwrap_or_else(pre)
    }

    /// Whether it is `v0.0.0-DATE-COMMIT`, Go's name for a commit before which there is no tag that Go knows of.
    pub(crate) fn is_untagged_commit(&self) -> bool {
        self.core.iter().all(|part| part.chars().all(|c| c == '0')) && self.ends_in_commit()
    }

    /// A date of 14 digits and a commit of 12.
    fn ends_in_commit(&self) -> bool {
        let Some((date, commit)) = self.pre.last().and_then(|last| last.rsplit_once('-')) else {
            return false;
        };
        date.len() == 14
            && date.chars().all(is_digit)
            && commit.len() == 12
            && commit.chars().all(|c| c.is_ascii_hexdigit())
    }
}

/// Numbers below words.
fn identifier(a: &str, b: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(is_digit);
    match (is_number(a), is_number(b)) {
        (true, true) => numbers(a, b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

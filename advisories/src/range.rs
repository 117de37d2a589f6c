//! Whether a version is affected: the evaluation of the OSV schema.
//!
//! It is if it is listed, or if it is in a range. In a range, events are weighed in the order of versions; `limit`
//! only bounds from above.

use std::cmp::Ordering;

use crate::format::{Entry, Event, Ranges};
use crate::version::{Order, Unreadable, Version};

/// What an advisory says of a version that it doesn't call unaffected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Judgement<'a> {
    /// And the next version that isn't, where there is one.
    Affected(Option<&'a str>),
    /// It can't be told, and why.
    Unknown(String),
}

/// Weighs a version; `None` where it is unaffected.
pub(crate) fn judge<'a>(
    order: Order,
    version: &Version<'_>,
    text: &str,
    entry: &Entry<&'a str>,
) -> Option<Judgement<'a>> {
    let is_listed = || entry.versions.iter().any(|listed| *listed == text || same(order, version, listed));
    let next = || next_fix(order, version, &entry.ranges);
    match in_ranges(order, version, &entry.ranges) {
        Some(Judgement::Affected(fixed)) => Some(Judgement::Affected(fixed.or_else(next))),
        _ if is_listed() => Some(Judgement::Affected(next())),
        judgement => judgement,
    }
}

/// The versions that are listed and in no range: most advisories of languages list every version that was ever
/// published besides, and each would be compared with the one that is asked for.
pub(crate) fn only_listed<'a>(order: Order, listed: &'a [String], ranges: &Ranges<&str>) -> Vec<&'a str> {
    // What equals a version that is listed is where that is in a range; but a local version may be a bound of its own.
    let is_local = |event: &Event<&str>| order == Order::Pep440 && event.version().contains('+');
    let has_local = ranges.events.iter().any(is_local);
    let is_in_range = |listed: &str| {
        let version = Version::parse(order, listed);
        version.is_ok_and(|one| matches!(in_ranges(order, &one, ranges), Some(Judgement::Affected(_))))
    };
    let listed = listed.iter().map(String::as_str);
    listed.filter(|listed| has_local || !is_in_range(listed)).collect()
}

fn in_ranges<'a>(order: Order, version: &Version<'_>, ranges: &Ranges<&'a str>) -> Option<Judgement<'a>> {
    let mut unknown = None;
    let mut affected: Option<Option<&str>> = None;
    for range in ranges.iter() {
        match in_range(order, version, range) {
            Some(Judgement::Affected(fixed)) => affected = Some(affected.flatten().or(fixed)),
            Some(Judgement::Unknown(why)) => unknown = Some(why),
            None => (),
        }
    }
    match (affected, unknown) {
        (Some(fixed), _) => Some(Judgement::Affected(fixed)),
        (None, why) => why.map(Judgement::Unknown),
    }
}

fn same(order: Order, version: &Version<'_>, listed: &str) -> bool {
    // Distributions and semantic versions have one spelling; Python's have several.
    order == Order::Pep440
        && Version::parse(order, listed).is_ok_and(|listed| version.against(&listed) == Some(Ordering::Equal))
}

/// An event, its version, and where the one that is asked for stands to it. "0" is below every version, and `None`.
struct Bound<'a> {
    version: Option<Version<'a>>,
    place: Ordering,
    text: &'a str,
}

impl<'a> Bound<'a> {
    fn of(order: Order, version: &Version<'_>, text: &'a str) -> Result<Self, Unreadable> {
        if text == "0" {
            return Ok(Self { version: None, place: Ordering::Greater, text });
        }
        let bound = Version::parse(order, text)?;
        let place = version.against(&bound).unwrap_or(Ordering::Less);
        Ok(Self { version: Some(bound), place, text })
    }

    /// By version; where they are equal, the later of a range stands behind.
    fn is_behind(&self, other: &Self) -> bool {
        match (&self.version, &other.version) {
            (Some(a), Some(b)) => a.compare(b).unwrap_or(Ordering::Equal).is_ge(),
            (a, b) => a.is_some() >= b.is_some(),
        }
    }
}

/// The last event that the version has passed decides; the first fix that it has not is the next.
fn in_range<'a>(order: Order, version: &Version<'_>, range: &[Event<&'a str>]) -> Option<Judgement<'a>> {
    let is_commit = is_untagged(version);
    let mut by_tags = false;
    let (mut limits, mut below_limit) = (false, false);
    let mut last: Option<(Bound<'_>, bool)> = None;
    let mut fix: Option<Bound<'_>> = None;
    for event in range {
        let bound = match Bound::of(order, version, event.version()) {
            Ok(bound) => bound,
            Err(error) => return Some(Judgement::Unknown(format!("a bound of the advisory: {error}"))),
        };
        by_tags = by_tags || is_commit && bound.version.as_ref().is_some_and(|bound| !is_untagged(bound));
        let (is_passed, affects) = match event {
            Event::Introduced(_) => (bound.place.is_ge(), true),
            Event::Fixed(_) => (bound.place.is_ge(), false),
            Event::LastAffected(_) => (bound.place.is_gt(), false),
            Event::Limit(_) => {
                (limits, below_limit) = (true, below_limit || bound.place.is_lt());
                continue;
            }
        };
        if is_passed {
            if last.as_ref().is_none_or(|(last, _)| bound.is_behind(last)) {
                last = Some((bound, affects));
            }
        } else if is_fix(event) && fix.as_ref().is_none_or(|fix| !bound.is_behind(fix)) {
            fix = Some(bound);
        }
    }
    if by_tags {
        let why = "a commit, which can't be compared with the versions of the advisory";
        return Some(Judgement::Unknown(why.to_owned()));
    }
    match last {
        Some((_, true)) if !limits || below_limit => Some(Judgement::Affected(fix.map(|fix| fix.text))),
        _ => None,
    }
}

/// `v0.0.0-DATE-COMMIT` says nothing of the tags of a module: where an advisory bounds by those, it can't be told.
fn is_untagged(version: &Version<'_>) -> bool {
    version.as_semver().is_some_and(|one| one.is_untagged_commit())
}

/// The nearest fix above, of any range: for a version that is only listed.
fn next_fix<'a>(order: Order, version: &Version<'_>, ranges: &Ranges<&'a str>) -> Option<&'a str> {
    let mut nearest: Option<(Version<'_>, &str)> = None;
    for event in ranges.events.iter().filter(|event| is_fix(event)) {
        let Ok(fix) = Version::parse(order, event.version()) else { continue };
        let above = version.against(&fix) == Some(Ordering::Less);
        let nearer = nearest.as_ref().is_none_or(|(near, _)| fix.compare(near) == Some(Ordering::Less));
        if above && nearer {
            nearest = Some((fix, event.version()));
        }
    }
    nearest.map(|(_, text)| text)
}

fn is_fix<S>(event: &Event<S>) -> bool {
    matches!(event, Event::Fixed(_))
}

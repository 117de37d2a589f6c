//! Whether a version is affected: the evaluation of the OSV schema.
//!
//! It is if it is listed, or if it is in a range. In a range, events are weighed in the order of versions; `limit`
//! only bounds from above.

use std::cmp::Ordering;

use crate::format::{Entry, Event};
use crate::version::{Order, Version};

/// What an advisory says of a version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Judgement {
    Unaffected,
    /// And the next version that isn't, where there is one.
    Affected(Option<String>),
    /// It can't be told, and why.
    Unknown(String),
}

/// Weighs a version.
pub(crate) fn judge(order: Order, version: &Version<'_>, text: &str, entry: &Entry) -> Judgement {
    let listed = entry.versions.iter().any(|listed| listed == text || same(order, version, listed));
    let mut unknown = None;
    let mut affected = listed.then_some(None);
    for range in &entry.ranges {
        match in_range(order, version, range) {
            Judgement::Affected(fixed) => {
                affected = Some(affected.flatten().or(fixed));
            }
            Judgement::Unknown(why) => unknown = Some(why),
            Judgement::Unaffected => (),
        }
    }
    match (affected, unknown) {
        (Some(fixed), _) => Judgement::Affected(fixed.or_else(|| next_fix(order, version, &entry.ranges))),
        (None, Some(why)) => Judgement::Unknown(why),
        (None, None) => Judgement::Unaffected,
    }
}

fn same(order: Order, version: &Version<'_>, listed: &str) -> bool {
    // Distributions and semantic versions have one spelling; Python's have several.
    order == Order::Pep440
        && Version::parse(order, listed).is_ok_and(|listed| version.against(&listed) == Some(Ordering::Equal))
}

/// An event with its version; `None` is "0", which is below every version.
type Bound<'a> = (Option<Version<'a>>, &'a Event);

fn in_range(order: Order, version: &Version<'_>, range: &[Event]) -> Judgement {
    let mut bounds: Vec<Bound<'_>> = Vec::new();
    for event in range {
        let text = event.version();
        match (text, Version::parse(order, text)) {
            ("0", _) => bounds.push((None, event)),
            (_, Ok(version)) => bounds.push((Some(version), event)),
            (_, Err(error)) => return Judgement::Unknown(format!("a bound of the advisory: {error}")),
        }
    }
    if let Some(why) = incomparable(version, &bounds) {
        return Judgement::Unknown(why.to_owned());
    }
    bounds.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.compare(b).unwrap_or(Ordering::Equal),
        (a, b) => a.is_some().cmp(&b.is_some()),
    });
    let mut limits = bounds.iter().filter(|(_, event)| matches!(event, Event::Limit(_))).peekable();
    if limits.peek().is_some() && !limits.any(|bound| place(version, bound) == Ordering::Less) {
        return Judgement::Unaffected;
    }
    let mut affected = false;
    for bound in &bounds {
        let place = place(version, bound);
        match bound.1 {
            Event::Introduced(_) if place.is_ge() => affected = true,
            Event::Fixed(_) if place.is_ge() => affected = false,
            Event::LastAffected(_) if place.is_gt() => affected = false,
            _ => (),
        }
    }
    let fix = || {
        let fixes = bounds.iter().find(|bound| is_fix(bound.1) && place(version, bound).is_lt());
        fixes.map(|(_, event)| event.version().to_owned())
    };
    if affected { Judgement::Affected(fix()) } else { Judgement::Unaffected }
}

fn place(version: &Version<'_>, (bound, _): &Bound<'_>) -> Ordering {
    match bound {
        Some(bound) => version.against(bound).unwrap_or(Ordering::Less),
        None => Ordering::Greater,
    }
}

/// `v0.0.0-DATE-COMMIT` says nothing of the tags of a module: where an advisory bounds by those, it can't be told.
fn incomparable(version: &Version<'_>, bounds: &[Bound<'_>]) -> Option<&'static str> {
    let untagged = |version: &Version<'_>| version.as_semver().is_some_and(|one| one.is_untagged_commit());
    let by_tags = bounds.iter().any(|(bound, _)| bound.as_ref().is_some_and(|bound| !untagged(bound)));
    (untagged(version) && by_tags)
        .then_some("a commit, which can't be compared with the versions of the advisory")
}

/// The nearest fix above, of any range: for a version that is only listed.
fn next_fix(order: Order, version: &Version<'_>, ranges: &[Vec<Event>]) -> Option<String> {
    let mut nearest: Option<(Version<'_>, &str)> = None;
    for event in ranges.iter().flatten().filter(|event| is_fix(event)) {
        let Ok(fix) = Version::parse(order, event.version()) else { continue };
        let above = version.against(&fix) == Some(Ordering::Less);
        let nearer = nearest.as_ref().is_none_or(|(near, _)| fix.compare(near) == Some(Ordering::Less));
        if above && nearer {
            nearest = Some((fix, event.version()));
        }
    }
    nearest.map(|(_, text)| text.to_owned())
}

fn is_fix(event: &Event) -> bool {
    matches!(event, Event::Fixed(_))
}

impl Event {
    pub(crate) fn version(&self) -> &str {
        match self {
            Self::Introduced(text) | Self::Fixed(text) | Self::LastAffected(text) | Self::Limit(text) => text,
        }
    }
}

//! The smallest rule that would admit an image: for whoever finds it blocked, a place to begin.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use oci_image::Reference;

use crate::decide::{Outcome, decide};
use crate::demands::source_name;
use crate::facts::Entry;
use crate::learn::of_one;
use crate::pattern::canonical;
use crate::policy::{Choice, Denial, Policy, Scope, Severity};
use crate::weigh::{Failing, Member, Outside};

/// How many demands are relaxed one after the other: more than a scope has.
const STEPS_MAX: usize = 40;

/// The scope that would admit an image that rules block, when it comes before all others: for its repository alone,
/// with everything that is demanded now and that it meets. None where no rule would, since its chain doesn't hold.
#[must_use]
pub fn smallest_rule(policy: &Policy, entry: &Entry, outside: &dyn Outside) -> Option<Scope> {
    let meant = entry.meant(policy).ok()?;
    let mut scope = match policy.choose(&meant) {
        Choice::Admits(scope) | Choice::Denies { scope: Some(scope), why: Denial::Tag } => {
            exact(scope, &meant)
        }
        Choice::Denies { .. } => match entry.facts() {
            Some(facts) => of_one(facts, &meant)?,
            None => exact(&Scope::default(), &meant),
        },
    };
    scope.name = unused_name(policy, &scope.patterns);
    with_tag(&mut scope, &meant);
    for _ in 0..STEPS_MAX {
        let alone = Policy { scopes: vec![scope.clone()], mirrors: policy.mirrors.clone() };
        let decision = decide(&alone, entry, outside);
        if matches!(decision.outcome, Outcome::Admitted | Outcome::ByName) {
            return Some(scope);
        }
        let Failing { member, .. } = decision.failing.iter().find(|one| !one.unknown)?;
        scope = relaxed(&scope, *member, entry, policy, outside)?;
    }
    None
}

fn exact(scope: &Scope, name: &Reference) -> Scope {
    let pattern = canonical(name.name());
    Scope { patterns: vec![pattern], deny: None, line: 0, ..scope.clone() }
}

fn unused_name(policy: &Policy, patterns: &[String]) -> String {
    let base = patterns.first().cloned().unwrap_or_default();
    let numbered = (2_usize..).map(|number| format!("{base} ({number})"));
    let free = |name: &String| policy.scopes.iter().all(|scope| scope.name != *name);
    std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or_default()
}

/// Lets the tag through, beside those that may be used anyway.
fn with_tag(scope: &mut Scope, name: &Reference) {
    let Some(tag) = name.tag() else { return };
    let fits = |pattern: &String| tuf_core::PathPattern::new(pattern).matches(tag.as_str());
    scope.tags.deny.retain(|pattern| !fits(pattern));
    if !scope.tags.allow.is_empty() && !scope.tags.allow.iter().any(fits) {
        scope.tags.allow.push(tag.as_str().to_owned());
    }
}

type Change<'a> = Box<dyn Fn(&mut Scope) + 'a>;

/// The scope with as little changed as lets one demand be met: one change, or else two, and so on.
fn relaxed(
    scope: &Scope,
    member: Member,
    entry: &Entry,
    policy: &Policy,
    outside: &dyn Outside,
) -> Option<Scope> {
    let changes = changes(scope, member, entry)?;
    let mut sets: Vec<u32> = (1..1_u32.checked_shl(u32::try_from(changes.len()).ok()?)?).collect();
    sets.sort_by_key(|set| (set.count_ones(), *set));
    let still_fails = |scope: &Scope| {
        let alone = Policy { scopes: vec![scope.clone()], mirrors: policy.mirrors.clone() };
        decide(&alone, entry, outside).failing.iter().any(|one| one.member == member)
    };
    for set in sets {
        let mut changed = scope.clone();
        for (number, change) in changes.iter().enumerate() {
            if set.checked_shr(u32::try_from(number).ok()?)? & 1 == 1 {
                change(&mut changed);
            }
        }
        // Entries behind one that was left out have another number.
        let left_out = changed.evidence.len() < scope.evidence.len();
        if left_out || !still_fails(&changed) {
            return Some(changed);
        }
    }
    None
}

/// What could be changed of one demand, the least first.
fn changes<'a>(scope: &'a Scope, member: Member, entry: &'a Entry) -> Option<Vec<Change<'a>>> {
    let facts = entry.facts()?;
    let mut changes: Vec<Change<'a>> = Vec::new();
    match member {
        Member::Chain => return None,
        Member::Roles => {
            let role = facts.role.as_ref()?;
            let all: BTreeSet<&String> = facts.delegation_path.iter().chain([role]).collect();
            changes.push(Box::new(move |scope| {
                let missing = all.iter().filter(|one| !scope.roles.contains(one));
                let missing: Vec<_> = missing.map(|one| (*one).clone()).collect();
                scope.roles.extend(missing);
            }));
        }
        Member::Signers => {
            let demand = scope.signers.as_ref()?;
            // One less, two less, and so on; then those who did sign; then nobody.
            if demand.fresh {
                changes.push(Box::new(|scope| {
                    if let Some(signers) = &mut scope.signers {
                        signers.fresh = false;
                    }
                }));
            }
            let fewer = (1..demand.at_least.get()).rev().take(8).filter_map(NonZeroU32::new);
            for fewer in fewer {
                changes.push(Box::new(move |scope| {
                    if let Some(signers) = &mut scope.signers {
                        signers.at_least = fewer;
                    }
                }));
            }
            let name: Reference = facts.name.parse().ok()?;
            let seen = of_one(facts, &name).and_then(|seen| seen.signers);
            if let Some(seen) = seen.filter(|_| demand.predicate.is_none()) {
                changes.push(Box::new(move |scope| scope.signers = Some(seen.clone())));
            }
            changes.push(Box::new(|scope| scope.signers = None));
        }
        Member::Build => {
            changes.push(Box::new(|scope| {
                if let Some(build) = &mut scope.build {
                    build.deny_unexpected_parameters = false;
                }
            }));
            let builds = facts.evidence.iter().filter_map(|piece| piece.build.as_ref()?.source.as_deref());
            changes.push(Box::new(move |scope| {
                if let Some(build) = scope.build.as_mut().filter(|build| !build.sources.is_empty()) {
                    build.sources.extend(builds.clone().map(|source| source_name(source).to_owned()));
                }
            }));
            changes.push(Box::new(|scope| {
                if let Some(build) = &mut scope.build {
                    build.min_level = 0;
                }
            }));
            changes.push(Box::new(|scope| scope.build = None));
        }
        Member::Evidence(which) => {
            let of = move |scope: &mut Scope, change: &dyn Fn(&mut crate::Attested)| {
                if let Some(one) = scope.evidence.get_mut(which) {
                    change(one);
                }
            };
            let one = scope.evidence.get(which)?;
            let named = !one.keys.is_empty() || !one.identities.is_empty() || !one.verifiers.is_empty();
            if one.fresh && named {
                changes.push(Box::new(move |scope| of(scope, &|one| one.fresh = false)));
            }
            if one.verifiers.is_empty() {
                changes.push(Box::new(move |scope| of(scope, &|one| one.max_age = None)));
            }
            changes.push(Box::new(move |scope| of(scope, &|one| one.levels.clear())));
            changes.push(Box::new(move |scope| of(scope, &|one| one.at_least = NonZeroU32::MIN)));
            changes.push(Box::new(move |scope| {
                if which < scope.evidence.len() {
                    scope.evidence.remove(which);
                }
            }));
        }
        Member::Scan => scan_changes(&mut changes),
        Member::Condition => changes.push(Box::new(|scope| scope.condition = None)),
    }
    Some(changes)
}

fn scan_changes(changes: &mut Vec<Change<'_>>) {
    let mut change = |of: fn(&mut crate::Scan)| {
        changes.push(Box::new(move |scope| {
            if let Some(scan) = &mut scope.scan {
                of(scan);
            }
        }));
    };
    change(|scan| scan.fixable_only = scan.fail_on.is_some());
    change(|scan| scan.fail_on = scan.fail_on.map(|_| Severity::High));
    change(|scan| scan.fail_on = scan.fail_on.map(|_| Severity::Critical));
    change(|scan| scan.fail_on_exploited = false);
    change(|scan| scan.fail_on_gaps = false);
    change(|scan| scan.max_db_age = None);
    change(|scan| (scan.fail_on, scan.fixable_only) = (None, false));
}

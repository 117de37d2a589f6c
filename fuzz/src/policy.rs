//! Rules, and a name in the first line. What is read chooses the same way twice, and a name that is admitted is one that a
//! pattern of its scope fits, and that no scope before it fits.

use image_policy::{Choice, Policy, canonical, covers};
use oci_image::Reference;

/// Reads rules and asks them.
pub fn run(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (name, rules) = text.split_once('\n').unwrap_or(("", text));
    let Ok(policy) = Policy::parse(rules) else { return false };
    let Ok(name) = name.parse::<Reference>() else { return true };
    let meant = policy.stands_for(&name).ok().flatten().unwrap_or(name);
    let choice = policy.choose(&meant);
    assert_eq!(choice, policy.choose(&meant));
    let fits = |patterns: &[String]| patterns.iter().any(|one| covers(one, &canonical(meant.name())));
    if let Choice::Admits(scope) = choice {
        assert!(fits(&scope.patterns) && scope.deny.is_none());
        let before = policy.scopes.iter().take_while(|one| one.name != scope.name);
        assert!(before.into_iter().all(|one| !fits(&one.patterns)));
    }
    true
}

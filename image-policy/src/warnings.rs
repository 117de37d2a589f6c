//! What is no mistake of form, and hardly what its writer means.

use chrono::{DateTime, Utc};

use crate::condition::Condition;
use crate::pattern::covers_all_of;
use crate::policy::{Policy, Scope};
use crate::problem::Problem;

impl Policy {
    /// Scopes that can never decide, since an earlier one fits all their names; findings that nobody answers for any
    /// more; conditions about signatures of which none will be seen.
    #[must_use]
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut warn = |scope: &Scope, what: String| {
            warnings.push(Problem { line: scope.line, column: 1, what });
        };
        let mut earlier: Vec<&Scope> = Vec::new();
        for scope in &self.scopes {
            let by = |pattern: &String| {
                earlier.iter().find(|one| one.patterns.iter().any(|first| covers_all_of(first, pattern)))
            };
            let hidden: Option<Vec<_>> = scope.patterns.iter().map(by).collect();
            if let Some([first, ..]) = hidden.as_deref() {
                let what =
                    format!("scope {:?} never decides: scope {:?} comes first", scope.name, first.name);
                warn(scope, what);
            }
            for ignore in scope.scan.iter().flat_map(|scan| &scan.ignore) {
                if ignore.expires <= now {
                    let what = format!("scope {:?}: {} is no longer ignored", scope.name, ignore.id);
                    warn(scope, what);
                }
            }
            let asks = scope.condition.as_ref().is_some_and(Condition::looks_at_evidence);
            let notation = scope.signers.as_ref().is_some_and(|signers| signers.notation_policy.is_some());
            if asks && !notation && scope.key_files().is_empty() && scope.keyless().is_empty() {
                let what = format!(
                    "scope {:?}: its condition looks at signatures, and the scope names nobody whose count",
                    scope.name
                );
                warn(scope, what);
            }
            earlier.push(scope);
        }
        warnings
    }
}

//! From components to findings: what is looked up, and what there was nothing to look up in.

use std::collections::BTreeMap;

use crate::ecosystem;
use crate::report::{Coverage, CoverageStatus, Report};

impl Report {
    /// Says of every ecosystem that nothing was looked up, because there is no database.
    #[must_use]
    pub fn without_database(mut self) -> Self {
        let mut counts = BTreeMap::new();
        for component in &self.components {
            let count: &mut usize = counts.entry(component.kind).or_default();
            *count = count.saturating_add(1);
        }
        let coverage = |(kind, components)| Coverage {
            ecosystem: ecosystem::name(kind, self.os.as_ref()),
            kind,
            components,
            status: CoverageStatus::NoDatabase,
            why: Some("no database of advisories was given".to_owned()),
        };
        self.coverage = counts.into_iter().map(coverage).collect();
        self
    }
}

//! The answer of `signer serve`, when it ends.

use serde::{Deserialize, Serialize};

use super::Report;

/// What the service did.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// The version of this report.
    pub version: u32,
    /// How often it looked at the repository.
    pub checks: u64,
    /// How often it renewed something.
    pub refreshes: u64,
    /// How often a look failed.
    pub failures: u64,
}

impl Report for Served {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn text(&self) -> String {
        let Self { checks, refreshes, failures, .. } = self;
        format!("looked {checks} times, renewed {refreshes} times, failed {failures} times")
    }
}

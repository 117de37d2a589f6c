//! A call that is wrong: nothing was asked of anybody, and there is no verdict.

use serde::Serialize;

/// Why a call can't be answered. Schema: `docs/schema/bad-call.json`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[error("{error}")]
pub struct BadCall {
    /// The version of this form. It grows only by new members.
    pub version: u32,
    /// What was expected, and what came.
    pub error: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl BadCall {
    /// That this is wrong.
    #[must_use]
    pub fn new(error: impl Into<String>) -> Self {
        Self { version: 1, error: error.into(), hint: None }
    }

    /// The same, with advice.
    #[must_use]
    pub fn hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }
}

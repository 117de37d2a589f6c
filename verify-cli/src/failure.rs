//! What ends a command early: the error states, the hint advises.

use crate::exit::Exit;
use crate::style::{Style, say};

/// Why a command gave no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn usage(what: impl ToString) -> Self {
        Self { exit: Exit::Usage, what: what.to_string(), hint: None }
    }

    pub(crate) fn refused(what: impl ToString) -> Self {
        Self { exit: Exit::Refused, what: what.to_string(), hint: None }
    }

    pub(crate) fn unknown(what: impl ToString) -> Self {
        Self { exit: Exit::Unknown, what: what.to_string(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn print(&self) {
        let style = Style::stderr();
        say!("{}: {}", style.bad("error"), self.what);
        if let Some(hint) = &self.hint {
            say!("{}: {hint}", style.faint("hint"));
        }
    }
}

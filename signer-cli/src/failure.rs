//! What ends a command early. The error states, the details show, the hint advises.

use std::fmt::{Display, Write as _};
use std::io;
use std::path::Path;

use publish_store::{Store, StoreError};

use crate::exit::Exit;
use crate::terminal;

/// Why a command did nothing. A failure never means that something was done halfway.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn refused(what: impl Display) -> Self {
        Self::new(Exit::Refused, what)
    }

    pub(crate) fn usage(what: impl Display) -> Self {
        Self::new(Exit::Usage, what)
    }

    pub(crate) fn unknown(what: impl Display) -> Self {
        Self::new(Exit::Unknown, what)
    }

    /// The disk said no.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::unknown(format!("{}: {error}", path.display()))
    }

    /// The place where the repository is published said no.
    pub(crate) fn of_store(store: &dyn Store, error: &StoreError) -> Self {
        let what = format!("{} can't be used", store.describe());
        match error {
            StoreError::Moved => Self::refused("another publisher was faster, again and again")
                .detail("nothing was changed; what was staged still is")
                .hint("try again"),
            StoreError::Taken { .. } | StoreError::TooLarge { .. } | StoreError::Malformed { .. } => {
                Self::refused(what).detail(error)
            }
            StoreError::Unsafe { .. } => Self::refused(what).detail(error).hint(
                "two publishers would lose each other's changes there: use a store with conditional writes",
            ),
            _ => Self::unknown(what).detail(error),
        }
    }

    /// What was named is not there: a wrong call.
    pub(crate) fn into_usage(self) -> Self {
        Self { exit: Exit::Usage, ..self }
    }

    pub(crate) fn detail(mut self, detail: impl Display) -> Self {
        self.details.push(detail.to_string());
        self
    }

    pub(crate) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details.extend(details);
        self
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// All of it on one line, for a log.
    pub(crate) fn line(&self) -> String {
        let mut text = self.what.clone();
        for detail in &self.details {
            let _ = write!(text, ": {detail}");
        }
        terminal::shown(&text).replace('\n', " ")
    }

    pub(crate) fn print(&self, colour: bool) {
        let mut text = format!("{}: {}", terminal::bad("error", colour), terminal::shown(&self.what));
        for detail in &self.details {
            // Writing into a String can't fail.
            let _ = write!(text, "\n  {}", terminal::shown(detail));
        }
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\nhint: {hint}");
        }
        eprintln!("{text}");
    }

    fn new(exit: Exit, what: impl Display) -> Self {
        Self { exit, what: what.to_string(), details: Vec::new(), hint: None }
    }
}

//! What ends a command early. The error states, the details show, the hint advises.

use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind};
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
        move |error| {
            // What the system said, without the name of a file that was only to become this one.
            let said = error.to_string();
            let said = said.split(" at path ").next().unwrap_or_default();
            Self::unknown(format!("{}: {said}", path.display())).hint_of_disk(error.kind())
        }
    }

    /// What helps where a disk said no.
    fn hint_of_disk(self, kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                self.hint("make room there, and run it again: nothing was left half written")
            }
            ErrorKind::ReadOnlyFilesystem => self.hint("see that you may write there, and run it again"),
            ErrorKind::PermissionDenied => {
                self.hint("see that you may read and write there, and run it again")
            }
            _ => self,
        }
    }

    /// The place where the repository is published said no.
    pub(crate) fn of_store(store: &dyn Store, error: &StoreError) -> Self {
        let what = format!("{} can't be used", store.describe());
        match error {
            StoreError::After(error) => Self::of_store(store, error).detail(
                "what was signed is published all the same; the next publish tidies up what was to follow",
            ),
            StoreError::Moved => Self::refused("another publisher was faster, again and again")
                .detail("nothing was changed; what was staged still is")
                .hint("try again"),
            StoreError::Taken { .. } | StoreError::TooLarge { .. } | StoreError::Malformed { .. } => {
                Self::refused(what).detail(error)
            }
            StoreError::Unsafe { .. } => Self::refused(what).detail(error).hint(
                "two publishers would lose each other's changes there: use a store with conditional writes",
            ),
            StoreError::Denied { .. } => {
                let hint = match store.describe().split(':').next() {
                    Some("oci") => "log in with docker or podman, as somebody who may push there",
                    Some("git") => "signer pushes as `git push` does: see that this one works",
                    _ => "see that who you are there may read, write and delete; what was staged still is",
                };
                Self::unknown(what).detail(error).hint(hint)
            }
            StoreError::Unreachable { .. } => Self::unknown(what).detail(error).hint(
                "try again: what was staged still is, and `signer publish` takes up what was left half done",
            ),
            StoreError::Io { error: cause, .. } => {
                Self::unknown(what).detail(error).hint_of_disk(cause.kind())
            }
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

//! Mirrors, asked in order, and what each of them did.
//!
//! What is accepted is not decided here: every document is handed to the caller's `weigh`. Nor is anything
//! retried here: what is transient on the way is the transport's to see.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci_image::SourceError;
use tuf_core::Role;

use crate::error::{Blame, ClientError};
use crate::face::Face;
use crate::limits::Budget;
use crate::tag::Known;
use crate::transport::{Fetch, Fetched};
use crate::wait::locked;

/// Blames that are kept of one update and the searches on it. A state may live long and be searched
/// often; who reads blames wants the first ones of each mirror.
const BLAMES: usize = 256;

/// Places that should have the same files.
pub(crate) struct Sources<T: ?Sized> {
    list: Vec<Arc<T>>,
    conduct: Mutex<Conduct>,
}

#[derive(Default)]
struct Conduct {
    /// One for each source.
    marks: Vec<Mark>,
    blames: Vec<Blame>,
}

/// What is known of a source. The worse, the later it is asked.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Mark {
    Good,
    /// Waiting for it again would take long, and bring nothing.
    Unreachable,
    /// It gave bytes that were refused.
    Caught,
}

/// A document that is asked for.
pub(crate) struct Ask<'a> {
    pub(crate) role: &'a Role,
    pub(crate) name: &'a str,
    pub(crate) limit: u64,
    /// What is held already, where it came from a source that tags its files.
    pub(crate) known: Option<&'a Known>,
    pub(crate) absence: Absence<'a>,
}

impl<'a> Ask<'a> {
    /// A target file of this length: that it isn't there is a fault of the source (5.7.3).
    pub(crate) fn target(
        name: &'a str,
        length: u64,
        absent: &'a (dyn Fn(String) -> ClientError + Send + Sync),
    ) -> Self {
        Ask { role: &Role::Targets, name, limit: length, known: None, absence: Absence::Breaks(absent) }
    }
}

/// What it means that a source doesn't have the document.
#[derive(Clone, Copy)]
pub(crate) enum Absence<'a> {
    /// That there is none, where no other source has it.
    Ends,
    /// A fault of the source.
    Breaks(&'a (dyn Fn(String) -> ClientError + Send + Sync)),
}

/// A document that was accepted.
pub(crate) struct Answer<A> {
    pub(crate) value: A,
    pub(crate) bytes: Arc<Vec<u8>>,
    /// The tag of these bytes, and who gave it.
    pub(crate) tag: Option<(String, String)>,
}

/// Why a source was passed over.
pub(crate) enum Fault {
    Absent,
    Error(ClientError),
}

impl<T: ?Sized> Sources<T> {
    pub(crate) fn blames(&self) -> Vec<Blame> {
        locked(&self.conduct).blames.clone()
    }
}

impl<T: Face + ?Sized> Sources<T> {
    pub(crate) fn new(list: Vec<Arc<T>>) -> Self {
        let marks = vec![Mark::Good; list.len()];
        Self { list, conduct: Mutex::new(Conduct { marks, blames: Vec::new() }) }
    }

    /// The source that is asked first now.
    pub(crate) fn next(&self) -> Option<Arc<T>> {
        self.order().first().and_then(|(index, _)| self.list.get(*index)).map(Arc::clone)
    }

    pub(crate) fn describe(&self) -> String {
        self.list.iter().map(|source| source.place()).collect::<Vec<_>>().join(", ")
    }

    /// The first document whose bytes pass `weigh`; `None` where at least one source says that there is
    /// none, none has one that passes, and that is an end. All are asked before that: one honest source
    /// suffices.
    pub(crate) async fn ask<A: Send>(
        &self,
        ask: &Ask<'_>,
        budget: &Budget,
        mut weigh: impl FnMut(&Arc<Vec<u8>>) -> Result<A, ClientError> + Send,
    ) -> Result<Option<Answer<A>>, ClientError> {
        let mut round = self.round(ask, budget);
        while let Some(turn) = round.next()? {
            let known = ask.known.filter(|known| known.source == turn.source.place());
            let tag = known.map(|known| known.tag.as_str());
            let wanted = Fetch { name: ask.name, limit: ask.limit, known: tag, time: turn.time };
            match weighed(ask, known, turn.source.ask(wanted).await, &mut weigh) {
                Ok((value, bytes, tag)) => {
                    let tag = tag.map(|tag| (turn.source.place(), tag));
                    round.found();
                    return Ok(Some(Answer { value, bytes, tag }));
                }
                Err(fault) => round.passed_over(&turn, fault)?,
            }
        }
        round.end().map(|()| None)
    }

    pub(crate) fn round<'a>(&'a self, ask: &'a Ask<'a>, budget: &'a Budget) -> Round<'a, T> {
        let order = self.order();
        Round { sources: self, ask, budget, count: order.len(), order: order.into_iter(), faults: Vec::new() }
    }

    /// The sources in the order in which they are asked now.
    fn order(&self) -> Vec<(usize, Mark)> {
        let mut order: Vec<_> = locked(&self.conduct).marks.iter().copied().enumerate().collect();
        // Stable: among equals, the caller's order.
        order.sort_by_key(|(_, mark)| *mark);
        order
    }

    /// Remembers what the sources that were passed over did. `found`: another one had the document.
    fn blame(&self, ask: &Ask<'_>, faults: Vec<(usize, Fault)>, found: bool) -> Vec<Blame> {
        let mut conduct = locked(&self.conduct);
        let mut blames = Vec::new();
        for (index, fault) in faults {
            let source = self.list.get(index).map(|source| source.place()).unwrap_or_default();
            let error = match (fault, ask.absence) {
                (Fault::Error(error), _) => {
                    let mark = if error.unreachable() { Mark::Unreachable } else { Mark::Caught };
                    conduct.marks.get_mut(index).into_iter().for_each(|known| *known = mark.max(*known));
                    error
                }
                (Fault::Absent, Absence::Breaks(why)) => why(source.clone()),
                (Fault::Absent, Absence::Ends) if found => {
                    ClientError::Withheld { role: ask.role.clone(), file: ask.name.to_owned() }
                }
                (Fault::Absent, Absence::Ends) => continue,
            };
            blames.push(Blame { source, error });
        }
        let room = BLAMES.saturating_sub(conduct.blames.len());
        conduct.blames.extend(blames.iter().take(room).cloned());
        blames
    }
}

/// One document, asked of one source after the other until one has it.
pub(crate) struct Round<'a, T: ?Sized> {
    sources: &'a Sources<T>,
    ask: &'a Ask<'a>,
    budget: &'a Budget,
    count: usize,
    order: std::vec::IntoIter<(usize, Mark)>,
    faults: Vec<(usize, Fault)>,
}

/// The source whose turn it is, and how long it may take.
pub(crate) struct Turn<'a, T: ?Sized> {
    pub(crate) source: &'a T,
    pub(crate) time: Duration,
    index: usize,
}

impl<'a, T: Face + ?Sized> Round<'a, T> {
    /// The next source to ask, where one is left.
    pub(crate) fn next(&mut self) -> Result<Option<Turn<'a, T>>, ClientError> {
        while let Some((index, mark)) = self.order.next() {
            if mark == Mark::Unreachable && ends(self.ask, &self.faults) {
                // It would cost its time-out at every step of the root walk.
                continue;
            }
            let Some(source) = self.sources.list.get(index) else { continue };
            let time = self.budget.share(self.count, self.order.len()).ok_or_else(|| self.overdue())?;
            return Ok(Some(Turn { source: &**source, time, index }));
        }
        Ok(None)
    }

    /// The source doesn't have it, or nothing that can be used. An error where no other one may be asked.
    pub(crate) fn passed_over(&mut self, turn: &Turn<'_, T>, fault: Fault) -> Result<(), ClientError> {
        match fault {
            // What it would have said in time is not known.
            Fault::Error(error) if error.unreachable() && self.budget.left().is_none() => Err(self.overdue()),
            // No source is to blame for it.
            Fault::Error(error @ ClientError::Unwritten { .. }) => Err(error),
            fault => {
                self.faults.push((turn.index, fault));
                Ok(())
            }
        }
    }

    /// The source whose turn it was has it.
    pub(crate) fn found(self) {
        self.sources.blame(self.ask, self.faults, true);
    }

    /// All were asked. No error where that no source has it is an answer.
    pub(crate) fn end(self) -> Result<(), ClientError> {
        let ended = ends(self.ask, &self.faults);
        let blames = self.sources.blame(self.ask, self.faults, false);
        if ended { Ok(()) } else { Err(ClientError::of_mirrors(self.ask.role, blames)) }
    }

    fn overdue(&self) -> ClientError {
        ClientError::Overdue { role: self.ask.role.clone(), total: self.budget.total() }
    }
}

/// Whether a source said that there is no such document, and that is an end.
fn ends(ask: &Ask<'_>, faults: &[(usize, Fault)]) -> bool {
    matches!(ask.absence, Absence::Ends) && faults.iter().any(|(_, fault)| matches!(fault, Fault::Absent))
}

type Weighed<A> = (A, Arc<Vec<u8>>, Option<String>);

/// Weighs what a source gave. What it says is unchanged is weighed as if it had come: who freezes us by
/// saying so is found out when it expires (5.4.4).
fn weighed<A>(
    ask: &Ask<'_>,
    known: Option<&Known>,
    fetched: Result<Fetched, SourceError>,
    mut weigh: impl FnMut(&Arc<Vec<u8>>) -> Result<A, ClientError>,
) -> Result<Weighed<A>, Fault> {
    let (bytes, tag) = match (fetched, known) {
        (Ok(Fetched::File { bytes, tag }), _) => (bytes, tag),
        (Ok(Fetched::Unchanged), Some(known)) => (known.bytes.clone(), Some(known.tag.clone())),
        (Ok(Fetched::Unchanged), None) => {
            let why = "it says that nothing changed since nothing".into();
            let error = SourceError::Malformed { at: ask.name.to_owned(), why };
            return Err(Fault::Error(ClientError::source(ask.role, error)));
        }
        (Ok(Fetched::Absent), _) => return Err(Fault::Absent),
        (Err(error), _) => return Err(Fault::Error(ClientError::source(ask.role, error))),
    };
    let bytes = Arc::new(bytes);
    let value = weigh(&bytes).map_err(Fault::Error)?;
    Ok((value, bytes, tag))
}

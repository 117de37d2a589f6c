//! The timestamp asked for while the root walk goes on, for callers who want the round trip back
//! ([`crate::Client::asking_ahead`]), from transports that may be asked for two files at once.
//!
//! Nothing is decided early. The bytes wait unread until a root is current, and are weighed under that one
//! (5.4.2); what it refuses, and every error, is as if nobody had asked, and the timestamp is asked for in its
//! turn. So whom a mirror's fault is put down to doesn't depend on who was faster.

use std::sync::Arc;

use tuf_core::limits;

use super::Session;
use crate::error::ClientError;
use crate::face::Face;
use crate::sources::Answer;
use crate::tag::Known;
use crate::transport::Fetched;
use crate::wait::Beside;

/// The name of the one file whose name isn't in another.
pub(super) const TIMESTAMP: &str = "timestamp.json";

/// What came before its turn.
pub(super) struct Early {
    /// Who was asked.
    source: String,
    /// The tag that was sent.
    tag: Option<String>,
    fetched: Option<Fetched>,
}

impl<T: Face + ?Sized> Session<T> {
    /// Asks the mirror that would be asked in its turn.
    pub(super) fn ahead(&self) -> Result<Beside<Option<Early>>, ClientError> {
        let wanted = self.config.ahead && !self.config.offline;
        let Some(source) = self.mirrors.next().filter(|source| wanted && source.concurrent()) else {
            return Ok(Beside::Done(None));
        };
        let kept = self.store().read(TIMESTAMP, limits::TIMESTAMP_BYTES)?;
        let known = kept.map_or(Ok(None), |bytes| Known::read(self.store(), &bytes))?;
        let place = source.place();
        let tag = known.filter(|known| known.source == place).map(|known| known.tag);
        // As in its turn: where it hangs, the other mirrors can still be asked.
        let mirrors = self.config.mirrors.len();
        let time = self.budget.share(mirrors, mirrors.saturating_sub(1));
        let Some(time) = time else { return Ok(Beside::Done(None)) };
        let asked = T::ask_aside(source, TIMESTAMP, limits::TIMESTAMP_BYTES, tag.clone(), time);
        Ok(Beside::Waiting(Box::pin(async move {
            let fetched = asked.await.ok();
            Some(Early { source: place, tag, fetched })
        })))
    }

    /// The answer that came early, where it passes. `known` is what still holds up under the current root.
    pub(super) fn accepted_early<A>(
        &self,
        early: Option<Early>,
        known: Option<&Known>,
        weigh: impl FnOnce(&Arc<Vec<u8>>) -> Option<A>,
    ) -> Option<Answer<A>> {
        let Early { source, tag, fetched } = early?;
        // One that was caught meanwhile is asked last, and its word isn't taken first.
        if self.mirrors.next()?.place() != source {
            return None;
        }
        let known = known.filter(|known| known.source == source && Some(&known.tag) == tag.as_ref());
        let (bytes, tag) = match (fetched?, known) {
            (Fetched::File { bytes, tag }, _) => (bytes, tag),
            (Fetched::Unchanged, Some(known)) => (known.bytes.clone(), Some(known.tag.clone())),
            (Fetched::Unchanged, None) | (Fetched::Absent, _) => return None,
        };
        let bytes = Arc::new(bytes);
        let value = weigh(&bytes)?;
        Some(Answer { value, bytes, tag: tag.map(|tag| (source, tag)) })
    }
}

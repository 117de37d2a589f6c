//! A manifest under a tag that several writers keep together, such as a list of referrers or of signatures.
//!
//! Registries needn't offer conditional writes ("Protection against race conditions is the responsibility of
//! clients", distribution specification 1.1, "Referrers Tag Schema"), so a writer looks again, after others
//! have had time to write what they had read before, and adds once more what got lost.

use std::time::Duration;

use super::Registry;
use super::conditional::Expected;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::reference::Tag;
use crate::source::{ImageSource as _, Selector, SourceError};

/// How often it is written again because another writer's took its place. Each round waits twice as long.
const ROUNDS: u32 = 5;

/// What shall be under the tag, given what is there now, if anything; `None` if that is right already.
pub type Amendment<'a> = dyn FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, SourceError> + 'a;

impl Registry {
    /// Writes under a tag what `amendment` makes of what is there, until what is there needs no amendment.
    /// Returns what is there then. An amendment keeps what others wrote.
    ///
    /// After each write it waits [`crate::HttpLimits::back_off`] and more before it looks again: another
    /// writer who has read the old one writes it within that time, or loses nothing of ours. So nothing is sent
    /// again: where a write wasn't taken, all begins anew with what is there then.
    ///
    /// # Errors
    /// As [`Registry::push_manifest`] and what `amendment` says; and when others write over it again and
    /// again.
    pub fn amend_manifest(
        &self,
        tag: &Tag,
        media_type: &str,
        amendment: &mut Amendment<'_>,
    ) -> Result<Descriptor, SourceError> {
        let mut wait = self.fetcher.options().limits.back_off;
        let (mut again, mut failed) = (false, None);
        for _ in 0..=ROUNDS {
            let there = self.found(tag)?;
            match (amendment(there.as_deref())?, there) {
                (None, Some(bytes)) => return Ok(Descriptor::of(media_type, &bytes)),
                (None, None) => {
                    let why = format!("expected something to write under tag {tag}, got nothing");
                    return Err(self.malformed(why));
                }
                (Some(bytes), _) => {
                    match self.replace_manifest(tag, &bytes, media_type, Expected::Anything) {
                        // The login is good now.
                        Err(SourceError::Denied { status: 401, .. })
                            if !std::mem::replace(&mut again, true) =>
                        {
                            continue;
                        }
                        Err(error) if !error.unreachable() => return Err(error),
                        done => failed = done.err(),
                    }
                    std::thread::sleep(unlike_others(wait, &bytes));
                    wait = wait.saturating_mul(2);
                }
            }
        }
        let there = self.found(tag)?;
        if let (None, Some(bytes)) = (amendment(there.as_deref())?, there) {
            return Ok(Descriptor::of(media_type, &bytes));
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let why = format!("expected what was written under tag {tag}, got it without that {ROUNDS} times");
        Err(self.malformed(why))
    }

    fn found(&self, tag: &Tag) -> Result<Option<Vec<u8>>, SourceError> {
        match self.manifest(Selector::Tag(tag.as_str())) {
            Ok(fetched) => Ok(Some(fetched.bytes)),
            Err(SourceError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The time and up to half of it more, by what is written: so two writers who met don't meet again.
fn unlike_others(wait: Duration, bytes: &[u8]) -> Duration {
    let digest = Digest::of(bytes);
    let [first, ..] = *digest.bytes();
    let more = wait.saturating_mul(u32::from(first)).checked_div(512).unwrap_or_default();
    wait.saturating_add(more)
}

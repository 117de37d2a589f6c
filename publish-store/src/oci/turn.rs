//! Whose turn it is to move the tag that clients read.
//!
//! Registries have no conditional writes. So who wants to move the tag says so under another one, waits for as
//! long as a write takes, and looks whether somebody else said so in the meantime: then it is theirs, the last
//! one's (M. Fischer's mutual exclusion, by time). Nothing that clients see was written by then. Afterwards it
//! looks once more whether it was overtaken. What is left: a write that is under way for longer than the wait
//! of everybody else, and arrives after their look. The slower one's state stands then; the faster one finds
//! out at its next publish. Where a registry does hold to `If-Match`, that is found out, and used instead.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::thread::sleep;
use std::time::{Duration, Instant};

use oci_image::tuf_layout::ENCODED;
use oci_image::{Digest, Expected, Selector, SourceError, Tag, media};

use super::layout::{Annotations, Held, layer, manifest};
use super::{CONFIG, OciStore, is_early};
use crate::StoreError;

/// How often to begin again where the registry was too slow for one turn to be safe.
const TRIES: u32 = 5;
/// How many states back to look for ours under what others built on it.
const STATES: u32 = 8;
/// What is to be followed by another state.
const STATE: &str = "hallmark.state";
/// Who wants to.
const PUBLISHER: &str = "hallmark.publisher";

/// A number that no other publisher has.
pub(super) fn chance() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}

/// Ours to use, for as long as others wait.
struct Turn {
    began: Instant,
    /// What the registry is to look for.
    expected: Expected,
}

impl OciStore {
    /// Moves the tag from what stood there to `next`.
    pub(super) fn move_tag(
        &self,
        next: &[u8],
        timestamp: &[u8],
        from: Option<&Held>,
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let Some(turn) = self.turn(timestamp, from)? else { continue };
            if !self.write_tag(next, turn.expected)? {
                continue;
            }
            if turn.expected == Expected::Anything && turn.began.elapsed() > self.settle {
                sleep(self.settle);
            }
            return self.expect_not_overtaken(Digest::of(next));
        }
        let why = format!("no answer within {:.1?}, which is too slow to publish safely", self.settle);
        Err(StoreError::Unreachable { at: self.name.clone(), why })
    }

    /// Waits until it is our turn to lead clients on from this state. `None` where the registry took too long
    /// for that to be sure.
    ///
    /// The timestamp is put only then: that of a state that lost, of the same version, would be one that somebody
    /// without a key could lead clients to.
    fn turn(&self, timestamp: &[u8], from: Option<&Held>) -> Result<Option<Turn>, StoreError> {
        let notice = self.announce(from)?;
        if self.holds_to_conditions(&notice)? {
            self.expect_still(from)?;
            self.push(&self.metadata, timestamp)?;
            let expected = from.map_or(Expected::Nothing, |held| Expected::Manifest(held.digest));
            return Ok(Some(Turn { began: Instant::now(), expected }));
        }
        sleep(self.settle);
        if self.digest_under(&notice_tag()?)? != Some(Digest::of(&notice)) {
            return Err(StoreError::Moved);
        }
        let began = Instant::now();
        self.push(&self.metadata, timestamp)?;
        self.expect_still(from)?;
        // Others count on it that we write soon after we looked.
        let is_soon = began.elapsed().saturating_mul(2) <= self.settle;
        Ok(is_soon.then_some(Turn { began, expected: Expected::Anything }))
    }

    /// Writes the tag. `false` where the registry took nothing: that needs another turn, since others don't wait
    /// for longer than a write takes.
    fn write_tag(&self, next: &[u8], expected: Expected) -> Result<bool, StoreError> {
        let registry = &self.metadata.registry;
        let refused = match registry.replace_manifest(&self.tag, next, media::OCI_MANIFEST, expected) {
            Ok(true) => return Ok(true),
            Ok(false) => StoreError::Moved,
            Err(error) if is_early(&error) => return Ok(false),
            // The login had run out, and is good now.
            Err(SourceError::Denied { status: 401, .. }) => return Ok(false),
            Err(error) => self.failed(error),
        };
        // A write whose answer got lost may have been done.
        match self.digest_under(&self.tag) {
            Ok(Some(there)) if there == Digest::of(next) => Ok(true),
            _ => Err(refused),
        }
    }

    /// Whether what was written still leads clients, or what others built on it.
    fn expect_not_overtaken(&self, ours: Digest) -> Result<(), StoreError> {
        let Some(mut held) = self.held(&self.tag)? else { return Err(StoreError::Moved) };
        for _ in 0..STATES {
            if held.digest == ours {
                return Ok(());
            }
            let Some(previous) = held.previous() else { break };
            if previous == ours {
                return Ok(());
            }
            match self.held_at(Selector::Digest(previous))? {
                Some(before) => held = before,
                None => break,
            }
        }
        Err(StoreError::Moved)
    }

    fn expect_still(&self, from: Option<&Held>) -> Result<(), StoreError> {
        match self.digest_under(&self.tag)? == from.map(|held| held.digest) {
            true => Ok(()),
            false => Err(StoreError::Moved),
        }
    }

    /// Says that we want to lead clients on from this state, after whoever said so before had their time.
    fn announce(&self, from: Option<&Held>) -> Result<Vec<u8>, StoreError> {
        let state = from.map_or_else(|| "nothing".to_owned(), |held| held.digest.to_string());
        let tag = notice_tag()?;
        let began = Instant::now();
        // Who crashed after saying so holds up others for this long.
        while began.elapsed() < self.settle.saturating_mul(3) {
            let notice = self.held(&tag)?;
            let is = |key: &str, value: &str| {
                notice
                    .as_ref()
                    .and_then(|notice| notice.annotations.get(key))
                    .is_some_and(|there| there == value)
            };
            if !is(STATE, &state) || is(PUBLISHER, &self.me) {
                break;
            }
            sleep(self.settle.checked_div(4).unwrap_or(Duration::ZERO));
            self.expect_still(from)?;
        }
        self.push(&self.metadata, CONFIG)?;
        let annotations =
            Annotations::from([(STATE.to_owned(), state), (PUBLISHER.to_owned(), self.me.clone())]);
        let notice = manifest([layer("notice", media::OCI_EMPTY, CONFIG)].iter(), &annotations);
        let (registry, kind) = (&self.metadata.registry, media::OCI_MANIFEST);
        self.patiently(|| registry.replace_manifest(&tag, &notice, kind, Expected::Anything))?;
        Ok(notice)
    }

    /// Tries, once, whether the registry holds to conditions, with a manifest that is there already.
    fn holds_to_conditions(&self, notice: &[u8]) -> Result<bool, StoreError> {
        if let Some(holds) = self.state().conditions {
            return Ok(holds);
        }
        let tag = notice_tag()?;
        let is_done = |expected| match self.metadata.registry.replace_manifest(
            &tag,
            notice,
            media::OCI_MANIFEST,
            expected,
        ) {
            Ok(done) => Ok(done),
            // A registry that doesn't understand the question can't hold to the answer.
            Err(SourceError::Malformed { .. }) if expected != Expected::Anything => Ok(true),
            Err(error) => Err(self.failed(error)),
        };
        let holds = !is_done(Expected::Manifest(Digest::of(b"another")))?
            && !is_done(Expected::Nothing)?
            && is_done(Expected::Manifest(Digest::of(notice)))?;
        self.state().conditions = Some(holds);
        Ok(holds)
    }
}

fn notice_tag() -> Result<Tag, StoreError> {
    format!("{ENCODED}turn").parse().map_err(|why: oci_image::BadReference| StoreError::Malformed {
        at: ENCODED.into(),
        why: why.to_string(),
    })
}

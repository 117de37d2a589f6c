//! What answers say, kept.
//!
//! An answer on a thousand packages has fifty thousand texts. Here they lie one behind another, and are given back all
//! at once.

use std::cell::Cell;
use std::fmt;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::database::Piece;

/// Where the texts of answers lie. It grows until it is cleared.
#[derive(Default)]
pub struct Texts {
    kept: Bump,
    read: Cell<Read>,
}

/// What was read last. Nothing in it is looked at later: it is kept because making room anew costs more than reading.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) block: Piece,
    pub(crate) records: Piece,
}

/// No more room than this is kept: few blocks are longer.
const ROOM: usize = 1 << 20;

impl Texts {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the texts back, and keeps the room for others.
    pub fn clear(&mut self) {
        self.kept.reset();
    }

    pub(crate) fn text(&self, text: &str) -> &str {
        self.kept.alloc_str(text)
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> &[u8] {
        self.kept.alloc_slice_copy(bytes)
    }

    pub(crate) fn list<'t>(&'t self, texts: &[&'t str]) -> &'t [&'t str] {
        self.kept.alloc_slice_copy(texts)
    }

    /// Keeps few texts.
    pub(crate) fn gather<'t>(&'t self, texts: impl Iterator<Item = &'t str>) -> &'t [&'t str] {
        let most = texts.size_hint().1.unwrap_or_default();
        let mut list = BumpVec::with_capacity_in(most, &self.kept);
        list.extend(texts);
        list.into_bump_slice()
    }

    /// Room to read into, with nothing in it.
    pub(crate) fn room(&self) -> Read {
        let mut room = self.read.take();
        room.block.clear();
        room.records.clear();
        room
    }

    /// Gives the room back.
    pub(crate) fn give_back(&self, mut room: Read) {
        room.block.shrink_to(ROOM);
        room.records.shrink_to(ROOM);
        self.read.set(room);
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").field("bytes", &self.kept.allocated_bytes()).finish_non_exhaustive()
    }
}

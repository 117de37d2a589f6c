//! The entity tag of the kept timestamp: what lets a quiet day cost a question and no answer.
//!
//! It is kept apart from the metadata and says which bytes it belongs to. A tag of other bytes is never
//! sent: the answer *unchanged* would then be about something else.

use tuf_core::hash::sha256_hex;
use tuf_core::limits;

use crate::store::{Store, StoreError};

/// Where the tag is kept.
const FILE: &str = "private/timestamp.tag";
/// The longest tag that is kept. Servers make them of a size and a time, or of a hash: SHA-512 in hex has
/// 128 characters.
const TAG_MAX: usize = 256;
/// The most that is read back: a source's address, a hash and a tag. Browsers stop at 2 to 8 KiB of address.
const FILE_MAX: u64 = 16 * 1024;

/// The kept timestamp, the tag it came with, and who gave it that tag.
pub(crate) struct Known {
    pub(crate) source: String,
    pub(crate) tag: String,
    pub(crate) bytes: Vec<u8>,
}

impl Known {
    /// The tag of the kept timestamp, where there is one that belongs to these bytes.
    pub(crate) fn read(store: &dyn Store, bytes: &[u8]) -> Result<Option<Self>, StoreError> {
        let Some(file) = store.read(FILE, FILE_MAX)? else { return Ok(None) };
        let text = String::from_utf8(file).unwrap_or_default();
        let mut lines = text.lines();
        Ok(match (lines.next(), lines.next(), lines.next()) {
            (Some(sha256), Some(source), Some(tag)) if sha256 == sha256_hex(bytes) && fit(source, tag) => {
                Some(Self { source: source.into(), tag: tag.into(), bytes: bytes.to_vec() })
            }
            _ => None,
        })
    }

    /// Keeps the tag of `bytes`, where those are the ones that the store has.
    pub(crate) fn keep(
        store: &dyn Store,
        bytes: &[u8],
        (source, tag): &(String, String),
    ) -> Result<(), StoreError> {
        let kept = store.read("timestamp.json", limits::TIMESTAMP_BYTES)?;
        if !fit(source, tag) || kept.as_deref() != Some(bytes) {
            return Ok(());
        }
        let file = format!("{}\n{source}\n{tag}\n", sha256_hex(bytes)).into_bytes();
        if store.read(FILE, FILE_MAX)?.as_ref() == Some(&file) {
            return Ok(());
        }
        store.write(FILE, &file)
    }
}

/// Whether these can stand in a line of their own, and a tag in a header (RFC 9110, section 8.8.3).
fn fit(source: &str, tag: &str) -> bool {
    let printable = tag.bytes().all(|byte| byte.is_ascii_graphic());
    printable && (1..=TAG_MAX).contains(&tag.len()) && !source.chars().any(char::is_control)
}

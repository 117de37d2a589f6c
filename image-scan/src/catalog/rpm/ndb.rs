//! rpm's own database, `Packages.db`: slots that point to blobs (rpm's `lib/backend/ndb/rpmpkg.c`).

use super::{Budget, le32, part, size};

/// What slots and blobs are counted in.
const BLOCK: usize = 16;

/// What the slots' part is counted in.
const PAGE: usize = 4096;

/// Calls `each` with every header's bytes.
pub(super) fn blobs(bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    if part(bytes, 0, 4) != Some(b"RpmP") {
        return Err("expected a database of rpm's own format".to_owned());
    }
    let pages = le32(bytes, 12).and_then(size).unwrap_or_default();
    let end = pages.saturating_mul(PAGE).min(bytes.len());
    // The database's header takes the place of the first two slots.
    let slots = bytes.get(32..end).unwrap_or_default();
    let mut budget = Budget::of(bytes);
    for slot in slots.as_chunks::<BLOCK>().0 {
        if !slot.starts_with(b"Slot") {
            return Err("a slot of the database can't be read".to_owned());
        }
        // A slot without a package is free.
        if le32(slot, 4) != Some(0) && le32(slot, 8) != Some(0) {
            let blob = blob(bytes, slot).filter(|blob| budget.spend(blob.len()).is_some());
            each(blob.ok_or("a package of the database can't be read")?);
        }
    }
    Ok(())
}

fn blob<'a>(bytes: &'a [u8], slot: &[u8]) -> Option<&'a [u8]> {
    let at = size(le32(slot, 8)?)?.checked_mul(BLOCK)?;
    let whole = part(bytes, at, size(le32(slot, 12)?)?.checked_mul(BLOCK)?)?;
    let right = whole.starts_with(b"BlbS") && le32(whole, 4) == le32(slot, 4);
    part(whole, BLOCK, size(le32(whole, 12)?)?).filter(|_| right)
}

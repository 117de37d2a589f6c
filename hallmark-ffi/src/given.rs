//! What C hands over, read as text and slices. Every length and null is looked at before a pointer is followed.
#![expect(unsafe_code, reason = "pointers of C can't be read without")]

use std::ffi::{CStr, c_char};
use std::slice;

use binding_calls::BadCall;

use crate::{hallmark_document, missing};

/// The most documents that are looked at: `binding-calls` allows fewer, and says how many.
const DOCUMENTS_MAX: usize = 1 << 16;

/// The text of a C string.
///
/// # Safety
///
/// `text` must be null or a string that is ended by a zero byte, which nobody changes for as long as it is used.
pub(crate) unsafe fn text<'a>(what: &str, text: *const c_char) -> Result<&'a str, BadCall> {
    if text.is_null() {
        return Err(missing(what, "a null pointer"));
    }
    // SAFETY: it isn't null, and the caller promises a string.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|why| BadCall::new(format!("{what}: expected UTF-8, got other bytes: {why}")))
}

/// Bytes of C.
///
/// # Safety
///
/// `data` must be null or point to `len` bytes, which nobody changes for as long as they are used.
pub(crate) unsafe fn bytes<'a>(what: &str, data: *const u8, len: usize) -> Result<&'a [u8], BadCall> {
    if data.is_null() {
        return Err(missing(what, "a null pointer"));
    }
    if isize::try_from(len).is_err() {
        return Err(BadCall::new(format!("{what}: expected at most {} bytes, got {len}", isize::MAX)));
    }
    // SAFETY: it isn't null, no object is longer than that, and the caller promises as many bytes.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// Documents of C: names and bytes. None may be null with a length of zero.
///
/// # Safety
///
/// `documents` must be null or point to `len` documents, with strings and bytes as for [`text`] and [`bytes`].
pub(crate) unsafe fn documents<'a>(
    documents: *const hallmark_document,
    len: usize,
) -> Result<Vec<(&'a str, &'a [u8])>, BadCall> {
    if len == 0 {
        return Ok(Vec::new());
    }
    if documents.is_null() {
        return Err(missing("documents", "a null pointer"));
    }
    if len > DOCUMENTS_MAX {
        return Err(BadCall::new(format!("documents: expected at most {DOCUMENTS_MAX}, got {len}")));
    }
    if !documents.is_aligned() {
        return Err(missing("documents", "a pointer that is not aligned"));
    }
    // SAFETY: it isn't null and is aligned, 65,536 documents fit into an object, and the caller promises as many.
    let documents = unsafe { slice::from_raw_parts(documents, len) };
    let one = |document: &hallmark_document| {
        // SAFETY: the caller promises a string or null.
        let name = unsafe { text("the name of a document", document.name) }?;
        // SAFETY: the caller promises that many bytes or null.
        let bytes = unsafe { bytes(name, document.data, document.len) }?;
        Ok((name, bytes))
    };
    documents.iter().map(one).collect()
}

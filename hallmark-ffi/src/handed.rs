//! What C gets from us, and gives back: reports, and our version.
#![expect(unsafe_code, reason = "pointers of C can't be written or freed without")]

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use binding_calls::Answer;

use crate::hallmark_verdict;

/// Our version, ended by a zero byte.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// Sets `*report`, and says what came of the call.
///
/// # Safety
///
/// `report` must be null or point to a place for a pointer.
pub(crate) unsafe fn hand_over(answer: Answer, report: *mut *mut c_char) -> hallmark_verdict {
    let verdict = answer.outcome.into();
    if report.is_null() {
        return verdict;
    }
    // JSON has no zero byte: it would be escaped.
    let text = CString::new(answer.report).unwrap_or_default();
    // SAFETY: it isn't null, and the caller promises a place for a pointer; how that is aligned doesn't matter.
    unsafe { report.write_unaligned(text.into_raw()) };
    verdict
}

/// Frees a report. Null is nothing to free.
///
/// # Safety
///
/// `report` must be null or a report of this library that was not freed yet. Nobody may use it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hallmark_string_free(report: *mut c_char) {
    if report.is_null() {
        return;
    }
    let free = || {
        // SAFETY: `hand_over` made it with `CString::into_raw`, and the caller promises that it is freed once.
        drop(unsafe { CString::from_raw(report) });
    };
    // Nothing in there panics; to unwind into C would be undefined all the same.
    let _ = catch_unwind(AssertUnwindSafe(free));
}

/// The version of this library, such as `0.1.0`: a string that is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn hallmark_version() -> *const c_char {
    VERSION.as_ptr()
}

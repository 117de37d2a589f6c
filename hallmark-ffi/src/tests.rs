#![expect(unsafe_code, reason = "called as C calls it")]

use std::ffi::{CStr, CString};
use std::ptr::null;

use super::*;

/// The verdict and the report of a call, as C sees them.
fn called(call: impl FnOnce(*mut *mut c_char) -> hallmark_verdict) -> (hallmark_verdict, serde_json::Value) {
    let mut report = std::ptr::null_mut();
    let verdict = call(&raw mut report);
    assert!(!report.is_null());
    // SAFETY: a report of ours, not freed yet.
    let text = unsafe { CStr::from_ptr(report) }.to_str().unwrap().to_owned();
    // SAFETY: it is freed once.
    unsafe { hallmark_string_free(report) };
    (verdict, serde_json::from_str(&text).unwrap())
}

fn registry(
    reference: *const c_char,
    options: *const c_char,
    root: *const u8,
    root_len: usize,
) -> (hallmark_verdict, serde_json::Value) {
    // SAFETY: strings, bytes or null.
    called(|report| unsafe { hallmark_verify_registry(reference, options, root, root_len, report) })
}

#[track_caller]
fn bad_call((verdict, report): (hallmark_verdict, serde_json::Value), expected: &str) {
    assert_eq!(verdict, hallmark_verdict::BadCall, "{report}");
    assert!(report["error"].as_str().unwrap().starts_with(expected), "{report}");
    assert!(report.get("verdict").is_none(), "{report}");
}

#[test]
fn a_pointer_that_is_null_is_a_bad_call() {
    let (name, options) = (c"a.example/b:1".as_ptr(), c"{\"repo\": \"somewhere\"}".as_ptr());
    bad_call(registry(null(), options, b"{}".as_ptr(), 2), "reference: expected it, got a null pointer");
    bad_call(registry(name, null(), b"{}".as_ptr(), 2), "options: expected it, got a null pointer");
    bad_call(registry(name, options, null(), 2), "root: expected it, got a null pointer");
    bad_call(registry(name, options, b"{}".as_ptr(), usize::MAX), "root: expected at most");
}

#[test]
fn text_that_is_not_utf8_is_a_bad_call() {
    let options = c"{\"repo\": \"somewhere\"}".as_ptr();
    let bad = CString::new(vec![b'a', 0xff]).unwrap();
    bad_call(
        registry(bad.as_ptr(), options, b"{}".as_ptr(), 2),
        "reference: expected UTF-8, got other bytes",
    );
    let bad = CString::new(vec![b'{', 0xc0]).unwrap();
    bad_call(registry(c"a.example/b:1".as_ptr(), bad.as_ptr(), b"{}".as_ptr(), 2), "options: expected UTF-8");
    bad_call(registry(c"a b".as_ptr(), options, b"{}".as_ptr(), 2), "the reference can't be used");
    bad_call(
        registry(c"a.example/b:1".as_ptr(), c"[]".as_ptr(), b"{}".as_ptr(), 2),
        "options: expected a JSON",
    );
}

#[test]
fn documents_are_counted_before_they_are_read() {
    let call = |documents: *const hallmark_document, len: usize| {
        let (name, options) = (c"a.example/b:1".as_ptr(), c"{\"at\": \"2030-01-01T00:00:00Z\"}".as_ptr());
        let two = b"{}".as_ptr();
        // SAFETY: strings and bytes; what is said of documents is looked at first.
        called(|report| unsafe {
            hallmark_verify_bytes(name, options, two, 2, two, 2, documents, len, report)
        })
    };
    bad_call(call(null(), 1), "documents: expected it, got a null pointer");
    let one = hallmark_document { name: null(), data: null(), len: 0 };
    bad_call(call(&raw const one, usize::MAX), "documents: expected at most 65536, got");
    bad_call(
        call((&raw const one).cast::<u8>().wrapping_add(1).cast(), 1),
        "documents: expected it, got a pointer",
    );
    bad_call(call(&raw const one, 1), "the name of a document: expected it, got a null pointer");
    let one = hallmark_document { name: c"timestamp.json".as_ptr(), ..one };
    bad_call(call(&raw const one, 1), "timestamp.json: expected it, got a null pointer");
    // None is no mistake: it only doesn't suffice. This root is none.
    let (verdict, report) = call(null(), 0);
    assert_eq!(verdict, hallmark_verdict::Refused, "{report}");
}

#[test]
fn a_report_that_is_not_wanted_is_not_made() {
    // SAFETY: null is allowed everywhere.
    let verdict = unsafe { hallmark_verify_registry(null(), null(), null(), 0, std::ptr::null_mut()) };
    assert_eq!(verdict, hallmark_verdict::BadCall);
    // SAFETY: null is nothing to free.
    unsafe { hallmark_string_free(std::ptr::null_mut()) };
}

#[test]
fn a_panic_is_no_verdict() {
    let answer = Answer::to(|| panic!("as told"));
    assert_eq!(hallmark_verdict::from(answer.outcome), hallmark_verdict::Unknown);
    // SAFETY: a place for a pointer.
    let (verdict, report) = called(|report| unsafe { handed::hand_over(answer, report) });
    assert_eq!((verdict, report["verdict"].as_str()), (hallmark_verdict::Unknown, Some("unknown")));
}

#[test]
fn the_version_is_that_of_the_package() {
    // SAFETY: a string that is never freed.
    let version = unsafe { CStr::from_ptr(hallmark_version()) };
    assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
}

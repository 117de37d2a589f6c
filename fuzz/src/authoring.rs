//! Any file as a publisher reads it to change it: what is read is printed again with all it held, members
//! that we don't know included, and what was signed stays signed.

use serde_json::Value;
use tuf_core::authoring::Document;
use tuf_core::canonical::canonicalise;

/// Reads, prints, reads again, changes the version.
pub fn run(bytes: &[u8]) -> bool {
    let document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(why) => {
            assert!(!why.to_string().is_empty(), "a refusal without a reason");
            return false;
        }
    };
    let given: Value = serde_json::from_slice(bytes).expect("read, but it is no JSON");
    let printed = document.to_bytes();
    let again = Document::parse(&printed).expect("what we print, we read");
    assert_eq!(again, document);
    assert_eq!(again.to_bytes(), printed, "printed twice");

    let back: Value = serde_json::from_slice(&printed).expect("we print JSON");
    assert_eq!(back["signed"], given["signed"], "a member was lost or changed");
    let canonical = document.canonical().expect("read strictly");
    let signed = serde_json::to_vec(&given["signed"]).expect("a value");
    assert_eq!(Ok(&canonical), canonicalise(&signed).as_ref(), "the signatures are over other bytes");
    let ids: Vec<_> = document.signed_by().collect();
    assert_eq!(ids.len(), given["signatures"].as_array().map_or(0, Vec::len));

    let mut changed = document.clone();
    changed.set_version(7);
    let mut expected = given["signed"].clone();
    expected["version"] = 7.into();
    assert_eq!(Value::Object(changed.signed().clone()), expected, "more than the version changed");
    assert_eq!(changed.signed_by().count(), 0, "a signature outlived a change");
    true
}

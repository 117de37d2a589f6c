//! Receipts of targets documents, as any JSON. Who can write one can have anything accepted, so nothing is
//! said here of what is found by a forged one; but it must not make a client panic, or read for ever.

use std::sync::{Arc, LazyLock};

use serde_json::json;
use tuf_core::authoring::Document;
use tuf_core::schema::Target;
use tuf_core::{FreshSnapshot, Receipt, Step};

use crate::ground::{TARGETS, later, snapshot};
use crate::seal::{enveloped, sha256};

/// How many targets the document lists: several strides of its marks.
const LISTED: usize = 80;

static FILE: LazyLock<Arc<Vec<u8>>> = LazyLock::new(|| {
    let mut document = Document::targets(later());
    for number in 0..LISTED {
        document.set_target(&path(number), &Target::of(b"")).expect("no custom");
    }
    let role = json!({ "name": "dev", "keyids": [], "threshold": 1, "terminating": false, "paths": ["*"] });
    document.signed_mut().insert("delegations".into(), json!({ "keys": {}, "roles": [role] }));
    Arc::new(enveloped(&document.canonical().expect("ours is canonicalisable"), &[TARGETS]))
});

static SNAPSHOT: LazyLock<FreshSnapshot> =
    LazyLock::new(|| snapshot(&[("targets".to_owned(), 1), ("dev".to_owned(), 1)]));

fn path(number: usize) -> String {
    format!("t{number:02}")
}

/// The JSON of the receipt that the document got.
pub fn honest() -> Vec<u8> {
    let targets = SNAPSHOT.targets_shared(&FILE).expect("a good document");
    let bytes = targets.receipt(&FILE).expect("in normal form").to_bytes();
    // Before it stand its hash and a newline.
    bytes[65..].to_vec()
}

/// Reads the bytes as a receipt, with the right hash before them and without, and uses it.
pub fn run(json: &[u8]) -> bool {
    assert_eq!(Receipt::from_bytes(json), None, "a receipt without a hash");
    let Some(receipt) = Receipt::from_bytes(&[sha256(json).as_bytes(), b"\n", json].concat()) else {
        return false;
    };
    let again = Receipt::from_bytes(&receipt.to_bytes());
    assert_eq!(again.as_ref(), Some(&receipt), "what we print, we read");
    let Some(known) = SNAPSHOT.targets_known(&receipt, &FILE) else { return false };
    assert!(known.document().targets().count() <= FILE.len(), "more targets than bytes");
    for number in (0..LISTED).step_by(9).chain([LISTED]) {
        let mut search = SNAPSHOT.search(known.clone(), &path(number));
        if let Ok(Step::Need(_)) = search.step() {
            assert!(search.supply(&FILE).is_err(), "nobody may sign for it");
        }
    }
    true
}

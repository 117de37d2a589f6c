//! Whole files of a root as any bytes. Nobody seals them anew, so that what is accepted was sealed when it
//! was planted, and only its wording may differ.

use tuf_core::TrustedRoot;

use crate::ground::{in_any_words, now, says_why};
use crate::reference::Paper;
use crate::seal::Seals;

/// Bootstraps from the bytes.
pub fn run(bytes: &[u8]) -> bool {
    in_any_words(bytes, weigh)
}

fn weigh(bytes: &[u8]) -> bool {
    match TrustedRoot::bootstrap(bytes, now(), &Seals) {
        Err(refusal) => says_why(&refusal),
        Ok(root) => {
            let paper = Paper::read(bytes).expect("accepted, but it is no envelope");
            assert!(paper.holds_under(&paper, "root"), "accepted below threshold");
            assert_eq!(root.version(), paper.version());
            assert!(!root.rotated(), "nothing came before it");
            let again = root.next(bytes).expect_err("a root that follows itself");
            says_why(&again);
            true
        }
    }
}

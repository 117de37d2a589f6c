//! The signed part of a root (TUF 4.3) as any text: sealed by the root key, offered as the second root.

use tuf_core::TrustedRoot;

use crate::ground::{ROOT, in_any_words, now, root_paper, says_why, trusted};
use crate::reference::{Paper, rotated};
use crate::seal::{Seals, enveloped};

/// Steps from the first root to the one offered, and bootstraps from it.
pub fn run(signed: &[u8]) -> bool {
    in_any_words(signed, weigh)
}

fn weigh(signed: &[u8]) -> bool {
    let bytes = enveloped(signed, &[ROOT]);
    let next = trusted().next(&bytes);
    let first = TrustedRoot::bootstrap(&bytes, now(), &Seals);
    for refusal in [next.as_ref().err(), first.as_ref().err()].into_iter().flatten() {
        says_why(refusal);
    }
    if let Ok(root) = first {
        let paper = Paper::read(&bytes).expect("accepted, but it is no envelope");
        assert!(paper.holds_under(&paper, "root"), "accepted below its own threshold");
        assert_eq!(root.version(), paper.version());
    }
    next.is_ok_and(|root| followed(root, &bytes))
}

fn followed(root: TrustedRoot, bytes: &[u8]) -> bool {
    let paper = Paper::read(bytes).expect("accepted, but it is no envelope");
    assert!(paper.holds_under(root_paper(), "root"), "accepted below the threshold of the root before");
    assert!(paper.holds_under(&paper, "root"), "accepted below its own threshold");
    assert_eq!((root.version(), paper.version()), (2, 2));
    assert_eq!(root.rotated(), rotated(root_paper(), &paper), "whether a key was rotated");
    says_why(&root.next(bytes).expect_err("a root that follows itself"));
    let expires = paper.expires();
    match root.current() {
        Ok(current) => {
            assert!(current.expires() > now(), "expired");
            assert_eq!(Some(current.expires()), expires);
            true
        }
        Err(refusal) => {
            assert!(expires.is_none_or(|expires| expires <= now()), "not expired: {refusal}");
            says_why(&refusal)
        }
    }
}

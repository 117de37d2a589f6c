//! Signatures over large documents, each checked once: right after it was made. The weighing that follows asks again,
//! of the same bytes, and Ed25519 would read all of them anew.

use std::sync::{Mutex, PoisonError};

use tuf_core::crypto::{self, Verify};
use tuf_core::hash::sha256;
use tuf_core::key::PublicKey;

/// Below this the answer is found as fast as it is looked up.
const LARGE: usize = 1 << 20;
/// The newest are kept: one publish signs a few large documents, each with a few keys.
const KEPT: usize = 64;

/// tuf-core's own provider, which remembers what it found good. Whether a signature is good depends on key, message
/// and signature alone, and two messages of one SHA-256 nobody can make.
#[derive(Debug)]
struct Checked {
    good: Mutex<Vec<Good>>,
}

#[derive(Debug, PartialEq)]
struct Good {
    key: PublicKey,
    message: [u8; 32],
    signature: Vec<u8>,
}

static CHECKED: Checked = Checked { good: Mutex::new(Vec::new()) };

/// What signatures are checked with here.
pub(crate) fn provider() -> &'static dyn Verify {
    &CHECKED
}

impl Verify for Checked {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        if message.len() < LARGE {
            return crypto::default().verify(key, message, signature);
        }
        let one = Good { key: key.clone(), message: sha256(message), signature: signature.to_vec() };
        if self.good.lock().unwrap_or_else(PoisonError::into_inner).contains(&one) {
            return true;
        }
        let is_good = crypto::default().verify(key, message, signature);
        if is_good {
            let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
            if good.len() >= KEPT {
                good.remove(0);
            }
            good.push(one);
        }
        is_good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tuf_core::crypto::{Ed25519Signer, Sign as _};

    #[test]
    fn only_the_same_key_message_and_signature_are_good_again() {
        let checked = Checked { good: Mutex::new(Vec::new()) };
        let signer = Ed25519Signer::from_seed(&[7; 32]);
        let other = Ed25519Signer::from_seed(&[8; 32]);
        let material = |signer: &Ed25519Signer| signer.key().material().unwrap();
        for length in [LARGE - 1, LARGE] {
            let message = vec![b'm'; length];
            let signature = signer.sign(&message).unwrap();
            for _ in 0..2 {
                assert!(checked.verify(&material(&signer), &message, &signature));
                assert!(!checked.verify(&material(&other), &message, &signature));
                assert!(!checked.verify(&material(&signer), &[&message[1..], b"n"].concat(), &signature));
                let mut wrong = signature.clone();
                wrong[3] ^= 1;
                assert!(!checked.verify(&material(&signer), &message, &wrong));
            }
        }
        assert_eq!(checked.good.lock().unwrap().len(), 1, "of the large one, and nothing that was bad");
        for number in 0..KEPT {
            let message = vec![u8::try_from(number).unwrap(); LARGE];
            assert!(checked.verify(&material(&signer), &message, &signer.sign(&message).unwrap()));
        }
        assert_eq!(checked.good.lock().unwrap().len(), KEPT);
    }
}

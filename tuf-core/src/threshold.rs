//! The one place where signatures are counted: by distinct key, over the received bytes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto::Verify;
use crate::envelope::Envelope;
use crate::hash::unhex;
use crate::key::Key;
use crate::schema::RoleKeys;
use crate::{Reason, Refusal, Role};

/// Whose signatures a document carries, and how many were demanded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signers {
    /// How many distinct keys had to sign.
    pub threshold: u32,
    /// The ids, as the delegating document declares them, of the keys that did.
    pub key_ids: Vec<String>,
}

/// Counts the good signatures of `envelope` by keys that `role_keys` allows.
///
/// A key that we can't read, a signature that is empty, wrong or of nobody listed counts for nothing and
/// spoils nothing. One key under two ids counts once (GHSA-3633-5h82-39pq).
pub(crate) fn weigh(
    crypto: &dyn Verify,
    role: &Role,
    step: &'static str,
    envelope: &Envelope,
    keys: &BTreeMap<String, Key>,
    role_keys: &RoleKeys,
) -> Result<Signers, Refusal> {
    let message = envelope.signed.canonical();
    let mut counted = BTreeSet::new();
    let mut key_ids = Vec::new();
    for signature in &envelope.signatures {
        if !role_keys.keyids.contains(&signature.keyid) {
            continue;
        }
        let Some(Ok(key)) = keys.get(&signature.keyid).map(Key::material) else { continue };
        let Some(bytes) = unhex(&signature.sig) else { continue };
        let (kind, material) = key.identity();
        let identity = (kind, material.to_vec());
        if !counted.contains(&identity) && crypto.verify(&key, &message, &bytes) {
            counted.insert(identity);
            key_ids.push(signature.keyid.clone());
        }
    }
    let need = role_keys.threshold.get();
    let got = u32::try_from(key_ids.len()).unwrap_or(u32::MAX);
    if got < need {
        let present = envelope.signatures.len();
        return Err(Refusal { role: role.clone(), step, reason: Reason::Threshold { need, got, present } });
    }
    Ok(Signers { threshold: need, key_ids })
}

//! One key's signature is there twice, so that a careless count comes to two.

use serde_json::Value;

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "one-key-twice",
    story: "the same signature is counted on twice",
    step: "TUF 4.2.1, 5.6.3",
    expected: Expected::Refused {
        link: "targets",
        says: &["targets is malformed: key ", "signed twice", "(TUF 5.6.3)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: nothing,
    strike: |world| {
        world.repo.signers.entry("targets".into()).or_default().truncate(1);
        world.repo.forges.insert("targets".into(), signed_twice);
        world.repo.publish()?;
        Ok(Vec::new())
    },
};

fn signed_twice(bytes: Vec<u8>) -> Vec<u8> {
    let mut file: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if let Some(signatures) = file.get_mut("signatures").and_then(Value::as_array_mut) {
        signatures.extend_from_within(..);
    }
    file.to_string().into_bytes()
}

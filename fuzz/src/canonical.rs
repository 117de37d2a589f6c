//! Canonical JSON (TUF 4.2): any bytes, beside olpc-cjson and beside serde_json.
//!
//! Three differences are known, and are not findings. Ours refuses what two readers could understand
//! differently. olpc-cjson normalises text to NFC, which the OLPC description doesn't ask for, and sorts keys
//! by how they are written, closing quote and escapes included, so that `"a "` comes before `"a"`; ours sorts
//! by code point, as python-tuf does.

use serde::Serialize as _;
use serde_json::Value;
use tuf_core::canonical::{canonical_value, canonicalise};
use unicode_normalization::is_nfc;

use crate::reference;

/// Turns bytes into the canonical form, and that into itself.
pub fn run(bytes: &[u8]) -> bool {
    let ours = canonicalise(bytes);
    if let Err(why) = &ours {
        assert!(!why.to_string().is_empty(), "a refusal without a reason");
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        assert!(ours.is_err(), "ours reads what serde_json does not");
        return false;
    };
    // A value has no duplicate keys, so only fractions and depth are left to refuse.
    let of_value = canonical_value(&value);
    let acceptable = depth(&value) <= tuf_core::limits::JSON_DEPTH && whole(&value);
    assert_eq!(of_value.is_ok(), acceptable, "{of_value:?}");
    let Ok(canonical) = ours else { return false };
    assert_eq!(of_value.as_ref(), Ok(&canonical), "the value and its text differ");
    assert_eq!(reference::canonical(&value).as_ref(), Some(&canonical), "the reference differs");
    if nfc(&value) && sorted_alike(&value) {
        assert_eq!(by_olpc_cjson(&value).as_ref(), Some(&canonical), "olpc-cjson differs");
    }
    stable(&canonical, &value);
    true
}

/// The canonical form is its own, where it is JSON: OLPC leaves control characters as they are.
fn stable(canonical: &[u8], value: &Value) {
    let control = canonical.iter().any(|byte| *byte < 0x20);
    match canonicalise(canonical) {
        Ok(again) => assert_eq!(again, canonical, "the canonical form of the canonical form differs"),
        Err(why) => assert!(control, "the canonical form is refused: {why}"),
    }
    if !control {
        assert_eq!(serde_json::from_slice::<Value>(canonical).ok().as_ref(), Some(value));
    }
}

fn by_olpc_cjson(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut out, olpc_cjson::CanonicalFormatter::new());
    value.serialize(&mut writer).ok()?;
    Some(out)
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

fn depth(value: &Value) -> usize {
    let below = children(value).into_iter().map(depth).max().unwrap_or(0);
    below + usize::from(value.is_array() || value.is_object())
}

fn whole(value: &Value) -> bool {
    !value.is_f64() && children(value).into_iter().all(whole)
}

/// Whether the order of keys is that of how they are written.
fn sorted_alike(value: &Value) -> bool {
    let written = |key: &String| format!("{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
    let own = value.as_object().is_none_or(|members| {
        let mut keys: Vec<&String> = members.keys().collect();
        keys.sort();
        keys.is_sorted_by_key(|key| written(key))
    });
    own && children(value).into_iter().all(sorted_alike)
}

fn nfc(value: &Value) -> bool {
    let own = match value {
        Value::String(text) => is_nfc(text),
        Value::Object(members) => members.keys().all(|key| is_nfc(key)),
        _ => true,
    };
    own && children(value).into_iter().all(nfc)
}

//! What else is said of a target: its `custom` member, kept as text, since a million images say much the same.

use std::cell::RefCell;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tuf_core::schema::Target;

use crate::failure::Failure;

/// JSON text. One that says what the one before it said shares its memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Custom(Arc<str>);

thread_local! {
    static LAST: RefCell<Arc<str>> = RefCell::new(Arc::from("null"));
}

impl Custom {
    fn of_text(text: &str) -> Self {
        LAST.with_borrow_mut(|last| {
            if **last != *text {
                *last = Arc::from(text);
            }
            Self(Arc::clone(last))
        })
    }

    pub(crate) fn of(value: &Value) -> Self {
        Self::of_text(&value.to_string())
    }

    /// What is said of a target that is published, if anything.
    pub(crate) fn of_target(target: &Target) -> Option<Self> {
        target.custom.as_ref().map(|listed| Self::of_text(listed.get()))
    }

    /// What it says.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// As metadata takes it.
    pub(crate) fn raw(&self) -> Result<Box<RawValue>, Failure> {
        RawValue::from_string(self.0.to_string()).map_err(Failure::refused)
    }

    /// Whether a target says the same, in whatever way it is written.
    pub(crate) fn is_said(&self, listed: &RawValue) -> bool {
        *self.0 == *listed.get()
            || serde_json::from_str::<Value>(listed.get()).is_ok_and(|listed| listed == self.value())
    }
}

impl Serialize for Custom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Custom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self::of_text(raw.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_said_twice_is_kept_once_and_compared_by_what_it_says() {
        let one = Custom::of(&json!({ "hallmark": { "version": 1 } }));
        let same = Custom::of(&json!({ "hallmark": { "version": 1 } }));
        assert!(Arc::ptr_eq(&one.0, &same.0));
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(text, r#"{"hallmark":{"version":1}}"#);
        assert_eq!(serde_json::from_str::<Custom>(&text).unwrap(), one);
        let spaced: Box<RawValue> = serde_json::from_str(r#"{ "hallmark": {"version" : 1} }"#).unwrap();
        assert!(one.is_said(&spaced));
        assert!(!Custom::of(&json!({})).is_said(&spaced));
    }
}

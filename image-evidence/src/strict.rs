//! JSON that two readers read the same: no member twice at any depth, and none too deep.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::limits::DEPTH_MAX;
use crate::refusal::Refusal;

/// Reads a document, of which members that aren't known are passed over.
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Refusal> {
    let malformed = |why: serde_json::Error| Refusal::malformed(what, why);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Depth(DEPTH_MAX).deserialize(&mut reader).map_err(malformed)?;
    reader.end().map_err(malformed)?;
    serde_json::from_slice(bytes).map_err(malformed)
}

/// A value that may have so many levels below it.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(inner)?;
            if let Some(twice) = names.replace(name) {
                return Err(A::Error::custom(format_args!("member {twice:?} twice")));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
        for (json, why) in [
            (r#"{"a":1,"a":2}"#, "member \"a\" twice"),
            (r#"{"x":[{"y":{"a":1,"\u0061":1}}]}"#, "member \"a\" twice"),
            (deep.as_str(), "nested too deeply"),
            ("{} {}", "trailing characters"),
        ] {
            let refused = read::<Value>("a statement", json.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(why), "{json}: {refused}");
        }
        assert!(read::<Value>("a statement", br#"{"a":[1,-2,2.5,null,true,"x"]}"#).is_ok());
    }
}

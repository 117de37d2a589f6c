//! JSON that two readers read the same: no member twice at any depth, and none too deep.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::limits::DEPTH_MAX;
use crate::refusal::Refusal;

/// Reads a document, of which members that aren't known are passed over.
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Refusal> {
    let malformed = |why: serde_json::Error| Refusal::malformed(what, why);
    // Once for all strings in it.
    let text = str::from_utf8(bytes).map_err(|why| Refusal::malformed(what, why))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Strict { levels: DEPTH_MAX, names: &mut Vec::new() }.deserialize(&mut reader).map_err(malformed)?;
    reader.end().map_err(malformed)?;
    serde_json::from_str(text).map_err(malformed)
}

/// A value that may have so many levels below it.
struct Strict<'n, 'de> {
    levels: usize,
    /// The names of the members of each object that is being read, the innermost last: one list for a document, so
    /// that its objects need none each.
    names: &'n mut Vec<Cow<'de, str>>,
}

impl<'de> Strict<'_, 'de> {
    fn deeper<E: serde::de::Error>(&mut self) -> Result<Strict<'_, 'de>, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Strict { levels, names: self.names })
    }

    /// That no member was there twice, of the object whose names begin at `start`; they are forgotten.
    fn expect_each_once<E: serde::de::Error>(&mut self, start: usize) -> Result<(), E> {
        let names = self.names.get_mut(start..).unwrap_or_default();
        names.sort_unstable();
        let twice = names.windows(2).find_map(|pair| match pair {
            [one, next] if one == next => Some(one),
            _ => None,
        });
        if let Some(twice) = twice {
            return Err(E::custom(format_args!("member {twice:?} twice")));
        }
        self.names.truncate(start);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let start = self.names.len();
        let mut inner = self.deeper()?;
        while let Some(name) = map.next_key_seed(Name)? {
            inner.names.push(name);
            map.next_value_seed(Strict { levels: inner.levels, names: inner.names })?;
        }
        inner.expect_each_once(start)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(Strict { levels: inner.levels, names: inner.names })?.is_some() {}
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

/// The name of a member: borrowed from the text, as long as nothing in it is escaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
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

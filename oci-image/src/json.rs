//! A pass over JSON before it is read, that refuses what two readers could read differently.
//!
//! serde_json skips members it doesn't know, and with them any duplicate inside. Go's readers take
//! `"Layers"` for `"layers"`, and the last of two equal members. So: no duplicate at any depth, and no
//! member whose name is one of ours in another case (except among annotations, whose names are free).

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

/// The deepest nesting. A manifest needs four levels; serde_json itself would stop at 128.
const DEPTH_MAX: usize = 32;

/// Members that mean something in manifests, indexes, descriptors and platforms.
const KNOWN: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "digest",
    "size",
    "urls",
    "data",
    "platform",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "fsLayers",
    "imageLayoutVersion",
];

/// The names of the members of the outermost object.
///
/// # Errors
/// When the bytes are not one JSON value, or one that two readers could read differently.
pub(crate) fn check(bytes: &[u8]) -> Result<BTreeSet<String>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let names = Value { depth: DEPTH_MAX, free_names: false }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(names)
}

/// A value that may have `depth` more levels below it.
#[derive(Clone, Copy)]
struct Value {
    depth: usize,
    free_names: bool,
}

impl Value {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth, free_names: false })
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = BTreeSet<String>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = BTreeSet<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !self.free_names && is_misspelt(&name) {
                return Err(A::Error::custom(format_args!("member {name:?} in the wrong case")));
            }
            map.next_value_seed(Self { free_names: name == "annotations", ..inner })?;
            if let Some(twice) = names.replace(name) {
                return Err(A::Error::custom(format_args!("member {twice:?} twice")));
            }
        }
        Ok(names)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let inner = self.inner()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(BTreeSet::new())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeSet::new())
    }
}

/// Whether Go's case-insensitive reader would take this for a member that it isn't. Go folds two
/// letters beyond ASCII: the long s and the Kelvin sign.
fn is_misspelt(name: &str) -> bool {
    let folded = name.replace('\u{17f}', "s").replace('\u{212a}', "k");
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&folded) && *known != name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_json_passes_and_names_its_members() {
        let names = check(br#"{"a": [1, -2, 3.5, null, true, "x"], "b": {"a": {}}}"#).unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        for (name, json, why) in [
            ("duplicate", r#"{"a":1,"a":2}"#, "member \"a\" twice"),
            ("duplicate by escape", r#"{"a":1,"\u0061":2}"#, "member \"a\" twice"),
            ("duplicate inside", r#"{"x":[{"y":{"a":1,"a":1}}]}"#, "member \"a\" twice"),
            ("wrong case", r#"{"Layers":[]}"#, "member \"Layers\" in the wrong case"),
            ("Go's long s", "{\"layer\u{17f}\":[]}", "member \"layerſ\" in the wrong case"),
            ("deep", deep.as_str(), "nested too deeply"),
            ("more after the end", "{} {}", "trailing characters"),
            ("nothing", "", "EOF while parsing"),
        ] {
            let got = check(json.as_bytes()).expect_err(name).to_string();
            assert!(got.contains(why), "{name}: {got}");
        }
    }

    #[test]
    fn annotations_may_have_any_name_but_not_twice() {
        assert!(check(br#"{"annotations":{"Size":"1","OS":"x"}}"#).is_ok());
        assert!(check(br#"{"annotations":{"x":"1","x":"2"}}"#).is_err());
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused() {
        assert!(check(b"{\"a\":\"\xff\"}").is_err());
    }
}

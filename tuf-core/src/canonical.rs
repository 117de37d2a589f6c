//! OLPC canonical JSON, the form over which TUF signatures are made (section 4.2).
//!
//! Keys are sorted by code point, white space is dropped, and only `"` and `\` are escaped. There are
//! no fractions. The received bytes are turned into this form in one pass that also refuses what two
//! readers could understand differently: duplicate keys, fractions, deep nesting, and text that is not
//! UTF-8. What comes out is therefore safe to hand to an ordinary parser.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::limits::JSON_DEPTH;
use crate::scan::Scanner;

/// Turns JSON bytes into their canonical form.
///
/// The result is not always JSON that a strict parser accepts: OLPC escapes only two characters, so a
/// string may hold raw control bytes (a PEM key has newlines).
///
/// # Errors
/// Says what is not canonicalisable and where: syntax, a duplicate key, a fraction, a depth over
/// [`JSON_DEPTH`], or a byte that is not UTF-8.
pub fn canonicalise(bytes: &[u8]) -> Result<Vec<u8>, JsonError> {
    utf8(bytes)?;
    match in_normal_form(bytes) {
        Some((text, false)) => Ok(text.to_vec()),
        Some((text, true)) => Ok(decode_control(text)),
        None => Ok(Normal::parse(bytes)?.into_canonical()),
    }
}

/// The value where it is in normal form, and whether control characters stand escaped in it. White space
/// around it, such as the newline at the end of a file, is no part of it.
fn in_normal_form(bytes: &[u8]) -> Option<(&[u8], bool)> {
    let mut scanner = Scanner::new(bytes, 0);
    scanner.skip_space();
    let span = scanner.span(0)?;
    scanner.skip_space();
    (scanner.at() == bytes.len()).then_some((bytes.get(span)?, scanner.control()))
}

/// Whether this is a value in normal form, and nothing else.
pub(crate) fn is_normal_form(bytes: &[u8]) -> bool {
    is_normal_at(bytes, 0)
}

/// The same for a value that lies so deep within another.
fn is_normal_at(bytes: &[u8], depth: usize) -> bool {
    let mut scanner = Scanner::new(bytes, 0);
    scanner.value(depth).is_some() && scanner.at() == bytes.len()
}

/// The same JSON in normal form, for a value that lies so deep within another: as it is, where it is so already.
pub(crate) fn normal_text(json: &str, depth: usize) -> Result<Cow<'_, str>, JsonError> {
    if is_normal_at(json.as_bytes(), depth) {
        return Ok(Cow::Borrowed(json));
    }
    let normal = Normal::parse(json.as_bytes())?.into_json();
    let normal = String::from_utf8(normal).map_err(|why| JsonError::new(&alloc::format!("{why}")))?;
    match is_normal_at(normal.as_bytes(), depth) {
        true => Ok(Cow::Owned(normal)),
        false => Err(JsonError::new("expected a value in normal form that isn't nested too deeply")),
    }
}

/// Writes a value in canonical form. A value that we hold has no duplicate keys; fractions are refused.
///
/// # Errors
/// Refuses a fraction, and nesting over [`JSON_DEPTH`].
pub fn canonical_value(value: &serde_json::Value) -> Result<Vec<u8>, JsonError> {
    canonicalise(&serde_json::to_vec(value).map_err(|why| JsonError::from_serde(&why))?)
}

/// A document that was read strictly: sorted, without white space, and still ordinary JSON, because
/// control characters are kept escaped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Normal {
    json: Vec<u8>,
    control: bool,
}

impl Normal {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut normal = Self { json: Vec::with_capacity(bytes.len()), control: false };
        parse_with(bytes, Node::at_top(&mut normal))?;
        Ok(normal)
    }

    /// The document as ordinary JSON.
    pub(crate) fn into_json(self) -> Vec<u8> {
        self.json
    }

    /// The document in OLPC's form: control characters stand for themselves.
    fn into_canonical(self) -> Vec<u8> {
        if self.control { decode_control(&self.json) } else { self.json }
    }
}

/// Turns JSON in normal form into OLPC's form: the control characters that stand escaped come to stand for
/// themselves.
pub(crate) fn decode_control(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = match escape {
            [b'\\', b'n', tail @ ..] => {
                out.push(b'\n');
                tail
            }
            // Only control characters are written so in normal form.
            [b'\\', b'u', b'0', b'0', high, low, tail @ ..] => {
                let digits = [*high, *low];
                let text = core::str::from_utf8(&digits).unwrap_or_default();
                out.push(u8::from_str_radix(text, 16).unwrap_or_default());
                tail
            }
            [first, second, tail @ ..] => {
                out.extend([*first, *second]);
                tail
            }
            short => {
                out.extend_from_slice(short);
                &[]
            }
        };
    }
    out.extend_from_slice(rest);
    out
}

/// Runs a seed over a whole text, and refuses what follows it.
pub(crate) fn parse_with<'a, S: DeserializeSeed<'a>>(
    bytes: &'a [u8],
    seed: S,
) -> Result<S::Value, JsonError> {
    let mut parser = serde_json::Deserializer::from_str(utf8(bytes)?);
    let value = seed.deserialize(&mut parser).map_err(|why| JsonError::from_serde(&why))?;
    parser.end().map_err(|why| JsonError::from_serde(&why))?;
    Ok(value)
}

/// The bytes as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    core::str::from_utf8(bytes)
        .map_err(|why| JsonError { what: alloc::format!("not UTF-8 at byte {}", why.valid_up_to()) })
}

/// Why a text is not acceptable JSON, with line and column where they are known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonError {
    what: String,
}

impl JsonError {
    pub(crate) fn new(what: &str) -> Self {
        Self { what: what.into() }
    }

    pub(crate) fn from_serde(why: &serde_json::Error) -> Self {
        Self { what: alloc::format!("{why}") }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl core::error::Error for JsonError {}

impl Normal {
    fn string(&mut self, text: &str) {
        self.json.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            let (plain, tail) = rest.split_at(at);
            self.json.extend_from_slice(plain);
            match tail.first() {
                Some(&byte @ (b'"' | b'\\')) => self.json.extend([b'\\', byte]),
                Some(byte) => {
                    self.control = true;
                    self.json.extend_from_slice(alloc::format!("\\u{byte:04x}").as_bytes());
                }
                None => {}
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        self.json.extend_from_slice(rest);
        self.json.push(b'"');
    }

    /// Puts the members of one object, which stand in `json` from `start` on, into the order of their keys.
    fn sort(&mut self, start: usize, members: &mut [(String, Range<usize>)]) {
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut sorted = Vec::with_capacity(self.json.len().saturating_sub(start));
        for (index, (_, range)) in members.iter().enumerate() {
            if index > 0 {
                sorted.push(b',');
            }
            sorted.extend_from_slice(self.json.get(range.clone()).unwrap_or_default());
        }
        self.json.truncate(start);
        self.json.append(&mut sorted);
    }
}

/// One value of the document, written as it is read.
pub(crate) struct Node<'w> {
    writer: &'w mut Normal,
    depth: usize,
}

impl<'w> Node<'w> {
    pub(crate) fn at_top(writer: &'w mut Normal) -> Self {
        Self { writer, depth: 0 }
    }

    fn inner<E: de::Error>(&mut self) -> Result<Node<'_>, E> {
        let depth = self.depth.saturating_add(1);
        if depth > JSON_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {JSON_DEPTH}")));
        }
        Ok(Node { writer: self.writer, depth })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.writer.json.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.writer.json.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.writer.json.extend_from_slice(alloc::format!("{value}").as_bytes());
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.writer.json.extend_from_slice(alloc::format!("{value}").as_bytes());
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        Err(E::custom(format_args!("the number {value} is a fraction or too large")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.writer.string(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.writer.json.push(b'[');
        let node = self.inner()?;
        let mut first = true;
        loop {
            let before = node.writer.json.len();
            if !first {
                node.writer.json.push(b',');
            }
            let item = Node { writer: node.writer, depth: node.depth };
            if items.next_element_seed(item)?.is_none() {
                node.writer.json.truncate(before);
                break;
            }
            first = false;
        }
        node.writer.json.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.writer.json.push(b'{');
        let start = self.writer.json.len();
        let node = self.inner()?;
        let mut members: Vec<(String, Range<usize>)> = Vec::new();
        let mut ordered = true;
        while let Some(key) = map.next_key::<String>()? {
            if !members.is_empty() {
                node.writer.json.push(b',');
            }
            ordered &= members.last().is_none_or(|(last, _)| *last < key);
            let from = node.writer.json.len();
            node.writer.string(&key);
            node.writer.json.push(b':');
            map.next_value_seed(Node { writer: node.writer, depth: node.depth })?;
            let range = from..node.writer.json.len();
            members.push((key, range));
        }
        if !ordered {
            node.writer.sort(start, &mut members);
            if let Some([(twice, _), _]) = members.array_windows().find(|[(a, _), (b, _)]| a == b) {
                return Err(de::Error::custom(format_args!("duplicate key {twice:?}")));
            }
        }
        node.writer.json.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn keys_are_sorted_and_only_two_characters_are_escaped() {
        let text = br#" { "b" : [1, -2, true, null, []], "a\u000a" : "q\"\\\n\u00e9", "A": {} } "#;
        let canonical = canonicalise(text).unwrap();
        assert_eq!(
            String::from_utf8(canonical).unwrap(),
            "{\"A\":{},\"a\n\":\"q\\\"\\\\\n\u{e9}\",\"b\":[1,-2,true,null,[]]}"
        );
    }

    #[test]
    fn white_space_around_a_document_in_normal_form_sends_it_no_other_way() {
        for (text, canonical, control) in [
            ("{\"a\":[1,\"b\"]}\n", "{\"a\":[1,\"b\"]}", false),
            (" \r\n\t{\"a\":\"\\n\"} \r\n\t", "{\"a\":\"\n\"}", true),
            ("7\n", "7", false),
        ] {
            let (found, escaped) = in_normal_form(text.as_bytes()).expect(text);
            assert_eq!((found, escaped), (text.trim().as_bytes(), control), "{text:?}");
            assert_eq!(canonicalise(text.as_bytes()).unwrap(), canonical.as_bytes(), "{text:?}");
        }
        // A form feed is no white space of JSON, and neither reader takes what follows the value.
        for text in ["{}\x0c", "\x0b{}", "{}\u{a0}", "{}\n,", "{} {}", " ", "\n"] {
            assert!(in_normal_form(text.as_bytes()).is_none() && canonicalise(text.as_bytes()).is_err());
        }
    }

    #[test]
    fn normalised_text_is_json_again_and_says_the_same() {
        let text = br#"{"z":"\u0001\n","a":{"y":1,"x":[{"b":2,"a":1}]}}"#;
        let normal = Normal::parse(text).unwrap().json;
        let (a, b): (serde_json::Value, serde_json::Value) =
            (serde_json::from_slice(text).unwrap(), serde_json::from_slice(&normal).unwrap());
        assert_eq!(a, b);
        assert_eq!(Normal::parse(&normal).unwrap().json, normal);
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        let deep = "[".repeat(30) + &"]".repeat(30);
        let cases: &[(&str, &[u8], &str)] = &[
            ("duplicate key", br#"{"a":1,"a":2}"#, "duplicate key \"a\""),
            ("duplicate key, escaped", br#"{"a":1,"b":0,"\u0061":2}"#, "duplicate key \"a\""),
            ("fraction", b"[1.5]", "fraction"),
            ("too large a number", b"[18446744073709551616]", "fraction or too large"),
            ("deep", deep.as_bytes(), "nested deeper than 24"),
            ("not UTF-8", b"\"\xff\"", "not UTF-8 at byte 1"),
            ("trailing bytes", b"{} {}", "trailing characters"),
            ("lone surrogate", br#""\ud800\u0041""#, "surrogate"),
            ("empty", b"", "EOF"),
        ];
        for (name, text, why) in cases {
            let error = canonicalise(text).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}

//! Reads JSON that is in normal form already, without copying it.
//!
//! Normal form is canonical JSON (section 4.2) in which control characters may stand escaped, as JSON
//! demands. Most repositories write their large documents so, and then the received bytes are what
//! signatures are over. What isn't in this form is no error here: [`crate::canonical`] brings it there.
//!
//! It decides nothing about meaning. What it accepts, the strict reader of [`crate::canonical`] accepts
//! as well, and turns into the same bytes; `tests/properties.rs` and a fuzz target hold it to that.

use alloc::borrow::Cow;
use alloc::string::String;
use core::cmp::Ordering;
use core::ops::Range;

use crate::limits::JSON_DEPTH;

/// Digits that fit into 64 bits whatever they are.
const DIGITS: usize = 18;

/// A position in a text. `None` from a method means: not in normal form, or not JSON at all.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    control: bool,
}

impl<'a> Scanner<'a> {
    /// Starts at `at`. The text must be UTF-8: strings are taken as they are.
    pub(crate) fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at, control: false }
    }

    /// Where it stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether a control character was met, escaped.
    pub(crate) fn control(&self) -> bool {
        self.control
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.step(1))
    }

    /// Skips white space: for the envelope, which is signed by nobody.
    pub(crate) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step(1);
        }
    }

    /// Takes one character, with white space before it.
    pub(crate) fn take_spaced(&mut self, wanted: u8) -> Option<()> {
        self.skip_space();
        self.take(wanted)
    }

    /// One value, `depth` deep.
    pub(crate) fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' => self.members(depth, |scanner, _| scanner.value(depth.saturating_add(1))),
            b'[' => self.elements(depth, |scanner| scanner.value(depth.saturating_add(1))),
            b'"' => self.string().map(drop),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number(),
        }
    }

    /// An object whose keys ascend. `each` is given a key, as it is written, and reads the value.
    pub(crate) fn members(
        &mut self,
        depth: usize,
        mut each: impl FnMut(&mut Self, &'a [u8]) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if depth >= JSON_DEPTH {
            return None;
        }
        if self.take(b'}').is_some() {
            return Some(());
        }
        let mut last: Option<&[u8]> = None;
        loop {
            let key = self.string()?;
            if last.is_some_and(|last| compare(last, key) != Some(Ordering::Less)) {
                return None;
            }
            last = Some(key);
            self.take(b':')?;
            each(self, key)?;
            match self.take(b',') {
                Some(()) => {}
                None => return self.take(b'}'),
            }
        }
    }

    /// An array. `each` reads one element.
    pub(crate) fn elements(
        &mut self,
        depth: usize,
        mut each: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(b'[')?;
        if depth >= JSON_DEPTH {
            return None;
        }
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            each(self)?;
            match self.take(b',') {
                Some(()) => {}
                None => return self.take(b']'),
            }
        }
    }

    /// A string; what stands between its quotes.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            self.skip_plain();
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape()?,
                0..=0x1f => return None,
                _ => self.step(1),
            }
        }
        let text = self.text.get(start..self.at)?;
        self.step(1);
        Some(text)
    }

    /// Goes to the next quote, backslash or control character, eight bytes at a time; near the end of the text, where
    /// eight are no longer there, it may stop before.
    fn skip_plain(&mut self) {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
        // A byte is below another where subtracting borrows into its high bit and the bit wasn't set before. Bytes
        // above such a one may look so too: the lowest, which is the first of the text, never lies.
        let below = |word: u64, limit: u64| word.wrapping_sub(limit) & !word & HIGH;
        while let Some(eight) = self.text.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*eight);
            let quote = below(word ^ u64::from_le_bytes([b'"'; 8]), ONES);
            let backslash = below(word ^ u64::from_le_bytes([b'\\'; 8]), ONES);
            let control = below(word, u64::from_le_bytes([0x20; 8]));
            let found = quote | backslash | control;
            if found != 0 {
                self.step((found.trailing_zeros() / 8) as usize);
                return;
            }
            self.step(8);
        }
    }

    /// The escapes of normal form: `\"` and `\\`, which are canonical, and control characters in the two
    /// spellings `\n` and `\u00XX`.
    fn escape(&mut self) -> Option<()> {
        match self.text.get(self.at..)? {
            [b'\\', b'"' | b'\\', ..] => self.step(2),
            [b'\\', b'n', ..] => {
                self.control = true;
                self.step(2);
            }
            [b'\\', b'u', b'0', b'0', b'0' | b'1', b'0'..=b'9' | b'a'..=b'f', ..] => {
                self.control = true;
                self.step(6);
            }
            _ => return None,
        }
        Some(())
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.step(word.len()))
    }

    fn number(&mut self) -> Option<()> {
        let minus = self.take(b'-').is_some();
        let rest = self.text.get(self.at..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let leading_zero = rest.first() == Some(&b'0') && (digits > 1 || minus);
        let fraction = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        if digits == 0 || leading_zero || fraction {
            return None;
        }
        if digits > DIGITS {
            let text = core::str::from_utf8(rest.get(..digits)?).ok()?;
            let number: u64 = text.parse().ok()?;
            // The lowest number has no positive counterpart.
            let lowest = i64::MIN.unsigned_abs();
            if minus && number > lowest {
                return None;
            }
        }
        self.step(digits);
        Some(())
    }

    /// Where the value ends that starts here.
    pub(crate) fn span(&mut self, depth: usize) -> Option<Range<usize>> {
        let start = self.at;
        self.value(depth)?;
        Some(start..self.at)
    }
}

/// Which of two keys, as they are written, comes first by code point.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Option<Ordering> {
    if a.contains(&b'\\') || b.contains(&b'\\') {
        return Some(unescaped(a)?.as_bytes().cmp(unescaped(b)?.as_bytes()));
    }
    Some(a.cmp(b))
}

/// The text of a string as it is written between its quotes.
pub(crate) fn unescaped(written: &[u8]) -> Option<Cow<'_, str>> {
    let text = core::str::from_utf8(written).ok()?;
    if !written.contains(&b'\\') {
        return Some(Cow::Borrowed(text));
    }
    let quoted: String = ["\"", text, "\""].concat();
    serde_json::from_str(&quoted).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> Option<bool> {
        let mut scanner = Scanner::new(text.as_bytes(), 0);
        scanner.value(0)?;
        (scanner.at() == text.len()).then(|| scanner.control())
    }

    #[test]
    fn normal_form_is_recognised_and_nothing_else() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let cases: &[(&str, Option<bool>)] = &[
            (r#"{"a":[1,-2,true,false,null,{}],"b":"é"}"#, Some(false)),
            (r#"{"a":1,"a\"":2,"b":3}"#, Some(false)),
            (r#"{"a\n":1,"b":"\u001f\n"}"#, Some(true)),
            (&deep(JSON_DEPTH), Some(false)),
            (&deep(JSON_DEPTH + 1), None),
            (r#"{"b":1,"a":2}"#, None),
            (r#"{"a":1,"a":2}"#, None),
            // A newline comes before a quote, however it is written.
            (r#"{"a\"":1,"a\n":2}"#, None),
            (r#"{"a\n":1,"a\"":2}"#, Some(true)),
            (r#"{"a": 1}"#, None),
            (r#"["\u00e9"]"#, None),
            (r#"["\/"]"#, None),
            (r#"["\u001F"]"#, None),
            ("[\"\n\"]", None),
            ("[01]", None),
            ("[-0]", None),
            ("[1.5]", None),
            ("[1e3]", None),
            ("[1234567890123456789,18446744073709551615,-9223372036854775808]", Some(false)),
            ("[18446744073709551616]", None),
            ("[-9223372036854775809]", None),
            ("[1000000000000000000000]", None),
            ("[1,]", None),
            ("[+1]", None),
            ("[--1]", None),
            ("{\"a\":}", None),
            ("{\"a\"}", None),
            ("{,}", None),
            ("tru", None),
            ("\"a", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(normal(text), *expected, "{text}");
        }
    }

    #[test]
    fn a_quote_backslash_or_control_character_is_seen_wherever_it_stands() {
        for length in 0..40 {
            for at in 0..length {
                let mut text = alloc::vec![b'x'; length];
                assert_eq!(normal(&alloc::format!("\"{}\"", "é".repeat(length))), Some(false));
                for (byte, expected) in [(b'\x1f', None), (b'\\', None), (b'"', None), (b' ', Some(false))] {
                    text[at] = byte;
                    let quoted = alloc::format!("\"{}\"", core::str::from_utf8(&text).unwrap());
                    assert_eq!(normal(&quoted), expected, "{quoted:?}");
                }
            }
        }
    }
}

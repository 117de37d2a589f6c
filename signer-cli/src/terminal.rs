//! What a person sees: colour where it is welcome, and text from outside that can't move the cursor.

use std::borrow::Cow;
use std::io::{IsTerminal as _, stderr};

/// Red, on a terminal that may show it.
pub(crate) fn bad(text: &str, colour: bool) -> String {
    if colour && stderr().is_terminal() { format!("\x1b[1;31m{text}\x1b[0m") } else { text.to_owned() }
}

/// Text from outside, with control characters shown instead of sent.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte == b'\n' || (b' '..0x7f).contains(&byte);
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        if moves(one) && one != '\n' {
            out.extend(one.escape_default());
        } else {
            out.push(one);
        }
    }
    Cow::Owned(out)
}

/// A name from outside, as a part of one line: it can't begin a line of its own.
pub(crate) fn one_line(text: &str) -> String {
    shown(text).replace('\n', "\\n")
}

/// Whether a character moves what is shown: a control character, or one that turns the direction of writing.
fn moves(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Something the person should know that changes nothing.
pub(crate) fn note(text: &str) {
    eprintln!("note: {}", shown(text));
}

/// Something the person should change.
pub(crate) fn warn(text: &str) {
    eprintln!("warning: {}", shown(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        assert_eq!(shown("a\u{1b}[2Jb\u{7f}"), "a\\u{1b}[2Jb\\u{7f}");
        assert_eq!(shown("a\u{202e}b\nc"), "a\\u{202e}b\nc");
        assert_eq!(one_line("a\nb\u{1b}"), "a\\nb\\u{1b}");
    }
}

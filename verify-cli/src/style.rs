//! Colour, where a terminal shows it and nobody asked for none.

use std::io::IsTerminal;

/// Whether to colour what goes to one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// For stderr: colour on a terminal, unless `NO_COLOR` is set.
    pub(crate) fn stderr() -> Self {
        Self::of(std::io::stderr().is_terminal())
    }

    /// For stdout, likewise.
    pub(crate) fn stdout() -> Self {
        Self::of(std::io::stdout().is_terminal())
    }

    fn of(terminal: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: terminal && !unwanted }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn unsure(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// The colours of Docker Hub's old view: critical red, major orange, minor yellow.
    pub(crate) fn severity(self, severity: image_scan::Severity, text: &str) -> String {
        use image_scan::Severity;
        match severity {
            Severity::Critical => self.paint("1;31", text),
            Severity::High => self.paint("38;5;208", text),
            Severity::Medium | Severity::Low => self.paint("33", text),
            Severity::Negligible | Severity::Unknown => self.faint(text),
        }
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// A line on stdout. A reader that closed the pipe has seen enough, so that is no error.
macro_rules! out {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

/// A line on stderr, likewise.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

pub(crate) use {out, say};

/// Every digest in a text, cut to a length that a person compares.
pub(crate) fn short_digests(text: &str) -> String {
    const KEPT: usize = 12;
    let mut parts = text.split("sha256:");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hex = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (digest, rest) = part.split_at_checked(hex).unwrap_or((part, ""));
        let cut = digest.get(..KEPT).filter(|_| hex == 64);
        short.push_str("sha256:");
        short.push_str(cut.unwrap_or(digest));
        short.push_str(if cut.is_some() { "…" } else { "" });
        short.push_str(rest);
    }
    short
}

/// Text from outside, safe for a terminal: control characters are shown, not sent.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|one| {
            // Nor what turns or hides the letters beside it (Unicode Standard Annex 9).
            let turns = matches!(one, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
            let hide = turns || one.is_control() && one != '\n';
            if hide { one.escape_default().collect::<Vec<_>>() } else { vec![one] }
        })
        .collect()
}

/// As [`shown`], in one line: text from outside can't look like a line of ours.
pub(crate) fn in_a_line(text: &str) -> String {
    shown(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_cut_and_nothing_else_is() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(
            short_digests(&format!("expected {digest}, got sha256:12")),
            "expected sha256:abababababab…, got sha256:12"
        );
    }

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(shown("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(in_a_line("a\ntrusted\u{1b}"), "a\\ntrusted\\u{1b}");
    }
}

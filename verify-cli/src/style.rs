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

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// Text from outside, safe for a terminal: control characters are shown, not sent.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|one| {
            let hide = one.is_control() && one != '\n';
            if hide { one.escape_default().collect::<Vec<_>>() } else { vec![one] }
        })
        .collect()
}

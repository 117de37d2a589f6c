//! Maven's order, as its version order specification (POM reference) describes it.

use std::cmp::Ordering;

use super::{front, is_digit, numbers};

/// A part, and the separator before it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Token {
    dash: bool,
    text: String,
}

#[derive(Clone, Debug)]
pub(super) struct Version(Vec<Token>);

impl Version {
    pub(super) fn parse(text: &str) -> Self {
        Self(trim(tokens(&text.to_lowercase())))
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let longest = self.0.len().max(other.0.len());
        (0..longest)
            .map(|index| token(self.0.get(index), other.0.get(index)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Split at dots, dashes, and where digits and letters meet, which is as good as a dash.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let (mut rest, mut dash) = (text, false);
    loop {
        let digits = front(&mut rest, is_digit);
        let is_word = digits.is_empty();
        let word = if is_word { front(&mut rest, |c| !is_digit(c) && c != '.' && c != '-') } else { digits };
        let meets = rest.starts_with(|c: char| !".-".contains(c));
        let alias = match word {
            "" => "0",
            "a" if meets => "alpha",
            "b" if meets => "beta",
            "m" if meets => "milestone",
            "cr" => "rc",
            "ga" | "final" | "release" => "",
            word => word,
        };
        tokens.push(Token { dash, text: alias.to_owned() });
        let Some(next) = rest.chars().next() else { return tokens };
        dash = next != '.';
        rest = rest.strip_prefix(['.', '-']).unwrap_or(rest);
    }
}

/// Without what is as good as nothing, at the end and before each dash.
fn trim(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::new();
    for token in tokens {
        if token.dash {
            drop_null(&mut kept);
        }
        kept.push(token);
    }
    drop_null(&mut kept);
    kept
}

fn drop_null(tokens: &mut Vec<Token>) {
    let null = |token: &Token| token.text.chars().all(|c| c == '0');
    while tokens.len() > 1 && tokens.last().is_some_and(null) {
        tokens.pop();
    }
}

fn token(a: Option<&Token>, b: Option<&Token>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => rank(a).cmp(&rank(b)).then_with(|| same_rank(a, b)),
        (Some(a), None) => token(Some(a), Some(&padding(a))),
        (None, Some(b)) => token(Some(&padding(b)), Some(b)),
        (None, None) => Ordering::Equal,
    }
}

/// What stands for nothing, against a token.
fn padding(other: &Token) -> Token {
    let text = if is_number(other) { "0" } else { "" };
    Token { dash: other.dash, text: text.to_owned() }
}

fn is_number(token: &Token) -> bool {
    token.text.starts_with(is_digit)
}

/// `.word` is below `-word`, which is below `-1`, which is below `.1`.
fn rank(token: &Token) -> u8 {
    match (is_number(token), token.dash) {
        (false, false) => 0,
        (false, true) => 1,
        (true, true) => 2,
        (true, false) => 3,
    }
}

fn same_rank(a: &Token, b: &Token) -> Ordering {
    if is_number(a) {
        return numbers(&a.text, &b.text);
    }
    qualifier(&a.text).cmp(&qualifier(&b.text))
}

fn qualifier(word: &str) -> (u8, &str) {
    match word {
        "alpha" => (0, ""),
        "beta" => (1, ""),
        "milestone" => (2, ""),
        "rc" => (3, ""),
        "snapshot" => (4, ""),
        "" => (5, ""),
        "sp" => (6, ""),
        word => (7, word),
    }
}

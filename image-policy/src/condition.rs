//! The last condition of a scope, in CEL: what no member of a scope can say, of the same facts that the others decide on.
//!
//! Only a part of the language is let in, so that a condition can be checked before it decides: every name and
//! member is known with its type, nothing is ever absent, and no condition runs for long. What can't be evaluated is
//! an error, which nobody may take for a yes.

mod check;

use std::fmt;

use cel::{Context, Env, Program, Value};
use serde::Serialize;

use check::Checker;

/// The longest condition, in bytes: some twenty comparisons.
const TEXT_MAX: usize = 2000;

/// How many brackets may be within each other, and how many choices (`? :`) there may be: the parser calls itself for
/// each, and a stack has an end. What people write has four.
const NESTED_MAX: usize = 10;

/// The deepest nesting of an expression, as the parser counts it.
const DEPTH_MAX: u16 = 32;

/// The longest list that a condition walks: two walks within each other stay below a hundred thousand steps.
const LIST_MAX: usize = 200;

/// A condition that was checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    text: String,
    looks_at: Vec<Subject>,
}

/// What is wrong with a condition, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    /// Where in the text: bytes before it.
    pub(crate) offset: usize,
    /// What was expected, and what came.
    pub(crate) what: String,
}

/// What must have been looked at, for a condition that mentions it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Subject {
    /// Signatures and attestations.
    Evidence,
    /// A scan.
    Scan,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a condition is about: its variables. Each member is always there, and has one type.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Variables {
    pub(crate) image: Image,
    pub(crate) role: String,
    pub(crate) repo: String,
    pub(crate) root: String,
    pub(crate) signers: Vec<Signer>,
    pub(crate) evidence: Vec<Piece>,
    pub(crate) builders: Vec<Built>,
    pub(crate) scan: Scanned,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) digest: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Signer {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) issuer: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Piece {
    pub(crate) predicate: String,
    pub(crate) fresh: bool,
    /// Seconds since it was said; of no time, the most there is.
    pub(crate) age: i64,
    pub(crate) signers: Vec<Signer>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Built {
    pub(crate) id: String,
    pub(crate) level: i64,
    pub(crate) source: String,
    pub(crate) unexpected: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Scanned {
    pub(crate) critical: i64,
    pub(crate) high: i64,
    pub(crate) medium: i64,
    pub(crate) low: i64,
    pub(crate) negligible: i64,
    pub(crate) unknown: i64,
    pub(crate) exploited: i64,
    pub(crate) fixable: i64,
    pub(crate) gaps: i64,
    /// Seconds; without a database, the most there is.
    pub(crate) database_age: i64,
}

impl Condition {
    /// Reads and checks a condition.
    ///
    /// # Errors
    /// With everything that is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let fault = |what: String| vec![Fault { offset: 0, what }];
        if text.trim().is_empty() {
            return Err(fault("expected a condition in CEL, got nothing".to_owned()));
        }
        if text.len() > TEXT_MAX {
            return Err(fault(format!(
                "expected a condition of at most {TEXT_MAX} bytes, got {}",
                text.len()
            )));
        }
        expect_shallow(text).map_err(|fault| vec![fault])?;
        let parser = Env::stdlib().parser().max_recursion_depth(DEPTH_MAX).enable_optional_syntax(false);
        let (expression, places) = parser.parse_with_source_info(text).map_err(|errors| {
            let one = |error: &cel::ParseError| Fault {
                offset: offset_of(text, error.pos),
                what: format!("expected a condition in CEL, got {}", error.msg),
            };
            // What follows the first mistake of form is mostly of its making.
            errors.errors.iter().take(1).map(one).collect::<Vec<_>>()
        })?;
        let mut checker = Checker::new(|id| {
            let chars = places.offset_for(id).map_or(0, |(start, _)| usize::try_from(start).unwrap_or(0));
            text.char_indices().nth(chars).map_or(0, |(offset, _)| offset)
        });
        checker.expect_condition(&expression);
        let (faults, looks_at) = checker.end();
        match faults.is_empty() {
            true => Ok(Self { text: text.to_owned(), looks_at }),
            false => Err(faults),
        }
    }

    /// Whether signatures and attestations must have been looked for.
    #[must_use]
    pub fn looks_at_evidence(&self) -> bool {
        self.looks_at.contains(&Subject::Evidence)
    }

    /// Whether a scan must have been made.
    #[must_use]
    pub fn looks_at_scan(&self) -> bool {
        self.looks_at.contains(&Subject::Scan)
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Where that can't be told.
    pub(crate) fn holds(&self, of: &Variables) -> Result<bool, String> {
        let longest = [of.signers.len(), of.evidence.len(), of.builders.len()].into_iter().max().unwrap_or(0);
        if longest > LIST_MAX {
            return Err(format!("expected lists of at most {LIST_MAX} for a condition, got {longest}"));
        }
        let program = Program::compile(&self.text).map_err(|why| why.to_string())?;
        let mut context = Context::default();
        let mut add = |name: &str, value: Result<Value, cel::SerializationError>| {
            value.map(|value| context.add_variable_from_value(name, value)).map_err(|why| why.to_string())
        };
        add("image", cel::to_value(&of.image))?;
        add("role", cel::to_value(&of.role))?;
        add("repo", cel::to_value(&of.repo))?;
        add("root", cel::to_value(&of.root))?;
        add("signers", cel::to_value(&of.signers))?;
        add("evidence", cel::to_value(&of.evidence))?;
        add("builders", cel::to_value(&of.builders))?;
        add("scan", cel::to_value(&of.scan))?;
        match program.execute(&context).map_err(|why| why.to_string())? {
            Value::Bool(holds) => Ok(holds),
            other => Err(format!("expected true or false, got {:?}", other.type_of())),
        }
    }
}

/// That the parser won't call itself too often. Told before it begins, by reading texts as CEL does: so the forms that
/// would make that hard, texts of several lines or without escapes, and remarks, are not let in.
fn expect_shallow(text: &str) -> Result<(), Fault> {
    let (mut nested, mut choices, mut quote, mut escaped) = (0_usize, 0_usize, None, false);
    let mut before = [' ', ' '];
    for (offset, one) in text.char_indices() {
        let wrong = |what: String| Err(Fault { offset, what });
        match (quote, one) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if one == open => quote = None,
            (Some(_), '\n') => return wrong("expected the end of a text before that of its line".to_owned()),
            (Some(_), _) => {}
            (None, '"' | '\'') if before == [one, one] => {
                return wrong("expected a text within one pair of quotes, got three".to_owned());
            }
            (None, '"' | '\'') if matches!(before, [_, 'r' | 'R' | 'b' | 'B']) => {
                return wrong("expected a text in quotes, got one with a letter before it".to_owned());
            }
            (None, '"' | '\'') => quote = Some(one),
            (None, '/') if matches!(before, [_, '/']) => {
                return wrong("expected a condition without remarks".to_owned());
            }
            (None, '(' | '[' | '{') => nested = nested.saturating_add(1),
            (None, ')' | ']' | '}') => nested = nested.saturating_sub(1),
            (None, '?') => choices = choices.saturating_add(1),
            (None, _) => {}
        }
        let [_, last] = before;
        before = [last, one];
        if nested.max(choices) > NESTED_MAX {
            return wrong(format!(
                "expected at most {NESTED_MAX} brackets within each other, and choices, got more"
            ));
        }
    }
    Ok(())
}

/// A line and a column, both from 1 on, as bytes before them.
fn offset_of(text: &str, (line, column): (isize, isize)) -> usize {
    let back = |from: isize| usize::try_from(from.saturating_sub(1)).unwrap_or(0);
    let before: usize = text.split_inclusive('\n').take(back(line)).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let column = rest.char_indices().nth(back(column)).map_or(rest.len(), |(offset, _)| offset);
    before.saturating_add(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let signer = |name: &str| Signer { kind: "key".into(), name: name.into(), ..Signer::default() };
        Variables {
            image: Image { repository: "acme/web".into(), tag: "1.4".into(), ..Image::default() },
            role: "targets".into(),
            signers: vec![signer("a.pub"), signer("b.pub")],
            evidence: vec![Piece {
                predicate: "https://spdx.dev/Document".into(),
                fresh: true,
                age: 3600,
                signers: vec![signer("ci.pub")],
            }],
            builders: vec![Built { id: "b".into(), level: 3, source: "s".into(), unexpected: vec![] }],
            scan: Scanned { high: 2, fixable: 1, ..Scanned::default() },
            ..Variables::default()
        }
    }

    #[test]
    fn conditions_hold_of_what_they_say() {
        for (text, holds) in [
            ("true", true),
            ("image.repository.startsWith(\"acme/\") && image.tag != 'latest'", true),
            ("role in [\"targets\", \"releases\"]", true),
            ("role == \"releases\"", false),
            ("size(signers) >= 2 && signers.all(s, s.kind == 'key')", true),
            ("signers.exists_one(s, s.name.endsWith('a.pub'))", true),
            ("signers.filter(s, s.name == 'x').size() == 0", true),
            ("evidence.exists(e, e.fresh && e.age < 86400 && e.signers.exists(s, s.name == 'ci.pub'))", true),
            ("evidence.map(e, e.predicate).exists(p, p.contains('cyclonedx'))", false),
            ("builders.exists(b, b.level >= 3 && size(b.unexpected) == 0)", true),
            ("scan.critical == 0 && scan.high - scan.fixable <= 1", true),
            ("!(scan.high > 1)", false),
            ("image.tag.startsWith('2') ? role == 'x' : role == 'targets'", true),
            ("signers[0].name == 'a.pub'", true),
        ] {
            let condition = Condition::parse(text).unwrap_or_else(|why| panic!("{text}: {why:?}"));
            assert_eq!(condition.holds(&variables()), Ok(holds), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_a_condition_is_told_with_its_place() {
        for (text, offset, words) in [
            ("", 0, "got nothing"),
            ("role ==", 7, "expected a condition in CEL"),
            ("role", 0, "expected true or false, got text"),
            ("1 + 1", 2, "expected true or false, got a number"),
            ("roel == 'x'", 0, "expected one of image, "),
            ("image.tga == 'x'", 5, "expected a member of image"),
            ("role == 1", 5, "expected text, got a number"),
            ("true && size(role)", 12, "expected true or false, got a number"),
            ("signers.exists(s, s.nmae == 'x')", 19, "expected a member of a signer"),
            ("has(image.tag)", 3, "every member is always there"),
            ("role.matches('a+')", 12, "expected one of size, "),
            ("signers.exists(a, signers.exists(b, signers.exists(c, c == a)))", 50, "at most two walks"),
            ("dyn(1) == 1", 3, "expected one of size, "),
            ("{'a': 1}.a == 1", 0, "expected no maps"),
            ("role == r'\\'", 9, "a letter before it"),
            ("role == \'\'\'x\'\'\'", 10, "one pair of quotes"),
            ("true // '", 6, "without remarks"),
            ("role == 'x\ny'", 10, "before that of its line"),
        ] {
            let faults = Condition::parse(text).expect_err(text);
            assert!(faults[0].what.contains(words), "{text}: {faults:?}");
            assert_eq!(faults[0].offset, offset, "{text}: {faults:?}");
        }
        assert!(Condition::parse(&format!("role == '{}'", "x".repeat(2000))).is_err());
        // As deep and as long as they come, on a stack of two megabytes.
        for depth in [10, 11, 500] {
            for (open, close) in
                [("(", ")"), ("[", "]"), ("!(", ")"), ("size([", "])"), ("true ? true : (", ")")]
            {
                let text = format!("{}true{}", open.repeat(depth), close.repeat(depth));
                let parsed = Condition::parse(&text);
                assert!(depth == 10 || parsed.is_err(), "{text}");
            }
        }
        for long in ["!", "-", "true ? true : ", "true && ", "role == ", "image.", "1 + ", "role in ", "'"] {
            let times = 1990 / long.len();
            let _ = Condition::parse(&format!("{}true", long.repeat(times)));
        }
    }

    #[test]
    fn what_it_looks_at_is_known_before_it_decides() {
        let looks = |text: &str| {
            let condition = Condition::parse(text).unwrap();
            (condition.looks_at_evidence(), condition.looks_at_scan())
        };
        assert_eq!(looks("role == 'x'"), (false, false));
        assert_eq!(looks("scan.critical == 0"), (false, true));
        assert_eq!(looks("size(builders) > 0 || size(signers) > 0"), (true, false));
    }

    #[test]
    fn what_can_not_be_told_is_no_yes() {
        let condition = Condition::parse("signers[5].name == 'a.pub'").unwrap();
        assert!(condition.holds(&variables()).is_err());
        let many = Variables { signers: vec![Signer::default(); 201], ..variables() };
        assert!(Condition::parse("size(signers) > 0").unwrap().holds(&many).is_err());
    }
}

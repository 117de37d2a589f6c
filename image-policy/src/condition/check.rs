//! Whether a condition can decide: every name is known, every comparison is of one type, and it ends soon.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue};

use super::{Fault, Subject};

/// How many walks of a list may be within each other.
const WALKS_MAX: usize = 2;

/// What a condition may call.
const CALLS: [&str; 4] = ["size", "startsWith", "endsWith", "contains"];

/// The type of an expression.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Type {
    Bool,
    Int,
    Text,
    List(Box<Type>),
    Record(Record),
    /// Of an empty list, or of what is wrong anyhow: fits all.
    Any,
}

/// What has members.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Record {
    Image,
    Signer,
    Piece,
    Built,
    Scanned,
}

/// The variables: those of [`super::Variables`].
const VARIABLES: [&str; 8] = ["image", "role", "repo", "root", "signers", "evidence", "builders", "scan"];

impl Record {
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Signer => "a signer",
            Self::Piece => "a piece of evidence",
            Self::Built => "a builder",
            Self::Scanned => "scan",
        }
    }

    fn members(self) -> Vec<(&'static str, Type)> {
        let list = |of| Type::List(Box::new(of));
        let all = |names: &[&'static str], of: &Type| names.iter().map(|name| (*name, of.clone())).collect();
        match self {
            Self::Image => all(&["name", "registry", "repository", "tag", "digest"], &Type::Text),
            Self::Signer => all(&["kind", "id", "name", "issuer"], &Type::Text),
            Self::Piece => vec![
                ("predicate", Type::Text),
                ("fresh", Type::Bool),
                ("age", Type::Int),
                ("signers", list(Type::Record(Self::Signer))),
            ],
            Self::Built => vec![
                ("id", Type::Text),
                ("level", Type::Int),
                ("source", Type::Text),
                ("unexpected", list(Type::Text)),
            ],
            Self::Scanned => all(
                &[
                    "critical",
                    "high",
                    "medium",
                    "low",
                    "negligible",
                    "unknown",
                    "exploited",
                    "fixable",
                    "gaps",
                    "database_age",
                ],
                &Type::Int,
            ),
        }
    }
}

impl Type {
    fn name(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Int => "a number".to_owned(),
            Self::Text => "text".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Record(record) => record.name().to_owned(),
            Self::Any => "anything".to_owned(),
        }
    }

    fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(one), Self::List(other)) => one.fits(other),
            _ => self == other,
        }
    }

    /// The one that says more, of two that fit.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, other) => other,
            (Self::List(one), Self::List(other)) => Self::List(Box::new(one.or(*other))),
            (one, _) => one,
        }
    }
}

/// Looks through an expression once.
pub(super) struct Checker<P> {
    /// Where an expression is.
    place: P,
    faults: Vec<Fault>,
    looks_at: Vec<Subject>,
    /// The variables of walks, the innermost last.
    bound: Vec<(String, Type)>,
    walks: usize,
}

impl<P: Fn(u64) -> usize> Checker<P> {
    pub(super) fn new(place: P) -> Self {
        Self { place, faults: Vec::new(), looks_at: Vec::new(), bound: Vec::new(), walks: 0 }
    }

    pub(super) fn end(mut self) -> (Vec<Fault>, Vec<Subject>) {
        self.looks_at.sort();
        self.looks_at.dedup();
        (self.faults, self.looks_at)
    }

    pub(super) fn expect_condition(&mut self, expression: &IdedExpr) {
        self.expect(expression, &Type::Bool);
    }

    fn wrong(&mut self, id: u64, what: String) -> Type {
        let offset = (self.place)(id);
        self.faults.push(Fault { offset, what });
        Type::Any
    }

    fn expect(&mut self, expression: &IdedExpr, expected: &Type) {
        let got = self.of(expression);
        if !got.fits(expected) {
            self.wrong(expression.id, format!("expected {}, got {}", expected.name(), got.name()));
        }
    }

    fn of(&mut self, expression: &IdedExpr) -> Type {
        let id = expression.id;
        match &expression.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Int(_) => Type::Int,
                LiteralValue::String(_) => Type::Text,
                _ => self.wrong(id, "expected text, a whole number, true or false".to_owned()),
            },
            Expr::Ident(name) => self.variable(id, name),
            Expr::Select(select) if select.test => {
                self.wrong(id, "expected no has(): every member is always there".to_owned())
            }
            Expr::Select(select) => match self.of(&select.operand) {
                Type::Record(record) => self.member(id, record, &select.field),
                Type::Any => Type::Any,
                other => self.wrong(id, format!("expected something with members, got {}", other.name())),
            },
            Expr::List(list) => {
                let mut of = Type::Any;
                for element in &list.elements {
                    let got = self.of(element);
                    if !got.fits(&of) {
                        self.wrong(element.id, format!("expected {}, got {}", of.name(), got.name()));
                    }
                    of = of.or(got);
                }
                Type::List(Box::new(of))
            }
            Expr::Call(call) => self.call(id, call),
            Expr::Comprehension(walk) => self.walk(id, walk),
            Expr::Map(_) | Expr::Struct(_) => {
                self.wrong(id, "expected no maps and messages: nothing here has any".to_owned())
            }
            Expr::Unspecified => self.wrong(id, "expected an expression, got nothing".to_owned()),
        }
    }

    fn variable(&mut self, id: u64, name: &str) -> Type {
        if let Some((_, of)) = self.bound.iter().rev().find(|(bound, _)| bound == name) {
            return of.clone();
        }
        let list = |record| Type::List(Box::new(Type::Record(record)));
        let (of, subject) = match name {
            "image" => (Type::Record(Record::Image), None),
            "role" | "repo" | "root" => (Type::Text, None),
            "signers" => (list(Record::Signer), Some(Subject::Evidence)),
            "evidence" => (list(Record::Piece), Some(Subject::Evidence)),
            "builders" => (list(Record::Built), Some(Subject::Evidence)),
            "scan" => (Type::Record(Record::Scanned), Some(Subject::Scan)),
            _ => return self.wrong(id, format!("expected one of {}, got {name}", VARIABLES.join(", "))),
        };
        self.looks_at.extend(subject);
        of
    }

    fn member(&mut self, id: u64, record: Record, name: &str) -> Type {
        let members = record.members();
        match members.iter().find(|(member, _)| *member == name) {
            Some((_, of)) => of.clone(),
            None => {
                let names: Vec<&str> = members.iter().map(|(member, _)| *member).collect();
                let what =
                    format!("expected a member of {}: {}; got {name}", record.name(), names.join(", "));
                self.wrong(id, what)
            }
        }
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> Type {
        let args: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        match (call.func_name.as_str(), args.as_slice()) {
            ("_&&_" | "_||_", args) => {
                args.iter().for_each(|arg| self.expect(arg, &Type::Bool));
                Type::Bool
            }
            ("!_" | "@not_strictly_false", [arg]) => {
                self.expect(arg, &Type::Bool);
                Type::Bool
            }
            ("_?_:_", [condition, one, other]) => {
                self.expect(condition, &Type::Bool);
                self.same(id, one, other)
            }
            ("_==_" | "_!=_", [one, other]) => {
                self.same(id, one, other);
                Type::Bool
            }
            ("_<_" | "_<=_" | "_>_" | "_>=_", [one, other]) => {
                let of = self.same(id, one, other);
                if !matches!(of, Type::Int | Type::Text | Type::Any) {
                    self.wrong(id, format!("expected numbers or text to compare, got {}", of.name()));
                }
                Type::Bool
            }
            ("_+_", [one, other]) => {
                let of = self.same(id, one, other);
                match of {
                    Type::Int | Type::Text | Type::List(_) | Type::Any => of,
                    other => self.wrong(id, format!("expected numbers, text or lists, got {}", other.name())),
                }
            }
            ("_-_", [one, other]) => {
                self.expect(one, &Type::Int);
                self.expect(other, &Type::Int);
                Type::Int
            }
            ("-_", [arg]) => {
                self.expect(arg, &Type::Int);
                Type::Int
            }
            ("@in", [element, list]) => {
                let of = self.of(element);
                self.expect(list, &Type::List(Box::new(of)));
                Type::Bool
            }
            ("_[_]", [list, index]) => {
                self.expect(index, &Type::Int);
                match self.of(list) {
                    Type::List(of) => *of,
                    Type::Any => Type::Any,
                    other => self.wrong(id, format!("expected a list, got {}", other.name())),
                }
            }
            ("size", [arg]) => match self.of(arg) {
                Type::Text | Type::List(_) | Type::Any => Type::Int,
                other => self.wrong(id, format!("expected text or a list, got {}", other.name())),
            },
            ("startsWith" | "endsWith" | "contains", [text, part]) if call.target.is_some() => {
                self.expect(text, &Type::Text);
                self.expect(part, &Type::Text);
                Type::Bool
            }
            (other, _) => {
                let what = format!("expected one of {}, or a comparison; got {other}", CALLS.join(", "));
                self.wrong(id, what)
            }
        }
    }

    fn same(&mut self, id: u64, one: &IdedExpr, other: &IdedExpr) -> Type {
        let (one, other) = (self.of(one), self.of(other));
        if !one.fits(&other) {
            return self.wrong(id, format!("expected {}, got {}", one.name(), other.name()));
        }
        one.or(other)
    }

    /// What `all`, `exists`, `exists_one`, `filter` and `map` become.
    fn walk(&mut self, id: u64, walk: &ComprehensionExpr) -> Type {
        let element = match self.of(&walk.iter_range) {
            Type::List(of) => *of,
            Type::Any => Type::Any,
            other => self.wrong(id, format!("expected a list, got {}", other.name())),
        };
        if self.walks >= WALKS_MAX {
            return self
                .wrong(id, "expected at most two walks of lists within each other, got more".to_owned());
        }
        self.walks = self.walks.saturating_add(1);
        let start = self.of(&walk.accu_init);
        let outer = self.bound.len();
        self.bound.push((walk.iter_var.clone(), element));
        self.bound.push((walk.accu_var.clone(), start.clone()));
        self.expect(&walk.loop_cond, &Type::Bool);
        let step = self.of(&walk.loop_step);
        self.bound.truncate(outer);
        self.bound.push((walk.accu_var.clone(), start.or(step)));
        let result = self.of(&walk.result);
        self.bound.truncate(outer);
        self.walks = self.walks.saturating_sub(1);
        result
    }
}

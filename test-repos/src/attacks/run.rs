//! Plays one attack before one client.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::attacks::{Act, Attack, Expected};
use crate::surface::{Endpoints, Surface, SurfaceKind};
use crate::tree::Tree;
use crate::world::Setback;

/// What a client came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The chain held.
    Trusted {
        /// The digest of the manifest or index.
        digest: String,
    },
    /// A link is broken.
    Refused {
        /// The link.
        link: String,
        /// What a person is told.
        text: String,
    },
    /// A link could not be told.
    Unknown {
        /// The link.
        link: String,
        /// What a person is told.
        text: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trusted { digest } => write!(f, "trusted {digest}"),
            Self::Refused { link, text } => write!(f, "refused at {link}: {text}"),
            Self::Unknown { link, text } => write!(f, "unknown at {link}: {text}"),
        }
    }
}

/// An attack that ended as it should.
#[derive(Clone, Debug)]
pub struct Report {
    /// The attack.
    pub attack: &'static Attack,
    /// Where it was played.
    pub kind: SurfaceKind,
    /// What the client came to.
    pub outcome: Outcome,
}

/// An attack that did not end as it should, or could not be played.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// A good state was not trusted, or another image than the signed one was.
    NotTrusted {
        /// When in the story.
        when: &'static str,
        /// The digest that is signed.
        expected: String,
        /// What the client came to.
        got: Outcome,
    },
    /// The attack ended in another way.
    Wrong {
        /// The verdict to come to.
        expected: Expected,
        /// The values that it must name, in order.
        values: Vec<String>,
        /// What the client came to.
        got: Outcome,
    },
    /// Something is not as before, although it was refused.
    Changed {
        /// A line for each file.
        diff: String,
    },
    /// Credentials reached a server that they were not for.
    Leaked {
        /// The requests.
        requests: Vec<String>,
    },
    /// A directory could not be read.
    Io(io::Error),
    /// The scene could not be set.
    Setback(Setback),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTrusted { when, expected, got } => {
                write!(f, "{when}: expected trusted {expected}, got {got}")
            }
            Self::Wrong { expected, values, got } => {
                write!(f, "expected {expected} and naming {values:?}, got {got}")
            }
            Self::Changed { diff } => write!(f, "expected everything as before, got\n{diff}"),
            Self::Leaked { requests } => write!(f, "credentials went elsewhere with {requests:?}"),
            Self::Io(why) => write!(f, "could not compare the state: {why}"),
            Self::Setback(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

impl From<Setback> for Failure {
    fn from(why: Setback) -> Self {
        Self::Setback(why)
    }
}

/// Plays the story of `attack` below the empty folder `scratch`:
///
/// 1. the good world is trusted, and again after what the publisher does before the attack;
/// 2. the attack ends as expected, and no server but the right one sees credentials;
/// 3. the client's state is as before, but for what lawfully came first;
/// 4. once the attack is over the good world is trusted: a refusal leaves no damage.
///
/// `verify` must read every byte of the image, layers too, for the platform that it is told, and keep
/// its state in the given folder alone.
///
/// # Errors
/// Says what went otherwise.
pub fn run(
    attack: &'static Attack,
    kind: SurfaceKind,
    scratch: &Path,
    verify: &mut dyn FnMut(&Endpoints, &Path) -> Outcome,
) -> Result<Report, Failure> {
    play(attack, kind, scratch, verify, |_| Ok(()))
}

/// As [`run()`], with an image that is signed and must be: whatever is done to the chain, good signatures make
/// up for nothing, and are no hindrance where it holds.
///
/// # Errors
/// Says what went otherwise.
pub fn run_attested(
    attack: &'static Attack,
    kind: SurfaceKind,
    scratch: &Path,
    verify: &mut dyn FnMut(&Endpoints, &Path) -> Outcome,
) -> Result<Report, Failure> {
    play(attack, kind, scratch, verify, super::signed)
}

fn play(
    attack: &'static Attack,
    kind: SurfaceKind,
    scratch: &Path,
    verify: &mut dyn FnMut(&Endpoints, &Path) -> Outcome,
    set_up: Act,
) -> Result<Report, Failure> {
    let surface = Surface::start(kind, &scratch.join("served"))?;
    set_up(&mut surface.world())?;
    let mut stage = Stage { surface, state: scratch.join("state"), verify };
    stage.trusted("at first")?;
    (attack.before)(&mut stage.surface.world())?;
    stage.trusted("before the attack")?;

    let good = stage.surface.world().clone();
    let state = Tree::of(&stage.state)?;
    let values = (attack.strike)(&mut stage.surface.world())?;
    let outcome = stage.verify()?;
    judge(attack, values, &outcome)?;
    if attack.expected != Expected::Trusted {
        unchanged(attack, &state.diff(&Tree::of(&stage.state)?))?;
    }

    stage.surface.world().recover(&good, !attack.advances.is_empty())?;
    stage.trusted("after the attack")?;
    Ok(Report { attack, kind, outcome })
}

/// A surface, and the client before it.
struct Stage<'v> {
    surface: Surface,
    state: PathBuf,
    verify: &'v mut dyn FnMut(&Endpoints, &Path) -> Outcome,
}

impl Stage<'_> {
    fn verify(&mut self) -> Result<Outcome, Failure> {
        let endpoints = self.surface.endpoints()?;
        let outcome = (self.verify)(&endpoints, &self.state);
        let requests = self.surface.leaks();
        if requests.is_empty() { Ok(outcome) } else { Err(Failure::Leaked { requests }) }
    }

    fn trusted(&mut self, when: &'static str) -> Result<(), Failure> {
        let got = self.verify()?;
        let expected = self.surface.world().index();
        match &got {
            Outcome::Trusted { digest } if *digest == expected => Ok(()),
            _ => Err(Failure::NotTrusted { when, expected, got }),
        }
    }
}

fn judge(attack: &Attack, values: Vec<String>, got: &Outcome) -> Result<(), Failure> {
    let as_said = match (attack.expected, got) {
        (Expected::Trusted, Outcome::Trusted { .. }) => true,
        (Expected::Refused { link, says }, Outcome::Refused { link: at, text })
        | (Expected::Unknown { link, says }, Outcome::Unknown { link: at, text }) => {
            link == at && says.iter().all(|words| text.contains(words)) && in_order(text, &values)
        }
        _ => false,
    };
    if as_said {
        return Ok(());
    }
    Err(Failure::Wrong { expected: attack.expected, values, got: got.clone() })
}

/// Whether `text` names all values, one after the other: swapped *expected* and *got* are a lie.
fn in_order(text: &str, values: &[String]) -> bool {
    let mut rest = text;
    values.iter().all(|value| match rest.split_once(value.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The lines of a diff that no advance explains are damage.
fn unchanged(attack: &Attack, diff: &str) -> Result<(), Failure> {
    let damage: String =
        diff.lines().filter(|line| !lawful(attack, line)).map(|line| format!("{line}\n")).collect();
    if damage.is_empty() { Ok(()) } else { Err(Failure::Changed { diff: damage }) }
}

/// Whether a line, such as `~ metadata/snapshot.json: …`, is about a file of a role that advances.
fn lawful(attack: &Attack, line: &str) -> bool {
    let path = line.get(2..).and_then(|rest| rest.split(": ").next()).unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let role = file.strip_suffix(".json").map(|name| match name.split_once('.') {
        Some((version, role)) if version.parse::<u64>().is_ok() => role,
        _ => name,
    });
    !line.starts_with('-') && role.is_some_and(|role| attack.advances.contains(&role))
}

//! Which images may run, on whose word: one file of rules. The first scope whose pattern fits a name decides; what
//! no scope fits is denied.
//!
//! This crate reads no file and asks nobody: it is given text, and says which rule a name meets and what that
//! demands. Whoever verifies does what is demanded.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use image_policy::{Choice, Policy};
//!
//! let policy = Policy::parse(r#"
//!     version = 1
//!     [[scope]]
//!     name = "acme"
//!     match = ["registry.example.com/acme/**"]
//!     trust = { repo = "https://trust.example.com", root = "acme-root.json" }
//!     tags = { deny = ["latest"] }
//! "#)?;
//! let choice = |name: &str| Ok::<_, Box<dyn std::error::Error>>(policy.choose(&name.parse()?));
//! assert!(matches!(choice("registry.example.com/acme/web:1.4")?, Choice::Admits(scope) if scope.name == "acme"));
//! assert!(matches!(choice("registry.example.com/acme/web:latest")?, Choice::Denies { .. }));
//! assert!(matches!(choice("docker.io/library/alpine:3")?, Choice::Denies { scope: None, .. }));
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod condition;
mod decide;
mod demands;
mod facts;
mod learn;
mod pattern;
mod policy;
mod problem;
mod read;
mod read_demands;
mod relax;
mod render;
mod warnings;
mod weigh;

pub use condition::Condition;
pub use decide::{Decision, Outcome, decide};
pub use demands::{Attested, Build, BuilderRule, SignerRule, VerifierRule, is_kind, source_name};
pub use facts::{
    BadLine, BuildFact, Chain, EVIDENCE_MAX, Entry, Evidence, FACTS_VERSION, FINDINGS_MAX, Facts,
    FindingFact, IdentityFact, KeyFact, LINE_MAX, LookedFor, ScanFacts, SignerFact, SignerKind, VerdictFact,
    Word,
};
pub use learn::{Learnt, learn};
pub use pattern::{canonical, covers};
pub use policy::{
    Choice, Denial, Identity, Ignore, Mirror, Policy, RootOfTrust, Scan, Scope, Severity, Signers, Tags,
    Trust,
};
pub use problem::{Problem, Problems};
pub use read::instant;
pub use relax::smallest_rule;
pub use render::render;
pub use weigh::{Failing, Member, Outside, Weighed, demanded_verdicts, weigh};

/// The largest file of rules, in bytes: thousands of scopes.
pub const POLICY_MAX: u64 = 4 * 1024 * 1024;

//! The command line of the rules: `--policy`, and `verify policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oci_image::{Location, Platform, Reference};

use crate::args::{AccessArgs, Format, RootArgs, StateArgs, parse_time};
use crate::evidence_args::SignerArgs;

/// The rules to verify by.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Trust")]
pub(crate) struct PolicyArgs {
    /// The rules (TOML) that say whose word counts for the image, and what else is demanded of it
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "repo", "root", "root_sha256", "trust_on_first_use", "require_signers", "predicate",
        "keys", "trusted_root", "identities", "issuers", "notation_policy",
    ])]
    pub(crate) policy: Option<PathBuf>,
}

/// The rules that say whose signatures count.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Trust")]
pub(crate) struct EvidencePolicyArgs {
    /// The rules (TOML) that say whose word counts for the image, and whose signatures
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "repo", "root", "root_sha256", "trust_on_first_use", "unverified",
        "keys", "trusted_root", "identities", "issuers", "notation_policy",
    ])]
    pub(crate) policy: Option<PathBuf>,
}

/// The rules that say what a scan may find.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Trust")]
pub(crate) struct ScanPolicyArgs {
    /// The rules (TOML) that say whose word counts for the image, and what a scan may find
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "repo", "root", "root_sha256", "trust_on_first_use", "unverified", "db", "fail_on", "fixable_only",
        "fail_on_exploited", "fail_on_gaps", "max_db_age", "ignore_file", "vex_keys",
    ])]
    pub(crate) policy: Option<PathBuf>,
}

/// Check, explain, test, rehearse and learn rules
#[derive(Args, Debug)]
pub(crate) struct PolicyCommands {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say everything that is wrong with a file of rules, and what is odd, with line and column
    #[command(after_help = "\
Example:
  verify policy check policy.toml

Exit codes: 0 it can be used, 1 something is odd and --strict was given, 2 it can't be used")]
    Check {
        /// The rules
        #[arg(value_name = "FILE")]
        policy: PathBuf,
        /// Exit 1 where something is odd
        #[arg(long)]
        strict: bool,
    },
    /// Say which rule the name of an image meets, and what that demands; nothing is fetched
    #[command(after_help = "\
Example:
  verify policy explain registry.example.com/acme/web:1.4 --policy policy.toml

Exit codes: 0 the name may be verified, 1 it is denied, 2 the rules can't be used")]
    Explain {
        /// The image: HOST/NAME[:TAG][@DIGEST]
        #[arg(value_name = "REF")]
        image: Reference,
        /// The rules
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
        /// How the answer is printed; json has a schema in docs/schema
        #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
        format: Format,
    },
    /// Compare what the rules say of recorded cases with what they should say
    #[command(after_help = "\
Examples:
  verify policy test cases.toml --policy policy.toml
  verify policy test cases.toml --policy policy.toml --inventory seen.jsonl

where cases.toml has:
  [[case]]
  image = \"registry.example.com/acme/web:1.4\"
  role = \"targets\"                   # optional: the role that would speak for it
  expect = \"admit\"                   # or deny
  scope = \"acme\"                     # optional: by which rule
  digest = \"sha256:…\"                # optional: of several that were seen, this one

What --record kept of an image decides its cases as it would decide on the image: who signed, what was found

Exit codes: 0 all as they should be, 1 one is not, 2 a file can't be used")]
    Test {
        /// The cases
        #[arg(value_name = "CASES", required = true)]
        cases: Vec<PathBuf>,
        /// The rules
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
        /// What was seen of the images: lines of --record. Without it, or where an image isn't in it, names and roles decide
        #[arg(long, value_name = "FILE")]
        inventory: Option<PathBuf>,
    },
    Simulate(SimulateArgs),
    Learn(Box<LearnArgs>),
}

/// Say what rules would make of images that were seen before; nothing is fetched
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify image registry.example.com/acme/web:1.4 --policy policy.toml --record seen.jsonl
  verify policy simulate --inventory seen.jsonl --policy new.toml
  verify policy simulate --inventory seen.jsonl --policy new.toml \\
    --against policy.toml --format json
  kubectl get pods -A -o jsonpath='{..image}' | tr ' ' '\\n' |
    verify policy simulate --inventory - --policy new.toml

For each image that is blocked it prints the smallest rule that admits it.

Exit codes: 0 nothing that could run is blocked, 1 something is, 2 a file can't be used,
3 of something that could run it can't be told")]
pub(crate) struct SimulateArgs {
    /// What was seen: lines of --record, or names of images, one a line; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: PathBuf,
    /// The rules
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Compare with what these rules say, and not with what was recorded
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// Write a first draft of rules from what was seen, for a person to read
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify policy learn --inventory seen.jsonl -o policy.toml
  verify policy learn registry.example.com/acme/web:1.4 \\
    --repo https://trust.example.com --root root.json
  verify policy learn registry.example.com/acme/web:1.4 \\
    --repo https://trust.example.com --trust-on-first-use

Exit codes: 0 rules were learnt, 1 there was nothing to learn from, 2 a file can't be used")]
pub(crate) struct LearnArgs {
    /// Images to verify now, and to learn from
    #[arg(value_name = "REF", required_unless_present = "inventory")]
    pub(crate) images: Vec<Location>,
    /// What was seen: lines of --record; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// Where to write the rules; a file that is there is never overwritten [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The platform, where an image has several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    /// Verify as of a time, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) at: Option<chrono::DateTime<chrono::Utc>>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) root: RootArgs,
    #[command(flatten)]
    pub(crate) signers: SignerArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

//! The command line of the rules: `--policy`, and `verify policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oci_image::Reference;

use crate::args::Format;

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

/// Check, explain and test a file of rules
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
Example:
  verify policy test cases.toml --policy policy.toml

where cases.toml has:
  [[case]]
  image = \"registry.example.com/acme/web:1.4\"
  role = \"targets\"                   # optional: the role that would speak for it
  expect = \"admit\"                   # or deny
  scope = \"acme\"                     # optional: by which rule

Exit codes: 0 all as they should be, 1 one is not, 2 a file can't be used")]
    Test {
        /// The cases
        #[arg(value_name = "CASES", required = true)]
        cases: Vec<PathBuf>,
        /// The rules
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
    },
}

//! The command line of `verify scan` where it has a verb: `verify scan diff`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use oci_image::{BadReference, Location, Platform, Reference};

use crate::args::{AccessArgs, ChainArgs, RootArgs, ScanArgs, ScanFormat, StateArgs, parse_time};
use crate::carried::Carried;
use crate::engine_args::EngineArgs;
use crate::gate_args::GateArgs;
use crate::pack_args::PackedArgs;
use crate::policy_args::ScanPolicyArgs;

/// The verb, where `verify scan` has one. An image of that name is `docker.io/library/diff`.
const DIFF: &str = "diff";

/// What `verify scan` was called for. By hand: a verb stands where the image does, which clap's derive can't say.
#[derive(Debug)]
pub(crate) enum ScanCall {
    /// An image.
    One(Box<ScanArgs>),
    /// Two, to compare.
    Diff(Box<DiffArgs>),
}

impl Args for ScanCall {
    fn augment_args(command: Command) -> Command {
        ScanArgs::augment_args(command)
            .subcommand(DiffArgs::augment_args(Command::new(DIFF)))
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
            .disable_help_subcommand(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ScanCall {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((DIFF, matches)) => {
                DiffArgs::from_arg_matches(matches).map(|args| Self::Diff(Box::new(args)))
            }
            _ => ScanArgs::from_arg_matches(matches).map(|args| Self::One(Box::new(args))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Say what got better and what got worse from one image to another
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify scan diff registry.example.com/acme/web:1.3 registry.example.com/acme/web:1.4 \\
    --fail-on high
  verify scan diff oci:./web:1.3 oci:./web:1.4 --unverified \\
    --db advisories.db --format html > diff.html
  verify scan oci:./web:1.3 --unverified --db advisories.db --format json > before.json
  verify scan diff before.json oci:./web:1.4 --unverified --db advisories.db

Exit 4 with --fail-on where a finding is new and breaks the rule; those that were there before don't count.
stdout has the comparison and nothing else")]
pub(crate) struct DiffArgs {
    /// The image before, as `verify scan` takes it; or a report of one, FILE.json
    #[arg(value_name = "OLD")]
    pub(crate) old: Operand,
    /// The image after, likewise
    #[arg(value_name = "NEW")]
    pub(crate) new: Operand,
    /// The name under which OLD is trusted, where it isn't OLD itself
    #[arg(long, value_name = "NAME")]
    pub(crate) old_as: Option<Reference>,
    /// The name under which NEW is trusted, where it isn't NEW itself
    #[arg(long, value_name = "NAME")]
    pub(crate) new_as: Option<Reference>,
    /// Scan bytes that nobody vouches for; the comparison says so
    #[arg(long)]
    pub(crate) unverified: bool,
    /// How the comparison is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: DiffFormat,
    /// The platform, where an image has several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    /// Verify as of a time, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) at: Option<chrono::DateTime<chrono::Utc>>,
    /// Never open a socket: judge by what is kept
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) root: RootArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
    #[command(flatten)]
    pub(crate) engines: EngineArgs,
}

/// How a comparison is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum DiffFormat {
    Text,
    Json,
    // One page that needs nothing else.
    Html,
}

/// One of the two.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// An image, to be scanned now.
    Image(Location),
    /// A report of one: whatever ends with `.json`.
    Report(PathBuf),
}

impl FromStr for Operand {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        match text.ends_with(".json") {
            true => Ok(Self::Report(text.into())),
            false => text.parse().map(Self::Image),
        }
    }
}

impl DiffArgs {
    /// What `verify scan` would be called with for one of the images.
    pub(crate) fn scan(&self, image: &Location, known_as: Option<&Reference>) -> ScanArgs {
        ScanArgs {
            unverified: self.unverified,
            // Where an image isn't trusted, the verdict is printed in this form.
            format: match self.format {
                DiffFormat::Text => ScanFormat::Text,
                DiffFormat::Json => ScanFormat::Json,
                DiffFormat::Html => ScanFormat::Html,
            },
            packed: PackedArgs::default(),
            chain: self.chain(image.clone(), known_as),
            policy: ScanPolicyArgs::default(),
            gate: self.gate.clone(),
            engines: self.engines.clone(),
        }
    }

    fn chain(&self, image: Location, known_as: Option<&Reference>) -> ChainArgs {
        ChainArgs {
            image,
            known_as: known_as.cloned(),
            platform: self.platform.clone(),
            all_platforms: false,
            at: self.at,
            offline: self.offline,
            state: self.state.clone(),
            root: self.root.clone(),
            access: self.access.clone(),
            carried: Carried::default(),
        }
    }
}

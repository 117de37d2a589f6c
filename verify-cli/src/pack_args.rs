//! The command line of packs and of replays.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{ChainArgs, Format, PrintingArgs, RootArgs, StateArgs, parse_time};
use crate::carried;
use crate::evidence_args::DemandArgs;
use crate::failure::Failure;
use crate::gate_args::GateArgs;
use crate::policy_args::PolicyArgs;

/// Verify an image, then write all that the verdict rests on into one file
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify pack registry.example.com/acme/web:1.4 -o web.hpk --with-layers
  verify image --pack web.hpk --root root.json
  skopeo copy oci-archive:web.hpk containers-storage:acme/web:1.4

Of an image that isn't trusted no pack is made. stdout has the digest reference and nothing else")]
pub(crate) struct PackArgs {
    /// Where to write it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Put the layers in too
    #[arg(long)]
    pub(crate) with_layers: bool,
    /// Replace the file, if it is there
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) printing: PrintingArgs,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
}

/// A pack, read in place of the network.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PackedArgs {
    /// Read what `verify pack` wrote, without a network; the root comes from you, never from the pack
    #[arg(long, value_name = "FILE", conflicts_with_all = ["repo", "trust_on_first_use"])]
    pub(crate) pack: Option<PathBuf>,
}

impl PackedArgs {
    /// The chain as it was asked for: from a pack, where there is one.
    pub(crate) fn chain(&self, given: &ChainArgs) -> Result<ChainArgs, Failure> {
        match &self.pack {
            Some(pack) => carried::from_pack(pack, given),
            None => Ok(given.clone()),
        }
    }

    /// What was asked about, also where the pack can't be used.
    pub(crate) fn asked(&self, given: &ChainArgs) -> String {
        match &self.pack {
            Some(pack) => pack.display().to_string(),
            None => given.image.to_string(),
        }
    }
}

/// Check a verdict that somebody reports: work it out anew, without a network, and compare
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify image registry.example.com/acme/web:1.4 --format json --with-proof > proof.json
  verify replay proof.json --root root.json
  verify replay verdict.json --pack web.hpk --root root.json
  verify replay proof.json --pack web.hpk --root root.json --db advisories.db --fail-on high

Exit codes: 0 every link that can be is as reported, 1 something is not, 3 it could not be told",
    // Nothing is asked: a call with one of these is told so.
    mut_arg("repo", |arg| arg.hide(true)), mut_arg("trust_on_first_use", |arg| arg.hide(true)))]
pub(crate) struct ReplayArgs {
    /// The report: what `verify image --format json` printed
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,
    /// The pack that the verdict rests on, where the report doesn't hold its proof
    #[arg(long, value_name = "FILE", conflicts_with_all = ["repo", "trust_on_first_use"])]
    pub(crate) pack: Option<PathBuf>,
    /// Judge as of another time than the report does
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) at: Option<chrono::DateTime<chrono::Utc>>,
    /// Leave a link out that can't be worked out anew; the answer says so
    #[arg(long, value_enum, value_name = "LINK")]
    pub(crate) skip: Vec<Skipped>,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) root: RootArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
}

/// What a replay may leave out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Skipped {
    // Which rule was met: the rules aren't here.
    Policy,
    // Who signed besides: the keys aren't here.
    Evidence,
    // What is in the image: it takes the layers and the advisories of then.
    Scan,
}

impl Skipped {
    pub(crate) fn stage(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Evidence => "evidence",
            Self::Scan => "scan",
        }
    }
}

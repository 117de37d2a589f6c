//! The command line.

use std::path::PathBuf;

use clap::builder::ArgPredicate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use oci_image::{Location, Platform, Reference};
use tuf_client::RepoLocation;

use crate::carried::Carried;
use crate::config_args::ConfigArgs;
use crate::diff_args::ScanCall;
use crate::doctor_args::DoctorArgs;
use crate::engine_args::{ConfineArgs, EngineArgs};
use crate::evidence_args::{DemandArgs, EvidenceArgs, ProvenanceArgs};
use crate::gate_args::GateArgs;
use crate::pack_args::{PackArgs, PackedArgs, ReplayArgs};
use crate::policy_args::{PolicyArgs, PolicyCommands, ScanPolicyArgs};
use crate::record::RecordArgs;
use crate::verifier_args::AttestArgs;

/// Verify a container image before it runs
#[derive(Debug, Parser)]
#[command(
    name = "verify",
    version,
    after_help = "\
Start here, without a server or an account:
  verify demo

Exit codes: 0 trusted, 1 refused, 2 wrong call, 3 could not tell, 4 a rule of the scan is broken"
)]
pub(crate) struct Verify {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Image(ImageArgs),
    Pull(PullArgs),
    Pack(PackArgs),
    Replay(ReplayArgs),
    Scan(Box<ScanCall>),
    Evidence(EvidenceArgs),
    Provenance(ProvenanceArgs),
    Attest(Box<AttestArgs>),
    Doctor(DoctorArgs),
    Db(DbArgs),
    Policy(PolicyCommands),
    Config(ConfigArgs),
    Trust(TrustArgs),
    Demo(DemoArgs),
    #[command(hide = true)]
    Confine(ConfineArgs),
}

/// Verify an image and print the digest reference to pull
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify image registry.example.com/acme/web:1.4 --repo https://trust.example.com --root root.json
  docker pull \"$(verify image registry.example.com/acme/web:1.4)\"
  verify image oci:./web:1.4 --as registry.example.com/acme/web:1.4 --explain
  verify image registry.example.com/acme/web:1.4 \\
    --require-signers 2 --signer-key a.pub --signer-key b.pub
  verify image registry.example.com/acme/web:1.4 --policy policy.toml --record seen.jsonl
  verify image registry.example.com/acme/web:1.4 --verifier https://ci.example.com/verify=ci.pub
  verify image registry.example.com/acme/web:1.4 \\
    --scan --db advisories.db --fail-on high --fixable-only
  verify image registry.example.com/acme/web:1.4 --format sarif > verdict.sarif
  verify image --pack web.hpk --root root.json

stdout has the digest reference and nothing else",
    // With a pack, the name is in it.
    mut_arg("image", |arg| arg.required(false).required_unless_present("pack")
        .default_value_if("pack", ArgPredicate::IsPresent, Some("oci:pack"))))]
pub(crate) struct ImageArgs {
    #[command(flatten)]
    pub(crate) printing: PrintingArgs,
    /// Judge what `verify pack` wrote, without a network; the root comes from you, never from the pack
    #[arg(long, value_name = "FILE", conflicts_with_all = ["repo", "trust_on_first_use"])]
    pub(crate) pack: Option<PathBuf>,
    /// With --format json: put everything in that the verdict rests on, for `verify replay`
    #[arg(long)]
    pub(crate) with_proof: bool,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    /// Scan it as the last link of the chain: exit 4 where what is in it breaks a rule
    #[arg(long, help_heading = "Scan")]
    pub(crate) scan: bool,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// Verify an image, then write only verified bytes into an OCI layout
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  verify pull registry.example.com/acme/web:1.4 oci:./out:1.4
  skopeo copy oci:./out:1.4 containers-storage:acme/web:1.4

Unless every blob is good, nothing is written")]
pub(crate) struct PullArgs {
    /// Where to write it
    #[arg(value_name = "oci:DIR[:TAG]", index = 2)]
    pub(crate) destination: Location,
    #[command(flatten)]
    pub(crate) printing: PrintingArgs,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// Verify an image, then say what is in it and what is known to be wrong with it
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify scan registry.example.com/acme/web:1.4 --db advisories.db --fail-on high
  verify scan registry.example.com/acme/web:1.4 --policy policy.toml
  verify scan oci:./web:1.4 --unverified --db advisories.db --format json
  verify scan oci:./web:1.4 --unverified --db advisories.db --format html > report.html
  verify scan registry.example.com/acme/web:1.4 --plugin trivy --plugin oscap=debian-12.oval.xml
  verify scan diff registry.example.com/acme/web:1.3 registry.example.com/acme/web:1.4 \\
    --fail-on high
  verify scan --pack web.hpk --root root.json --db advisories.db

stdout has the report and nothing else",
    // With a pack, the name is in it.
    mut_arg("image", |arg| arg.required(false).required_unless_present("pack")
        .default_value_if("pack", ArgPredicate::IsPresent, Some("oci:pack"))))]
pub(crate) struct ScanArgs {
    /// Scan bytes that nobody vouches for; the report says so
    #[arg(long)]
    pub(crate) unverified: bool,
    /// How the report is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: ScanFormat,
    #[command(flatten)]
    pub(crate) packed: PackedArgs,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) policy: ScanPolicyArgs,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
    #[command(flatten)]
    pub(crate) engines: EngineArgs,
}

/// How a scan is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ScanFormat {
    Text,
    Json,
    // One page that needs nothing else.
    Html,
    // For code hosts.
    Sarif,
    // What is in it, and what is wrong with it: CycloneDX 1.6.
    Cyclonedx,
    // What is in it: SPDX 2.3.
    Spdx,
    // What is in it, and what is wrong with it: SPDX 3.0.1.
    Spdx3,
}

/// From where on a finding breaks the rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum FailOn {
    Critical,
    High,
    Medium,
    Low,
    Negligible,
    // Whatever is found, also what nobody has weighed.
    Any,
}

/// How a verdict is printed.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct PrintingArgs {
    /// Print every link of the chain: what was checked, by which key
    #[arg(long)]
    pub(crate) explain: bool,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: VerdictFormat,
}

/// How a verdict is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum VerdictFormat {
    // For people.
    Text,
    // For programs: stable, with a schema in docs/schema.
    Json,
    // For code hosts: SARIF 2.1.0.
    Sarif,
}

/// What both commands need to run the chain.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChainArgs {
    /// The image: HOST/NAME[:TAG][@DIGEST], or oci:DIR[:TAG] with --as
    #[arg(value_name = "REF", index = 1)]
    pub(crate) image: Location,
    /// The name under which the image is trusted, where it isn't REF itself
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) known_as: Option<Reference>,
    /// The platform, where the image has several [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all_platforms")]
    pub(crate) platform: Option<Platform>,
    /// Verify every platform of the index
    #[arg(long)]
    pub(crate) all_platforms: bool,
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
    /// What stands in for the network.
    #[arg(skip)]
    pub(crate) carried: Carried,
}

/// Which root speaks for the image. Without these: the one pinned by `verify trust add`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Trust")]
pub(crate) struct RootArgs {
    /// The trust repository: a folder, where it is served, or oci://HOST/NAME in a registry
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) repo: Option<RepoLocation>,
    /// The root file that you were given (the repository's 1.root.json, or a later one)
    #[arg(long, value_name = "FILE", conflicts_with = "root_sha256")]
    pub(crate) root: Option<PathBuf>,
    /// The SHA-256 that the repository's 1.root.json must have
    #[arg(long, value_name = "HEX")]
    pub(crate) root_sha256: Option<String>,
    /// Believe whatever root the repository shows the first time, and pin it
    #[arg(long, requires = "repo", conflicts_with_all = ["root", "root_sha256"])]
    pub(crate) trust_on_first_use: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StateArgs {
    /// Where pins and accepted metadata are kept [default: the XDG data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

/// How registries and repositories are reached.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArgs {
    /// A file with registry credentials, in the form of Docker's config.json
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
    /// Certificates (PEM) to believe besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Speak plain http to hosts other than this one
    #[arg(long)]
    pub(crate) allow_http: bool,
}

/// Pin which root speaks for which images
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  verify trust add acme --scope 'registry.example.com/acme/*' \\
    --repo https://trust.example.com --root root.json
  verify image registry.example.com/acme/web:1.4")]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

/// A pin to make.
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// What to call the pin
    pub(crate) name: String,
    /// Names it speaks for: * is one part of a name, ** at the end any number
    #[arg(long, value_name = "PATTERN", required = true)]
    pub(crate) scope: Vec<String>,
    /// Replace the pin of that name
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) root: RootArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Pin a root for a scope of names
    Add(Box<AddArgs>),
    /// List the pins
    List {
        /// How they are printed
        #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
        format: Format,
        #[command(flatten)]
        state: StateArgs,
    },
    /// Show one pin and its root
    Show {
        /// The pin
        name: String,
        /// How it is printed
        #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
        format: Format,
        #[command(flatten)]
        state: StateArgs,
    },
    /// Forget a pin
    Remove {
        /// The pin
        name: String,
        #[command(flatten)]
        state: StateArgs,
    },
}

/// Make a database of advisories, or say what one holds
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  verify db build --from osv-bucket --out advisories.db
  verify db build --from https://mirror.example.com/osv/ --ecosystem Debian --out advisories.db
  verify db status advisories.db --max-age 7d
  verify db publish advisories.db --trust ./trust
  verify db update --repo https://trust.example.com --root root.json
  verify db status --max-age 7d")]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) command: DbCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Make one file of a copy of OSV's bucket
    Build(DbBuildArgs),
    /// Look whether a database is fit to be signed, and print the commands that sign it
    Publish(crate::db_args::DbPublishArgs),
    /// Fetch the newest database that a repository signs; from then on, scans use it
    Update(Box<crate::db_args::DbUpdateArgs>),
    /// Say how old a database is, and what it was made from
    Status(DbStatusArgs),
}

/// What a database is made from.
#[derive(Args, Debug)]
pub(crate) struct DbBuildArgs {
    /// A folder or an address laid out as OSV's bucket is: ECOSYSTEM/all.zip
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) from: PathBuf,
    /// Fetch this ecosystem only, such as Debian; may be repeated [default: all that ecosystems.txt names]
    #[arg(long, value_name = "NAME")]
    pub(crate) ecosystem: Vec<String>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Where to write the database; it is replaced only by a whole one
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// Which database.
#[derive(Args, Debug)]
pub(crate) struct DbStatusArgs {
    /// The database [default: the one that `verify db update` brought]
    #[arg(value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Exit 4 where the newest advisory is older, such as 36h or 7d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(crate) max_age: Option<chrono::TimeDelta>,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// Sign an image, verify it, and watch every attack be refused
#[derive(Args, Debug)]
#[command(after_help = "Everything happens in a temporary folder, without a network.")]
pub(crate) struct DemoArgs {
    /// How the answers are printed
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    // Comments, not documentation: clap would print the long form of every help.
    // For people.
    Text,
    // For programs: stable, with a schema in docs/schema.
    Json,
}

pub(crate) fn parse_time(text: &str) -> Result<chrono::DateTime<chrono::Utc>, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| "expected a time such as 2027-01-31T12:00:00Z".to_owned())
}

pub(crate) fn parse_age(text: &str) -> Result<chrono::TimeDelta, String> {
    let hours = text.strip_suffix('h').and_then(|hours| hours.parse::<u32>().ok());
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let age = hours.map(|hours| chrono::TimeDelta::try_hours(hours.into()));
    let age = age.or_else(|| days.map(|days| chrono::TimeDelta::try_days(days.into())));
    age.flatten().ok_or_else(|| "expected hours or days, such as 36h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Where help is wrapped, a command that is copied from it is another one.
    #[test]
    fn examples_are_not_wrapped() {
        fn expect_short(command: &clap::Command) {
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in examples.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(expect_short);
        }
        Verify::command().debug_assert();
        expect_short(&Verify::command());
    }
}

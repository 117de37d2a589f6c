//! The command line.

pub(crate) mod alive;
pub(crate) mod attest;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod others;
pub(crate) mod roles;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use oci_image::{Location, Reference};

use crate::commands::init::GivenKey;
pub(crate) use alive::*;
use attest::{ATTEST_EXAMPLE, AttestArgs};
pub(crate) use import::*;
use keys::KeyCommand;
use others::{ForArgs, SIGN_FOR_EXAMPLE, SignForArgs};
use roles::{CeremonyCommand, DelegateCommand, RoleCommand};

/// Sign which image a tag means
#[derive(Debug, Parser)]
#[command(name = "signer", version, max_term_width = 100, after_help = EXAMPLE)]
pub(crate) struct Signer {
    /// The trust repository
    #[arg(long, global = true, value_name = "DIR", default_value = "./trust")]
    pub(crate) repo: PathBuf,
    /// Where it is published: DIR, s3://…, oci://… or git:…; or see signer.toml
    #[arg(long, global = true, value_name = "PLACE")]
    pub(crate) to: Option<String>,
    /// For people, or for programs (docs/schema)
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLE: &str = "\
Example, from nothing to a repository that any web server can serve:
  signer init
  signer add registry.example.com/acme/web:1.4
  signer publish
Then serve ./trust/published, and hand ./trust/published/metadata/1.root.json to your users.
Exit: 0 done, 1 refused, 2 wrong call or passphrase, 3 could not tell (nothing answered)";

const INIT: &str = "\
Example:
  signer init --repo ./trust
  signer init --key root=my-root-key.pem";

const ADD: &str = "\
Examples:
  signer add registry.example.com/acme/web:1.4
  signer add oci:./build/web:1.4 --as registry.example.com/acme/web:1.4
  signer add --list images.txt
  signer add --file advisories.db --path advisories/osv.db

A line of a list: registry.example.com/acme/web:1.4 sha256:0123… 1234 application/vnd.oci.image.index.v1+json";

const PUBLISH: &str = "\
Examples:
  signer publish
  signer publish --dry-run
  signer publish --ceremony signed.json
  signer publish --to 's3://bucket/trust?region=eu-central-1'
  signer publish --to oci://registry.example.com/acme/trust
  signer publish --to git:../website/trust
  signer publish --for cosign2,cosign3,podman

Exit: 0 done, 1 refused, 2 wrong call or passphrase, 3 could not be done now. With --for, 1 and 3
also mean: published, but a signature for another tool was not pushed. Then stdout says which.";

/// How a report is written: for people, or for programs (`docs/schema`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a trust repository: four roles, their keys, and metadata that is ready to serve
    #[command(after_help = INIT)]
    Init(InitArgs),
    /// Take over a repository that another program made
    #[command(after_help = IMPORT_EXAMPLE)]
    Import(ImportArgs),
    /// Stage what an image's tag and digest mean, for the next publish
    #[command(after_help = ADD)]
    Add(AddArgs),
    /// Stage that a name means nothing any more
    #[command(after_help = "Example:\n  signer remove registry.example.com/acme/web:1.4")]
    Remove(RemoveArgs),
    /// Show what is published and staged, and when it expires
    #[command(visible_alias = "list", after_help = STATUS_EXAMPLE)]
    Status(StatusArgs),
    /// Show what the next publish changes, role by role, before anything is signed
    #[command(after_help = DIFF_EXAMPLE)]
    Diff,
    /// Look for what is wrong, or soon will be, and say what mends it
    #[command(after_help = DOCTOR_EXAMPLE)]
    Doctor(DoctorArgs),
    /// Sign what is staged; with nothing staged, renew what expires soonest
    #[command(after_help = PUBLISH)]
    Publish(PublishArgs),
    /// Sign published images for other tools: cosign, podman, notation
    #[command(after_help = SIGN_FOR_EXAMPLE)]
    SignFor(SignForArgs),
    /// Say something about an image: what is in it, how it was built, what touches it
    #[command(after_help = ATTEST_EXAMPLE)]
    Attest(AttestArgs),
    /// Forget what is staged
    #[command(after_help = "Example:\n  signer reset")]
    Reset(RehearsalArgs),
    /// Let others speak for some of the names
    #[command(subcommand)]
    Delegate(DelegateCommand),
    /// Say who signs for a role, and how many must
    #[command(subcommand)]
    Role(RoleCommand),
    /// The keys that are here: make, list, import them
    #[command(subcommand)]
    Key(KeyCommand),
    /// Let several people sign, on machines without a network
    #[command(subcommand)]
    Ceremony(CeremonyCommand),
    /// Stage that nobody shall run what a name means, with the reason
    #[command(after_help = YANK_EXAMPLE)]
    Yank(YankArgs),
    /// Stage that a name may be run again
    #[command(after_help = UNYANK_EXAMPLE)]
    Unyank(UnyankArgs),
    /// Renew what is due and whose keys are here; where nothing is, do nothing
    #[command(after_help = REFRESH_EXAMPLE)]
    Refresh(RefreshArgs),
    /// Refresh on a schedule, as a small service with /healthz and /metrics
    #[command(after_help = SERVE_EXAMPLE)]
    Serve(ServeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// Write the keys without a passphrase: whoever can read them can sign
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) unencrypted_keys: bool,
    /// Use this key (PKCS#8, cosign's or OpenSSH's) for a role instead of a new one
    #[arg(long = "key", value_name = "ROLE=FILE")]
    pub(crate) keys: Vec<GivenKey>,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// HOST/NAME:TAG in a registry, or a layout as oci:DIR[:TAG]
    #[arg(value_name = "REF", required_unless_present_any = ["list", "file"])]
    pub(crate) image: Option<Location>,
    /// The name to sign, where it isn't REF
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) known_as: Option<Reference>,
    /// Many images that stay where they are: lines of NAME sha256:… LENGTH [MEDIA-TYPE]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "known_as"])]
    pub(crate) list: Option<PathBuf>,
    /// A file that is no image, such as a database of advisories: it is served beside the metadata
    #[arg(long, value_name = "FILE", requires = "path", conflicts_with_all = ["image", "known_as", "list"])]
    pub(crate) file: Option<PathBuf>,
    /// The path of the target that --file is signed as, such as advisories/osv.db
    #[arg(long, value_name = "PATH", requires = "file")]
    pub(crate) path: Option<String>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// HOST/NAME:TAG or HOST/NAME@sha256:…, or the path of any target that was imported
    #[arg(value_name = "REF")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Publish what several people signed with `signer ceremony`
    #[arg(long, value_name = "FILE")]
    pub(crate) ceremony: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) for_others: ForArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// Sign and weigh, show what would change, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from this file's first line; else from HALLMARK_PASSPHRASE, else ask
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Of every command that writes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RehearsalArgs {
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How to reach a registry.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// Logins, in the format of Docker's config.json; else Docker's and podman's own places
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Let a registry elsewhere be asked over plain http: everyone on the way reads along
    #[arg(long)]
    pub(crate) allow_http: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn help_fits_on_one_screen() {
        Signer::command().debug_assert();
        let help = Signer::command().render_help().to_string();
        assert!(help.lines().count() <= 40, "{help}");
    }

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
        expect_short(&Signer::command());
    }
}

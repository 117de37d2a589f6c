//! The commands that keep a repository alive.

use std::net::SocketAddr;

use clap::Args;
use oci_image::Reference;
use tuf_client::RepoLocation;

use crate::args::{AccessArgs, PassphraseArgs, RehearsalArgs};
use crate::span::Span;

pub(crate) const STATUS_EXAMPLE: &str = "\
Example, for a job that runs every day and fails a week before somebody must sign:
  signer status --check --within 7d

Exit with --check: 0 nothing is due, 1 something is due or has expired";

pub(crate) const DIFF_EXAMPLE: &str = "\
Example:
  signer add registry.example.com/acme/web:1.4
  signer diff";

pub(crate) const DOCTOR_EXAMPLE: &str = "\
Examples:
  signer doctor
  signer doctor --strict --url https://trust.example.com

It asks for no passphrase and no PIN, and changes nothing.

Exit: 0 no problem was found, 1 one was (with --strict: or a warning), 2 wrong call";

pub(crate) const REFRESH_EXAMPLE: &str = "\
Example, for a timer that runs every hour:
  signer refresh --passphrase-file /run/secrets/hallmark";

pub(crate) const SERVE_EXAMPLE: &str = "\
Example:
  signer serve --listen 127.0.0.1:9464 --passphrase-file /run/secrets/hallmark
  curl http://127.0.0.1:9464/healthz

It ends on SIGTERM and SIGINT. Any number may run on one repository.";

pub(crate) const YANK_EXAMPLE: &str = "\
Example:
  signer yank registry.example.com/acme/web:1.4 --reason 'loses data, see ACME-17' \\
    --replacement registry.example.com/acme/web:1.5
  signer publish";

pub(crate) const UNYANK_EXAMPLE: &str = "\
Example:
  signer unyank registry.example.com/acme/web:1.4
  signer publish";

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Exit with 1 when something must be signed now, or has expired
    #[arg(long)]
    pub(crate) check: bool,
    /// What expires within this time is due; else what has a third of its time left
    #[arg(long, value_name = "TIME")]
    pub(crate) within: Option<Span>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Ask as a client asks: the address, folder or registry (oci://HOST/NAME) that users were given
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) url: Option<RepoLocation>,
    /// Exit with 1 on warnings too
    #[arg(long)]
    pub(crate) strict: bool,
    /// What expires within this time is due; else what has a third of its time left
    #[arg(long, value_name = "TIME")]
    pub(crate) within: Option<Span>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// What expires within this time is due; else what has a third of its time left
    #[arg(long, value_name = "TIME")]
    pub(crate) within: Option<Span>,
    /// Sign and weigh, show what would be renewed, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// Where to answer /healthz and /metrics; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9464")]
    pub(crate) listen: SocketAddr,
    /// How often to look, give or take a tenth
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub(crate) every: Span,
    /// What expires within this time is due; else what has a third of its time left
    #[arg(long, value_name = "TIME")]
    pub(crate) within: Option<Span>,
}

#[derive(Debug, Args)]
pub(crate) struct YankArgs {
    /// HOST/NAME:TAG or HOST/NAME@sha256:…
    #[arg(value_name = "REF")]
    pub(crate) name: Reference,
    /// Why: users read it when `verify` refuses the name
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// What they should use instead
    #[arg(long, value_name = "REF")]
    pub(crate) replacement: Option<Reference>,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UnyankArgs {
    /// HOST/NAME:TAG or HOST/NAME@sha256:…
    #[arg(value_name = "REF")]
    pub(crate) name: Reference,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

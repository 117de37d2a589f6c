//! The command that takes over a repository of another program.

use std::path::PathBuf;

use clap::Args;

pub(crate) const IMPORT_EXAMPLE: &str = "\
Example:
  signer import /srv/tuf --root 1.root.json
  signer key import timestamp old-keys/timestamp.pem
  signer publish

Nothing is signed, and no byte of what was signed changes. DIR stays as it is.

Exit: 0 done, 1 refused (by clients, or --repo is taken), 2 wrong call, 3 the disk said no";

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The folder that is served: with metadata/ and targets/, or as python-tuf, tough, go-tuf or tuf-on-ci
    /// lay it out
    #[arg(value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// A root that you know to be right: trust starts there, and clients of it stay with you
    #[arg(long, value_name = "FILE")]
    pub(crate) root: PathBuf,
    /// Where the target files are; else in targets/ within or beside the metadata
    #[arg(long, value_name = "DIR")]
    pub(crate) targets: Option<PathBuf>,
    /// Weigh and copy, show what would be imported, and leave nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

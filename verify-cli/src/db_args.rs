//! The command line of `verify db publish` and `verify db update`.

use std::path::PathBuf;

use clap::Args;

use crate::args::{AccessArgs, Format, RootArgs, StateArgs};

/// The target path of a database, where nobody says another.
const TARGET: &str = "advisories/osv.db";

/// A database to be signed.
#[derive(Args, Debug)]
pub(crate) struct DbPublishArgs {
    /// The database
    #[arg(value_name = "FILE")]
    pub(crate) db: PathBuf,
    /// The trust repository that signs it, as `signer` knows it
    #[arg(long, value_name = "DIR", default_value = "./trust")]
    pub(crate) trust: PathBuf,
    /// The path of the target
    #[arg(long, value_name = "PATH", default_value = TARGET)]
    pub(crate) target: String,
    /// Refuse where the newest advisory is older, such as 36h or 7d
    #[arg(long, value_name = "AGE", value_parser = crate::args::parse_age)]
    pub(crate) max_age: Option<chrono::TimeDelta>,
}

/// Where the newest database comes from.
#[derive(Args, Debug)]
pub(crate) struct DbUpdateArgs {
    /// The path of the target [default: that of the last update, else advisories/osv.db]
    #[arg(long, value_name = "PATH")]
    pub(crate) target: Option<String>,
    /// Fetch as of a time, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = crate::args::parse_time)]
    pub(crate) at: Option<chrono::DateTime<chrono::Utc>>,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) root: RootArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

impl DbUpdateArgs {
    /// The target that is meant, where the last update's was `last`.
    pub(crate) fn target(&self, last: Option<&str>) -> String {
        self.target.as_deref().or(last).unwrap_or(TARGET).to_owned()
    }
}

//! tough behind the conformance suite's command line.
//!
//! It must change nothing of tough but its size limits. tough keeps no targets: each download fetches.

use std::process::ExitCode;

use bench_peers::{Call, Command, Failure, METADATA_BYTES};
use tough::{Limits, Prefix, RepositoryLoader, TargetName};
use url::Url;

fn main() -> ExitCode {
    bench_peers::main(client)
}

async fn client(call: Call, command: Command) -> Result<(), Failure> {
    let root = call.root()?;
    let metadata = Url::parse(&call.metadata_url)?;
    // `refresh` names no targets, and fetches none.
    let targets = match command {
        Command::Refresh => metadata.clone(),
        Command::Download => Url::parse(&call.target_base_url)?,
    };
    let loader = RepositoryLoader::new(&root, metadata, targets)
        .datastore(&call.metadata_dir)
        .limits(Limits { max_targets_size: METADATA_BYTES, max_snapshot_size: METADATA_BYTES, ..Limits::default() });
    let repository = loader.load().await?;
    if command == Command::Download {
        for name in &call.target_names {
            repository.save_target(&TargetName::new(name)?, &call.target_dir, Prefix::None).await?;
        }
    }
    Ok(())
}

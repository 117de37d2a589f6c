//! sigstore-tuf behind the conformance suite's command line.
//!
//! It must change nothing of sigstore-tuf but its size limits. The crate keeps targets in its own store;
//! a copy goes where the suite wants it.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use bench_peers::{Call, Command, Failure, METADATA_BYTES};
use jiff::Timestamp;
use sigstore_tuf::{FileStore, HttpRepository, Updater, UpdaterConfig};

fn main() -> ExitCode {
    bench_peers::main(client)
}

async fn client(call: Call, command: Command) -> Result<(), Failure> {
    let mut repository = HttpRepository::new(&call.metadata_url)?;
    if command == Command::Download {
        repository = repository.with_targets_base(&call.target_base_url)?;
    }
    let mut limits = UpdaterConfig::default();
    limits.targets_max_length = METADATA_BYTES;
    limits.snapshot_max_length = METADATA_BYTES;
    let mut updater = Updater::new(repository, &call.root()?)?
        .with_config(limits)
        .with_store(FileStore::new(&call.metadata_dir));
    let now = Timestamp::now();
    updater.refresh(now).await?;
    if command == Command::Download {
        for name in &call.target_names {
            let bytes = updater.get_target(name, now).await?;
            fs::write(call.target_dir.join(file_name(name)), bytes)?;
        }
    }
    Ok(())
}

/// The last part of a target's path: these repositories have one target each that is fetched.
fn file_name(name: &str) -> &Path {
    Path::new(name).file_name().map_or(Path::new("target"), Path::new)
}

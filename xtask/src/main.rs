//! House rules as code. Each is a test too, so `cargo test --workspace` keeps them.
//!
//! It decides about the source tree only: it builds nothing, changes nothing and opens no socket.

mod layering;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask layering   which crate may use which
cargo xtask tidy       what every file keeps to: headers, sizes, links, words";

fn main() -> ExitCode {
    let faults = match std::env::args().nth(1).as_deref() {
        Some("layering") => layering::faults(&workspace()),
        Some("tidy") => tidy::faults(&workspace()),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match faults {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            faults.iter().for_each(|fault| eprintln!("{fault}"));
            eprintln!("error: {} broken house rule(s)", faults.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(3)
        }
    }
}

/// The root of the workspace.
fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

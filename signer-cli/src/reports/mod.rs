//! Answers of the commands, one file for those that belong together. `version` is 1; members may be added.

pub mod attest;
pub mod ceremony;
pub mod diff;
pub mod doctor;
pub mod duty;
pub mod edits;
pub mod for_others;
pub mod import;
pub mod keys;
pub mod refresh;
pub mod serve;
pub mod yank;

use std::fmt;

use crate::exit::Exit;

/// An answer, for people and for programs.
pub(crate) trait Report: fmt::Debug {
    /// As JSON. The schema is in `docs/schema`.
    fn json(&self) -> Result<String, serde_json::Error>;

    /// Whether it says what would be done, and nothing was written.
    fn dry_run(&self) -> bool {
        false
    }

    /// As lines.
    fn text(&self) -> String;

    /// How the run ends.
    fn exit(&self) -> Exit {
        Exit::Done
    }
}

/// A moment, as people read it.
pub(crate) fn day(moment: chrono::DateTime<chrono::Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{env, fs};

    /// `HALLMARK_UPDATE_SCHEMAS=1` writes them anew.
    #[test]
    fn the_schemas_in_docs_are_those_of_the_reports() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
        for (name, schema) in [
            ("signer-attest.json", schemars::schema_for!(super::attest::Attest)),
            ("signer-diff.json", schemars::schema_for!(super::diff::Diff)),
            ("signer-doctor.json", schemars::schema_for!(super::doctor::Doctor)),
            ("signer-import.json", schemars::schema_for!(super::import::Import)),
            ("signer-refresh.json", schemars::schema_for!(super::refresh::Refresh)),
            ("signer-sign-for.json", schemars::schema_for!(super::for_others::SignFor)),
            ("signer-serve.json", schemars::schema_for!(super::serve::Served)),
            ("signer-yank.json", schemars::schema_for!(super::yank::Yank)),
        ] {
            let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            if env::var_os("HALLMARK_UPDATE_SCHEMAS").is_some() {
                fs::write(dir.join(name), &schema).unwrap();
            }
            assert_eq!(fs::read_to_string(dir.join(name)).unwrap_or_default(), schema, "{name}");
        }
    }
}

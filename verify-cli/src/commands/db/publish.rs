//! `verify db publish`: whether a database is fit to be signed, and the commands that sign it.
//!
//! This program holds no key (ARCHITECTURE.md): what signs is `signer`, which takes the database as it takes any
//! file. So stdout has its commands, for a person or a shell, and nothing is written.

use std::path::Path;

use advisories::Database;
use chrono::Utc;

use super::{Report, failure};
use crate::db_args::DbPublishArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::style::{Style, out, say, shown};

pub(super) fn run(args: &DbPublishArgs) -> Result<Exit, Failure> {
    let database = Database::open(&args.db).map_err(|error| failure(&error))?;
    let report = Report::of(&database.info(), Utc::now(), args.max_age);
    if report.too_old == Some(true) {
        say!("{}: the advisories are older than --max-age allows", Style::stderr().bad("error"));
        return Ok(Exit::Gate);
    }
    say!("{} advisories, the newest of {}", report.advisories, shown(&report.made_at));
    let trust = quoted(&text(&args.trust)?);
    let file = quoted(&text(&args.db)?);
    out!("signer --repo {trust} add --file {file} --path {}", quoted(&args.target));
    out!("signer --repo {trust} publish");
    Ok(Exit::Trusted)
}

/// A path that a shell can be given.
fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!("expected a path that can be printed, got {}", shown(&path.to_string_lossy())))
    })
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_written() {
        for word in ["a.db", "/a b/c", "it's", "$(touch x)", "", "`x`;"] {
            let said = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }
}

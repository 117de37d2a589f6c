//! The conformance suite's command line (its CLIENT-CLI.md): `init ROOT`, `refresh`, `download`, with
//! flags before the command.
//!
//! It reads words and starts a runtime. It must add nothing that a peer would be blamed for: no work
//! besides the peer's own, and no settings but size limits (each peer's default is below a 17 MB targets
//! file).

use std::error::Error;
use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

/// Bytes of one metadata file, the peers' limits raised to more than any repository here has (17 MB).
pub const METADATA_BYTES: u64 = 200_000_000;

/// What went wrong, for a person.
pub type Failure = Box<dyn Error>;

/// What the suite asks of a client.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Call {
    /// Where accepted metadata is kept.
    pub metadata_dir: PathBuf,
    /// Where metadata is served.
    pub metadata_url: String,
    /// The targets to fetch, in order.
    pub target_names: Vec<String>,
    /// Where verified targets go.
    pub target_dir: PathBuf,
    /// Where targets are served.
    pub target_base_url: String,
    command: Vec<String>,
}

/// A command of the suite.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// Update the top-level metadata.
    Refresh,
    /// Refresh, then fetch the targets.
    Download,
}

impl Call {
    /// Reads the words that follow the program's name.
    ///
    /// # Errors
    /// Refuses a flag without its value.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut call = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("expected a value after {word}, got none"));
            match word.as_str() {
                "--metadata-dir" => call.metadata_dir = value()?.into(),
                "--metadata-url" => call.metadata_url = value()?,
                "--target-name" => call.target_names.push(value()?),
                "--target-dir" => call.target_dir = value()?.into(),
                "--target-base-url" => call.target_base_url = value()?,
                _ => call.command.push(word),
            }
        }
        Ok(call)
    }

    /// The root that was trusted first, or accepted last.
    ///
    /// # Errors
    /// When there was no `init`.
    pub fn root(&self) -> Result<Vec<u8>, Failure> {
        Ok(fs::read(self.metadata_dir.join("root.json"))?)
    }

    /// `init` as every peer here needs it: the root is copied, and weighed when it is used.
    fn init(&self, root: &str) -> Result<(), Failure> {
        fs::create_dir_all(&self.metadata_dir)?;
        fs::copy(root, self.metadata_dir.join("root.json"))?;
        Ok(())
    }
}

/// A client's `main`: reads the call, and hands all but `init` to `client` on a runtime of one thread,
/// which starts faster than one of many.
pub fn main<Run, Done>(client: Run) -> ExitCode
where
    Run: FnOnce(Call, Command) -> Done,
    Done: Future<Output = Result<(), Failure>>,
{
    match run(client) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run<Run, Done>(client: Run) -> Result<(), Failure>
where
    Run: FnOnce(Call, Command) -> Done,
    Done: Future<Output = Result<(), Failure>>,
{
    let call = Call::read(std::env::args().skip(1))?;
    let command = match call.command.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["init", root] => return call.init(root),
        ["refresh"] => Command::Refresh,
        ["download"] => Command::Download,
        other => return Err(format!("expected init ROOT, refresh or download, got {other:?}").into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(client(call, command))
}

/// An error and what lies under it: some peers' own sentence names no cause.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(under) = cause {
        let more = under.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = under.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(text: &str) -> impl Iterator<Item = String> + '_ {
        text.split(' ').map(str::to_owned)
    }

    #[test]
    fn flags_come_before_the_command_and_names_keep_their_order() {
        let text = "--metadata-dir m --metadata-url u/ --target-name b --target-name a \
                    --target-dir t --target-base-url v/ download";
        let expected = Call {
            metadata_dir: "m".into(),
            metadata_url: "u/".into(),
            target_names: vec!["b".into(), "a".into()],
            target_dir: "t".into(),
            target_base_url: "v/".into(),
            command: vec!["download".into()],
        };
        assert_eq!(Call::read(words(text)).unwrap(), expected);
    }

    #[test]
    fn a_flag_without_its_value_is_refused() {
        let refused = Call::read(words("refresh --metadata-dir")).unwrap_err();
        assert_eq!(refused.to_string(), "expected a value after --metadata-dir, got none");
    }
}

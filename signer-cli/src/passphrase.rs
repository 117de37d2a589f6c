//! Where a passphrase comes from: a file, the environment, or the person at the terminal. Never an argument,
//! which every process on the machine can read.

use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::Surroundings;
use crate::args::PassphraseArgs;
use crate::failure::Failure;

/// A passphrase, wiped when dropped.
pub(crate) type Passphrase = Zeroizing<Vec<u8>>;

/// Where to ask.
#[derive(Debug)]
pub(crate) enum Source {
    /// `--passphrase-file`.
    File(PathBuf),
    /// `HALLMARK_PASSPHRASE`.
    Environment(Passphrase),
    /// Whoever is there.
    Terminal,
}

impl Source {
    /// What was asked for explicitly comes first.
    pub(crate) fn of(args: &PassphraseArgs, around: &Surroundings) -> Self {
        match (&args.passphrase_file, &around.passphrase) {
            (Some(file), _) => Self::File(file.clone()),
            (None, Some(passphrase)) => Self::Environment(passphrase.clone()),
            (None, None) => Self::Terminal,
        }
    }

    /// Whether another question may get another answer.
    pub(crate) fn can_be_asked_again(&self) -> bool {
        matches!(self, Self::Terminal)
    }

    /// What it is called in an error.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(file) => format!("in {}", file.display()),
            Self::Environment(_) => "in HALLMARK_PASSPHRASE".to_owned(),
            Self::Terminal => "that was typed".to_owned(),
        }
    }

    /// The passphrase that opens `what`.
    pub(crate) fn existing(&self, what: &str) -> Result<Passphrase, Failure> {
        self.read(|| ask(&format!("Passphrase for {what}: ")))
    }

    /// A new passphrase. A person types it twice, because nobody can recover it.
    pub(crate) fn new_one(&self) -> Result<Passphrase, Failure> {
        self.read(|| {
            let first = ask("Passphrase for the new keys: ")?;
            let second = ask("The same again: ")?;
            if first == second {
                return Ok(first);
            }
            Err(Failure::usage("the two passphrases differ"))
        })
    }

    fn read(&self, typed: impl FnOnce() -> Result<Passphrase, Failure>) -> Result<Passphrase, Failure> {
        let passphrase = match self {
            Self::File(file) => first_line(Zeroizing::new(
                fs::read(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?,
            )),
            Self::Environment(passphrase) => passphrase.clone(),
            Self::Terminal => typed()?,
        };
        if passphrase.is_empty() {
            return Err(Failure::usage(format!("the passphrase {} is empty", self.name()))
                .hint("`signer init --unencrypted-keys` makes keys that need none"));
        }
        Ok(passphrase)
    }
}

/// The PIN of a token: `HALLMARK_PIN`, or what the person at the terminal types.
pub(crate) fn pin(given: Option<&Passphrase>, what: &str) -> Result<Zeroizing<String>, String> {
    let pin = match given {
        Some(pin) => pin.clone(),
        None if stderr().is_terminal() => {
            ask(&format!("PIN of {what}: ")).map_err(|_| format!("no PIN of {what} was typed"))?
        }
        None => return Err(format!("the PIN of {what} is needed, and there is no terminal to ask on")),
    };
    let text = std::str::from_utf8(&pin).map_err(|_| format!("the PIN of {what} is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn first_line(mut text: Passphrase) -> Passphrase {
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    text.truncate(end);
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    text
}

fn ask(prompt: &str) -> Result<Passphrase, Failure> {
    let nobody = || {
        Failure::usage("a passphrase is needed, and there is no terminal to ask on")
            .hint("give it with --passphrase-file FILE, or in HALLMARK_PASSPHRASE")
    };
    if !stderr().is_terminal() {
        return Err(nobody());
    }
    let typed = rpassword::prompt_password(prompt).map_err(|_| nobody())?;
    Ok(Zeroizing::new(typed.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_to_the_end_of_its_first_line() {
        for (file, passphrase) in [("a b\n", "a b"), ("a b\r\nc", "a b"), (" a", " a"), ("", "")] {
            assert_eq!(first_line(Zeroizing::new(file.into())).as_slice(), passphrase.as_bytes());
        }
    }
}

//! The commands for the keys in `keys/`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::PassphraseArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an Ed25519 key
    #[command(after_help = "Example:\n  signer key new backup")]
    New(KeyNewArgs),
    /// Show which keys are here, and what each signs
    #[command(after_help = "Example:\n  signer key list")]
    List,
    /// Show one key, public half and all
    #[command(after_help = "Example:\n  signer key show root")]
    Show(KeyNameArgs),
    /// Take a key that is elsewhere: a file, a token, an ssh-agent, a program
    #[command(after_help = IMPORT)]
    Import(KeyImportArgs),
    /// Write a key's public half to a file
    #[command(after_help = "Example:\n  signer key export root --out root.pub")]
    Export(KeyExportArgs),
    /// Give a key another passphrase
    #[command(after_help = "Example:\n  signer key password root")]
    Password(KeyPasswordArgs),
}

const IMPORT: &str = "\
Examples:
  signer key import root my-key.pem
  signer key import root 'pkcs11:token=tuf;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so'
  signer key import release ssh-agent:alice@laptop
  signer key import online 'exec:/usr/local/bin/kms-sign?arg=prod'

Of a key that lives elsewhere only the address is kept, and its public half. PINs are asked for, or read
from HALLMARK_PIN.";

#[derive(Debug, Args)]
pub(crate) struct KeyNewArgs {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Write it without a passphrase: whoever can read it can sign
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) unencrypted: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeyNameArgs {
    /// The key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeyImportArgs {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A PKCS#8 file (PEM), or pkcs11:…, ssh-agent:…, exec:…
    #[arg(value_name = "FILE|URI")]
    pub(crate) from: String,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeyExportArgs {
    /// The key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct KeyPasswordArgs {
    /// The key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Read the new passphrase from this file's first line; else ask
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

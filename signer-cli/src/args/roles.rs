//! The commands that say who may sign, and for what.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PassphraseArgs, RehearsalArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum DelegateCommand {
    /// Let a role speak for some of the names, with keys of its own
    #[command(after_help = ADD)]
    Add(DelegateAddArgs),
    /// Let a role speak no more
    #[command(after_help = "Example:\n  signer delegate remove acme-web")]
    Remove(DelegateRemoveArgs),
    /// Show who speaks for what
    #[command(after_help = "Example:\n  signer delegate list")]
    List,
    /// Spread the names over many small roles, so that a client downloads only the one it needs
    #[command(after_help = BINS)]
    Bins(BinsArgs),
}

const ADD: &str = "\
Examples:
  signer delegate add acme-web --paths 'registry.example.com/acme/*'
  signer delegate add acme-web --paths 'registry.example.com/acme/*' \\
    --key bob.pub --key eve.pub --threshold 2

A role without --key gets a new one in keys/. * stands for anything but a slash.";

const BINS: &str = "\
Example:
  signer delegate bins 16384 --succinct

With --succinct they are written in short (TAP 15): python-tuf and our own client read that, go-tuf and
older ones don't. The same command with another number spreads the names anew.";

#[derive(Debug, Args)]
pub(crate) struct DelegateAddArgs {
    /// What the role is called
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Names that it may speak for, as a pattern; may be given several times
    #[arg(long, value_name = "PATTERN", required = true)]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) keys: RoleKeyArgs,
    /// Ask nobody else about these names
    #[arg(long)]
    pub(crate) terminating: bool,
    /// The role that delegates
    #[arg(long, value_name = "ROLE", default_value = "targets")]
    pub(crate) by: String,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

/// The keys of a role that is made.
#[derive(Debug, Args)]
pub(crate) struct RoleKeyArgs {
    /// A public key (PEM), or the name of one in keys/; may be given several times
    #[arg(long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// How many of them must sign; else 1, or as many as before where bins are spread anew
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) threshold: Option<u32>,
    /// Write a new key without a passphrase: whoever can read it can sign
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) unencrypted_keys: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DelegateRemoveArgs {
    /// The role
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BinsArgs {
    /// How many, a power of two: 2 to 16384 written out, up to 65536 in short
    #[arg(value_name = "N")]
    pub(crate) count: u32,
    /// Write them in short (TAP 15)
    #[arg(long)]
    pub(crate) succinct: bool,
    /// What their names start with
    #[arg(long, value_name = "TEXT", default_value = "bins")]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) keys: RoleKeyArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Say how many keys of a role must sign
    #[command(after_help = "Example:\n  signer role threshold root 2")]
    Threshold(ThresholdArgs),
    /// Let a key sign for a role
    #[command(after_help = "Example:\n  signer role add-key root bob.pub")]
    AddKey(AddKeyArgs),
    /// Let a key sign for a role no more
    #[command(after_help = "Example:\n  signer role remove-key root 4f2a9c0d1b33")]
    RemoveKey(RemoveKeyArgs),
    /// Put new keys in the place of a role's old ones, all at once if need be
    #[command(after_help = ROTATE)]
    Rotate(RotateArgs),
    /// Take a key from every role that has it
    #[command(after_help = "Example:\n  signer role revoke 4f2a9c0d1b33")]
    Revoke(RevokeArgs),
    /// Let a role sign what it said anew, with a later expiry
    #[command(after_help = "Example:\n  signer role renew root")]
    Renew(RenewArgs),
}

impl RoleCommand {
    pub(crate) fn rehearsal(&self) -> RehearsalArgs {
        match self {
            Self::Threshold(args) => args.rehearsal,
            Self::AddKey(args) => args.rehearsal,
            Self::RemoveKey(args) => args.rehearsal,
            Self::Rotate(args) => args.rehearsal,
            Self::Revoke(args) => args.rehearsal,
            Self::Renew(args) => args.rehearsal,
        }
    }
}

const ROTATE: &str = "\
Examples:
  signer role rotate timestamp
  signer role rotate root --key alice2.pub --key bob2.pub --key eve2.pub --threshold 2

Without --key a new one is made in keys/. Root and, where their keys are here, the old ones sign too, so
that clients that know only the old root follow, and no moment is left in which they refuse.";

#[derive(Debug, Args)]
pub(crate) struct ThresholdArgs {
    /// root, targets, snapshot, timestamp, or a delegated role
    #[arg(value_name = "ROLE")]
    pub(crate) role: String,
    /// How many
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) threshold: u32,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AddKeyArgs {
    /// root, targets, snapshot, timestamp, or a delegated role
    #[arg(value_name = "ROLE")]
    pub(crate) role: String,
    /// A public key (PEM), or the name of one in keys/
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveKeyArgs {
    /// root, targets, snapshot, timestamp, or a delegated role
    #[arg(value_name = "ROLE")]
    pub(crate) role: String,
    /// The key's id, or its beginning
    #[arg(value_name = "KEYID")]
    pub(crate) key_id: String,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// root, targets, snapshot, timestamp, or a delegated role
    #[arg(value_name = "ROLE")]
    pub(crate) role: String,
    /// A new key: public (PEM), or the name of one in keys/; may be given several times
    #[arg(long = "key", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// Replace only this key, by its id or the beginning of that
    #[arg(long, value_name = "KEYID")]
    pub(crate) only: Option<String>,
    /// How many of the new keys must sign; else as many as before
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) threshold: Option<u32>,
    /// Write a new key without a passphrase: whoever can read it can sign
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) unencrypted_keys: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The key's id, or its beginning
    #[arg(value_name = "KEYID")]
    pub(crate) key_id: String,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// root, targets, or a delegated role
    #[arg(value_name = "ROLE")]
    pub(crate) role: String,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CeremonyCommand {
    /// Write what is staged to a file for others to sign
    #[command(after_help = "Example:\n  signer ceremony propose --out move-to-2-of-3.json")]
    Propose(ProposeArgs),
    /// Show what a file would change, and its fingerprint to read aloud
    #[command(after_help = "Example:\n  signer ceremony show move-to-2-of-3.json")]
    Show(CeremonyFileArgs),
    /// Sign it with the keys that are here; needs no network, and no repository
    #[command(after_help = CEREMONY_SIGN)]
    Sign(CeremonySignArgs),
    /// Say who has signed, and who must still
    #[command(after_help = "Example:\n  signer ceremony status move-to-2-of-3.json")]
    Status(CeremonyFileArgs),
    /// Put signatures on copies of one file together, in any order
    #[command(after_help = "Example:\n  signer ceremony merge alice.json bob.json --out signed.json")]
    Merge(MergeArgs),
}

const CEREMONY_SIGN: &str = "\
Examples:
  signer ceremony sign move-to-2-of-3.json
  signer ceremony sign move-to-2-of-3.json --keys /media/usb/keys --root trusted-root.json \\
    --out bob.json

Compare the words of the fingerprint with the others first. Then `signer publish --ceremony FILE`.";

#[derive(Debug, Args)]
pub(crate) struct ProposeArgs {
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Don't sign it with the keys that are here
    #[arg(long)]
    pub(crate) unsigned: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CeremonyFileArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// A root that you trust already; else that of the repository here, if there is one
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CeremonySignArgs {
    #[command(flatten)]
    pub(crate) file: CeremonyFileArgs,
    /// The folder with your keys; else that of the repository here
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    /// Where to write the signed file; else it takes the place of FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Copies of one file, with signatures of different people
    #[arg(value_name = "FILE", required = true, num_args = 2..)]
    pub(crate) files: Vec<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

//! The commands for the keys in `keys/`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use signing_keys::file::NewKind;
use tuf_core::crypto::Curve;

use super::roles::{RevokeArgs, RotateArgs};
use super::{PassphraseArgs, RehearsalArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key
    #[command(after_help = NEW)]
    New(KeyNewArgs),
    /// Show which keys are here, and what each signs
    #[command(after_help = "Example:\n  signer key list")]
    List,
    /// Show one key, public half and all
    #[command(after_help = "Example:\n  signer key show root")]
    Show(KeyNameArgs),
    /// Take a key that is elsewhere: a file, a token, an ssh-agent, a key service, a program
    #[command(after_help = IMPORT)]
    Import(KeyImportArgs),
    /// Take a key of ssh's: OpenSSH's private key file, or one in the agent
    #[command(after_help = IMPORT_SSH)]
    ImportSsh(KeyImportSshArgs),
    /// Write a key's public half to a file, or its private one
    #[command(after_help = EXPORT)]
    Export(KeyExportArgs),
    /// Give a key another passphrase
    #[command(after_help = "Example:\n  signer key password root")]
    Password(KeyPasswordArgs),
    /// Put new keys in the place of a role's old ones, as `signer role rotate` does
    #[command(after_help = "Example:\n  signer key rotate timestamp")]
    Rotate(RotateArgs),
    /// Take a key from every role that has it, as `signer role revoke` does
    #[command(after_help = "Example:\n  signer key revoke 4f2a9c0d1b33")]
    Revoke(RevokeArgs),
}

const NEW: &str = "\
Examples:
  signer key new backup
  signer key new release --kind ecdsa-p256

RSA keys are made by openssl, and taken from there:
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -aes256 -out rsa.pem
  signer key import legacy rsa.pem";

const IMPORT: &str = "\
Examples:
  signer key import root my-key.pem
  signer key import release cosign.key
  signer key import root file:/media/stick/root.pem
  signer key import root 'pkcs11:token=tuf;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so'
  signer key import release ssh-agent:alice@laptop
  signer key import online 'awskms:///alias/online?region=eu-west-1'
  signer key import online 'exec:/usr/local/bin/kms-sign?arg=prod'

A file is copied, with its passphrase. Of any other key only the address is kept, and its public
half: so too with file: in front. PINs are asked for, or read from HALLMARK_PIN; who asks AWS is
read from where its own tools read it.";

const IMPORT_SSH: &str = "\
Examples:
  signer key import-ssh alice ~/.ssh/id_ed25519
  signer key import-ssh alice SHA256:jYbQ3q…  (as `ssh-add -l` shows it)

A file is copied, with its passphrase. A key in the agent stays there: only its address is kept.";

const EXPORT: &str = "\
Examples:
  signer key export root --out root.pub
  signer key export release --private --form cosign --out cosign.key

A private half keeps its passphrase, and is written so that only you can read it.";

#[derive(Debug, Args)]
pub(crate) struct KeyNewArgs {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What kind of key
    #[arg(long, value_enum, default_value_t = Kind::Ed25519)]
    pub(crate) kind: Kind,
    /// Write it without a passphrase: whoever can read it can sign
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) unencrypted: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

/// A kind of key that can be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
}

impl From<Kind> for NewKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Ed25519 => Self::Ed25519,
            Kind::EcdsaP256 => Self::Ecdsa(Curve::P256),
            Kind::EcdsaP384 => Self::Ecdsa(Curve::P384),
        }
    }
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
    /// A file (PKCS#8, cosign's or OpenSSH's), or file:/…, pkcs11:…, ssh-agent:…, awskms:…, exec:…
    #[arg(value_name = "FILE|URI")]
    pub(crate) from: String,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeyImportSshArgs {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// OpenSSH's private key file, or the fingerprint of a key in the agent
    #[arg(value_name = "FILE|SHA256:…")]
    pub(crate) from: String,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeyExportArgs {
    /// The key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Write the private half: whoever has it and its passphrase can sign
    #[arg(long)]
    pub(crate) private: bool,
    /// For openssl and others, or for cosign
    #[arg(long, value_enum, default_value_t = Form::Pem)]
    pub(crate) form: Form,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

/// How a private half is written. Public halves are SubjectPublicKeyInfo in PEM for everybody.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Form {
    Pem,
    Cosign,
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
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

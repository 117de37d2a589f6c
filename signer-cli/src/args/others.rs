//! Signatures for other tools: what `signer publish --for` and `signer sign-for` take.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use image_signatures::{BadFormat, Envelope, Format};
use oci_image::Reference;

use crate::args::{AccessArgs, PassphraseArgs};

pub(crate) const SIGN_FOR_EXAMPLE: &str = "\
Examples:
  signer sign-for registry.example.com/acme/web:1.4 --for cosign2,cosign3,podman
  signer sign-for registry.example.com/acme/web:1.4 --for notation --for-key release \\
    --certificate chain.pem

Of a tag, what it means in the published metadata is signed. What is signed already stays as it is.

Exit: 0 signed, 1 refused, 2 wrong call or passphrase, 3 could not be pushed (nothing answered)";

/// Who shall read signatures, or none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Formats(pub(crate) BTreeSet<Format>);

impl FromStr for Formats {
    type Err = BadFormat;

    fn from_str(text: &str) -> Result<Self, BadFormat> {
        match text {
            "none" => Ok(Self::default()),
            list => list.split(',').map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Self),
        }
    }
}

/// For whom, by which key, and how the registry is reached.
#[derive(Debug, Args)]
pub(crate) struct ForArgs {
    /// Sign images for other tools: cosign2, cosign3, notation, podman, with commas; or none
    #[arg(long = "for", value_name = "FORMATS")]
    pub(crate) formats: Option<Formats>,
    /// The key in keys/ that signs for them; else that of targets
    #[arg(long, value_name = "NAME")]
    pub(crate) for_key: Option<String>,
    /// The key's certificate, then those above it (PEM): notation wants them
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// How notation's signatures are written, jws or cose; else signer.toml says, else jws
    #[arg(long, value_name = "FORMAT")]
    pub(crate) signature_format: Option<Envelope>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

impl ForArgs {
    /// Whether something is said that is of use with tools to sign for alone.
    pub(crate) fn says_how(&self) -> bool {
        self.for_key.is_some() || self.certificate.is_some() || self.signature_format.is_some()
    }
}

#[derive(Debug, Args)]
pub(crate) struct SignForArgs {
    /// Names that are published: HOST/NAME:TAG or HOST/NAME@sha256:…
    #[arg(value_name = "REF", required = true)]
    pub(crate) names: Vec<Reference>,
    #[command(flatten)]
    pub(crate) for_others: ForArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// Sign and check, show what would be pushed, and push nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_none_is_none() {
        let both = BTreeSet::from([Format::Cosign2, Format::Notation]);
        assert_eq!("notation, cosign2".parse(), Ok(Formats(both)));
        assert_eq!("none".parse(), Ok(Formats::default()));
        for bad in ["", "cosign2,", "cosign2,none", "Cosign2"] {
            bad.parse::<Formats>().unwrap_err();
        }
    }
}

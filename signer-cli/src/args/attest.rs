//! Statements about images: what `signer attest` takes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};
use image_signatures::COSIGN_SIGN;
use oci_image::{Digest, Reference};
use url::Url;

use crate::args::others::Formats;
use crate::args::{AccessArgs, PassphraseArgs, RehearsalArgs};

pub(crate) const ATTEST_EXAMPLE: &str = "\
Examples:
  verify scan registry.example.com/acme/web:1.4 --format spdx >sbom.json
  signer attest registry.example.com/acme/web:1.4 --type spdx --predicate sbom.json --key ci --stage
  signer attest registry.example.com/acme/web:1.4 --type openvex --predicate vex.json \\
    --key file:/run/secrets/ci.pem --for cosign3,cosign2
  signer attest registry.example.com/acme/web:1.4 --revoke sha256:0123…

What --stage names is fresh from the next `signer publish` on, until it is revoked or replaced.

Exit: 0 done, 1 refused, 2 wrong call or passphrase, 3 could not be pushed (nothing answered)";

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["kind", "revoke"]).multiple(true).required(true)))]
pub(crate) struct AttestArgs {
    /// The image: HOST/NAME:TAG or HOST/NAME@sha256:…
    #[arg(value_name = "REF")]
    pub(crate) name: Reference,
    /// What is said: spdx, cyclonedx, slsaprovenance, slsaprovenance1, openvex, vuln, or a predicate type (a URI)
    #[arg(long = "type", value_name = "TYPE", requires_all = ["predicate", "key"])]
    pub(crate) kind: Option<PredicateType>,
    /// The predicate (JSON), signed as it is written; - reads standard input
    #[arg(long, value_name = "FILE", requires = "kind")]
    pub(crate) predicate: Option<PathBuf>,
    /// The key that signs: its name in keys/, or file:…, pkcs11:…, ssh-agent:…, exec:… or awskms:…
    #[arg(long, value_name = "KEY", requires = "kind")]
    pub(crate) key: Option<String>,
    /// Who shall read it: cosign3 (a bundle that refers to the image), cosign2 (the tag .att), or both
    #[arg(long = "for", value_name = "FORMATS", default_value = "cosign3")]
    pub(crate) formats: Formats,
    /// Stage that the metadata names it, so that it is fresh
    #[arg(long, requires = "kind")]
    pub(crate) stage: bool,
    /// Stage that the metadata names the evidence of this digest no more; with --stage it is replaced
    #[arg(long, value_name = "DIGEST")]
    pub(crate) revoke: Vec<Digest>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,
}

/// What kind of thing is said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PredicateType(String);

/// cosign's words for some.
const WORDS: [(&str, &str); 6] = [
    ("spdx", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
];

impl PredicateType {
    pub(crate) fn uri(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PredicateType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, uri)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(Self((*uri).to_owned()));
        }
        // That would be a signature of the image, and no statement about it.
        if text == COSIGN_SIGN {
            return Err("that is a signature of the image: `signer sign-for` makes those".into());
        }
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        match Url::parse(text) {
            Ok(_) if printable => Ok(Self(text.to_owned())),
            _ => {
                let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
                Err(format!("expected {}, or a predicate type that is a URI", words.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_one_of_cosigns_words_or_a_uri_and_never_a_signature() {
        let uri = |text: &str| text.parse::<PredicateType>().map(|kind| kind.0);
        assert_eq!(uri("vuln"), Ok("https://cosign.sigstore.dev/attestation/vuln/v1".into()));
        assert_eq!(uri("https://example.com/reviewed/v1"), Ok("https://example.com/reviewed/v1".into()));
        for bad in ["", "SPDX", "reviewed", "/etc/passwd", "https://example.com/a b", "https://x/\n"] {
            assert!(uri(bad).unwrap_err().starts_with("expected spdx, "), "{bad:?}");
        }
        assert!(uri(COSIGN_SIGN).unwrap_err().contains("sign-for"));
    }
}

//! The command line of other verifiers' verdicts: whose count, and `verify attest`, which signs ours.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use image_evidence::SUMMARY_MAX_AGE;
use url::Url;

use crate::args::{ChainArgs, Format, parse_age};
use crate::evidence_args::{DemandArgs, builder};
use crate::gate_args::GateArgs;
use crate::policy_args::PolicyArgs;

/// Whose verdicts are demanded, and which of them count.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Verifiers")]
pub(crate) struct VerifierArgs {
    /// Demand the verdict of this verifier: its id, and the public key (PEM) that signs for it, or identity:ID,ISSUER
    #[arg(long = "verifier", value_name = "ID=KEY", value_parser = given_verifier)]
    pub(crate) verifiers: Vec<GivenVerifier>,
    /// How old its verdict may be, such as 36h [default: 7d]
    #[arg(long, value_name = "AGE", value_parser = parse_age, requires = "verifiers")]
    pub(crate) max_vsa_age: Option<TimeDelta>,
    /// What one of the verifiers must have found, such as SLSA_BUILD_LEVEL_3
    #[arg(long, value_name = "LEVEL", requires = "verifiers")]
    pub(crate) vsa_level: Option<String>,
}

impl VerifierArgs {
    pub(crate) fn max_age(&self) -> TimeDelta {
        self.max_vsa_age.unwrap_or(SUMMARY_MAX_AGE)
    }
}

/// A verifier, as it was given.
#[derive(Clone, Debug)]
pub(crate) struct GivenVerifier {
    pub(crate) id: String,
    pub(crate) by: SignsForIt,
}

/// Who signs for a verifier.
#[derive(Clone, Debug)]
pub(crate) enum SignsForIt {
    /// The holder of a key.
    Key(PathBuf),
    /// An identity, and who vouches for it.
    Identity(String, String),
}

fn given_verifier(text: &str) -> Result<GivenVerifier, String> {
    // An id may have an equals sign of its own, in a query.
    let (id, by) = text
        .rsplit_once('=')
        .ok_or_else(|| "expected ID=KEY, such as https://ci.example.com/verify=ci.pub".to_owned())?;
    let id = verifier_id(id)?;
    let by = match by.strip_prefix("identity:") {
        Some(identity) => match identity.split_once(',') {
            Some((subject, issuer)) if !subject.is_empty() && !issuer.is_empty() => {
                SignsForIt::Identity(subject.to_owned(), issuer.to_owned())
            }
            _ => return Err("expected identity:ID,ISSUER behind the equals sign".to_owned()),
        },
        None if by.is_empty() => return Err("expected the file of a public key, got nothing".to_owned()),
        None => SignsForIt::Key(by.into()),
    };
    Ok(GivenVerifier { id, by })
}

/// The id of a verifier: a URI (SLSA 1.2, "Verification Summary Attestation", `verifier.id`).
fn verifier_id(text: &str) -> Result<String, String> {
    match Url::parse(text) {
        Ok(_) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
        _ => Err(format!("expected a verifier's id that is a URI, got {text:?}")),
    }
}

/// Verify an image, and sign the verdict for whoever comes next
#[derive(Args, Debug)]
#[command(
    after_help = "\
Examples:
  verify attest registry.example.com/acme/web:1.4 --key file:/run/secrets/verifier.pem \\
    --verifier-id https://verify.example.com/prod --policy policy.toml
  verify attest registry.example.com/acme/web:1.4 --key pkcs11:object=verifier --type svr \\
    --verifier-id https://verify.example.com/prod
and in the next stage:
  verify image registry.example.com/acme/web:1.4 \\
    --verifier https://verify.example.com/prod=verifier.pub

The verdict lies beside the image, as a sigstore bundle. stdout has its reference and nothing else",
    // Here it signs.
    mut_arg("keys", |keys| keys.visible_alias(None))
)]
pub(crate) struct AttestArgs {
    /// The private key that signs the verdict: file:/PATH, pkcs11:…, ssh-agent:… or exec:…
    #[arg(long = "key", id = "private_key", value_name = "URI")]
    pub(crate) key: signing_keys::KeyUri,
    /// As whom: the id of this verifier, a URI by which others name it
    #[arg(long, value_name = "URI", value_parser = verifier_id)]
    pub(crate) verifier_id: String,
    /// In which form: SLSA's verification summary, or in-toto's simple verification result
    #[arg(long = "type", value_enum, default_value = "vsa", value_name = "TYPE")]
    pub(crate) kind: VerdictKind,
    /// Sign that an image failed, too; else nothing is signed of what is refused
    #[arg(long)]
    pub(crate) failed: bool,
    /// The policy's URI [default: that of the trust repository, or of the file of rules]
    #[arg(long, value_name = "URI")]
    pub(crate) policy_uri: Option<Url>,
    /// What else the verdict says that was found, such as ACME_REVIEWED: the policy must stand for it
    #[arg(long = "level", value_name = "LEVEL", value_parser = own_level)]
    pub(crate) levels: Vec<String>,
    /// A builder to be believed, for a SLSA level: that level, who signs for it, its id
    #[arg(long = "builder", value_name = "LEVEL,SIGNER,ID", value_parser = builder)]
    pub(crate) builders: Vec<image_evidence::Builder>,
    /// Write the bundle into this file, and push nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Read the key's passphrase from this file's first line; else from HALLMARK_PASSPHRASE
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    /// Scan it as the last link of the chain: exit 4 where what is in it breaks a rule
    #[arg(long, help_heading = "Scan")]
    pub(crate) scan: bool,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
}

/// A form of a verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum VerdictKind {
    // SLSA's verification summary.
    Vsa,
    // in-toto's simple verification result.
    Svr,
}

/// SLSA's levels come from builders alone.
fn own_level(text: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if text.is_empty() || !text.bytes().all(good) {
        return Err(format!("expected capital letters, digits and _, such as ACME_REVIEWED, got {text:?}"));
    }
    match text.starts_with("SLSA_") || text == "FAILED" {
        true => Err("expected a level of your own: SLSA's come from --builder".to_owned()),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_an_id_and_who_signs_for_it() {
        let given = given_verifier("https://ci.example.com/?stage=prod=keys/ci.pub").unwrap();
        assert_eq!(given.id, "https://ci.example.com/?stage=prod");
        assert!(matches!(given.by, SignsForIt::Key(file) if file == std::path::Path::new("keys/ci.pub")));
        let given = given_verifier("https://ci=identity:ci@example.com,https://issuer").unwrap();
        assert!(
            matches!(given.by, SignsForIt::Identity(who, by) if who == "ci@example.com" && by == "https://issuer")
        );
        for bad in ["", "ci.pub", "ci=ci.pub", "https://ci=", "https://ci=identity:x", "https://c i=ci.pub"] {
            given_verifier(bad).unwrap_err();
        }
    }

    #[test]
    fn nobody_states_a_slsa_level_by_themselves() {
        assert_eq!(own_level("ACME_REVIEWED"), Ok("ACME_REVIEWED".into()));
        for bad in ["", "SLSA_BUILD_LEVEL_3", "FAILED", "acme", "A B"] {
            own_level(bad).unwrap_err();
        }
    }
}

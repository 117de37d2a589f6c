//! The command line of what reads signatures and attestations.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use clap::builder::ArgPredicate;
use image_evidence::{BuilderSigner, Identity};

use crate::args::{ChainArgs, Format};
use crate::pack_args::PackedArgs;
use crate::policy_args::EvidencePolicyArgs;
use crate::verifier_args::VerifierArgs;

/// Whose signatures count.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Signers")]
pub(crate) struct SignerArgs {
    /// A public key (PEM) whose signatures count, such as cosign.pub
    #[arg(long = "signer-key", visible_alias = "key", value_name = "FILE")]
    pub(crate) keys: Vec<PathBuf>,
    /// sigstore's trusted_root.json, for keyless signatures
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// An identity whose keyless signatures count: an e-mail address, or the URI of a workflow
    #[arg(long = "identity", value_name = "ID", requires_all = ["issuers", "trusted_root"])]
    pub(crate) identities: Vec<String>,
    /// Who vouches for the identity, in the same order
    #[arg(long = "issuer", value_name = "URL", requires = "identities")]
    pub(crate) issuers: Vec<String>,
    /// notation's trustpolicy.json; its trust store is in the folder truststore or trust-store beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) notation_policy: Option<PathBuf>,
}

/// What must be signed besides, by how many.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Signers")]
pub(crate) struct DemandArgs {
    /// How many distinct signers must have signed the image
    #[arg(long, value_name = "N")]
    pub(crate) require_signers: Option<NonZeroU32>,
    /// What they must have signed: a predicate type [default: the image itself]
    #[arg(long, value_name = "TYPE", requires = "require_signers")]
    pub(crate) predicate: Option<String>,
    /// Count only what the publisher's metadata names today, and may take back
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) signers: SignerArgs,
    #[command(flatten)]
    pub(crate) verifiers: VerifierArgs,
}

/// List every signature and attestation of an image: by whom, and what it is worth
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify evidence registry.example.com/acme/web:1.4 --key cosign.pub
  verify evidence registry.example.com/acme/web:1.4 --policy policy.toml
  verify evidence oci:./web:1.4 --unverified --key cosign.pub
  verify evidence registry.example.com/acme/web:1.4 --verifier https://ci.example.com/verify=ci.pub
  verify evidence --pack web.hpk --root root.json --key cosign.pub

fresh: the publisher's metadata names it today. signed: somebody trusted signed it, some time.
refused: it counts for nothing, and why",
    // With a pack, the name is in it.
    mut_arg("image", |arg| arg.required(false).required_unless_present("pack")
        .default_value_if("pack", ArgPredicate::IsPresent, Some("oci:pack"))))]
pub(crate) struct EvidenceArgs {
    #[command(flatten)]
    pub(crate) printing: EvidencePrinting,
    #[command(flatten)]
    pub(crate) packed: PackedArgs,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) policy: EvidencePolicyArgs,
    #[command(flatten)]
    pub(crate) signers: SignerArgs,
    /// Count only what the publisher's metadata names today, and may take back
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) verifiers: VerifierArgs,
}

/// Say how an image was built: from which source, by whom, on which base
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify provenance registry.example.com/acme/web:1.4 --key ci.pub \\
    --builder 3,ci.pub,https://github.com/actions/runner/github-hosted
  verify provenance registry.example.com/acme/web:1.4 --policy policy.toml
  verify provenance oci:./web:1.4 --unverified
  verify provenance --pack web.hpk --root root.json --key ci.pub

What nobody vouches for is said to be so, and what is missing is named",
    // With a pack, the name is in it.
    mut_arg("image", |arg| arg.required(false).required_unless_present("pack")
        .default_value_if("pack", ArgPredicate::IsPresent, Some("oci:pack"))))]
pub(crate) struct ProvenanceArgs {
    #[command(flatten)]
    pub(crate) printing: EvidencePrinting,
    #[command(flatten)]
    pub(crate) packed: PackedArgs,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) policy: EvidencePolicyArgs,
    #[command(flatten)]
    pub(crate) signers: SignerArgs,
    /// A builder to be believed: SLSA level, who signs for it (a key as given, or IDENTITY by ISSUER), its id
    #[arg(long = "builder", value_name = "LEVEL,SIGNER,ID", value_parser = builder, conflicts_with = "policy")]
    pub(crate) builders: Vec<image_evidence::Builder>,
}

/// How either is printed.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct EvidencePrinting {
    /// Look at an image that no root speaks for: nothing about it is verified
    #[arg(long, conflicts_with_all = ["repo", "root", "root_sha256", "trust_on_first_use"])]
    pub(crate) unverified: bool,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
}

pub(crate) fn builder(text: &str) -> Result<image_evidence::Builder, String> {
    let parts: Vec<_> = text.splitn(3, ',').collect();
    let [level, signer, id] = parts.as_slice() else {
        return Err("expected LEVEL,SIGNER,ID, such as 3,ci.pub,https://ci.example.com".to_owned());
    };
    let level: u8 = level.parse().map_err(|_| "expected a SLSA build level of 0 to 3".to_owned())?;
    if level > 3 {
        return Err(format!("expected a SLSA build level of 0 to 3, got {level}"));
    }
    if signer.is_empty() || id.is_empty() {
        return Err("expected a signer and a builder's id, got nothing for one of them".to_owned());
    }
    let signer = match signer.rsplit_once(" by ") {
        Some((subject, issuer)) if !subject.is_empty() && !issuer.is_empty() => {
            BuilderSigner::Identity(Identity { subject: subject.to_owned(), issuer: issuer.to_owned() })
        }
        Some(_) => return Err("expected an identity and its issuer, got nothing for one of them".to_owned()),
        None => BuilderSigner::Name((*signer).to_owned()),
    };
    Ok(image_evidence::Builder { signer, id: (*id).to_owned(), level })
}

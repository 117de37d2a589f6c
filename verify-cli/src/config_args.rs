//! The command line of `verify config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oci_image::Reference;

/// Write the policy files by which another client verifies images
#[derive(Args, Debug)]
#[command(after_help = "\
These clients see signatures, and neither rollback nor freeze: docs/src/for-other-tools.md says what each misses")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) client: ConfigClient,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigClient {
    /// For podman, skopeo, buildah and CRI-O: policy.json, and where signatures are
    #[command(after_help = "\
Example:
  verify config podman registry.example.com/acme --key release.pub --out ~/.config/containers

Every key must have signed: these clients know no threshold. Whatever is no image under the name is refused")]
    Podman {
        /// Names of images: HOST/NAME, or what they begin with
        #[arg(value_name = "NAME")]
        name: String,
        /// A public key (PEM) that must have signed
        #[arg(long = "key", value_name = "FILE", required = true)]
        keys: Vec<PathBuf>,
        #[command(flatten)]
        out: OutArgs,
    },
    /// For notation: trustpolicy.json and its trust store
    #[command(after_help = "\
Example:
  verify config notation registry.example.com/acme/web --certificate ca.crt \\
    --identity 'x509.subject: C=DE, ST=Berlin, O=Acme, CN=Acme releases' --out ~/.config/notation

notation takes whole names only, and refuses those that its file doesn't name")]
    Notation {
        /// Names of images: HOST/NAME
        #[arg(value_name = "NAME")]
        name: String,
        /// The certificate (PEM) of the authority that vouches for signers
        #[arg(long = "certificate", value_name = "FILE", required = true)]
        certificates: Vec<PathBuf>,
        /// Who may sign: x509.subject: and a distinguished name
        #[arg(long = "identity", value_name = "SUBJECT", required = true)]
        identities: Vec<String>,
        #[command(flatten)]
        out: OutArgs,
    },
    /// For cosign, which keeps no file: the commands by which it verifies
    #[command(after_help = "\
Examples:
  verify config cosign registry.example.com/acme/web:1.4 --key release.pub
  verify config cosign registry.example.com/acme/web:1.4 --identity ci@example.com \\
    --issuer https://accounts.example.com

A line for each key and identity, of which all must have signed. cosign 3 reads bundles and the older form by them")]
    Cosign {
        /// The image: HOST/NAME[:TAG][@DIGEST]
        #[arg(value_name = "REF")]
        image: Reference,
        /// A public key (PEM) that must have signed
        #[arg(long = "key", value_name = "FILE", required_unless_present = "identities")]
        keys: Vec<PathBuf>,
        /// An identity that must have signed, without a key of its own
        #[arg(long = "identity", value_name = "ID", requires = "issuers")]
        identities: Vec<String>,
        /// Who vouches for the identity, in the same order
        #[arg(long = "issuer", value_name = "URL", requires = "identities")]
        issuers: Vec<String>,
    },
    /// For sigstore's policy-controller in Kubernetes: a ClusterImagePolicy for each key
    #[command(after_help = "\
Example:
  verify config policy-controller registry.example.com/acme --key release.pub --out ./cluster

Every key must have signed. It reads signatures under the tag: `signer publish --for cosign2` makes them")]
    PolicyController {
        #[command(flatten)]
        signed: SignedArgs,
        #[command(flatten)]
        out: OutArgs,
    },
    /// For Kyverno in Kubernetes: a ClusterPolicy
    #[command(after_help = "\
Example:
  verify config kyverno registry.example.com/acme --key release.pub --out ./cluster

Every key must have signed. It reads signatures under the tag: `signer publish --for cosign2` makes them")]
    Kyverno {
        #[command(flatten)]
        signed: SignedArgs,
        #[command(flatten)]
        out: OutArgs,
    },
}

/// Which images, and who must have signed them.
#[derive(Args, Debug)]
pub(crate) struct SignedArgs {
    /// Names of images: HOST/NAME, or what they begin with
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A public key (PEM) that must have signed
    #[arg(long = "key", value_name = "FILE", required = true)]
    pub(crate) keys: Vec<PathBuf>,
}

/// Where files go.
#[derive(Args, Debug)]
pub(crate) struct OutArgs {
    /// The client's folder of configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
}

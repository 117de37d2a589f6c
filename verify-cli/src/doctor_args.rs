//! The command line of `verify doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{ChainArgs, Format};
use crate::evidence_args::SignerArgs;

/// Say which clients would take an image, with which key, and why not
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  verify doctor registry.example.com/acme/web:1.4 --key release.pub
  verify doctor registry.example.com/acme/web:1.4 --key release.pub --client cosign3 --client podman
  verify doctor registry.example.com/acme/web:1.4 --containers-policy /etc/containers/policy.json \\
    --notation-policy ~/.config/notation/trustpolicy.json

Without --client it ends with 0, whatever the answers are. With it: 0 if each of these clients would take the
image, 1 if one would not, 3 if that can't be told")]
pub(crate) struct DoctorArgs {
    /// A client that must take the image; may be repeated [default: all, for information]
    #[arg(long = "client", value_enum, value_name = "NAME")]
    pub(crate) clients: Vec<Client>,
    /// How the answer is printed; json has a schema in docs/schema
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) signers: SignerArgs,
    /// The policy.json by which podman, skopeo, buildah and CRI-O decide
    #[arg(long, value_name = "FILE", help_heading = "Signers")]
    pub(crate) containers_policy: Option<PathBuf>,
}

/// A client that verifies images.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Client {
    // Comments, not documentation: clap would print the long form of every help.
    // This program, by the root that is pinned or given.
    Hallmark,
    Cosign2,
    Cosign3,
    // And skopeo, buildah, CRI-O: containers/image.
    Podman,
    Notation,
    // sigstore's, in Kubernetes.
    PolicyController,
    Kyverno,
    // Docker's library, and what is built on it.
    DockerAttest,
}

impl Client {
    pub(crate) const ALL: [Self; 8] = [
        Self::Hallmark,
        Self::Cosign2,
        Self::Cosign3,
        Self::Podman,
        Self::Notation,
        Self::PolicyController,
        Self::Kyverno,
        Self::DockerAttest,
    ];

    /// In JSON, and on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hallmark => "hallmark",
            Self::Cosign2 => "cosign2",
            Self::Cosign3 => "cosign3",
            Self::Podman => "podman",
            Self::Notation => "notation",
            Self::PolicyController => "policy-controller",
            Self::Kyverno => "kyverno",
            Self::DockerAttest => "docker-attest",
        }
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hallmark => "verify",
            Self::Cosign2 => "cosign 2",
            Self::Cosign3 => "cosign 3",
            Self::Podman => "podman, skopeo",
            Self::Notation => "notation",
            Self::PolicyController => "policy-controller",
            Self::Kyverno => "Kyverno",
            Self::DockerAttest => "docker/attest",
        }
    }
}

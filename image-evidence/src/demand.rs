//! Who is enough: the one place where signers of images are counted.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use image_signatures::COSIGN_SIGN;

use crate::piece::Verified;
use crate::trust::{Signer, SignerId};

/// What must be signed, by how many.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Demand {
    /// What.
    pub wanted: Wanted,
    /// By how many distinct signers.
    pub signers: NonZeroU32,
}

/// What must be signed. A list of what is in an image, however well signed, is no approval of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// The image itself.
    Approval,
    /// A statement of this predicate type about it.
    Predicate(String),
}

impl Wanted {
    /// By predicate type; cosign's for signatures stands for a signature in any form.
    #[must_use]
    pub fn of(predicate_type: &str) -> Self {
        match predicate_type {
            COSIGN_SIGN => Self::Approval,
            other => Self::Predicate(other.to_owned()),
        }
    }

    fn predicate_type(&self) -> &str {
        match self {
            Self::Approval => COSIGN_SIGN,
            Self::Predicate(kind) => kind,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Approval => "the image",
            Self::Predicate(kind) => kind,
        })
    }
}

/// Fewer signed than must.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {wanted} signed by {expected}, got {}", shown(.got))]
pub struct NotEnough {
    /// What was wanted: a predicate type.
    pub wanted: String,
    /// By how many distinct signers.
    pub expected: NonZeroU32,
    /// Those who did.
    pub got: Vec<String>,
}

fn shown(signers: &[String]) -> String {
    match signers {
        [] => "none".into(),
        some => format!("{}: {}", some.len(), some.join(", ")),
    }
}

impl Demand {
    /// The distinct signers of what is wanted, if they are enough. One key is one signer, however many
    /// signatures, certificates and formats it has.
    ///
    /// # Errors
    /// [`NotEnough`], with those who did.
    pub fn weigh<'a>(
        &self,
        verified: impl IntoIterator<Item = &'a Verified>,
    ) -> Result<Vec<Signer>, NotEnough> {
        let wanted = self.wanted.predicate_type();
        let mut signers: BTreeMap<SignerId, &Signer> = BTreeMap::new();
        for piece in verified {
            if piece.claim.predicate_type() == wanted {
                signers.extend(piece.signers.iter().map(|signer| (signer.id(), signer)));
            }
        }
        if u32::try_from(signers.len()).unwrap_or(u32::MAX) >= self.signers.get() {
            return Ok(signers.into_values().cloned().collect());
        }
        let got = signers.into_values().map(ToString::to_string).collect();
        Err(NotEnough { wanted: wanted.into(), expected: self.signers, got })
    }
}

//! What our own signer says of an image beyond digest and length: the `hallmark` member of a target's
//! `custom` (TUF section 4.5).

use serde::Deserialize;
use tuf_core::schema::Target;

/// The version of the `hallmark` member that this verifier understands.
pub const HALLMARK_VERSION: u64 = 1;

/// The `hallmark` member. A target of another signer has none, and says all it needs without it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Hallmark {
    /// The version of this member. A higher one may forbid what we would allow, so it is refused.
    #[serde(default)]
    pub version: u64,
    /// The media type of the manifest or index.
    #[serde(default)]
    pub media_type: Option<String>,
    /// The digest that the tag meant before.
    #[serde(default)]
    pub previous: Option<String>,
    /// The digests that it meant before that, of a tag that only goes forward.
    #[serde(default)]
    pub history: Vec<String>,
    /// What its publisher promises of the tag: `immutable`, `forward-only`, or nothing.
    #[serde(default)]
    pub rule: Option<String>,
    /// The digests of signatures and attestations that belong to it: of their manifests, or of their blobs. What
    /// is named here has the freshness of the metadata, and is replaced or revoked with it.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// That nobody shall run it any more.
    #[serde(default)]
    pub yanked: Option<Yanked>,
}

/// An image that its publisher took back, though its name is still listed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Yanked {
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// What to use instead.
    #[serde(default)]
    pub replacement: Option<String>,
    /// Since when (RFC 3339).
    #[serde(default)]
    pub since: Option<String>,
}

impl Hallmark {
    /// A promise that the publisher broke: what was promised, and what is signed now.
    pub(crate) fn broken_promise(&self, digest: &str) -> Option<(String, String)> {
        match (self.rule.as_deref(), &self.previous) {
            (Some("immutable"), Some(previous)) => {
                Some((format!("an immutable tag to stay {previous}"), digest.to_owned()))
            }
            (Some("forward-only"), _) if self.history.iter().any(|seen| seen == digest) => {
                Some(("a tag that only goes forward".to_owned(), format!("{digest}, which it meant before")))
            }
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Custom {
    #[serde(default)]
    hallmark: Option<Hallmark>,
}

impl Hallmark {
    /// Reads it from a target.
    ///
    /// # Errors
    /// Says what was expected when it is there and can't be read, or is of a later version.
    pub fn of(target: &Target) -> Result<Self, (String, String)> {
        let Some(custom) = &target.custom else { return Ok(Self::default()) };
        let bad = |why: serde_json::Error| ("a hallmark member of version 1".to_owned(), why.to_string());
        let Some(hallmark) = serde_json::from_str::<Custom>(custom.get()).map_err(bad)?.hallmark else {
            return Ok(Self::default());
        };
        if hallmark.version > HALLMARK_VERSION {
            let expected = format!("a hallmark member of version {HALLMARK_VERSION} or earlier");
            return Err((expected, format!("version {}: a newer verifier is needed", hallmark.version)));
        }
        Ok(hallmark)
    }
}

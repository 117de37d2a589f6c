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

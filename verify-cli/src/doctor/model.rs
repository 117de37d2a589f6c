//! What the doctor says of one client, one key and one image; and of which several reasons comes first.

use tuf_core::Failing;

use crate::doctor_args::Client;

/// Whether a client would take the image.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// It would.
    Accepts,
    /// It would not.
    Refuses,
    /// That could not be told.
    Unknown,
}

/// By what the client would decide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct With {
    /// `key`, `identity`, `policy` or `root`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
}

/// Why not. A reader acts differently on each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Word {
    /// A signature is about another image: somebody moved it.
    OtherImage,
    /// By the key or certificate that it names, the bytes were changed.
    Tampered,
    /// It was signed under another name.
    OtherName,
    /// By another key.
    OtherKey,
    /// By this key, in a way that the client doesn't read from such a key.
    KeyKind,
    /// What a log says of it doesn't hold, or no log knows of it.
    Log,
    /// By somebody who isn't trusted.
    OtherSigner,
    /// Its end, or its certificate's, is over; or the certificate is none for this.
    Certificate,
    /// Something that is asked first hides what would be taken.
    Shadowed,
    /// It is listed in a way that the client doesn't see.
    Hidden,
    /// The image is signed, in a form or place where the client doesn't look.
    OtherForm,
    /// It is said of something else: another type of statement.
    OtherType,
    /// Nobody signed it.
    Unsigned,
    /// The client's own policy refuses it, or can't be used.
    Policy,
    /// There is a signature, and it can't be read.
    Malformed,
    /// Nobody said whom to trust.
    NoTrust,
    /// The client asks something that isn't asked here.
    Unchecked,
    /// A place could not be looked at.
    Unreachable,
    /// The chain of trust of this program, in its own words.
    Chain,
}

impl Word {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OtherImage => "other-image",
            Self::Tampered => "tampered",
            Self::OtherName => "other-name",
            Self::OtherKey => "other-key",
            Self::KeyKind => "key-kind",
            Self::Log => "log",
            Self::OtherSigner => "other-signer",
            Self::Certificate => "certificate",
            Self::Shadowed => "shadowed",
            Self::Hidden => "hidden",
            Self::OtherForm => "other-form",
            Self::OtherType => "other-type",
            Self::Unsigned => "unsigned",
            Self::Policy => "policy",
            Self::Malformed => "malformed",
            Self::NoTrust => "no-trust",
            Self::Unchecked => "unchecked",
            Self::Unreachable => "unreachable",
            Self::Chain => "chain",
        }
    }

    /// Where it stands among several.
    fn failing(self) -> Failing {
        match self {
            Self::OtherImage | Self::OtherName => Failing::Substituted,
            Self::Tampered | Self::KeyKind | Self::Log => Failing::BadSignature,
            Self::OtherKey | Self::OtherSigner => Failing::OtherSigner,
            Self::Certificate => Failing::Expired,
            Self::Shadowed | Self::Hidden | Self::OtherForm | Self::OtherType | Self::Unsigned => {
                Failing::Missing
            }
            Self::Policy | Self::Chain | Self::NoTrust => Failing::Denied,
            Self::Malformed => Failing::Unusable,
            Self::Unchecked => Failing::Unchecked,
            Self::Unreachable => Failing::Unreachable,
        }
    }
}

/// Why one signature doesn't count for a client, or none does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Why {
    pub(crate) word: Word,
    /// What was expected, and what came.
    pub(crate) detail: String,
}

impl Why {
    pub(crate) fn new(word: Word, detail: impl Into<String>) -> Self {
        Self { word, detail: detail.into() }
    }
}

/// What a client makes of an image.
#[derive(Clone, Debug)]
pub(crate) enum Weighed {
    /// It takes it; and what else there is to say.
    Accepts(Option<String>),
    /// It refuses it, the most telling reason first.
    Refuses(Vec<Why>),
    /// It can't be told.
    Unknown(Vec<Why>),
}

impl Weighed {
    pub(crate) fn refuses(word: Word, detail: impl Into<String>) -> Self {
        Self::Refuses(vec![Why::new(word, detail)])
    }

    pub(crate) fn unknown(word: Word, detail: impl Into<String>) -> Self {
        Self::Unknown(vec![Why::new(word, detail)])
    }

    /// Of several signatures of which one is enough. What wasn't seen or can't be checked here, or nobody said whose it
    /// may be, might have been it.
    pub(crate) fn any(each: impl IntoIterator<Item = Result<Option<String>, Why>>) -> Self {
        let mut refused = Vec::new();
        for one in each {
            match one {
                Ok(note) => return Self::Accepts(note),
                Err(why) => refused.push(why),
            }
        }
        Self::of(refused)
    }

    /// Where none was enough.
    pub(crate) fn of(mut refused: Vec<Why>) -> Self {
        let is_unsure = |why: &Why| matches!(why.word, Word::Unreachable | Word::Unchecked | Word::NoTrust);
        let unsure = refused.iter().any(is_unsure);
        tuf_core::rank(&mut refused, |why| why.word.failing());
        // The same for a hundred signatures is one reason.
        let mut told: Vec<Why> = Vec::new();
        for why in refused {
            if !told.contains(&why) && told.len() < TOLD {
                told.push(why);
            }
        }
        if unsure { Self::Unknown(told) } else { Self::Refuses(told) }
    }

    pub(crate) fn accepts(&self) -> bool {
        matches!(self, Self::Accepts(_))
    }

    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::Accepts(_) => Answer::Accepts,
            Self::Refuses(_) => Answer::Refuses,
            Self::Unknown(_) => Answer::Unknown,
        }
    }

    pub(crate) fn whys(&self) -> &[Why] {
        match self {
            Self::Accepts(_) => &[],
            Self::Refuses(whys) | Self::Unknown(whys) => whys,
        }
    }
}

/// How many reasons are told: a flood of them says nothing more.
const TOLD: usize = 5;

/// One client, by one key.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) client: Client,
    pub(crate) with: Option<With>,
    pub(crate) weighed: Weighed,
    /// The words by which that client is asked.
    pub(crate) command: Option<Vec<String>>,
    /// What to do so that it takes the image.
    pub(crate) way_out: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_signature_is_enough_and_of_bad_ones_the_most_telling_comes_first() {
        let why = |word| Err(Why::new(word, "x"));
        assert!(Weighed::any([why(Word::OtherKey), Ok(None), why(Word::Unreachable)]).accepts());
        let refused = Weighed::any([why(Word::Malformed), why(Word::OtherKey), why(Word::OtherImage)]);
        let words: Vec<_> = refused.whys().iter().map(|why| why.word.name()).collect();
        assert_eq!(words, ["other-image", "other-key", "malformed"]);
        assert_eq!(refused.answer(), Answer::Refuses);
        // What wasn't seen may have been good.
        let unsure = Weighed::any([why(Word::Unreachable), why(Word::OtherKey)]);
        assert_eq!((unsure.answer(), unsure.whys()[0].word), (Answer::Unknown, Word::OtherKey));
        assert_eq!(Weighed::any([]).answer(), Answer::Refuses);
    }
}

//! Verdicts of others: whose verification summaries count, for what and for how long.
//!
//! A summary counts when its signer is one that was given for *that* verifier's id, it names the image that is asked
//! about, it is no older than was said, and it is the newest word of that verifier (SLSA 1.2, "Verification Summary
//! Attestation", "How to verify"). What was verified is told by the statement's subject, which is weighed before.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use oci_image::{Digest, Reference};

use crate::demand::distinct;
use crate::piece::{Claim, Verified};
use crate::predicate::{Predicate, Vsa};
use crate::resource;
use crate::trust::{Signer, SignerId};

/// The predicate type of a verification summary (SLSA 1.2, "Verification Summary Attestation").
pub const VERIFICATION_SUMMARY: &str = "https://slsa.dev/verification_summary/v1";

/// How old a verdict may be where nobody says: a week, within which a pipeline is run again. A summary has no expiry of
/// its own.
pub const SUMMARY_MAX_AGE: TimeDelta = TimeDelta::days(7);

/// How far a verifier's clock may be ahead of ours: machines that ask for the time differ by less.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

/// Somebody whose verdicts count, and who signs them. Of one id there may be several, such as an old and a new key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verifier {
    /// The id that its summaries bear.
    pub id: String,
    /// Who signs for it.
    pub signer: SignerId,
}

/// Which verdicts of others are demanded: of each verifier one, or of enough of them, and that none of them failed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SummaryDemand {
    /// The verifiers.
    pub verifiers: Vec<Verifier>,
    /// How many of them must have passed it, by as many distinct signers; each of them, where that isn't said.
    pub at_least: Option<NonZeroU32>,
    /// How old a verdict may be.
    pub max_age: TimeDelta,
    /// What must have been found, each by one of them, such as `SLSA_BUILD_LEVEL_3`: that, or a higher level of the
    /// same track.
    pub levels: Vec<String>,
}

/// A verification summary, and those who signed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    /// Those who are trusted, and signed it.
    pub signers: Vec<Signer>,
    /// What it says.
    pub vsa: Vsa,
    /// The manifests that its statement is about.
    pub subjects: Vec<Digest>,
}

/// What is asked about, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The name under which the image is trusted.
    pub name: &'a Reference,
    /// The manifest or index that the name leads to.
    pub top: Digest,
    /// The image that will run: the same, or one that the index lists.
    pub part: Digest,
    /// The time.
    pub now: DateTime<Utc>,
}

/// Why a verdict of others doesn't count, or why none does.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoVerdict {
    /// There is none by this verifier.
    #[error("expected a verification summary by {expected}, got {}", others(.got))]
    Nothing {
        /// The verifier's id.
        expected: String,
        /// Why others didn't count.
        got: Vec<NoVerdict>,
    },
    /// It is something else, or can't be read.
    #[error("a statement that is no verification summary: {got}")]
    NoSummary {
        /// What it is.
        got: String,
    },
    /// Its signer doesn't speak for the verifier that it names.
    #[error("one signed by {signer}, who was not given as verifier {got}")]
    Verifier {
        /// Who signed.
        signer: String,
        /// Whose verdict it claims to be.
        got: String,
    },
    /// It is about another name.
    #[error("one about {got:?}, expected {expected}")]
    Resource {
        /// The name that was asked about.
        expected: String,
        /// What it names.
        got: String,
    },
    /// It doesn't say when.
    #[error("one by {verifier} without a time")]
    NoTime {
        /// The verifier's id.
        verifier: String,
    },
    /// It is from the future.
    #[error("one by {verifier} of {}, expected a time before {}", time(.at), time(.now))]
    Future {
        /// The verifier's id.
        verifier: String,
        /// Its time.
        at: DateTime<Utc>,
        /// The time that it was weighed at.
        now: DateTime<Utc>,
    },
    /// It is too old.
    #[error("the newest verification summary by {verifier} is of {}, expected one after {}", time(.at), time(.after))]
    Old {
        /// The verifier's id.
        verifier: String,
        /// Its time.
        at: DateTime<Utc>,
        /// How old it may be at most.
        after: DateTime<Utc>,
    },
    /// The verifier refused the image.
    #[error("{verifier} refused it{}", since(.at.as_ref()))]
    Failed {
        /// The verifier's id.
        verifier: String,
        /// When, where it says.
        at: Option<DateTime<Utc>>,
    },
    /// The verifier said something else since.
    #[error("one by {verifier} of {}, whose newest word is of {}", time(.at), time(.newest))]
    Superseded {
        /// The verifier's id.
        verifier: String,
        /// Its time.
        at: DateTime<Utc>,
        /// That of the newest one.
        newest: DateTime<Utc>,
    },
    /// Too few passed it.
    #[error("expected verification summaries by {expected} verifiers with a signer each, got {}; {}", shown(.got), others(.why))]
    Few {
        /// By how many.
        expected: NonZeroU32,
        /// The ids of those who did.
        got: Vec<String>,
        /// Why the others didn't.
        why: Vec<NoVerdict>,
    },
    /// No verifier found that level.
    #[error("expected {expected} by one of the verifiers, got {}", shown(.got))]
    Level {
        /// What was demanded.
        expected: String,
        /// What they found.
        got: Vec<String>,
    },
}

fn time(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn since(at: Option<&DateTime<Utc>>) -> String {
    at.map(|at| format!(" at {}", time(at))).unwrap_or_default()
}

fn shown(words: &[String]) -> String {
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

/// How many others an error names: a flood of them says nothing more.
const SHOWN: usize = 3;

fn others(got: &[NoVerdict]) -> String {
    let words: Vec<_> = got.iter().take(SHOWN).map(ToString::to_string).collect();
    if words.is_empty() { "none".into() } else { words.join("; ") }
}

/// A verdict that counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Passed {
    /// The verifier's id.
    pub verifier: String,
    /// When it verified.
    pub at: DateTime<Utc>,
    /// What it found.
    pub levels: Vec<String>,
}

/// A summary by somebody who may speak for its verifier, about what is asked.
struct Word {
    at: DateTime<Utc>,
    signer: Signer,
    vsa: Vsa,
}

impl Word {
    /// The newest is the last word; of two at one time the one that refuses.
    fn order(&self) -> (DateTime<Utc>, bool) {
        (self.at, !self.vsa.passed)
    }
}

impl Summary {
    /// What a signed piece says, if it is a summary.
    ///
    /// # Errors
    /// [`NoVerdict::NoSummary`].
    pub fn of(verified: &Verified) -> Result<Self, NoVerdict> {
        let Claim::Statement(statement) = &verified.claim else {
            return Err(NoVerdict::NoSummary { got: verified.claim.predicate_type().to_owned() });
        };
        match Predicate::of(statement) {
            Ok(Predicate::Vsa(vsa)) => {
                let hex = statement.subjects.iter().filter_map(|subject| subject.digest.get("sha256"));
                let subjects = hex.filter_map(|hex| format!("sha256:{hex}").parse().ok()).collect();
                Ok(Self { signers: verified.signers.clone(), vsa, subjects })
            }
            Ok(other) => Err(NoVerdict::NoSummary { got: other.name().to_owned() }),
            Err(why) => Err(NoVerdict::NoSummary { got: why.to_string() }),
        }
    }
}

impl SummaryDemand {
    /// The newest verdict of each verifier, if enough of them passed the image, and none refused it.
    ///
    /// # Errors
    /// [`NoVerdict`], for one that refused it, or the first that has none.
    pub fn weigh<'a>(
        &self,
        verified: impl IntoIterator<Item = &'a Verified>,
        asked: &Asked<'_>,
    ) -> Result<Vec<Passed>, NoVerdict> {
        self.weigh_summaries(verified.into_iter().map(Summary::of), asked)
    }

    /// The same of summaries that were read before, and of what was none.
    ///
    /// # Errors
    /// As [`Self::weigh`].
    pub fn weigh_summaries(
        &self,
        summaries: impl IntoIterator<Item = Result<Summary, NoVerdict>>,
        asked: &Asked<'_>,
    ) -> Result<Vec<Passed>, NoVerdict> {
        let (mut words, mut rest) = (Vec::new(), Vec::new());
        for summary in summaries {
            match summary.and_then(|summary| self.word(summary, asked)) {
                Ok(word) => words.push(word),
                Err(why) => rest.push(why),
            }
        }
        let ids: BTreeSet<&str> = self.verifiers.iter().map(|verifier| verifier.id.as_str()).collect();
        let (mut passed, mut signers, mut short) = (Vec::new(), Vec::new(), Vec::new());
        for id in ids {
            let of_id = words.iter().filter(|word| word.vsa.verifier == id);
            let Some(newest) = of_id.max_by_key(|word| word.order()) else {
                short.push(NoVerdict::Nothing { expected: id.to_owned(), got: rest.clone() });
                continue;
            };
            match self.counted(newest, asked) {
                Ok(one) => {
                    passed.push(one);
                    signers.push(&newest.signer);
                }
                // Who was named and refuses it is not outvoted.
                Err(failed @ NoVerdict::Failed { .. }) => return Err(failed),
                Err(why) => short.push(why),
            }
        }
        self.expect_enough(&passed, &signers, short)?;
        let found = || passed.iter().flat_map(|one| &one.levels);
        match self.levels.iter().find(|level| !found().any(|got| reaches(got, level))) {
            Some(level) => Err(NoVerdict::Level { expected: level.clone(), got: found().cloned().collect() }),
            None => Ok(passed),
        }
    }

    fn expect_enough(
        &self,
        passed: &[Passed],
        signers: &[&Signer],
        mut short: Vec<NoVerdict>,
    ) -> Result<(), NoVerdict> {
        let Some(expected) = self.at_least else {
            return short.into_iter().next().map_or(Ok(()), Err);
        };
        // One who signs for several verifiers is one.
        let got = u32::try_from(distinct(signers.iter().copied()).len()).unwrap_or(u32::MAX);
        if got >= expected.get() {
            return Ok(());
        }
        if passed.is_empty() && short.len() == 1 {
            return short.pop().map_or(Ok(()), Err);
        }
        let got = passed.iter().map(|one| one.verifier.clone()).collect();
        Err(NoVerdict::Few { expected, got, why: short })
    }

    /// Whether a piece is a verdict that counts, beside all that were found about the same image.
    ///
    /// # Errors
    /// [`NoVerdict`], which says why it doesn't.
    pub fn accept<'a>(
        &self,
        verified: &Verified,
        all: impl IntoIterator<Item = &'a Verified>,
        asked: &Asked<'_>,
    ) -> Result<Passed, NoVerdict> {
        let word = |one: &Verified| Summary::of(one).and_then(|summary| self.word(summary, asked));
        let own = word(verified)?;
        let others = all.into_iter().filter_map(|one| word(one).ok());
        let of_it = others.filter(|one| one.vsa.verifier == own.vsa.verifier);
        match of_it.max_by_key(Word::order) {
            Some(newest) if newest.order() > own.order() => {
                Err(NoVerdict::Superseded { verifier: own.vsa.verifier, at: own.at, newest: newest.at })
            }
            _ => self.counted(&own, asked),
        }
    }

    fn counted(&self, word: &Word, asked: &Asked<'_>) -> Result<Passed, NoVerdict> {
        let Word { at, vsa, .. } = word;
        let verifier = vsa.verifier.clone();
        if !vsa.passed {
            return Err(NoVerdict::Failed { verifier, at: vsa.time });
        }
        // An age beyond all time is no bound.
        let after = asked.now.checked_sub_signed(self.max_age).unwrap_or(DateTime::<Utc>::MIN_UTC);
        if *at < after {
            return Err(NoVerdict::Old { verifier, at: *at, after });
        }
        Ok(Passed { verifier, at: *at, levels: vsa.levels.clone() })
    }

    fn word(&self, summary: Summary, asked: &Asked<'_>) -> Result<Word, NoVerdict> {
        let Summary { signers, vsa, subjects } = summary;
        let Some(signer) = signers.iter().find(|signer| self.may_speak(signer, &vsa.verifier)).cloned()
        else {
            let signer = signers.iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(NoVerdict::Verifier { signer: shown(&signer), got: vsa.verifier });
        };
        if !resource::is_about(&vsa.resource, &subjects, asked) {
            return Err(NoVerdict::Resource { expected: asked.name.to_string(), got: vsa.resource });
        }
        let latest = asked.now.checked_add_signed(CLOCK_SKEW).unwrap_or(asked.now);
        match vsa.time {
            Some(at) if at <= latest => Ok(Word { at, signer, vsa }),
            // A refusal stands whatever its clock says: what is passed over would let the image run.
            time if !vsa.passed => Ok(Word { at: time.unwrap_or(latest), signer, vsa }),
            Some(at) => Err(NoVerdict::Future { verifier: vsa.verifier, at, now: asked.now }),
            None => Err(NoVerdict::NoTime { verifier: vsa.verifier }),
        }
    }

    fn may_speak(&self, signer: &Signer, id: &str) -> bool {
        let ids = signer.ids();
        self.verifiers.iter().any(|verifier| verifier.id == id && ids.contains(&verifier.signer))
    }
}

/// Whether what was found is what is demanded, or a higher level of the same track (SLSA 1.2, "SlsaResult").
fn reaches(got: &str, wanted: &str) -> bool {
    fn level(text: &str) -> Option<(&str, u8)> {
        let (track, level) = text.rsplit_once("_LEVEL_")?;
        Some((track, level.parse().ok()?))
    }
    match (level(got), level(wanted)) {
        (Some((got_track, got)), Some((track, wanted))) => got_track == track && got >= wanted,
        _ => got == wanted,
    }
}

#[cfg(test)]
mod tests;

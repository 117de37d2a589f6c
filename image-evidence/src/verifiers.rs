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
    #[error("{verifier} refused it at {}", time(.at))]
    Failed {
        /// The verifier's id.
        verifier: String,
        /// When.
        at: DateTime<Utc>,
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
            // Of two at one time the one that refuses is the last word.
            let of_id = words.iter().filter(|word| word.vsa.verifier == id);
            let Some(newest) = of_id.max_by_key(|word| (word.at, !word.vsa.passed)) else {
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

    /// Whether a piece, alone, is a verdict that counts.
    ///
    /// # Errors
    /// [`NoVerdict`], which says why it doesn't.
    pub fn accept(&self, verified: &Verified, asked: &Asked<'_>) -> Result<Passed, NoVerdict> {
        let word = Summary::of(verified).and_then(|summary| self.word(summary, asked))?;
        self.counted(&word, asked)
    }

    fn counted(&self, word: &Word, asked: &Asked<'_>) -> Result<Passed, NoVerdict> {
        let Word { at, vsa, .. } = word;
        let verifier = vsa.verifier.clone();
        if !vsa.passed {
            return Err(NoVerdict::Failed { verifier, at: *at });
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
        let Some(at) = vsa.time else { return Err(NoVerdict::NoTime { verifier: vsa.verifier }) };
        if at > asked.now.checked_add_signed(CLOCK_SKEW).unwrap_or(asked.now) {
            return Err(NoVerdict::Future { verifier: vsa.verifier, at, now: asked.now });
        }
        Ok(Word { at, signer, vsa })
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
mod tests {
    use super::*;
    use crate::statement::Statement;
    use serde_json::json;

    const ID: &str = "https://verify.example.com/prod";
    const NAME: &str = "registry.example.com/acme/web:1.4";

    fn now() -> DateTime<Utc> {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    fn signer(key: &str) -> Signer {
        Signer::Key { name: format!("{key}.pub"), id: Digest::of(key.as_bytes()) }
    }

    /// A summary by key `a`, with these members changed.
    fn summary(key: &str, changed: &serde_json::Value) -> Verified {
        let mut predicate = json!({
            "verifier": { "id": ID }, "timeVerified": "2026-11-27T11:00:00Z", "resourceUri": NAME,
            "policy": { "uri": "p" }, "verificationResult": "PASSED", "verifiedLevels": ["SLSA_BUILD_LEVEL_2"],
        });
        for (name, value) in changed.as_object().unwrap() {
            predicate[name] = value.clone();
        }
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1", "subject": [],
            "predicateType": "https://slsa.dev/verification_summary/v1", "predicate": predicate,
        });
        let claim = Claim::Statement(Statement::parse(statement.to_string().as_bytes()).unwrap());
        Verified { claim, signers: vec![signer(key)] }
    }

    fn demand(level: Option<&str>) -> SummaryDemand {
        let verifier = |id: &str, key: &str| Verifier {
            id: id.into(),
            signer: SignerId::Key(Digest::of(key.as_bytes())),
        };
        SummaryDemand {
            verifiers: vec![verifier(ID, "a")],
            at_least: None,
            max_age: SUMMARY_MAX_AGE,
            levels: level.into_iter().map(str::to_owned).collect(),
        }
    }

    fn weigh(demand: &SummaryDemand, pieces: &[Verified]) -> Result<Vec<Passed>, String> {
        let name = NAME.parse().unwrap();
        let (top, part) = (Digest::of(b"index"), Digest::of(b"part"));
        demand.weigh(pieces, &Asked { name: &name, top, part, now: now() }).map_err(|why| why.to_string())
    }

    #[test]
    fn a_summary_that_doesnt_count_says_why() {
        let nothing = |got: &str| format!("expected a verification summary by {ID}, got {got}");
        for (key, changed, why) in [
            (
                "b",
                json!({}),
                nothing(&format!("one signed by key b.pub, who was not given as verifier {ID}")),
            ),
            (
                "a",
                json!({ "verifier": { "id": "https://other" } }),
                nothing("one signed by key a.pub, who was not given as verifier https://other"),
            ),
            (
                "a",
                json!({ "resourceUri": "registry.example.com/acme/other:1.4" }),
                nothing(&format!("one about \"registry.example.com/acme/other:1.4\", expected {NAME}")),
            ),
            ("a", json!({ "timeVerified": null }), nothing(&format!("one by {ID} without a time"))),
            (
                "a",
                json!({ "timeVerified": "2026-11-27T12:01:01Z" }),
                nothing(&format!(
                    "one by {ID} of 2026-11-27T12:01:01Z, expected a time before 2026-11-27T12:00:00Z"
                )),
            ),
            (
                "a",
                json!({ "timeVerified": "2026-11-20T11:59:59Z" }),
                format!(
                    "the newest verification summary by {ID} is of 2026-11-20T11:59:59Z, expected one after \
                     2026-11-20T12:00:00Z"
                ),
            ),
            (
                "a",
                json!({ "verificationResult": "FAILED" }),
                format!("{ID} refused it at 2026-11-27T11:00:00Z"),
            ),
            (
                "a",
                json!({ "verificationResult": "passed" }),
                format!("{ID} refused it at 2026-11-27T11:00:00Z"),
            ),
        ] {
            assert_eq!(weigh(&demand(None), &[summary(key, &changed)]), Err(why), "{changed}");
        }
        assert_eq!(weigh(&demand(None), &[]), Err(nothing("none")));
        let approval = Verified { claim: Claim::Approval, signers: vec![signer("a")] };
        assert!(weigh(&demand(None), &[approval]).unwrap_err().contains("no verification summary"));
        assert!(weigh(&demand(None), &[summary("a", &json!({}))]).is_ok());
        // A clock may be a little ahead.
        assert!(
            weigh(&demand(None), &[summary("a", &json!({ "timeVerified": "2026-11-27T12:00:59Z" }))]).is_ok()
        );
    }

    #[test]
    fn the_newest_word_of_each_verifier_counts() {
        let at = |time: &str, result: &str| {
            summary("a", &json!({ "timeVerified": time, "verificationResult": result }))
        };
        let (early, late) = ("2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z");
        let both = demand(None);
        assert!(weigh(&both, &[at(early, "FAILED"), at(late, "PASSED")]).is_ok());
        for pieces in [
            [at(early, "PASSED"), at(late, "FAILED")],
            [at(late, "FAILED"), at(early, "PASSED")],
            [at(late, "PASSED"), at(late, "FAILED")],
            [at(late, "FAILED"), at(late, "PASSED")],
        ] {
            assert_eq!(weigh(&both, &pieces), Err(format!("{ID} refused it at {late}")));
        }
        // A stranger's refusal is no word.
        let stranger = summary("b", &json!({ "verificationResult": "FAILED" }));
        assert!(weigh(&both, &[at(late, "PASSED"), stranger]).is_ok());
        // Each verifier that was named must have passed it.
        let mut two = demand(None);
        let other = SignerId::Key(Digest::of(b"b"));
        two.verifiers.push(Verifier { id: "https://other".into(), signer: other.clone() });
        assert!(weigh(&two, &[at(late, "PASSED")]).unwrap_err().contains("by https://other, got none"));
        let second = summary("b", &json!({ "verifier": { "id": "https://other" } }));
        assert_eq!(weigh(&two, &[at(late, "PASSED"), second]).map(|passed| passed.len()), Ok(2));
        // Two keys of one verifier are one: the old one and the new one.
        let mut rotated = demand(None);
        rotated.verifiers.push(Verifier { id: ID.into(), signer: other });
        assert_eq!(weigh(&rotated, &[summary("b", &json!({}))]).map(|passed| passed.len()), Ok(1));
    }

    #[test]
    fn of_several_verifiers_enough_must_have_passed_it_and_none_refused_it() {
        const OTHER: &str = "https://other.example.com";
        let any = |count: u32, second: &str| {
            let signer = SignerId::Key(Digest::of(second.as_bytes()));
            let mut of = demand(None);
            of.verifiers.push(Verifier { id: OTHER.into(), signer });
            SummaryDemand { at_least: NonZeroU32::new(count), ..of }
        };
        let other = |key: &str, result: &str| {
            summary(key, &json!({ "verifier": { "id": OTHER }, "verificationResult": result }))
        };
        let first = summary("a", &json!({}));
        assert_eq!(weigh(&any(1, "b"), std::slice::from_ref(&first)).map(|passed| passed.len()), Ok(1));
        assert_eq!(weigh(&any(1, "b"), &[other("b", "PASSED")]).map(|passed| passed.len()), Ok(1));
        let few = weigh(&any(2, "b"), std::slice::from_ref(&first)).unwrap_err();
        let expected =
            format!("expected verification summaries by 2 verifiers with a signer each, got {ID};");
        assert!(few.starts_with(&expected), "{few}");
        assert!(few.ends_with(&format!("by {OTHER}, got none")), "{few}");
        assert_eq!(
            weigh(&any(2, "b"), &[first.clone(), other("b", "PASSED")]).map(|passed| passed.len()),
            Ok(2)
        );
        // One key behind two names is one signer.
        weigh(&any(2, "a"), &[first.clone(), other("a", "PASSED")]).unwrap_err();
        // Who is named and refuses it isn't outvoted; who isn't named says nothing.
        let refused = weigh(&any(1, "b"), &[first.clone(), other("b", "FAILED")]).unwrap_err();
        assert_eq!(refused, format!("{OTHER} refused it at 2026-11-27T11:00:00Z"));
        assert!(weigh(&any(1, "b"), &[first, other("c", "FAILED")]).is_ok());
        let none = weigh(&any(1, "b"), &[]).unwrap_err();
        assert!(
            none.starts_with("expected verification summaries by 1 verifiers with a signer each, got none"),
            "{none}"
        );
    }

    #[test]
    fn a_level_is_reached_by_itself_and_by_those_above_it_in_its_track() {
        for (got, wanted, is) in [
            ("SLSA_BUILD_LEVEL_2", "SLSA_BUILD_LEVEL_2", true),
            ("SLSA_BUILD_LEVEL_3", "SLSA_BUILD_LEVEL_2", true),
            ("SLSA_BUILD_LEVEL_1", "SLSA_BUILD_LEVEL_2", false),
            ("SLSA_SOURCE_LEVEL_3", "SLSA_BUILD_LEVEL_2", false),
            ("SLSA_BUILD_LEVEL_UNEVALUATED", "SLSA_BUILD_LEVEL_0", false),
            ("ACME_REVIEWED", "ACME_REVIEWED", true),
            ("ACME_REVIEWED", "ACME_TESTED", false),
        ] {
            assert_eq!(reaches(got, wanted), is, "{got} {wanted}");
        }
        let one = [summary("a", &json!({}))];
        assert!(weigh(&demand(Some("SLSA_BUILD_LEVEL_2")), &one).is_ok());
        assert_eq!(
            weigh(&demand(Some("SLSA_BUILD_LEVEL_3")), &one),
            Err("expected SLSA_BUILD_LEVEL_3 by one of the verifiers, got SLSA_BUILD_LEVEL_2".into())
        );
    }
}

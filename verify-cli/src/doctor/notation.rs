//! notation: JWS and COSE envelopes that refer to the image, by its trust policy and stores.
//!
//! It asks the registry's list, or the one under the tag, for its own artifact type, and sees no entry that doesn't
//! say it; each must have one blob, and one that can't be fetched ends it. One good signature is enough
//! (`registry/repository.go`, `notation.go` of notation-go). It asks certificate authorities about revocation,
//! which isn't done here.

use image_evidence::{Form, Piece, Refusal, Trust};
use oci_image::Descriptor;
use serde::Deserialize;

use super::cosign::unseen;
use super::look::{Holder, Listing, Sight, Trouble};
use super::model::{Row, Weighed, Why, With, Word};
use super::{Question, Trusted, bytes};
use crate::doctor_args::Client;

/// The artifact type of a signature.
const ARTIFACT: &str = "application/vnd.cncf.notary.signature";

/// The most signatures that notation tries, unless told otherwise.
const SIGNATURES_MAX: usize = 100;

/// How strict the policy is that holds for the image's repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// Whatever is there passes, also nothing.
    Skip,
    /// Failures are but told.
    Audit,
    /// Somebody who is trusted must have signed.
    Enforced,
    /// There is no policy for it.
    Absent,
}

impl Level {
    /// Of a policy that was read before.
    pub(crate) fn of(policy: &str, repository: &str) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            trust_policies: Vec<One>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct One {
            registry_scopes: Vec<String>,
            signature_verification: Verification,
        }
        #[derive(Deserialize)]
        struct Verification {
            level: String,
        }
        let policies =
            serde_json::from_str::<Wire>(policy).map(|wire| wire.trust_policies).unwrap_or_default();
        let with =
            |scope: &str| policies.iter().find(|one| one.registry_scopes.iter().any(|own| own == scope));
        match with(repository).or_else(|| with("*")).map(|one| one.signature_verification.level.as_str()) {
            Some("skip") => Self::Skip,
            Some("audit") => Self::Audit,
            Some(_) => Self::Enforced,
            None => Self::Absent,
        }
    }
}

pub(super) fn rows(question: &Question<'_>, trusted: &Trusted) -> Vec<Row> {
    let (with, weighed) = match &trusted.notation {
        None => (None, by_nobody(question)),
        Some((file, trust, level)) => {
            let name = file.display().to_string();
            (Some(With { kind: "policy", name }), by_policy(question, trust, *level))
        }
    };
    // A tag may move between two looks.
    let at = format!("{}@{}", question.reference.name(), question.seen.top.digest);
    let command = with.is_some().then(|| vec!["notation".to_owned(), "verify".to_owned(), at]);
    let way_out = (!weighed.accepts()).then(|| way_out(question, &weighed));
    vec![Row { client: Client::Notation, with, weighed, command, way_out }]
}

fn by_nobody(question: &Question<'_>) -> Weighed {
    match listed(question) {
        Err(weighed) => weighed,
        Ok(_) => Weighed::unknown(Word::NoTrust, "there are signatures, and no trust policy was given"),
    }
}

fn by_policy(question: &Question<'_>, trust: &Trust, level: Level) -> Weighed {
    match level {
        Level::Skip => {
            return Weighed::Accepts(Some("its policy takes whatever there is (level skip)".to_owned()));
        }
        Level::Absent => {
            let detail = format!("expected a policy for {}, got none", question.reference.name());
            return Weighed::refuses(Word::Policy, detail);
        }
        Level::Audit | Level::Enforced => {}
    }
    let listing = match listed(question) {
        Ok(listing) => listing,
        Err(weighed) => return weighed,
    };
    let mut refused = Vec::new();
    for (entry, holder) in visible(listing).take(SIGNATURES_MAX) {
        match signature(question, trust, level, entry, holder) {
            Ok(()) if level == Level::Audit => {
                return Weighed::Accepts(Some(
                    "its policy only tells what doesn't hold (level audit)".to_owned(),
                ));
            }
            Ok(()) => return Weighed::Accepts(None),
            Err(Ending::This(why)) => refused.push(why),
            Err(Ending::All(why)) => {
                refused.push(why);
                return Weighed::of(refused);
            }
        }
    }
    if listing.left > 0 {
        let detail = format!("{} more refer to the image, which weren't looked at", listing.left);
        refused.push(Why::new(Word::Unchecked, detail));
    }
    Weighed::of(refused)
}

/// The list, where notation sees a signature in it.
fn listed<'a>(question: &Question<'a>) -> Result<&'a Listing, Weighed> {
    const WANTED: &str = "a signature of notation that refers to the image";
    let listing = match &question.seen.listing {
        Sight::There(listing) => listing,
        Sight::Absent => return Err(question.nothing(WANTED)),
        Sight::Unseen(trouble) => return Err(unseen("what refers to the image", trouble)),
    };
    if visible(listing).next().is_some() {
        return Ok(listing);
    }
    let hidden = listing.entries.iter().find(|(_, holder)| holder.as_ref().is_ok_and(is_notation));
    if let Some((entry, _)) = hidden {
        let got = entry.artifact_type.as_deref().unwrap_or("none");
        let detail = format!(
            "expected artifact type {ARTIFACT} in the list ({}) of what refers to the image, got {got:?} for {}",
            listing.place.name(),
            entry.digest
        );
        return Err(Weighed::refuses(Word::Hidden, detail));
    }
    Err(question.nothing(WANTED))
}

fn visible(listing: &Listing) -> impl Iterator<Item = (&Descriptor, &Result<Holder, Trouble>)> {
    let entries =
        listing.entries.iter().filter(|(entry, _)| entry.artifact_type.as_deref() == Some(ARTIFACT));
    entries.map(|(entry, holder)| (entry, holder))
}

fn is_notation(holder: &Holder) -> bool {
    holder.artifact_type.as_deref().unwrap_or(&holder.config_type) == ARTIFACT
}

/// What one signature that is refused ends.
enum Ending {
    This(Why),
    /// notation stops there, whatever comes after.
    All(Why),
}

fn signature(
    question: &Question<'_>,
    trust: &Trust,
    level: Level,
    entry: &Descriptor,
    holder: &Result<Holder, Trouble>,
) -> Result<(), Ending> {
    let all = |word, detail: String| Ending::All(Why::new(word, detail));
    let holder = match holder {
        Ok(holder) => holder,
        Err(Trouble { why, unreachable }) => {
            let word = if *unreachable { Word::Unreachable } else { Word::Malformed };
            return Err(all(word, format!("{}: {why}", entry.digest)));
        }
    };
    let [blob] = holder.blobs.as_slice() else {
        let detail = format!("expected one envelope in {}, got {}", entry.digest, holder.blobs.len());
        return Err(all(Word::Malformed, detail));
    };
    let form = Form::of(&blob.descriptor.media_type);
    let Some(form @ (Form::NotationJws | Form::NotationCose)) = form else {
        let got = &blob.descriptor.media_type;
        let detail =
            format!("expected an envelope of application/jose+json or application/cose, got {got:?}");
        return Err(Ending::This(Why::new(Word::Malformed, detail)));
    };
    let bytes = bytes(blob).map_err(Ending::All)?;
    let piece = Piece { form, bytes, annotations: &blob.descriptor.annotations };
    let repository = question.repository();
    let refusal = match piece.verify(&question.context(&question.seen.top, &repository), trust) {
        Ok(_) => return Ok(()),
        Err(refusal) => refusal,
    };
    match refusal {
        // The envelope is whole and about the image: under this level nothing else is asked.
        Refusal::NoTrust { .. } if level == Level::Audit => Ok(()),
        other => Err(Ending::This(Why::from(&other))),
    }
}

fn way_out(question: &Question<'_>, weighed: &Weighed) -> String {
    let publish = "`signer publish --for notation --for-key NAME --certificate chain.pem`";
    match weighed.whys().first().map(|why| why.word) {
        Some(Word::Unreachable) => "try again when the registry answers".to_owned(),
        Some(Word::NoTrust) => "say whose signatures count: --notation-policy FILE".to_owned(),
        Some(Word::Policy | Word::OtherSigner) => {
            format!(
                "`verify config notation {} …` writes a policy for such a signer",
                question.reference.name()
            )
        }
        Some(Word::Unchecked) => "ask the client itself".to_owned(),
        Some(Word::Hidden) => {
            "have the list under the tag name its artifact type: `signer sign-for` does when it signs anew"
                .to_owned()
        }
        Some(Word::Certificate) => format!("have it signed anew with a certificate that holds: {publish}"),
        _ => format!("have it signed in this form: {publish}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_for_the_repository_holds_and_else_the_one_for_all() {
        let one = |scope: &str, level: &str| {
            format!(
                r#"{{"name":"{level}","registryScopes":["{scope}"],"signatureVerification":{{"level":"{level}"}}}}"#
            )
        };
        let policy = |all: &[String]| format!(r#"{{"trustPolicies":[{}]}}"#, all.join(","));
        let both = policy(&[one("*", "audit"), one("r.io/a", "skip")]);
        assert_eq!(Level::of(&both, "r.io/a"), Level::Skip);
        assert_eq!(Level::of(&both, "r.io/b"), Level::Audit);
        assert_eq!(Level::of(&policy(&[one("r.io/a", "strict")]), "r.io/a"), Level::Enforced);
        assert_eq!(Level::of(&policy(&[one("r.io/a", "strict")]), "r.io/b"), Level::Absent);
    }
}

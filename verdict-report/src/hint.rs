//! Advice on a broken link, in terms of our programs: the library states, and does not advise.

use verifier_lib::{Link, Stage};

use crate::{Word, hints};

/// What a person can do about a broken link.
#[must_use]
pub fn hint(link: &Link, word: Word) -> Option<&'static str> {
    if let Some(hint) = hints::of(link) {
        return Some(hint);
    }
    if word == Word::Unknown {
        return Some(
            "nothing is known against the image: try again when the network, or a newer state, is there",
        );
    }
    let expired = link.detail.contains(" expired at ");
    Some(match link.stage {
        Stage::Timestamp | Stage::Snapshot if expired => {
            "the repository is frozen or its owner is late: ask them to run `signer publish`"
        }
        Stage::Root | Stage::Targets if expired => "its owner must sign it anew: ask them, by another way",
        Stage::Timestamp | Stage::Snapshot => {
            "what is served is not newer than what this machine accepted, or not signed by its keys: \
             if the repository was restored from a backup, its owner must publish a version above"
        }
        Stage::Root | Stage::Targets => {
            "what is served is not what the owners of the root signed: ask them, by another way"
        }
        Stage::Target if link.detail.contains("another digest") => {
            "the tag no longer stands for that digest: leave one of them out, or ask its publisher"
        }
        Stage::Target if link.detail.contains("was yanked by its publisher") => {
            "do not run it: its publisher took it back"
        }
        Stage::Target if link.detail.contains("breaks its publisher's promise") => {
            "ask its publisher, by another way, why the tag moved"
        }
        Stage::Child if link.detail.contains("platform:") => "choose one that it has with --platform",
        Stage::Manifest | Stage::Child | Stage::Config | Stage::Layer
            if link.got.as_deref() == Some("nothing") =>
        {
            "the place doesn't have what was signed: try another mirror, or ask its publisher"
        }
        Stage::Target => {
            "nobody who may speak for this name has signed it: check the name, or ask its publisher"
        }
        Stage::Manifest => "the name leads to another image than the one that is signed: do not run it",
        Stage::Child | Stage::Config | Stage::Layer => {
            "the bytes are not those that were signed: do not run them"
        }
        Stage::Evidence => {
            "too few of those who must have signed it did: `verify evidence` lists every signature and its worth"
        }
        Stage::Scan => "`verify scan` with the same rules lists every finding, and what mends it",
        Stage::Policy => "`verify policy explain` shows which rule decides, and what it demands",
        Stage::Reference | Stage::Trust => return None,
    })
}

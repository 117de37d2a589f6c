//! What a person can do about a link that doesn't hold, by the kind of what failed first.

use verifier_lib::{Failing, Link, Stage, Status};

/// Advice for the kinds of failure that need their own; none where what was looked at tells enough.
pub(crate) fn of(link: &Link) -> Option<&'static str> {
    let kind = link.reasons.first()?.kind;
    match link.status {
        Status::Unknown => unknown(link),
        Status::Broken => metadata(link.stage, kind),
        Status::Passed | Status::Deferred => None,
    }
}

/// Of what could not be told: nobody answered, for a reason that one can mend.
fn unknown(link: &Link) -> Option<&'static str> {
    let says = |words: &str| link.detail.contains(words);
    Some(match () {
        () if says("denied access") && says("401") => {
            "the registry wants a login: `docker login`, `podman login`, or --authfile FILE"
        }
        () if says("denied access") => {
            "this login may not read it: ask for access, or use another with --authfile FILE"
        }
        () if says("no credentials for") => {
            "the login could not be had: look at --authfile FILE, or log in again"
        }
        () if says("has no TUF repository") => {
            "no trust repository is there: check --repo, or the pin with `verify trust list`"
        }
        () if says("which another mirror has") => {
            "a mirror lags behind, or hides something: ask another one, or try again later"
        }
        () if says("the trusted store failed") => {
            "what was accepted can't be kept: look at the folder, or name another with --state DIR"
        }
        () if says("certificate") => {
            "its certificate isn't believed: for a private authority add --ca-file FILE"
        }
        () if says("images, name one of") => "name one: oci:DIR:TAG",
        () => return None,
    })
}

/// Of metadata that is refused: what each kind of failure means for whoever reads it.
fn metadata(stage: Stage, kind: Failing) -> Option<&'static str> {
    let moving = matches!(stage, Stage::Timestamp | Stage::Snapshot);
    if !moving && !matches!(stage, Stage::Root | Stage::Targets) {
        return None;
    }
    Some(match kind {
        Failing::RolledBack => {
            "this machine has already accepted something newer: somebody serves an old state. If the repository was \
             restored from a backup, its owner must publish a version above"
        }
        Failing::Frozen => "the repository is frozen or its owner is late: ask them to run `signer publish`",
        Failing::Expired => "its owner must sign it anew: ask them, by another way",
        Failing::BadSignature => {
            "it isn't signed by the keys that must: whoever serves it has changed it, or the root is another one. Ask its \
             owner, by another way"
        }
        Failing::Substituted => {
            "the documents don't belong together: a publish is under way, or whoever serves them mixes old and new. Try again; \
             if it stays, ask its owner, by another way"
        }
        Failing::Missing => {
            "a document that others name isn't there: an upload was cut short, or it is withheld. Ask its owner"
        }
        Failing::Unusable => {
            "what came is no such document: check --repo; a proxy or a login page may have answered instead"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_advice_of_its_own() {
        let kinds = [
            Failing::RolledBack,
            Failing::Frozen,
            Failing::Expired,
            Failing::BadSignature,
            Failing::Substituted,
            Failing::Missing,
            Failing::Unusable,
        ];
        let advice = |kind| of(&Link::new(Stage::Timestamp, Status::Broken, "x", "x").because(kind)).unwrap();
        let all: std::collections::BTreeSet<_> = kinds.into_iter().map(advice).collect();
        assert_eq!(all.len(), kinds.len());
        let layer = Link::new(Stage::Layer, Status::Broken, "x", "x").because(Failing::Substituted);
        assert_eq!(of(&layer), None, "what was looked at tells enough");
    }

    #[test]
    fn what_could_not_be_told_says_what_can_be_mended() {
        for (detail, advice) in [
            ("registry r.io/a denied access (HTTP status 401)", "docker login"),
            ("registry r.io/a denied access (HTTP status 403)", "may not read it"),
            ("https://r.io has no TUF repository: expected timestamp.json, got nothing", "check --repo"),
            ("could not reach r.io: invalid peer certificate: UnknownIssuer", "--ca-file"),
        ] {
            let link = Link::new(Stage::Manifest, Status::Unknown, "x", detail).because(Failing::Unreachable);
            assert!(of(&link).unwrap().contains(advice), "{detail}");
        }
        let link = Link::new(Stage::Manifest, Status::Unknown, "x", "could not reach r.io: refused");
        assert_eq!(of(&link.because(Failing::Unreachable)), None);
    }
}

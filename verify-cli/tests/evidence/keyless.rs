//! Verdicts that a verifier signs without a key: by a sigstore of our own, which nobody else trusts.

use chrono::{TimeDelta, Utc};
use image_signatures::BUNDLE;
use serde_json::json;
use test_repos::sigstore::{Holder, Sigstore};

use super::verdicts::{ID, VSA, summary};
use super::{Run, Story, fs, statement};

const WHO: Holder<'static> = Holder {
    subject: "https://github.com/acme/gate/.github/workflows/verify.yml@refs/heads/main",
    issuer: "https://token.actions.githubusercontent.com",
};

impl Story {
    fn by_keyless(&self, id: &str, who: Holder<'_>) -> Run {
        let verifier = format!("{id}=identity:{},{}", who.subject, who.issuer);
        self.verify("image", &["--verifier", &verifier, "--trusted-root", "trusted_root.json", "--explain"])
    }

    /// A verdict signed at a time at which the log could have been asked, whatever the time is that it is weighed at.
    fn judge(
        &self,
        by: &Sigstore,
        who: Holder<'_>,
        image: &oci_image::Descriptor,
        changed: &serde_json::Value,
    ) {
        let statement = statement(image, VSA, &summary(self, 1, changed)).to_string();
        let at = self.endpoints.now.min(Utc::now()).checked_sub_signed(TimeDelta::minutes(50)).unwrap();
        let bundle = by.attest(who, &statement, at).unwrap().to_string();
        self.attach(&self.top, BUNDLE, bundle.as_bytes());
    }
}

#[test]
fn a_verifier_without_a_key_counts_by_identity_issuer_and_root_and_every_other_verdict_is_refused() {
    let (ours, theirs) = (Sigstore::begin().unwrap(), Sigstore::begin().unwrap());
    let begin = || {
        let story = Story::begin();
        fs::write(story.path("trusted_root.json"), ours.trusted_root().unwrap().to_string()).unwrap();
        story
    };
    let mallory = Holder { subject: "mallory@example.com", ..WHO };
    let elsewhere = Holder { issuer: "https://accounts.example.org", ..WHO };
    for (by, who, changed, why) in [
        (&ours, mallory, json!({}), "got none"),
        (&ours, elsewhere, json!({}), "got none"),
        (&theirs, WHO, json!({}), "got none"),
        (
            &ours,
            WHO,
            json!({ "verifier": { "id": "https://other.example.com" } }),
            "who was not given as verifier",
        ),
        (&ours, WHO, json!({ "verificationResult": "FAILED" }), "refused it at"),
        (&ours, WHO, json!({ "resourceUri": "registry.example.com/acme/other:1.4" }), "one about"),
    ] {
        let story = begin();
        story.judge(by, who, &story.top, &changed);
        let run = story.by_keyless(ID, WHO);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{} {changed}: {}", who.subject, run.stderr);
        assert!(run.stderr.contains(why), "{changed}: {}", run.stderr);
    }
    // Of the image that the tag meant before.
    let story = begin();
    story.judge(&ours, WHO, &story.older, &json!({}));
    assert_eq!(story.by_keyless(ID, WHO).code, 1);
    story.judge(&ours, WHO, &story.top, &json!({}));
    let run = story.by_keyless(ID, WHO);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("verified by {ID} at ")), "{}", run.stderr);
    // And by rules.
    let rules = |subject: &str| {
        format!(
            "[[scope.evidence]]\npredicate = \"vsa\"\ntrusted-root = \"trusted_root.json\"\n\
             verifiers = [{{ id = {ID:?}, identity = {subject:?}, issuer = {:?} }}]\n",
            WHO.issuer
        )
    };
    story.is(&rules(WHO.subject), 0, &format!("verified by {ID} at "));
    story.is(&rules(mallory.subject), 1, "got none");
    // A root that isn't theirs tells nobody.
    fs::write(story.path("trusted_root.json"), theirs.trusted_root().unwrap().to_string()).unwrap();
    assert_eq!(story.by_keyless(ID, WHO).code, 1);
}

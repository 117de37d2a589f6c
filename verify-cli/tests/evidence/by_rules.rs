//! What rules demand of signatures and attestations: builders, kinds of statements, conditions.

use image_signatures::{BUNDLE, Format, IN_TOTO};
use serde_json::json;
use test_repos::registry::{Fault, Place};

use super::{PROVENANCE, Run, SPDX, Story, bundle, fs, provenance_of, statement};

const BUILDER: &str = "https://ci.example.com";

impl Story {
    /// Writes a scope that trusts our repository, and more of it.
    pub(crate) fn rules(&self, more: &str) {
        let name = self.endpoints.name.rsplit_once(':').unwrap().0;
        let text = format!(
            "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [{name:?}]\n\
             trust = {{ repo = {:?}, root = \"root.json\" }}\n{more}\n",
            self.endpoints.repo
        );
        fs::write(self.path("policy.toml"), text).unwrap();
    }

    /// A verb on the image, by these rules.
    pub(crate) fn by(&self, verb: &str, rules: &str, more: &[&str]) -> Run {
        self.rules(rules);
        let image = format!("{}/{}:1.4", self.fake.host(), super::REPO);
        let at = self.endpoints.now.to_rfc3339();
        let mut words = vec![verb, &image, "--as", &self.endpoints.name, "--at", &at];
        words.extend(["--platform", self.endpoints.platform, "--policy", "policy.toml"]);
        words.extend(more);
        self.program(&words)
    }

    #[track_caller]
    pub(crate) fn is(&self, rules: &str, code: i32, words: &str) {
        let run = self.by("image", rules, &["--explain"]);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, code, "{rules}\n{all}");
        assert!(all.contains(words), "expected {words:?} in\n{all}");
        assert_eq!(run.stdout.is_empty(), code != 0, "{all}");
    }

    fn attest(&self, key: &str, kind: &str, predicate: &serde_json::Value) -> oci_image::Digest {
        self.attach(&self.top, BUNDLE, &bundle(key, &statement(&self.top, kind, predicate)))
    }
}

fn list(created: chrono::DateTime<chrono::Utc>) -> serde_json::Value {
    json!({ "spdxVersion": "SPDX-2.3", "packages": [{}], "creationInfo": { "created": created.to_rfc3339() } })
}

#[test]
fn only_a_configured_builder_may_have_built_it_from_where_it_may_come() {
    let story = Story::begin();
    let pair = |level: u8, id: &str| {
        format!("[scope.build]\nbuilders = [{{ id = {id:?}, level = {level}, key = \"a.pub\" }}]\n")
    };
    let good = pair(3, BUILDER);
    story.is(&good, 1, "expected provenance of a build by one of the builders, got none");
    // A stranger's word is none, whatever it says.
    story.attest("stranger", PROVENANCE, &provenance_of(BUILDER));
    story.is(&good, 1, "expected provenance of a build by one of the builders, got none");
    story.attest("a", PROVENANCE, &provenance_of(BUILDER));
    story.is(
        &good,
        0,
        "built by https://ci.example.com, SLSA build level 3 from https://github.com/acme/web; only signed",
    );
    story.is(
        &pair(3, "https://other.example.com"),
        1,
        "expected a build by one of the pairs of signer and builder",
    );
    story.is(&good.replace("a.pub", "b.pub"), 1, "expected provenance of a build by one of the builders");
    story.is(&format!("{good}min-level = 3\n"), 0, "SLSA build level 3");
    // The level is that of the pair that is met, not the best that the rules name.
    let other = "[scope.build]\nbuilders = [\n{ id = \"https://ci.example.com\", level = 1, key = \"a.pub\" },\n\
                 { id = \"https://best.example.com\", level = 3, key = \"a.pub\" }]\nmin-level = 2\n";
    story.is(other, 1, "expected SLSA build level 2, got 1");
    for (sources, code, words) in [
        ("[\"https://github.com/acme/*\"]", 0, "from https://github.com/acme/web"),
        ("[\"https://github.com/acme/api\", \"https://github.com/acme/web\"]", 0, "from"),
        (
            "[\"https://github.com/acme\"]",
            1,
            "expected a source of https://github.com/acme, got https://github.com/acme/web",
        ),
        ("[\"https://github.com/acm*\"]", 1, "expected a source of"),
        ("[\"https://github.com/**\"]", 0, "from"),
    ] {
        story.is(&format!("{good}sources = {sources}\n"), code, words);
    }
    story.is(&format!("{good}deny-unexpected-parameters = true\n"), 1, "isn't known to take, got skipTests");
}

#[test]
fn what_must_be_said_of_an_image_is_demanded_by_kind_signer_age_and_freshness() {
    let mut story = Story::begin();
    let now = story.endpoints.now;
    let demand = |more: &str| format!("[[scope.evidence]]\npredicate = \"sbom\"\n{more}");
    let signed = demand("keys = [\"a.pub\", \"b.pub\"]\n");
    story.is(&signed, 1, "signed by 1, got none");
    let old = story.attest("a", SPDX, &list(now - chrono::TimeDelta::hours(40)));
    story.is(&signed, 0, "sbom signed by key ");
    story.is(&format!("{signed}at-least = 2\n"), 1, "signed by 2, got 1: key ");
    story.is(&format!("{signed}max-age = \"48h\"\n"), 0, "signed by");
    story.is(&format!("{signed}max-age = \"36h\"\n"), 1, "expected it at most 36 hours old, got 40");
    story.is(&format!("{signed}fresh = true\n"), 1, "that the publisher's metadata doesn't name");
    // What says no time, or one to come, is of no age that counts.
    let late = Story::begin();
    late.attest("a", SPDX, &list(late.endpoints.now + chrono::TimeDelta::hours(40)));
    late.is(&format!("{signed}max-age = \"48h\"\n"), 1, "expected it at most 48 hours old, got -40");
    late.attest("a", "https://example.com/reviewed/v1", &json!({}));
    let reviewed =
        "[[scope.evidence]]\npredicate = \"https://example.com/reviewed/v1\"\nkeys = [\"a.pub\"]\n";
    late.is(reviewed, 0, "reviewed/v1 signed by key");
    late.is(&format!("{reviewed}max-age = \"48h\"\n"), 1, "that says no time");
    // A second kind is demanded besides, and each must be there.
    story.is(&format!("{signed}{reviewed}"), 1, "reviewed/v1");
    // What the metadata names is fresh, and then a statement that nobody signed will do where nobody is named.
    let unsigned = statement(&story.top, SPDX, &list(now)).to_string();
    let unsigned = story.attach(&story.top, IN_TOTO, unsigned.as_bytes());
    let fresh = demand("fresh = true\n");
    story.is(&fresh, 1, "expected sbom named by the publisher's metadata, got none");
    story.name(&[old]);
    story.is(&format!("{signed}fresh = true\n"), 0, "a.pub; fresh");
    let run = story.by("image", &signed, &["--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let links = report["links"].as_array().unwrap();
    assert_eq!(links.iter().find(|link| link["stage"] == "evidence").unwrap()["fresh"], true, "{report}");
    story.name(&[unsigned]);
    story.is(&fresh, 0, "https://spdx.dev/Document is named by the metadata");
    story.is(&format!("{signed}fresh = true\n"), 1, "doesn't name");
}

#[test]
fn a_condition_comes_last_and_is_no_yes_where_it_can_not_be_told() {
    let story = Story::begin();
    story.sign(&story.top, "a", &[Format::Cosign3]);
    story.attest("a", SPDX, &list(story.endpoints.now));
    let keys = "[[scope.evidence]]\npredicate = \"sbom\"\nkeys = [\"a.pub\", \"b.pub\"]\n";
    for (condition, code, words) in [
        ("role == 'targets' && image.tag == '1.4'", 0, "its condition holds"),
        (
            "image.repository == 'acme/web' && image.registry == 'registry.example.com'",
            0,
            "its condition holds",
        ),
        ("role == 'releases'", 1, "its condition doesn't hold: role == 'releases'"),
        ("signers.exists(s, s.name == 'a.pub') && size(signers) == 1", 0, "holds"),
        (
            "evidence.exists(e, e.predicate.startsWith('https://spdx.dev/') && e.age < 3600 && !e.fresh)",
            0,
            "holds",
        ),
        ("size(builders) > 0", 1, "doesn't hold"),
        ("signers[7].name == 'a.pub'", 3, "its condition can't be evaluated"),
        ("scan.critical == 0", 2, "can't be used"),
    ] {
        story.is(&format!("condition = {condition:?}\n{keys}"), code, words);
    }
    // Who signs for a verifier signs verdicts, and no image.
    let verifier = "[[scope.evidence]]\npredicate = \"vsa\"\n\
                    verifiers = [{ id = \"https://verify.example.com/prod\", key = \"a.pub\" }]\n";
    let passed = super::verdicts::summary(&story, 1, &json!({}));
    story.attest("a", super::verdicts::VSA, &passed);
    story.is(&format!("condition = \"size(signers) == 0 && size(evidence) == 0\"\n{verifier}"), 0, "holds");
    story.is(&format!("condition = \"size(signers) == 1\"\n{verifier}{keys}"), 0, "holds");
    // What says that it comes from the future is of no age.
    let late = Story::begin();
    late.attest("a", SPDX, &list(late.endpoints.now + chrono::TimeDelta::hours(40)));
    late.is(&format!("condition = \"evidence.exists(e, e.age < 86400)\"\n{keys}"), 1, "doesn't hold");
    late.attest("a", SPDX, &list(late.endpoints.now + chrono::TimeDelta::minutes(20)));
    late.is(&format!("condition = \"evidence.exists(e, e.age == 0)\"\n{keys}"), 0, "holds");
    // A registry that doesn't answer could hide what the condition asks for.
    story.fake.set_fault(Place::referrers(super::REPO), Fault::Unavailable);
    story.is(&format!("condition = \"size(signers) == 0\"\n{keys}"), 3, "not reached");
}

#[test]
fn rules_choose_whose_signatures_evidence_and_provenance_count() {
    let story = Story::begin();
    story.attest("a", PROVENANCE, &provenance_of(BUILDER));
    let rules =
        "[scope.build]\nbuilders = [{ id = \"https://ci.example.com\", level = 2, key = \"a.pub\" }]\n";
    let run = story.by("evidence", rules, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("signed    sigstore bundle by"), "{}", run.stdout);
    let run = story.by("provenance", rules, &[]);
    assert!(run.stdout.contains("SLSA level 2, by the pair"), "{}{}", run.stdout, run.stderr);
    for verb in ["evidence", "provenance", "scan"] {
        let run = story.by(verb, "roles = [\"releases\"]\n", &[]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{verb} {}", run.stderr);
        assert!(run.stderr.contains("expected releases, got targets"), "{}", run.stderr);
        let run = story.by(verb, "tags = { deny = [\"1.*\"] }\n", &[]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{verb} {}", run.stderr);
        assert!(run.stderr.contains("may not be used"), "{}", run.stderr);
        // What the rules say can't be said otherwise beside them.
        for more in [&["--root", "root.json", "--repo", "x"][..], &["--unverified"]] {
            assert_eq!(story.by(verb, rules, more).code, 2, "{verb} {more:?}");
        }
    }
    assert_eq!(story.by("evidence", rules, &["--key", "a.pub"]).code, 2);
    assert_eq!(story.by("scan", rules, &["--fail-on", "high"]).code, 2);
    // A scan that is demanded is no report without advisories.
    let run = story.by("scan", "scan = { fail-on = \"high\" }\n", &[]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    assert!(run.stderr.contains("a scan is demanded, and there are no advisories"), "{}", run.stderr);
    assert_eq!(story.by("scan", "", &["--format", "json"]).code, 0);
}

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
    let verifier =
        |id: &str, key: &str| Verifier { id: id.into(), signer: SignerId::Key(Digest::of(key.as_bytes())) };
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
        ("b", json!({}), nothing(&format!("one signed by key b.pub, who was not given as verifier {ID}"))),
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
        ("a", json!({ "verificationResult": "FAILED" }), format!("{ID} refused it at 2026-11-27T11:00:00Z")),
        ("a", json!({ "verificationResult": "passed" }), format!("{ID} refused it at 2026-11-27T11:00:00Z")),
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
    // A refusal of no time, or by a clock that is ahead, is one too, and stands until it is taken away.
    for time in [json!(null), json!("2026-11-27T12:30:00Z")] {
        let failed = summary("a", &json!({ "timeVerified": time, "verificationResult": "FAILED" }));
        let refused = weigh(&both, &[at(late, "PASSED"), failed]).unwrap_err();
        assert!(refused.starts_with(&format!("{ID} refused it")), "{refused}");
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
fn a_word_that_a_newer_one_took_back_does_not_count() {
    let at = |key: &str, time: &str, result: &str| {
        summary(key, &json!({ "timeVerified": time, "verificationResult": result }))
    };
    let (early, late) = ("2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z");
    let name = NAME.parse().unwrap();
    let (top, part) = (Digest::of(b"index"), Digest::of(b"part"));
    let counts = |one: &Verified, all: &[Verified]| {
        let asked = Asked { name: &name, top, part, now: now() };
        demand(None).accept(one, all, &asked).map(|passed| passed.at).map_err(|why| why.to_string())
    };
    let passed = at("a", early, "PASSED");
    assert_eq!(counts(&passed, std::slice::from_ref(&passed)), Ok(early.parse().unwrap()));
    for result in ["FAILED", "PASSED"] {
        let all = [passed.clone(), at("a", late, result)];
        let why = format!("one by {ID} of {early}, whose newest word is of {late}");
        assert_eq!(counts(&passed, &all), Err(why));
    }
    assert!(counts(&passed, &[passed.clone(), at("b", late, "FAILED")]).is_ok());
    let same = [passed.clone(), at("a", early, "FAILED")];
    assert!(counts(&passed, &same).is_err(), "of two at one time the one that refuses counts");
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
    let expected = format!("expected verification summaries by 2 verifiers with a signer each, got {ID};");
    assert!(few.starts_with(&expected), "{few}");
    assert!(few.ends_with(&format!("by {OTHER}, got none")), "{few}");
    assert_eq!(weigh(&any(2, "b"), &[first.clone(), other("b", "PASSED")]).map(|passed| passed.len()), Ok(2));
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

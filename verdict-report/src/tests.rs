use verifier_lib::{Failing, Proof, Stage};

use super::*;

#[test]
fn the_schema_in_docs_is_that_of_the_report() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/verify-image.json");
    let text = serde_json::to_string_pretty(&schemars::schema_for!(Report)).unwrap() + "\n";
    if std::env::var_os("HALLMARK_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{}", path.display());
}

fn broken(status: Status) -> Box<Broken> {
    let link = Link::new(Stage::Timestamp, status, "timestamp", "timestamp expired at noon");
    let link = link.because(Failing::Frozen);
    Box::new(Broken::new(link, Proof::default()))
}

#[test]
fn what_is_not_trusted_names_the_link_and_nothing_to_pull() {
    for (verdict, word, hint) in [
        (Verdict::Refused(broken(Status::Broken)), "refused", "the repository is frozen"),
        (Verdict::Unknown(broken(Status::Unknown)), "unknown", "nothing is known against the image"),
    ] {
        let json = serde_json::to_value(Report::of("a.example/b:1", &verdict)).unwrap();
        assert_eq!(json["verdict"], word);
        assert_eq!(json["reference"], "a.example/b:1");
        assert_eq!(json["broken"], json["links"][0]);
        assert!(json["hint"].as_str().unwrap().starts_with(hint), "{json}");
        assert!(json.get("pinned").is_none() && json.get("digest").is_none(), "{json}");
    }
}

#[test]
fn a_chain_that_was_not_begun_says_why() {
    let json = serde_json::to_string(&Report::unknown("a.example/b:1", "no answer", None)).unwrap();
    let expected = concat!(
        r#"{"version":1,"verdict":"unknown","reference":"a.example/b:1","#,
        r#""links":[],"error":"no answer"}"#
    );
    assert_eq!(json, expected);
    let refused = Report::refused("a.example/b:1", "no root is pinned", Some("pin one"));
    assert_eq!((refused.verdict, refused.hint.as_deref()), (Word::Refused, Some("pin one")));
}

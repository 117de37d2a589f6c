use super::*;

#[test]
fn the_schema_in_docs_is_that_of_a_bad_call() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/bad-call.json");
    let text = serde_json::to_string_pretty(&schemars::schema_for!(BadCall)).unwrap() + "\n";
    if std::env::var_os("HALLMARK_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{}", path.display());
}

#[test]
fn an_option_that_is_wrong_is_named() {
    let repo = r#"{"repo": "https://trust.example.com""#;
    for (options, expected) in [
        (String::new(), "options: expected a JSON object such as"),
        ("{}".to_owned(), "missing field `repo`"),
        (
            format!(r#"{repo}, "plattform": "all"}}"#),
            "unknown field `plattform`, expected one of `repo`, `platform`",
        ),
        (format!(r#"{repo}, "repo": "elsewhere"}}"#), "duplicate field `repo`"),
        (format!(r#"{repo}, "layers": "later"}}"#), "unknown variant `later`, expected `defer` or `hash`"),
        (format!("{repo}}}{}", " ".repeat(OPTIONS_MAX)), "expected at most 65536 bytes, got"),
    ] {
        let bad = Setup::from_json(&options).unwrap_err();
        assert!(bad.error.contains(expected), "{options:.80}: {bad}");
    }
    for (member, expected) in [
        (r#""platform": "arm""#, "platform: expected a platform as in linux/amd64"),
        (r#""at": "noon""#, r#"at: expected a time as in 2026-01-31T12:00:00Z, got "noon""#),
        (r#""authfile": "/nowhere/auth.json""#, "authfile: "),
        (r#""state": "/dev/null/x""#, "state: "),
    ] {
        let setup = Setup::from_json(&format!("{repo}, {member}}}")).unwrap();
        let bad = Session::open(&setup, b"{}").unwrap_err();
        assert!(bad.error.starts_with(expected), "{member}: {bad}");
    }
    let setup = Setup { repo: "ftp://trust.example.com".to_owned(), ..Setup::default() };
    assert!(Session::open(&setup, b"{}").unwrap_err().error.starts_with("repo: "));
}

#[test]
fn an_answer_that_is_no_verdict_permits_nothing() {
    let answer = Answer::of(Err(BadCall::new("expected a, got b").hint("say a")));
    assert_eq!(answer.outcome, Outcome::BadCall);
    assert_eq!(answer.report, r#"{"version":1,"error":"expected a, got b","hint":"say a"}"#);
    let answer = Answer::to(|| panic!("as told"));
    assert_eq!(answer.outcome, Outcome::Unknown);
    assert!(answer.report.contains(r#""verdict":"unknown""#), "{}", answer.report);
}

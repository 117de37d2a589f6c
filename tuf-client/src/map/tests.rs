//! What a map may say, and the sentence for each thing that it may not.

use super::*;

/// A good map, with a part replaced.
fn with(part: &str, other: &str) -> Result<RepositoryMap, MapError> {
    let good = r#"{ "comment": "two of two",
        "repositories": { "a": ["https://a.example.com/"], "b": ["/srv/b", "https://b.example.com"] },
        "mapping": [ { "paths": ["acme/*"], "repositories": ["a", "b"], "terminating": true, "threshold": 2 },
                     { "paths": ["*"], "repositories": ["b"], "terminating": false, "threshold": 1 } ] }"#;
    assert!(good.contains(part), "{part}");
    RepositoryMap::parse(good.replacen(part, other, 1).as_bytes())
}

fn why(part: &str, other: &str) -> String {
    with(part, other).expect_err(other).to_string()
}

#[test]
fn a_map_names_its_repositories() {
    let map = with("two of two", "more").unwrap();
    let names: Vec<_> = map.repositories().map(|(name, places)| (name, places.len())).collect();
    assert_eq!(names, [("a", 1), ("b", 2)]);
}

#[test]
fn what_a_map_may_not_say_is_refused_with_what_was_expected_and_what_came() {
    let cases = [
        (r#""repositories": {"#, r#""repos": {"#, "repositories: expected an object, got nothing"),
        (r#""mapping": ["#, r#""mapping": 3, "x": ["#, "mapping: expected a list, got 3"),
        (r#"["acme/*"]"#, "[]", "mapping 1, paths: expected a list of 1 to 1024, got 0 of them"),
        (r#"["acme/*"]"#, r#""acme""#, "mapping 1, paths: expected a list, got a string"),
        (r#"["acme/*"]"#, "[7]", "mapping 1, paths: expected strings, got 7"),
        (r#"["a", "b"]"#, "[]", "mapping 1, repositories: expected a list of 1 to 16, got 0 of them"),
        (
            r#"["a", "b"]"#,
            r#"["a", "c"]"#,
            "mapping 1, repositories: expected names of repositories of this map, got \"c\"",
        ),
        (
            r#"["a", "b"]"#,
            r#"["a", "a"]"#,
            "mapping 1, repositories: expected each repository once, got \"a\" twice",
        ),
        ("2 }", "0 }", "mapping 1, threshold: expected a number from 1 to 2, got 0"),
        ("2 }", "3 }", "mapping 1, threshold: expected a number from 1 to 2, got 3"),
        ("2 }", "\"2\" }", "mapping 1, threshold: expected a number from 1 to 2, got a string"),
        (
            r#""threshold": 2"#,
            r#""treshold": 2"#,
            "mapping 1: expected paths, repositories, terminating, threshold, got \"treshold\"",
        ),
        (r#", "threshold": 2"#, "", "mapping 1, threshold: expected a number from 1 to 2, got nothing"),
        ("true", "1", "mapping 1, terminating: expected true or false, got 1"),
        (r#""terminating": false, "#, "", "mapping 2, terminating: expected true or false, got nothing"),
        (
            r#"["https://a.example.com/"]"#,
            "[]",
            "repository \"a\": expected a list of 1 to 16, got 0 of them",
        ),
        (r#""a": ["#, r#""": ["#, "repositories: expected names of 1 to 64 bytes, got \"\""),
        (
            r#""a": ["#,
            r#""B": ["#,
            "repositories: expected names that differ in more than case, got \"B\" and \"b\"",
        ),
        (
            "https://a.example.com/",
            "http://b.example.com/metadata/",
            "repository \"b\": expected addresses of its own, got https://b.example.com/, which is an \
             address of \"a\"",
        ),
        (
            "https://a.example.com/",
            "/srv/b/published/metadata/",
            "repository \"b\": expected addresses of its own, got /srv/b, which is an address of \"a\"",
        ),
        (
            "https://a.example.com/",
            "ftp://a",
            "repository \"a\": expected a folder, an http(s) address, oci://HOST/NAME or oci:DIR of a trust \
             repository, got \"ftp://a\": ftp is not a transport",
        ),
    ];
    for (part, other, expected) in cases {
        assert_eq!(why(part, other), format!("repository map, {expected}"), "{part} as {other}");
    }
}

#[test]
fn a_text_that_two_readers_may_understand_differently_is_refused() {
    let twice = why(r#""mapping": ["#, r#""repositories": {}, "mapping": ["#);
    assert!(twice.starts_with("repository map: duplicate key \"repositories\""), "{twice}");
    let remark = why(r#""mapping": ["#, "// the mapping\n\"mapping\": [");
    assert!(remark.starts_with("repository map: key must be a string"), "{remark}");
    let long = RepositoryMap::parse(&vec![b' '; MAP_BYTES + 1]).unwrap_err();
    assert_eq!(long.to_string(), "repository map, file: expected at most 262144 bytes, got 262145");
    let list = RepositoryMap::parse(b"[]").unwrap_err();
    assert_eq!(list.to_string(), "repository map, file: expected an object, got a list");
}

#[test]
fn a_lone_star_is_every_path_and_any_other_ends_at_a_slash() {
    for (pattern, path, expected) in [
        ("*", "web", true),
        ("*", "registry.example.com/acme/web:1.4", true),
        ("acme/*", "acme/web", true),
        ("acme/*", "acme/team/web", false),
        ("*.tgz", "web.tgz", true),
        ("*.tgz", "acme/web.tgz", false),
        ("*/*", "a/b/c", false),
    ] {
        let map = with("acme/*", pattern).unwrap();
        assert_eq!(map.mappings[0].covers(path), expected, "{pattern} on {path}");
    }
}

//! VEX documents, and a database of advisories.

use super::Named;
use super::images::zipped;

/// Documents, each after the number of its kind.
pub fn documents() -> Named {
    let vex = |statements: &str| {
        format!("\0{{\"author\":\"a\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"statements\":[{statements}]}}")
    };
    let csaf = |category: &str, tree: &str, vulnerabilities: &str| {
        format!(
            "\u{1}{{\"document\":{{\"category\":\"{category}\",\"csaf_version\":\"2.0\",\"publisher\":{{\"name\":\"a\"}},\
             \"tracking\":{{\"status\":\"final\",\"current_release_date\":\"2026-01-01T00:00:00Z\"}}}},\
             \"product_tree\":{tree},\"vulnerabilities\":[{vulnerabilities}]}}"
        )
    };
    const TREE: &str = r#"{"full_product_names":[{"product_id":"I","product_identification_helper":{"hashes":[{"file_hashes":[{"algorithm":"sha256","value":"11"}]}]}}],
        "branches":[{"product":{"product_id":"P","product_identification_helper":{"purl":"pkg:pypi/a"}}}],
        "relationships":[{"category":"default_component_of","product_reference":"P","relates_to_product_reference":"I","full_product_name":{"product_id":"R"}}],
        "product_groups":[{"group_id":"G","product_ids":["R"]}]}"#;
    const SAID: &str = r#"{"cve":"CVE-1","ids":[{"text":"B"}],"product_status":{"known_not_affected":["R"],"fixed":["I"]},
        "flags":[{"label":"component_not_present","group_ids":["G"]}],"threats":[{"category":"impact","details":"x","product_ids":["R"]}]}"#;
    let bytes = |text: String| text.into_bytes();
    vec![
        (
            "good-openvex".into(),
            bytes(vex(
                r#"{"vulnerability":{"name":"CVE-1"},"status":"fixed","products":[{"@id":"pkg:oci/a","subcomponents":[{"@id":"pkg:x/y"}]}]}"#,
            )),
        ),
        ("good-csaf".into(), bytes(csaf("csaf_vex", TREE, SAID))),
        ("bad-status".into(), bytes(vex(r#"{"vulnerability":"CVE-1","status":"fine"}"#))),
        ("bad-category".into(), bytes(csaf("csaf_base", TREE, SAID))),
        (
            "bad-twice".into(),
            bytes(csaf("csaf_vex", &TREE.replace("\"P\",\"product_ident", "\"I\",\"product_ident"), SAID)),
        ),
        ("bad-nameless".into(), bytes(csaf("csaf_vex", TREE, r#"{"product_status":{"fixed":["I"]}}"#))),
    ]
}

/// A database of two advisories, with what is asked of it in front.
pub fn databases() -> Named {
    let advisory = |ecosystem: &str, name: &str, fixed: &str| {
        format!(
            r#"{{"id":"X-1","modified":"2026-01-01T00:00:00Z","aliases":["CVE-2026-1"],"affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"{name}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}]}}"#
        )
    };
    let folder = tempfile::tempdir().expect("a folder for a while");
    for (base, ecosystem, name, fixed) in
        [("Debian", "Debian:12", "bash", "6"), ("npm", "npm", "@s/a", "1.0.1")]
    {
        std::fs::create_dir(folder.path().join(base)).expect("ours");
        let zip = zipped(&[("1.json", advisory(ecosystem, name, fixed).as_bytes())]);
        std::fs::write(folder.path().join(base).join("all.zip"), zip).expect("ours");
    }
    let file = folder.path().join("db");
    advisories::build(folder.path(), &file).expect("sound advisories");
    let database = std::fs::read(file).expect("ours");
    let asked = |question: u8| [&[question][..], &database].concat();
    vec![
        ("good-debian".into(), asked(0)),
        ("good-npm".into(), asked(4)),
        ("bad-no-data".into(), asked(1)),
        ("bad-cut".into(), asked(0)[..60].to_vec()),
        ("bad-other".into(), b"\0HMADVDB\n".to_vec()),
    ]
}

//! What somebody signed of weaknesses: the first byte chooses OpenVEX or CSAF, the rest is the document. What is read has
//! names and one of four statuses, and a CSAF document gives no reason but for what is not affected.

use image_evidence::{Predicate, Statement, VexFormat};
use serde_json::value::RawValue;

/// The predicate types.
const KINDS: [&str; 2] =
    ["https://openvex.dev/ns/v0.2.0", "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json"];

/// Reads it.
pub fn run(bytes: &[u8]) -> bool {
    let Some((which, said)) = bytes.split_first() else { return false };
    let Ok(said) = std::str::from_utf8(said) else { return false };
    // A document that is no JSON is no part of a statement.
    let Ok(said) = serde_json::from_str::<&RawValue>(said) else { return false };
    let statement = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"a","digest":{{"sha256":"{}"}}}}],"predicateType":"{}","predicate":{said}}}"#,
        "1".repeat(64),
        KINDS[usize::from(*which) % KINDS.len()],
    );
    let Ok(statement) = Statement::parse(statement.as_bytes()) else { return false };
    let Ok(Predicate::Vex(vex)) = Predicate::of(&statement) else { return false };
    for one in &vex.statements {
        assert!(["not_affected", "affected", "fixed", "under_investigation"].contains(&one.status.as_str()));
        if vex.format == VexFormat::Csaf {
            assert!(!one.products.is_empty(), "a statement of all products is none that was made: {one:?}");
            assert!(one.justification.is_none() || one.status == "not_affected", "{one:?}");
            // A part lies in a whole that has a name, and has one itself.
            for product in one.products.iter().filter(|product| !product.parts.is_empty()) {
                assert!(!product.names.is_empty() && product.parts.iter().all(|part| !part.names.is_empty()));
            }
        }
    }
    true
}

//! The harnesses of `fuzz/` for what others say of weaknesses, fed from its seeds with bytes changed at random.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the harnesses are those of another crate")]

#[path = "../../fuzz/src/advisories.rs"]
mod asked;
#[path = "../../fuzz/src/changed.rs"]
mod changed;
#[path = "../../fuzz/src/image.rs"]
mod image;
#[path = "../../fuzz/src/seeds/images.rs"]
mod images;
#[path = "../../fuzz/src/seeds/said.rs"]
mod said;
#[path = "../../fuzz/src/vex.rs"]
mod vex;

#[path = "../../fuzz/src/catalog.rs"]
mod catalog;

/// Seeds by their names.
type Named = Vec<(String, Vec<u8>)>;

#[test]
fn any_document_has_an_answer() {
    changed::fed(&said::documents(), vex::run);
}

#[test]
fn any_database_has_an_answer() {
    changed::fed(&said::databases(), asked::run);
}

//! The harnesses of `fuzz/`, fed from its seeds with bytes changed at random: whatever a layer holds has an answer. It is
//! the same for the same number; `HALLMARK_MUTATIONS` says how many are tried.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the harnesses are those of another crate")]

#[path = "../../fuzz/src/catalog.rs"]
mod catalog;
#[path = "../../fuzz/src/changed.rs"]
mod changed;
#[path = "../../fuzz/src/image.rs"]
mod image;
#[path = "../../fuzz/src/seeds/images.rs"]
mod images;
#[path = "../../fuzz/src/layer.rs"]
mod layer;

/// Seeds by their names.
type Named = Vec<(String, Vec<u8>)>;

#[test]
fn any_file_has_an_answer() {
    changed::fed(&images::files(), catalog::run);
}

#[test]
fn any_layers_have_an_answer() {
    changed::fed(&images::layers(), layer::run);
}

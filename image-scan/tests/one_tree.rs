//! What is listed, and what another engine gets as a folder, are the same tree: of layers made at random, the packages of
//! the one are those of the other. The same number makes the same layers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use support::Image;
use support::random::{layers, packages};

#[test]
fn what_is_listed_is_what_a_folder_of_the_image_has() {
    let mut compared = 0;
    for seed in 1..400_u64 {
        let (layers, said) = layers(seed);
        let image = Image::of(layers);
        let Ok(inventory) = image.scan() else { continue };
        let dir = tempfile::tempdir().unwrap();
        let Ok(done) = image_scan::unpack(&image.layers, &image, dir.path(), 1 << 20) else { continue };
        // Where the tree makes an entry impossible, a runtime fails.
        if done.left_out > 0 || !inventory.unread.is_empty() {
            continue;
        }
        let mut listed: Vec<String> =
            inventory.components.iter().map(|one| format!("{} {}", one.path, one.version)).collect();
        listed.sort();
        compared += usize::from(!listed.is_empty());
        assert_eq!(listed, packages(dir.path()), "{seed}: {said:#?}");
    }
    assert!(compared > 200, "expected images with packages, got {compared}");
}

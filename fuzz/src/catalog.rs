//! One file of an image: the first byte says which it is, the rest is what is in it. Whatever it is, the scan has an
//! answer: components that can be shown, or that the file was not read.

use crate::image::{Layers, holds, tar};

/// Where files are that say what is in an image.
pub const PLACES: [&str; 19] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/a",
    "lib/apk/db/installed",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "var/lib/rpm/Packages.db",
    "x/a.dist-info/METADATA",
    "x/node_modules/a/package.json",
    "x/specifications/a.gemspec",
    "x/vendor/composer/installed.json",
    "x/a-1.0.jar",
    "x/.yarn/cache/a.zip",
    "x/a.egg",
    "bin/a",
    "etc/os-release",
    "var/lib/dpkg/info/a.list",
    "x/a.egg-info",
    "x/a.war",
    "usr/lib/sysimage/rpm/Packages.db",
];

/// Scans an image of that file, beside what owns files.
pub fn run(bytes: &[u8]) -> bool {
    let Some((which, content)) = bytes.split_first() else { return false };
    let place = PLACES[usize::from(*which) % PLACES.len()];
    let layers = Layers(vec![tar(&[(place, content), ("etc/os-release", b"ID=debian\nVERSION_ID=12\n")])]);
    let inventory = layers.scan().expect("a sound archive");
    holds(&inventory, 1);
    !inventory.components.is_empty()
}

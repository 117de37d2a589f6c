//! Everything in a pack that can be changed, changed: by somebody who mends the index, and by somebody who doesn't.

use std::fs;

use serde_json::json;
use test_repos::surface::SurfaceKind;

use super::Story;
use super::archive::{Archive, INDEX, header};

/// The root that the user has: what the pack holds in its place is not even read.
const OWN_ROOT: &str = "tuf/metadata/1.root.json";

fn packed() -> (Story, Archive) {
    let story = Story::begin(SurfaceKind::Directory);
    story.pack("web.hpk", &["--with-layers"]).is(0, &[]);
    let archive = story.read("web.hpk");
    assert!(archive.names().len() >= 11, "{:?}", archive.names());
    (story, archive)
}

#[test]
fn a_part_that_was_changed_is_named() {
    let (story, archive) = packed();
    for name in archive.names() {
        let mut bad = archive.clone();
        let mut bytes = bad.get(&name).unwrap().clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bad.set(&name, bytes);
        story.write("bad.hpk", &bad);
        story
            .judge("bad.hpk", &[])
            .is(1, &["refused pack bad.hpk", &format!("{name}: expected sha256 "), ", got sha256 "]);
    }
}

#[test]
fn a_part_that_was_changed_is_refused_where_the_index_was_mended() {
    let (story, archive) = packed();
    for name in archive.names() {
        let mut bad = archive.clone();
        let mut bytes = bad.get(&name).unwrap().clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bad.set(&name, bytes);
        story.write("bad.hpk", &bad.honest());
        let run = story.judge_first("bad.hpk", &[]);
        let expected: &[i32] = if name == OWN_ROOT { &[0] } else { &[1, 3] };
        assert!(expected.contains(&run.code), "{name}: {} {}", run.code, run.err);
        assert_eq!(run.out.is_empty(), name != OWN_ROOT, "{name}");
    }
}

#[test]
fn a_part_that_was_removed_is_refused_or_not_seen() {
    let (story, archive) = packed();
    for name in archive.names() {
        let mut bad = archive.clone();
        bad.remove(&name);
        story.write("bad.hpk", &bad);
        story.judge("bad.hpk", &[]).is(1, &["refused pack bad.hpk: the pack: expected "]);
        story.write("bad.hpk", &bad.honest());
        let run = story.judge_first("bad.hpk", &[]);
        let needed = name != OWN_ROOT;
        let expected: &[i32] = if needed { &[1, 3] } else { &[0] };
        assert!(expected.contains(&run.code), "{name}: {} {}", run.code, run.err);
        assert_eq!(run.out.is_empty(), needed, "{name}");
    }
}

/// A good pack of a later day, and each of its parts in the place of that of an earlier one.
#[test]
fn a_part_of_another_pack_fits_nowhere() {
    let mut story = Story::begin(SurfaceKind::Directory);
    story.pack("old.hpk", &["--with-layers"]).is(0, &[]);
    story.surface.world().publish_another().unwrap();
    story.endpoints = story.surface.endpoints().unwrap();
    let old = story.read("old.hpk");
    {
        // The tag moves back to the older image, which is signed anew: another image of the same name.
        let mut world = story.surface.world();
        let older = world.older();
        world.announce("1.4", &older).unwrap();
        let tag = world.tag.clone();
        world.images.tags.insert(tag, older);
        world.repo.publish().unwrap();
    }
    story.endpoints = story.surface.endpoints().unwrap();
    story.pack("new.hpk", &["--with-layers"]).is(0, &[]);
    let new = story.read("new.hpk");
    let mut swapped = 0;
    for (name, bytes) in &old.0 {
        let role = |name: &str| name.rsplit('.').nth(1).unwrap_or(name).to_owned();
        // In the place of the same name, or, where versions differ, of the same role.
        let place = new.names().into_iter().find(|other| other == name).or_else(|| {
            let metadata = |name: &str| name.starts_with("tuf/metadata/");
            new.names()
                .into_iter()
                .find(|other| metadata(name) && metadata(other) && role(other) == role(name))
        });
        let Some(place) = place.filter(|place| new.get(place) != Some(bytes) && name != INDEX) else {
            continue;
        };
        let mut bad = new.clone();
        bad.set(&place, bytes.clone());
        story.write("bad.hpk", &bad.honest());
        let run = story.judge_first("bad.hpk", &[]);
        assert!(
            [1, 3].contains(&run.code) && run.out.is_empty(),
            "{name} as {place}: {} {}",
            run.code,
            run.err
        );
        swapped += 1;
    }
    assert!(swapped >= 4, "{swapped} of {:?} and {:?}", old.names(), new.names());
    // The index of one with the parts of the other.
    let mut bad = new.clone();
    bad.set(INDEX, old.get(INDEX).unwrap().clone());
    story.write("bad.hpk", &bad);
    story.judge("bad.hpk", &[]).is(1, &["refused pack bad.hpk"]);
    // Another image's manifest, said to be the one.
    let mut index = new.index();
    index["digest"] = old.index()["digest"].clone();
    let mut bad = new.clone();
    for (name, bytes) in old.0.iter().filter(|(name, _)| name.starts_with("blobs/") || name == "index.json") {
        bad.set(name, bytes.clone());
    }
    bad.set_index(&index);
    story.write("bad.hpk", &bad.honest());
    story.judge("bad.hpk", &["--state", "fresh"]).is(1, &["manifest sha256:"]);
}

#[test]
fn other_tools_are_led_to_no_other_image_than_the_one_that_is_judged() {
    let (story, archive) = packed();
    let digest = archive.index()["digest"].as_str().unwrap().to_owned();
    let other = String::from_utf8(archive.get("index.json").unwrap().clone()).unwrap();
    let mut bad = archive.clone();
    let evil = br#"{"schemaVersion":2,"config":{},"layers":[]}"#.to_vec();
    let hex = test_repos::sha256_digest(&evil);
    bad.set(&format!("blobs/sha256/{}", hex.replace("sha256:", "")), evil);
    bad.set("index.json", other.replace(&digest, &hex).into_bytes());
    story.write("bad.hpk", &bad.honest());
    story.judge("bad.hpk", &[]).is(1, &["index.json: expected "]);
}

#[test]
fn what_this_machine_accepted_is_not_rolled_back_by_a_pack() {
    let mut story = Story::begin(SurfaceKind::Directory);
    story.pack("old.hpk", &[]).is(0, &[]);
    story.surface.world().publish_another().unwrap();
    story.endpoints = story.surface.endpoints().unwrap();
    let at = story.at();
    // The other machine sees what is newer, by the network or in a pack.
    let words = story.call("image", &at, &[]);
    assert_eq!(story.verify("other", &words).code, 0);
    let run = story.judge("old.hpk", &[]).is(1, &["timestamp expected version "]);
    assert!(run.err.contains("TUF 5.4.3"), "{}", run.err);
    // A machine that has accepted nothing may judge it as of its time.
    story.judge("old.hpk", &["--state", "fresh"]).is(0, &[]);
    story.pack("new.hpk", &[]).is(0, &[]);
    story.judge("new.hpk", &["--state", "fresh"]).is(0, &[]);
    story.judge("old.hpk", &["--state", "fresh"]).is(1, &["timestamp expected version "]);
}

#[test]
fn an_archive_that_is_not_exactly_a_pack_is_refused() {
    let (story, archive) = packed();
    let good = fs::read(story.path("web.hpk")).unwrap();
    let refused = |bytes: &[u8], says: &str| {
        fs::write(story.path("bad.hpk"), bytes).unwrap();
        story.judge("bad.hpk", &[]).is(1, &[says]);
    };
    // Two parts of one name, which the index tells of or doesn't.
    let twice = |index: bool| {
        let mut bad = archive.clone();
        let last = bad.0.last().unwrap().clone();
        bad.0.push(last);
        if index { bad.honest() } else { bad }
    };
    refused(&twice(false).write(), "expected ");
    refused(&twice(true).write(), "each name once");
    // Sizes that nobody has.
    for size in [json!(u64::MAX), json!(1_u64 << 62), json!(8_589_934_592_u64), json!(0)] {
        let mut index = archive.index();
        index["parts"][0]["size"] = size;
        let mut bad = archive.clone();
        bad.set_index(&index);
        refused(&bad.write(), "the pack: expected ");
    }
    let mut bad = good.clone();
    bad[..512].copy_from_slice(&header(INDEX, 0o77_777_777_777, b'0'));
    refused(&bad, "announced");
    bad[..512].copy_from_slice(&header(INDEX, 8 * 1024 * 1024 + 1, b'0'));
    refused(&bad, "announced");
    // Names that lead elsewhere, or nowhere.
    for name in [
        "../evil",
        "/etc/passwd",
        "blobs/sha256/../../x",
        "tuf/metadata/../x.json",
        "tuf/metadata/a/b.json",
        "tuf/metadata/",
        "blobs/sha512/00",
        "hallmark/other",
        "index.json/",
        "\u{1b}[31m",
    ] {
        let mut index = archive.index();
        let parts = index["parts"].as_array_mut().unwrap();
        parts.push(json!({"name": name, "size": 0, "sha256": "0".repeat(64)}));
        let mut bad = archive.clone();
        bad.set_index(&index);
        refused(&bad.write(), "refused pack bad.hpk");
    }
    // What is no plain file: links, folders, devices, extensions of tar.
    for kind in [b'1', b'2', b'3', b'5', b'6', b'x', b'g', b'L', b'K', b'S', 0] {
        let mut bad = good.clone();
        let at = 512 + archive.get(INDEX).unwrap().len().div_ceil(512) * 512;
        let (name, bytes) = &archive.0[1];
        bad[at..at + 512].copy_from_slice(&header(name, bytes.len(), kind));
        refused(&bad, "expected its header");
    }
    // More, or less.
    refused(&[good.as_slice(), &[0; 512]].concat(), "the pack: expected ");
    refused(&[good.as_slice(), b"x"].concat(), "the pack: expected ");
    for length in [0, 1, 511, 512, 700, 5000, good.len() - 1, good.len() - 512] {
        refused(&good[..length], "refused pack bad.hpk");
    }
    let mut bad = good.clone();
    *bad.last_mut().unwrap() = 1;
    refused(&bad, "expected its end");
    refused(b"not a pack at all", "refused pack bad.hpk");
    // Forms of another day.
    for (version, says) in
        [(0, "expected version 1, got version 0"), (2, "expected version 1, got version 2")]
    {
        let mut index = archive.index();
        index["version"] = version.into();
        let mut bad = archive.clone();
        bad.set_index(&index);
        refused(&bad.write(), says);
    }
    // What isn't there, or is no file, is a wrong call.
    story.judge("nothing.hpk", &[]).is(2, &["nothing.hpk"]);
    story.judge(".", &[]).is(1, &["expected a file"]);
}

#[test]
fn too_many_parts_are_not_even_looked_at() {
    let (story, archive) = packed();
    let mut index = archive.index();
    let part = |at: usize| {
        let hex = format!("{at:064x}");
        json!({"name": format!("blobs/sha256/{hex}"), "size": 0, "sha256": hex})
    };
    index["parts"] = (0..8193).map(part).collect();
    let mut bad = archive;
    bad.set_index(&index);
    story.write("bad.hpk", &bad);
    story.judge("bad.hpk", &[]).is(1, &["expected at most 8192 parts, got 8193"]);
}

//! Layers made to break whoever reads them: each is refused with its reason, or said to be unread.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use std::io::Write as _;

use oci_image::Digest;
use support::program::of_crates;
use support::{Image, Layer, deb, gzip};

#[test]
fn other_bytes_than_the_manifests_are_refused() {
    let mut image = Image::of([Layer::new().file("a", "x")]);
    let mut other = gzip(&Layer::new().file("a", "y").bytes());
    other.resize(image.layers[0].size as usize, 0);
    image.replace(0, other);
    let error = image.scan().expect_err("refused");
    assert!(!error.unreachable());
    assert!(error.to_string().starts_with(&format!("layer {}: ", image.layers[0].digest)), "{error}");
    assert!(error.to_string().contains("expected digest"), "{error}");
}

#[test]
fn another_diff_id_than_the_configurations_is_refused() {
    let mut image = Image::of([Layer::new().file("a", "x")]);
    image.diff_ids[0] = Digest::of(b"other");
    let why = image.refused();
    assert!(why.contains(&format!("expected diff id {}, got sha256:", Digest::of(b"other"))), "{why}");
}

#[test]
fn bytes_after_the_archive_are_hashed_too() {
    let mut bytes = Layer::new().python("x", "a", "1").bytes();
    bytes.extend_from_slice(b"more");
    let mut image = Image::default();
    image.add(gzip(&bytes), Digest::of(&bytes));
    assert_eq!(image.components(), ["pypi a 1 0"]);
    image.diff_ids[0] = Digest::of(&bytes[..bytes.len() - 4]);
    assert!(image.refused().contains("expected diff id"));
}

#[test]
fn what_follows_the_compressed_bytes_is_refused() {
    for pack in [gzip as fn(&[u8]) -> Vec<u8>, |bytes| zstd::encode_all(bytes, 3).unwrap()] {
        let bytes = Layer::new().file("a", "x").bytes();
        let mut image = Image::default();
        image.add([pack(&bytes), b"more".to_vec()].concat(), Digest::of(&bytes));
        assert!(image.refused().contains("can't be read"), "{}", image.refused());
    }
}

#[test]
fn a_layer_that_is_cut_short_is_refused() {
    let bytes = Layer::new().file("a", vec![7; 5000]).bytes();
    for end in [100, 600, 3000] {
        let mut image = Image::default();
        image.add(gzip(&bytes[..end]), Digest::of(&bytes[..end]));
        assert!(image.refused().contains("ends within an entry"), "{}", image.refused());
        let mut image = Image::default();
        let cut = gzip(&bytes);
        image.add(cut[..cut.len() / 2].to_vec(), Digest::of(&bytes));
        assert!(image.refused().contains("can't be read"), "{}", image.refused());
    }
}

#[test]
fn a_bomb_ends_at_its_ratio() {
    // A frame of zeros that Zstandard keeps in almost nothing: 4 GiB in 400 KB.
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.write_all(&Layer::new().file("a", "x").bytes()[..1024]).unwrap();
    let mut header = vec![0; 512];
    header[0] = b'b';
    header[124..136].copy_from_slice(b"40000000000\0");
    header[156] = b'0';
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    zstd.write_all(&header).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1200 {
        zstd.write_all(&zeros).unwrap();
    }
    let mut image = Image::default();
    image.add(zstd.finish().unwrap(), Digest::of(b""));
    let why = image.refused();
    assert!(why.ends_with("expected at most 200 bytes for each compressed one, got more"), "{why}");
}

#[test]
fn links_that_lead_in_rings_are_refused_as_a_runtime_would() {
    let image = Image::of([Layer::new().symlink("a", "b").symlink("b", "a").file("a/x", "")]);
    assert!(image.refused().ends_with("a path leads through more than 255 symbolic links"));
    let image = Image::of([Layer::new().symlink("etc/os-release", "os-release").hard_link("h", "h")]);
    assert!(image.components().is_empty());
}

#[test]
fn a_path_deeper_than_any_is_refused() {
    // Each link lies where the one before it leads, so that a path of two bytes more is longer by ninety-nine.
    let of = |links: usize| {
        let link = |layer: Layer, number| layer.symlink(&vec!["l"; number].join("/"), &"d".repeat(98));
        let layer = (1..=links).fold(Layer::new(), link);
        Image::of([layer.file(&format!("{}x", "l/".repeat(links)), "")])
    };
    assert!(of(40).scan().is_ok());
    assert!(of(44).refused().contains("at most 4096 bytes"), "{}", of(44).refused());
}

/// No layer of megabytes may hold a scan for long: many times what it takes on a slow machine.
#[track_caller]
fn scanned_soon(image: &Image) -> Result<image_scan::Inventory, image_scan::ScanError> {
    let began = std::time::Instant::now();
    let scanned = image.scan();
    assert!(began.elapsed().as_secs() < 60, "expected an answer within a minute, got {:?}", began.elapsed());
    scanned
}

#[test]
fn whiteouts_of_what_their_own_layer_has_take_no_longer_than_files() {
    // Each of them would look through each of the links.
    let mut layer = Layer::new().python("d", "a", "1");
    for number in 0..100_000 {
        layer = layer.symlink(&format!("d/{number}"), "x");
    }
    for _ in 0..100_000 {
        layer = layer.opaque("d");
    }
    let image = Image::of([layer]);
    assert_eq!(scanned_soon(&image).unwrap().components.len(), 1);
}

#[test]
fn links_that_lead_to_each_other_end_the_scan_and_not_the_day() {
    // A path through `m` goes through 250 links of 200 steps each; 5 million of them would take months.
    let mut layer = Layer::new();
    for number in 0..9 {
        let next = number + 1;
        layer = layer.symlink(&format!("l{number}"), &format!("{}l{next}", "a/../".repeat(19)));
    }
    layer = layer.symlink("l9", &"a/../".repeat(19)).symlink("m", &"l0/".repeat(25));
    for number in 0..60_000 {
        layer = layer.file(&format!("m/{number}/x"), "");
    }
    let error = scanned_soon(&Image::of([layer])).expect_err("more than is followed");
    let said = "the image has more steps through symbolic links than can be looked through";
    assert!(error.unreachable() && error.to_string().starts_with(said), "{error}");
}

/// An image of a layer of more than 256 MiB of names: groups of a thousand entries.
fn of_names(groups: u32, entry: impl Fn(u32, u32) -> Vec<u8>) -> Image {
    let mut blob = Vec::new();
    for group in 0..groups {
        let bytes: Vec<u8> = (0..1000).map(|number| entry(group, number)).collect::<Vec<_>>().concat();
        blob.extend(zstd::encode_all(bytes.as_slice(), 1).unwrap());
    }
    let mut image = Image::default();
    image.add(blob, Digest::of(b"nobody gets as far"));
    image
}

/// GNU's entry for a name that is too long for a header: of the next entry, or of where it leads.
fn long(flag: u8, name: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_size(name.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(name.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn links_of_the_longest_names_are_bounded_in_memory() {
    let link = Layer::new().symlink("a", "b").bytes()[..512].to_vec();
    let (stem, to) = (format!("{}/", "y".repeat(250)).repeat(15), "x".repeat(4000));
    let image = of_names(36, |group, number| {
        [long(b'L', &format!("{stem}{group}-{number}")), long(b'K', &to), link.clone()].concat()
    });
    let error = scanned_soon(&image).expect_err("too much");
    let said = "the image has more bytes of paths and links than can be looked through";
    assert!(error.unreachable() && error.to_string().starts_with(said), "{error}");
}

#[test]
fn names_of_files_that_are_not_there_are_bounded_in_memory() {
    // Second names of a package, whose first ones another walk may find.
    let link = Layer::new().hard_link("node_modules/a/package.json", "b").bytes()[..512].to_vec();
    let stem = format!("{}/", "y".repeat(250)).repeat(15);
    let image =
        of_names(72, |group, number| [long(b'K', &format!("{stem}{group}-{number}")), link.clone()].concat());
    let error = scanned_soon(&image).expect_err("too much");
    assert!(error.to_string().contains("more bytes of paths and links"), "{error}");
}

#[test]
fn names_of_one_database_are_bounded_as_many_databases_are() {
    let stanzas: String = (0..5000).map(|number| deb(&format!("p{number}"), "1") + "\n").collect();
    let mut layer = Layer::new().file("var/lib/dpkg/status.d/a", &stanzas);
    for number in 0..10_000 {
        layer = layer.hard_link(&format!("var/lib/dpkg/status.d/b{number}"), "var/lib/dpkg/status.d/a");
    }
    let error = scanned_soon(&Image::of([layer])).expect_err("read as often as it has names");
    assert!(error.to_string().contains("more bytes of package databases"), "{error}");
}

#[test]
fn a_program_of_many_crates_is_listed_under_each_of_its_names_within_bounds() {
    let image = |crates: u32, names: u32| {
        let crates: Vec<String> = (0..crates).map(|number| format!("c{number}")).collect();
        let layer = Layer::new().file("bin/0", of_crates(&crates));
        Image::of(
            [(1..names).fold(layer, |layer, number| layer.hard_link(&format!("bin/{number}"), "bin/0"))],
        )
    };
    assert_eq!(image(10, 3).components().len(), 30);
    // A few megabytes would be a thousand million components.
    let error = scanned_soon(&image(50_000, 20_000)).expect_err("too many");
    assert!(error.unreachable() && error.to_string().contains("more bytes of package databases"), "{error}");
}

#[test]
fn a_package_that_is_larger_than_any_is_said_to_be_unread() {
    let image = Image::of([Layer::new().file("node_modules/a/package.json", vec![b' '; 5 * 1024 * 1024])]);
    let inventory = image.scan().unwrap();
    assert!(inventory.components.is_empty());
    assert_eq!(inventory.unread[0].path, "/node_modules/a/package.json");
}

#[test]
fn databases_of_nonsense_are_said_to_be_unread() {
    for path in ["var/lib/rpm/Packages", "var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"] {
        let inventory = Image::of([Layer::new().file(path, vec![0xa5; 10_000])]).scan().unwrap();
        assert_eq!(inventory.unread.len(), 1, "{path}");
    }
}

#[test]
fn names_that_would_write_on_a_terminal_are_no_names() {
    let image = Image::of([Layer::new().npm("node_modules/a", "a\\u001b[31m", "1.0.0")]);
    let inventory = image.scan().unwrap();
    assert!(inventory.components.is_empty());
    assert_eq!(inventory.unread[0].why, "its name or version can't be shown");
}

#[test]
fn an_archive_in_an_image_that_is_a_bomb_is_said_to_be_unread() {
    let zip = |name: &str, content: &[u8]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let mut nested = zip("a.class", b"");
    for _ in 0..6 {
        nested = zip("a.jar", &nested);
    }
    let wide = zip("META-INF/maven/a/b/pom.properties", &vec![b' '; 1 << 20]);
    let cut = zip("a/b.class", &[7; 5000]);
    let image = Image::of([Layer::new()
        .file("a/nested.jar", &nested)
        .file("a/wide.jar", &wide)
        .file("a/cut.jar", &cut[..cut.len() / 2])
        .file("a/.yarn/cache/a.zip", b"PK")
        .python("x", "still-found", "1")]);
    let inventory = image.scan().unwrap();
    let unread: Vec<_> = inventory.unread.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(unread, ["/a/nested.jar", "/a/wide.jar", "/a/cut.jar", "/a/.yarn/cache/a.zip"]);
    assert_eq!(inventory.components.len(), 1);
}

#[test]
fn sizes_that_no_file_has_are_refused() {
    for size in ["77777777777\0", "-1\0\0\0\0\0\0\0\0\0\0"] {
        let mut bytes = Layer::new().file("a", "x").bytes();
        bytes[124..136].copy_from_slice(size.as_bytes());
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut image = Image::default();
        image.add(gzip(&bytes), Digest::of(&bytes));
        assert!(image.scan().is_err(), "{size:?}");
    }
}

#[test]
fn a_hundred_thousand_files_that_name_no_component_are_passed_over() {
    let mut layer = Layer::new();
    for number in 0..100_000 {
        layer = layer.file(&format!("var/cache/{number}"), "");
    }
    assert!(Image::of([layer]).components().is_empty());
}

/// The files of an image as a folder: `path content`, or `path -> link`.
fn unpacked(image: &Image) -> (tempfile::TempDir, Vec<String>, image_scan::Unpacked) {
    let above = tempfile::tempdir().unwrap();
    std::fs::write(above.path().join("secret"), "outside").unwrap();
    let dir = above.path().join("root");
    std::fs::create_dir(&dir).unwrap();
    let done = image_scan::unpack(&image.layers, image, &dir, 1 << 20).unwrap();
    let mut found = Vec::new();
    let mut folders = vec![dir.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&dir).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap();
            match (kind.is_symlink(), kind.is_dir()) {
                (true, _) => found.push(format!("{name} -> {}", path.read_link().unwrap().display())),
                (_, true) => folders.push(path),
                _ => found.push(format!("{name} {}", std::fs::read_to_string(&path).unwrap())),
            }
        }
    }
    found.sort();
    assert_eq!(std::fs::read_to_string(above.path().join("secret")).unwrap(), "outside");
    assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 2, "nothing beside it");
    (above, found, done)
}

#[test]
fn a_folder_holds_what_a_container_would_have() {
    let image = Image::of([
        Layer::new()
            .file("a/one", "1")
            .file("a/two", "2")
            .file("b/x", "x")
            .file("gone", "g")
            .symlink("l", "/a"),
        Layer::new()
            .whiteout("gone")
            .file("b/new", "n")
            .opaque("b")
            .file("l/three", "3")
            .hard_link("a/four", "a/one")
            .file("a/two", "22"),
    ]);
    let (_folder, found, done) = unpacked(&image);
    assert_eq!(found, ["a/four 1", "a/one 1", "a/three 3", "a/two 22", "b/new n", "l -> /a"]);
    assert_eq!(done.left_out, 0);
}

#[test]
fn a_folder_loses_what_is_of_lower_layers_and_nothing_else() {
    for first in [true, false] {
        let below = Layer::new()
            .file("d/old", "o")
            .file("d/new", "o")
            .file("f", "o")
            .file("target/keep", "k")
            .symlink("link", "/target")
            .symlink("folder", "/target");
        let hide = |layer: Layer| layer.whiteout("d").whiteout("f").opaque("link").opaque("folder");
        let bring = |layer: Layer| {
            layer
                .file("d/new", "n")
                .file("f", "n")
                .file("link/new", "n")
                .folder("folder/")
                .file("folder/new", "n")
        };
        let above = if first { bring(hide(Layer::new())) } else { hide(bring(Layer::new().folder("link/"))) };
        let image = Image::of([below, above]);
        let (_folder, found, _) = unpacked(&image);
        assert_eq!(found, ["d/new n", "f n", "folder/new n", "link/new n", "target/keep k"], "{first}");
    }
}

#[test]
fn nothing_is_written_or_read_outside_of_the_folder() {
    let image = Image::of([
        Layer::new()
            .symlink("up", "../..")
            .file("up/secret", "overwritten")
            .symlink("abs", "/../..")
            .file("abs/secret", "overwritten")
            .file("../../secret", "overwritten")
            .hard_link("stolen", "../secret")
            .hard_link("etc", "/etc/passwd")
            .symlink("proc", "/proc/self/root")
            .file("proc/secret", "overwritten")
            .symlink("loop", "loop")
            .file("loop/a", "x")
            .symlink("file", "../secret")
            .file("file", "replaces the link")
            .whiteout("up/../../secret"),
        Layer::new().opaque("up").symlink("secret", "../secret"),
    ]);
    let (_folder, found, done) = unpacked(&image);
    assert!(found.iter().all(|file| !file.contains("outside")), "{found:?}");
    assert!(done.left_out >= 2, "{done:?}");
}

#[test]
fn a_folder_is_bounded_and_other_bytes_are_no_folder() {
    let mut image = Image::of([Layer::new().file("a", vec![7; 1000]).file("b", vec![7; 1000])]);
    let dir = tempfile::tempdir().unwrap();
    let error = image_scan::unpack(&image.layers, &image, dir.path(), 1500).unwrap_err();
    assert!(error.to_string().contains("more than 1500 bytes"), "{error}");
    let mut other = gzip(&Layer::new().file("a", "evil").bytes());
    other.resize(image.layers[0].size as usize, 0);
    image.replace(0, other);
    let dir = tempfile::tempdir().unwrap();
    let error = image_scan::unpack(&image.layers, &image, dir.path(), 1 << 20).unwrap_err();
    assert!(!error.unreachable(), "{error}");
}

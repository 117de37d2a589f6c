//! The traps that scanners fell into, each an image of a few kilobytes: what a container would have is found, in
//! the layer that brought it, and nothing else is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use support::rpm::{database, header};
use support::{DEBIAN_12, Image, Layer, deb, gzip};

const SITE: &str = "usr/lib/python3/site-packages";

#[test]
fn a_package_that_was_removed_and_left_its_configuration_is_not_there() {
    let removed = "Package: postgresql-15\nStatus: deinstall ok config-files\nVersion: 15.1-1\n";
    let half = "Package: broken\nStatus: install ok half-configured\nVersion: 1.0\n";
    let image = Image::of([Layer::new().dpkg(&[removed, half, &deb("bash", "5.2-1")])]);
    assert_eq!(image.components(), ["deb bash 5.2-1 0", "deb broken 1.0 0"]);
}

#[test]
fn packages_of_an_image_without_dpkg_are_found() {
    let image = Image::of([Layer::new()
        .file("etc/os-release", DEBIAN_12)
        .file("var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12.4\n")
        .file("var/lib/dpkg/status.d/base.md5sums", "")]);
    assert_eq!(image.components(), ["deb base-files 12.4 0"]);
    assert_eq!(image.scan().unwrap().os.unwrap().label(), "debian-12");
}

#[test]
fn the_source_package_is_known_with_its_own_version() {
    let image = Image::of([Layer::new().dpkg(&[
        "Package: libc-bin\nStatus: install ok installed\nSource: glibc\nVersion: 2.36-9+b1\n",
        "Package: libgcc-s1\nStatus: install ok installed\nSource: gcc-12 (12.2.0-14)\nVersion: 1:12.2.0-14+b2\n",
    ])]);
    let components = image.scan().unwrap().components;
    let sources: Vec<_> = components.iter().map(|one| one.source.clone().unwrap()).collect();
    let sources: Vec<_> =
        sources.iter().map(|source| format!("{} {}", source.name, source.version)).collect();
    assert_eq!(sources, ["glibc 2.36-9", "gcc-12 12.2.0-14"]);
}

#[test]
fn a_database_in_an_upper_layer_replaces_the_lower_one_and_packages_keep_their_layer() {
    let image = Image::of([
        Layer::new().dpkg(&[&deb("bash", "5.2-1"), &deb("curl", "7.88"), &deb("vim", "9")]),
        Layer::new().dpkg(&[
            &deb("bash", "5.2-1"),
            &deb("curl", "7.88+deb12u1"),
            &deb("vim", "9"),
            &deb("git", "2"),
        ]),
        Layer::new().dpkg(&[&deb("bash", "5.2-1"), &deb("curl", "7.88+deb12u1"), &deb("git", "2")]),
    ]);
    assert_eq!(image.components(), ["deb bash 5.2-1 0", "deb curl 7.88+deb12u1 1", "deb git 2 1"]);
}

#[test]
fn a_package_that_went_and_came_back_came_with_the_later_layer() {
    let image = Image::of([
        Layer::new().dpkg(&[&deb("bash", "5"), &deb("vim", "9")]),
        Layer::new().dpkg(&[&deb("bash", "5")]),
        Layer::new().dpkg(&[&deb("bash", "5"), &deb("vim", "9")]),
    ]);
    assert_eq!(image.components(), ["deb bash 5 0", "deb vim 9 2"]);
}

#[test]
fn a_whiteout_hides_a_file_and_a_folder() {
    let below =
        Layer::new().python(SITE, "requests", "2.0").python(SITE, "flask", "1.0").python(SITE, "idna", "3.0");
    let above = Layer::new()
        .whiteout(&format!("{SITE}/requests-2.0.dist-info"))
        .whiteout(&format!("{SITE}/flask-1.0.dist-info/METADATA"));
    assert_eq!(Image::of([below, above]).components(), ["pypi idna 3.0 0"]);
}

#[test]
fn an_opaque_folder_hides_what_lower_layers_have_wherever_it_stands_in_its_layer() {
    for first in [true, false] {
        let below = Layer::new().python(SITE, "requests", "2.0").python("opt", "flask", "1.0");
        let above = Layer::new();
        let above = if first { above.opaque(SITE) } else { above };
        let above = above.python(SITE, "requests", "2.31");
        let above = if first { above } else { above.opaque(SITE) };
        let image = Image::of([below, above]);
        assert_eq!(image.components(), ["pypi flask 1.0 0", "pypi requests 2.31 1"], "{first}");
    }
}

#[test]
fn an_opaque_folder_in_the_place_of_a_link_leaves_what_the_link_led_to() {
    for with_folder in [true, false] {
        let below = Layer::new().python("target", "keep", "1.0").symlink("link", "/target");
        let above = if with_folder { Layer::new().folder("link/") } else { Layer::new() };
        let above = above.opaque("link").python("link", "new", "2.0");
        let image = Image::of([below, above]);
        assert_eq!(image.components(), ["pypi keep 1.0 0", "pypi new 2.0 1"], "{with_folder}");
    }
}

#[test]
fn a_whiteout_and_the_same_file_again_in_one_layer_is_the_new_file() {
    for whiteout_first in [true, false] {
        let below = Layer::new().npm("app/node_modules/a", "a", "1.0.0");
        let above = Layer::new();
        let above = if whiteout_first { above.whiteout("app/node_modules/a") } else { above };
        let above = above.npm("app/node_modules/a", "a", "2.0.0");
        let above = if whiteout_first { above } else { above.whiteout("app/node_modules/a") };
        assert_eq!(Image::of([below, above]).components(), ["npm a 2.0.0 1"]);
    }
}

#[test]
fn names_that_only_look_like_whiteouts_hide_nothing() {
    let below = Layer::new().python("etc", "keep", "1.0");
    let above = Layer::new()
        .file("etc/.wh..wh..opqX", "")
        .file("etc/.wh.", "")
        .file(".wh..", "")
        .file("etc/.wh...", "");
    assert_eq!(Image::of([below, above]).components(), ["pypi keep 1.0 0"]);
}

#[test]
fn a_file_in_the_place_of_a_folder_hides_the_folder() {
    let below = Layer::new().python("opt/app", "gone", "1.0");
    assert!(Image::of([below, Layer::new().file("opt/app", "a file")]).components().is_empty());
    let below = Layer::new().python("opt/app", "gone", "1.0");
    assert!(Image::of([below, Layer::new().symlink("opt/app", "/srv")]).components().is_empty());
}

#[test]
fn a_file_that_is_no_package_any_more_is_none() {
    let below = Layer::new().npm("node_modules/a", "a", "1.0.0");
    assert!(
        Image::of([below, Layer::new().file("node_modules/a/package.json", "{}")]).components().is_empty()
    );
}

#[test]
fn links_of_lower_layers_are_followed_in_the_folders_of_a_path() {
    let below = Layer::new().symlink("lib", "usr/lib").python("usr/lib", "old", "1.0");
    let above = Layer::new().python("lib", "new", "1.0").whiteout("lib/old-1.0.dist-info");
    let inventory = Image::of([below, above]).scan().unwrap();
    let found: Vec<_> = inventory.components.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(found, ["/usr/lib/new-1.0.dist-info/METADATA"]);
    // Not all runtimes would hide it, so that it is said.
    let [told] = inventory.unread.as_slice() else { panic!("{:?}", inventory.unread) };
    assert_eq!((told.path.as_str(), told.layer), ("/usr/lib/old-1.0.dist-info", 1));
    assert!(told.why.starts_with("hidden through a link"), "{}", told.why);
}

#[test]
fn paths_stay_below_the_root() {
    let image = Image::of([Layer::new()
        .file("../../var/lib/dpkg/status", deb("a", "1"))
        .symlink("out", "../../../..")
        .python("out/opt", "b", "2")]);
    assert_eq!(image.components(), ["deb a 1 0", "pypi b 2 0"]);
}

#[test]
fn the_release_is_read_through_a_link() {
    let image = Image::of([
        Layer::new().file("usr/lib/os-release", DEBIAN_12).symlink("etc/os-release", "../usr/lib/os-release"),
        Layer::new().file("usr/lib/os-release", "ID=debian\nVERSION_ID=\"13\"\n"),
    ]);
    assert_eq!(image.scan().unwrap().os.unwrap().label(), "debian-13");
}

#[test]
fn a_hard_link_is_the_same_package_at_another_place() {
    let image = Image::of([
        Layer::new()
            .python("cache", "a", "1.0")
            .hard_link("site/a-1.0.dist-info/METADATA", "cache/a-1.0.dist-info/METADATA"),
        Layer::new().whiteout("cache"),
    ]);
    assert_eq!(image.components(), ["pypi a 1.0 0"]);
    assert_eq!(image.scan().unwrap().components[0].path, "/site/a-1.0.dist-info/METADATA");
}

#[test]
fn a_file_with_a_name_that_says_nothing_is_read_by_its_other_name() {
    let text = |name: &str| format!("Name: {name}\nVersion: 1.0\n");
    let image = Image::of([
        Layer::new().file("store/0123", text("a")),
        Layer::new().file("store/4567", text("b")).hard_link("x/b.dist-info/METADATA", "store/4567"),
        Layer::new().hard_link("x/a.dist-info/METADATA", "store/0123"),
        // Through a name in between, which says nothing either.
        Layer::new()
            .file("store/89ab", text("c"))
            .hard_link("store/cdef", "store/89ab")
            .hard_link("x/c.dist-info/METADATA", "store/cdef"),
        Layer::new().whiteout("store"),
    ]);
    let inventory = image.scan().unwrap();
    assert_eq!(image.components(), ["pypi a 1.0 2", "pypi b 1.0 1", "pypi c 1.0 3"]);
    assert!(inventory.unread.is_empty());
}

#[test]
fn a_second_name_of_what_names_nothing_was_read_as_well() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
    let jar = zip.finish().unwrap().into_inner();
    let image = Image::of([Layer::new()
        .file("a/empty.jar", jar)
        .hard_link("b/empty.jar", "a/empty.jar")
        .file("a/node_modules/a/package.json", "{}")
        .hard_link("b/node_modules/a/package.json", "a/node_modules/a/package.json")]);
    assert_eq!(image.components(), [""; 0]);
}

#[test]
fn what_the_distribution_brought_is_the_distributions() {
    let image = Image::of([Layer::new()
        .file("etc/os-release", DEBIAN_12)
        .symlink("lib", "usr/lib")
        .dpkg(&[&deb("python3-yaml", "6.0-3")])
        .file(
            "var/lib/dpkg/info/python3-yaml:amd64.list",
            "/.\n/lib/python3\n/lib/python3/PyYAML-6.0.dist-info/METADATA\n",
        )
        .python("usr/lib/python3", "PyYAML", "6.0")
        .python("usr/local/lib", "PyYAML", "5.1")]);
    assert_eq!(image.components(), ["deb python3-yaml 6.0-3 0", "pypi PyYAML 5.1 0"]);
    let inventory = image.scan().unwrap();
    let owned: Vec<_> = inventory.components.iter().filter_map(|one| one.owner.as_deref()).collect();
    assert_eq!(owned, ["python3-yaml"]);
}

#[test]
fn what_alpine_brought_is_alpines_and_origins_are_known() {
    let installed =
        "P:py3-yaml\nV:6.0-r1\nA:x86_64\no:py-yaml\nF:usr/lib/PyYAML-6.0.dist-info\nR:METADATA\n\n";
    let image = Image::of([Layer::new()
        .file("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n")
        .file("lib/apk/db/installed", installed)
        .python("usr/lib", "PyYAML", "6.0")]);
    assert_eq!(image.components(), ["apk py3-yaml 6.0-r1 0"]);
    assert_eq!(image.scan().unwrap().components[0].source.clone().unwrap().name, "py-yaml");
}

#[test]
fn what_rpm_brought_is_rpms_and_others_packages_are_said_to_be_others() {
    let package = |vendor: &[u8]| {
        header(&[
            (1000, 6, b"python3-setuptools\0"),
            (1001, 6, b"53.0.0\0"),
            (1002, 6, b"12.el9\0"),
            (1011, 6, vendor),
            (1116, 4, &[0, 0, 0, 0]),
            (1117, 8, b"METADATA\0"),
            (1118, 8, b"/usr/lib/setuptools-53.0.0.dist-info/\0"),
        ])
    };
    for (vendor, other) in [(&b"AlmaLinux\0"[..], None), (b"Fedora Project\0", Some("Fedora Project"))] {
        let image = Image::of([Layer::new()
            .file("etc/os-release", "ID=\"almalinux\"\nVERSION_ID=\"9.3\"\n")
            .file("var/lib/rpm/Packages.db", database(&package(vendor)))
            .python("usr/lib", "setuptools", "53.0.0")]);
        assert_eq!(image.components(), ["rpm python3-setuptools 53.0.0-12.el9 0"]);
        let components = image.scan().unwrap().components;
        assert_eq!(components[0].vendor.as_deref(), other);
        assert_eq!(components[1].owner.as_deref(), Some("python3-setuptools"));
    }
}

#[test]
fn packages_are_found_where_each_package_manager_keeps_them() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("node_modules/lodash/package.json", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, br#"{"name":"lodash","version":"4.17.20"}"#).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    let image = Image::of([Layer::new()
        // pnpm, bun, npm and yarn each keep them apart in their own way.
        .npm("a/node_modules/.pnpm/b@1.0.0/node_modules/b", "b", "1.0.0")
        .npm("a/node_modules/.bun/c@1.0.0/node_modules/@s/c", "@s/c", "1.0.0")
        .npm("a/node_modules/.store/d@1.0.0-x/node_modules/d", "d", "1.0.0")
        .npm("a/node_modules/.store/e-npm-1.0.0-x/package", "e", "1.0.0")
        .file("a/.yarn/cache/lodash-npm-4.17.20-x.zip", &zip)
        .file("a/cache/lodash-npm-4.17.20-x.zip", &zip)
        // An editable install leaves the description with the source.
        .file("usr/lib/python3/site-packages/f.egg-link", "/src/f\n.")
        .file("src/f/f.egg-info/PKG-INFO", "Name: f\nVersion: 1.0\n")]);
    assert_eq!(
        image.components(),
        [
            "pypi f 1.0 0",
            "npm @s/c 1.0.0 0",
            "npm b 1.0.0 0",
            "npm d 1.0.0 0",
            "npm e 1.0.0 0",
            "npm lodash 4.17.20 0"
        ]
    );
}

#[test]
fn test_data_is_not_installed() {
    let image = Image::of([Layer::new()
        .npm("app/node_modules/resolve", "resolve", "1.0.0")
        .npm("app/node_modules/resolve/test/fixtures/a", "lodash", "1.0.0")
        .npm("app/node_modules/resolve/test/node_modules/b", "minimist", "0.0.1")
        .npm("app/node_modules/resolve/node_modules/@s/c", "@s/c", "3.0.0")]);
    assert_eq!(image.components(), ["npm @s/c 3.0.0 0", "npm resolve 1.0.0 0"]);
}

#[test]
fn the_same_name_in_two_ecosystems_is_two_components() {
    let image = Image::of([Layer::new()
        .python(SITE, "requests", "2.0")
        .file("usr/gems/specifications/requests-1.gemspec", "s.name = \"requests\"\ns.version = \"1.0\"\n")]);
    assert_eq!(image.components(), ["pypi requests 2.0 0", "gem requests 1.0 0"]);
}

#[test]
fn layers_are_read_whether_gzipped_zstandard_or_plain() {
    let mut image = Image::default();
    for (name, pack) in [
        ("a", &(|bytes: &[u8]| bytes.to_vec()) as &dyn Fn(&[u8]) -> Vec<u8>),
        ("b", &|bytes| zstd::encode_all(bytes, 3).unwrap()),
        ("c", &|bytes| gzip(bytes)),
        // Several members, as parallel compressors write them.
        ("d", &|bytes| [gzip(&bytes[..700]), gzip(&bytes[700..])].concat()),
        // Frames, and between them some to be passed over, in which others keep a table of contents (RFC 8878, 3.1.2).
        ("e", &|bytes| {
            let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
            let passed_over = b"\x5a\x2a\x4d\x18\x04\0\0\0toc\0";
            [passed_over, &frame(&bytes[..700])[..], passed_over, &frame(&bytes[700..]), passed_over].concat()
        }),
    ] {
        let bytes = Layer::new().python("x", name, "1").bytes();
        image.add(pack(&bytes), oci_image::Digest::of(&bytes));
    }
    assert_eq!(image.components(), ["pypi a 1 0", "pypi b 1 1", "pypi c 1 2", "pypi d 1 3", "pypi e 1 4"]);
}

#[test]
fn a_database_that_is_elsewhere_or_broken_is_said_to_be_not_read() {
    let unread = |layer: Layer| -> Vec<String> {
        let scanned = Image::of([layer]).scan().unwrap();
        scanned.unread.iter().map(|one| format!("{}: {}", one.path, one.why)).collect()
    };
    for (link, to) in [("var/lib/dpkg", "/opt/dpkg"), ("var/lib/dpkg/status", "/opt/dpkg/status")] {
        let layer = Layer::new().symlink(link, to).file("opt/dpkg/status", deb("openssl", "1"));
        let unread = unread(layer);
        assert!(unread[0].starts_with("/var/lib/dpkg/status: a link leads"), "{link}: {unread:?}");
    }
    let broken = "Package: openssl\nStatus: install ok installed\nVersion: 3\t0\n";
    assert_eq!(
        unread(Layer::new().file("var/lib/dpkg/status", broken)),
        ["/var/lib/dpkg/status: 1 of its packages can't be looked up"]
    );
    let wal = Layer::new().file("var/lib/rpm/rpmdb.sqlite-wal", "changes");
    assert_eq!(unread(wal), ["/var/lib/rpm/rpmdb.sqlite-wal: changes that are not in the database yet"]);
    // Links between places that are looked in are as good as the places.
    let layer = Layer::new().symlink("lib", "usr/lib").file("usr/lib/apk/db/installed", "P:a\nV:1-r0\n\n");
    assert_eq!(unread(layer), [""; 0]);
}

#[test]
fn a_database_that_is_written_again_as_it_was_brings_nothing_new() {
    let stanzas =
        || [deb("bash", "5"), "Package: broken\nStatus: install ok installed\n".to_owned()].join("\n");
    let below = || Layer::new().file("var/lib/dpkg/status", stanzas());
    let part = |version| format!("Package: base\nVersion: {version}\n");
    let image = Image::of([
        below().file("var/lib/dpkg/status.d/base", part(1)),
        below(),
        Layer::new().file("var/lib/dpkg/status.d/base", part(2)),
        Layer::new().file("var/lib/dpkg/status.d/base", part(2)).whiteout("var/lib/dpkg/status"),
        below(),
    ]);
    let inventory = image.scan().unwrap();
    let brief: Vec<_> = inventory.components.iter().map(support::brief).collect();
    assert_eq!(brief, ["deb base 2 2", "deb bash 5 4"]);
    // What can't be read of it is told for each time that it came, and not for each layer that touches it.
    let unread: Vec<_> = inventory.unread.iter().map(|one| one.layer).collect();
    assert_eq!(unread, [0, 4]);
}

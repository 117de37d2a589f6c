//! Images, and files of them.

use std::io::{Cursor, Write as _};

use super::Named;
use crate::catalog::PLACES;
use crate::image::{entry, tar};

/// Layers, each after its length.
pub fn layers() -> Named {
    let python = |name: &str| format!("Name: {name}\nVersion: 1.0\n");
    let one = |files: &[(&str, &[u8])]| stacked(&[tar(files)]);
    let below =
        tar(&[("x/a.dist-info/METADATA", python("a").as_bytes()), ("x/b.egg-info", python("b").as_bytes())]);
    let linked = [
        entry("lib", b'2', "usr/lib", 0).to_vec(),
        tar(&[("lib/a.dist-info/METADATA", python("a").as_bytes())]),
    ];
    let twice = [tar(&[("s/0", python("a").as_bytes())]), {
        let mut layer = entry("x/a.dist-info/METADATA", b'1', "s/0", 0).to_vec();
        layer.resize(1536, 0);
        layer
    }];
    vec![
        ("good-one".into(), one(&[("x/a.dist-info/METADATA", python("a").as_bytes())])),
        ("good-linked".into(), stacked(&[linked.concat()])),
        ("good-second-name".into(), stacked(&twice)),
        ("good-opaque-below".into(), stacked(&[below.clone(), tar(&[("y/.wh..wh..opq", b"")])])),
        (
            "bad-whiteouts".into(),
            stacked(&[below.clone(), tar(&[("x/.wh.a.dist-info", b""), ("x/.wh.b.egg-info", b"")])]),
        ),
        ("bad-opaque".into(), stacked(&[below, tar(&[("x/.wh..wh..opq", b"")])])),
        ("bad-outside".into(), one(&[("../../etc/passwd", b"root")])),
        ("bad-cut".into(), {
            let mut cut = one(&[("a", &[7; 600])]);
            cut.truncate(900);
            cut
        }),
        ("bad-empty".into(), Vec::new()),
    ]
}

fn stacked(layers: &[Vec<u8>]) -> Vec<u8> {
    let length = |layer: &Vec<u8>| u16::try_from(layer.len()).expect("a short layer").to_be_bytes();
    layers.iter().flat_map(|layer| length(layer).into_iter().chain(layer.iter().copied())).collect()
}

/// Files, each after the number of its place.
pub fn files() -> Named {
    let at = |place: &str, content: &[u8]| {
        let number = PLACES.iter().position(|one| *one == place).expect("a place");
        let mut bytes = vec![u8::try_from(number).expect("a few places")];
        bytes.extend_from_slice(content);
        bytes
    };
    let status = b"Package: a\nStatus: install ok installed\nVersion: 1:1.0-1+b1\nSource: s (1.0-1)\n";
    let deps = br#"{"packages":[{"name":"a/b","version":"v1.0.0"}]}"#;
    let pom: (&str, &[u8]) = ("META-INF/maven/g/a/pom.properties", b"groupId=g\nartifactId=a\nversion=1\n");
    let manifest: (&str, &[u8]) =
        ("META-INF/MANIFEST.MF", b"Implementation-Version: 1.0\nImplementation-Title: a\n");
    let inner = zipped(&[manifest, ("a/b/C.class", b"")]);
    vec![
        ("good-dpkg".into(), at("var/lib/dpkg/status", status)),
        ("good-dpkg-part".into(), at("var/lib/dpkg/status.d/a", b"Package: a\nVersion: 1\n")),
        ("good-apk".into(), at("lib/apk/db/installed", b"P:a\nV:1-r0\no:b\nF:x\nR:y\n\n")),
        ("good-rpm-ndb".into(), at("var/lib/rpm/Packages.db", &ndb())),
        ("good-rpm-sqlite".into(), at("var/lib/rpm/rpmdb.sqlite", &sqlite())),
        ("good-rpm-berkeley".into(), at("var/lib/rpm/Packages", &berkeley())),
        ("good-python".into(), at("x/a.dist-info/METADATA", b"Name: a\nVersion: 1.0\n\n")),
        ("good-npm".into(), at("x/node_modules/a/package.json", br#"{"name":"@s/a","version":"1.0.0"}"#)),
        ("good-gem".into(), at("x/specifications/a.gemspec", b"s.name = \"a\"\ns.version = \"1.0\"\n")),
        ("good-composer".into(), at("x/vendor/composer/installed.json", deps)),
        ("good-jar".into(), at("x/a-1.0.jar", &zipped(&[pom, manifest]))),
        ("good-jar-guessed".into(), at("x/a-1.0.jar", &zipped(&[manifest, ("a/b/C.class", b"")]))),
        ("good-war".into(), at("x/a.war", &zipped(&[("WEB-INF/lib/b-1.0.jar", &inner)]))),
        (
            "good-yarn".into(),
            at(
                "x/.yarn/cache/a.zip",
                &zipped(&[("node_modules/a/package.json", br#"{"name":"a","version":"1.0.0"}"#)]),
            ),
        ),
        ("good-egg".into(), at("x/a.egg", &zipped(&[("EGG-INFO/PKG-INFO", b"Name: a\nVersion: 1\n")]))),
        ("bad-jar".into(), at("x/a-1.0.jar", b"PK\x03\x04")),
        (
            "bad-removed".into(),
            at("var/lib/dpkg/status", b"Package: a\nStatus: deinstall ok config-files\nVersion: 1\n"),
        ),
        ("bad-control".into(), at("lib/apk/db/installed", b"P:a\x1b[31m\nV:1-r0\n\n")),
    ]
}

pub(crate) fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
        writer.start_file(*name, options).expect("in memory");
        writer.write_all(content).expect("in memory");
    }
    writer.finish().expect("in memory").into_inner()
}

/// A package's header: name, version, release, and one file.
fn header() -> Vec<u8> {
    let entries: [(u32, u32, &[u8]); 6] = [
        (1000, 6, b"bash\0"),
        (1001, 6, b"5.1.8\0"),
        (1002, 6, b"6.el9\0"),
        (1116, 4, &[0; 4]),
        (1117, 8, b"sh\0"),
        (1118, 8, b"/bin/\0"),
    ];
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, kind, bytes) in entries {
        for word in [tag, kind, word(data.len()), 1] {
            index.extend_from_slice(&word.to_be_bytes());
        }
        data.extend_from_slice(bytes);
    }
    [&word(entries.len()).to_be_bytes()[..], &word(data.len()).to_be_bytes(), &index, &data].concat()
}

fn word(number: usize) -> u32 {
    u32::try_from(number).expect("a small number")
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    bytes[at..at + part.len()].copy_from_slice(part);
}

/// rpm's own database of one package.
fn ndb() -> Vec<u8> {
    let header = header();
    let mut bytes = vec![0; 4096];
    put(&mut bytes, 0, b"RpmP");
    put(&mut bytes, 12, &1_u32.to_le_bytes());
    for slot in (32..4096).step_by(16) {
        put(&mut bytes, slot, b"Slot");
    }
    let blocks = word((header.len() + 16).div_ceil(16));
    for (at, number) in [(36, 1), (40, 256), (44, blocks)] {
        put(&mut bytes, at, &number.to_le_bytes());
    }
    bytes.extend_from_slice(b"BlbS");
    for number in [1, 1, word(header.len())] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&header);
    bytes.resize(4096 + blocks as usize * 16, 0);
    bytes
}

/// A database of SQLite with a table `Packages` of one row: two pages.
fn sqlite() -> Vec<u8> {
    let header = header();
    let mut bytes = vec![0; 1024];
    put(&mut bytes, 0, b"SQLite format 3\0");
    put(&mut bytes, 16, &512_u16.to_be_bytes());
    // type, name, table, first page, text.
    let schema: &[u8] = b"\x06\x17\x1d\x1d\x01\x0dtablePackagesPackages\x02";
    leaf(&mut bytes, 100, 0, &cell(schema));
    // Number and header, whose length takes two bytes of its type.
    let kind = header.len() * 2 + 12;
    let mut row =
        vec![4, 0, 0x80 | u8::try_from(kind >> 7).expect("short"), u8::try_from(kind & 0x7f).expect("short")];
    row.extend_from_slice(&header);
    leaf(&mut bytes, 512, 512, &cell(&row));
    bytes
}

/// A cell: length of the record in two bytes, the row's number, the record.
fn cell(record: &[u8]) -> Vec<u8> {
    let length = record.len();
    let mut cell = vec![
        0x80 | u8::try_from(length >> 7).expect("short"),
        u8::try_from(length & 0x7f).expect("short"),
        1,
    ];
    cell.extend_from_slice(record);
    cell
}

/// A leaf of one cell, whose header is at `start` and whose page begins at `page`.
fn leaf(bytes: &mut [u8], start: usize, page: usize, cell: &[u8]) {
    let at = 512 - cell.len();
    bytes[start] = 13;
    put(bytes, start + 3, &1_u16.to_be_bytes());
    put(bytes, start + 8, &u16::try_from(at).expect("in a page").to_be_bytes());
    put(bytes, page + at, cell);
}

/// A hash table of Berkeley DB with one package, in a page of its own.
fn berkeley() -> Vec<u8> {
    let header = header();
    let mut bytes = vec![0; 512 * 3];
    put(&mut bytes, 12, &0x0006_1561_u32.to_le_bytes());
    put(&mut bytes, 20, &512_u32.to_le_bytes());
    // Key and value, from the end of the page.
    let hash = 512;
    put(&mut bytes, hash + 20, &2_u16.to_le_bytes());
    bytes[hash + 25] = 13;
    put(&mut bytes, hash + 26, &500_u16.to_le_bytes());
    put(&mut bytes, hash + 28, &480_u16.to_le_bytes());
    put(&mut bytes, hash + 480, &[3, 0, 0, 0]);
    put(&mut bytes, hash + 484, &2_u32.to_le_bytes());
    put(&mut bytes, hash + 488, &word(header.len()).to_le_bytes());
    let overflow = 1024;
    put(&mut bytes, overflow + 22, &u16::try_from(header.len()).expect("short").to_le_bytes());
    bytes[overflow + 25] = 7;
    put(&mut bytes, overflow + 26, &header);
    bytes
}

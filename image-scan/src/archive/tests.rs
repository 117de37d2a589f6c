use super::*;

/// A header as tar(5) has it, with its checksum.
fn header(name: &str, flag: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    summed(block)
}

fn summed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn entry(name: &str, flag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, flag, body.len() as u64);
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

fn names(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut archive = Archive::new(bytes);
    let mut names = Vec::new();
    while let Some(entry) = archive.next().map_err(|error| error.to_string())? {
        names.push(String::from_utf8_lossy(&entry.path).into_owned());
    }
    Ok(names)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let length = (1..).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
        body.push_str(&format!("{length}{rest}"));
    }
    entry("PaxHeaders/x", b'x', body.as_bytes())
}

#[test]
fn entries_come_in_order_whether_bodies_are_read_or_not() {
    let bytes =
        [entry("a", b'0', b"hello"), entry("b", b'0', &[7; 600]), entry("c/", b'5', b""), end()].concat();
    let mut archive = Archive::new(bytes.as_slice());
    let first = archive.next().unwrap().unwrap();
    let mut body = Vec::new();
    archive.body().read_to_end(&mut body).unwrap();
    assert_eq!((first.size, body.as_slice()), (5, b"hello".as_slice()));
    assert_eq!(names(&bytes).unwrap(), ["a", "b", "c/"]);
}

#[test]
fn long_names_come_in_headers_of_their_own() {
    let long = "x/".repeat(120) + "y";
    let gnu = [entry("././@LongLink", b'L', format!("{long}\0").as_bytes()), entry("cut", b'0', b""), end()]
        .concat();
    let posix = [pax(&[("path", &long)]), entry("cut", b'0', b""), end()].concat();
    for bytes in [gnu, posix] {
        assert_eq!(names(&bytes).unwrap(), [long.as_str()]);
    }
}

#[test]
fn a_size_in_an_extended_header_counts() {
    let mut file = entry("a", b'0', &[1; 512]);
    file.splice(..512, header("a", b'0', 0));
    let bytes = [pax(&[("size", "512")]), file, entry("b", b'0', b""), end()].concat();
    assert_eq!(names(&bytes).unwrap(), ["a", "b"]);
}

#[test]
fn links_and_folders_have_no_body_whatever_they_say() {
    for flag in [b'1', b'2', b'5', b'3'] {
        let bytes = [header("a", flag, 512), entry("b", b'0', b""), end()].concat();
        assert_eq!(names(&bytes).unwrap(), ["a", "b"], "{flag}");
    }
    // Of old, a slash at the end made a folder. What it says of its size would hide the entries behind it.
    let bytes = [header("a/", 0, 512), entry("b", b'0', b""), end()].concat();
    assert_eq!(names(&bytes).unwrap(), ["a/", "b"]);
}

/// What Go's `archive/tar` makes of each, and so do the runtimes: `image-scan/tests/other_readers.rs` asks one.
#[test]
fn the_prefix_is_put_in_front_where_go_does_so() {
    let folder: &[u8] = b"folder";
    let negative = [&[0xff; 8][..], &[0, 0, 0, 1]].concat();
    let beyond = [&[0x80, 1][..], &[0; 10]].concat();
    for (magic, at_345, at_357, expected) in [
        (b"ustar\x0000", folder, folder, "folder/name"),
        (b"ustar\0\0\0", folder, b"", "folder/name"),
        (b"ustar\0xx", folder, b"", "folder/name"),
        // GNU's form has two times there, unless they are none.
        (b"ustar  \0", folder, b"", "folder/name"),
        (b"ustar  \0", b"14371573622\0", b"", "name"),
        (b"ustar  \0", b"", b"14371573622\0", "name"),
        (b"ustar  \0", b"14371573622\0", &negative, "name"),
        (b"ustar  \0", b"14371573622\0", &beyond, "14371573622/name"),
        (b"ustar  \0", "f\u{f6}lder".as_bytes(), b"", "name"),
        // Before POSIX there was none.
        (b"\0\0\0\0\0\0\0\0", folder, b"", "name"),
        (b"ustar 00", folder, b"", "name"),
    ] {
        let mut block = header("name", b'0', 0);
        block[257..265].copy_from_slice(magic);
        block[345..345 + at_345.len()].copy_from_slice(at_345);
        block[357..357 + at_357.len()].copy_from_slice(at_357);
        let got = names(&[summed(block), end()].concat()).unwrap();
        assert_eq!(got, [expected], "{magic:?} {at_345:?} {at_357:?}");
    }
    let mut star = header("name", b'0', 0);
    star[345..345 + 155].fill(b'a');
    star[508..].copy_from_slice(b"tar\0");
    let expected = format!("{}/name", "a".repeat(131));
    assert_eq!(names(&[summed(star), end()].concat()).unwrap(), [expected.as_str()]);
}

#[test]
fn of_several_extended_headers_those_count_that_count_to_go() {
    let (gnu, file) = (entry("././@LongLink", b'L', b"gnu\0"), entry("own", b'0', b""));
    let posix = || pax(&[("path", "posix")]);
    let global = entry("g", b'g', b"");
    for (before, expected) in [
        (vec![posix(), gnu.clone()], "gnu"),
        (vec![gnu.clone(), posix()], "gnu"),
        // The last of POSIX's is all that they say.
        (vec![posix(), pax(&[("mtime", "1")])], "own"),
        (vec![pax(&[("path", "posix"), ("path", "")])], "own"),
        // One for all is an entry to Go, and what stood before is about that.
        (vec![posix(), global.clone()], "own"),
        (vec![gnu, global.clone()], "own"),
        (vec![global, posix()], "posix"),
    ] {
        let bytes = [before.concat(), file.clone(), end()].concat();
        assert_eq!(names(&bytes).unwrap(), [expected]);
    }
}

#[test]
fn a_file_is_stored_with_holes_where_go_takes_it_for_one() {
    let (name, map) = (("GNU.sparse.name", "real"), ("GNU.sparse.map", "0,1"));
    let (zero, one) = (("GNU.sparse.major", "0"), ("GNU.sparse.major", "1"));
    let minor = |minor| ("GNU.sparse.minor", minor);
    for (records, expected) in [
        (vec![name, one, minor("0")], ("real", Kind::Sparse)),
        (vec![name, zero, minor("1"), map], ("real", Kind::Sparse)),
        (vec![map, name], ("real", Kind::Sparse)),
        (vec![("GNU.sparse.offset", "0"), ("GNU.sparse.numbytes", "1")], ("path", Kind::Sparse)),
        // A name alone makes no holes: else a database could be called otherwise here than in a container.
        (vec![name], ("path", Kind::File)),
        (vec![name, one, minor("7"), map], ("path", Kind::File)),
        (vec![("GNU.sparse.size", "1")], ("path", Kind::File)),
    ] {
        let records = [&[("path", "path")][..], &records].concat();
        let bytes = [pax(&records), entry("own", b'0', b""), end()].concat();
        let entry = Archive::new(bytes.as_slice()).next().unwrap().unwrap();
        assert_eq!((entry.path.as_slice(), entry.kind), (expected.0.as_bytes(), expected.1), "{records:?}");
    }
    // GNU's old form has the list of holes in blocks of its own.
    let mut old = header("old", b'S', 512);
    old[257..265].copy_from_slice(b"ustar  \0");
    old[482] = 1;
    let (mut more, last) = (vec![0; 512], vec![0; 512]);
    more[504] = 1;
    let bytes = [summed(old), more, last, vec![7; 512], entry("next", b'0', b""), end()].concat();
    assert_eq!(names(&bytes).unwrap(), ["old", "next"]);
}

#[test]
fn what_is_broken_says_why() {
    let whole = [entry("a", b'0', b"hello"), end()].concat();
    let mut flipped = whole.clone();
    flipped[0] ^= 1;
    let mut huge = header("a", b'0', 0);
    huge[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let mut negative = header("a", b'0', 0);
    negative[124..136].fill(0xff);
    let mut letters = header("a", b'0', 0);
    letters[124..130].copy_from_slice(b"zzzzzz");
    for (name, bytes, why) in [
        ("cut in a header", whole[..300].to_vec(), "ends within an entry"),
        ("cut in a body", whole[..514].to_vec(), "ends within an entry"),
        ("another checksum", flipped, "another checksum"),
        ("no archive", vec![b'x'; 2048], "another checksum"),
        ("one empty block", [vec![0; 512], whole.clone()].concat(), "another checksum"),
        ("too large", summed(huge), "grows to more than"),
        ("negative", summed(negative), "a size that can't be read"),
        ("letters", summed(letters), "a size that can't be read"),
        ("a large extended header", header("x", b'x', 1 << 21), "at most 1048576 bytes, got 2097152"),
        ("a large name", header("x", b'L', 1 << 32), "at most 1048576 bytes"),
        ("a bad record", entry("x", b'x', b"99 path=a\n"), "a pax record"),
        ("no record", entry("x", b'x', b"path=a\n"), "a pax record"),
        ("NUL", pax(&[("path", "a\0b")]), "NUL"),
    ] {
        let got = names(&bytes).expect_err(name);
        assert!(got.contains(why), "{name}: {got}");
    }
}

#[test]
fn the_end_may_be_missing() {
    let bytes = entry("a", b'0', b"");
    assert_eq!(names(&bytes).unwrap(), ["a"]);
    assert!(names(b"").unwrap().is_empty());
    // And with it the padding of the last entry.
    let whole = [entry("a", b'0', b""), entry("b", b'0', b"hello")].concat();
    for length in [whole.len() - 507, whole.len() - 300] {
        assert_eq!(names(&whole[..length]).unwrap(), ["a", "b"]);
    }
    assert!(names(&whole[..whole.len() - 508]).is_err());
}

#[test]
fn any_bytes_give_an_answer() {
    let whole = [pax(&[("path", "a/b")]), entry("a", b'0', b"hello"), end()].concat();
    for at in 0..whole.len() {
        for bit in [1, 0x80] {
            let mut flipped = whole.clone();
            flipped[at] ^= bit;
            let _ = names(&flipped);
        }
        let _ = names(&whole[..at]);
    }
}

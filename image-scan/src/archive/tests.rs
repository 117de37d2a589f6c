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
}

#[test]
fn the_prefix_of_posix_is_put_in_front() {
    let mut block = header("name", b'0', 0);
    block[345..351].copy_from_slice(b"folder");
    let bytes = [summed(block.clone()), end()].concat();
    assert_eq!(names(&bytes).unwrap(), ["folder/name"]);
    block[257..265].copy_from_slice(b"ustar  \0");
    assert_eq!(names(&[summed(block), end()].concat()).unwrap(), ["name"]);
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

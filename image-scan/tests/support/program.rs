//! Programs that say what they were made of, and nothing else.

use std::io::Write as _;

/// One whose list has these crates from a registry, as `cargo auditable` writes it. One called `build …` only built it.
pub(crate) fn of_crates(names: &[String]) -> Vec<u8> {
    let source = concat!("crates", ".io");
    let crates: Vec<String> = names
        .iter()
        .map(|name| {
            let (kind, name) = match name.strip_prefix("build ") {
                Some(name) => ("build", name),
                None => ("runtime", name.as_str()),
            };
            format!(r#"{{"name":"{name}","version":"1.0.0","source":"{source}","kind":"{kind}"}}"#)
        })
        .collect();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(format!(r#"{{"packages":[{}]}}"#, crates.join(",")).as_bytes()).unwrap();
    with_section(b".dep-v0", &zlib.finish().unwrap())
}

/// One that this version of Go made, of these modules: lines of `mod` or `dep`, path and version, with tabs between.
pub(crate) fn of_modules(go: &str, modules: &str) -> Vec<u8> {
    let mut section = b"\xff Go buildinf:\x08\x02".to_vec();
    section.resize(32, 0);
    let list = ["0123456789abcdef", modules, "0123456789abcdef"].concat();
    for text in [go, &list] {
        let mut length = text.len();
        while length >= 0x80 {
            section.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        section.push(u8::try_from(length).unwrap());
        section.extend_from_slice(text.as_bytes());
    }
    with_section(b".go.buildinfo", &section)
}

/// A program with one section (System V ABI, "ELF Header" and "Sections").
pub(crate) fn with_section(name: &[u8], content: &[u8]) -> Vec<u8> {
    let names = [b"\0", name, b"\0.shstrtab\0"].concat();
    let at_names = 64 + content.len();
    let sections = (at_names + names.len()).next_multiple_of(8);
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    // An executable of x86-64, whose sections are three, the last of them their names.
    for (at, half) in [(16, 2), (18, 62), (20, 1), (52, 64), (58, 64), (60, 3), (62, 2)] {
        bytes[at..at + 2].copy_from_slice(&u16::to_le_bytes(half));
    }
    bytes[40..48].copy_from_slice(&(sections as u64).to_le_bytes());
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(&names);
    bytes.resize(sections + 64, 0);
    let name_of_names = u32::try_from(name.len() + 2).unwrap();
    for (name, kind, from, length) in [(1, 1, 64, content.len()), (name_of_names, 3, at_names, names.len())] {
        let mut section = [0; 64];
        for (at, word) in [(0, name), (4, kind)] {
            section[at..at + 4].copy_from_slice(&u32::to_le_bytes(word));
        }
        for (at, word) in [(24, from), (32, length)] {
            section[at..at + 8].copy_from_slice(&(word as u64).to_le_bytes());
        }
        bytes.extend_from_slice(&section);
    }
    // Nothing smaller is looked at.
    bytes.resize(bytes.len().max(4096), 0);
    bytes
}

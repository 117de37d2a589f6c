//! Go's build information (`debug/buildinfo`): the version of Go, and the modules that a program was made of.

use crate::component::{Found, Kind};

/// What it begins with.
const MAGIC: &[u8] = b"\xff Go buildinf:";

/// Where the texts follow, from Go 1.18 on; before, their addresses are at 16.
const INLINE: usize = 32;

/// The marks around the list of modules.
const MARK: usize = 16;

/// The longest list of modules that is read.
const LIST_MAX: u64 = 4 * 1024 * 1024;

/// Reads `length` bytes at an address of the program.
type Memory<'m> = &'m dyn Fn(u64, u64) -> Option<Vec<u8>>;

/// The modules, and Go's library, which is a module called `stdlib` to advisories.
pub(super) fn build_info(section: &[u8], memory: Memory<'_>) -> Result<Vec<Found>, String> {
    let (version, list) = texts(section, memory).ok_or("its Go build information can't be read")?;
    let mut found: Vec<Found> = stdlib(&version).into_iter().collect();
    let modules = list.get(MARK..list.len().saturating_sub(MARK)).unwrap_or_default();
    found.extend(lines(&String::from_utf8_lossy(modules)));
    Ok(found)
}

fn texts(section: &[u8], memory: Memory<'_>) -> Option<(String, Vec<u8>)> {
    let info = section.strip_prefix(MAGIC)?;
    let (pointer, flags) = (*info.first()?, *info.get(1)?);
    let (version, list) = if flags & 2 != 0 {
        let (version, rest) = counted(section.get(INLINE..)?)?;
        (short(version)?.to_vec(), short(counted(rest)?.0)?.to_vec())
    } else {
        let at = |index: usize| {
            let from = 16_usize.checked_add(index.checked_mul(usize::from(pointer))?)?;
            word(section.get(from..)?, pointer, flags & 1 != 0)
        };
        (text_at(at(0)?, pointer, flags & 1 != 0, memory)?, text_at(at(1)?, pointer, flags & 1 != 0, memory)?)
    };
    Some((String::from_utf8(version).ok()?, list))
}

/// A text that isn't longer than any is.
fn short(text: &[u8]) -> Option<&[u8]> {
    u64::try_from(text.len()).is_ok_and(|length| length <= LIST_MAX).then_some(text)
}

/// A text of Go's: its address and its length are at the address.
fn text_at(address: u64, pointer: u8, big: bool, memory: Memory<'_>) -> Option<Vec<u8>> {
    let size = u64::from(pointer);
    let data = word(&memory(address, size)?, pointer, big)?;
    let length = word(&memory(address.checked_add(size)?, size)?, pointer, big)?;
    match length {
        0 => Some(Vec::new()),
        _ if length > LIST_MAX => None,
        _ => memory(data, length),
    }
}

fn word(bytes: &[u8], pointer: u8, big: bool) -> Option<u64> {
    Some(match (pointer, big) {
        (4, false) => u64::from(u32::from_le_bytes(*bytes.first_chunk()?)),
        (4, true) => u64::from(u32::from_be_bytes(*bytes.first_chunk()?)),
        (8, false) => u64::from_le_bytes(*bytes.first_chunk()?),
        (8, true) => u64::from_be_bytes(*bytes.first_chunk()?),
        _ => return None,
    })
}

/// Bytes after their number, seven bits a byte, the lowest first; and what follows them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        let shift = u32::try_from(at.checked_mul(7)?).ok()?;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return bytes.get(at.checked_add(1)?..)?.split_at_checked(length);
        }
    }
    None
}

/// `go1.21.5`, with words after it for how it was built. What was built from a checkout has no version.
fn stdlib(version: &str) -> Option<Found> {
    let version = version.split_whitespace().next()?.strip_prefix("go")?;
    Found::new(Kind::Golang, "stdlib", version)
}

/// `mod`, `dep`: path, version, sum. A line `=>` takes the place of the one before.
fn lines(list: &str) -> Vec<Found> {
    let mut modules: Vec<(&str, &str)> = Vec::new();
    for line in list.lines() {
        let mut words = line.split('\t');
        let Some((verb, path)) = words.next().zip(words.next()) else { continue };
        let version = words.next().unwrap_or_default();
        match verb {
            "mod" | "dep" => modules.push((path, version)),
            "=>" => {
                modules.pop();
                modules.push((path, version));
            }
            _ => {}
        }
    }
    modules.into_iter().filter_map(|(path, version)| Found::new(Kind::Golang, path, version)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_memory(_: u64, _: u64) -> Option<Vec<u8>> {
        None
    }

    fn inline(version: &str, list: &str) -> Vec<u8> {
        let mut section = [MAGIC, &[8, 2]].concat();
        section.resize(INLINE, 0);
        let list = ["0123456789abcdef", list, "0123456789abcdef"].concat();
        for text in [version, &list] {
            let mut length = text.len();
            while length >= 0x80 {
                section.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            section.push(length as u8);
            section.extend_from_slice(text.as_bytes());
        }
        section
    }

    fn brief(found: &[Found]) -> Vec<String> {
        found.iter().map(|found| format!("{} {}", found.name, found.version)).collect()
    }

    const LIST: &str = "path\texample.com/app\nmod\texample.com/app\t(devel)\t\ndep\tgolang.org/x/net\tv0.1.0\th1:x=\n\
        dep\tgithub.com/old/a\tv1.0.0\n=>\tgithub.com/new/a\tv1.0.1\th1:y=\nbuild\t-compiler=gc\n";

    #[test]
    fn modules_are_read_and_replacements_count() {
        let found = build_info(&inline("go1.21.5 X:boringcrypto", LIST), &no_memory).unwrap();
        assert_eq!(
            brief(&found),
            [
                "stdlib 1.21.5",
                "example.com/app (devel)",
                "golang.org/x/net v0.1.0",
                "github.com/new/a v1.0.1"
            ]
        );
    }

    #[test]
    fn before_go_1_18_texts_are_elsewhere() {
        let mut section = [MAGIC, &[8, 0]].concat();
        section.extend_from_slice(&100_u64.to_le_bytes());
        section.extend_from_slice(&116_u64.to_le_bytes());
        let list = ["0123456789abcdef", "dep\ta.b/c\tv1\n", "0123456789abcdef"].concat();
        let mut space = [0; 200];
        for (at, word) in [(100, 132), (108, 6), (116, 140), (124, list.len())] {
            space[at..at + 8].copy_from_slice(&(word as u64).to_le_bytes());
        }
        space[132..138].copy_from_slice(b"go1.17");
        space[140..140 + list.len()].copy_from_slice(list.as_bytes());
        let memory = |at: u64, length: u64| Some(space.get(at as usize..(at + length) as usize)?.to_vec());
        assert_eq!(brief(&build_info(&section, &memory).unwrap()), ["stdlib 1.17", "a.b/c v1"]);
    }

    #[test]
    fn a_list_longer_than_any_is_told_and_not_read() {
        let long = "dep\ta\tv1\n".repeat(usize::try_from(LIST_MAX).unwrap() / 8);
        assert!(build_info(&inline("go1.21.5", &long), &no_memory).is_err());
    }

    #[test]
    fn any_bytes_give_an_answer() {
        let whole = inline("devel go1.22-abc", LIST);
        assert!(
            !brief(&build_info(&whole, &no_memory).unwrap()).iter().any(|line| line.starts_with("stdlib"))
        );
        for end in 0..whole.len() {
            let _ = build_info(&whole[..end], &no_memory);
        }
        assert!(build_info(b"", &no_memory).is_err());
    }
}

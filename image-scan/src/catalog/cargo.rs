//! The crates that a program was made of, as `cargo auditable` writes them: JSON under zlib.

use std::io::Read;

use flate2::read::ZlibDecoder;
use serde::Deserialize;

use crate::component::{Found, Kind};
use crate::ecosystem::CRATES_IO;

/// The longest list that is read: a program of a thousand crates has 100 KB.
const LIST_MAX: u64 = 8 * 1024 * 1024;

#[derive(Deserialize)]
struct List {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: String,
    /// What only ran while the program was built isn't in it.
    #[serde(default)]
    kind: Option<String>,
}

/// The crates from a registry that are part of the program.
pub(super) fn crates(section: &[u8], left: &mut u64) -> Result<Vec<Found>, String> {
    let mut json = Vec::new();
    let limit = LIST_MAX.saturating_add(1);
    let read = ZlibDecoder::new(section).take(limit).read_to_end(&mut json);
    let unreadable = |why: String| format!("its list of crates can't be read: {why}");
    *left = left.saturating_sub(u64::try_from(json.len()).unwrap_or(u64::MAX));
    read.map_err(|error| unreadable(error.to_string()))?;
    if u64::try_from(json.len()).unwrap_or(u64::MAX) > LIST_MAX {
        return Err(unreadable(format!("expected at most {LIST_MAX} bytes, got more")));
    }
    let list: List = serde_json::from_slice(&json).map_err(|error| unreadable(error.to_string()))?;
    let found = list.packages.iter().filter(|package| is_part(package));
    Ok(found.filter_map(|package| Found::new(Kind::Cargo, &package.name, &package.version)).collect())
}

/// A crate of the same name that isn't from a registry is another crate.
fn is_part(package: &Package) -> bool {
    package.kind.as_deref().is_none_or(|kind| kind == "runtime")
        && [CRATES_IO, "registry"].contains(&package.source.as_str())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn section(json: &str) -> Vec<u8> {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(json.as_bytes()).unwrap();
        zlib.finish().unwrap()
    }

    #[test]
    fn what_only_built_the_program_is_not_in_it() {
        let json = r#"{"packages":[
            {"name":"app","version":"0.1.0","source":"local","root":true,"dependencies":[1,2]},
            {"name":"time","version":"0.1.43","source":"REGISTRY"},
            {"name":"cc","version":"1.0.0","source":"REGISTRY","kind":"build"}]}"#;
        let found = crates(&section(&json.replace("REGISTRY", CRATES_IO)), &mut 1000).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].version.as_str()), ("time", "0.1.43"));
    }

    #[test]
    fn a_bomb_is_told() {
        let bomb = section(&" ".repeat(9 * 1024 * 1024));
        let mut left = 10_000_000;
        assert!(crates(&bomb, &mut left).unwrap_err().contains("at most 8388608 bytes"));
        assert!(left < 2_000_000, "what came of it counts, though it was of no use: {left}");
        assert!(crates(b"x", &mut left).is_err());
    }
}

//! Node.js packages: `package.json` of an installed one.

use serde::Deserialize;

use crate::component::{Found, Kind};

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    name: Option<serde_json::Value>,
    #[serde(default)]
    version: Option<serde_json::Value>,
}

/// The package, unless it has no name and version: parts of packages have such files. A name that can't be shown is none
/// of those.
pub(super) fn package(bytes: &[u8]) -> Result<Option<Found>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let package: Package = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let (name, version) = (package.name, package.version);
    let text = |value: &Option<serde_json::Value>| Some(value.as_ref()?.as_str()?.trim().to_owned());
    let (Some(name), Some(version)) = (text(&name), text(&version)) else { return Ok(None) };
    if name.is_empty() || version.is_empty() {
        return Ok(None);
    }
    let found = Found::new(Kind::Npm, &name, version.trim_start_matches(['v', '=']));
    found.map(Some).ok_or_else(|| "its name or version can't be shown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_a_name_and_a_version() {
        let found = package(br#"{"name":"@babel/core","version":"7.0.0","x":[1]}"#).unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("@babel/core", "7.0.0"));
        assert_eq!(package(br#"{"type":"module"}"#), Ok(None));
        assert_eq!(package(br#"{"name":1,"version":null}"#), Ok(None));
        assert_eq!(package(br#"{"name":"a","version":" "}"#), Ok(None));
        assert!(package(b"{").is_err());
        assert!(package("[".repeat(100_000).as_bytes()).is_err());
    }
}

//! PHP packages: what Composer installed, `vendor/composer/installed.json`.

use serde::Deserialize;
use serde_json::Value;

use crate::component::{Found, Kind};

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// Adds the packages: a list, or since Composer 2 a member of an object.
pub(super) fn installed(bytes: &[u8], found: &mut Vec<Found>) -> Result<(), String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let list = match value {
        Value::Object(mut members) => members.remove("packages").unwrap_or_default(),
        list => list,
    };
    let packages: Vec<Package> = serde_json::from_value(list).map_err(|error| error.to_string())?;
    let before = found.len();
    found.extend(packages.iter().filter_map(|one| Found::new(Kind::Composer, &one.name, &one.version)));
    match packages.len().saturating_sub(found.len().saturating_sub(before)) {
        0 => Ok(()),
        nameless => Err(format!("{nameless} of its packages can't be looked up")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for text in [
            r#"[{"name":"a/b","version":"v1.2"}]"#,
            r#"{"packages":[{"name":"a/b","version":"v1.2","x":{}}]}"#,
        ] {
            let mut found = Vec::new();
            installed(text.as_bytes(), &mut found).unwrap();
            assert_eq!((found[0].name.as_str(), found[0].version.as_str()), ("a/b", "v1.2"));
        }
        assert!(installed(b"{}", &mut Vec::new()).is_err());
        assert!(installed(b"[", &mut Vec::new()).is_err());
    }
}

//! PHP packages: what Composer installed, `vendor/composer/installed.json`.

use serde::Deserialize;
use serde_json::Value;

use crate::component::{Found, Kind};

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// The packages: a list, or since Composer 2 a member of an object.
pub(super) fn installed(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let list = match value {
        Value::Object(mut members) => members.remove("packages").unwrap_or_default(),
        list => list,
    };
    let packages: Vec<Package> = serde_json::from_value(list).map_err(|error| error.to_string())?;
    let found = packages.iter().filter_map(|one| Found::new(Kind::Composer, &one.name, &one.version));
    Ok(found.collect())
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
            let found = installed(text.as_bytes()).unwrap();
            assert_eq!((found[0].name.as_str(), found[0].version.as_str()), ("a/b", "v1.2"));
        }
        assert!(installed(b"{}").is_err());
        assert!(installed(b"[").is_err());
    }
}

//! A member that may list a hundred thousand things, kept as text: one of them is changed, and the others are
//! neither read nor copied one by one.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use serde_json::Value;

use crate::canonical::JsonError;
use crate::listing::Listing;

/// Members of a large object, each as text in normal form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    pub(super) name: &'static str,
    pub(super) members: BTreeMap<String, Box<str>>,
}

impl Listed {
    pub(super) fn of(name: &'static str, listing: &Listing) -> Result<Self, JsonError> {
        let mut members = BTreeMap::new();
        for (key, text) in listing.entries() {
            let text = core::str::from_utf8(text).map_err(|_| JsonError::new("not UTF-8"))?;
            members.insert(key.into_owned(), text.into());
        }
        Ok(Self { name, members })
    }

    /// About how long its text is.
    pub(super) fn size(&self) -> usize {
        let lengths = self.members.iter().map(|(key, text)| key.len().saturating_add(text.len()));
        lengths.fold(4096, |sum, length| sum.saturating_add(length).saturating_add(4))
    }

    pub(super) fn write(&self, out: &mut String) {
        let mut separator = '{';
        for (key, text) in &self.members {
            out.push(separator);
            separator = ',';
            quoted(out, key);
            out.push(':');
            out.push_str(text);
        }
        out.push_str(if separator == '{' { "{}" } else { "}" });
    }
}

/// A string as JSON writes it.
pub(super) fn quoted(out: &mut String, text: &str) {
    let plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

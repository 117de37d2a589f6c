//! Files that are at hand: metadata that came by a way of the caller's own. No socket, no disk.

use std::collections::BTreeMap;
use std::fmt;

use oci_image::SourceError;

use super::{Fetch, Fetched, Transport};

/// Serves files from memory, by name: `timestamp.json`, `2.root.json`, `7.snapshot.json`.
///
/// A file that wasn't given is *could not tell*: that it isn't here says nothing of any repository. Only after the last
/// root that was given there is none, as everywhere (TUF 5.3.3).
///
/// ```
/// use tuf_client::MemoryTransport;
///
/// # let (root, timestamp) = (Vec::new(), Vec::new());
/// let given: MemoryTransport = [("2.root.json", root), ("timestamp.json", timestamp)].into_iter().collect();
/// ```
#[derive(Clone, Default)]
pub struct MemoryTransport {
    files: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

/// Of two files of one name, the later is served.
impl<N: Into<String>, B: Into<Vec<u8>>> FromIterator<(N, B)> for MemoryTransport {
    fn from_iter<I: IntoIterator<Item = (N, B)>>(files: I) -> Self {
        Self { files: files.into_iter().map(|(name, bytes)| (name.into(), bytes.into())).collect() }
    }
}

impl MemoryTransport {
    fn absent(&self, name: &str) -> Result<Fetched, SourceError> {
        if name.ends_with(".root.json") {
            return Ok(Fetched::Absent);
        }
        let why = format!("{name} is not among the files given");
        Err(SourceError::Unreachable { at: self.describe(), why })
    }
}

impl Transport for MemoryTransport {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        let Some(bytes) = self.files.get(wanted.name) else { return self.absent(wanted.name) };
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if got > wanted.limit {
            let at = format!("{} in {}", wanted.name, self.describe());
            return Err(SourceError::TooLarge { at, limit: wanted.limit, got: Some(got) });
        }
        Ok(Fetched::File { bytes: bytes.clone(), tag: None })
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn files_are_served_by_name_and_within_their_bound() {
        let given: MemoryTransport =
            [("a.json", "abc"), ("b.json", "x"), ("b.json", "y")].into_iter().collect();
        let ask = |name, limit| given.fetch(&Fetch { name, limit, known: None, time: Duration::ZERO });
        let file = |text: &str| Fetched::File { bytes: text.into(), tag: None };
        assert_eq!(ask("a.json", 3).unwrap(), file("abc"));
        assert_eq!(ask("b.json", 3).unwrap(), file("y"));
        assert_eq!(ask("2.root.json", 3).unwrap(), Fetched::Absent);
        let error = ask("c.json", 3).unwrap_err();
        assert!(error.unreachable());
        assert_eq!(error.to_string(), "could not reach memory: c.json is not among the files given");
        let error = ask("a.json", 2).unwrap_err().to_string();
        assert_eq!(error, "a.json in memory sent too much: expected at most 2 bytes, got 3");
        assert_eq!(format!("{given:?}"), r#"{"a.json", "b.json"}"#);
    }
}

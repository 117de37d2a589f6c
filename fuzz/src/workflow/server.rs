//! What stands between publisher and client: it serves what the publisher put out, or whatever it was told to
//! serve in the place of a role's file, and writes down what was taken.

use std::collections::BTreeMap;

use oci_image::SourceError;

use super::publisher::ROLES;

/// What is served in the place of a role's file.
#[derive(Clone, Debug)]
pub enum Instead {
    /// Other bytes.
    Bytes(Vec<u8>),
    /// Nothing: there is no such file.
    Absent,
    /// No answer.
    Unreachable,
    /// What the client holds is still the newest, whatever it holds; nothing, where it holds nothing.
    Unchanged,
}

/// The server.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// What the publisher put out, by file name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What is served instead, by role.
    pub instead: BTreeMap<String, Instead>,
    /// Whether it must not be asked.
    pub silent: bool,
    /// What was served since it was last emptied, with its name.
    pub served: Vec<(String, Vec<u8>)>,
}

impl Server {
    /// Whether it says to who holds a file that it is still the newest.
    pub fn says_unchanged(&self, name: &str) -> bool {
        matches!(self.instead.get(role_of(name)), Some(Instead::Unchanged))
    }

    /// Answers for a file name.
    pub fn serve(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        assert!(!self.silent, "offline, and {name} was asked for");
        assert!(!name.contains(['/', '\\', '?', '#']), "{name:?} leaves its folder");
        let bytes = match self.instead.get(role_of(name)) {
            None => self.files.get(name),
            Some(Instead::Bytes(bytes)) => Some(bytes),
            Some(Instead::Absent | Instead::Unchanged) => None,
            Some(Instead::Unreachable) => {
                let why = "no answer".to_owned();
                return Err(SourceError::Unreachable { at: name.to_owned(), why });
            }
        };
        let Some(bytes) = bytes.cloned() else { return Ok(None) };
        if bytes.len() as u64 > limit {
            return Err(SourceError::TooLarge { at: name.to_owned(), limit, got: None });
        }
        self.served.push((name.to_owned(), bytes.clone()));
        Ok(Some(bytes))
    }
}

/// The role of a file's name.
pub fn role_of(name: &str) -> &'static str {
    let plain = name.strip_suffix(".json").unwrap_or(name).replace("%2F", "/");
    let unversioned = plain.split_once('.').filter(|(version, _)| version.parse::<u64>().is_ok());
    let unversioned = unversioned.map_or("", |(_, rest)| rest);
    let known = |wanted: &str| ROLES.iter().find(|role| **role == wanted).copied();
    // "2.root.json" is the second root before it is the role of that name.
    let root = (unversioned == "root").then_some("root");
    root.or_else(|| known(&plain)).or_else(|| known(unversioned)).unwrap_or("")
}

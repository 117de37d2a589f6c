//! Packs taken apart and put together by other code than the program's: as an attacker would.

use serde_json::Value;
use sha2_of::hex;

/// SHA-256, by way of the simulator.
mod sha2_of {
    pub(crate) fn hex(bytes: &[u8]) -> String {
        test_repos::sha256_digest(bytes).replace("sha256:", "")
    }
}

/// The files of a pack, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Archive(pub(crate) Vec<(String, Vec<u8>)>);

pub(crate) const INDEX: &str = "hallmark/pack.json";

impl Archive {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut files = Vec::new();
        let mut at = 0;
        while bytes[at] != 0 {
            let header = &bytes[at..at + 512];
            let text = |from: usize, to: usize| {
                let field = &header[from..to];
                let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
                String::from_utf8(field[..end].to_vec()).unwrap()
            };
            let (name, prefix) = (text(0, 100), text(345, 500));
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let size = usize::from_str_radix(text(124, 136).trim(), 8).unwrap();
            files.push((name, bytes[at + 512..at + 512 + size].to_vec()));
            at += 512 + size.div_ceil(512) * 512;
        }
        assert_eq!(bytes.len(), at + 1024);
        Self(files)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, bytes) in &self.0 {
            out.extend(header(name, bytes.len(), b'0'));
            out.extend(bytes);
            out.resize(out.len().div_ceil(512) * 512, 0);
        }
        out.resize(out.len() + 1024, 0);
        out
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).filter(|name| name != INDEX).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Vec<u8>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, bytes)| bytes)
    }

    pub(crate) fn set(&mut self, name: &str, bytes: Vec<u8>) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some(file) => file.1 = bytes,
            None => self.0.push((name.to_owned(), bytes)),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    pub(crate) fn index(&self) -> Value {
        serde_json::from_slice(self.get(INDEX).unwrap()).unwrap()
    }

    pub(crate) fn set_index(&mut self, index: &Value) {
        self.set(INDEX, (serde_json::to_string_pretty(index).unwrap() + "\n").into_bytes());
    }

    /// An index that is true of what is in there now.
    pub(crate) fn honest(mut self) -> Self {
        let mut index = self.index();
        self.0.retain(|(name, _)| name != INDEX);
        self.0.sort();
        let parts = self.0.iter().map(
            |(name, bytes)| serde_json::json!({"name": name, "size": bytes.len(), "sha256": hex(bytes)}),
        );
        index["parts"] = parts.collect();
        self.0.insert(0, (INDEX.to_owned(), Vec::new()));
        self.set_index(&index);
        self
    }
}

/// A header of POSIX ustar.
pub(crate) fn header(name: &str, size: usize, kind: u8) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    let (prefix, name) = if name.len() > 100 { name.rsplit_once('/').unwrap() } else { ("", name) };
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(257, "ustar\0");
    put(263, "00");
    put(345, prefix);
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    header
}

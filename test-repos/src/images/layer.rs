//! One layer: entries, and the tar archive they make.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

/// 2024-01-01, as the config says.
const MODIFIED: u64 = 1_704_067_200;

#[derive(Clone, Debug)]
pub(super) enum Node {
    File { mode: u32, content: Vec<u8> },
    Link { to: String },
}

#[derive(Clone, Debug, Default)]
pub(super) struct Layer(Vec<(String, Node)>);

impl Layer {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Archives hold relative paths: a slash in front is dropped.
    pub(super) fn add(&mut self, path: &str, node: Node) {
        self.0.push((path.trim_start_matches('/').into(), node));
    }

    /// The tar archive, uncompressed.
    pub(super) fn archive(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut folders = BTreeSet::new();
        for (path, node) in &self.0 {
            for folder in above(path).filter(|folder| folders.insert(folder.to_string())) {
                let mut header = header(EntryType::Directory, 0o755, 0);
                archive.append_data(&mut header, format!("{folder}/"), io::empty())?;
            }
            append(&mut archive, path, node)?;
        }
        archive.into_inner()
    }
}

/// The step that made it, for the config's history.
impl Display for Layer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("COPY")?;
        self.0.iter().take(3).try_for_each(|(path, _)| write!(f, " /{path}"))
    }
}

/// Compresses with no name and no time in the gzip header.
pub(super) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    gzip.write_all(bytes)?;
    gzip.finish()
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, node: &Node) -> io::Result<()> {
    match node {
        Node::File { mode, content } => {
            let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
            archive.append_data(&mut header(EntryType::Regular, *mode, length), path, content.as_slice())
        }
        Node::Link { to } => archive.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, to),
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(MODIFIED);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// The folders above a path, outermost first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

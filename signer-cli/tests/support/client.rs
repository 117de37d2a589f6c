//! Our own client over what is published, as users have it.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tuf_client::{Client, DirStore, DirTransport, Found};

use super::Desk;

/// A client with a state of its own.
pub struct Reader {
    state: TempDir,
    root: Vec<u8>,
    metadata: PathBuf,
}

impl Reader {
    /// One that starts from a root.
    pub fn new(root: Vec<u8>, metadata: PathBuf) -> Self {
        let reader = Self { state: tempfile::tempdir().unwrap(), root, metadata };
        reader.client().refresh().unwrap();
        reader
    }

    fn client(&self) -> Client {
        Client::new(
            self.root.clone(),
            Arc::new(DirTransport::new(self.metadata.clone())),
            Box::new(DirStore::open(self.state.path().join("state")).unwrap()),
            chrono::Utc::now,
        )
    }

    /// The same one, later.
    pub fn again(&self) -> &Self {
        self
    }

    /// Whether it takes what is there now, or why not.
    pub fn takes(&self) -> Result<(), String> {
        self.client().refresh().map(drop).map_err(|error| error.to_string())
    }

    /// The digest that a name means, and the roles that lead to it.
    #[track_caller]
    pub fn find(&self, path: &str) -> Option<(String, Vec<String>)> {
        let client = self.client();
        let state = client.refresh().unwrap();
        let Found::Target { target, chain } = state.find(path).unwrap() else { return None };
        let chain = chain.iter().map(|role| role.role().name().to_owned()).collect();
        Some((format!("sha256:{}", target.hashes["sha256"]), chain))
    }
}

impl Desk {
    /// A new client that has the first root.
    #[track_caller]
    pub fn reader(&self) -> Reader {
        let metadata = self.path("trust/published/metadata");
        Reader::new(std::fs::read(metadata.join("1.root.json")).unwrap(), metadata)
    }
}

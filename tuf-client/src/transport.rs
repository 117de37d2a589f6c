//! How files are fetched: from a folder, over HTTP, or from an OCI registry. Who asks is the same for all.
//!
//! A transport bounds what it reads, in bytes and in time, and decides nothing about it.

mod dir;
mod http;
mod location;
mod memory;
mod oci;

use std::io::{self, Read};
use std::time::Duration;

use oci_image::SourceError;

pub use dir::DirTransport;
pub use http::HttpTransport;
pub use location::{BadLocation, RepoLocation, TransportOptions};
pub use memory::MemoryTransport;
use oci::{OciTargets, OciTransport};

/// One file that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// The file's name, already percent-encoded. That of a target is an address, and may have folders before it.
    pub name: &'a str,
    /// The most bytes that are read.
    pub limit: u64,
    /// The entity tag of the bytes that the caller already holds (RFC 9110, `If-None-Match`).
    pub known: Option<&'a str>,
    /// What is left of the total time. The transport gives up after it.
    pub time: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fetched {
    /// The file.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// The entity tag that the source gives them, for the next time.
        tag: Option<String>,
    },
    /// The source still has the bytes of [`Fetch::known`]. Only an answer to who holds some.
    Unchanged,
    /// There is no such file.
    Absent,
}

/// Fetches files by name. It decides nothing, and it bounds what it reads.
pub trait Transport: Send + Sync {
    /// A file, where there is one.
    ///
    /// # Errors
    /// When there is no usable answer in the time given, or one of more bytes than the limit.
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError>;

    /// The same file, to be read as it comes: for large ones, and for who checks them on the way, as
    /// [`crate::Refreshed::copy_target`] does. Bounded in time, while it is read too; of the length only what is
    /// announced is looked at. `None` where there is none. What is known already is not asked for.
    ///
    /// By itself a transport fetches it all before.
    ///
    /// # Errors
    /// As [`Self::fetch`]. Errors that come later, while reading, are [`SourceError`]s within the [`io::Error`].
    fn stream(&self, wanted: &Fetch<'_>) -> Result<Option<Box<dyn Read + Send>>, SourceError> {
        match self.fetch(&Fetch { known: None, ..*wanted })? {
            Fetched::File { bytes, .. } => Ok(Some(Box::new(io::Cursor::new(bytes)))),
            Fetched::Absent => Ok(None),
            Fetched::Unchanged => {
                let why = "it says that nothing changed since nothing".into();
                Err(SourceError::Malformed { at: wanted.name.to_owned(), why })
            }
        }
    }

    /// Where the files are, for a report.
    fn describe(&self) -> String;

    /// Whether two files may be asked for at the same time: for [`crate::Client::asking_ahead`]. Not where one
    /// answer depends on what was asked before it.
    fn concurrent(&self) -> bool {
        false
    }
}

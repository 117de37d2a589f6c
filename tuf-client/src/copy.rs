//! A target file that is checked as it is written (TUF 5.7.3), and never held whole.
//!
//! Length and SHA-256 are compared by the reader of blobs, before it says that they ended; other hashes that the
//! metadata states, here. What a source gives is believed of none: the next one is asked for all of it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use oci_image::{BlobError, Digest, SourceError, VerifyingReader};
use tuf_core::hash::{Check, is_known};
use tuf_core::schema::Target;
use tuf_core::{Reason, Role};

use crate::error::ClientError;
use crate::limits::Budget;
use crate::sources::{Ask, Fault, Sources};
use crate::transport::{Fetch, Transport};

/// As large as what the reader of blobs takes at once.
const PIECE: usize = 64 * 1024;

/// A target, and the name that its file has.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) path: &'a str,
    pub(crate) target: &'a Target,
    pub(crate) name: &'a str,
}

impl Wanted<'_> {
    fn refused(&self, reason: Reason) -> ClientError {
        ClientError::Target { path: self.path.to_owned(), reason }
    }

    fn missing(&self) -> ClientError {
        self.refused(Reason::Missing { file: self.name.to_owned() })
    }

    fn unwritten(&self, error: io::Error) -> ClientError {
        ClientError::Unwritten { path: self.path.to_owned(), error: Arc::new(error) }
    }

    fn sha256(&self) -> Result<Digest, ClientError> {
        let stated = self.target.hashes.get("sha256");
        let digest = stated.and_then(|hex| Digest::from_hex(&hex.to_ascii_lowercase()).ok());
        digest.ok_or_else(|| {
            let got = stated.map_or("none", String::as_str);
            self.refused(Reason::Hash { expected: "a sha256".to_owned(), got: got.to_owned() })
        })
    }

    /// What came instead of the target.
    fn wrong(&self, error: BlobError, at: String) -> ClientError {
        let source = |error| ClientError::source(&Role::Targets, error);
        match error {
            BlobError::Digest { expected, got } => {
                self.refused(Reason::Hash { expected: expected.to_string(), got: got.to_string() })
            }
            BlobError::TooShort { expected, got } => self.refused(Reason::Length { expected, got }),
            BlobError::TooLong { expected } => {
                source(SourceError::TooLarge { at, limit: expected, got: None })
            }
            BlobError::Source(error) => source(error),
            BlobError::Read(error) => source(SourceError::from_read(error, at)),
            BlobError::Write(error) => self.unwritten(error),
            other => source(SourceError::Malformed { at, why: other.to_string() }),
        }
    }
}

/// Copies a target from the first place that has it.
pub(crate) fn of_target<W: Write>(
    places: &[Arc<dyn Transport>],
    wanted: &Wanted<'_>,
    budget: &Budget,
    mut begin: impl FnMut() -> io::Result<W>,
) -> Result<W, ClientError> {
    let sha256 = wanted.sha256()?;
    let absent = |_| wanted.missing();
    let ask = Ask::target(wanted.name, wanted.target.length, &absent);
    let sources = Sources::new(places.to_vec());
    let mut round = sources.round(&ask, budget);
    while let Some(turn) = round.next()? {
        let fetch = Fetch { name: ask.name, limit: ask.limit, known: None, time: turn.time };
        let copied = match turn.source.stream(&fetch) {
            Ok(Some(reader)) => begin().map_err(|error| wanted.unwritten(error)).and_then(|mut writer| {
                copy(wanted, sha256, reader, &turn.source.describe(), &mut writer).map(|()| writer)
            }),
            Ok(None) => {
                round.passed_over(&turn, Fault::Absent)?;
                continue;
            }
            Err(error) => Err(ClientError::source(&Role::Targets, error)),
        };
        match copied {
            Ok(writer) => {
                round.found();
                return Ok(writer);
            }
            Err(error) => round.passed_over(&turn, Fault::Error(error))?,
        }
    }
    round.end()?;
    Err(wanted.missing())
}

fn copy(
    wanted: &Wanted<'_>,
    sha256: Digest,
    reader: impl Read,
    at: &str,
    writer: &mut impl Write,
) -> Result<(), ClientError> {
    let others: BTreeMap<String, String> = wanted.target.hashes.clone();
    let others = others.into_iter().filter(|(name, _)| name != "sha256" && is_known(name)).collect();
    let mut check = Check::of(&others);
    let mut reader = VerifyingReader::new(reader, sha256, wanted.target.length);
    let mut piece = vec![0; PIECE];
    loop {
        let read = reader.read(&mut piece);
        let count = read.map_err(|error| wanted.wrong(error.into(), at.to_owned()))?;
        if count == 0 {
            break;
        }
        let came = piece.get(..count).unwrap_or_default();
        check.update(came);
        writer.write_all(came).map_err(|error| wanted.unwritten(error))?;
    }
    writer.flush().map_err(|error| wanted.unwritten(error))?;
    if others.is_empty() {
        return Ok(());
    }
    check.finish().map_err(|(expected, got)| wanted.refused(Reason::Hash { expected, got }))
}

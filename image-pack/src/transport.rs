//! The metadata in a pack, as a repository that answers by itself.

use oci_image::SourceError;
use tuf_client::{Fetch, Fetched, Transport};

use crate::error::PackError;
use crate::index::metadata_path;
use crate::pack::Pack;

/// Reads metadata from a pack. It decides nothing.
#[derive(Debug)]
pub struct PackTransport {
    pack: Pack,
}

impl PackTransport {
    pub(crate) fn of(pack: Pack) -> Self {
        Self { pack }
    }
}

impl Transport for PackTransport {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        let path = metadata_path(wanted.name);
        let announced = self.pack.index().part(&path).map(|part| part.size);
        if let Some(got) = announced.filter(|size| *size > wanted.limit) {
            let at = format!("{} in {}", wanted.name, self.describe());
            return Err(SourceError::TooLarge { at, limit: wanted.limit, got: Some(got) });
        }
        match self.pack.bytes(&path, wanted.limit) {
            Ok(Some(bytes)) => Ok(Fetched::File { bytes, tag: None }),
            Ok(None) => Ok(Fetched::Absent),
            Err(error) => Err(unreadable(&error, self.describe())),
        }
    }

    fn describe(&self) -> String {
        self.pack.describe().to_owned()
    }
}

/// What a pack that was good a moment ago can do wrong: fail as a file.
pub(crate) fn unreadable(error: &PackError, at: String) -> SourceError {
    SourceError::Unreachable { at, why: error.to_string() }
}

//! The target files of a repository in a registry or a layout: each is the one layer of a manifest, which stands under
//! the tag that the target's name gives (`oci_image::tuf_layout::target_tag`).
//!
//! Reading only, as with metadata: what a registry says of a file is nothing, and the signed hash decides.

use std::io::Read;
use std::time::Instant;

use oci_image::tuf_layout::target_tag;
use oci_image::{Descriptor, SourceError};

use super::super::{Fetch, Fetched, Transport, dir};
use super::{Place, Until, by_name, expect_size, read};

/// Fetches target files from a registry or a layout.
#[derive(Debug)]
pub(in crate::transport) struct OciTargets {
    place: Place,
}

impl OciTargets {
    pub(in crate::transport) fn new(place: Place) -> Self {
        Self { place }
    }

    fn file(&self, name: &str, until: Until) -> Result<Option<Descriptor>, SourceError> {
        let malformed = |why: String| SourceError::Malformed { at: self.describe(), why };
        let layers = match self.place.layers(&target_tag(name), until.expect(&self.place)?) {
            Err(SourceError::NotFound { .. }) => return Ok(None),
            layers => layers?,
        };
        let mut files = by_name(layers).map_err(malformed)?;
        // Writers name the file by itself, or with its folders.
        let own = name.rsplit('/').next().unwrap_or(name);
        Ok(files.remove(own).or_else(|| files.remove(name)))
    }

    /// Where the file is, and until when it may come.
    fn asked(&self, wanted: &Fetch<'_>) -> Result<Option<(Descriptor, Until)>, SourceError> {
        let until = Until { began: Instant::now(), time: wanted.time };
        // Tags are of names as they were before they became addresses.
        let Some(name) = dir::decoded(wanted.name) else { return Ok(None) };
        Ok(self.file(&name, until)?.map(|file| (file, until)))
    }
}

impl Transport for OciTargets {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        let Some((file, until)) = self.asked(wanted)? else { return Ok(Fetched::Absent) };
        let bytes = read(&self.place, &file, wanted.limit, until)?;
        Ok(Fetched::File { bytes, tag: Some(file.digest.to_string()) })
    }

    /// Not hashed against the manifest that names it: who reads on has the signed hash.
    fn stream(&self, wanted: &Fetch<'_>) -> Result<Option<Box<dyn Read + Send>>, SourceError> {
        let Some((file, until)) = self.asked(wanted)? else { return Ok(None) };
        expect_size(&self.place, &file, wanted.limit)?;
        self.place.blob(&file, until.expect(&self.place)?).map(Some)
    }

    fn describe(&self) -> String {
        self.place.describe()
    }

    fn concurrent(&self) -> bool {
        true
    }
}

//! A trust repository in an OCI registry, or in an OCI layout, as docker/attest publishes it: the files of
//! the top-level roles are the layers of one manifest, those of a delegated role of another.
//!
//! Reading only. What a registry says is nothing: a file is hashed against the manifest that names it, and
//! the manifest is worth what the signatures in the files are worth. A tag moved back is a replay, which
//! the versions in the files give away (TUF 5.4.3, 5.5.5, 5.6.4).

mod place;
mod targets;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oci_image::tuf_layout::{Asked, FILE_NAME, tag_of};
use oci_image::{BlobError, Descriptor, SourceError, Tag, VerifyingReader};

use super::{Fetch, Fetched, Transport};
pub(super) use place::Place;
pub(super) use targets::OciTargets;

/// The files that one manifest holds, by their names.
pub(super) type Files = BTreeMap<String, Descriptor>;

/// Fetches metadata from a registry or a layout.
#[derive(Debug)]
pub(super) struct OciTransport {
    place: Place,
    tag: Tag,
    /// Before a delegated role's tag is read a second time.
    pause: Duration,
    view: Mutex<Option<View>>,
}

/// What the top-level tag stood for when this update began.
#[derive(Clone, Debug)]
struct View {
    files: Arc<Files>,
    /// The last root that was asked for.
    root: Option<u64>,
    /// Whether the timestamp has been asked for.
    timestamp: bool,
}

impl View {
    /// Whether who asks this goes on with the update for which the view was read. An update asks for
    /// roots in ascending order, then once for the timestamp, then for what the timestamp states (TUF
    /// 5.3 to 5.6). Whatever is out of that order is the next update, which reads the tag anew.
    fn serves(&self, asked: Asked<'_>) -> bool {
        match asked {
            Asked::Root(version) => !self.timestamp && self.root.is_none_or(|last| version > last),
            Asked::Timestamp => !self.timestamp,
            Asked::Stated | Asked::Delegated(_) => true,
        }
    }

    fn note(&mut self, asked: Asked<'_>) {
        match asked {
            Asked::Root(version) => self.root = Some(version),
            Asked::Timestamp => self.timestamp = true,
            Asked::Stated | Asked::Delegated(_) => {}
        }
    }
}

impl OciTransport {
    /// A transport for what `tag` names there. `pause` is the wait before a delegated role's tag that
    /// doesn't yet hold what the snapshot states is read once more.
    pub(super) fn new(place: Place, tag: Tag, pause: Duration) -> Self {
        Self { place, tag, pause, view: Mutex::default() }
    }

    /// The files of the top-level roles: one view of them for each update, so that a publisher who moves
    /// the tag in its midst can't mix two states. One transport serves one update at a time.
    fn top(&self, asked: Asked<'_>, until: Until) -> Result<Arc<Files>, SourceError> {
        let lock = || self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = match lock().clone().filter(|view| view.serves(asked)) {
            Some(view) => view,
            // Not under the lock: whoever is slow here holds up nobody else.
            None => View {
                files: Arc::new(self.files(self.tag.as_str(), until)?.unwrap_or_default()),
                root: None,
                timestamp: false,
            },
        };
        view.note(asked);
        let files = Arc::clone(&view.files);
        *lock() = Some(view);
        Ok(files)
    }

    /// The file of a delegated role. Its tag moves apart from the top-level one: whoever reads between the
    /// two finds the old file, or none, and the new one a moment later.
    fn delegated(&self, role: &str, name: &str, until: Until) -> Result<Option<Descriptor>, SourceError> {
        let tag = tag_of(role, self.tag.as_str());
        let look = || Ok(self.files(&tag, until)?.and_then(|mut files| files.remove(name)));
        match look()? {
            None if self.pause < until.left() => {
                std::thread::sleep(self.pause);
                look()
            }
            found => Ok(found),
        }
    }

    /// What the manifest under this tag holds; `None` if there is none.
    fn files(&self, tag: &str, until: Until) -> Result<Option<Files>, SourceError> {
        match self.place.layers(tag, until.expect(&self.place)?) {
            Ok(layers) => by_name(layers).map(Some).map_err(|why| self.malformed(why)),
            Err(SourceError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn malformed(&self, why: String) -> SourceError {
        SourceError::Malformed { at: self.describe(), why }
    }
}

impl Transport for OciTransport {
    /// The digest of a file is its entity tag: the file is not fetched by whoever has it.
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        let until = Until { began: Instant::now(), time: wanted.time };
        let asked = Asked::of(wanted.name);
        let file = match asked {
            Asked::Delegated(role) => self.delegated(role, wanted.name, until)?,
            asked => self.top(asked, until)?.get(wanted.name).cloned(),
        };
        let Some(file) = file else { return Ok(Fetched::Absent) };
        let tag = file.digest.to_string();
        if wanted.known == Some(&tag) {
            return Ok(Fetched::Unchanged);
        }
        let bytes = read(&self.place, &file, wanted.limit, until)?;
        Ok(Fetched::File { bytes, tag: Some(tag) })
    }

    fn describe(&self) -> String {
        format!("{}:{}", self.place.describe(), self.tag)
    }
}

/// When one question ends, over all that has to be asked for it.
#[derive(Clone, Copy)]
struct Until {
    began: Instant,
    time: Duration,
}

impl Until {
    fn left(self) -> Duration {
        self.time.saturating_sub(self.began.elapsed())
    }

    /// The time that is left, if there is any.
    fn expect(self, place: &Place) -> Result<Duration, SourceError> {
        let overdue = || SourceError::Overdue { at: place.describe(), limit: self.time, got: 0 };
        Some(self.left()).filter(|left| !left.is_zero()).ok_or_else(overdue)
    }
}

/// A file, hashed against the manifest that names it.
fn read(place: &Place, file: &Descriptor, limit: u64, until: Until) -> Result<Vec<u8>, SourceError> {
    let at = || place.describe();
    expect_size(place, file, limit)?;
    let blob = place.blob(file, until.expect(place)?)?;
    // The size is a stranger's word: memory grows with what comes.
    let mut bytes = Vec::new();
    match VerifyingReader::for_blob(blob, file).read_to_end(&mut bytes).map_err(BlobError::from) {
        Ok(_) => Ok(bytes),
        Err(BlobError::Source(error)) => Err(error),
        Err(BlobError::Read(error)) => Err(SourceError::from_read(error, at())),
        Err(wrong) => Err(SourceError::Malformed { at: at(), why: format!("blob {}: {wrong}", file.digest) }),
    }
}

fn expect_size(place: &Place, file: &Descriptor, limit: u64) -> Result<(), SourceError> {
    if file.size > limit {
        return Err(SourceError::TooLarge { at: place.describe(), limit, got: Some(file.size) });
    }
    Ok(())
}

/// The files that a manifest's layers are. What has no name is none of them; one name for two would leave
/// it to the reader which of them is meant.
fn by_name(layers: Vec<Descriptor>) -> Result<Files, String> {
    let mut files = Files::new();
    for layer in layers {
        let Some(name) = layer.annotations.get(FILE_NAME).cloned() else { continue };
        match files.get(&name) {
            Some(other) if other.digest != layer.digest => {
                return Err(format!("it has two files {name:?}"));
            }
            _ => files.insert(name, layer),
        };
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: Option<&str>, bytes: &[u8]) -> Descriptor {
        let mut layer = Descriptor::of("application/vnd.tuf.metadata+json", bytes);
        layer.annotations.extend(name.map(|name| (FILE_NAME.to_owned(), name.to_owned())));
        layer
    }

    #[test]
    fn a_file_is_found_by_its_annotation_and_no_name_means_two() {
        let layers = vec![layer(Some("a.json"), b"a"), layer(None, b"b"), layer(Some("a.json"), b"a")];
        assert_eq!(by_name(layers).unwrap().keys().collect::<Vec<_>>(), ["a.json"]);
        let layers = vec![layer(Some("a.json"), b"a"), layer(Some("a.json"), b"b")];
        assert_eq!(by_name(layers).unwrap_err(), "it has two files \"a.json\"");
    }

    #[test]
    fn an_update_has_one_view_and_the_next_one_another() {
        use Asked::{Delegated, Root, Stated, Timestamp};
        for (asked, read_anew, story) in [
            (&[Root(2), Root(3), Timestamp, Stated, Stated, Delegated("a")][..], &[][..], "one update"),
            (&[Root(2), Timestamp, Stated, Root(2)], &[3], "the next begins with the root"),
            (&[Root(2), Timestamp, Root(3)], &[2], "or with a later one"),
            (&[Root(2), Root(2)], &[1], "after one that ended early"),
            (&[Timestamp, Stated, Timestamp], &[2], "or with the timestamp"),
            (&[Root(5), Root(4)], &[1], "or with an earlier root"),
        ] {
            let new = || View { files: Arc::default(), root: None, timestamp: false };
            let (mut view, mut anew) = (new(), Vec::new());
            for (number, asked) in asked.iter().enumerate() {
                if !view.serves(*asked) {
                    anew.push(number);
                    view = new();
                }
                view.note(*asked);
            }
            assert_eq!(anew, read_anew, "{story}");
        }
    }
}

//! OCI layouts: images in a folder (image specification, "Image Layout").
//!
//! Reading follows no link out of the folder of blobs and believes nothing: blobs are bytes to be
//! verified. Which image is meant is decided as skopeo decides it.

mod referrers;
mod writer;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::http::read_bounded;
use crate::json;
use crate::manifest::{ImageIndex, MANIFEST_MAX, Manifest};
use crate::media;
use crate::source::{FetchedManifest, ImageSource, Selector, SourceError};

pub use writer::{LayoutError, LayoutWriter, Put};

/// The file that says that a folder is a layout.
const MARKER: &str = "oci-layout";

/// The file that names the images.
const INDEX: &str = "index.json";

/// The only version of the layout there is.
const VERSION: &str = "1.0.0";

/// The largest marker file: it has one member.
const MARKER_MAX: u64 = 4096;

/// An OCI layout to read from.
#[derive(Clone, Debug)]
pub struct LayoutSource {
    dir: PathBuf,
    index: ImageIndex,
}

impl LayoutSource {
    /// Opens a layout and reads its index.
    ///
    /// # Errors
    /// When the folder is not an OCI layout of a known version.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let dir = dir.into();
        expect_version(&dir)?;
        let index = index_of(&dir, &read_file(&dir.join(INDEX), MANIFEST_MAX)?)?;
        Ok(Self { dir, index })
    }

    /// The image that is meant: the one with this name, or this digest, or else the only one.
    ///
    /// # Errors
    /// When there is no such image, or several that it could be.
    pub fn resolve(&self, tag: Option<&str>, digest: Option<Digest>) -> Result<Descriptor, SourceError> {
        let meant = |entry: &&Descriptor| {
            tag.is_none_or(|tag| entry.ref_name() == Some(tag))
                && digest.is_none_or(|digest| entry.digest == digest)
        };
        let mut found = self.index.manifests.iter().filter(meant);
        match (found.next(), digest) {
            (Some(first), _) if found.all(|other| other.digest == first.digest) => Ok(first.clone()),
            (Some(_), _) => Err(SourceError::Ambiguous { at: self.describe(), names: self.tags() }),
            (None, Some(digest)) if tag.is_none() => self.resolve_unlisted(digest),
            (None, _) => Err(self.missing(tag, digest)),
        }
    }

    /// The names of the images, sorted.
    pub fn tags(&self) -> Vec<String> {
        let names = self.index.manifests.iter().filter_map(|entry| entry.ref_name().map(str::to_owned));
        let mut tags: Vec<String> = names.collect();
        tags.sort();
        tags.dedup();
        tags
    }

    /// A manifest that the index doesn't list, such as one image of several platforms.
    fn resolve_unlisted(&self, digest: Digest) -> Result<Descriptor, SourceError> {
        let bytes = self.manifest(Selector::Digest(digest))?.bytes;
        let manifest = Manifest::parse(&bytes, None)
            .map_err(|error| SourceError::Malformed { at: self.describe(), why: error.to_string() })?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Descriptor { digest, size, ..Descriptor::of(manifest.media_type(), &[]) })
    }

    fn missing(&self, tag: Option<&str>, digest: Option<Digest>) -> SourceError {
        let what = match (tag, digest) {
            (Some(tag), Some(digest)) => format!("image {tag} with digest {digest}"),
            (Some(tag), None) => format!("image {tag}"),
            (None, Some(digest)) => format!("manifest {digest}"),
            (None, None) => "images".into(),
        };
        let tags = self.tags().join(", ");
        let message = if tags.is_empty() { tags } else { format!("it has {tags}") };
        SourceError::NotFound { at: self.describe(), what, message }
    }

    fn open_blob(&self, digest: Digest, what: &str) -> Result<File, SourceError> {
        open_blob(&self.dir, digest)?.ok_or_else(|| SourceError::NotFound {
            at: self.describe(),
            what: format!("{what} {digest}"),
            message: String::new(),
        })
    }

    /// What the index says of a manifest's type.
    fn listed_type(&self, digest: Digest) -> Option<String> {
        let entry = self.index.manifests.iter().find(|entry| entry.digest == digest)?;
        Some(entry.media_type.clone())
    }
}

impl ImageSource for LayoutSource {
    fn manifest(&self, which: Selector<'_>) -> Result<FetchedManifest, SourceError> {
        let digest = match which {
            Selector::Digest(digest) => digest,
            Selector::Tag(tag) => self.resolve(Some(tag), None)?.digest,
        };
        let file = self.open_blob(digest, "manifest")?;
        let bytes = read_bounded(file, MANIFEST_MAX, None, &self.describe())?;
        Ok(FetchedManifest { bytes, media_type: self.listed_type(digest) })
    }

    fn blob(&self, want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let file = self.open_blob(want.digest, "blob")?;
        Ok(Box::new(file.take(want.size.saturating_add(1))))
    }

    fn describe(&self) -> String {
        describe(&self.dir)
    }
}

fn describe(dir: &Path) -> String {
    format!("OCI layout {}", dir.display())
}

fn blob_path(dir: &Path, digest: Digest) -> PathBuf {
    dir.join("blobs").join("sha256").join(digest.hex())
}

/// Opens a blob that is a file in the folder of blobs itself; `None` if there is none. A link to
/// anywhere else could name a device, or a file that isn't ours to read.
fn open_blob(dir: &Path, digest: Digest) -> Result<Option<File>, SourceError> {
    let path = blob_path(dir, digest);
    let real = match fs::canonicalize(&path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SourceError::Io { path, error }),
    };
    let home = fs::canonicalize(dir).map_err(SourceError::io(dir))?.join("blobs").join("sha256");
    let metadata = fs::symlink_metadata(&real).map_err(SourceError::io(&real))?;
    if real.parent() != Some(home.as_path()) || !metadata.is_file() {
        let why = format!("blob {digest} is not a file in its folder of blobs");
        return Err(SourceError::Malformed { at: describe(dir), why });
    }
    File::open(&real).map(Some).map_err(SourceError::io(&real))
}

fn expect_version(dir: &Path) -> Result<(), SourceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    let malformed = |why: String| SourceError::Malformed { at: describe(dir), why };
    let bytes = match read_file(&dir.join(MARKER), MARKER_MAX) {
        Err(SourceError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            let what = format!("file {MARKER}");
            return Err(SourceError::NotFound { at: describe(dir), what, message: String::new() });
        }
        read => read?,
    };
    let marker = json::check(&bytes).and_then(|_| serde_json::from_slice::<Marker>(&bytes));
    match marker.map_err(|error| malformed(format!("{MARKER}: {error}")))?.image_layout_version {
        version if version == VERSION => Ok(()),
        version => Err(malformed(format!("expected layout version {VERSION}, got {version:?}"))),
    }
}

fn index_of(dir: &Path, bytes: &[u8]) -> Result<ImageIndex, SourceError> {
    let malformed = |why: String| SourceError::Malformed { at: describe(dir), why };
    match Manifest::parse(bytes, Some(media::OCI_INDEX)) {
        Ok(Manifest::Index(index)) => Ok(index),
        Ok(Manifest::Image(_)) => Err(malformed(format!("{INDEX} is no index"))),
        Err(error) => Err(malformed(format!("{INDEX}: {error}"))),
    }
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, SourceError> {
    let metadata = fs::metadata(path).map_err(SourceError::io(path))?;
    if !metadata.is_file() {
        let why = "it is not a file".into();
        return Err(SourceError::Malformed { at: path.display().to_string(), why });
    }
    let file = File::open(path).map_err(SourceError::io(path))?;
    read_bounded(file, limit, Some(metadata.len()), &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"{\"schemaVersion\":2,\"manifests\":[]}";

    /// A layout whose index lists these names, each for a manifest of its own.
    fn layout(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(dir.path().join(MARKER), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let entries: Vec<_> = names.iter().map(|name| entry(dir.path(), name)).collect();
        let index = serde_json::json!({"schemaVersion": 2, "manifests": entries});
        fs::write(dir.path().join(INDEX), index.to_string()).unwrap();
        dir
    }

    fn entry(dir: &Path, name: &str) -> Descriptor {
        let bytes = [TEXT, name.as_bytes()].concat();
        fs::write(blob_path(dir, Digest::of(&bytes)), &bytes).unwrap();
        let mut entry = Descriptor::of(media::OCI_INDEX, &bytes);
        entry.annotations.insert(crate::REF_NAME.into(), name.into());
        entry
    }

    fn resolved(names: &[&str], tag: Option<&str>) -> Result<Descriptor, String> {
        let dir = layout(names);
        let source = LayoutSource::open(dir.path()).unwrap();
        let place = source.describe();
        source.resolve(tag, None).map_err(|error| error.to_string().replace(&place, "layout"))
    }

    #[test]
    fn the_image_is_the_one_named_or_the_only_one() {
        assert_eq!(resolved(&["1", "2"], Some("2")).unwrap().ref_name(), Some("2"));
        assert_eq!(resolved(&["1"], None).unwrap().ref_name(), Some("1"));
    }

    #[test]
    fn without_a_name_several_images_are_listed() {
        for (names, tag, why) in [
            (&["2", "1"][..], None, "layout has 2 images, name one of: 1, 2"),
            (&["1"], Some("3"), "layout has no image 3: it has 1"),
            (&[], None, "layout has no images"),
        ] {
            assert_eq!(resolved(names, tag).unwrap_err(), why);
        }
    }

    #[test]
    fn what_is_no_layout_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let why = |dir: &Path| LayoutSource::open(dir).unwrap_err().to_string();
        assert!(why(dir.path()).ends_with("has no file oci-layout"));
        fs::write(dir.path().join(MARKER), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
        assert!(why(dir.path()).ends_with("expected layout version 1.0.0, got \"2.0.0\""));
        fs::write(dir.path().join(MARKER), vec![b' '; 5000]).unwrap();
        assert!(why(dir.path()).contains("sent too much"));
    }

    #[cfg(unix)]
    #[test]
    fn no_link_leads_out_of_the_blobs() {
        use std::os::unix::fs::symlink;
        let dir = layout(&["1"]);
        let source = LayoutSource::open(dir.path()).unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, "x").unwrap();
        for target in [secret.as_path(), Path::new("/dev/zero"), Path::new("/")] {
            let want = Descriptor::of("x/y", target.as_os_str().as_encoded_bytes());
            symlink(target, blob_path(dir.path(), want.digest)).unwrap();
            let error = source.blob(&want).err().expect("refused").to_string();
            assert!(error.contains("is not a file in its folder of blobs"), "{error}");
        }
    }

    #[test]
    fn a_missing_blob_is_a_bad_answer() {
        let dir = layout(&["1"]);
        let source = LayoutSource::open(dir.path()).unwrap();
        let error = source.blob(&Descriptor::of("x/y", b"absent")).err().expect("missing");
        assert!(matches!(error, SourceError::NotFound { .. }) && !error.unreachable());
    }
}

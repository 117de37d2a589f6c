//! Writes an OCI image layout (image-spec 1.1, image-layout.md).

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::{Value, json};

use super::{Content, Format, Part};

/// Where a layout's index keeps a manifest's tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Content<'_> {
    pub(super) fn write(&self, dir: &Path, tag: &str) -> io::Result<()> {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for part in self.blobs.iter().chain(&self.children).chain([&self.top]) {
            let digest = part.digest();
            let (_, hex) = digest.split_once(':').unwrap_or_default();
            fs::write(blobs.join(hex), &part.bytes)?;
        }
        fs::write(dir.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let index = with(entries(&dir.join("index.json"))?, self.top, tag);
        fs::write(dir.join("index.json"), serde_json::to_vec(&index)?)
    }
}

/// What the layout's index names already.
fn entries(index: &Path) -> io::Result<Vec<Value>> {
    let bytes = match fs::read(index) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let index: Value = serde_json::from_slice(&bytes)?;
    Ok(index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// The index in which `tag` names `top`, and no longer what it named before.
fn with(mut entries: Vec<Value>, top: &Part, tag: &str) -> Value {
    entries.retain(|entry| entry.pointer(&format!("/annotations/{REF_NAME}")) != Some(&tag.into()));
    let mut descriptor = top.descriptor();
    if let Some(descriptor) = descriptor.as_object_mut() {
        descriptor.insert("annotations".into(), json!({ REF_NAME: tag }));
    }
    entries.push(descriptor);
    json!({ "schemaVersion": 2, "mediaType": Format::Oci.index(), "manifests": entries })
}

//! cosign's tags: `sha256-HEX.sig` and `sha256-HEX.att`, whose manifest has a layer for each signature or attestation
//! of an image. Many may write it: what others put there stays.

use oci_image::{Descriptor, Digest, Registry, SourceError, Tag, media};
use serde_json::{Value, json};

/// The most layers that cosign reads of such a manifest.
const LAYERS_MAX: usize = 1000;

/// The tag of that end.
pub(crate) fn tag(image: Digest, end: &str) -> Result<Tag, SourceError> {
    let text = format!("sha256-{}.{end}", image.hex());
    text.parse::<Tag>().map_err(|why| SourceError::Malformed { at: text, why: why.to_string() })
}

/// Adds a layer, whose blob is there, to what is under the tag, unless one that `is_same` is there already. Returns
/// the manifest that is there then, and whether the layer was there before.
pub(crate) fn push(
    registry: &Registry,
    tag: &Tag,
    layer: &Value,
    is_same: &dyn Fn(&Value) -> bool,
) -> Result<(Descriptor, bool), SourceError> {
    let mut was_there = true;
    let written = registry.amend_manifest(tag, media::OCI_MANIFEST, &mut |there| {
        let Some(manifest) = added(there, layer, is_same).map_err(|why| at(tag, why))? else {
            return Ok(None);
        };
        was_there = false;
        let config = config(&manifest);
        let descriptor = Descriptor::of(media::OCI_CONFIG, &config);
        registry.push_blob(&config)?;
        with_config(manifest, &descriptor).map(Some).map_err(|why| at(tag, why))
    })?;
    Ok((written, was_there))
}

/// The manifest with this layer in it; `None` if the same is there.
fn added(
    there: Option<&[u8]>,
    layer: &Value,
    is_same: &dyn Fn(&Value) -> bool,
) -> Result<Option<Value>, String> {
    let mut manifest = match there {
        Some(bytes) => serde_json::from_slice(bytes).map_err(|why| why.to_string())?,
        None => json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "layers": [] }),
    };
    if let Some(other) = manifest.get("mediaType").filter(|kind| *kind != media::OCI_MANIFEST) {
        return Err(format!("expected an OCI manifest of signatures, got media type {other}"));
    }
    let layers = manifest.get_mut("layers").and_then(Value::as_array_mut);
    let layers = layers.ok_or("expected an OCI manifest of signatures, got one without layers")?;
    if layers.iter().any(is_same) {
        return Ok(None);
    }
    if layers.len() >= LAYERS_MAX {
        return Err(format!("expected at most {LAYERS_MAX} signatures, got one more"));
    }
    layers.push(layer.clone());
    Ok(Some(manifest))
}

/// A config of as many layers as the manifest has, as cosign writes it. Nobody needs it; libraries that take
/// the manifest for an image's do.
fn config(manifest: &Value) -> Vec<u8> {
    const NEVER: &str = "0001-01-01T00:00:00Z";
    let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let digests: Vec<_> = layers.iter().map(|layer| layer.get("digest")).collect();
    let history: Vec<_> = layers.iter().map(|_| json!({ "created": NEVER })).collect();
    let config = json!({
        "architecture": "", "os": "", "created": NEVER, "config": {}, "history": history,
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    config.to_string().into_bytes()
}

fn with_config(mut manifest: Value, config: &Descriptor) -> Result<Vec<u8>, String> {
    let config = serde_json::to_value(config).map_err(|why| why.to_string())?;
    let members = manifest.as_object_mut().ok_or("expected an object")?;
    members.insert("config".into(), config);
    serde_json::to_vec(&manifest).map_err(|why| why.to_string())
}

fn at(tag: &Tag, why: String) -> SourceError {
    SourceError::Malformed { at: format!("tag {tag}"), why }
}

//! An image's configuration: what each layer must be when uncompressed, and the step that made it.

use oci_image::Digest;
use serde::Deserialize;

use crate::error::ScanError;
use crate::limits::LAYERS_MAX;

/// The longest build step that is kept: what a line of a report can show, and more.
const STEP_MAX: usize = 2000;

/// What the configuration says of each layer.
pub(crate) struct Config {
    pub(crate) layers: Vec<Made>,
}

/// One layer, by its configuration.
pub(crate) struct Made {
    pub(crate) diff_id: Digest,
    pub(crate) created_by: Option<String>,
    pub(crate) base: bool,
}

#[derive(Deserialize)]
struct Wire {
    rootfs: RootFs,
    #[serde(default)]
    history: Option<Vec<Step>>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    created_by: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

impl Config {
    /// Reads the configuration of an image with so many layers.
    pub(crate) fn parse(bytes: &[u8], layers: usize) -> Result<Self, ScanError> {
        let wire: Wire =
            serde_json::from_slice(bytes).map_err(|error| ScanError::Config { why: error.to_string() })?;
        let diff_ids = wire.rootfs.diff_ids.unwrap_or_default();
        if layers > LAYERS_MAX {
            let limit = u64::try_from(LAYERS_MAX).unwrap_or(u64::MAX);
            return Err(ScanError::TooMany { what: "layers", limit });
        }
        if diff_ids.len() != layers {
            let why = format!("expected a diff id for each of {layers} layers, got {}", diff_ids.len());
            return Err(ScanError::Config { why });
        }
        let history = wire.history.unwrap_or_default();
        let base = base_steps(&history);
        let steps: Vec<_> = history.iter().enumerate().filter(|(_, step)| !step.empty_layer).collect();
        // A history that tells of another number of layers tells nothing of any.
        let told = steps.len() == layers;
        let layers = diff_ids.into_iter().enumerate().map(|(index, diff_id)| {
            let step = steps.get(index).filter(|_| told);
            Made {
                diff_id,
                created_by: step.and_then(|(_, step)| Some(short(step.created_by.as_deref()?))),
                base: step.is_some_and(|(at, _)| *at < base),
            }
        });
        Ok(Self { layers: layers.collect() })
    }
}

/// How many steps seem to be the base image's: those up to the last `CMD` or `ENTRYPOINT` before a layer, because
/// base images end with one and so do images made on them.
fn base_steps(history: &[Step]) -> usize {
    let last_layer = history.iter().rposition(|step| !step.empty_layer).unwrap_or(0);
    let ends = |step: &Step| {
        let words = step.created_by.as_deref().unwrap_or_default();
        let words = words.strip_prefix("/bin/sh -c #(nop)").unwrap_or(words).trim_start();
        step.empty_layer && (words.starts_with("CMD") || words.starts_with("ENTRYPOINT"))
    };
    history.get(..last_layer).and_then(|before| before.iter().rposition(ends)).unwrap_or(0)
}

fn short(step: &str) -> String {
    step.chars().map(|one| if one.is_control() { ' ' } else { one }).take(STEP_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(history: &str, layers: usize) -> Result<Config, String> {
        let ids = vec![format!("\"{}\"", Digest::of(b"x")); 2].join(",");
        let text = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":[{ids}]}},"history":[{history}]}}"#);
        Config::parse(text.as_bytes(), layers).map_err(|error| error.to_string())
    }

    #[test]
    fn layers_have_their_steps_and_the_base_image_ends_with_its_command() {
        let history = r#"{"created_by":"ADD rootfs"},{"created_by":"CMD [\"bash\"]","empty_layer":true},
            {"created_by":"RUN\tapt"},{"created_by":"CMD app","empty_layer":true}"#;
        let config = parse(history, 2).unwrap();
        let told: Vec<_> = config.layers.iter().map(|made| (made.created_by.as_deref(), made.base)).collect();
        assert_eq!(told, [(Some("ADD rootfs"), true), (Some("RUN apt"), false)]);
    }

    #[test]
    fn a_history_of_other_layers_is_none() {
        let config = parse(r#"{"created_by":"x"}"#, 2).unwrap();
        assert!(config.layers.iter().all(|made| made.created_by.is_none() && !made.base));
    }

    #[test]
    fn every_layer_has_a_diff_id() {
        assert_eq!(
            parse("", 3).err().unwrap(),
            "the image's configuration can't be used: expected a diff id for each of 3 layers, got 2"
        );
        assert!(Config::parse(b"{}", 0).is_err());
    }
}

//! From files and settings to [`Image`] and [`Index`].

use std::io;

use serde_json::{Map, Value, json};

use super::layer::{Layer, Node};
use super::{Format, Image, Index, Part};
use crate::digest::{sha256, sha256_digest};

/// When everything was made: the same bytes at every run.
const CREATED: &str = "2024-01-01T00:00:00Z";

/// Describes an image, layer by layer, lowest first.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    format: Format,
    platform: String,
    finished: Vec<Layer>,
    current: Layer,
    env: Vec<String>,
    cmd: Vec<String>,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// An image for linux/amd64 in OCI's format, with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            format: Format::Oci,
            platform: "linux/amd64".into(),
            finished: Vec::new(),
            current: Layer::default(),
            env: Vec::new(),
            cmd: Vec::new(),
            labels: Map::new(),
            annotations: Map::new(),
        }
    }

    /// Adds a file, mode 0644, with the folders above it.
    #[must_use]
    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.node(path, Node::File { mode: 0o644, content: content.into() })
    }

    /// Adds a program, mode 0755.
    #[must_use]
    pub fn program(self, path: &str, content: &[u8]) -> Self {
        self.node(path, Node::File { mode: 0o755, content: content.into() })
    }

    /// Adds a file of `length` bytes that don't compress: as large a layer as a test needs. The bytes
    /// follow from the path.
    #[must_use]
    pub fn filler(self, path: &str, length: usize) -> Self {
        let content = filler(path, length);
        self.node(path, Node::File { mode: 0o644, content })
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, to: &str) -> Self {
        self.node(path, Node::Link { to: to.into() })
    }

    /// Removes, in this layer, a path of a lower one.
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.file(&format!("{folder}/.wh.{name}"), b"")
    }

    /// Ends this layer; what follows goes into the next.
    #[must_use]
    pub fn layer(mut self) -> Self {
        if !self.current.is_empty() {
            self.finished.push(std::mem::take(&mut self.current));
        }
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// Sets the command.
    #[must_use]
    pub fn cmd(mut self, words: &[&str]) -> Self {
        self.cmd = words.iter().map(ToString::to_string).collect();
        self
    }

    /// Adds a label to the config.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Adds an annotation to the manifest. Docker's format has none: there it is left out.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }

    /// `os/architecture`, or `os/architecture/variant`.
    #[must_use]
    pub fn platform(mut self, platform: &str) -> Self {
        self.platform = platform.into();
        self
    }

    /// With Docker's media types.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.format = Format::Docker;
        self
    }

    /// Makes the image.
    ///
    /// # Errors
    /// A path can't be in an archive.
    pub fn build(self) -> io::Result<Image> {
        let image = self.layer();
        let archives = image.finished.iter().map(Layer::archive).collect::<io::Result<Vec<_>>>()?;
        let config = Part::json(image.format.config(), &image.config(&archives))?;
        let layers = archives
            .iter()
            .map(|tar| Ok(Part::new(image.format.layer(), super::layer::gzip(tar)?)))
            .collect::<io::Result<Vec<_>>>()?;
        let manifest = image.manifest(&config, &layers)?;
        Ok(Image { platform: image.platform, manifest, config, layers })
    }

    fn node(mut self, path: &str, node: Node) -> Self {
        self.current.add(path, node);
        self
    }

    fn config(&self, archives: &[Vec<u8>]) -> Value {
        let mut words = self.platform.splitn(3, '/');
        let mut config = json!({
            "created": CREATED,
            "os": words.next(),
            "architecture": words.next(),
            "config": { "Env": self.env, "Cmd": self.cmd, "Labels": self.labels },
            "rootfs": {
                "type": "layers",
                "diff_ids": archives.iter().map(|tar| sha256_digest(tar)).collect::<Vec<_>>(),
            },
            "history": self.history(),
        });
        if let (Some(variant), Some(config)) = (words.next(), config.as_object_mut()) {
            config.insert("variant".into(), variant.into());
        }
        config
    }

    fn history(&self) -> Vec<Value> {
        let layer = |layer: &Layer| json!({ "created": CREATED, "created_by": layer.to_string() });
        let mut history: Vec<_> = self.finished.iter().map(layer).collect();
        if !self.cmd.is_empty() {
            let step = format!("CMD {:?}", self.cmd);
            history.push(json!({ "created": CREATED, "created_by": step, "empty_layer": true }));
        }
        history
    }

    fn manifest(&self, config: &Part, layers: &[Part]) -> io::Result<Part> {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": self.format.manifest(),
            "config": config.descriptor(),
            "layers": layers.iter().map(Part::descriptor).collect::<Vec<_>>(),
        });
        if let (Format::Oci, false, Some(manifest)) =
            (self.format, self.annotations.is_empty(), manifest.as_object_mut())
        {
            manifest.insert("annotations".into(), self.annotations.clone().into());
        }
        Part::json(self.format.manifest(), &manifest)
    }
}

/// Describes an image for several platforms.
#[derive(Clone, Debug, Default)]
pub struct IndexBuilder {
    format: Format,
    images: Vec<Image>,
}

impl IndexBuilder {
    /// An index in OCI's format, with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an image under its platform.
    #[must_use]
    pub fn image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// With Docker's media type: a manifest list.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.format = Format::Docker;
        self
    }

    /// Makes the index.
    ///
    /// # Errors
    /// The document could not be written to memory.
    pub fn build(self) -> io::Result<Index> {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": self.format.index(),
            "manifests": self.images.iter().map(Image::descriptor).collect::<Vec<_>>(),
        });
        Ok(Index { manifest: Part::json(self.format.index(), &document)?, images: self.images })
    }
}

/// SHA-256 over seed and counter, end to end: nothing in it repeats.
fn filler(seed: &str, length: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|count| sha256(format!("{seed} {count}").as_bytes()));
    blocks.take(length).collect()
}

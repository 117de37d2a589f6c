//! A publisher, a repository and a registry before anything goes wrong, and the levers to change that.
//!
//! The good state: an image for two platforms, two layers each, signed under its tag and its digest; the
//! older signed image that the tag named before; and an image in the same place that nobody signed.
//!
//! Not here: how a client reaches any of it. That is a [`crate::surface`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use chrono::TimeDelta;
use serde_json::value::to_raw_value;
use tuf_core::Instant;
use tuf_core::authoring::AuthorError;
use tuf_core::canonical::JsonError;
use tuf_core::schema::Target;

mod evidence;
mod images;

pub use evidence::{APPROVAL, BUNDLE, Demand, STATEMENT, bundle, statement};
pub(crate) use images::{DRIP, write_endless};
pub use images::{Images, Spoil};

use crate::images::{ImageBuilder, Index, IndexBuilder};
use crate::simulator::Simulator;

/// 2030-01-01T00:00:00Z: when every story begins.
const BEGINNING: i64 = 1_893_456_000;

/// What a server of metadata does with one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// The file, then white space for ever. In a folder: a file far larger than any limit.
    Endless,
    /// One byte now and then.
    Drip,
}

/// Everything that a client can meet.
#[derive(Clone, Debug)]
pub struct World {
    /// The image's name without a tag, such as `registry.example.com/acme/web`.
    pub name: String,
    /// The tag that is asked for.
    pub tag: String,
    /// The trust repository.
    pub repo: Simulator,
    /// What the registry or layout holds.
    pub images: Images,
    /// What the clock shows.
    pub now: Instant,
    /// Metadata files that are served badly.
    pub conduct: BTreeMap<String, Conduct>,
    /// Whether nothing answers where the metadata should be.
    pub unreachable: bool,
    /// Who must have signed the image besides, if anybody.
    pub demand: Option<Demand>,
    current: Index,
    older: Index,
    unsigned: Index,
}

impl World {
    /// The good state, for an image of that name.
    ///
    /// # Errors
    /// Something can't be built or signed.
    pub fn new(name: &str) -> Result<Self, Setback> {
        let now = Instant::from_timestamp(BEGINNING, 0).unwrap_or_default();
        let mut world = Self {
            name: name.into(),
            tag: "1.4".into(),
            repo: Simulator::new(now)?,
            images: Images::default(),
            now,
            conduct: BTreeMap::new(),
            unreachable: false,
            demand: None,
            current: image("web, the second build")?,
            older: image("web, the first build")?,
            unsigned: image("something else")?,
        };
        for index in [&world.older, &world.current, &world.unsigned] {
            world.images.store(index);
        }
        for digest in [world.older(), world.index()] {
            world.images.tags.insert(world.tag.clone(), digest.clone());
            world.announce("1.4", &digest)?;
            world.repo.publish()?;
        }
        Ok(world)
    }

    /// Lists an image in the top-level targets, under a tag and under its digest. Nothing is published yet.
    ///
    /// # Errors
    /// There is no such image.
    pub fn announce(&mut self, tag: &str, digest: &str) -> Result<(), Setback> {
        self.announce_as("targets", tag, digest)
    }

    /// Lists an image in a targets role. Nothing is published yet.
    ///
    /// # Errors
    /// There is no such image.
    pub fn announce_as(&mut self, role: &str, tag: &str, digest: &str) -> Result<(), Setback> {
        let target = self.target(digest)?;
        let paths = [format!("{}:{tag}", self.name), format!("{}@{digest}", self.name)];
        for path in paths {
            self.repo.role_mut(role).set_target(&path, &target)?;
        }
        Ok(())
    }

    /// An update as any publisher makes them: another tag of the image is signed and published.
    ///
    /// # Errors
    /// Something can't be signed.
    pub fn publish_another(&mut self) -> Result<(), Setback> {
        let next = format!("1.{}", self.repo.role_mut("targets").version());
        self.announce(&next, &self.older())?;
        Ok(self.repo.publish()?)
    }

    /// A new root as any publisher makes them: the same keys, signed anew.
    ///
    /// # Errors
    /// Something can't be signed.
    pub fn publish_root(&mut self) -> Result<(), Setback> {
        let later = self.repo.role_mut("root").expires().unwrap_or(self.now);
        let later = later.checked_add_signed(TimeDelta::seconds(1)).unwrap_or(later);
        self.repo.role_mut("root").set_expires(later);
        Ok(self.repo.publish()?)
    }

    /// One role is signed again, a moment later, and nothing else in it is new.
    ///
    /// # Errors
    /// Something can't be signed.
    pub fn republish(&mut self, role: &str) -> Result<(), Setback> {
        let later = self.now.checked_add_signed(TimeDelta::seconds(1)).unwrap_or(self.now);
        self.repo.renew_role(role, later);
        Ok(self.repo.publish()?)
    }

    /// The top-level targets list no image any more. Nothing is published yet.
    pub fn withdraw(&mut self) {
        self.repo.role_mut("targets").signed_mut().insert("targets".into(), serde_json::json!({}));
    }

    /// A path pattern for the image and its siblings, such as `registry.example.com/acme/*`.
    #[must_use]
    pub fn sibling_names(&self) -> String {
        let folder = self.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/*")
    }

    /// The target path of the tag: what a client asks for.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }

    /// Lets days pass.
    pub fn wait(&mut self, days: i64) {
        self.now = self.now.checked_add_signed(TimeDelta::days(days)).unwrap_or(self.now);
    }

    /// Takes back whatever was done since `good`, as an operator does who finds out: the same documents
    /// again. Where time or versions went on (`moved_on`) they are published anew, above what was seen.
    ///
    /// # Errors
    /// Something can't be signed.
    pub fn recover(&mut self, good: &Self, moved_on: bool) -> Result<(), Setback> {
        let struck = std::mem::replace(self, good.clone());
        if moved_on || struck.now != self.now {
            self.now = struck.now;
            self.repo.outrun(&struck.repo);
            self.repo.renew(self.now);
            self.repo.publish()?;
        }
        Ok(())
    }

    /// The digest of the index that the tag stands for.
    #[must_use]
    pub fn index(&self) -> String {
        self.current.digest()
    }

    /// The digest of its manifest for linux/amd64.
    #[must_use]
    pub fn child(&self) -> String {
        self.current.images.first().map(|image| image.digest()).unwrap_or_default()
    }

    /// The digest of its manifest for linux/arm64.
    #[must_use]
    pub fn sibling(&self) -> String {
        self.current.images.last().map(|image| image.digest()).unwrap_or_default()
    }

    /// The digest of the config for linux/amd64.
    #[must_use]
    pub fn config(&self) -> String {
        self.current.images.first().map(|image| image.config.digest()).unwrap_or_default()
    }

    /// The digest of the upper layer for linux/amd64.
    #[must_use]
    pub fn layer(&self) -> String {
        let layers = self.current.images.first().map(|image| &image.layers);
        layers.and_then(|layers| layers.last()).map(|layer| layer.digest()).unwrap_or_default()
    }

    /// The digest of the signed index that the tag stood for before.
    #[must_use]
    pub fn older(&self) -> String {
        self.older.digest()
    }

    /// The digest of an index that nobody signed.
    #[must_use]
    pub fn unsigned(&self) -> String {
        self.unsigned.digest()
    }

    fn target(&self, digest: &str) -> Result<Target, Setback> {
        let part = self.images.part(digest)?;
        let custom = serde_json::json!({ "hallmark": { "version": 1, "media_type": part.media_type } });
        Ok(Target { custom: Some(to_raw_value(&custom)?), ..Target::of(&part.bytes) })
    }
}

/// A small image for two platforms, two layers each.
fn image(name: &str) -> io::Result<Index> {
    let build = |platform: &str| {
        ImageBuilder::new()
            .platform(platform)
            .file("etc/os-release", b"ID=example\n")
            .layer()
            .file("srv/name", format!("{name} for {platform}").as_bytes())
            .cmd(&["/bin/web"])
            .build()
    };
    IndexBuilder::new().image(build("linux/amd64")?).image(build("linux/arm64")?).build()
}

/// A scene could not be set: a fault of the test, not of what is tested.
#[derive(Debug)]
#[non_exhaustive]
pub enum Setback {
    /// A document can't be signed.
    Author(AuthorError),
    /// A document is not what it should be.
    Document(JsonError),
    /// JSON can't be written.
    Json(serde_json::Error),
    /// A file, a port or a thread was not to be had.
    Io(io::Error),
    /// There is nothing of that name.
    Absent(String),
}

impl fmt::Display for Setback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Author(why) => write!(f, "could not sign: {why}"),
            Self::Document(why) => write!(f, "could not edit a document: {why}"),
            Self::Json(why) => write!(f, "could not write JSON: {why}"),
            Self::Io(why) => write!(f, "could not set the scene: {why}"),
            Self::Absent(what) => write!(f, "the scene has no {what}"),
        }
    }
}

impl std::error::Error for Setback {}

impl From<AuthorError> for Setback {
    fn from(why: AuthorError) -> Self {
        Self::Author(why)
    }
}

impl From<JsonError> for Setback {
    fn from(why: JsonError) -> Self {
        Self::Document(why)
    }
}

impl From<serde_json::Error> for Setback {
    fn from(why: serde_json::Error) -> Self {
        Self::Json(why)
    }
}

impl From<io::Error> for Setback {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

//! What was found in an image: one component, and everything a report says of where it is.

use serde::{Deserialize, Serialize};

/// How a component is packaged: the type of its package URL.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A package of Debian's format.
    Deb,
    /// A package of Alpine's format.
    Apk,
    /// A package of RPM's format.
    Rpm,
    /// A Python distribution.
    Pypi,
    /// A Node.js package.
    Npm,
    /// A Rust crate in a program.
    Cargo,
    /// A Go module in a program, or Go's standard library.
    Golang,
    /// A Java artifact.
    Maven,
    /// A Ruby gem.
    Gem,
    /// A PHP package.
    Composer,
}

impl Kind {
    /// The type in a package URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Pypi => "pypi",
            Self::Npm => "npm",
            Self::Cargo => "cargo",
            Self::Golang => "golang",
            Self::Maven => "maven",
            Self::Gem => "gem",
            Self::Composer => "composer",
        }
    }

    /// Whether it comes from the distribution's package manager.
    #[must_use]
    pub fn is_distribution(self) -> bool {
        matches!(self, Self::Deb | Self::Apk | Self::Rpm)
    }
}

/// What a binary package was built from.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    /// The name of the source package.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One component of an image.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Component {
    /// How it is packaged.
    pub kind: Kind,
    /// Its name, as its ecosystem writes it.
    pub name: String,
    /// Its version, as its ecosystem writes it.
    pub version: String,
    /// What it was built from, for packages of a distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What it was built for, as its ecosystem writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The module and stream that an rpm package belongs to, `name:stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Its package URL.
    pub purl: String,
    /// The layer that brought it: an index into the image's layers, the lowest 0.
    pub layer: usize,
    /// The file that says so, from the root of the image.
    pub path: String,
    /// The package of the distribution that brought the file. Such a component is the distribution's to mend, and
    /// its version says nothing about what was mended: it is matched as that package, not by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// That no record of a package manager names it, and what it was told by: its name and version are likely ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guess: Option<Guess>,
    /// Who packaged it, where it is a package of the distribution's format and not the distribution's: what that mended
    /// says nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
}

/// How a component was named that has no record of its own.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Guess {
    /// What its version was told by: `file-name` or `manifest`.
    pub from: String,
    /// The names under which it is looked up, the likeliest first: those that name nothing find nothing.
    pub names: Vec<String>,
}

/// A component as a file names it, before it is known where that file ends up.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) source: Option<Source>,
    pub(crate) architecture: Option<String>,
    pub(crate) module: Option<String>,
    /// Where within the file: an archive in an archive.
    pub(crate) inside: Option<String>,
    pub(crate) guess: Option<Guess>,
    /// Who packaged it, as the package says.
    pub(crate) vendor: Option<String>,
}

/// Whether a text is there, and of a length that can be shown, in a line.
pub(crate) fn fits(text: &str) -> bool {
    !text.is_empty() && text.len() <= crate::limits::NAME_MAX && !text.chars().any(char::is_control)
}

impl Source {
    /// A source package that can be looked up.
    pub(crate) fn new(name: &str, version: &str) -> Option<Self> {
        (fits(name) && fits(version)).then(|| Self { name: name.to_owned(), version: version.to_owned() })
    }
}

impl Found {
    /// A component that has a name and a version, in text that can be shown; otherwise it can't be looked up.
    pub(crate) fn new(kind: Kind, name: &str, version: &str) -> Option<Self> {
        (fits(name) && fits(version)).then(|| Self {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            source: None,
            architecture: None,
            module: None,
            inside: None,
            guess: None,
            vendor: None,
        })
    }

    /// Roughly what it takes in memory.
    pub(crate) fn size(&self) -> usize {
        let some = [&self.architecture, &self.module, &self.inside, &self.vendor].into_iter().flatten();
        let source = self.source.iter().flat_map(|source| [&source.name, &source.version]);
        let guess = self.guess.iter().flat_map(|guess| guess.names.iter().chain([&guess.from]));
        // A text is kept with where it is.
        let texts = some.chain(source).chain(guess).chain([&self.name, &self.version]);
        texts.fold(size_of::<Self>(), |sum, text| {
            sum.saturating_add(text.len()).saturating_add(size_of::<String>())
        })
    }
}

//! Which artifact an archive is that has no record by Maven: by its file name, its manifest and its packages.
//!
//! The artifact and its version are written there; the group is not, so the names that it may have are all kept. A name
//! that no artifact has finds no advisory, so a wrong one among them does little harm; a missing one hides something,
//! and that is why these components are marked.

use std::collections::BTreeSet;

use crate::component::{Found, Guess, Kind};

/// The most names that one archive may have.
const NAMES_MAX: usize = 32;

/// How many packages are kept in mind.
const PACKAGES_MAX: usize = 64;

/// The deepest package that is a group.
const GROUP_PARTS: usize = 5;

/// The longest line of a manifest that counts, with what goes on of it.
const VALUE_MAX: usize = 1024;

/// What an archive shows of itself.
pub(super) struct Naming {
    /// The file name without its end.
    stem: String,
    manifest: Manifest,
    packages: BTreeSet<String>,
    has_classes: bool,
}

#[derive(Default)]
struct Manifest {
    title: Option<String>,
    version: Option<String>,
    vendor: Option<String>,
    bundle: Option<String>,
    bundle_version: Option<String>,
}

impl Naming {
    pub(super) fn of(file: &str) -> Self {
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        Self {
            stem: stem.to_owned(),
            manifest: Manifest::default(),
            packages: BTreeSet::new(),
            has_classes: false,
        }
    }

    /// A file of the archive.
    pub(super) fn see(&mut self, name: &str) {
        if !name.ends_with(".class") || name.starts_with("META-INF/") {
            return;
        }
        self.has_classes = true;
        let Some((package, _)) = name.rsplit_once('/') else { return };
        let parts: Vec<&str> = package.split('/').take(GROUP_PARTS).collect();
        if parts.len() >= 2 && parts.iter().all(|part| is_word(part)) && self.packages.len() < PACKAGES_MAX {
            self.packages.insert(parts.join("."));
        }
    }

    /// The main section of the manifest (JAR File Specification, "JAR Manifest").
    pub(super) fn manifest(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix(' '), lines.last_mut()) {
                (Some(more), Some(last)) if last.len() < VALUE_MAX => last.push_str(more),
                (Some(_), _) => {}
                (None, _) if line.is_empty() => break,
                (None, _) => lines.push(line.to_owned()),
            }
        }
        for (key, value) in lines.iter().filter_map(|line| line.split_once(':')) {
            let field = match key.to_ascii_lowercase().as_str() {
                "implementation-title" => &mut self.manifest.title,
                "implementation-version" => &mut self.manifest.version,
                "implementation-vendor-id" => &mut self.manifest.vendor,
                "bundle-symbolicname" => &mut self.manifest.bundle,
                "bundle-version" => &mut self.manifest.bundle_version,
                _ => continue,
            };
            // Directives follow a name.
            let value = value.split(';').next().unwrap_or_default().trim();
            *field = (!value.is_empty()).then(|| value.to_owned());
        }
    }

    /// The artifact, where it has a name and a version, and something that runs.
    pub(super) fn found(&self) -> Option<Found> {
        let is_beside = ["-sources", "-javadoc"].iter().any(|end| self.stem.ends_with(end));
        let says_something = self.has_classes || self.manifest.bundle.is_some();
        if is_beside || !says_something {
            return None;
        }
        let manifest = &self.manifest;
        let stated = [&manifest.version, &manifest.bundle_version];
        let mut stated = stated.into_iter().flatten().map(String::as_str).filter(|one| is_version(one));
        let (artifact, version, from) = match split(&self.stem) {
            Some((artifact, version)) => {
                // What it was built for may follow; the manifest knows the version without it.
                let is_built_for = ["-linux", "-osx", "-windows"].iter().any(|os| version.contains(os));
                let is_plain =
                    |one: &&str| version.strip_prefix(*one).is_some_and(|rest| rest.starts_with('-'));
                let version = stated.find(is_plain).filter(|_| is_built_for).unwrap_or(version);
                (artifact, version, "file-name")
            }
            None => (self.artifact()?, stated.next()?, "manifest"),
        };
        let names = self.names(artifact);
        // Only a manifest says of which group it is; packages are like it.
        let says_group = self.groups_said(artifact).next().is_some();
        let name = names.first().filter(|_| says_group).map_or(artifact, String::as_str);
        let mut found = Found::new(Kind::Maven, name, version)?;
        found.guess = Some(Guess { from: from.to_owned(), names });
        Some(found)
    }

    /// The artifact, where the file name has no version.
    fn artifact(&self) -> Option<&str> {
        let title = self.manifest.title.as_deref().filter(|title| is_artifact(title));
        let bundle = self.manifest.bundle.as_deref().and_then(|bundle| bundle.rsplit('.').next());
        title.or(bundle).or(Some(self.stem.as_str())).filter(|name| is_artifact(name))
    }

    /// The groups that the manifest names.
    fn groups_said(&self, artifact: &str) -> impl Iterator<Item = String> {
        let bundle = self.manifest.bundle.as_deref().map(|bundle| groups_of_bundle(bundle, artifact));
        let is_group = |group: &String| group.split('.').all(is_word) && group.len() <= VALUE_MAX;
        self.manifest.vendor.clone().into_iter().chain(bundle.into_iter().flatten()).filter(is_group)
    }

    /// The names that it may have, `group:artifact`, the likeliest first.
    fn names(&self, artifact: &str) -> Vec<String> {
        let said: Vec<String> = self.groups_said(artifact).collect();
        let mut groups: Vec<String> = Vec::new();
        let mut add = |group: &str| {
            let is_group = group.split('.').all(is_word) && group.len() <= VALUE_MAX;
            if is_group && groups.len() < NAMES_MAX && !groups.iter().any(|one| one == group) {
                groups.push(group.to_owned());
            }
        };
        said.iter().for_each(|group| add(group));
        // Old artifacts are their own group: `commons-io`, `log4j`.
        add(artifact);
        add(artifact.split('-').next().unwrap_or(artifact));
        for package in &self.packages {
            let parts: Vec<&str> = package.split('.').collect();
            for count in (2..=parts.len()).rev() {
                add(&parts.get(..count).unwrap_or_default().join("."));
            }
            // `org.apache` and `tomcat-embed-core` are of `org.apache.tomcat.embed`.
            let top = parts.get(..2).unwrap_or_default().join(".");
            let words: Vec<&str> = artifact.split('-').collect();
            for count in 1..=words.len().min(2) {
                add(&format!("{top}.{}", words.get(..count).unwrap_or_default().join(".")));
            }
        }
        groups.into_iter().map(|group| format!("{group}:{artifact}")).collect()
    }
}

/// The groups for which the OSGi plug-in of Maven writes that name for the artifact: the group and the artifact; or,
/// where the artifact begins with the group's last word, without that word.
fn groups_of_bundle(bundle: &str, artifact: &str) -> Vec<String> {
    let mut groups = Vec::new();
    if let Some(group) = bundle.strip_suffix(artifact).and_then(|group| group.strip_suffix('.')) {
        groups.push(group.to_owned());
    }
    let parts: Vec<&str> = bundle.split('.').collect();
    for count in (2..=parts.len()).rev() {
        let (group, rest) = parts.split_at_checked(count).unwrap_or_default();
        let word = group.last().copied().unwrap_or_default();
        let after = artifact.strip_prefix(word).map(|after| after.trim_start_matches(['-', '.']));
        if after == Some(rest.join(".").as_str()) || after == Some(rest.join("-").as_str()) {
            groups.push(group.join("."));
        }
    }
    groups
}

/// `artifact-1.2.3` in its two parts: the version begins with the last digit after a dash, from which on it has a dot.
fn split(stem: &str) -> Option<(&str, &str)> {
    let starts = stem.match_indices('-').map(|(at, _)| at);
    let mut starts = starts.filter_map(|at| {
        let (artifact, version) = stem.split_at_checked(at)?;
        let version = version.strip_prefix('-')?;
        (is_artifact(artifact) && is_version(version) && version.contains('.')).then_some((artifact, version))
    });
    starts.next_back()
}

fn is_version(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    text.starts_with(|one: char| one.is_ascii_digit()) && text.len() <= 64 && text.bytes().all(good)
}

fn is_artifact(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    text.starts_with(|one: char| one.is_ascii_alphabetic()) && text.len() <= 128 && text.bytes().all(good)
}

/// A part of a package's or group's name.
fn is_word(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(good)
}

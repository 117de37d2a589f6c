//! Whether all of the published state is there: looked at file by file, before anybody asks whether it is
//! signed, so that what is missing has a name. Then whether it verifies.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use publish_store::{Store, StoreError};
use serde_json::Value;
use tuf_core::authoring::Document;
use tuf_core::schema::{MetaFile, SuccinctRoles};
use tuf_core::{hash, limits, metadata_file_name};

use super::{Findings, Subject};
use crate::failure::Failure;
use crate::files;
use crate::published::Published;
use crate::reports::doctor::{Area, Severity};
use crate::staged::Staged;

/// How far beyond the newest root later ones are looked for.
const ROOTS_BEYOND: u64 = 16;
/// Names of the folder of metadata that are looked at.
const NAMES: usize = 4_000_000;
/// A document whose signatures nobody has checked yet must not ask for more bins than anybody makes.
const BIN_BITS: u32 = 20;
/// What a crash leaves of a file that was being written.
const UNFINISHED: &str = ".signer-unfinished-";

const RESTORE: &str = "restore it from a copy, or from a mirror: a file of that version never changes";

/// The newest version of each file, by the name without it: `snapshot.json`.
type Newest = BTreeMap<String, u64>;

pub(super) fn look(
    subject: &Subject<'_>,
    published: Result<&Published<'_>, &Failure>,
    findings: &mut Findings,
) {
    let mut newest = Newest::new();
    roots(subject, &mut newest, findings);
    let count = state(subject, &mut newest, findings);
    // What is missing or changed was told with its name; what is left is who signed it.
    let told = |findings: &Findings| {
        findings.all.iter().any(|one| one.area == Area::Published && one.severity == Severity::Problem)
    };
    let failure = match published {
        Ok(published) => published.delegated(true).err().map(|failure| failure.line()),
        Err(failure) => Some(failure.line()),
    };
    if let Some(line) = failure.filter(|_| !told(findings)) {
        let hint = "restore what is published from a copy, or from where it is served";
        findings.problem(Area::Published, line, subject.store.describe(), hint);
    }
    if count.is_some() {
        leftovers(subject, &newest, findings);
    }
    own_leftovers(subject, published.ok(), findings);
    findings.close(Area::Published, format!("all {} files are there, and the roots", count.unwrap_or(0)));
}

fn document(bytes: &[u8]) -> Option<Document> {
    Document::parse_listed(bytes).ok()
}

/// A file of the place; what goes wrong is told.
fn read(store: &dyn Store, name: &str, limit: u64, findings: &mut Findings) -> Option<Vec<u8>> {
    let (what, hint) = match store.metadata(name, limit) {
        Ok(Some(bytes)) => return Some(bytes),
        Ok(None) if name == "timestamp.json" => (
            "a file is missing".to_owned(),
            "restore the newest one that was served: clients refuse an older one; if there is none, the copy in \
             the repository's own folder is the last that was signed here",
        ),
        Ok(None) => ("a file is missing".to_owned(), RESTORE),
        Err(error @ (StoreError::Denied { .. } | StoreError::Unreachable { .. })) => {
            (error.to_string(), "see that the place is there, and who may read it")
        }
        Err(error) => (error.to_string(), RESTORE),
    };
    findings.problem(Area::Published, what, format!("{name} in {}", store.describe()), hint);
    None
}

/// Our first root must be there, and after it each, without a gap.
fn roots(subject: &Subject<'_>, newest: &mut Newest, findings: &mut Findings) {
    let store = subject.store.as_ref();
    let own = subject.repository.root();
    let first = files::read(&own, limits::ROOT_BYTES)
        .ok()
        .and_then(|bytes| Some((document(&bytes)?.version(), bytes)));
    let Some((first, bytes)) = first else {
        let hint = "root.json is the root that this repository began with: restore it";
        findings.problem(Area::Published, "the first root can't be read", own.display().to_string(), hint);
        return;
    };
    let name = |version: u64| metadata_file_name("root", Some(version));
    let there = |version: u64| store.has_metadata(&name(version)).unwrap_or(false);
    if let Some(served) = read(store, &name(first), limits::ROOT_BYTES, findings)
        && served != bytes
    {
        findings.problem(
            Area::Published,
            "the first root that is served is another than the one here: users may have been given either",
            format!("{} in {}", name(first), store.describe()),
            "put the one from root.json back, if that is what users were given",
        );
    }
    let steps = u64::from(limits::ROOT_STEPS);
    let last =
        (1..=steps).map(|step| first.saturating_add(step)).take_while(|version| there(*version)).last();
    let last = last.unwrap_or(first);
    let beyond = (2..=ROOTS_BEYOND).map(|step| last.saturating_add(step)).find(|version| there(*version));
    if let Some(beyond) = beyond {
        findings.problem(
            Area::Published,
            format!("the roots have a gap: {} is there, and clients stop at {last}", name(beyond)),
            format!("{} in {}", name(last.saturating_add(1)), store.describe()),
            RESTORE,
        );
    }
    newest.insert("root.json".to_owned(), beyond.unwrap_or(last));
}

/// From the timestamp to every file that the snapshot lists. `None` where that could not be followed.
fn state(subject: &Subject<'_>, newest: &mut Newest, findings: &mut Findings) -> Option<usize> {
    let store = subject.store.as_ref();
    let timestamp = read(store, "timestamp.json", publish_store::HEAD_MAX, findings)?;
    let timestamp = parsed(&timestamp, "timestamp.json", store, findings)?;
    newest.insert("timestamp.json".to_owned(), timestamp.version());
    let listed = serde_json::from_str(timestamp.listed("meta").get("snapshot.json")?).ok()?;
    let snapshot = file(store, "snapshot.json", listed, limits::SNAPSHOT_BYTES, newest, findings)?;
    let snapshot = parsed(&snapshot, "snapshot.json", store, findings)?;
    let listed: BTreeMap<String, Value> = snapshot
        .listed("meta")
        .into_iter()
        .map(|(name, text)| (name.into_owned(), serde_json::from_str(&text).unwrap_or_default()))
        .collect();
    // What is delegated to nobody any more is listed on (5.5.5), and no client asks for it.
    for (name, meta) in listed.iter().filter(|(name, _)| **name != "root.json") {
        let role = name.strip_suffix(".json").unwrap_or(name);
        let version = meta.get("version").and_then(Value::as_u64).unwrap_or(0);
        newest.insert(metadata_file_name(role, None), version);
    }
    let (mut seen, mut waiting) = (BTreeSet::new(), vec!["targets".to_owned()]);
    while let Some(role) = waiting.pop() {
        let name = format!("{role}.json");
        let Some(meta) = listed.get(name.as_str()).filter(|_| seen.insert(role)) else { continue };
        // One that is wrong doesn't hide the next.
        let bytes = file(store, &name, meta.clone(), limits::TARGETS_BYTES, newest, findings);
        waiting.extend(bytes.and_then(|bytes| document(&bytes)).iter().flat_map(delegated_to));
    }
    Some(seen.len().saturating_add(2))
}

/// The roles that a document delegates to, bins too.
fn delegated_to(document: &Document) -> Vec<String> {
    let delegations = document.signed().get("delegations");
    let roles = delegations.and_then(|all| all.get("roles")).and_then(Value::as_array);
    let named = roles.into_iter().flatten().filter_map(|role| Some(role.get("name")?.as_str()?.to_owned()));
    let bins = delegations.and_then(|all| all.get("succinct_roles"));
    let bins = bins.and_then(|bins| serde_json::from_value::<SuccinctRoles>(bins.clone()).ok());
    let bins = bins.filter(|bins| bins.bit_length <= BIN_BITS);
    let bins = bins.map(|bins| tuf_core::authoring::bin_names(&bins.name_prefix, bins.bit_length));
    named.chain(bins.into_iter().flatten()).collect()
}

fn parsed(bytes: &[u8], name: &str, store: &dyn Store, findings: &mut Findings) -> Option<Document> {
    let document = document(bytes);
    if document.is_none() {
        let at = format!("{name} in {}", store.describe());
        findings.problem(Area::Published, "a file is damaged: it is no metadata", at, RESTORE);
    }
    document
}

/// A file as another one lists it.
fn file(
    store: &dyn Store,
    listed_as: &str,
    listed: Value,
    limit: u64,
    newest: &mut Newest,
    findings: &mut Findings,
) -> Option<Vec<u8>> {
    // A snapshot may list files that are no role's (TAP 8): nobody fetches them.
    let role = listed_as.strip_suffix(".json")?;
    let meta: MetaFile = serde_json::from_value(listed).ok()?;
    newest.insert(metadata_file_name(role, None), meta.version);
    let name = metadata_file_name(role, Some(meta.version));
    let bytes = read(store, &name, limit, findings)?;
    let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let wrong = match (&meta.length, &meta.hashes) {
        (Some(length), _) if *length != got => Some(format!("expected {length} bytes, got {got}")),
        (_, Some(hashes)) => {
            hash::check(hashes, &bytes).err().map(|(expected, got)| format!("expected {expected}, got {got}"))
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        let at = format!("{name} in {}", store.describe());
        findings.problem(Area::Published, format!("a file is damaged: {wrong}"), at, RESTORE);
    }
    Some(bytes)
}

/// Files that belong to nothing, and to a state that nobody is led to.
fn leftovers(subject: &Subject<'_>, newest: &Newest, findings: &mut Findings) {
    let (names, place) = match subject.folder().map(|dir| dir.join("metadata")) {
        Some(dir) => {
            let entries = fs::read_dir(&dir).into_iter().flatten().take(NAMES);
            let names =
                entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
            (names.collect::<Vec<String>>(), format!("{}/", dir.display()))
        }
        None => {
            // Who may not list was told so where private keys are looked for.
            let Ok(Some(listing)) = subject.store.listing(NAMES) else { return };
            let names = listing.names.iter().filter_map(|name| name.strip_prefix("metadata/"));
            (names.map(str::to_owned).collect(), String::new())
        }
    };
    let mut names = names;
    names.sort();
    for name in names.iter().filter(|name| !name.starts_with(UNFINISHED)) {
        let at = match place.as_str() {
            "" => format!("metadata/{name} in {}", subject.store.describe()),
            folder => format!("{folder}{name}"),
        };
        if newest.contains_key(name) {
            continue;
        }
        let version =
            name.split_once('.').and_then(|(version, role)| Some((version.parse::<u64>().ok()?, role)));
        match version.and_then(|(version, role)| Some((version, newest.get(role)?))) {
            // What clients with older metadata still follow.
            Some((version, newest)) if version <= *newest => {}
            Some((_, newest)) => findings.warning(
                Area::Published,
                format!("an interrupted publish left this: clients are led to version {newest}"),
                at,
                "it harms nobody: the next publish takes a later version. It may be removed",
            ),
            None => findings.warning(
                Area::Published,
                "nothing lists this file",
                at,
                "it harms nobody; remove it if you know what it is",
            ),
        }
    }
}

/// The same in the repository's own folder.
fn own_leftovers(subject: &Subject<'_>, published: Option<&Published<'_>>, findings: &mut Findings) {
    let repository = subject.repository;
    let parent = repository.dir().parent().map(std::path::Path::to_owned);
    for (dir, prefix) in [
        (Some(repository.dir().to_owned()), UNFINISHED),
        (Some(repository.staged()), UNFINISHED),
        (Some(repository.keys()), UNFINISHED),
        (parent, ".signer-init-"),
    ] {
        for entry in dir.and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
                let at = entry.path().display().to_string();
                let hint = "remove it, when no signer is at work";
                findings.warning(Area::Published, "an interrupted run left this", at, hint);
            }
        }
    }
    let at = repository.staged().display().to_string();
    let staged = match Staged::read(repository) {
        Ok(staged) => staged,
        Err(failure) => {
            findings.problem(
                Area::Published,
                failure.line(),
                at,
                "remove the file, and add again what should be published",
            );
            return;
        }
    };
    let Some(published) = published.filter(|_| !staged.changes.is_empty() && staged.edits.is_empty()) else {
        return;
    };
    if staged
        .changes
        .iter()
        .all(|(path, change)| published.target(path).is_ok_and(|target| change.is_done(target.as_ref())))
    {
        findings.warning(
            Area::Published,
            "what is staged is published already: a publish was interrupted after its last write",
            at,
            "`signer reset` forgets it; so does the next publish",
        );
    }
}

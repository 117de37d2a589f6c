//! `verify db build --from URL`: a copy of a bucket laid out as OSV's is, fetched into a folder that is removed after.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use oci_image::{HttpAnswer, HttpFetcher, HttpOptions, SourceError};
use tempfile::TempDir;
use url::Url;

use crate::args::AccessArgs;
use crate::failure::Failure;
use crate::style::{say, shown};

/// The file that names the ecosystems, a line each.
const NAMES: &str = "ecosystems.txt";

/// The most bytes of it; today it has 1 KB.
const NAMES_MAX: u64 = 64 * 1024;
/// The most ecosystems; today there are some 40, and some 300 with the releases of distributions.
const ECOSYSTEMS_MAX: usize = 1000;
/// The longest archive, of which nothing is held in memory: npm's has 150 MB.
const ARCHIVE_MAX: u64 = 1 << 30;
/// The longest of the lists below: today they have 2 MB.
const LIST_MAX: u64 = 64 << 20;
/// The most bytes of all of them, on disk: OSV's whole bucket has some 2 GB.
const ARCHIVES_MAX: u64 = 16 << 30;
/// For one of them: at 2 Mbit/s.
const TIME: Duration = Duration::from_secs(3600);

/// What OSV's bucket doesn't have, and a mirror may: severities and what is exploited.
const LISTS: [&str; 2] = ["cve-cvss3.json", "kev.json"];

/// The address, where `--from` is one.
pub(super) fn address(from: &Path) -> Option<Result<Url, Failure>> {
    let text = from.to_str()?;
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return None;
    }
    let url = Url::parse(text).map_err(|why| why.to_string()).and_then(|mut url| {
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err("an address must hold no credentials and no query".to_owned());
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(url)
    });
    Some(url.map_err(|why| Failure::usage(format!("--from: {why}"))))
}

/// Fetches the archives of these ecosystems; of none, those that the bucket names.
pub(super) fn fetched(url: &Url, ecosystems: &[String], access: &AccessArgs) -> Result<TempDir, Failure> {
    let options = HttpOptions {
        ca_file: access.ca_file.clone(),
        allow_http: access.allow_http,
        ..HttpOptions::default()
    };
    let bucket = Bucket { url, fetcher: HttpFetcher::new(options) };
    let folder = tempfile::Builder::new().prefix("hallmark-osv-").tempdir().map_err(unwritten)?;
    let names = match ecosystems {
        [] => bucket.names()?,
        named => named.to_vec(),
    };
    let terminal = std::io::stderr().is_terminal();
    let mut room = ARCHIVES_MAX;
    for (at, name) in names.iter().enumerate() {
        expect_name(name)?;
        if terminal {
            say!("fetching {name} ({} of {})", at.saturating_add(1), names.len());
        }
        let dir = folder.path().join(name);
        std::fs::create_dir_all(&dir).map_err(unwritten)?;
        let length = bucket.copy(&[name, "all.zip"], &dir.join("all.zip"), ARCHIVE_MAX.min(room))?;
        room = room.saturating_sub(length.ok_or_else(|| {
            Failure::unknown(format!("{url} has no archive of {name}"))
                .hint("its ecosystems are in ecosystems.txt; choose some with --ecosystem")
        })?);
    }
    let lists = folder.path().join("_severity");
    std::fs::create_dir_all(&lists).map_err(unwritten)?;
    for name in LISTS {
        bucket.copy(&["_severity", name], &lists.join(name), LIST_MAX)?;
    }
    Ok(folder)
}

/// It becomes a folder's name, and a part of an address.
fn expect_name(name: &str) -> Result<(), Failure> {
    let good = |one: char| one.is_ascii_alphanumeric() || matches!(one, ' ' | ':' | '.' | '-' | '_');
    match !name.is_empty() && name.len() <= 100 && name.chars().all(good) && !name.starts_with(['.', '_']) {
        true => Ok(()),
        false => Err(Failure::refused(format!("expected the name of an ecosystem, got {:?}", shown(name)))),
    }
}

fn unwritten(error: std::io::Error) -> Failure {
    Failure::unknown(format!("could not keep what was fetched: {error}"))
}

struct Bucket<'a> {
    url: &'a Url,
    fetcher: HttpFetcher,
}

impl Bucket<'_> {
    /// The ecosystems that it names. `Debian:12` is a part of `Debian`, and left aside where that is there.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let bytes = self.get(&[NAMES], NAMES_MAX)?.ok_or_else(|| {
            Failure::unknown(format!("{} has no {NAMES}", self.url))
                .hint("name what to fetch with --ecosystem")
        })?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Failure::refused(format!("{}{NAMES}: expected text, got something else", self.url))
        })?;
        let all: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let whole = |name: &&str| name.split_once(':').is_none_or(|(base, _)| !all.contains(&base));
        let names: Vec<String> = all.iter().copied().filter(whole).map(str::to_owned).collect();
        match names.len() {
            1..=ECOSYSTEMS_MAX => Ok(names),
            got => Err(Failure::refused(format!(
                "{}{NAMES}: expected 1 to {ECOSYSTEMS_MAX} ecosystems, got {got}",
                self.url
            ))),
        }
    }

    /// A short file, where there is one.
    fn get(&self, path: &[&str], limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let url = self.at(path)?;
        let answer = self.fetcher.get_within(&url, limit, &[], TIME).map_err(|error| unfetched(&error))?;
        let HttpAnswer { status, body, .. } = answer;
        Ok(is_there(&url, status)?.then_some(body))
    }

    /// Writes a file as it comes. How many bytes; `None` where there is none.
    fn copy(&self, path: &[&str], to: &Path, limit: u64) -> Result<Option<u64>, Failure> {
        let url = self.at(path)?;
        let answer = self.fetcher.stream_within(&url, limit, TIME).map_err(|error| unfetched(&error))?;
        if !is_there(&url, answer.status)? {
            return Ok(None);
        }
        let mut file = File::create(to).map_err(unwritten)?;
        let (mut body, mut length, mut piece) = (answer.body, 0_u64, vec![0; PIECE]);
        loop {
            let count = match body.read(&mut piece) {
                Ok(0) => return Ok(Some(length)),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(unfetched(&SourceError::from_read(error, url.as_str()))),
            };
            length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if length > limit {
                return Err(unfetched(&SourceError::TooLarge { at: url.to_string(), limit, got: None }));
            }
            file.write_all(piece.get(..count).unwrap_or_default()).map_err(unwritten)?;
        }
    }

    /// The address of a file.
    fn at(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.url.clone();
        let segments = url.path_segments_mut().map(|mut segments| {
            segments.pop_if_empty().extend(path);
        });
        match segments {
            Ok(()) => Ok(url),
            Err(()) => Err(Failure::usage(format!("--from: {} can't have paths", self.url))),
        }
    }
}

/// As large as what a connection gives at once.
const PIECE: usize = 64 * 1024;

fn unfetched(error: &SourceError) -> Failure {
    let what = shown(&error.to_string());
    if error.unreachable() { Failure::unknown(what) } else { Failure::refused(what) }
}

/// Whether an answer is the file. A bucket says 403 of what isn't there to those who may not list it.
fn is_there(url: &Url, status: u16) -> Result<bool, Failure> {
    match status {
        200 => Ok(true),
        403 | 404 | 410 => Ok(false),
        _ => Err(Failure::unknown(format!("{url}: expected HTTP status 200, got {status}"))),
    }
}

//! An object store that speaks S3. Versioned files are written only where there are none (`If-None-Match: *`),
//! and the timestamp only where the one that was read still is (`If-Match`), so of two publishers one wins.
//!
//! Some stores take these conditions and ignore them: then the slower publisher would overwrite the faster
//! one. So before the first write it is tried whether the store holds to them.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, Error, ObjectStore as _, ObjectStoreExt as _,
    PutMode, PutOptions, PutPayload, RetryConfig, UpdateVersion,
};
use oci_image::Manifest;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::{AwsKeys, HEAD_MAX, Head, Listing, Store, StoreError, Token};

/// How many writes are under way at once: more of them gain nothing over one connection pool.
const AT_ONCE: usize = 16;
/// A versioned file never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The timestamp is what tells clients what is new: caches must ask again.
const ASK_AGAIN: &str = "no-cache";
/// What metadata is, and whatever isn't known.
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
const NO_ETAG: &str = "it names no ETag, without which nobody can say what is overwritten";
/// What is tried before the first write.
const PROBE: &str = ".hallmark-probe";
/// What is shown of an error: a store may answer with a page.
const SAID_MAX: usize = 300;
/// The most bytes of names that a listing keeps, whatever a store says that it has.
const NAMES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How many write at the same moment then.
const RACERS: usize = 8;

/// How long a store may take.
#[derive(Clone, Copy, Debug)]
pub struct S3Times {
    /// One request with its answer, of at most some megabytes. Slower than this is as good as nothing.
    pub request: Duration,
    /// All tries of one request: none begins later than this after the first.
    pub tries: Duration,
}

impl Default for S3Times {
    /// A minute, and a minute and a half.
    fn default() -> Self {
        Self { request: Duration::from_secs(60), tries: Duration::from_secs(90) }
    }
}

/// The bytes of an object, and its ETag.
type Found = (Vec<u8>, Option<String>);

/// A repository in an object store.
pub struct S3Store {
    store: AmazonS3,
    prefix: Path,
    name: String,
    runtime: Runtime,
    /// Whether the store was seen to hold to conditions.
    proved: Mutex<bool>,
}

/// What a place in an object store is addressed by.
#[derive(Clone, Copy, Debug)]
pub struct S3Address<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// What the names of the objects start with; may be empty.
    pub prefix: &'a str,
    /// The address, where it isn't Amazon's.
    pub endpoint: Option<&'a Url>,
    /// The region, where it isn't that of the keys.
    pub region: Option<&'a str>,
}

impl fmt::Display for S3Address<'_> {
    /// As [`crate::Place`] reads it: what is shown can be pasted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)?;
        let endpoint = self.endpoint.map(|endpoint| ("endpoint", endpoint.as_str().trim_end_matches('/')));
        let region = self.region.map(|region| ("region", region));
        for (sign, (name, value)) in ['?', '&'].into_iter().zip(endpoint.into_iter().chain(region)) {
            write!(f, "{sign}{name}={}", utf8_percent_encode(value, IN_QUERY))?;
        }
        Ok(())
    }
}

/// What can't stand in a query's value as it is. The rest of an address can, and is easier to read so.
const IN_QUERY: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'\'').add(b'+').add(b'<').add(b'>');

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("name", &self.name).finish_non_exhaustive()
    }
}

impl S3Store {
    /// The repository under a prefix of a bucket. `at` is what it is called in messages.
    ///
    /// # Errors
    /// When there are no keys, or the address can't be used.
    pub fn new(at: S3Address<'_>, keys: Option<&AwsKeys>, times: S3Times) -> Result<Self, StoreError> {
        let S3Address { bucket, prefix, endpoint, region } = at;
        let name = at.to_string();
        let Some(keys) = keys else {
            let why = "no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned();
            return Err(StoreError::Denied { at: name, why });
        };
        oci_image::prepare_tls();
        let region = region.or(keys.region.as_deref()).unwrap_or("us-east-1");
        let retry =
            RetryConfig { backoff: BackoffConfig::default(), max_retries: 4, retry_timeout: times.tries };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_access_key_id(&keys.access_key_id)
            .with_secret_access_key(keys.secret_access_key.as_str())
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retry);
        if let Some(token) = &keys.session_token {
            builder = builder.with_token(token.as_str());
        }
        let mut options = ClientOptions::new().with_timeout(times.request);
        if let Some(endpoint) = endpoint {
            // Only one on this machine may be spoken to in the clear: `Place` sees to that.
            options = options.with_allow_http(endpoint.scheme() == "http");
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        let malformed = |why: String| StoreError::Malformed { at: name.clone(), why };
        let store = builder.with_client_options(options).build().map_err(|why| malformed(why.to_string()))?;
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|why| malformed(why.to_string()))?;
        let prefix = Path::parse(prefix).map_err(|why| malformed(why.to_string()))?;
        Ok(Self { store, prefix, name, runtime, proved: Mutex::new(false) })
    }

    fn path(&self, folder: &str, name: &str) -> Result<Path, StoreError> {
        // Names are percent-encoded already, and stay as they are.
        let parts = [self.prefix.as_ref(), folder, name];
        let text: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Path::parse(text.join("/"))
            .map_err(|why| StoreError::Malformed { at: self.name.clone(), why: why.to_string() })
    }

    fn timestamp(&self) -> Result<Path, StoreError> {
        self.path("metadata", "timestamp.json")
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Found>, StoreError> {
        self.runtime.block_on(self.fetch(path, limit))
    }

    async fn fetch(&self, path: &Path, limit: u64) -> Result<Option<Found>, StoreError> {
        let answer = match self.store.get(path).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            answer => answer.map_err(|why| self.failed(&why))?,
        };
        let (got, etag) = (answer.meta.size, answer.meta.e_tag.clone());
        let too_large = |got| StoreError::TooLarge { name: path.to_string(), limit, got };
        if got > limit {
            return Err(too_large(got));
        }
        // What it announced is not what it sends: counted as it comes.
        let mut body = answer.into_stream();
        let mut bytes = Vec::new();
        while let Some(part) = body.try_next().await.map_err(|why| self.failed(&why))? {
            bytes.extend_from_slice(&part);
            let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if got > limit {
                return Err(too_large(got));
            }
        }
        Ok(Some((bytes, etag)))
    }

    /// Writes an object, and gives its ETag.
    async fn put(
        &self,
        path: &Path,
        bytes: &[u8],
        mode: PutMode,
        cache: &'static str,
        kind: &str,
    ) -> Result<Option<String>, Error> {
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::CacheControl, cache.into());
        attributes.insert(Attribute::ContentType, kind.to_owned().into());
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        self.store.put_opts(path, PutPayload::from(bytes.to_vec()), options).await.map(|put| put.e_tag)
    }

    /// Writes a file that must not be there with other bytes.
    async fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        match self.put(path, bytes, PutMode::Create, FOR_EVER, JSON).await {
            Ok(_) => Ok(()),
            // Also after a try that was answered too late: then the bytes are ours.
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                let limit = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                match self.fetch(path, limit).await {
                    Ok(Some((there, _))) if there == bytes => Ok(()),
                    Ok(_) | Err(StoreError::TooLarge { .. }) => {
                        Err(StoreError::Taken { name: path.to_string() })
                    }
                    Err(error) => Err(error),
                }
            }
            Err(why) => Err(self.failed(&why)),
        }
    }

    /// Tries, once, whether the store holds to conditions.
    fn prove(&self) -> Result<(), StoreError> {
        let mut proved = self.proved.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *proved {
            return Ok(());
        }
        // Each tries with an object of its own: another one's would come and go under our hands.
        let chance = RandomState::new().build_hasher().finish();
        let path = self.path("", &format!("{PROBE}-{chance:016x}"))?;
        let raced = self.path("", &format!("{PROBE}-{chance:016x}-raced"))?;
        let (tried, cleared) = self.runtime.block_on(async {
            let tried = match self.try_conditions(&path).await {
                Ok(()) => self.try_a_race(&raced).await,
                refused => refused,
            };
            // Whatever came of it, nothing stays behind.
            let cleared = join(self.clear(&path), self.clear(&raced)).await;
            (tried, cleared.0.and(cleared.1))
        });
        tried?;
        cleared.map_err(|why| self.failed(&why))?;
        *proved = true;
        Ok(())
    }

    async fn clear(&self, path: &Path) -> Result<(), Error> {
        match self.store.delete(path).await {
            Err(Error::NotFound { .. }) => Ok(()),
            done => done,
        }
    }

    /// A store may look at the condition first and write then, with time between for somebody else to do the
    /// same. So several writers of our own meet: first where nothing is, then where one has just won.
    async fn try_a_race(&self, path: &Path) -> Result<(), StoreError> {
        // Each opens its connection first, so that they start together.
        join_all((0..RACERS).map(|_| self.store.head(path))).await;
        let mut mode = PutMode::Create;
        for lap in 0..2_u32 {
            let bodies: Vec<String> = (0..RACERS).map(|racer| format!("{lap} {racer}")).collect();
            let racers =
                bodies.iter().map(|body| self.put(path, body.as_bytes(), mode.clone(), ASK_AGAIN, BYTES));
            let mut winners = Vec::new();
            for done in join_all(racers).await {
                match done {
                    Ok(etag) => winners.push(etag),
                    Err(
                        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. },
                    ) => {}
                    Err(why) => return Err(self.failed(&why)),
                }
            }
            let etag = match (winners.pop(), winners.len()) {
                (_, more) if more > 0 => {
                    let why = "of several who write at the same moment it lets more than one win";
                    return Err(StoreError::Unsafe { at: self.name.clone(), why });
                }
                (Some(etag), _) => etag,
                // The winner's answer was lost.
                (None, _) => self.store.head(path).await.map_err(|why| self.failed(&why))?.e_tag,
            };
            if etag.is_none() {
                return Err(StoreError::Unsafe { at: self.name.clone(), why: NO_ETAG });
            }
            mode = PutMode::Update(UpdateVersion { e_tag: etag, version: None });
        }
        Ok(())
    }

    async fn try_conditions(&self, path: &Path) -> Result<(), StoreError> {
        let unsafe_because = |why| StoreError::Unsafe { at: self.name.clone(), why };
        match self.put(path, b"1", PutMode::Create, ASK_AGAIN, BYTES).await {
            // Or a first try of this very write was answered too late.
            Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Err(why) => return Err(self.failed(&why)),
        }
        match self.put(path, b"2", PutMode::Create, ASK_AGAIN, BYTES).await {
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Ok(_) => {
                return Err(unsafe_because("it overwrites a file although `If-None-Match: *` forbids it"));
            }
            Err(Error::NotImplemented { .. }) => {
                return Err(unsafe_because("it doesn't know `If-None-Match: *`"));
            }
            Err(why) => return Err(self.failed(&why)),
        }
        let stale =
            UpdateVersion { e_tag: Some("\"00000000000000000000000000000000\"".to_owned()), version: None };
        match self.put(path, b"3", PutMode::Update(stale), ASK_AGAIN, BYTES).await {
            Err(Error::Precondition { .. }) => Ok(()),
            Ok(_) => Err(unsafe_because("it overwrites a file that changed although `If-Match` forbids it")),
            Err(Error::NotImplemented { .. }) => Err(unsafe_because("it doesn't know `If-Match`")),
            Err(why) => Err(self.failed(&why)),
        }
    }

    fn failed(&self, why: &Error) -> StoreError {
        let (at, text) = (self.name.clone(), in_short(&causes(why)));
        match why {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                StoreError::Denied { at, why: text }
            }
            Error::NotFound { .. } => StoreError::Malformed { at, why: text },
            _ => StoreError::Unreachable { at, why: text },
        }
    }
}

impl Store for S3Store {
    fn describe(&self) -> String {
        self.name.clone()
    }

    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(&self.path("metadata", name)?, limit)?.map(|(bytes, _)| bytes))
    }

    fn has_metadata(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.path("metadata", name)?;
        match self.runtime.block_on(self.store.head(&path)) {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(why) => Err(self.failed(&why)),
        }
    }

    fn target(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(&self.path("targets", name)?, limit)?.map(|(bytes, _)| bytes))
    }

    fn listing(&self, limit: usize) -> Result<Option<Listing>, StoreError> {
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let start = prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let mut listed = self.store.list(prefix);
        let mut listing = Listing::default();
        let mut bytes = 0_usize;
        self.runtime.block_on(async {
            while let Some(object) = listed.try_next().await.map_err(|why| self.failed(&why))? {
                if listing.names.len() >= limit || bytes > NAMES_BYTES_MAX {
                    listing.more = true;
                    break;
                }
                if let Some(name) = object.location.as_ref().strip_prefix(&start) {
                    bytes = bytes.saturating_add(name.len());
                    listing.names.push(name.to_owned());
                }
            }
            Ok::<_, StoreError>(())
        })?;
        listing.names.sort();
        Ok(Some(listing))
    }

    fn beginning(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path("", name)?;
        self.runtime.block_on(async {
            let answer = match self.store.get(&path).await {
                Err(Error::NotFound { .. }) => return Ok(None),
                answer => answer.map_err(|why| self.failed(&why))?,
            };
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let (mut body, mut bytes) = (answer.into_stream(), Vec::new());
            while let Some(part) = body.try_next().await.map_err(|why| self.failed(&why))? {
                bytes.extend(part.iter().take(limit.saturating_sub(bytes.len())));
                if bytes.len() >= limit {
                    break;
                }
            }
            Ok(Some(bytes))
        })
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        let Some((timestamp, etag)) = self.read(&self.timestamp()?, HEAD_MAX)? else { return Ok(None) };
        let etag = etag.ok_or_else(|| StoreError::Unsafe { at: self.name.clone(), why: NO_ETAG })?;
        Ok(Some(Head { timestamp, token: Token(etag) }))
    }

    fn put_metadata(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.prove()?;
        self.runtime.block_on(self.create(&self.path("metadata", name)?, bytes))
    }

    fn put_all_metadata(
        &self,
        files: &mut dyn Iterator<Item = (String, Vec<u8>)>,
        progress: &dyn Fn(u64),
    ) -> Result<(), StoreError> {
        self.prove()?;
        let writes = files.map(|(name, bytes)| async move {
            let path = self.path("metadata", &name)?;
            self.create(&path, &bytes).await
        });
        self.runtime.block_on(async {
            let mut done = 0_u64;
            let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
            while let Some(written) = writes.next().await {
                written?;
                done = done.saturating_add(1);
                progress(done);
            }
            Ok(())
        })
    }

    fn put_target(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.prove()?;
        let path = self.path("targets", name)?;
        let kind = kind_of_target(bytes);
        // Named by its hash: what is damaged there is repaired.
        let put = self.put(&path, bytes, PutMode::Overwrite, FOR_EVER, &kind);
        self.runtime.block_on(put).map(|_| ()).map_err(|why| self.failed(&why))
    }

    fn advance(
        &self,
        from: Option<&Token>,
        timestamp: &[u8],
        roots: &[(String, Vec<u8>)],
    ) -> Result<Token, StoreError> {
        self.prove()?;
        for (name, bytes) in roots {
            let limit = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            match self.metadata(name, limit) {
                Ok(None) => {}
                Ok(Some(there)) if there == *bytes => {}
                Ok(Some(_)) | Err(StoreError::TooLarge { .. }) => {
                    return Err(StoreError::Taken { name: name.clone() });
                }
                Err(error) => return Err(error),
            }
        }
        let put_roots = || roots.iter().try_for_each(|(name, bytes)| self.put_metadata(name, bytes));
        if from.is_none() {
            put_roots()?;
        }
        let mode = match from {
            None => PutMode::Create,
            Some(Token(etag)) => PutMode::Update(UpdateVersion { e_tag: Some(etag.clone()), version: None }),
        };
        // The token is that of what was written here, and of nothing that came after it.
        let token =
            match self.runtime.block_on(self.put(&self.timestamp()?, timestamp, mode, ASK_AGAIN, JSON)) {
                Ok(etag) => etag.map(Token),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. }) => {
                    // A try that was answered too late may have been the one that did it.
                    let head = self.head()?.filter(|head| head.timestamp == timestamp);
                    Some(head.ok_or(StoreError::Moved)?.token)
                }
                Err(why) => return Err(self.failed(&why)),
            };
        if from.is_some() {
            put_roots()?;
        }
        token.ok_or_else(|| StoreError::Unsafe { at: self.name.clone(), why: NO_ETAG })
    }

    fn sweep(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What a target file is: mostly a manifest or an index, which says so itself.
fn kind_of_target(bytes: &[u8]) -> String {
    let manifest = Manifest::parse(bytes, None);
    manifest.map_or_else(|_| BYTES.to_owned(), |manifest| manifest.media_type().to_owned())
}

/// What matters of a sentence of `object_store`: the request and what became of it, without counts of tries and
/// XML. A sentence of another shape stays as it is.
fn in_short(text: &str) -> String {
    let request = text.split_once("Error performing ").and_then(|(_, rest)| rest.split_once(" - "));
    let short = request.map(|(request, outcome)| {
        let request = request.split(" in ").next().unwrap_or(request);
        let outcome = outcome.strip_prefix("Server returned non-2xx status code: ").unwrap_or(outcome);
        let element = |name: &str| {
            let (_, rest) = outcome.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
        };
        match (element("Code"), element("Message")) {
            (Some(code), Some(message)) => {
                let status = outcome.split(": ").next().unwrap_or_default();
                format!("{status}, {code}: {message} ({request})")
            }
            _ => format!("{outcome} ({request})"),
        }
    });
    short.unwrap_or_else(|| text.to_owned()).chars().take(SAID_MAX).collect()
}

/// An error with what led to it, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_error_the_request_and_the_outcome_are_said() {
        for (text, said) in [
            (
                "Generic S3 error: Error performing PUT http://h/b/x in 7.1ms, after 4 retries, max_retries: 4 - HTTP error: closed",
                "HTTP error: closed (PUT http://h/b/x)",
            ),
            (
                "no: Error performing GET http://h/b/x in 6ms - Server returned non-2xx status code: 403 Forbidden: \
                 <Error><Code>AccessDenied</Code><Message>Access Denied</Message><HostId>x</HostId></Error>",
                "403 Forbidden, AccessDenied: Access Denied (GET http://h/b/x)",
            ),
            ("something else", "something else"),
        ] {
            assert_eq!(in_short(text), said);
        }
        assert_eq!(in_short(&"x".repeat(9999)).len(), SAID_MAX);
    }
}

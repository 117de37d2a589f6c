//! The evidence that metadata names for an image: digests of attestations, which are as fresh as the metadata while
//! they are named, and revoked by being named no more.

use oci_image::{Digest, Reference};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::custom::Custom;
use crate::failure::Failure;
use crate::published::Published;
use crate::rules::{custom_of, is_yanked, say};
use crate::staged::{Change, Staged, Was, digest_of};

/// The most that is named for one image. `verify` looks into three hundred manifests, and each digest makes the
/// metadata that every client loads 75 bytes longer.
const NAMED_MAX: usize = 100;

/// What is named of a target, by what is said of it.
pub(crate) fn named(custom: &Value) -> Vec<String> {
    let named = custom.pointer("/hallmark/evidence").and_then(Value::as_array);
    named.into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect()
}

/// Names these for a target. Says whether there is a place for it.
pub(crate) fn name(custom: &mut Value, evidence: Vec<String>) -> bool {
    say(custom, "evidence", (!evidence.is_empty()).then(|| evidence.into()))
}

/// Whether what is said of a target takes nothing back that is published of the same bytes: that nobody shall run
/// it, or evidence.
pub(crate) fn keeps(custom: &Value, published: &RawValue) -> bool {
    let published: Value = serde_json::from_str(published.get()).unwrap_or_default();
    let has = named(custom);
    (is_yanked(custom) || !is_yanked(&published)) && named(&published).iter().all(|one| has.contains(one))
}

/// What a publisher should know of what is said of a target.
pub(crate) fn in_words(published: &RawValue) -> String {
    let published: Value = serde_json::from_str(published.get()).unwrap_or_default();
    let reason = published.pointer("/hallmark/yanked/reason").and_then(Value::as_str);
    match (reason, named(&published).len()) {
        (Some(reason), _) => format!("it is yanked, {reason}"),
        (None, 0) => "it is not yanked, and has no evidence".to_owned(),
        (None, count) => format!("it is not yanked, and has {count} piece(s) of evidence"),
    }
}

/// What is named for the image, staged or else published: under its digest, which every tag of it shares.
pub(crate) fn of_image(
    name: &Reference,
    digest: Digest,
    published: &Published<'_>,
    staged: &Staged,
) -> Result<Vec<String>, Failure> {
    let path = name.digest_path(digest);
    if let Some(Change::Add { custom, .. }) = staged.changes.get(path.as_str()).map(AsRef::as_ref) {
        return Ok(named(&custom.value()));
    }
    let target = published.target(&path)?;
    Ok(target.and_then(|target| custom_of(&target)).map(|custom| named(&custom)).unwrap_or_default())
}

/// What will be named for one name.
pub(crate) struct Named {
    pub(crate) path: String,
    pub(crate) evidence: Vec<String>,
}

/// The digest that a name means: what is staged for it, or else published.
pub(crate) fn meant(
    name: &Reference,
    published: &Published<'_>,
    staged: &Staged,
) -> Result<Option<Digest>, Failure> {
    let path = match (name.tag_path(), name.digest()) {
        (Some(path), _) => path,
        (None, Some(digest)) => name.digest_path(digest),
        (None, None) => return Ok(None),
    };
    match staged.changes.get(path.as_str()) {
        Some(change) => Ok(change.digest()),
        None => Ok(published.target(&path)?.as_ref().and_then(digest_of)),
    }
}

/// Stages that these are named for an image from the next publish on, and those no more. Every name of it that is
/// asked for, and its digest, must be staged or published.
pub(crate) fn stage(
    name: &Reference,
    digest: Digest,
    (add, revoke): (&[Digest], &[Digest]),
    published: &Published<'_>,
    staged: &mut Staged,
) -> Result<Vec<Named>, Failure> {
    let mut done = Vec::new();
    for revoked in revoke {
        let there = of_name(name, digest, published, staged)?;
        if !there.contains(&revoked.to_string()) {
            let got = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            return Err(Failure::refused(format!("{revoked} is no evidence that {name} has"))
                .detail(format!("expected one of those that are named, got another: {got}")));
        }
    }
    for path in name.tag_path().into_iter().chain([name.digest_path(digest)]) {
        let change = match staged.changes.get(path.as_str()).map(AsRef::as_ref) {
            Some(change) => Some(change.clone()),
            None => published.target(&path)?.map(|target| as_published(&path, &target)).transpose()?,
        };
        let Some(Change::Add { length, digest: meant, custom, listed, was, role }) = change else {
            // The tag alone may be published, by another program.
            continue;
        };
        if meant != digest {
            return Err(Failure::refused(format!("{path} means another image"))
                .detail(format!("expected {digest}, got {meant}")));
        }
        let mut custom = custom.value();
        let mut evidence = named(&custom);
        let gone: Vec<_> = revoke.iter().map(ToString::to_string).collect();
        evidence.retain(|one| !gone.contains(one));
        evidence.extend(add.iter().map(ToString::to_string));
        evidence.sort();
        evidence.dedup();
        if evidence.len() > NAMED_MAX {
            return Err(Failure::refused(format!("{path} has too much evidence"))
                .detail(format!("expected at most {NAMED_MAX} digests, got {}", evidence.len()))
                .hint("`signer attest REF --revoke DIGEST` takes away what is out of date"));
        }
        if !self::name(&mut custom, evidence.clone()) {
            return Err(unusable(&path, "whose custom is another's"));
        }
        let change = Change::Add { length, digest, custom: Custom::of(&custom), listed, was, role };
        match change.is_done(published.target(&path)?.as_ref()) {
            true => drop(staged.changes.remove(path.as_str())),
            false => staged.set(&path, change),
        }
        done.push(Named { path, evidence });
    }
    if done.is_empty() {
        return Err(Failure::refused(format!("{name} is neither published nor staged"))
            .hint("`signer add` stages what it means; `signer status` lists what there is"));
    }
    Ok(done)
}

/// What is named for it under any of its names here.
fn of_name(
    name: &Reference,
    digest: Digest,
    published: &Published<'_>,
    staged: &Staged,
) -> Result<Vec<String>, Failure> {
    let mut all = of_image(name, digest, published, staged)?;
    if let Some(path) = name.tag_path() {
        all.extend(match staged.changes.get(path.as_str()).map(AsRef::as_ref) {
            Some(Change::Add { custom, .. }) => named(&custom.value()),
            Some(Change::Remove { .. }) => Vec::new(),
            None => {
                let custom = published.target(&path)?.and_then(|target| custom_of(&target));
                custom.map(|custom| named(&custom)).unwrap_or_default()
            }
        });
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// A target as it is published, to say something else of it.
fn as_published(path: &str, target: &tuf_core::schema::Target) -> Result<Change, Failure> {
    let digest = digest_of(target).ok_or_else(|| unusable(path, "without a SHA-256"))?;
    let mut custom = custom_of(target).unwrap_or_else(|| json!({}));
    if custom.get("hallmark").is_none()
        && let Some(object) = custom.as_object_mut()
    {
        object.insert("hallmark".to_owned(), json!({ "version": 1 }));
    }
    let (length, custom, was) = (target.length, Custom::of(&custom), Was::of(Some(target)));
    Ok(Change::Add { length, digest, custom, listed: false, was, role: None })
}

fn unusable(path: &str, got: &str) -> Failure {
    Failure::refused(format!("{path} can't be changed"))
        .detail(format!("expected a target as `signer add` lists it, got one {got}"))
        .hint("nothing was staged")
}

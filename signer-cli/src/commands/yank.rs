//! `signer yank`: nobody shall run what a name means, and `verify` says why. The name stays listed, so that
//! whoever asks for it gets the reason and not a riddle.

use std::path::Path;

use oci_image::Reference;
use serde_json::{Value, json};
use tuf_core::schema::Target;

use crate::Surroundings;
use crate::args::{RehearsalArgs, UnyankArgs, YankArgs};
use crate::config::Config;
use crate::custom::Custom;
use crate::failure::Failure;
use crate::places;
use crate::published::Published;
use crate::report::VERSION;
use crate::reports::yank::Yank;
use crate::repository::Repository;
use crate::rules::{custom_of, is_yanked, say};
use crate::staged::{Change, Staged, Was, digest_of};
use crate::terminal;

/// Users read it in one line of a terminal or a log.
const REASON_MAX: usize = 500;

pub(crate) fn yank(dir: &Path, args: &YankArgs, around: &Surroundings) -> Result<Yank, Failure> {
    let YankArgs { name, reason, replacement, rehearsal } = args;
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().any(char::is_control) {
        return Err(Failure::usage("a reason is one line of text, for those whom `verify` will refuse"));
    }
    if reason.chars().count() > REASON_MAX {
        return Err(Failure::usage(format!(
            "expected a reason of at most {REASON_MAX} characters, got more"
        )));
    }
    let mut yanked =
        json!({ "reason": reason, "since": around.now.format("%Y-%m-%dT%H:%M:%SZ").to_string() });
    let replacement = replacement.as_ref().map(ToString::to_string);
    if let (Some(replacement), Some(object)) = (&replacement, yanked.as_object_mut()) {
        object.insert("replacement".to_owned(), replacement.clone().into());
    }
    let names = change(dir, name, *rehearsal, around, Some(&yanked))?;
    Ok(Yank {
        version: VERSION,
        dry_run: rehearsal.dry_run,
        yanked: true,
        names,
        reason: Some(reason.to_owned()),
        replacement,
    })
}

pub(crate) fn unyank(dir: &Path, args: &UnyankArgs, around: &Surroundings) -> Result<Yank, Failure> {
    let names = change(dir, &args.name, args.rehearsal, around, None)?;
    let dry_run = args.rehearsal.dry_run;
    Ok(Yank { version: VERSION, dry_run, yanked: false, names, reason: None, replacement: None })
}

/// Stages what is said of a name, and of its digest: who has pinned that must hear of it too.
fn change(
    dir: &Path,
    name: &Reference,
    rehearsal: RehearsalArgs,
    around: &Surroundings,
    yanked: Option<&Value>,
) -> Result<Vec<String>, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let store = places::open(&repository, &config, around)?;
    let _lock = repository.lock_unless(rehearsal)?;
    let published = Published::read(&repository, store.as_ref())?;
    let mut staged = Staged::read(&repository)?;
    let by_digest = |digest| name.digest_path(digest);
    let mut paths: Vec<String> = name.tag_path().into_iter().chain(name.digest().map(by_digest)).collect();
    let first = paths.first().cloned().unwrap_or_default();
    let Some(listed) = published.target(&first)? else {
        return Err(Failure::refused(format!("{first} is not published"))
            .hint("`signer status` lists what is; what is only staged goes with `signer remove`"));
    };
    let twin = digest_of(&listed).map(by_digest).filter(|twin| !paths.contains(twin));
    if let Some(twin) = twin
        && published.target(&twin)?.is_some()
    {
        paths.push(twin);
    }
    for path in &paths {
        let Some(target) = published.target(path)? else { continue };
        let unusable = |got: &str| {
            Failure::refused(format!("{path} can't be changed"))
                .detail(format!("expected a target as `signer add` lists it, got one {got}"))
                .hint("nothing was staged; `signer remove` takes the name away")
        };
        let digest = digest_of(&target).ok_or_else(|| unusable("without a SHA-256"))?;
        // What is staged of the same bytes, such as evidence, is said too.
        let of_same = match staged.changes.get(path.as_str()).map(AsRef::as_ref) {
            Some(Change::Add { digest: staged, custom, .. }) if *staged == digest => Some(custom.value()),
            _ => custom_of(&target),
        };
        let mut custom = of_same.unwrap_or_else(|| json!({}));
        if custom.get("hallmark").is_none()
            && let Some(object) = custom.as_object_mut()
        {
            object.insert("hallmark".to_owned(), json!({ "version": 1 }));
        }
        if !say(&mut custom, "yanked", yanked.cloned()) {
            return Err(unusable("whose custom is another's"));
        }
        let change = Change::Add {
            length: target.length,
            digest,
            custom: Custom::of(&custom),
            listed: false,
            was: Was::of(Some(&target)),
            role: None,
        };
        staged.set(path, change);
    }
    if yanked.is_some() {
        tell_of_others(&listed, &published, &staged)?;
    }
    if !rehearsal.dry_run {
        staged.write()?;
    }
    Ok(paths)
}

/// A name is yanked, and not whatever means the same. Who forgets `latest` should hear of it. Names in bins aren't
/// looked through.
fn tell_of_others(yanked: &Target, published: &Published<'_>, staged: &Staged) -> Result<(), Failure> {
    let digest = digest_of(yanked);
    for (path, target) in published.listed()? {
        let runs = match staged.changes.get(path.as_str()).map(AsRef::as_ref) {
            Some(Change::Add { digest: staged, custom, .. }) => {
                Some(*staged) == digest && !is_yanked(&custom.value())
            }
            Some(Change::Remove { .. }) => false,
            None => digest_of(&target) == digest && !custom_of(&target).is_some_and(|said| is_yanked(&said)),
        };
        if runs {
            terminal::note(&format!("{path} means the same image, and is not yanked"));
        }
    }
    Ok(())
}

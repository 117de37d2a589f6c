//! The files of the targets: whether those that are kept beside the metadata are what it says of them.
//!
//! One that isn't there may be in a registry only (`signer add --list`).

use oci_image::MANIFEST_MAX;
use publish_store::StoreError;
use tuf_core::schema::Target;

use super::{Findings, Subject};
use crate::files::stored_name;
use crate::published::Published;
use crate::reports::doctor::Area;

/// What is read of one at most, in memory: repositories that were imported have other files than manifests.
const READ_MAX: u64 = 256 * 1024 * 1024;

/// How they are.
#[derive(Default)]
struct Count {
    well: usize,
    large: usize,
    absent: Vec<String>,
}

pub(super) fn look(subject: &Subject<'_>, published: Option<&Published<'_>>, findings: &mut Findings) {
    let Some(published) = published else { return findings.skip(Area::Targets) };
    let mut count = Count::default();
    let top = published.targets().trusted.clone();
    // Where a delegated role is damaged, that was told of the published files.
    let read = published.delegated(true);
    let below = read.as_deref().unwrap_or_default();
    for trusted in [&top].into_iter().chain(below.iter().map(|loaded| &loaded.trusted)) {
        for (path, target) in trusted.document().targets() {
            check(subject, &path, &target, &mut count, findings);
        }
    }
    // Where none is kept, all are in registries.
    if count.well > 0 {
        for name in &count.absent {
            findings.warning(
                Area::Targets,
                "a target's file isn't there: clients that download targets fail",
                name,
                "if its bytes are in a registry only (`signer add --list`), it is as it should be; else \
                 `signer add` it again, and publish",
            );
        }
    }
    let Count { well, large, absent } = count;
    let large = if large > 0 { format!(", {large} too large to be read here") } else { String::new() };
    let text = match well.saturating_add(absent.len()) {
        0 => "none is listed".to_owned(),
        _ => format!("{well} are what the metadata says{large}; {} in registries only", absent.len()),
    };
    match read {
        Ok(_) => findings.close(Area::Targets, text),
        Err(_) => findings.skip(Area::Targets),
    }
}

fn check(subject: &Subject<'_>, path: &str, target: &Target, count: &mut Count, findings: &mut Findings) {
    let Some(name) = stored(path, target) else {
        findings.problem(
            Area::Targets,
            "a target's path leads out of the folder, or it has no hash that is known",
            path,
            "list it under another path, or with a SHA-256",
        );
        return;
    };
    if target.length > READ_MAX {
        count.large = count.large.saturating_add(1);
        return;
    }
    let mend = "`signer add` it again, and publish: that writes the file anew";
    match subject.store.target(&name, target.length) {
        Ok(Some(bytes)) => match target.check(&bytes) {
            Ok(()) => count.well = count.well.saturating_add(1),
            Err(why) => {
                findings.problem(Area::Targets, format!("a target's file is damaged: {why}"), name, mend)
            }
        },
        Ok(None) => count.absent.push(name),
        Err(StoreError::TooLarge { limit, got, .. }) => {
            let what = format!("a target's file is damaged: expected {limit} bytes, got {got}");
            findings.problem(Area::Targets, what, name, mend);
        }
        Err(error) => {
            findings.problem(Area::Targets, format!("a target's file can't be read: {error}"), name, mend);
        }
    }
}

/// The name under which it is kept; none where that would lead elsewhere.
fn stored(path: &str, target: &Target) -> Option<String> {
    let hash = target.hashes.get("sha256").or_else(|| target.hashes.get("sha512"))?;
    stored_name(path, hash)
}

/// A target whose file is kept, whole and small: to see that it is served.
pub(super) fn sample(subject: &Subject<'_>, published: &Published<'_>) -> Option<(String, Target)> {
    let all = published.targets().trusted.document().targets().take(64);
    all.filter(|(_, target)| target.length <= MANIFEST_MAX).find(|(path, target)| {
        let kept = stored(path, target).map(|name| subject.store.target(&name, target.length));
        matches!(kept, Some(Ok(Some(bytes))) if target.check(&bytes).is_ok())
    })
}

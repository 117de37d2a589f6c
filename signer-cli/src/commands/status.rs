//! `signer status`: what is published, what is staged, and when it expires. Changes nothing.

use std::path::Path;

use serde_json::Value;
use tuf_core::schema::{Root, Target};
use tuf_core::{Instant, Role};

use super::add::described;
use crate::Surroundings;
use crate::config::Config;
use crate::draft::Plan;
use crate::failure::Failure;
use crate::key_ring::role_keys;
use crate::published::Published;
use crate::report::{self, Action, VERSION};
use crate::repository::Repository;
use crate::staged::{Change, Staged, digest_of};
use crate::terminal;

pub(crate) fn run(dir: &Path, around: &Surroundings) -> Result<report::Status, Failure> {
    let repository = Repository::open(dir)?;
    let config = Config::read(&repository.config())?;
    let published = Published::read(&repository, around.now)?;
    let staged = Staged::read(&repository)?;
    let plan = Plan::of(&published, &staged, &config, around.now);
    let roles = roles(&published);
    for late in roles.iter().filter(|role| role.expires <= around.now) {
        terminal::warn(&format!("{} has expired: clients refuse this repository", late.role));
    }
    Ok(report::Status {
        version: VERSION,
        now: around.now,
        published: repository.published().display().to_string(),
        roles,
        images: published.listed().filter_map(|(path, target)| listed(&path, &target)).collect(),
        staged: plan.changes.iter().map(|(path, staged)| change(path, staged, &published)).collect(),
    })
}

fn roles(published: &Published) -> Vec<report::Role> {
    let Published { root, targets, snapshot, timestamp, .. } = published;
    vec![
        role(root, &Role::Root, root.version, root.expires),
        role(root, &Role::Targets, targets.version, targets.expires),
        role(root, &Role::Snapshot, snapshot.version, snapshot.expires),
        role(root, &Role::Timestamp, timestamp.version, timestamp.expires),
    ]
}

fn role(root: &Root, role: &Role, version: u64, expires: Instant) -> report::Role {
    let keys = role_keys(role, root);
    report::Role {
        role: role.name().to_owned(),
        version,
        expires,
        threshold: keys.threshold.get(),
        key_ids: keys.keyids.clone(),
    }
}

fn listed(path: &str, target: &Target) -> Option<report::Image> {
    let custom = target.custom.as_ref().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    Some(described(path, target.length, digest_of(target)?, custom.as_ref()))
}

/// A change, as reports say it.
pub(super) fn change(path: &str, change: &Change, published: &Published) -> report::Change {
    let action = match (change, published.target(path)) {
        (Change::Remove, _) => Action::Remove,
        (Change::Add { .. }, None) => Action::Add,
        (Change::Add { .. }, Some(_)) => Action::Change,
    };
    let digest = change.digest().map(|digest| digest.to_string());
    report::Change { action, name: path.to_owned(), digest }
}

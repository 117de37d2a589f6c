//! `signer import`: a repository that another program made, taken over whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use publish_store::DirStore;
use tuf_core::hash::sha256_hex;
use tuf_core::schema::{DelegatedRole, Delegations, RoleKeys, SuccinctRoles};
use tuf_core::{Instant, Role, limits};

use super::init::{expect_free, occupied};
use crate::Surroundings;
use crate::args::ImportArgs;
use crate::config::TEMPLATE;
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::import::{Adopted, Copied, Source, weigh, write};
use crate::published::Published;
use crate::report::{Role as RoleReport, VERSION};
use crate::reports::import::Import;
use crate::repository::Repository;

pub(crate) fn run(dir: &Path, args: &ImportArgs, around: &Surroundings) -> Result<Import, Failure> {
    expect_free(dir)?;
    let source = Source::find(&args.from, args.targets.as_deref())?;
    let first = files::read(&args.root, limits::ROOT_BYTES).map_err(Failure::into_usage)?;
    let adopted = weigh(&source, first, &args.root, around.now)?;
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // A rehearsal leaves nothing, folders that aren't there yet among it.
    let above = match args.dry_run {
        true => parent.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new(".")),
        false => parent,
    };
    files::folder(above)?;
    let scaffold =
        tempfile::Builder::new().prefix(".signer-init-").tempdir_in(above).map_err(Failure::io(above))?;
    let built = Repository::at(&scaffold.path().join("trust"));
    for dir in [built.staged(), built.metadata(), built.targets()] {
        files::folder(&dir)?;
    }
    DirBuilder::new().mode(0o700).create(built.keys()).map_err(Failure::io(&built.keys()))?;
    files::write_once(&built.config(), TEMPLATE.as_bytes(), Readers::Everyone)?;
    let copied = write(&source, &adopted, &built)?;
    // Read back as every later command will.
    let store = DirStore::new(built.published());
    Published::read(&built, &store)?.delegated(true)?;
    if !args.dry_run {
        fs::rename(built.dir(), dir).map_err(|error| match error.kind() {
            ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => occupied(dir),
            _ => Failure::io(dir)(error),
        })?;
        files::flush(parent)?;
    }
    Ok(report(&Repository::at(dir), args, &adopted, copied))
}

fn report(made: &Repository, args: &ImportArgs, adopted: &Adopted, copied: Copied) -> Import {
    let Adopted { roots, root, fresh, .. } = adopted;
    let all = &root.roles;
    let mut roles = vec![
        role(&Role::Root, &all.root, root.version, root.expires, None),
        role(&Role::Snapshot, &all.snapshot, fresh.version(), fresh.expires(), None),
        role(
            &Role::Timestamp,
            &all.timestamp,
            fresh.timestamp().version(),
            fresh.timestamp().expires(),
            None,
        ),
    ];
    let (is_bin, mut bins) = (adopted.bins(), 0_u64);
    for one in &adopted.roles {
        let (trusted, by) = (&one.trusted, one.delegator.as_ref());
        let own = trusted.role();
        if is_bin(own.name()) {
            bins = bins.saturating_add(1);
            continue;
        }
        let keys = match by {
            None => Some(all.targets.clone()),
            Some(by) => adopted.roles.iter().find(|one| one.trusted.role() == by).and_then(|by| {
                by.trusted.document().delegations.as_ref().and_then(|all| all.keys_of(own.name()))
            }),
        };
        let Some(keys) = keys else { continue };
        let shown = role(own, &keys, trusted.version(), trusted.expires(), by);
        match by {
            Some(_) => roles.push(shown),
            // As everywhere, behind the root.
            None => roles.insert(1, shown),
        }
    }
    let first = roots.first().map(|(version, bytes)| (*version, sha256_hex(bytes))).unwrap_or_default();
    Import {
        version: VERSION,
        dry_run: args.dry_run,
        imported: args.from.display().to_string(),
        repository: made.dir().display().to_string(),
        published: made.published().display().to_string(),
        root_version: first.0,
        root_sha256: first.1,
        consistent_snapshot: root.consistent_snapshot,
        roles,
        bins,
        metadata_files: copied.metadata,
        targets_present: copied.present,
        targets_absent: copied.absent,
    }
}

fn role(role: &Role, keys: &RoleKeys, version: u64, expires: Instant, by: Option<&Role>) -> RoleReport {
    RoleReport {
        role: role.name().to_owned(),
        version,
        expires,
        threshold: keys.threshold.get(),
        key_ids: keys.keyids.clone(),
        delegated_by: by.map(|by| by.name().to_owned()),
    }
}

impl Adopted {
    /// Tells which roles are chosen by the hash of a path.
    fn bins(&self) -> impl Fn(&str) -> bool {
        let all = || self.roles.iter().filter_map(|one| one.trusted.document().delegations.as_ref());
        let by_hash = |role: DelegatedRole| role.path_hash_prefixes.is_some().then_some(role.name);
        let named: BTreeSet<String> = all().flat_map(Delegations::roles).filter_map(by_hash).collect();
        let short: Vec<SuccinctRoles> = all().filter_map(|one| one.succinct_roles.clone()).collect();
        move |name| named.contains(name) || short.iter().any(|bins| bins.number_of(name).is_some())
    }
}

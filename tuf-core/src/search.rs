//! 5.6.7: the pre-order depth-first search for a target. It asks for the files it needs and is fed them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::key::Key;
use crate::limits::SEARCH_ROLES;
use crate::schema::{Delegations, HashedPath, MetaFile, RoleKeys, Target};
use crate::workflow::{FreshSnapshot, TrustedTargets, shared};
use crate::{Receipt, Refusal, Role};

/// A search under way. Call [`Search::step`] until it finds or ends, and feed it what it wants.
#[derive(Debug)]
pub struct Search {
    snapshot: FreshSnapshot,
    path: String,
    /// Roles still to visit, the next one last.
    pending: Vec<Pending>,
    visited: BTreeSet<String>,
    /// In the order of the visits.
    searched: Vec<Role>,
    /// The role whose file was asked for.
    awaited: Option<Pending>,
}

/// A role to visit, with the one that delegates to it. State is keyed by this pair: what a role may say
/// depends on who leads to it.
#[derive(Clone, Debug)]
struct Pending {
    role: Role,
    delegation: Option<(Arc<Visited>, RoleKeys)>,
    ready: Option<TrustedTargets>,
}

#[derive(Debug)]
struct Visited {
    targets: TrustedTargets,
    delegator: Option<Arc<Visited>>,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// A file is needed: read it and hand it to [`Search::supply`].
    Need(Wanted),
    /// A role that may speak for the path lists it.
    Found {
        /// What it says of the target.
        target: Target,
        /// The roles that lead to it, from the top-level targets to the one that lists it.
        chain: Vec<TrustedTargets>,
    },
    /// No role that may speak for the path lists it.
    NotFound(NotFound),
}

/// A targets file that the search needs.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The role.
    pub role: Role,
    /// What the snapshot says of its file.
    pub file: MetaFile,
}

/// The end of a search without a result.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotFound {
    /// The roles that were weighed, in order.
    pub searched: Vec<Role>,
    /// Whether the search stopped at [`SEARCH_ROLES`] (5.6.7.1).
    pub exhausted: bool,
}

impl Search {
    pub(crate) fn new(snapshot: FreshSnapshot, targets: TrustedTargets, path: &str) -> Self {
        let first = Pending { role: targets.role().clone(), delegation: None, ready: Some(targets) };
        Self {
            snapshot,
            path: path.into(),
            pending: alloc::vec![first],
            visited: BTreeSet::new(),
            searched: Vec::new(),
            awaited: None,
        }
    }

    /// Goes on until a file is needed or the search ends.
    ///
    /// # Errors
    /// Refuses a role that the snapshot doesn't list (5.6.1). The search can't go on then.
    pub fn step(&mut self) -> Result<Step, Refusal> {
        // What was asked for and not supplied is asked for again, never skipped.
        self.pending.extend(self.awaited.take());
        while let Some(mut next) = self.pending.pop() {
            // 5.6.7.1: a role is visited once, so that cycles end.
            if self.visited.contains(next.role.name()) {
                continue;
            }
            if self.searched.len() >= SEARCH_ROLES {
                return Ok(self.not_found(true));
            }
            match next.ready.take() {
                Some(targets) => {
                    if let Some(found) = self.visit(next, targets) {
                        return Ok(found);
                    }
                }
                None => {
                    let role = next.role.clone();
                    self.awaited = Some(next);
                    let file = self.snapshot.targets_file(&role)?;
                    return Ok(Step::Need(Wanted { role, file }));
                }
            }
        }
        Ok(self.not_found(false))
    }

    /// Weighs the file that was asked for, under the role that delegates to it (5.6.2 to 5.6.5). After a
    /// refusal another copy of the file may be supplied.
    ///
    /// # Errors
    /// Refuses a file that isn't the one the snapshot states, is malformed, below threshold or expired.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<TrustedTargets, Refusal> {
        self.supply_shared(&shared(bytes))
    }

    /// [`Self::supply`] of bytes that needn't be copied.
    ///
    /// # Errors
    /// As for [`Self::supply`].
    pub fn supply_shared(&mut self, file: &Arc<Vec<u8>>) -> Result<TrustedTargets, Refusal> {
        let Some((role, keys, role_keys)) = self.asked() else {
            let what = "no file was asked for".into();
            return Err(Refusal {
                role: Role::Targets,
                step: "5.6.1",
                reason: crate::Reason::Malformed { what },
            });
        };
        let targets = self.snapshot.weigh_targets(role.clone(), keys, role_keys, file)?;
        self.accept(&targets);
        Ok(targets)
    }

    /// Takes the file that was asked for from an earlier update, as file and receipt: see
    /// [`FreshSnapshot::targets_known`].
    pub fn supply_known(&mut self, receipt: &Receipt, file: &Arc<Vec<u8>>) -> Option<TrustedTargets> {
        let (role, keys, role_keys) = self.asked()?;
        let targets = self.snapshot.recall_targets(role.clone(), keys, role_keys, receipt, file)?;
        self.accept(&targets);
        Some(targets)
    }

    /// Takes the role that was asked for from an earlier update: see [`FreshSnapshot::targets_still`].
    pub fn supply_still(&mut self, earlier: &TrustedTargets) -> Option<TrustedTargets> {
        let (role, keys, role_keys) = self.asked()?;
        let targets = self.snapshot.still(role.clone(), keys, role_keys, earlier)?;
        self.accept(&targets);
        Some(targets)
    }

    /// The role whose file was asked for, under the one that delegates to it.
    fn asked(&self) -> Option<(&Role, &BTreeMap<String, Key>, &RoleKeys)> {
        static NO_KEYS: BTreeMap<String, Key> = BTreeMap::new();
        let Pending { role, delegation, .. } = self.awaited.as_ref()?;
        let (delegator, role_keys) = delegation.as_ref()?;
        let delegations = delegator.targets.document().delegations.as_ref();
        Some((role, delegations.map_or(&NO_KEYS, |delegations| &delegations.keys), role_keys))
    }

    fn accept(&mut self, targets: &TrustedTargets) {
        if let Some(awaited) = self.awaited.take() {
            self.pending.push(Pending { ready: Some(targets.clone()), ..awaited });
        }
    }

    fn not_found(&self, exhausted: bool) -> Step {
        Step::NotFound(NotFound { searched: self.searched.clone(), exhausted })
    }

    /// Looks into one role, then queues the roles it delegates the path to.
    fn visit(&mut self, pending: Pending, targets: TrustedTargets) -> Option<Step> {
        self.visited.insert(pending.role.name().into());
        self.searched.push(pending.role);
        let delegator = pending.delegation.map(|(delegator, _)| delegator);
        let visited = Arc::new(Visited { targets, delegator });
        let document = visited.targets.document();
        if let Some(target) = document.target(&self.path) {
            return Some(Step::Found { target, chain: chain(&visited) });
        }
        if let Some(delegations) = &document.delegations {
            self.queue(&visited, delegations);
        }
        None
    }

    /// 5.6.7.2: the delegations of the path, in order of appearance, up to a terminating one.
    fn queue(&mut self, delegator: &Arc<Visited>, delegations: &Delegations) {
        let (path, mut children) = (HashedPath::new(&self.path), Vec::new());
        if let Some(bins) = &delegations.succinct_roles {
            let keys = RoleKeys { keyids: bins.keyids.clone(), threshold: bins.threshold };
            children.push((Role::of_targets(&bins.bin(&path)), keys));
        }
        for role in delegations.covering(&path) {
            let keys = RoleKeys { keyids: role.keyids, threshold: role.threshold };
            children.push((Role::of_targets(&role.name), keys));
            if role.terminating {
                // Nothing else is asked, of this role or of those before it.
                self.pending.clear();
                break;
            }
        }
        let pending = children.into_iter().rev().map(|(role, keys)| Pending {
            role,
            delegation: Some((Arc::clone(delegator), keys)),
            ready: None,
        });
        self.pending.extend(pending);
    }
}

fn chain(last: &Arc<Visited>) -> Vec<TrustedTargets> {
    let mut chain = Vec::new();
    let mut next = Some(last);
    while let Some(visited) = next {
        chain.push(visited.targets.clone());
        next = visited.delegator.as_ref();
    }
    chain.reverse();
    chain
}

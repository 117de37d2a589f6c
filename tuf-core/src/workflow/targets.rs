//! 5.6: a targets role's document, top-level or delegated, weighed, recalled or held.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{FreshSnapshot, as_stated, exact_version, shared};
use crate::envelope::{Envelope, Signed};
use crate::key::Key;
use crate::receipt::{Authority, Receipt};
use crate::schema::{MetaFile, RoleKeys, Targets};
use crate::threshold::weigh;
use crate::{Instant, Reason, Refusal, Role, Signers};

impl FreshSnapshot {
    /// 5.6.2 to 5.6.5: weighs the top-level targets, kept or downloaded.
    ///
    /// # Errors
    /// Refuses a file that isn't the one the snapshot states, is malformed, below threshold or expired.
    pub fn targets(&self, bytes: &[u8]) -> Result<TrustedTargets, Refusal> {
        self.targets_shared(&shared(bytes))
    }

    /// [`Self::targets`] of bytes that needn't be copied.
    ///
    /// # Errors
    /// As for [`Self::targets`].
    pub fn targets_shared(&self, file: &Arc<Vec<u8>>) -> Result<TrustedTargets, Refusal> {
        let root = &self.timestamp.root.trusted.root;
        self.weigh_targets(Role::Targets, &root.keys, &root.roles.targets, file)
    }

    /// 5.6.2 to 5.6.5 for a delegated role, under the role that delegates to it.
    ///
    /// # Errors
    /// As for [`Self::targets`], and where `delegator` doesn't delegate to a role of this name.
    pub fn delegated(
        &self,
        delegator: &TrustedTargets,
        name: &str,
        bytes: &[u8],
    ) -> Result<TrustedTargets, Refusal> {
        self.delegated_shared(delegator, name, &shared(bytes))
    }

    /// [`Self::delegated`] of bytes that needn't be copied.
    ///
    /// # Errors
    /// As for [`Self::delegated`].
    pub fn delegated_shared(
        &self,
        delegator: &TrustedTargets,
        name: &str,
        file: &Arc<Vec<u8>>,
    ) -> Result<TrustedTargets, Refusal> {
        let role = Role::of_targets(name);
        let delegations = delegator.document().delegations.as_ref();
        let found = delegations.and_then(|all| Some((&all.keys, all.keys_of(name)?)));
        let Some((keys, role_keys)) = found else {
            let what =
                alloc::format!("expected {} to delegate to it, got no such delegation", delegator.role());
            return Err(Refusal { role, step: "5.6.7", reason: Reason::Malformed { what } });
        };
        self.weigh_targets(role, keys, &role_keys, file)
    }

    pub(crate) fn weigh_targets(
        &self,
        role: Role,
        keys: &BTreeMap<String, Key>,
        role_keys: &RoleKeys,
        file: &Arc<Vec<u8>>,
    ) -> Result<TrustedTargets, Refusal> {
        let context = self.timestamp.root.trusted.context;
        let stated = self.targets_file(&role)?;
        as_stated(&role, "5.6.2", &stated, file)?;
        let envelope = Envelope::parse(&role, "5.6.3", Arc::clone(file))?;
        let signers = weigh(context.crypto, &role, "5.6.3", &envelope, keys, role_keys)?;
        let targets: Targets = envelope.read(&role, "5.6.3")?;
        self.current_targets(&role, &stated, &targets)?;
        let authority = Authority::of(keys, role_keys);
        Ok(TrustedTargets {
            weighed: Arc::new(Weighed { role, targets, signers, authority, stated, signed: envelope.signed }),
        })
    }

    /// 5.6.4 and 5.6.5: what may change from one update to the next.
    fn current_targets(&self, role: &Role, stated: &MetaFile, targets: &Targets) -> Result<(), Refusal> {
        exact_version(role, "5.6.4", stated.version, targets.version)?;
        self.timestamp.root.trusted.context.unexpired(role, "5.6.5", targets.expires)
    }

    /// Top-level targets that were weighed before, as file and receipt: everything of 5.6.2 to 5.6.5 but
    /// the signatures and the form. `None` where the receipt is not one of these bytes under these keys,
    /// or they are not current: then they are to be weighed as if they had just come.
    #[must_use]
    pub fn targets_known(&self, receipt: &Receipt, file: &Arc<Vec<u8>>) -> Option<TrustedTargets> {
        let root = &self.timestamp.root.trusted.root;
        self.recall_targets(Role::Targets, &root.keys, &root.roles.targets, receipt, file)
    }

    pub(crate) fn recall_targets(
        &self,
        role: Role,
        keys: &BTreeMap<String, Key>,
        role_keys: &RoleKeys,
        receipt: &Receipt,
        file: &Arc<Vec<u8>>,
    ) -> Option<TrustedTargets> {
        let stated = self.targets_file(&role).ok()?;
        let authority = Authority::of(keys, role_keys);
        if !receipt.covers(&role, &authority, file) {
            return None;
        }
        // What was just computed isn't computed again.
        let by_sha256 = |hashes: &BTreeMap<String, String>| {
            hashes.len() == 1 && hashes.get("sha256").is_some_and(|hash| hash == receipt.sha256())
        };
        let known = stated.hashes.as_ref().is_some_and(by_sha256);
        let rest = MetaFile { hashes: stated.hashes.clone().filter(|_| !known), ..stated.clone() };
        as_stated(&role, "5.6.2", &rest, file).ok()?;
        let signed = receipt.signed(file)?;
        let targets = Targets::recall(&signed).ok()?;
        self.current_targets(&role, &stated, &targets).ok()?;
        let signers = receipt.signers();
        Some(TrustedTargets {
            weighed: Arc::new(Weighed { role, targets, signers, authority, stated, signed }),
        })
    }

    /// Top-level targets of an earlier update, held in memory: they still stand where snapshot and root
    /// say of them what they said then, and they are unexpired.
    #[must_use]
    pub fn targets_still(&self, earlier: &TrustedTargets) -> Option<TrustedTargets> {
        let root = &self.timestamp.root.trusted.root;
        self.still(Role::Targets, &root.keys, &root.roles.targets, earlier)
    }

    pub(crate) fn still(
        &self,
        role: Role,
        keys: &BTreeMap<String, Key>,
        role_keys: &RoleKeys,
        earlier: &TrustedTargets,
    ) -> Option<TrustedTargets> {
        let Weighed { role: of, authority, stated, targets, .. } = &*earlier.weighed;
        let same = *of == role
            && *authority == Authority::of(keys, role_keys)
            && self.targets_file(&role).as_ref() == Ok(stated);
        let current = same && self.current_targets(&role, stated, targets).is_ok();
        current.then(|| earlier.clone())
    }
}

/// A targets role, top-level or delegated, under the delegator that leads to it now.
#[derive(Clone, Debug)]
pub struct TrustedTargets {
    weighed: Arc<Weighed>,
}

#[derive(Debug)]
struct Weighed {
    role: Role,
    targets: Targets,
    signers: Signers,
    /// Under whose word it was weighed, and what the snapshot said of it.
    authority: Authority,
    stated: MetaFile,
    signed: Signed,
}

impl TrustedTargets {
    /// What to keep so that these bytes needn't be weighed again, see [`Receipt`]. `file` are the bytes
    /// that were weighed; `None` where they aren't, or weren't in normal form.
    #[must_use]
    pub fn receipt(&self, file: &Arc<Vec<u8>>) -> Option<Receipt> {
        let Weighed { role, signers, authority, signed, .. } = &*self.weighed;
        Receipt::of(role, authority, signers, signed, file)
    }

    /// How many bytes it holds in memory: those of its file.
    #[must_use]
    pub fn size(&self) -> usize {
        self.weighed.signed.file().len()
    }

    /// Which role it is.
    #[must_use]
    pub fn role(&self) -> &Role {
        &self.weighed.role
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.weighed.targets.version
    }

    /// When it expires.
    #[must_use]
    pub fn expires(&self) -> Instant {
        self.weighed.targets.expires
    }

    /// Whose signatures it carries.
    #[must_use]
    pub fn signers(&self) -> &Signers {
        &self.weighed.signers
    }

    /// What it says.
    #[must_use]
    pub fn document(&self) -> &Targets {
        &self.weighed.targets
    }
}

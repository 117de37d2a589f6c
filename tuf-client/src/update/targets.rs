//! 5.6: a targets role's document, from where it costs least: memory, the store with a receipt, the store,
//! a download. Whichever it is, `tuf-core` decides whether it is the one that is current.

use std::sync::{Arc, Mutex};

use tuf_core::schema::MetaFile;
use tuf_core::{FreshSnapshot, Receipt, Refusal, Role, Search, TrustedTargets, limits, metadata_file_name};

use super::{Session, bounded};
use crate::error::ClientError;
use crate::face::Face;
use crate::store::PRIVATE;
use crate::wait::locked;

/// Documents from this size on get a receipt. A smaller one is weighed anew in a millisecond.
const RECEIPT_FROM: usize = 256 * 1024;
/// The most that is read of a receipt: ten million targets make 3 MB.
const RECEIPT_BYTES: u64 = 4 * 1024 * 1024;
/// The most bytes of documents that a client holds in memory from one update to the next: as much as one
/// document may have.
const MEMORY_BYTES: usize = 64 * 1024 * 1024;
/// The most documents held so: what a few searches visit.
const MEMORY_ROLES: usize = 256;

/// Who asks for the document.
pub(crate) enum Wanted<'a> {
    /// The root: it is the top-level targets.
    Top(&'a FreshSnapshot),
    /// A search that needs a delegated role's.
    Delegated(&'a mut Search),
}

impl Wanted<'_> {
    fn weigh(&mut self, file: &Arc<Vec<u8>>) -> Result<TrustedTargets, Refusal> {
        match self {
            Self::Top(snapshot) => snapshot.targets_shared(file),
            Self::Delegated(search) => search.supply_shared(file),
        }
    }

    fn recall(&mut self, receipt: &Receipt, file: &Arc<Vec<u8>>) -> Option<TrustedTargets> {
        match self {
            Self::Top(snapshot) => snapshot.targets_known(receipt, file),
            Self::Delegated(search) => search.supply_known(receipt, file),
        }
    }

    fn still(&mut self, earlier: &TrustedTargets) -> Option<TrustedTargets> {
        match self {
            Self::Top(snapshot) => snapshot.targets_still(earlier),
            Self::Delegated(search) => search.supply_still(earlier),
        }
    }
}

/// What a client that lives on holds of its last updates, the latest last.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Vec<TrustedTargets>>);

impl Memory {
    fn recall(&self, wanted: &mut Wanted<'_>, role: &Role) -> Option<TrustedTargets> {
        let held = locked(&self.0);
        held.iter().rev().filter(|targets| targets.role() == role).find_map(|targets| wanted.still(targets))
    }

    fn hold(&self, targets: &TrustedTargets) {
        let mut held = locked(&self.0);
        held.retain(|other| other.role() != targets.role());
        held.push(targets.clone());
        let mut room = MEMORY_BYTES;
        let fitting = held.iter().rev().take(MEMORY_ROLES).take_while(|targets| {
            let left = room.checked_sub(targets.size());
            room = left.unwrap_or_default();
            left.is_some()
        });
        let too_many = held.len().saturating_sub(fitting.count());
        held.drain(..too_many);
    }
}

impl<T: Face + ?Sized> Session<T> {
    /// A targets role's document: the one held or kept, where it is still the one stated, else a download.
    pub(crate) async fn targets_of(
        &self,
        snapshot: &FreshSnapshot,
        role: &Role,
        stated: &MetaFile,
        mut wanted: Wanted<'_>,
    ) -> Result<TrustedTargets, ClientError> {
        if let Some(held) = self.config.memory.recall(&mut wanted, role) {
            return Ok(held);
        }
        let targets = match self.kept_targets(role, stated, &mut wanted)? {
            Some(targets) => targets,
            None => self.fetched_targets(snapshot, role, stated, &mut wanted).await?,
        };
        self.config.memory.hold(&targets);
        Ok(targets)
    }

    fn kept_targets(
        &self,
        role: &Role,
        stated: &MetaFile,
        wanted: &mut Wanted<'_>,
    ) -> Result<Option<TrustedTargets>, ClientError> {
        let limit = bounded(stated, limits::TARGETS_BYTES);
        let Some(bytes) = self.store().read(&metadata_file_name(role.name(), None), limit)? else {
            return Ok(None);
        };
        let file = Arc::new(bytes);
        if let Some(receipt) = self.receipt(role, &file)?
            && let Some(targets) = wanted.recall(&receipt, &file)
        {
            return Ok(Some(targets));
        }
        let Ok(targets) = wanted.weigh(&file) else { return Ok(None) };
        self.keep_receipt(role, &targets, &file)?;
        Ok(Some(targets))
    }

    async fn fetched_targets(
        &self,
        snapshot: &FreshSnapshot,
        role: &Role,
        stated: &MetaFile,
        wanted: &mut Wanted<'_>,
    ) -> Result<TrustedTargets, ClientError> {
        let limit = bounded(stated, limits::TARGETS_BYTES);
        let root = snapshot.timestamp().root();
        let weigh = |file: &Arc<Vec<u8>>| wanted.weigh(file);
        let (targets, file) = self.stated_file(root, role, "5.6.1", stated, limit, weigh).await?;
        self.store().write(&metadata_file_name(role.name(), None), &file)?;
        self.keep_receipt(role, &targets, &file)?;
        Ok(targets)
    }

    /// The receipt of a kept file, where a receipt is worth something: see record 9.
    fn receipt(&self, role: &Role, file: &[u8]) -> Result<Option<Receipt>, ClientError> {
        if !self.has_receipt(role, file)? {
            return Ok(None);
        }
        let kept = self.store().read(&receipt_name(role), RECEIPT_BYTES)?;
        Ok(kept.and_then(|bytes| Receipt::from_bytes(&bytes)))
    }

    fn keep_receipt(
        &self,
        role: &Role,
        targets: &TrustedTargets,
        file: &Arc<Vec<u8>>,
    ) -> Result<(), ClientError> {
        if !self.has_receipt(role, file)? {
            return Ok(());
        }
        match targets.receipt(file) {
            Some(receipt) => Ok(self.store().write(&receipt_name(role), &receipt.to_bytes())?),
            None => Ok(()),
        }
    }

    fn has_receipt(&self, role: &Role, file: &[u8]) -> Result<bool, ClientError> {
        let wanted = self.config.receipts && file.len() >= RECEIPT_FROM;
        Ok(wanted && self.store().is_private(&receipt_name(role))?)
    }
}

fn receipt_name(role: &Role) -> String {
    format!("{PRIVATE}receipt.{}", metadata_file_name(role.name(), None))
}

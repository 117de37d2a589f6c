//! A store that ends with the program: no protection against rollback from one run to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Store, StoreError, StoreLock};
use crate::wait::locked;

/// A store that ends with the program: no protection against rollback from one run to the next.
#[derive(Debug, Default)]
pub struct MemoryStore {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    held: Arc<AtomicBool>,
}

struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Store for MemoryStore {
    fn try_lock(&self) -> Result<Option<StoreLock>, StoreError> {
        let held = self.held.swap(true, Ordering::AcqRel);
        Ok((!held).then(|| StoreLock::holding(Guard(Arc::clone(&self.held)))))
    }

    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let fits = |bytes: &&Vec<u8>| u64::try_from(bytes.len()).is_ok_and(|length| length <= limit);
        Ok(locked(&self.files).get(name).filter(fits).cloned())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        locked(&self.files).insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        locked(&self.files).remove(name);
        Ok(())
    }

    fn is_private(&self, _name: &str) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

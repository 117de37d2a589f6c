//! Waiting for another process to finish its update of the same store: bounded, and said aloud.
//!
//! By trying again, not by a blocking lock: that one could neither end after a time nor be given up.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::store::{Store, StoreError, StoreLock};
use crate::wait::on_thread;

/// The first pause between two tries: about what an update without news takes.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause: nobody notices it beside the network's.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Waits on this thread.
pub(crate) fn wait(store: &dyn Store, most: Duration) -> Result<StoreLock, StoreError> {
    wait_while(store, most, || true)
}

/// Tries once, then waits on a thread of its own: an executor's threads have others to serve.
pub(crate) async fn wait_aside(store: Arc<dyn Store>, most: Duration) -> Result<StoreLock, StoreError> {
    if let Some(lock) = store.try_lock()? {
        return Ok(lock);
    }
    let path = store.describe();
    let failed = |why| StoreError::Io { path: path.into(), error: io::Error::other(why) };
    // Gone when this future is dropped: then nobody wants the lock any more.
    let asked = Arc::new(());
    let still = Arc::downgrade(&asked);
    let waiting = on_thread(move || wait_while(&*store, most, || still.strong_count() > 0));
    let lock = match waiting {
        Ok(waiting) => waiting.await.unwrap_or_else(|| Err(failed("the thread that waited panicked".into()))),
        Err(error) => Err(failed(format!("no thread to wait on: {error}"))),
    };
    drop(asked);
    lock
}

fn wait_while(store: &dyn Store, most: Duration, wanted: impl Fn() -> bool) -> Result<StoreLock, StoreError> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(lock) = store.try_lock()? {
            return Ok(lock);
        }
        let waited = began.elapsed();
        let left = most.saturating_sub(waited);
        if left.is_zero() || !wanted() {
            return Err(StoreError::Held { at: store.describe(), waited });
        }
        thread::sleep(pause.min(left));
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::store::MemoryStore;
    use crate::wait::block_on;

    #[test]
    fn an_async_caller_waits_on_another_thread_and_has_the_lock_when_it_is_free() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let held = store.try_lock().unwrap().unwrap();
        let error = block_on(wait_aside(Arc::clone(&store), Duration::ZERO)).unwrap_err().to_string();
        assert!(
            error.starts_with("another process holds the lock of memory: expected it free within"),
            "{error}"
        );
        let mut waiting = pin!(wait_aside(Arc::clone(&store), Duration::from_secs(60)));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(held);
        assert!(block_on(waiting).is_ok());
    }
}

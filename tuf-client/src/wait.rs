//! Waiting, without a runtime: for a future on this thread, and for a thread from a future.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use crate::aio::BoxFuture;

/// A guard over what no panic leaves half written.
pub(crate) fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a future to its end on this thread, which sleeps while there is nothing to do.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => bell.wait(),
        }
    }
}

/// A future that goes on beside another one.
pub(crate) enum Beside<R> {
    Waiting(BoxFuture<'static, R>),
    Done(R),
}

impl<R> Beside<R> {
    /// Runs `main` to its end, and this one along with it. Then it may still be waiting.
    pub(crate) async fn along<F: Future>(&mut self, main: F) -> F::Output {
        let mut main = pin!(main);
        poll_fn(|context| {
            self.poll(context);
            main.as_mut().poll(context)
        })
        .await
    }

    /// What it comes to.
    pub(crate) async fn end(self) -> R {
        match self {
            Self::Waiting(future) => future.await,
            Self::Done(result) => result,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if let Self::Waiting(future) = self
            && let Poll::Ready(result) = future.as_mut().poll(context)
        {
            *self = Self::Done(result);
        }
    }
}

/// Not `thread::park`: a transport that parks this thread for its own ends would swallow our wake-up.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn wait(&self) {
        let rung = self.changed.wait_while(locked(&self.rung), |rung| !*rung);
        *rung.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *locked(&self.rung) = true;
        self.changed.notify_one();
    }
}

/// Runs `work` on a thread of its own. The future gives its result, or `None` where it panicked. Dropping
/// the future doesn't end the thread; what it makes is dropped then.
///
/// # Errors
/// When there is no thread to be had.
pub fn on_thread<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> io::Result<Threaded<R>> {
    let shared = Arc::new(Mutex::new(Shared { result: None, ended: false, waker: None }));
    let end = End(Arc::clone(&shared));
    thread::Builder::new().name("tuf-client".into()).spawn(move || {
        let result = work();
        locked(&end.0).result = Some(result);
    })?;
    Ok(Threaded(shared))
}

/// The result of a thread, some time.
pub struct Threaded<R>(Arc<Mutex<Shared<R>>>);

struct Shared<R> {
    result: Option<R>,
    ended: bool,
    waker: Option<Waker>,
}

/// Says that the thread ended, also when it panicked.
struct End<R>(Arc<Mutex<Shared<R>>>);

impl<R> Drop for End<R> {
    fn drop(&mut self) {
        let waker = {
            let mut shared = locked(&self.0);
            shared.ended = true;
            shared.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<R> Future for Threaded<R> {
    type Output = Option<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<R>> {
        let mut shared = locked(&self.0);
        if shared.ended {
            return Poll::Ready(shared.result.take());
        }
        shared.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_its_result_and_one_that_panics_gives_none() {
        assert_eq!(block_on(on_thread(|| 7).unwrap()), Some(7));
        assert_eq!(block_on(on_thread(|| -> u8 { panic!("as told") }).unwrap()), None);
    }
}

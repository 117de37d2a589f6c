//! Single flight: callers who want the same thing at the same time share one run of it.
//!
//! The run is one future that whoever is there polls. A caller that goes away leaves it to the others, who
//! go on where it was; when the last one is gone, so is the run.

use std::future::Future;
use std::mem::replace;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};

use crate::aio::BoxFuture;
use crate::wait::locked;

/// Where a run under way is found.
pub(crate) struct Flights<R> {
    current: Mutex<Weak<Flight<R>>>,
}

impl<R> Default for Flights<R> {
    fn default() -> Self {
        Self { current: Mutex::new(Weak::new()) }
    }
}

struct Flight<R> {
    begin: Box<dyn Fn() -> BoxFuture<'static, R> + Send + Sync>,
    state: Mutex<State<R>>,
    waiting: Arc<Waiting>,
}

enum State<R> {
    /// Nobody polls. `None` before the first poll, and after one that panicked: it begins then.
    Paused(Option<BoxFuture<'static, R>>),
    /// Somebody polls.
    Polled,
    Landed(R),
}

impl<R: Clone + Send + 'static> Flights<R> {
    /// The run under way, or a new one. One that has landed is over: its news may be old.
    pub(crate) fn join(
        &self,
        begin: impl Fn() -> BoxFuture<'static, R> + Send + Sync + 'static,
    ) -> Passenger<R> {
        let mut current = locked(&self.current);
        let under_way = current.upgrade().filter(|flight| !flight.landed());
        let flight = under_way.unwrap_or_else(|| {
            let (state, waiting) = (Mutex::new(State::Paused(None)), Arc::default());
            Arc::new(Flight { begin: Box::new(begin), state, waiting })
        });
        *current = Arc::downgrade(&flight);
        Passenger { flight }
    }
}

impl<R> Flight<R> {
    fn landed(&self) -> bool {
        matches!(*locked(&self.state), State::Landed(_))
    }
}

/// One caller of a run.
pub(crate) struct Passenger<R> {
    flight: Arc<Flight<R>>,
}

impl<R: Clone + Send + 'static> Future for Passenger<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let flight = &self.flight;
        // Before the state is looked at, so that no change of it goes unnoticed.
        flight.waiting.register(context.waker());
        let paused = {
            let mut state = locked(&flight.state);
            match replace(&mut *state, State::Polled) {
                State::Paused(paused) => paused,
                State::Polled => return Poll::Pending,
                State::Landed(result) => {
                    *state = State::Landed(result.clone());
                    return Poll::Ready(result);
                }
            }
        };
        let mut turn = Turn { flight, next: Some(State::Paused(None)) };
        let mut future = paused.unwrap_or_else(|| (flight.begin)());
        let waker = Waker::from(Arc::clone(&flight.waiting));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        turn.next = Some(match &polled {
            Poll::Ready(result) => State::Landed(result.clone()),
            Poll::Pending => State::Paused(Some(future)),
        });
        polled
    }
}

impl<R> Drop for Passenger<R> {
    /// The wake-up that another one of the callers needs may have gone to this one.
    fn drop(&mut self) {
        self.flight.waiting.ring();
    }
}

/// A caller's turn to poll. What the state is next is said at its end, also when the poll panics.
struct Turn<'a, R> {
    flight: &'a Flight<R>,
    next: Option<State<R>>,
}

impl<R> Drop for Turn<'_, R> {
    fn drop(&mut self) {
        let Some(next) = self.next.take() else { return };
        let goes_on = matches!(next, State::Paused(Some(_)));
        *locked(&self.flight.state) = next;
        if !goes_on {
            self.flight.waiting.ring();
        }
    }
}

/// Who is to be woken when there is something to do, or to be had.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn register(&self, waker: &Waker) {
        let mut wakers = locked(&self.0);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn ring(&self) {
        let wakers = std::mem::take(&mut *locked(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::wait::{block_on, on_thread};

    /// Counts its beginnings, waits once for another thread, and says how many came before.
    fn run(begun: &Arc<AtomicU32>) -> BoxFuture<'static, u32> {
        let begun = Arc::clone(begun);
        Box::pin(async move {
            let before = begun.fetch_add(1, Ordering::SeqCst);
            on_thread(|| ()).unwrap().await;
            before
        })
    }

    #[test]
    fn a_caller_that_goes_away_leaves_the_run_to_the_others() {
        let (flights, begun) = (Flights::default(), Arc::new(AtomicU32::new(0)));
        let join = || {
            let begun = Arc::clone(&begun);
            flights.join(move || run(&begun))
        };
        let (mut leader, follower) = (join(), join());
        block_on(poll_fn(|context| {
            let _ = Pin::new(&mut leader).poll(context);
            Poll::Ready(())
        }));
        drop(leader);
        assert_eq!(block_on(follower), 0);
        assert_eq!(block_on(join()), 1, "what has landed is over");
        let gone = join();
        drop(gone);
        assert_eq!(begun.load(Ordering::SeqCst), 2, "nobody polled it");
    }

    #[test]
    fn a_run_that_panics_is_begun_anew_by_the_next_caller() {
        let (flights, begun) = (Flights::default(), Arc::new(AtomicU32::new(0)));
        let join = || {
            let begun = Arc::clone(&begun);
            flights.join(move || {
                let first = begun.fetch_add(1, Ordering::SeqCst) == 0;
                Box::pin(async move { if first { panic!("as told") } else { 7_u32 } }) as BoxFuture<'_, u32>
            })
        };
        let (first, second) = (join(), join());
        assert!(std::thread::spawn(move || block_on(first)).join().is_err());
        assert_eq!(block_on(second), 7);
    }
}

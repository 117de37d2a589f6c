//! One client for many callers: they share an update, its errors, and the work of one who went away.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use support::{FRESH, Mirror, client, first_root, now, repository};
use tuf_client::{
    AsyncClient, AsyncTransport, ClientError, Found, MemoryStore, OnThread, Refreshed, Transport,
};

fn across_threads<T: Send + Sync>(_: &T) {}

/// An executor of one task, which sleeps until it is woken.
fn run<F: Future>(future: F) -> F::Output {
    #[derive(Default)]
    struct Alarm(Mutex<bool>, Condvar);
    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }
    }
    let (mut future, alarm) = (pin!(future), Arc::new(Alarm::default()));
    let waker = Waker::from(Arc::clone(&alarm));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut woken = alarm.1.wait_while(alarm.0.lock().unwrap(), |woken| !*woken).unwrap();
        *woken = false;
    }
}

type Shared = Pin<Box<dyn Future<Output = Result<Refreshed<dyn AsyncTransport>, ClientError>> + Send>>;

/// A mirror whose first answer waits for the test, an async client of it, and that many calls under way.
fn under_way(callers: usize) -> (Arc<Mirror>, Arc<Barrier>, Vec<Shared>) {
    let repo = repository();
    let (mirror, gate) = (Mirror::of("mirror", &repo), Arc::new(Barrier::new(2)));
    let closed = Arc::clone(&gate);
    mirror.conduct(move |wanted, fetched| {
        if wanted.name == "2.root.json" {
            closed.wait();
        }
        fetched
    });
    let transport = Arc::new(OnThread::new(Arc::clone(&mirror) as Arc<dyn Transport>));
    let store = Box::<MemoryStore>::default();
    let client = AsyncClient::new_async(first_root(&repo), transport, store, now());
    across_threads(&client);
    let mut calls: Vec<Shared> = Vec::new();
    for _ in 0..callers {
        let client = client.clone();
        let mut call: Shared = Box::pin(async move { client.refresh().await });
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        calls.push(call);
    }
    (mirror, gate, calls)
}

#[test]
fn eight_threads_that_refresh_at_once_cost_one_update() {
    let (mirror, gate, calls) = under_way(8);
    let callers: Vec<_> = calls.into_iter().map(|call| thread::spawn(move || run(call))).collect();
    gate.wait();
    for caller in callers {
        assert_eq!(caller.join().unwrap().unwrap().snapshot().timestamp().version(), 1);
    }
    assert_eq!(mirror.asked(), FRESH);
}

#[test]
fn a_caller_that_goes_away_leaves_its_update_to_the_others() {
    let (mirror, gate, mut calls) = under_way(3);
    let last = calls.pop().unwrap();
    drop(calls);
    gate.wait();
    assert_eq!(run(last).unwrap().targets().version(), 1);
    assert_eq!(mirror.asked(), FRESH);
}

#[test]
fn callers_of_one_update_share_its_error_and_the_next_one_asks_again() {
    let (mirror, gate, calls) = under_way(2);
    gate.wait();
    mirror.down();
    let errors: Vec<_> = calls.into_iter().map(|call| run(call).err().unwrap()).collect();
    let [ClientError::Source { error: one, .. }, ClientError::Source { error: other, .. }] = &errors[..]
    else {
        panic!("{errors:?}")
    };
    assert!(Arc::ptr_eq(one, other));
    assert!(one.to_string().ends_with("could not reach mirror: it is down"), "{one}");
}

#[test]
fn a_blocking_client_is_shared_too_and_each_update_after_another_is_its_own() {
    let repo = repository();
    let mirror = Mirror::of("mirror", &repo);
    let client = client(&first_root(&repo), &mirror);
    across_threads(&client);
    assert_eq!(client.refresh().unwrap().targets().version(), 1);
    assert_eq!(mirror.asked(), FRESH);
    let clone = client.clone();
    let state = thread::spawn(move || clone.refresh().unwrap()).join().unwrap();
    assert_eq!(mirror.asked(), ["2.root.json", "timestamp.json"]);
    // A state is owned: it outlives its client, and another update runs beside it.
    drop(client.refresh().unwrap());
    drop(client);
    assert!(matches!(state.find("acme/none").unwrap(), Found::Absent(_)));
}

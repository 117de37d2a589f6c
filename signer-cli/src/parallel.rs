//! The same work on many things, on all processors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::failure::Failure;

/// What a thread takes at a time.
const STRIDE: usize = 64;

/// Does something with each, in no order; what comes of each is in the order of the things. The first failure ends
/// it.
pub(crate) fn each<T: Sync, R: Send>(
    things: &[T],
    work: impl Fn(&T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let strides: Vec<&[T]> = things.chunks(STRIDE).collect();
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(stride) = strides.get(number) else { return Ok(done) };
            let results: Result<Vec<R>, Failure> = stride.iter().map(&work).collect();
            match results {
                Ok(results) => done.push((number, results)),
                Err(failure) => {
                    next.store(strides.len(), Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(strides.len());
    let mut done = Vec::new();
    if threads < 2 {
        done = run()?;
    } else {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            workers.into_iter().try_for_each(|worker| {
                // A worker that panicked did not do its work.
                let lost = || Failure::unknown("a part of the work broke off");
                done.extend(worker.join().unwrap_or_else(|_| Err(lost()))?);
                Ok::<_, Failure>(())
            })
        })?;
    }
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().flat_map(|(_, results)| results).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_each_is_in_order_and_one_failure_is_all_that_comes() {
        for count in [0, 1, STRIDE, 1000] {
            let things: Vec<usize> = (0..count).collect();
            let doubled = each(&things, |thing| Ok(thing * 2)).unwrap();
            assert_eq!(doubled, things.iter().map(|thing| thing * 2).collect::<Vec<_>>());
        }
        let things: Vec<usize> = (0..1000).collect();
        let failed = each(&things, |thing| match thing {
            700 => Err(Failure::refused("seven hundred")),
            _ => Ok(()),
        });
        assert!(failed.is_err());
    }
}

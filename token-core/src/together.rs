//! Several futures of one kind, some at a time, in one task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

pub(crate) type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs all of them to their end, no more than `at_once` at a time.
pub(crate) async fn all(futures: Vec<Task<'_>>, at_once: usize) {
    let mut waiting = futures.into_iter();
    let mut running: Vec<Task<'_>> = Vec::new();
    poll_fn(|context| {
        loop {
            let room = at_once.max(1).saturating_sub(running.len());
            running.extend(waiting.by_ref().take(room));
            let before = running.len();
            running.retain_mut(|future| future.as_mut().poll(context).is_pending());
            if running.is_empty() && before == 0 {
                return Poll::Ready(());
            }
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn all_of_them_run_some_at_a_time() {
        let (running, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let one = |turns: usize| {
            let (running, most, done) = (&running, &most, &done);
            Box::pin(async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
            }) as Task<'_>
        };
        all((0..50).map(|number| one(1 + number % 4)).collect(), 8).await;
        assert_eq!((done.into_inner(), most.into_inner()), (50, 8));
        all(Vec::new(), 8).await;
    }
}

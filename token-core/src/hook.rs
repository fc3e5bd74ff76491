//! Running what the host has written: its panics and its delays end in an error, not in ours.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_timer::Delay;

/// Why a hook of the host gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    #[error("a hook of the host panicked")]
    Panicked,
    #[error("no answer came in time")]
    TimedOut,
}

/// The answer of a hook, or that it panicked.
pub(crate) async fn caught<F: Future>(hook: impl FnOnce() -> F) -> Result<F::Output, HookError> {
    // Called inside of the future, so that a panic of the call itself is caught too.
    let mut hook = pin!(async { hook().await });
    // The future is never polled again after a panic, so nothing half-changed is seen.
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| hook.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(HookError::Panicked)),
    })
    .await
}

/// The answer of a hook, or that it panicked or took longer than `limit`.
pub(crate) async fn caught_within<F: Future>(
    limit: Duration,
    hook: impl FnOnce() -> F,
) -> Result<F::Output, HookError> {
    within(limit, caught(hook)).await.flatten()
}

/// The answer, or that it took longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, HookError> {
    let mut answer = pin!(answer);
    // What is ready at once needs no timer.
    let mut timer: Option<Delay> = None;
    poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Ok(answer)),
        Poll::Pending => {
            let timer = timer.get_or_insert_with(|| Delay::new(limit));
            std::pin::Pin::new(timer).poll(context).map(|()| Err(HookError::TimedOut))
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bug() {
        panic!("a bug of the host's")
    }

    #[tokio::test]
    async fn answers_panics_and_delays_are_told_apart() {
        let long = Duration::from_secs(3600);
        assert!(matches!(caught_within(long, || async { 1 }).await, Ok(1)));
        assert!(matches!(caught_within(long, || async { bug() }).await, Err(HookError::Panicked)));
        let at_the_call = || {
            bug();
            std::future::ready(())
        };
        assert!(matches!(caught_within(long, at_the_call).await, Err(HookError::Panicked)));
        let hanging = std::future::pending::<()>;
        assert!(matches!(caught_within(Duration::from_millis(1), hanging).await, Err(HookError::TimedOut)));
    }
}

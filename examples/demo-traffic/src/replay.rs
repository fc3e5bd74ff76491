//! The traffic, if it was asked for, and the clock that goes with it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use token_core::{Actor, Clock, ListFilter, Position, SystemClock, Time, Tokens};

use crate::Call;
use crate::story::Story;

/// The traffic, if it was asked for, and the clock that goes with it.
#[derive(Debug)]
pub struct Replay {
    clock: Arc<Behind>,
    is_asked_for: bool,
}

/// The system's clock, some microseconds behind.
#[derive(Debug, Default)]
pub(crate) struct Behind(AtomicI64);

impl Clock for Behind {
    fn now(&self) -> Time {
        let behind = Duration::from_micros(self.0.load(Ordering::Relaxed).unsigned_abs());
        SystemClock.now().saturating_sub(behind)
    }
}

impl Behind {
    pub(crate) fn set(&self, behind: Duration) {
        self.0.store(i64::try_from(behind.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl Replay {
    /// Asked for by an argument of the program.
    pub fn asked_for() -> Replay {
        Replay { clock: Arc::default(), is_asked_for: std::env::args().any(|argument| argument == "--demo-traffic") }
    }

    /// The clock that the service is to have.
    pub fn clock(&self) -> Arc<dyn Clock> {
        if self.is_asked_for { Arc::clone(&self.clock) as Arc<dyn Clock> } else { Arc::new(SystemClock) }
    }

    /// Plays all of it, unless ann has tokens already. What is sent is answered with a status.
    ///
    /// # Errors
    /// If ann's tokens can't be read or changed, a request can't be sent, or one is answered as in an outage.
    pub async fn play(
        &self,
        tokens: &Tokens,
        ann: Actor,
        send: impl AsyncFn(&Call<'_>) -> Result<u16, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let any = tokens.manage(&ann).list(None, ListFilter::Any, None, Position::Created(None), 1).await?;
        if !self.is_asked_for || !any.tokens.is_empty() {
            return Ok(());
        }
        let played = Story { tokens, ann, clock: &self.clock, send }.play().await;
        self.clock.set(Duration::ZERO);
        played?;
        Ok(tokens.flush().await?)
    }
}

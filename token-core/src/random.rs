//! Randomness, from the operating system unless a source is injected.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rand_core::{CryptoRng, TryRng};

/// The operating system gave no random bytes. Nothing was made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random source failed; nothing was made, try again")]
pub struct RandomError(#[source] getrandom::Error);

/// The one source of random bytes of a service.
pub(crate) enum Random {
    Os,
    // Behind a lock and never cloned: two copies of a generator would give out the same secrets.
    Injected(Mutex<Box<dyn CryptoRng + Send>>),
}

impl Random {
    pub(crate) fn injected(rng: impl CryptoRng + Send + 'static) -> Random {
        Random::Injected(Mutex::new(Box::new(rng)))
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        match self {
            Random::Os => getrandom::SysRng.try_fill_bytes(bytes).map_err(RandomError),
            Random::Injected(rng) => {
                rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
                Ok(())
            }
        }
    }

    pub(crate) fn array<const N: usize>(&self) -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Random::Os => "Random::Os",
            Random::Injected(_) => "Random::Injected(..)",
        })
    }
}

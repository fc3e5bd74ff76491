//! A server on one processor and its load on another, so that neither is moved and neither takes the other's time.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Trouble;

/// The processor of a server and that of its load. Those of the thread that made it are its own again when it is dropped.
#[derive(Debug)]
pub struct Apart {
    before: CpuSet,
    server: CpuSet,
    load: CpuSet,
}

impl Apart {
    /// The first two that this thread may run on, of which it takes the one of the load.
    ///
    /// # Errors
    /// If there is but one, or the system does not say.
    pub fn new() -> Result<Apart, Trouble> {
        let before = sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|processor| before.is_set(*processor));
        let mut next = || -> Result<CpuSet, Trouble> {
            let mut only = CpuSet::new();
            only.set(allowed.next().ok_or("a server and its load need a processor each")?);
            Ok(only)
        };
        let (server, load) = (next()?, next()?);
        let apart = Apart { before, server, load };
        sched_setaffinity(None, &apart.load)?;
        Ok(apart)
    }

    /// Starts something on the processor of the server, where all threads that it starts stay.
    ///
    /// # Errors
    /// That of the start.
    pub fn serve<T>(&self, start: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        sched_setaffinity(None, &self.server)?;
        let started = start();
        sched_setaffinity(None, &self.load)?;
        started
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It was so before. Where it can't be any more, what is measured next is measured on one processor, and says so.
        if let Err(error) = sched_setaffinity(None, &self.before) {
            crate::table::say(&format!("this thread stays on one processor: {error}"));
        }
    }
}

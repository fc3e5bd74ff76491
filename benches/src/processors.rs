//! Where threads run, for rows that would else say where the system happened to put them.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Trouble;

/// A server on one processor and its load on another, so that neither is moved and neither takes the other's time.
#[derive(Debug)]
pub struct Apart {
    server: CpuSet,
    load: CpuSet,
    _before: Before,
}

/// This thread, and all that it starts, on one processor: for those that hand each other work and wait for it. On two, each waits for
/// the other's processor to wake up, which takes as long as the work.
#[derive(Debug)]
pub struct Together {
    _before: Before,
}

/// The processors of a thread, which are its own again when this is dropped.
#[derive(Debug)]
struct Before(CpuSet);

impl Apart {
    /// The first two that this thread may run on, of which it takes the one of the load.
    ///
    /// # Errors
    /// If there is but one, or the system does not say.
    pub fn new() -> Result<Apart, Trouble> {
        let before = Before::of_this_thread()?;
        let mut each = before.each();
        let (server, load) = each.next().zip(each.next()).ok_or("a server and its load need a processor each")?;
        sched_setaffinity(None, &load)?;
        Ok(Apart { server, load, _before: before })
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

impl Together {
    /// The first that this thread may run on.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn new() -> Result<Together, Trouble> {
        let before = Before::of_this_thread()?;
        sched_setaffinity(None, &before.each().next().ok_or("a thread without a processor")?)?;
        Ok(Together { _before: before })
    }
}

impl Before {
    fn of_this_thread() -> Result<Before, Trouble> {
        Ok(Before(sched_getaffinity(None)?))
    }

    /// Each processor by itself.
    fn each(&self) -> impl Iterator<Item = CpuSet> + use<> {
        let allowed = self.0;
        (0..CpuSet::MAX_CPU).filter(move |processor| allowed.is_set(*processor)).map(|processor| {
            let mut only = CpuSet::new();
            only.set(processor);
            only
        })
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        // It was so before. Where it can't be any more, what is measured next is measured on one processor, and says so.
        if let Err(error) = sched_setaffinity(None, &self.0) {
            crate::table::say(&format!("this thread stays on one processor: {error}"));
        }
    }
}

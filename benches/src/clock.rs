//! What the operating system says of time and memory spent.

use std::time::{Duration, Instant};

use crate::Trouble;

/// This moment.
#[expect(clippy::disallowed_methods, reason = "this package measures, and injects no clock")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// How long something took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = now();
    let done = work();
    (done, started.elapsed())
}

/// A thread, by its place under `/proc`.
#[derive(Debug, Clone)]
pub struct Thread(String);

impl Thread {
    /// The thread that calls.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn current() -> Result<Thread, Trouble> {
        let link = std::fs::read_link("/proc/thread-self")?;
        Ok(Thread(format!("/proc/{}/schedstat", link.display())))
    }

    /// How long it has been running on a processor.
    ///
    /// # Errors
    /// If the kernel does not say, or the thread is gone.
    pub fn on_cpu(&self) -> Result<Duration, Trouble> {
        let stat = std::fs::read_to_string(&self.0)?;
        let nanoseconds = stat.split_whitespace().next().ok_or("an empty schedstat")?;
        Ok(Duration::from_nanos(nanoseconds.parse()?))
    }
}

/// Bytes of this process that are in memory.
///
/// # Errors
/// Where there is no `/proc`.
pub fn resident() -> Result<u64, Trouble> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

//! Events as lines of JSON in a file.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::future::poll_fn;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::event::Event;

use super::AuditSink;

/// Appends every event to a file, one JSON object a line:
///
/// ```text
/// {"subject":"token:01935b2a-…","seq":1,"at":"2027-01-31T12:00:00Z","owner":"ann","actor":"ann","event":{"kind":"created",…},"hash":"…"}
/// ```
///
/// A line is on the disk (`fdatasync`) before its event counts as delivered. After a crash or a lost answer an event may be there twice, which its
/// subject and number tell; a line that was cut off is followed by a whole one. Files are written on a thread of their own.
/// Rotation is for the operator's tools: they copy and truncate, since the file stays open.
#[derive(Debug)]
pub struct NdjsonSink {
    /// Locked for as long as it takes to send.
    jobs: Mutex<Sender<Job>>,
}

#[derive(Debug)]
struct Job {
    line: Vec<u8>,
    done: Arc<Mutex<Done>>,
}

#[derive(Debug, Default)]
struct Done {
    written: Option<io::Result<()>>,
    waker: Option<Waker>,
}

impl NdjsonSink {
    /// Appends to the file at this path, which is made if there is none, for its owner alone.
    ///
    /// # Errors
    /// [`io::Error`] if it can't be opened for reading and appending, or no thread can be had.
    pub fn open(path: impl AsRef<Path>) -> io::Result<NdjsonSink> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut lines = Lines::of(options.open(path)?)?;
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new().name("token-audit".into()).spawn(move || {
            // Until the sink is dropped.
            for Job { line, done } in queue {
                let written = lines.append(&line);
                let mut done = lock(&done);
                done.written = Some(written);
                if let Some(waker) = done.waker.take() {
                    waker.wake();
                }
            }
        })?;
        Ok(NdjsonSink { jobs: Mutex::new(jobs) })
    }
}

#[async_trait]
impl AuditSink for NdjsonSink {
    async fn deliver(&self, event: &Event) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut line = serde_json::to_vec(&json!({
            "subject": event.subject.to_string(),
            "seq": event.seq,
            "at": event.at,
            "owner": event.owner,
            "actor": event.actor,
            "event": serde_json::from_str::<Value>(&event.body)?,
            "hash": event.hash,
        }))?;
        line.push(b'\n');
        let done = Arc::new(Mutex::new(Done::default()));
        lock(&self.jobs).send(Job { line, done: Arc::clone(&done) })?;
        poll_fn(|context| {
            let mut done = lock(&done);
            if let Some(written) = done.written.take() {
                return Poll::Ready(written);
            }
            done.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await?;
        Ok(())
    }
}

/// A file of whole lines, but perhaps the last.
struct Lines {
    file: File,
    cut_off: bool,
}

impl Lines {
    fn of(mut file: File) -> io::Result<Lines> {
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Lines { file, cut_off: last != [b'\n'] })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.cut_off {
            self.file.write_all(b"\n")?;
        }
        self.cut_off = true;
        self.file.write_all(line)?;
        self.cut_off = false;
        self.file.sync_data()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

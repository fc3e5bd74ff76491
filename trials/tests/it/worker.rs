//! A worker as a trial sees it.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use token_trials::Line;

pub(crate) struct Worker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub(crate) fn start(arguments: &[&str]) -> Worker {
        let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Worker { lines, child }
    }

    /// The next line; `None` once it has ended.
    pub(crate) fn line(&mut self) -> Option<Line> {
        let line = self.lines.next()?.unwrap();
        Some(serde_json::from_str(&line).unwrap())
    }

    /// All that it still says, until it ends by itself.
    pub(crate) fn finish(mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(line) = self.line() {
            lines.push(line);
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        lines
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A trial that fails leaves no process behind. One that has ended already can't be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

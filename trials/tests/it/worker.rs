//! A worker as a trial sees it: what it says, and a word to it.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use token_trials::Line;

pub(crate) struct Worker {
    child: Child,
    words: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub(crate) fn start(arguments: &[&str]) -> Worker {
        let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Worker { words: child.stdin.take().unwrap(), lines, child }
    }

    /// The next line; `None` once it has ended.
    pub(crate) fn line(&mut self) -> Option<Line> {
        let line = self.lines.next()?.unwrap();
        // The last may be cut short by a kill.
        serde_json::from_str(&line).ok()
    }

    /// Lets it take its next step.
    pub(crate) fn go_on(&mut self) {
        self.words.write_all(b"\n").unwrap();
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for its end, which must be that of a kill.
    pub(crate) fn killed(mut self) {
        const KILL: i32 = 9;
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(KILL), "{status}");
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

//! What a worker tells its trial, line by line.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::request::{Answer, Request};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// This change is asked for now.
    Start(Request),
    /// The transaction of a change has come to here.
    Phase(String),
    /// What came of a change.
    Answer(Request, Answer),
    /// A token was used so often.
    Counted {
        /// How often.
        uses: u64,
    },
}

/// Says it at once: what was said is heard even if the process is killed next.
///
/// # Errors
/// If nobody listens.
pub fn say(line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

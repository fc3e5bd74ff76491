//! The cases, as `cases.json` has them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::answer::{Came, Expected};
use crate::people::People;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    /// What the file says of itself.
    #[serde(rename = "about")]
    _about: Vec<String>,
    /// Answers that many cases have, by name.
    answers: BTreeMap<String, Expected>,
    cases: Vec<CaseText>,
}

/// One request and its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: String,
    /// Method and target.
    send: String,
    /// Header lines beside `Host`, `Connection` and, with a body, `Content-Length`. Each character is a byte.
    #[serde(default)]
    lines: Vec<String>,
    /// Who is signed in and sends it from a page of the service's own.
    #[serde(rename = "as")]
    by: Option<String>,
    body: Option<String>,
    /// How often the body is repeated.
    times: Option<usize>,
    store: Option<Store>,
    answer: Answer,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Named(String),
    Written(Expected),
    /// The server itself refuses, before it hands anything on: with one of these statuses, or by hanging up.
    ByTheServer {
        by_the_server: Vec<u16>,
    },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Store {
    Down,
    Up,
}

pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    pub(crate) store: Option<Store>,
    text: &'a CaseText,
    cases: &'a Cases,
}

impl Cases {
    pub(crate) fn read() -> Cases {
        serde_json::from_str(include_str!("../cases.json")).expect("cases that can be read")
    }

    pub(crate) fn len(&self) -> usize {
        self.cases.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Case<'_>> {
        self.cases.iter().map(|text| Case { name: &text.name, store: text.store, text, cases: self })
    }
}

impl Case<'_> {
    /// The request as bytes.
    pub(crate) fn request(&self, known: &People) -> Vec<u8> {
        self.sending(&self.text.send, known)
    }

    /// The same by GET, of a request by HEAD.
    pub(crate) fn get_of_head(&self, known: &People) -> Option<Vec<u8>> {
        let target = self.text.send.strip_prefix("HEAD ")?;
        Some(self.sending(&format!("GET {target}"), known))
    }

    fn sending(&self, send: &str, known: &People) -> Vec<u8> {
        let mut lines = vec!["Host: localhost".to_owned(), "Connection: close".to_owned()];
        if let Some(by) = &self.text.by {
            lines.push(format!("Cookie: demo_session=${{{by}}}"));
            lines.push("Origin: ${origin}".to_owned());
        }
        lines.extend_from_slice(&self.text.lines);
        let body = self.text.body.as_deref().unwrap_or_default().repeat(self.text.times.unwrap_or(1));
        let body = bytes(&known.filled(&body));
        let framed = |line: &String| {
            let line = line.to_ascii_lowercase();
            line.starts_with("content-length:") || line.starts_with("transfer-encoding:")
        };
        if self.text.body.is_some() && !lines.iter().any(framed) {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        let head = format!("{send} HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"));
        [bytes(&known.filled(&head)), body].concat()
    }

    /// Whether this is the answer. What it names is known from here on.
    pub(crate) fn compare(&self, came: &[u8], known: &mut People) -> Result<(), String> {
        let (expected, name) = match &self.text.answer {
            Answer::ByTheServer { by_the_server } => {
                // It may hang up without a word on what it does not want to read.
                let refused = came.is_empty() || Came::read(came)?.is_one_of(by_the_server);
                return if refused { Ok(()) } else { Err("not a refusal of the server's".into()) };
            }
            Answer::Named(name) => {
                let named = self.cases.answers.get(name);
                (named.unwrap_or_else(|| panic!("{}: there is no answer named {name}", self.name)), name.as_str())
            }
            Answer::Written(expected) => (expected, "its answer"),
        };
        let head = self.text.send.starts_with("HEAD ");
        expected.compare(&Came::read(came)?, head, known).map_err(|why| format!("not {name}: {why}"))
    }
}

/// Each character as the byte of its number, so that a file of text can hold any.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("characters that are bytes")).collect()
}

//! An answer that came, and one that was expected.

use std::fmt;

use regex::Regex;
use serde::Deserialize;

use crate::people::People;

/// Headers that are the server's own: when it answered, and how it frames and keeps connections.
const OF_THE_SERVER: [&str; 5] = ["connection", "content-length", "date", "keep-alive", "transfer-encoding"];

pub(crate) const RECEIPT: &str = "[A-Za-z0-9_-]{88}";
pub(crate) const ID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}";
pub(crate) const TIME: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z";
pub(crate) const TEXT: &str = "acme_live_[0-9A-Za-z]{54}";
pub(crate) const MASKED: &str = "acme_live_[0-9A-Za-z]{4}…";

/// What stands for text that differs from run to run. `<id=deploy>` is an `<id>` that later cases know as `${deploy}`.
const VARYING: [(&str, &str); 8] = [
    ("receipt", RECEIPT),
    ("id", ID),
    ("time", TIME),
    ("seconds", "[0-9]{10}"),
    ("text", TEXT),
    ("masked", MASKED),
    ("session", "[0-9a-f]{32}"),
    // Its own tests say what is on it.
    ("page", "(?s:\n<!doctype html>.*</html>\n?)"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    status: u16,
    /// Every header but the server's own, names in lower case.
    headers: Vec<String>,
    body: String,
}

/// An answer, taken apart.
pub(crate) struct Came {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Came {
    pub(crate) fn read(bytes: &[u8]) -> Result<Came, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "an answer that is no text")?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':').ok_or("a header without a colon")?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.map(header).collect::<Result<Vec<_>, String>>()?;
        let chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        let body = if chunked { joined(body)? } else { body.to_owned() };
        Ok(Came { status: status.ok_or("no status line")?, headers, body })
    }

    pub(crate) fn is_one_of(&self, statuses: &[u16]) -> bool {
        statuses.contains(&self.status)
    }

    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    pub(crate) fn check_length(&self) -> Result<(), String> {
        self.check_length_of(&self.body)
    }

    /// An answer to HEAD states the length of what GET is answered, or none (RFC 9110 §8.6).
    pub(crate) fn check_head_of(&self, get: &Came) -> Result<(), String> {
        self.check_length_of(&get.body)
    }

    fn check_length_of(&self, body: &str) -> Result<(), String> {
        let stated = self.headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.as_str());
        match stated {
            Some(stated) if stated != body.len().to_string() => {
                Err(format!("a content-length of {stated} instead of {}", body.len()))
            }
            _ => Ok(()),
        }
    }
}

/// With every header but the server's own, in the order of their names.
impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        let mut headers: Vec<_> =
            self.headers.iter().filter(|(name, _)| !OF_THE_SERVER.contains(&name.as_str())).collect();
        headers.sort_unstable();
        headers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))?;
        writeln!(f, "\n{}", self.body)
    }
}

impl Expected {
    pub(crate) fn compare(&self, came: &Came, head: bool, known: &mut People) -> Result<(), String> {
        if came.status != self.status {
            return Err(format!("status {} instead of {}", came.status, self.status));
        }
        if !head {
            came.check_length()?;
        }
        let mut held: Vec<String> = Vec::new();
        for (name, value) in &came.headers {
            // Where a route that takes other methods is the host's, so is the way to say which; ours are expected by name.
            let of_the_host = name == "allow" && !self.headers.iter().any(|line| line.starts_with("allow:"));
            if !of_the_host && !OF_THE_SERVER.contains(&name.as_str()) {
                held.push(format!("{name}: {value}"));
            }
        }
        held.sort_unstable();
        let mut wanted = self.headers.clone();
        wanted.sort_unstable();
        if held.len() != wanted.len() {
            return Err(format!("the headers are {held:?} instead of {wanted:?}"));
        }
        for (held, wanted) in held.iter().zip(&wanted) {
            matched(wanted, held, known).ok_or_else(|| format!("{held:?} instead of {wanted:?}"))?;
        }
        let body = if head { "" } else { &self.body };
        matched(body, &came.body, known).ok_or_else(|| format!("the body is not {body:?}"))
    }
}

/// Whether a text is the one that was written, but for what varies.
fn matched(written: &str, text: &str, known: &mut People) -> Option<()> {
    let written = known.filled(written);
    let mut pattern = "^".to_owned();
    let mut names = Vec::new();
    let mut rest = written.as_str();
    while let Some((before, after)) = rest.split_once('<') {
        let found = after.split_once('>').and_then(|(inner, after)| {
            let (kind, name) = inner.split_once('=').map_or((inner, None), |(kind, name)| (kind, Some(name)));
            VARYING.iter().find(|(varying, _)| *varying == kind).map(|(_, pattern)| (pattern, name, after))
        });
        pattern.push_str(&regex::escape(before));
        if let Some((varying, name, after)) = found {
            pattern.push('(');
            pattern.push_str(varying);
            pattern.push(')');
            names.push(name);
            rest = after;
        } else {
            pattern.push('<');
            rest = after;
        }
    }
    pattern.push_str(&regex::escape(rest));
    pattern.push('$');
    let captures = Regex::new(&pattern).unwrap().captures(text)?;
    for (name, group) in names.iter().zip(captures.iter().skip(1)) {
        if let (Some(name), Some(group)) = (name, group) {
            known.learn(name, group.as_str());
        }
    }
    Some(())
}

/// A body that came in chunks.
fn joined(mut chunks: &str) -> Result<String, String> {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n").ok_or("a chunk without a size")?;
        let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk whose size is none")?;
        if size == 0 {
            return Ok(body);
        }
        body.push_str(rest.get(..size).ok_or("a chunk that is cut short")?);
        chunks = rest[size..].strip_prefix("\r\n").ok_or("a chunk without an end")?;
    }
}

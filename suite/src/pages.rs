//! The pages of people who are signed in, and their forms: one visit, written down, which every framework must serve alike.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use regex::{Captures, Regex};

use crate::answer::{Came, ID, MASKED, RECEIPT, TEXT, TIME};
use crate::broken;
use crate::people::People;
use crate::program::Program;
use crate::wire::exchange;

/// Where it is written down.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pages.txt");

const MADE: &str = "nonce=${nonce}&name=deploy+%3Cb%3E%26&p.projects=write&p.invoices=read&reach=all&resources=&expires=30&date=&networks=";
const WRONG: &str =
    "nonce=${nonce}&name=+&p.projects=read&reach=some&resources=&expires=date&date=&networks=198.51.100.7%2F24";
const EDITED: &str = "nonce=${nonce}&revision=1&name=edited&p.projects=read&reach=some&resources=p1%0D%0Ap2&expires=keep&date=&networks=127.0.0.0%2F8";
const REHEARSED: &str =
    "nonce=${nonce}&do=rehearse&live=10&max_lifetime=30+d&default_lifetime=30+d&max_overlap=7+d&default_overlap=1+d";
const SET: &str = "nonce=${nonce}&do=set&live=many&max_lifetime=&never_expires=on&default_lifetime=30+d&max_overlap=7+d&default_overlap=9+d";

/// By whom, what, and the form that is sent. `${token}` is the first token of the last list, `${nonce}` and `${value}` what pages held,
/// `${receipt}` what a refusal did.
const VISIT: [(&str, &str, &str); 41] = [
    ("bob", "GET /settings/tokens", ""),
    ("bob", "GET /settings/tokens/new", ""),
    ("bob", "GET /settings/tokens/new?name=linked&preset=deploy&expires=7", ""),
    ("bob", "POST /settings/tokens/new", WRONG),
    ("bob", "POST /settings/tokens/new", MADE),
    // Again.
    ("bob", "POST /settings/tokens/new", MADE),
    ("bob", "GET /settings/tokens?q=deploy&sort=name", ""),
    ("bob", "GET /settings/tokens/${token}", ""),
    ("bob", "GET /settings/tokens/${token}/edit", ""),
    ("bob", "POST /settings/tokens/${token}/edit", EDITED),
    // Again.
    ("bob", "POST /settings/tokens/${token}/edit", EDITED),
    ("bob", "GET /settings/tokens/${token}/rotate", ""),
    ("bob", "POST /settings/tokens/${token}/rotate", "nonce=${nonce}&overlap=86400"),
    ("bob", "GET /settings/tokens?q=edited", ""),
    ("bob", "GET /settings/tokens/${token}/rotate", ""),
    ("bob", "GET /settings/tokens/${token}/end-overlap", ""),
    ("bob", "POST /settings/tokens/${token}/end-overlap", "nonce=${nonce}"),
    ("bob", "GET /settings/tokens/${token}/revoke", ""),
    ("bob", "POST /settings/tokens/${token}/revoke", "nonce=${nonce}&name=another"),
    ("bob", "POST /settings/tokens/${token}/revoke", "nonce=${nonce}&name=edited"),
    ("bob", "GET /settings/tokens/${token}", ""),
    ("bob", "GET /settings/tokens/revoke?t.${bobs_id}=on&t.${token}=on", ""),
    ("bob", "POST /settings/tokens/revoke", "nonce=${nonce}&t.${bobs_id}=on"),
    ("bob", "GET /settings/tokens?state=revoked", ""),
    ("bob", "GET /settings/tokens/revoke", ""),
    ("bob", "GET /settings/tokens/receipt", ""),
    ("whoever has the value", "GET /projects", ""),
    ("bob", "POST /settings/tokens/receipt", "receipt=${receipt}"),
    ("viewer", "POST /settings/tokens/receipt", "receipt=${receipt}"),
    ("bob", "POST /settings/tokens/receipt", "receipt=none"),
    // What is not bob's.
    ("bob", "GET /settings/tokens/${fresh_id}", ""),
    ("bob", "GET /settings/tokens/none", ""),
    ("bob", "GET /settings/tokens/policy", ""),
    ("bob", "DELETE /settings/tokens/new", ""),
    ("bob, an hour ago", "GET /settings/tokens/new", ""),
    ("bob, an hour ago", "POST /settings/tokens/new", MADE),
    ("viewer", "GET /settings/tokens/new", ""),
    ("nobody", "GET /settings/tokens?state=any", ""),
    ("admin", "GET /settings/tokens/policy", ""),
    ("admin", "POST /settings/tokens/policy", REHEARSED),
    ("admin", "POST /settings/tokens/policy", SET),
];

/// What pages hold that later requests send, and what it stands behind.
const HELD: [(&str, &str); 4] = [
    ("nonce", "name=\"nonce\" value=\""),
    ("value", "id=\"value\" value=\""),
    ("token", "class=\"name\" href=\"/settings/tokens/"),
    ("receipt", "\"receipt\":\""),
];

/// What differs from run to run. Where two could be meant, the first is.
const VARYING: [(&str, &str); 11] = [
    ("text", TEXT),
    ("masked", MASKED),
    ("receipt", RECEIPT),
    ("nonce", "[A-Za-z0-9_-]{75}"),
    ("id", ID),
    ("time", TIME),
    ("moment", r"\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d UTC"),
    ("day", r"\d{1,2} [A-Z][a-z]{2} \d{4}"),
    ("date", r"\d{4}-\d\d-\d\d"),
    ("ago", r"[>(](?:now|\d+ (?:s|min) ago)[<)]"),
    ("asset", r"\b[0-9a-f]{16}\b"),
];

/// Plays the visit against a quickstart, and says how many requests it was. With `UPDATE_SNAPSHOTS=1` it is written down anew.
///
/// # Panics
/// If anything is answered otherwise than it is written down, with the first line that is.
pub fn play_pages(quickstart: &Path) -> usize {
    let program = Program::start(quickstart);
    let played = play(&program, program.address());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(FILE, &played).unwrap();
    }
    if let Some(difference) = first_difference(&fs::read_to_string(FILE).unwrap_or_default(), &played) {
        panic!("pages.txt differs; if that is meant, run with UPDATE_SNAPSHOTS=1 and review it:\n{difference}");
    }
    VISIT.len()
}

/// Plays the visit through wrappers that break the quickstart, each on a fresh start, and through one that breaks nothing.
///
/// # Panics
/// If a broken one passes, or the control does not.
pub fn play_broken_pages(quickstart: &Path) -> usize {
    let expected = fs::read_to_string(FILE).unwrap();
    let wrappers = broken::wrappers_of_pages();
    std::thread::scope(|scope| {
        for (name, wrapper) in &wrappers {
            let expected = &expected;
            scope.spawn(move || {
                let program = Program::start(quickstart);
                let played = play(&program, broken::wrap(program.address(), *wrapper));
                let difference = first_difference(expected, &played);
                assert_eq!(difference.is_none(), *name == broken::CONTROL, "one that {name}: {difference:?}");
            });
        }
    });
    wrappers.len() - 1
}

/// What was asked and answered, as it is written down.
fn play(program: &Program, address: SocketAddr) -> String {
    let mut known = People::meet(program);
    known.sign_in_long_ago(program, "bob");
    let mut played = String::new();
    let mut frames = Frames(Vec::new());
    // Until a page says them; a broken one may never.
    HELD.iter().for_each(|(name, _)| known.learn(name, "unknown"));
    for (who, send, form) in VISIT {
        let came = exchange(address, known.filled(&request(who, send, form, &known)).as_bytes());
        let came = Came::read(&came).unwrap_or_else(|why| panic!("{who}: {send}: {why}"));
        came.check_length().unwrap_or_else(|why| panic!("{who}: {send}: {why}"));
        let asked = format!("=== {who}: {send} {form}");
        // What is written to a string is written.
        writeln!(played, "{}\n{}", asked.trim_end(), frames.folded(&came.to_string())).unwrap();
        for (name, before) in HELD {
            let held = came.body().split_once(before).and_then(|(_, after)| after.split_once('"'));
            held.into_iter().for_each(|(held, _)| known.learn(name, held));
        }
    }
    written(&played.replace(&known.filled("${origin}"), "<origin>"))
}

fn request(who: &str, send: &str, form: &str, known: &People) -> String {
    let mut request = format!("{send} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    request += &match who {
        "nobody" => String::new(),
        "whoever has the value" => "Authorization: Bearer ${value}\r\n".to_owned(),
        _ => format!("Cookie: demo_session=${{{who}}}\r\nOrigin: ${{origin}}\r\n"),
    };
    if send.starts_with("POST") {
        let body = known.filled(form);
        request += "Content-Type: application/x-www-form-urlencoded\r\n";
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    } else {
        request += "\r\n";
    }
    request
}

/// What pages have around what they are about: headers, and lines before the content, but for the title.
struct Frames(Vec<String>);

impl Frames {
    /// A page with its frame where it is the first that has it, else with the frame's number.
    fn folded(&mut self, answer: &str) -> String {
        let Some((frame, content)) = answer.split_once("<main") else { return answer.to_owned() };
        let (status, frame) = frame.split_once('\n').unwrap_or_default();
        let (title, frame): (Vec<&str>, Vec<&str>) = frame.split('\n').partition(|line| line.starts_with("<title>"));
        let (title, frame) = (title.join("\n"), frame.join("\n"));
        if let Some(before) = self.0.iter().position(|known| *known == frame) {
            return format!("{status}\n(frame {})\n{title}\n<main{content}", before + 1);
        }
        self.0.push(frame);
        format!(
            "{status}\n(frame {})\n{}\n(end of frame)\n{title}\n<main{content}",
            self.0.len(),
            self.0[self.0.len() - 1]
        )
    }
}

/// With a name in the place of all that varies: the same value has the same name wherever it is.
fn written(played: &str) -> String {
    let all = VARYING.map(|(kind, pattern)| format!("(?<{kind}>{pattern})")).join("|");
    let mut values: Vec<(&str, String)> = Vec::new();
    let name = |found: &Captures<'_>| {
        let (kind, _) = VARYING.into_iter().find(|(kind, _)| found.name(kind).is_some()).unwrap();
        if kind == "ago" {
            let around = found[0].split_at(1);
            return format!("{}<ago>{}", around.0, &around.1[around.1.len() - 1..]);
        }
        // Moments may fall together, or not.
        if ["time", "moment", "day", "date"].contains(&kind) {
            return format!("<{kind}>");
        }
        let value = (kind, found[0].to_owned());
        if !values.contains(&value) {
            values.push(value.clone());
        }
        let number = values.iter().filter(|(of, _)| *of == kind).position(|one| *one == value).unwrap_or_default() + 1;
        format!("<{kind} {number}>")
    };
    Regex::new(&all).unwrap().replace_all(played, name).into_owned()
}

/// The first line that is another, and whose answer it is in.
fn first_difference(expected: &str, played: &str) -> Option<String> {
    let mut step = "";
    let mut expected = expected.split('\n');
    for line in played.split('\n') {
        if line.starts_with("=== ") {
            step = line;
        }
        let wanted = expected.next();
        if wanted != Some(line) {
            return Some(format!("{step}\n- {:?}\n+ {line:?}", wanted.unwrap_or("nothing more")));
        }
    }
    expected.next().map(|wanted| format!("{step}\n- {wanted}\n+ nothing more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_named_and_the_same_value_has_the_same_name() {
        let [one, two] = [1, 2].map(|n| format!("01935b2a-7c1e-7000-8000-00000000000{n}"));
        let text = format!("acme_live_{}", "a".repeat(54));
        let written = written(&format!("{one} {two} {one} {text} 4 Nov 2026, 16:00 UTC <time>now</time>"));
        assert_eq!(written, "<id 1> <id 2> <id 1> <text 1> <moment> <time><ago></time>");
    }

    #[test]
    fn a_frame_is_written_once_and_another_one_anew() {
        let mut frames = Frames(Vec::new());
        let page = |title: &str, nav: &str| format!("200\na: b\n\n<title>{title}</title>\n{nav}\n<main>{title}</main>");
        let folded = [("x", "ann"), ("y", "ann"), ("z", "bob")].map(|(title, nav)| frames.folded(&page(title, nav)));
        assert_eq!(folded[0], "200\n(frame 1)\na: b\n\nann\n\n(end of frame)\n<title>x</title>\n<main>x</main>");
        assert_eq!(folded[1], "200\n(frame 1)\n<title>y</title>\n<main>y</main>");
        assert!(folded[2].contains("(frame 2)\na: b\n\nbob\n"));
        assert_eq!(frames.folded("303\nlocation: /x\n\n"), "303\nlocation: /x\n\n");
    }

    #[test]
    fn a_page_that_differs_by_a_character_ends_early_or_goes_on_is_found_out() {
        let page = "=== bob\n200\n<h1>x</h1>\n";
        assert_eq!(first_difference(page, page), None);
        for other in [&page.replace("<h1>x", "<h1>y"), &page.replace("<h1>x</h1>\n", ""), &format!("{page}more\n")] {
            assert!(first_difference(page, other).is_some_and(|said| said.starts_with("=== bob")), "{other}");
        }
    }
}

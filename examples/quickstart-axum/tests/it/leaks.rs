//! A secret is in the answer that shows it, and nowhere else: not in the database, not in any log.

use std::collections::HashSet;
use std::fs;

use serde_json::Value;

use crate::program::Place;

/// So many characters in a row would be a leak.
const WINDOW: usize = 8;
const SELECTOR: usize = 16;
const VERIFIER: usize = 32;
const CHECKSUM: usize = 6;

/// Every window of some verifiers, in each form in which it could be written down.
#[derive(Default)]
struct Needles(HashSet<Vec<u8>>);

impl Needles {
    fn of<'a>(tokens: impl IntoIterator<Item = &'a String>) -> Needles {
        let mut needles = Needles::default();
        for token in tokens {
            windows(token).for_each(|window| needles.0.extend(forms(window)));
        }
        needles
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        let lengths: HashSet<usize> = self.0.iter().map(Vec::len).collect();
        lengths.into_iter().any(|length| bytes.windows(length).any(|part| self.0.contains(part)))
    }
}

fn verifier(token: &str) -> &[u8] {
    let body = token.len() - SELECTOR - VERIFIER - CHECKSUM;
    &token.as_bytes()[body + SELECTOR..][..VERIFIER]
}

fn windows(token: &str) -> impl Iterator<Item = &[u8]> {
    verifier(token).windows(WINDOW)
}

/// As it is, in hexadecimal, and in base64 wherever it may stand in a longer text. Text of a token is base62, for which
/// both alphabets of base64 are one, its two last digits aside.
fn forms(window: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
    let base64 = (0..3).flat_map(|offset| [b"+/", b"-_"].map(|last| base64_inside(window, offset, last)));
    let plain = [window.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    plain.into_iter().chain(base64).collect()
}

/// The digits that the window alone decides, when `offset` bytes of something else are in its first group of three.
fn base64_inside(window: &[u8], offset: usize, last: &[u8; 2]) -> Vec<u8> {
    let digit = |value: usize| match value {
        0..26 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[value],
        26..52 => b"abcdefghijklmnopqrstuvwxyz"[value - 26],
        52..62 => b"0123456789"[value - 52],
        _ => last[value - 62],
    };
    let bit = |at: usize| usize::from(window[at / 8 - offset] >> (7 - at % 8) & 1);
    let (first, end) = ((offset * 8).div_ceil(6), (offset + window.len()) * 8 / 6);
    (first..end).map(|place| digit((0..6).fold(0, |value, at| value << 1 | bit(place * 6 + at)))).collect()
}

#[test]
fn no_part_of_a_secret_is_in_the_database_or_in_any_log() {
    let place = Place::new();
    let program = place.start();
    let (demo, operator) = (program.exported("DEMO"), program.exported("OPERATOR"));
    let mut minted = vec![demo.clone(), operator.clone()];
    let field = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();

    // Everything that touches a secret: minting, rotating, using, refusing, and requests that put it where it does not belong.
    for name in ["deploy", "backup"] {
        let body = format!(r#"{{"name":"{name}","grants":[{{"scope":"projects:write","resources":"all"}}]}}"#);
        let first = program.post("/tokens", &operator, &body).json();
        let id = field(&first, "id");
        let second = program.post(&format!("/tokens/{id}/rotate"), &operator, "").json();
        minted.extend([field(&first, "token"), field(&second, "token")]);
        for value in &minted {
            program.get("/projects", value);
            program.post("/projects", value, "");
            program.get("/tokens", value);
            program.get("/projects", &value[..value.len() - 1]);
            program.get("/projects", &format!("{value},{value}"));
            program.send("GET", "/projects", &[&format!("Bearer {value}"), value], "");
            program.send("GET", &format!("/projects?access_token={value}"), &[], "");
            program.get(&format!("/tokens/{value}"), value);
            program.delete(&format!("/tokens/{value}"), &operator);
            program.post("/tokens", &operator, &format!(r#"{{"{value}":"{value}"}}"#));
        }
        assert_eq!(program.post(&format!("/tokens/{id}/end-overlap"), &operator, "").status, 200);
        program.get("/projects", &field(&first, "token"));
        assert_eq!(program.delete(&format!("/tokens/{id}"), &operator).status, 200);
    }
    assert_eq!(minted.len(), 6);
    let needles = Needles::of(&minted);

    // While it runs, with what is not yet in the main file; then after a crash, and after a recovery and an orderly end.
    let mut searched = vec![files(&place)];
    let mut printed = program.kill();
    searched.push(files(&place));
    printed.extend(place.start().interrupt());
    searched.push(files(&place));

    // The two lines that show a token are taken out by name. They are there, and the search sees them.
    let (shown, printed): (Vec<String>, Vec<String>) =
        printed.into_iter().partition(|line| line.starts_with("export DEMO=") || line.starts_with("export OPERATOR="));
    assert_eq!(shown.len(), 2);
    assert!(shown.iter().all(|line| needles.are_in(line.as_bytes())));
    assert!(!needles.are_in(printed.join("\n").as_bytes()));

    let log = fs::read(place.log()).unwrap();
    let logged = String::from_utf8_lossy(&log);
    assert!(
        logged.contains("TRACE") && logged.contains("request refused"),
        "the log holds what it should be searched in"
    );
    assert!(!needles.are_in(&log));
    for files in &searched {
        assert!(files.iter().any(|(name, bytes)| name == "tokens.db" && !bytes.is_empty()));
        for (name, bytes) in files {
            assert!(!needles.are_in(bytes), "{name}");
        }
    }
    assert!(searched[0].iter().any(|(name, bytes)| name == "tokens.db-wal" && !bytes.is_empty()));

    // A leak of any window in any form would have been found.
    let (_, database) = searched[2].iter().find(|(name, _)| name == "tokens.db").unwrap();
    for window in [&verifier(&minted[3])[..WINDOW], &verifier(&minted[5])[VERIFIER - WINDOW..]] {
        for planted in forms(window) {
            let mut copy = database.clone();
            let middle = copy.len() / 2;
            copy[middle..middle + planted.len()].copy_from_slice(&planted);
            assert!(needles.are_in(&copy), "{}", planted.escape_ascii());
        }
    }
}

/// The forms are what other programs write.
#[test]
fn the_search_knows_how_secrets_are_written_down() {
    let known = |text: &str| text.as_bytes().to_vec();
    // base64 of "Many hands make light work.", from where "hands ma" stands in it.
    assert!(forms(b"hands ma").contains(&known("68616e6473206d61")));
    assert!(
        "TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsu"
            .contains(&String::from_utf8(base64_inside(b"hands ma", 2, b"+/")).unwrap())
    );
    assert_eq!(base64_inside(b"Many han", 0, b"+/"), known("TWFueSBoYW"));
}

fn files(place: &Place) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(place.data()).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

//! A secret is in the answer that shows it, and nowhere else: not in the database, not in any log.

use std::fs;

use token_core::testing::LeakSearch;

use crate::program::{Answer, Place};

#[test]
fn no_part_of_a_secret_is_in_the_database_or_in_any_log() {
    let place = Place::new();
    let program = place.start();
    let mut minted = vec![program.exported("DEMO")];
    let ann = program.signed_in("ann");
    let text = |answer: &Answer| answer.json()["text"].as_str().unwrap().to_owned();

    // Everything that touches a secret: minting, rotating, using, refusing, and requests that put it where it does not belong.
    for name in ["deploy", "backup"] {
        let body = format!(r#"{{"name":"{name}","grants":[{{"scope":"projects:write","resources":"all"}}]}}"#);
        let first = ann.post("/tokens", &body);
        let id = first.json()["token"]["id"].as_str().unwrap().to_owned();
        let second = ann.post(&format!("/tokens/{id}/rotate"), "");
        minted.extend([text(&first), text(&second)]);
        for value in &minted {
            program.get("/projects", value);
            program.post("/projects", value, "");
            program.get("/projects", &value[..value.len() - 1]);
            program.get("/projects", &format!("{value},{value}"));
            program.send(
                "GET",
                "/projects",
                &[("Authorization", &format!("Bearer {value}")), ("Authorization", value)],
                "",
            );
            program.send("GET", &format!("/projects?access_token={value}"), &[], "");
            program.send("POST", "/demo/sign-in", &[], &format!("user={value}"));
            program.get("/api/tokens/tokens", value);
            program.get(&format!("/api/tokens/tokens/{value}"), value);
            ann.get(&format!("/tokens?q={value}"));
            ann.get(&format!("/receipts/{value}"));
            ann.get(&format!("/changes/{value}"));
            ann.post(&format!("/tokens/{value}/revoke"), "");
            ann.post("/tokens", &format!(r#"{{"{value}":"{value}"}}"#));
            ann.post("/tokens", value);
        }
        assert_eq!(ann.post(&format!("/tokens/{id}/end-overlap"), "").status, 200);
        program.get("/projects", &text(&first));
        assert_eq!(ann.post(&format!("/tokens/{id}/revoke"), "").status, 200);
    }
    assert_eq!(minted.len(), 5);
    let search = LeakSearch::for_texts(minted.iter().map(String::as_str));
    let leaks = |bytes: &[u8]| search.find_in(bytes).is_some();

    // While it runs, with what is not yet in the main file; then after a crash, and after a recovery and an orderly end.
    let mut searched = vec![files(&place)];
    let mut printed = program.kill();
    searched.push(files(&place));
    printed.extend(place.start().interrupt());
    searched.push(files(&place));

    // The line that shows a token is taken out by name. It is there, and the search sees it.
    let (shown, printed): (Vec<String>, Vec<String>) =
        printed.into_iter().partition(|line| line.starts_with("export DEMO="));
    assert_eq!(shown.len(), 1);
    assert!(shown.iter().all(|line| leaks(line.as_bytes())));
    assert!(!leaks(printed.join("\n").as_bytes()));

    let log = fs::read(place.log()).unwrap();
    let logged = String::from_utf8_lossy(&log);
    assert!(
        logged.contains("TRACE") && logged.contains("request refused"),
        "the log holds what it should be searched in"
    );
    assert!(!leaks(&log));
    for files in &searched {
        assert!(files.iter().any(|(name, bytes)| name == "tokens.db" && !bytes.is_empty()));
        for (name, bytes) in files {
            assert!(!leaks(bytes), "{name}");
        }
    }
    assert!(searched[0].iter().any(|(name, bytes)| name == "tokens.db-wal" && !bytes.is_empty()));

    // A leak of eight characters, as they are or in hexadecimal, would have been found. (The search itself is tested in the
    // core, in every form.)
    let (_, database) = searched[2].iter().find(|(name, _)| name == "tokens.db").unwrap();
    for text in &minted {
        let piece = &text[text.len() - 20..text.len() - 12];
        let hex = piece.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        for planted in [piece, &hex] {
            let mut copy = database.clone();
            let middle = copy.len() / 2;
            copy[middle..middle + planted.len()].copy_from_slice(planted.as_bytes());
            assert_eq!(search.find_in(&copy), Some(middle), "{planted}");
        }
    }
}

fn files(place: &Place) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(place.data()).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

//! A secret is in the answer that shows it, and nowhere else: not in the database, not in any log.

use std::fs;

use serde_json::Value;
use token_core::testing::LeakSearch;

use crate::program::Place;

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
    let search = LeakSearch::for_texts(minted.iter().map(String::as_str));
    let leaks = |bytes: &[u8]| search.find_in(bytes).is_some();

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

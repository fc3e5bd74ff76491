//! The OpenAPI document: reviewed, complete, and true of the answers.

use serde_json::Value;

use crate::world::{Who, World, matches_file};

async fn document() -> Value {
    let world = World::new().await;
    let answer = world.ask(Who::Anonymous, "GET", "/openapi.json", "").await;
    assert_eq!(answer.status, 200);
    answer.json
}

#[tokio::test]
async fn the_document_is_the_reviewed_one() {
    matches_file("openapi.json", &format!("{:#}\n", document().await));
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document().await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["schemas"]["Scope"]["enum"][0], "projects:read");
}

/// Every operation is in the table of the matrix, and every status there is in the document.
#[tokio::test]
async fn what_the_matrix_answers_is_documented() {
    let document = document().await;
    let table = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/matrix.txt")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let (mut method, mut template) = (String::new(), String::new());
    for line in table.lines() {
        if let Some(answer) = line.strip_prefix("    ") {
            let status = answer.split_whitespace().nth(1).unwrap();
            let operation = &document["paths"][&template][&method]["responses"];
            assert!(operation.get(status).is_some(), "{method} {template} answers {status}");
            continue;
        }
        let mut words = line.split(' ');
        method = words.next().unwrap().to_lowercase();
        let path = words.next().unwrap().split('?').next().unwrap();
        let fits = |template: &str| {
            let (t, p) = (template.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
            t.len() == p.len() && t.iter().zip(&p).all(|(t, p)| t == p || t.starts_with('{'))
        };
        template = match paths.contains_key(path) {
            true => path.to_owned(),
            false => paths.keys().find(|template| fits(template)).unwrap().clone(),
        };
        seen.insert((method.clone(), template.clone()));
    }
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (method.clone(), path.clone())).collect::<Vec<_>>()
    });
    assert_eq!(seen, all.collect());
}

//! The sinks that come with the core.

use token_core::{AuditSink, Edit, Event, NdjsonSink, Rotation, Subject, TracingSink};

use crate::world::{World, name};

async fn history(world: &World) -> Vec<Event> {
    let minted = world.create(&["projects:read"]).await;
    let manage = world.tokens.manage(&world.owner);
    let rename = Edit { name: Some(name("say \"hi\" \u{1f511}")), ..Edit::default() };
    manage.edit(minted.token.id, &rename).await.unwrap();
    manage.rotate(minted.token.id, &Rotation::default()).await.unwrap();
    manage.events(&Subject::Token(minted.token.id), 0, 10).await.unwrap()
}

fn numbers(file: &std::path::Path) -> Vec<Option<u64>> {
    let text = std::fs::read_to_string(file).unwrap();
    let number = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["seq"].as_u64();
    text.lines().map(number).collect()
}

#[tokio::test]
async fn a_file_of_events_has_each_on_a_line_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.ndjson");
    let world = World::new().await;
    let events = history(&world).await;
    let sink = NdjsonSink::open(&file).unwrap();
    for event in &events {
        sink.deliver(event).await.unwrap();
    }
    assert_eq!(numbers(&file), [Some(1), Some(2), Some(3)]);
    let text = std::fs::read_to_string(&file).unwrap();
    let second: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["event"]["kind"], "edited");
    assert_eq!(second["event"]["name"], "say \"hi\" \u{1f511}");
    assert_eq!((&second["owner"], &second["actor"]), (&"ann".into(), &"ann".into()));
    assert_eq!(second["subject"], events[1].subject.to_string());
}

#[tokio::test]
async fn a_line_that_was_cut_off_is_followed_by_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.ndjson");
    std::fs::write(&file, b"{\"subject\":\"tok").unwrap();
    let world = World::new().await;
    let events = history(&world).await;
    NdjsonSink::open(&file).unwrap().deliver(&events[0]).await.unwrap();
    NdjsonSink::open(&file).unwrap().deliver(&events[1]).await.unwrap();
    assert_eq!(numbers(&file), [None, Some(1), Some(2)]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_its_owners_alone_and_one_that_can_t_be_written_is_an_error() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.ndjson");
    drop(NdjsonSink::open(&file).unwrap());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(NdjsonSink::open(folder.path().join("no-such-folder").join("events.ndjson")).is_err());
    let world = World::new().await;
    let events = history(&world).await;
    // A device that has no room.
    assert!(NdjsonSink::open("/dev/full").unwrap().deliver(&events[0]).await.is_err());
}

#[tokio::test]
async fn the_log_sink_takes_every_event() {
    let world = World::new().await;
    for event in history(&world).await {
        TracingSink.deliver(&event).await.unwrap();
    }
}

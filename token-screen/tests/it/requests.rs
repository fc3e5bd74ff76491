//! Bodies, queries and cursors that are not of their form, and wishes that are, and are refused for what they mean.

use token_core::testing::LeakSearch;

use crate::world::{Answer, MISSING, Who, World, request, with, without};

const INVALID: (u16, &str) = (400, "invalid_body");

fn is(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn a_body_that_is_not_of_its_form_gets_one_uniform_answer_that_repeats_nothing() {
    let world = World::new().await;
    let deep = format!(r#"{{"name":"x","grants":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(101));
    let bodies = [
        "",
        "null",
        "[]",
        r#"["x"]"#,
        "{}",
        r#"{"name":"x"} "#.trim_end().repeat(2).leak(),
        r#"{"name":"x",}"#,
        r#"{"name":"x","unknown":1}"#,
        r#"{"name":"x","name":"y"}"#,
        r#"{"name":"x","grants":[{"scope":"projects:read","resources":"all","resources":"all"}]}"#,
        r#"{"name":7}"#,
        r#"{"name":""}"#,
        r#"{"name":"canary\u0000"}"#,
        r#"{"name":"canary\u202e"}"#,
        r#"{"name":"\ud800"}"#,
        &long,
        &deep,
        r#"{"name":"x","grants":"all"}"#,
        r#"{"name":"x","grants":{}}"#,
        r#"{"name":"x","grants":["projects:read"]}"#,
        r#"{"name":"x","grants":[["projects:read","all"]]}"#,
        r#"{"name":"x","grants":[{"scope":"projects:read"}]}"#,
        r#"{"name":"x","grants":[{"scope":"projects:read","resources":null}]}"#,
        r#"{"name":"x","grants":[{"scope":"projects:read","resources":[]}]}"#,
        r#"{"name":"x","grants":[{"scope":"projects:read","resources":"ALL"}]}"#,
        r#"{"name":"x","networks":[]}"#,
        r#"{"name":"x","networks":["example.org"]}"#,
        r#"{"name":"x","expires":null}"#,
        r#"{"name":"x","expires":{"never":null}}"#,
        r#"{"name":"x","expires":{}}"#,
        r#"{"name":"x","expires":{"at":"2028-01-01T00:00:00Z","after_seconds":1}}"#,
        r#"{"name":"x","expires":{"at":"2028-02-30T00:00:00Z"}}"#,
        r#"{"name":"x","expires":{"after_seconds":0}}"#,
        r#"{"name":"x","expires":{"after_seconds":-1}}"#,
        r#"{"name":"x","expires":{"after_seconds":1.5}}"#,
        r#"{"name":"x","expires":{"after_seconds":NaN}}"#,
        r#"{"name":"x","expires":{"after_seconds":18446744073709551616}}"#,
        r#"{"name":"x","owner":""}"#,
        r#"{"name":"x","owner":null}"#,
    ];
    let before = world.state().await;
    let uniform = world.ask(Who::Owner, "POST", "/tokens", "[]").await;
    assert_eq!(is(&uniform), INVALID);
    for body in bodies {
        assert_eq!(world.ask(Who::Owner, "POST", "/tokens", body).await, uniform, "{body}");
    }
    let mut bad_utf8 = request("POST", "/tokens", "{\"name\":\"x\"}");
    bad_utf8.body[10] = 0xff;
    assert_eq!(world.send(Who::Owner, bad_utf8).await, uniform);
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn grants_that_are_null_empty_or_left_out_are_no_rights() {
    let world = World::new().await;
    for grants in [r#","grants":null"#, r#","grants":[]"#, ""] {
        let answer = world.ask(Who::Owner, "POST", "/tokens", &format!(r#"{{"name":"x"{grants}}}"#)).await;
        assert_eq!((answer.status, &answer.json["token"]["grants"]), (201, &serde_json::json!([])), "{grants}");
    }
    let edited = world.ask(Who::Owner, "PATCH", &format!("/tokens/{}", world.plain.id), r#"{"grants":null}"#).await;
    assert_eq!(edited.json["grants"], serde_json::json!([]));
    assert_eq!(edited.json["expires_at"], "2027-05-01T12:00:00Z");
}

#[tokio::test]
async fn a_wish_that_is_refused_for_what_it_means_says_why() {
    let world = World::new().await;
    let grant = |scope: &str, resources: &str| format!(r#"{{"scope":"{scope}","resources":{resources}}}"#);
    let many = format!("[{}]", (0..1000).map(|n| format!("\"{n:0>40}\"")).collect::<Vec<_>>().join(","));
    for (fields, status, code) in [
        (r#""expires":"never""#.to_owned(), 409, "expiry_not_allowed"),
        (r#""expires":{"at":"1969-12-31T23:59:59Z"}"#.to_owned(), 409, "expiry_not_allowed"),
        (r#""expires":{"at":"0001-01-01T00:00:00Z"}"#.to_owned(), 409, "expiry_not_allowed"),
        (r#""expires":{"at":"2027-01-31T12:00:00Z"}"#.to_owned(), 409, "expiry_not_allowed"),
        (r#""expires":{"at":"9999-12-31T23:59:59Z"}"#.to_owned(), 409, "expiry_not_allowed"),
        (r#""expires":{"after_seconds":31536000000}"#.to_owned(), 409, "expiry_not_allowed"),
        (r#""networks":["198.51.100.7/24"]"#.to_owned(), 409, "networks_refused"),
        (r#""networks":["::::"]"#.to_owned(), 409, "networks_refused"),
        (format!(r#""grants":[{}]"#, grant("projects:fly", "\"all\"")), 400, "unknown_scope"),
        (format!(r#""grants":[{0},{0}]"#, grant("projects:read", "\"all\"")), 409, "grants_refused"),
        (format!(r#""grants":[{}]"#, grant("projects:read", &many)), 409, "grants_refused"),
        (format!(r#""owner":"{}""#, "é".repeat(200)), 409, "owner_unknown"),
        (r#""owner":"bob""#.to_owned(), 403, "forbidden"),
    ] {
        let answer = world.ask(Who::Owner, "POST", "/tokens", &format!(r#"{{"name":"x",{fields}}}"#)).await;
        assert_eq!(is(&answer), (status, code), "{fields}");
        assert!(!String::from_utf8(answer.body).unwrap().contains("fly"));
    }
    let path = format!("/tokens/{}/rotate", world.rotated.id);
    for (body, code) in [
        ("", "two_live"),
        (r#"{"replace":"ending_superseded","overlap_seconds":604801}"#, "overlap_not_allowed"),
        (r#"{"replace":"ending_current","overlap_seconds":1}"#, "overlap_not_allowed"),
        (r#"{"replace":"ending_current","expires":"never"}"#, "expiry_not_allowed"),
    ] {
        assert_eq!(is(&world.ask(Who::Owner, "POST", &path, body).await), (409, code), "{body}");
    }
    let policy = r#"{"live_tokens_per_owner":1,"max_lifetime":60,"never_expires":false,"default_lifetime":61,"max_overlap":0,"default_overlap":0}"#;
    for (method, path) in [("PUT", "/policy"), ("POST", "/policy/rehearse")] {
        assert_eq!(is(&world.ask(Who::Admin, method, path, policy).await), (409, "policy_contradicts_itself"));
        let part = r#"{"live_tokens_per_owner":1}"#;
        assert_eq!(is(&world.ask(Who::Admin, method, path, part).await), INVALID);
    }
}

#[tokio::test]
async fn state_is_a_conflict_that_says_which() {
    let world = World::new().await;
    let (path, id) = ("/tokens", &world.plain.id);
    let policy = r#"{"live_tokens_per_owner":3,"max_lifetime":null,"never_expires":true,"default_lifetime":86400,"max_overlap":0,"default_overlap":0}"#;
    let rehearsed = world.ask(Who::Admin, "POST", "/policy/rehearse", &policy.replace(":3", ":2")).await;
    assert_eq!(rehearsed.json, serde_json::json!({"live": 4, "refused": 1}));
    assert_eq!(world.ask(Who::Admin, "PUT", "/policy", policy).await.status, 200);
    assert_eq!(is(&world.ask(Who::Owner, "POST", path, r#"{"name":"x"}"#).await), (409, "cap_reached"));
    assert_eq!(world.ask(Who::Owner, "POST", &format!("/tokens/{id}/revoke"), "").await.status, 200);
    // The cap counts live tokens only, and revoking twice is one revoke.
    let again = world.ask(Who::Owner, "POST", &format!("/tokens/{id}/revoke"), "").await;
    assert_eq!((again.status, again.header("etag")), (200, Some("\"2\"")));
    assert_eq!(world.ask(Who::Owner, "POST", path, r#"{"name":"x","expires":"never"}"#).await.status, 201);
    for (method, rest) in [("PATCH", ""), ("POST", "/rotate"), ("POST", "/end-overlap")] {
        let answer = world
            .ask(Who::Owner, method, &format!("/tokens/{id}{rest}"), if rest.is_empty() { "{}" } else { "" })
            .await;
        assert_eq!(is(&answer), (409, "not_live"), "{rest}");
    }
    assert_eq!(world.ask(Who::Admin, "POST", "/owners/ann/suspend", "").await.status, 200);
    assert_eq!(is(&world.ask(Who::Owner, "POST", path, r#"{"name":"x"}"#).await), (409, "owner_suspended"));
}

#[tokio::test]
async fn bodies_come_as_json_in_time_and_only_where_expected() {
    let world = World::new().await;
    let create = || request("POST", "/tokens", r#"{"name":"x"}"#);
    for kind in ["application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""] {
        let request = with(without(create(), "content-type"), "content-type", kind);
        assert_eq!(world.send(Who::Owner, request).await.status, 201, "{kind}");
    }
    for kind in
        ["text/plain", "application/json; charset=latin1", "application/jsonx", "application/x-www-form-urlencoded"]
    {
        let request = with(without(create(), "content-type"), "content-type", kind);
        assert_eq!(is(&world.send(Who::Owner, request).await), (415, "not_json"), "{kind}");
    }
    assert_eq!(world.send(Who::Owner, without(create(), "content-type")).await.status, 415);
    let twice = with(create(), "content-type", "application/json");
    assert_eq!(world.send(Who::Owner, twice).await.status, 415);
    let long = format!(r#"{{"name":"x"{}}}"#, " ".repeat(64 * 1024));
    assert_eq!(is(&world.ask(Who::Owner, "POST", "/tokens", &long).await), (413, "body_too_large"));
    let path = format!("/tokens/{}/revoke", world.plain.id);
    assert_eq!(is(&world.ask(Who::Owner, "POST", &path, r#"{"a":1}"#).await), INVALID);
    assert_eq!(world.ask(Who::Owner, "POST", &path, "{}").await.status, 200);
    assert_eq!(is(&world.ask(Who::Owner, "GET", "/tokens", "x").await), INVALID);
    let path = format!("/tokens/{}", world.rotated.id);
    assert_eq!(is(&world.ask(Who::Owner, "PATCH", &path, "").await), INVALID);
    assert_eq!(world.ask(Who::Owner, "PATCH", &path, "{}").await.header("etag"), Some("\"2\""));
}

#[tokio::test]
async fn parameters_are_known_and_come_once() {
    let world = World::new().await;
    for query in [
        "unknown=1",
        "limit=1&limit=1",
        "limit=0",
        "limit=201",
        "limit=+5",
        "limit=05",
        "limit=",
        "limit",
        "&",
        "limit=5&",
        "state=LIVE",
        "state=",
        "sort=owner",
        "within_days=0",
        "within_days=366",
        "q=%ff",
        "q=%00",
        "cursor=",
        "cursor=a%20b",
        "owner=",
        "%6cimit=5&limit=5",
    ] {
        let answer = world.ask(Who::Owner, "GET", &format!("/tokens?{query}"), "").await;
        assert_eq!(is(&answer), (400, "invalid_query"), "{query}");
        let answer = world.ask(Who::Owner, "GET", &format!("/usage?{query}"), "").await;
        assert_eq!(is(&answer), (400, "invalid_query"), "{query}");
    }
    for path in ["/usage?days=0", "/usage?days=367", "/calls?limit=0", "/calls?days=1", "/attention?limit=1"] {
        assert_eq!(is(&world.ask(Who::Owner, "GET", path, "").await), (400, "invalid_query"), "{path}");
    }
    let path = format!("/tokens/{}/usage", world.plain.id);
    assert_eq!(world.ask(Who::Owner, "GET", &format!("{path}?since=yesterday"), "").await.status, 400);
    assert_eq!(
        world.ask(Who::Owner, "GET", &format!("{path}?since=0001-01-01T00:00:00%2B01:00"), "").await.status,
        200
    );
    assert_eq!(world.ask(Who::Owner, "GET", "/policy?x=1", "").await.status, 400);
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.json["tokens"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let world = World::new().await;
    let list = async |who: Who, query: &str| world.ask(who, "GET", &format!("/tokens?{query}"), "").await;
    assert_eq!(names(&list(Who::Owner, "sort=name").await), ["itself", "plain", "rotated"]);
    assert_eq!(names(&list(Who::Admin, "sort=name").await), ["bobs", "itself", "plain", "rotated"]);
    assert_eq!(names(&list(Who::Admin, "sort=name&owner=bob").await), ["bobs"]);
    assert_eq!(names(&list(Who::Owner, "q=la").await), ["plain"]);
    assert!(names(&list(Who::Owner, "state=expiring").await).is_empty());
    assert_eq!(names(&list(Who::Owner, "state=expiring&within_days=100").await).len(), 3);
    world.ask(Who::Owner, "POST", &format!("/tokens/{}/revoke", world.plain.id), "").await;
    assert_eq!(names(&list(Who::Owner, "state=revoked").await), ["plain"]);
    assert_eq!(names(&list(Who::Owner, "state=live&sort=name").await), ["itself", "rotated"]);
    for sort in ["created", "name", "expires"] {
        let whole = list(Who::Admin, &format!("sort={sort}")).await;
        let (mut paged, mut query) = (Vec::new(), format!("sort={sort}&limit=1"));
        loop {
            let page = list(Who::Admin, &query).await;
            paged.extend(names(&page).into_iter().map(str::to_owned));
            let Some(next) = page.json["next"].as_str() else { break };
            query = format!("sort={sort}&limit=1&cursor={next}");
            // A cursor is of its own order and whole, or none.
            let other = if sort == "name" { "created" } else { "name" };
            assert_eq!(is(&list(Who::Admin, &format!("sort={other}&cursor={next}")).await), (404, "unknown_cursor"));
            for changed in [format!("{next}A"), next[1..].to_owned(), format!("B{}", &next[1..])] {
                let answer = list(Who::Admin, &format!("sort={sort}&cursor={changed}")).await;
                assert_eq!(is(&answer), (404, "unknown_cursor"), "{changed}");
            }
        }
        assert_eq!(paged, names(&whole), "{sort}");
        // A cursor made of another's token shows nothing of it.
        let foreign = list(Who::Admin, &format!("sort={sort}&limit=1")).await.json["next"].as_str().unwrap().to_owned();
        let page = list(Who::OtherOwner, &format!("sort={sort}&cursor={foreign}")).await;
        assert!(names(&page).iter().all(|name| *name == "bobs"));
    }
}

#[tokio::test]
async fn histories_are_paged() {
    let world = World::new().await;
    let path = format!("/tokens/{}/events", world.rotated.id);
    let first = world.ask(Who::Owner, "GET", &format!("{path}?limit=1"), "").await;
    assert_eq!((&first.json["events"][0]["kind"], &first.json["next"]), (&"created".into(), &1.into()));
    let second = world.ask(Who::Owner, "GET", &format!("{path}?after=1"), "").await;
    assert_eq!((&second.json["events"][0]["kind"], &second.json["next"]), (&"rotated".into(), &().into()));
}

#[tokio::test]
async fn many_are_revoked_each_by_itself() {
    let world = World::new().await;
    let body = format!(r#"{{"ids":["{}","{}","{MISSING}"]}}"#, world.plain.id, world.bobs.id);
    for _ in 0..2 {
        let answer =
            world.send(Who::Owner, with(request("POST", "/tokens/revoke", &body), "idempotency-key", "k")).await;
        let outcomes: Vec<&str> =
            answer.json["results"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
        assert_eq!((answer.status, outcomes), (200, vec!["revoked", "not_found", "not_found"]));
    }
    for ids in [String::new(), r#""x""#.to_owned(), vec![format!("\"{MISSING}\""); 101].join(",")] {
        let answer = world.ask(Who::Owner, "POST", "/tokens/revoke", &format!(r#"{{"ids":[{ids}]}}"#)).await;
        assert_eq!(is(&answer), INVALID);
    }
}

#[tokio::test]
async fn no_response_but_the_one_holds_a_piece_of_a_secret() {
    let world = World::new().await;
    let paths =
        ["", "/usage", "/activity", "/events", "/history"].map(|rest| format!("/tokens/{}{rest}", world.rotated.id));
    let rest = [
        "/tokens",
        "/usage",
        "/calls",
        "/attention",
        "/owners/ann",
        "/owners/ann/events",
        "/policy",
        "/scopes",
        "/self",
        "/openapi.json",
    ];
    let created =
        world.send(Who::Owner, with(request("POST", "/tokens", r#"{"name":"x"}"#), "idempotency-key", "k")).await;
    assert_eq!(created.status, 201);
    world.send(Who::Owner, with(request("POST", "/tokens", r#"{"name":"x"}"#), "idempotency-key", "k")).await;
    world.ask(Who::SelfToken, "POST", "/self/rotate", "").await;
    world.tokens.flush().await.unwrap();
    for who in Who::ALL {
        for path in paths.iter().map(String::as_str).chain(rest).chain(["/changes/k"]) {
            world.ask(who, "GET", path, "").await;
        }
    }
    // Sent where they don't belong, texts don't come back either.
    for text in [&world.plain.text, &world.rotated.text] {
        world.ask(Who::Owner, "GET", &format!("/tokens/{text}"), "").await;
        world.ask(Who::Owner, "GET", &format!("/tokens?q={text}"), "").await;
        world.ask(Who::Owner, "GET", &format!("/{text}"), "").await;
        world.ask(Who::Owner, "POST", "/tokens", &format!(r#"{{"name":"x","{text}":1}}"#)).await;
    }
    let texts = world.texts.lock().unwrap();
    assert_eq!(texts.len(), 7);
    let search = LeakSearch::for_texts(texts.iter().map(String::as_str));
    let answered = world.answered.lock().unwrap();
    assert!(answered.len() > 150);
    for answer in answered.iter() {
        assert_eq!(search.find_in(answer), None, "{}", String::from_utf8_lossy(answer));
    }
}

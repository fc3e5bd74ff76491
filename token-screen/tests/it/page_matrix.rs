//! Every page, by everyone: what it is called, and whether anything changed.

use crate::pages::{BASE, get, post, screen};
use crate::world::{MISSING, ORIGIN, Who, World, matches_file, with, without};

const NEW: &str = "name=new&p.projects=read&reach=all&resources=&expires=30&date=&networks=";
const EDIT: &str = "revision=2&name=renamed&p.projects=read&reach=all&resources=&expires=keep&date=&networks=";
const POLICY: &str = "live=10&max_lifetime=365+d&default_lifetime=90+d&max_overlap=7+d&default_overlap=24+h";

/// Method, path and fields, with `{a}` for a token of Ann's, `{m}` for a missing one.
const PAGES: [(&str, &str, &str); 28] = [
    ("GET", "/", ""),
    ("GET", "/?owner=ann", ""),
    ("GET", "/new", ""),
    ("POST", "/new", NEW),
    ("GET", "/{a}", ""),
    ("GET", "/{m}", ""),
    ("GET", "/{a}/edit", ""),
    ("POST", "/{a}/edit", EDIT),
    ("POST", "/{m}/edit", EDIT),
    ("GET", "/{a}/rotate", ""),
    ("POST", "/{a}/rotate", "replace=old&overlap=900"),
    ("POST", "/{m}/rotate", "overlap=900"),
    ("GET", "/{a}/end-overlap", ""),
    ("POST", "/{a}/end-overlap", ""),
    ("GET", "/{a}/revoke", ""),
    ("POST", "/{a}/revoke", "name=rotated"),
    ("POST", "/{a}/revoke", "name=wrong"),
    ("POST", "/{m}/revoke", "name=rotated"),
    ("GET", "/revoke?t.{a}=on", ""),
    ("POST", "/revoke", "t.{a}=on&t.{m}=on"),
    ("GET", "/receipt", ""),
    ("GET", "/receipt?receipt=none", ""),
    ("POST", "/receipt", "receipt=none"),
    ("GET", "/policy", ""),
    ("POST", "/policy", "do=rehearse&POLICY"),
    ("POST", "/policy", "do=set&POLICY"),
    ("GET", "/none/of/these", ""),
    ("DELETE", "/{a}", ""),
];

#[tokio::test]
async fn everyone_is_shown_what_the_table_says_and_only_forms_that_are_sent_change_anything() {
    let mut table = String::new();
    for (method, path, fields) in PAGES {
        table += format!("{method} {path} {fields}").trim_end();
        table.push('\n');
        for who in Who::ALL {
            let world = World::new().await;
            let fill =
                |text: &str| text.replace("{a}", &world.rotated.id).replace("{m}", MISSING).replace("POLICY", POLICY);
            let (path, mut fields) = (fill(path), fill(fields));
            if path == "/new" && who == Who::Admin {
                fields += "&owner=ann";
            }
            // A form with the nonce that this one was given for it, if any.
            let opened = world.page(who, get(&path)).await;
            let nonce = opened.field("nonce").unwrap_or("none").to_owned();
            let before = world.state().await;
            let sent = if path == "/receipt" { fields } else { format!("nonce={nonce}&{fields}") };
            let mut request = post(&path, &sent);
            if method != "POST" {
                request = get(&path);
                request.method = method.to_owned();
            }
            let page = world.page(who, request).await;
            let changed = world.state().await != before;
            assert!(method == "POST" || !changed, "a {method} changed something");
            assert!(page.status < 400 || !changed, "{who:?} was refused and changed something: {method} {path}");
            let line = format!("    {:<11} {} {}", format!("{who:?}"), page.status, page.title());
            table += &format!("{}{}\n", line.trim_end(), if changed { "  (changed)" } else { "" });
        }
    }
    matches_file("tests/snapshots/pages.txt", &table);
}

#[tokio::test]
async fn foreign_missing_and_malformed_ids_are_answered_byte_for_byte_the_same() {
    for path in ["/{}", "/{}/edit", "/{}/rotate", "/{}/revoke", "/{}/end-overlap"] {
        let world = World::new().await;
        let upper = world.rotated.id.to_uppercase();
        let mut answers = Vec::new();
        for id in [&world.bobs.id, MISSING, "malformed", "%ff", "..", &upper] {
            let asked = path.replace("{}", id);
            answers.push((
                world.page(Who::Owner, get(&asked)).await,
                world.page(Who::Owner, post(&asked, "nonce=x")).await,
            ));
        }
        assert_eq!(answers[0].0.status, 404);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{path}");
    }
}

#[tokio::test]
async fn every_page_has_the_headers_and_head_is_told_what_get_is() {
    let world = World::new().await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; \
                  trusted-types 'none'";
    let nothing = || "none".to_owned();
    let asked = [
        (Who::Owner, get("/")),
        (Who::Owner, get("/none")),
        (Who::Anonymous, get("/")),
        (Who::Owner, post("/new", "nonsense")),
        (Who::Owner, post(&format!("/{}/end-overlap", world.rotated.id), &format!("nonce={}", nothing()))),
    ];
    for (who, request) in asked {
        let page = world.page(who, request.clone()).await;
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("content-security-policy", policy),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(page.headers.iter().filter(|(header, _)| *header == name).count(), 1, "{name}");
            assert_eq!(page.header(name), Some(value), "{request:?}");
        }
    }
    let (got, head) = (world.page(Who::Owner, get("/receipt")).await, {
        let mut request = get("/receipt");
        request.method = "HEAD".to_owned();
        world.page(Who::Owner, request).await
    });
    // But for the nonce of its form.
    assert_eq!((head.status, &head.headers, head.html.len()), (200, &got.headers, got.html.len()));
}

#[tokio::test]
async fn what_pages_load_is_kept_for_good_under_its_hash_and_is_for_everyone() {
    let world = World::new().await;
    let html = world.page(Who::Owner, get("/")).await.html;
    let urls: Vec<&str> = html.split('"').filter(|text| text.starts_with(&format!("{BASE}/assets/"))).collect();
    assert_eq!(urls.len(), 3);
    for url in urls {
        let asset = world.page(Who::Anonymous, get(&url[BASE.len()..])).await;
        assert_eq!(asset.status, 200);
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(world.page(Who::Owner, get("/assets/none.css")).await.status, 404);
    let of = |colour| screen(&world).accent(colour);
    let sheet = |html: &str| html.split('"').find(|text| text.ends_with(".css")).unwrap().to_owned();
    let red = world.page_of(&of([0xaa, 0, 0]), Who::Owner, get("/")).await.html;
    assert_ne!(sheet(&red), sheet(&html), "another colour is another file");
    assert!(!html.contains("style=") && !html.contains("<style") && !html.contains("onclick"));
}

#[tokio::test]
async fn a_form_is_taken_from_pages_of_the_site_only() {
    let cases = [
        (vec![ORIGIN], None, true),
        (vec!["https://evil.example"], Some("cross-site"), false),
        (vec!["https://evil.example"], Some("same-origin"), false),
        (vec!["null"], Some("same-origin"), false),
        (vec![ORIGIN, ORIGIN], None, false),
        (vec![], Some("same-origin"), true),
        (vec![], Some("same-site"), false),
        (vec![], None, false),
    ];
    for (origins, site, passes) in cases {
        let world = World::new().await;
        let nonce = world.page(Who::Owner, get("/new")).await.nonce();
        let mut request = without(post("/new", &format!("nonce={nonce}&{NEW}")), "origin");
        for origin in &origins {
            request = with(request, "origin", origin);
        }
        if let Some(site) = site {
            request = with(request, "sec-fetch-site", site);
        }
        let before = world.state().await;
        let page = world.page(Who::Owner, request).await;
        assert_eq!(page.status, if passes { 200 } else { 403 }, "{origins:?} {site:?}");
        assert_eq!(world.state().await != before, passes);
    }
}

//! What forms take, what they refuse, and what is shown once.

use token_core::{Actor, ActorId, Ceiling, Grant, Grants, ListFilter, OwnerId, Policy, Position};
use token_screen::{Request, SignedIn};

use crate::pages::{get, post};
use crate::world::{Who, World, admin, owner, with, without};

const REST: &str = "p.projects=read&reach=all&resources=&expires=30&date=&networks=";

pub(crate) async fn names(world: &World) -> Vec<String> {
    let ann = owner("ann");
    let list = world.tokens.manage(&ann).list(None, ListFilter::Any, None, Position::Created(None), 200).await.unwrap();
    list.tokens.into_iter().map(|listed| listed.token.name.to_string()).collect()
}

#[tokio::test]
async fn a_value_is_shown_once_and_never_again() {
    let world = World::new().await;
    let nonce = world.page(Who::Owner, get("/new")).await.nonce();
    let form = format!("nonce={nonce}&name=deploy&{REST}");
    let first = world.page(Who::Owner, post("/new", &form)).await;
    let value = first.value().unwrap().to_owned();
    assert_eq!(first.html.matches(&value).count(), 3, "itself, for .env, and for curl");
    let again = world.page(Who::Owner, post("/new", &form)).await;
    assert_eq!((again.status, again.title()), (409, "The value was shown before"));
    // What was changed in the meantime does not make it another request.
    let other = world.page(Who::Owner, post("/new", &form.replace("deploy", "other"))).await;
    assert_eq!((other.status, other.title()), (409, "The value was shown before"));
    for page in [&again, &other] {
        assert!(!page.html.contains(&value) && page.html.contains("Replace value"));
    }
    assert_eq!(names(&world).await.iter().filter(|name| *name == "deploy" || *name == "other").count(), 1);
}

#[tokio::test]
async fn a_form_that_is_wrong_makes_nothing_and_comes_back_as_it_was() {
    let long = "x".repeat(101);
    let cases = [
        ("name=", REST, "Give it a name"),
        ("name=++", REST, "Give it a name"),
        (&format!("name={long}"), REST, "at most 100 characters"),
        ("name=a%00b", REST, "control and text-direction"),
        ("name=a%E2%80%AEb", REST, "control and text-direction"),
        ("name=x", "p.projects=read&reach=some&resources=++&expires=30&date=&networks=", "Name at least one resource"),
        ("name=x", "p.projects=read&reach=all&resources=&expires=date&date=&networks=", "or a day"),
        ("name=x", "p.projects=read&reach=all&resources=&expires=date&date=2020-01-01&networks=", "future"),
        ("name=x", "p.projects=read&reach=all&resources=&expires=date&date=2099-01-01&networks=", "policy"),
        ("name=x", "p.projects=read&reach=all&resources=&expires=never&date=&networks=", "asks every token to expire"),
        ("name=x", "p.projects=read&reach=all&resources=&expires=30&date=&networks=10.0.0.1%2F8", "10.0.0.0/8"),
        ("name=x", "p.projects=read&reach=all&resources=&expires=30&date=&networks=nonsense", "CIDR"),
    ];
    for (name, rest, says) in cases {
        let world = World::new().await;
        let before = world.state().await;
        let page = world.send_form(Who::Owner, "/new", &format!("{name}&{rest}")).await;
        assert_eq!(page.status, 422, "{name} {rest}");
        assert!(page.html.contains("id=\"faults\"") && page.html.contains("class=\"fault\""), "{name} {rest}");
        assert!(page.html.contains(says), "{says}");
        assert!(page.html.contains("value=\"read\" data-scope=\"projects:read\" data-says=\"Projects: read\" checked"));
        if name == "name=x" {
            assert_eq!(page.field("name"), Some("x"));
        }
        assert_eq!(world.state().await, before);
    }
}

#[tokio::test]
async fn what_no_page_of_ours_sends_is_not_read() {
    let world = World::new().await;
    let nonce = world.page(Who::Owner, get("/new")).await.nonce();
    let whole = format!("nonce={nonce}&name=x&{REST}");
    let before = world.state().await;
    for bad in [
        String::new(),
        "%".to_owned(),
        format!("{whole}&other=1"),
        format!("{whole}&name=y"),
        format!("{whole}&nonce={nonce}"),
        whole.replace("read", "everything"),
        whole.replace("reach=all", "reach=most"),
        whole.replace(&format!("nonce={nonce}&"), ""),
        format!("{whole}&resources%5B%5D=1"),
    ] {
        assert_eq!(world.page(Who::Owner, post("/new", &bad)).await.status, 400, "{bad}");
    }
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        let mut request = post("/new", &whole);
        request.headers.retain(|(name, _)| name != "content-type");
        request.headers.push(("content-type".to_owned(), kind.as_bytes().to_vec()));
        assert_eq!(world.page(Who::Owner, request).await.status, 400, "{kind}");
    }
    let long = format!("{whole}&networks2={}", "x".repeat(70_000));
    assert_eq!(world.page(Who::Owner, post("/new", &long)).await.status, 413);
    for query in ["?state=none", "?sort=size", "?q=a&q=b", "?x=1", "?cursor=none", "?q=%00"] {
        assert_eq!(world.page(Who::Owner, get(&format!("/{query}"))).await.status, 400, "{query}");
    }
    assert_eq!(world.state().await, before);
}

#[tokio::test]
pub(crate) async fn names_are_escaped_wherever_they_are_shown() {
    let world = World::new().await;
    let name = "%3Cb%3E%22%27%26%3C%2Fscript%3E";
    world.send_form(Who::Owner, "/new", &format!("name={name}&{REST}")).await;
    let pages = ["/".to_owned(), "/?q=%3Cb%3E".to_owned()];
    let ann = owner("ann");
    let list =
        world.tokens.manage(&ann).list(None, ListFilter::Any, Some("<b>"), Position::Created(None), 1).await.unwrap();
    let id = list.tokens[0].token.id.to_string();
    let more = ["", "/edit", "/rotate", "/revoke"].map(|page| format!("/{id}{page}"));
    for path in pages.iter().chain(&more).chain([&format!("/revoke?t.{id}=on")]) {
        let page = world.page(Who::Owner, get(path)).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.html.contains("&#60;b&#62;") && !page.html.contains("<b>"), "{path}");
    }
}

#[tokio::test]
async fn a_sign_in_that_is_too_old_gives_nothing_and_loses_nothing() {
    let world = World::new().await;
    let nonce = world.page(Who::Owner, get("/new")).await.nonce();
    let before = world.state().await;
    let stale = world.page(Who::Stale, get("/new")).await;
    assert_eq!((stale.status, stale.title()), (403, "Confirm that it is you"));
    assert!(stale.html.contains("/sign-in?next=%2Fsettings%2Ftokens%2Fnew"));
    let sent = world.page(Who::Stale, post("/new", &format!("nonce={nonce}&name=kept&{REST}"))).await;
    assert_eq!((sent.status, sent.field("name")), (403, Some("kept")));
    assert_eq!(world.state().await, before);
    // Ending access waits for nobody.
    let id = world.plain.id.clone();
    assert_eq!(world.send_form(Who::Stale, &format!("/{id}/revoke"), "name=plain").await.status, 303);
    let id = world.rotated.id.clone();
    assert_eq!(world.send_form(Who::Stale, &format!("/{id}/end-overlap"), "").await.status, 400, "a field too many");
    let nonce = world.page(Who::Stale, get(&format!("/{id}/end-overlap"))).await.nonce();
    let ended = world.page(Who::Stale, post(&format!("/{id}/end-overlap"), &format!("nonce={nonce}"))).await;
    assert_eq!(ended.status, 303);
}

/// As Ann, where she may do no more than look at projects.
async fn ask_as_reader(world: &World, request: Request) -> (u16, String) {
    let few = Grants::new([Grant::all("projects:read").unwrap()]).unwrap();
    let ann = Actor::owner(ActorId::new("ann").unwrap(), OwnerId::new("ann").unwrap(), Ceiling::Only(few));
    let visitor = SignedIn::by_cookie(ann, world.tokens.now());
    let response = crate::pages::screen(world).handle(request, Some(visitor)).await;
    (response.status, String::from_utf8(response.body).unwrap())
}

#[tokio::test]
async fn what_someone_may_not_grant_can_not_be_chosen_and_is_refused() {
    let world = World::new().await;
    let ask = async |request| ask_as_reader(&world, request).await;
    let (_, html) = ask(get("/new")).await;
    let write = html.split("<label").find(|label| label.contains("value=\"write\"")).unwrap();
    assert!(write.contains("disabled") && write.contains("You don’t have this yourself"));
    let nonce = crate::pages::between(&html, "name=\"nonce\" value=\"", "\"").unwrap();
    let before = world.state().await;
    let (status, html) = ask(post("/new", &format!("nonce={nonce}&name=x&{}", REST.replace("read", "write")))).await;
    assert_eq!(status, 422);
    assert!(html.contains("fault-permissions"));
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn every_fault_that_is_told_leads_to_what_it_is_about() {
    let world = World::new().await;
    let (plain, rotated) = (&world.plain.id, &world.rotated.id);
    let policy = "live=x&max_lifetime=x&default_lifetime=1+d&max_overlap=1+d&default_overlap=2+d&do=set";
    let sent = [
        (Who::Owner, "/new".to_owned(), "name=&p.projects=read&reach=some&resources=&expires=date&date=&networks=x"),
        (
            Who::Admin,
            "/new".to_owned(),
            "owner=&name=x&p.projects=read&reach=all&resources=&expires=30&date=&networks=",
        ),
        (
            Who::Owner,
            format!("/{plain}/edit"),
            "revision=9&name=x&p.projects=read&reach=all&resources=&expires=keep&date=&networks=",
        ),
        (Who::Owner, format!("/{rotated}/rotate"), "replace=current&overlap=900"),
        (Who::Owner, format!("/{plain}/rotate"), "overlap=999999999"),
        (Who::Owner, format!("/{plain}/revoke"), "name=wrong"),
        (Who::Admin, "/policy".to_owned(), policy),
        (Who::Admin, "/policy".to_owned(), &policy.replace("=x", "=1+d").replace("live=1+d", "live=1")),
    ];
    for (who, path, fields) in &sent {
        let told = world.send_form(*who, path, fields).await;
        let late = world.page(*who, post(path, &format!("nonce=x&{fields}"))).await;
        for page in [told, late] {
            assert_eq!(page.status, 422, "{path} {fields}");
            assert!(!links(&page.html).is_empty(), "{path}");
        }
    }
}

/// What the summary of faults leads to, all of which is on the page.
fn links(html: &str) -> Vec<&str> {
    let faults = crate::pages::between(html, "id=\"faults\"", "</div>").unwrap();
    let links: Vec<&str> = faults.split("href=\"#").skip(1).map(|link| &link[..link.find('"').unwrap()]).collect();
    for link in &links {
        assert!(html.contains(&format!("id=\"{link}\"")), "#{link}");
    }
    links
}

#[tokio::test]
async fn a_fault_that_no_field_of_the_page_is_about_leads_to_the_form() {
    let world = World::new().await;
    let ann = OwnerId::new("ann").unwrap();
    let form = format!("name=x&{REST}");
    let owned = format!("owner=ann&{form}");

    // As many tokens as there may be: no name would help.
    let root = admin();
    let manage = world.tokens.manage(&root);
    let policy = Policy { live_tokens_per_owner: 1, ..Default::default() };
    manage.set_policy(&policy).await.unwrap();
    for (who, form) in [(Who::Owner, &form), (Who::Admin, &owned)] {
        let page = world.send_form(who, "/new", form).await;
        assert_eq!((page.status, links(&page.html)), (422, vec!["form"]), "{who:?}");
        assert!(page.html.contains("1 live tokens") && !page.html.contains("aria-invalid"), "{who:?}");
    }
    manage.set_policy(&Default::default()).await.unwrap();

    // Whose tokens they are is an admin's to say, where they are made.
    manage.suspend(&ann).await.unwrap();
    let edited = format!("revision=1&{}", form.replace("expires=30", "expires=keep"));
    let (edit, rotate) = (format!("/{}/edit", world.plain.id), format!("/{}/rotate", world.plain.id));
    for (who, path, form, leads_to) in [
        (Who::Owner, "/new", form.as_str(), "form"),
        (Who::Admin, "/new", &owned, "owner"),
        (Who::Owner, &edit, &edited, "form"),
        (Who::Admin, &edit, &edited, "form"),
        (Who::Owner, &rotate, "overlap=900", "form"),
    ] {
        let page = world.send_form(who, path, form).await;
        assert_eq!((page.status, links(&page.html)), (422, vec![leads_to]), "{who:?} {path}");
    }
    manage.resume(&ann).await.unwrap();

    // Rights that someone lacks are chosen on another page.
    let (_, html) = ask_as_reader(&world, get(&rotate)).await;
    let nonce = crate::pages::between(&html, "name=\"nonce\" value=\"", "\"").unwrap();
    let (status, html) = ask_as_reader(&world, post(&rotate, &format!("nonce={nonce}&overlap=900"))).await;
    assert_eq!((status, links(&html)), (422, vec!["form"]));
}

#[tokio::test]
async fn a_receipt_is_looked_up_by_a_form_that_is_in_no_url_and_shows_no_token_again() {
    let world = World::new().await;
    world.tokens.manage(&owner("ann")).revoke(world.itself.id.parse().unwrap()).await.unwrap();
    let refused = world.ask(Who::SelfToken, "GET", "/self", "").await;
    let receipt = refused.json["receipt"].as_str().unwrap();
    let form = world.page(Who::Owner, get("/receipt")).await;
    assert!(form.html.contains("<form method=\"post\" action=\"/settings/tokens/receipt\""));
    let before = world.state().await;
    // Who may look and not change may look here too; a link says the same as the form.
    for who in [Who::Owner, Who::Viewer, Who::Admin, Who::Stale] {
        let sent = world.page(who, post("/receipt", &format!("receipt=+{receipt}%0A"))).await;
        assert_eq!((sent.status, sent.field("receipt")), (200, Some(receipt)), "{who:?}");
        assert!(sent.html.contains("Revoked") && sent.html.contains(">itself<"), "{who:?}");
        assert_eq!(world.page(who, get(&format!("/receipt?receipt={receipt}"))).await, sent);
    }
    let foreign = world.page(Who::OtherOwner, post("/receipt", &format!("receipt={receipt}"))).await;
    assert_eq!((foreign.status, foreign.field("receipt")), (404, Some("")));
    let text = &world.plain.text;
    let secret = text.strip_prefix("acme_test_").unwrap();
    for pasted in
        [text.clone(), secret.to_owned(), format!("Bearer+{text}"), format!("{text}%22"), format!("{receipt}{text}")]
    {
        for request in [post("/receipt", &format!("receipt={pasted}")), get(&format!("/receipt?receipt={pasted}"))] {
            let page = world.page(Who::Owner, request).await;
            assert_eq!((page.status, page.field("receipt")), (404, Some("")), "{pasted}");
            assert!(page.html.contains("This is no receipt") && !page.html.contains(secret));
        }
    }
    // Another site can't have it asked for.
    for origin in ["https://evil.example", "null"] {
        let request = with(without(post("/receipt", &format!("receipt={receipt}")), "origin"), "origin", origin);
        assert_eq!(world.page(Who::Owner, request).await.status, 403);
    }
    assert_eq!(world.page(Who::Owner, post("/receipt", &format!("receipt={receipt}&x=1"))).await.status, 400);
    assert_eq!(world.state().await, before);
}

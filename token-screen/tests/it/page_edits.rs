//! Changing what is there: all that was meant is done, or it is said, and nothing else is done.

use token_core::{
    Actor, Ceiling, Grant, Grants, NewToken, OwnerId, ResourceId, ResourceSet, Resources, ScopeName, TokenId, TokenName,
};
use token_screen::SignedIn;

use crate::page_forms::names;
use crate::pages::{between, get, post, screen};
use crate::world::{Who, World, admin, owner};

#[tokio::test]
async fn an_edit_does_not_undo_what_someone_else_did_meanwhile() {
    let world = World::new().await;
    let path = format!("/{}/edit", world.plain.id);
    let fields = "name=mine&p.projects=write&reach=all&resources=&expires=keep&date=&networks=";
    let nonce = world.page(Who::Owner, get(&path)).await.nonce();
    world.send_form(Who::Owner, &path, &format!("revision=1&{}", fields.replace("mine", "theirs"))).await;
    let page = world.page(Who::Owner, post(&path, &format!("nonce={nonce}&revision=1&{fields}"))).await;
    assert_eq!(page.status, 422);
    assert!(page.html.contains("Someone has changed this token"));
    assert!(names(&world).await.contains(&"theirs".to_owned()));
}

#[tokio::test]
async fn an_edit_that_is_sent_again_with_other_fields_is_not_taken_for_done() {
    let world = World::new().await;
    let path = format!("/{}/edit", world.plain.id);
    let nonce = world.page(Who::Owner, get(&path)).await.nonce();
    let form = |fields: &str| post(&path, &format!("nonce={nonce}&revision=1&{fields}"));
    let wide = "name=mine&p.projects=write&reach=all&resources=&expires=30&date=&networks=";
    assert_eq!(world.page(Who::Owner, form(wide)).await.status, 303);
    world.clock.advance(std::time::Duration::from_secs(60));
    let before = world.state().await;
    // Sent twice it is done, as it was.
    assert_eq!(world.page(Who::Owner, form(wide)).await.status, 303);
    // Ann goes back, takes something away, and sends the form as it lay there.
    let narrow = [
        wide.replace("p.projects=write", "p.projects=read"),
        wide.replace("p.projects=write", "p.projects=none"),
        wide.replace("networks=", "networks=10.0.0.0%2F8"),
        wide.replace("reach=all&resources=", "reach=some&resources=a"),
        wide.replace("expires=30", "expires=7"),
    ];
    for fields in &narrow {
        let page = world.page(Who::Owner, form(fields)).await;
        assert_eq!((page.status, page.field("name")), (422, Some("mine")), "{fields}");
        assert!(page.html.contains("Someone has changed this token") && page.nonce() != nonce, "{fields}");
        assert_eq!(world.state().await, before);
    }
    let page = world.page(Who::Owner, form(&narrow[0])).await;
    assert!(page.html.contains("value=\"read\" data-scope=\"projects:read\" data-says=\"Projects: read\" checked"));
    // What was undone since is not done once more by sending the first form again, and not said to be.
    world.send_form(Who::Owner, &path, &format!("revision=2&{}", wide.replace("mine", "other"))).await;
    assert_eq!(world.page(Who::Owner, form(wide)).await.status, 422);
    assert!(names(&world).await.contains(&"other".to_owned()));
}

/// Scopes, each on all resources or on those that are named.
type Held<'a> = &'a [(&'a str, &'a [&'a str])];

/// A token of Ann's that may do this.
async fn token_with(world: &World, grants: Held<'_>) -> TokenId {
    let ann = owner("ann");
    let new = NewToken::new(TokenName::new("differs").unwrap(), grants_of(grants));
    world.tokens.manage(&ann).create(&new).await.unwrap().token.id
}

fn grants_of(grants: Held<'_>) -> Grants {
    let grants = grants.iter().map(|(scope, ids)| {
        let set = || ResourceSet::new(ids.iter().map(|id| ResourceId::new(*id).unwrap())).unwrap();
        let resources = if ids.is_empty() { Resources::All } else { Resources::Only(set()) };
        Grant { scope: ScopeName::new(*scope).unwrap(), resources }
    });
    Grants::new(grants).unwrap()
}

async fn grants_after(world: &World, held: Held<'_>, fields: &str) -> (u16, Grants) {
    let id = token_with(world, held).await;
    let page = world.send_form(Who::Owner, &format!("/{id}/edit"), &format!("revision=1&{fields}")).await;
    (page.status, world.tokens.manage(&owner("ann")).token(id).await.unwrap().token.grants)
}

#[tokio::test]
async fn renaming_a_token_leaves_all_that_it_may_do() {
    let rest = "name=renamed&expires=keep&date=&networks=";
    let cases: [(Held<'_>, &str); 5] = [
        (&[("projects:read", &[]), ("projects:write", &["a"])], "p.projects=write&p.tokens=none&reach=kept&resources="),
        (
            &[("projects:read", &[]), ("projects:write", &["a"]), ("tokens:self", &["b"])],
            "p.projects=write&p.tokens=self&reach=kept&resources=",
        ),
        (&[("projects:read", &[]), ("projects:write", &[])], "p.projects=write&p.tokens=none&reach=all&resources="),
        (
            &[("projects:read", &["a", "b"]), ("projects:write", &["a", "b"])],
            "p.projects=write&p.tokens=none&reach=some&resources=a%0D%0Ab",
        ),
        (&[], "p.projects=none&p.tokens=none&reach=all&resources="),
    ];
    for (held, form) in cases {
        let world = World::new().await;
        let (status, grants) = grants_after(&world, held, &format!("{form}&{rest}")).await;
        assert_eq!((status, grants), (303, grants_of(held)), "{form}");
        assert!(names(&world).await.contains(&"renamed".to_owned()));
    }
}

#[tokio::test]
async fn changing_one_permission_leaves_the_others_as_they_are() {
    let held: Held<'_> = &[("projects:read", &[]), ("projects:write", &["a"]), ("tokens:self", &["b"])];
    let rest = "name=differs&resources=&expires=keep&date=&networks=";
    let without_self: Held<'_> = &held[..2];
    let only_read: Held<'_> = &[("projects:read", &[]), ("tokens:self", &["b"])];
    for (form, after) in [
        ("p.projects=write&p.tokens=none&reach=kept", without_self),
        ("p.projects=read&p.tokens=self&reach=kept", only_read),
        ("p.projects=none&p.tokens=self&reach=kept", &held[2..]),
        // Where it is said what they reach, that is so for each that is chosen.
        ("p.projects=write&p.tokens=self&reach=all", &[("projects:write", &[]), ("tokens:self", &[])]),
    ] {
        let world = World::new().await;
        let (status, grants) = grants_after(&world, held, &format!("{form}&{rest}")).await;
        assert_eq!((status, grants), (303, grants_of(after)), "{form}");
    }
    // What was not granted has no reach to keep, of a token that is there or of a new one.
    let world = World::new().await;
    let form = format!("p.projects=write&p.tokens=self&reach=kept&{rest}");
    assert_eq!(grants_after(&world, &held[..2], &form).await, (422, grants_of(&held[..2])));
    assert_eq!(world.send_form(Who::Owner, "/new", &form.replace("keep", "30")).await.status, 422);
}

#[tokio::test]
async fn a_permission_that_its_editor_lacks_is_not_lost_by_the_form() {
    let world = World::new().await;
    let id = token_with(&world, &[("projects:write", &[]), ("tokens:self", &[])]).await;
    let ann = owner("ann");
    let few = Ceiling::Only(grants_of(&[("projects:read", &[])]));
    let lesser = Actor::owner(ann.id().clone(), OwnerId::new("ann").unwrap(), few);
    let screen = screen(&world);
    let path = format!("/{id}/edit");
    let ask = async |request| {
        let visitor = SignedIn::by_cookie(lesser.clone(), world.tokens.now());
        let response = screen.handle(request, Some(visitor)).await;
        (response.status, String::from_utf8(response.body).unwrap())
    };
    let (_, html) = ask(get(&path)).await;
    let write = html.split("<label").find(|label| label.contains("data-scope=\"projects:write\"")).unwrap();
    assert!(
        write.contains(" checked") && !write.contains(" disabled") && write.contains("You don’t have this yourself")
    );
    let nonce = between(&html, "name=\"nonce\" value=\"", "\"").unwrap();
    let fields = "revision=1&name=x&p.projects=write&p.tokens=self&reach=all&resources=&expires=keep&date=&networks=";
    let (status, html) = ask(post(&path, &format!("nonce={nonce}&{fields}"))).await;
    assert!(status == 422 && html.contains("fault-permissions"), "it is told, and nothing is taken away");
    let token = world.tokens.manage(&ann).token(id).await.unwrap().token;
    assert_eq!(token.grants, grants_of(&[("projects:write", &[]), ("tokens:self", &[])]));
}

#[tokio::test]
async fn a_policy_that_is_sent_again_with_other_fields_is_not_taken_for_set() {
    let world = World::new().await;
    let nonce = world.page(Who::Admin, get("/policy")).await.nonce();
    let form = |live: u32| {
        let rest = "max_lifetime=365+d&default_lifetime=90+d&max_overlap=7+d&default_overlap=24+h&do=set";
        post("/policy", &format!("nonce={nonce}&live={live}&{rest}"))
    };
    let live = async || world.tokens.manage(&admin()).policy().await.unwrap().live_tokens_per_owner;
    assert_eq!(world.page(Who::Admin, form(20)).await.status, 303);
    assert_eq!(world.page(Who::Admin, form(20)).await.status, 303);
    let page = world.page(Who::Admin, form(10)).await;
    assert_eq!((page.status, page.field("live"), live().await), (422, Some("10"), 20));
    assert!(page.html.contains("The policy has changed since") && page.nonce() != nonce);
    // The form that came back is a new one.
    let rest = "max_lifetime=365+d&default_lifetime=90+d&max_overlap=7+d&default_overlap=24+h&do=set";
    let again = post("/policy", &format!("nonce={}&live=10&{rest}", page.nonce()));
    assert_eq!((world.page(Who::Admin, again).await.status, live().await), (303, 10));
    assert_eq!((world.page(Who::Admin, form(20)).await.status, live().await), (422, 10));
    assert_eq!(world.page(Who::Admin, form(10)).await.status, 303, "it is so");
}

#[tokio::test]
async fn a_form_that_revokes_several_makes_one_change_of_each_however_often_it_is_sent() {
    let world = World::new().await;
    let (plain, rotated, bobs) = (&world.plain.id, &world.rotated.id, &world.bobs.id);
    let nonce = world.page(Who::Owner, get(&format!("/revoke?t.{plain}=on&t.{rotated}=on"))).await.nonce();
    let form = |ids: &[&String]| {
        let ticked: String = ids.iter().map(|id| format!("&t.{id}=on")).collect();
        post("/revoke", &format!("nonce={nonce}{ticked}"))
    };
    let is_revoked = async |id: &String| {
        let listed = world.tokens.manage(&admin()).token(id.parse().unwrap()).await.unwrap();
        listed.token.revoked_at.is_some()
    };
    assert_eq!(world.page(Who::Owner, form(&[plain])).await.status, 200);
    assert_eq!([is_revoked(plain).await, is_revoked(rotated).await], [true, false]);
    let before = world.state().await;
    let again = world.page(Who::Owner, form(&[plain])).await;
    assert_eq!((again.status, world.state().await), (200, before), "sent again it changes nothing");
    // The nonce is for no set of tokens in particular, and never for another's.
    assert_eq!(world.page(Who::Owner, form(&[plain, rotated, bobs])).await.status, 200);
    assert_eq!([is_revoked(rotated).await, is_revoked(bobs).await], [true, false]);
}

//! DEMO ONLY: a sign-in that asks for no password. Whoever reaches it is whoever they say they are.
//!
//! A real host has its own sign-in. All that token management wants of it is what [`signed_in`] says: who sent this request, and
//! when they last proved it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::header::{COOKIE, ContentType, HeaderMap, LOCATION, SET_COOKIE};
use actix_web::web::{self, Data, Form, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use getrandom::SysRng;
use getrandom::rand_core::TryRng;
use serde::Deserialize;
use token_core::{Actor, ActorId, Ceiling, OwnerId, Time, Tokens};
use token_screen::SignedIn;

pub(crate) const SESSION: &str = "demo_session";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<title>Demo sign-in</title>
<h1>Demo sign-in, without passwords</h1>
<form method="post" action="/demo/sign-in">
NEXT
<p><button name="user" value="ann">ann</button> has tokens</p>
<p><button name="user" value="bob">bob</button> has others</p>
<p><button name="user" value="viewer">viewer</button> sees ann's, and changes nothing</p>
<p><button name="user" value="admin">admin</button> manages everyone's</p>
</form>
<form method="post" action="/demo/sign-out"><button>Sign out</button></form>
"#;

/// Who can sign in.
pub(crate) fn user(name: &str) -> Option<Actor> {
    let id = ActorId::new(name).ok()?;
    let of = |owner: &str| Some(Actor::owner(id.clone(), OwnerId::new(owner).ok()?, Ceiling::Everything));
    match name {
        "ann" | "bob" => of(name),
        "viewer" => of("ann").map(Actor::read_only),
        "admin" => Some(Actor::admin(id, Ceiling::Everything)),
        _ => None,
    }
}

/// By the value of its cookie, each session's user, and since when. In memory: a restart signs everyone out.
#[derive(Clone)]
pub(crate) struct Sessions {
    tokens: Tokens,
    open: Arc<Mutex<HashMap<String, (Actor, Time)>>>,
}

impl Sessions {
    /// Sessions by the clock of these tokens.
    pub(crate) fn new(tokens: &Tokens) -> Sessions {
        Sessions { tokens: tokens.clone(), open: Arc::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, (Actor, Time)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who sent a request. A host whose sessions are in a database returns its error here, which denies.
pub(crate) async fn signed_in(
    (sessions, request): (Data<Sessions>, HttpRequest),
) -> Result<Option<SignedIn>, Infallible> {
    let session = session(request.headers()).and_then(|id| sessions.open().get(id).cloned());
    Ok(session.map(|(actor, since)| SignedIn::by_cookie(actor, since)))
}

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/demo").route(web::get().to(page)).route(web::head().to(page)))
        .service(web::resource("/demo/sign-in").route(web::post().to(sign_in)))
        .service(web::resource("/demo/sign-out").route(web::post().to(sign_out)));
}

/// Where to go after signing in, and for how long someone is to have been signed in already.
#[derive(Deserialize)]
struct Asked {
    user: Option<String>,
    next: Option<String>,
    #[serde(default)]
    minutes_ago: u64,
}

impl Asked {
    /// A page of this site, and no other site's.
    fn next(&self) -> Option<&str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/?&=.-_%".contains(c);
        self.next.as_deref().filter(|next| next.starts_with('/') && !next.starts_with("//") && next.chars().all(plain))
    }
}

async fn page(asked: Query<Asked>) -> HttpResponse {
    let next = asked.next().map(|next| format!(r#"<input type="hidden" name="next" value="{next}">"#));
    HttpResponse::Ok().content_type(ContentType::html()).body(PAGE.replace("NEXT", &next.unwrap_or_default()))
}

async fn sign_in(sessions: Data<Sessions>, asked: Form<Asked>) -> HttpResponse {
    let name = asked.user.as_deref().unwrap_or_default();
    let Some(actor) = user(name) else { return HttpResponse::BadRequest().finish() };
    let mut id = [0; 16];
    if SysRng.try_fill_bytes(&mut id).is_err() {
        return HttpResponse::InternalServerError().finish();
    }
    let id = format!("{:032x}", u128::from_be_bytes(id));
    let since = sessions.tokens.now().saturating_sub(Duration::from_secs(60 * asked.minutes_ago.min(10_000)));
    // A new id each time, so that nobody can have someone sign in to a session that they chose.
    sessions.open().insert(id.clone(), (actor, since));
    match asked.next() {
        Some(next) => {
            HttpResponse::SeeOther().insert_header((SET_COOKIE, cookie(&id))).insert_header((LOCATION, next)).finish()
        }
        None => plain(&cookie(&id), format!("signed in as {name}\n")),
    }
}

async fn sign_out(sessions: Data<Sessions>, request: HttpRequest) -> HttpResponse {
    session(request.headers()).and_then(|id| sessions.open().remove(id));
    plain(&cookie("; Max-Age=0"), "signed out\n".to_owned())
}

fn plain(cookie: &str, body: String) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).insert_header((SET_COOKIE, cookie)).body(body)
}

fn session(headers: &HeaderMap) -> Option<&str> {
    let mut cookies = headers.get_all(COOKIE).filter_map(|line| line.to_str().ok()).flat_map(|line| line.split("; "));
    cookies.find_map(|cookie| cookie.strip_prefix(SESSION)?.strip_prefix('='))
}

/// Over HTTPS it would be `Secure` as well.
fn cookie(value: &str) -> String {
    format!("{SESSION}={value}; HttpOnly; SameSite=Lax; Path=/")
}

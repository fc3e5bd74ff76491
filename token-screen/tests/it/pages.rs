//! The pages of the small world, and what is read of them.

use token_core::Caller;
use token_screen::{Request, Response, Screen};

use crate::world::{ORIGIN, Who, World};

pub(crate) const BASE: &str = "/settings/tokens";

/// A page as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) html: String,
}

impl Page {
    fn of(response: Response) -> Page {
        Page { status: response.status, headers: response.headers, html: String::from_utf8(response.body).unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn title(&self) -> &str {
        between(&self.html, "<title>", " · ").unwrap_or_default()
    }

    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let field = self.html.split("<input").find(|field| field.contains(&format!("name=\"{name}\"")))?;
        between(field, "value=\"", "\"")
    }

    pub(crate) fn nonce(&self) -> String {
        self.field("nonce").unwrap().to_owned()
    }

    /// The value that a page shows, of the one page that does.
    pub(crate) fn value(&self) -> Option<&str> {
        between(&self.html, "id=\"value\" value=\"", "\"")
    }
}

pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

pub(crate) fn screen(world: &World) -> Screen {
    Screen::new(&world.tokens, BASE).origin(ORIGIN).sign_in_at("/sign-in?next={next}")
}

pub(crate) fn get(path: &str) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        caller: Caller::default(),
    }
}

/// A form as a page of ours sends it.
pub(crate) fn post(path: &str, body: &str) -> Request {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    Request {
        method: "POST".to_owned(),
        headers: vec![header("origin", ORIGIN), header("content-type", "application/x-www-form-urlencoded")],
        body: body.as_bytes().to_vec(),
        ..get(path)
    }
}

impl World {
    pub(crate) async fn page(&self, who: Who, request: Request) -> Page {
        self.page_of(&screen(self), who, request).await
    }

    pub(crate) async fn page_of(&self, screen: &Screen, who: Who, mut request: Request) -> Page {
        let text = match who {
            Who::PlainToken => Some(&self.plain.text),
            Who::SelfToken => Some(&self.itself.text),
            _ => None,
        };
        if let Some(text) = text {
            request.headers.push(("authorization".to_owned(), format!("Bearer {text}").into_bytes()));
        }
        Page::of(screen.handle(request, self.visitor(who)).await)
    }

    /// A form of Ann's, opened and sent with these fields.
    pub(crate) async fn send_form(&self, who: Who, path: &str, fields: &str) -> Page {
        let nonce = self.page(who, get(path)).await.nonce();
        self.page(who, post(path, &format!("nonce={nonce}&{fields}"))).await
    }
}

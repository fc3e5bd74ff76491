//! The pages: each reads what was asked, acts through the core, and shows what is so now.

mod activity;
mod attention;
mod changing;
mod create;
mod detail;
mod draft;
mod edit;
mod frame;
mod grant_form;
mod list;
mod permissions;
mod policy;
mod receipt;
mod refused;
mod reveal;
mod revoke;
mod revoke_many;
mod rotate;
mod row;
mod usage;

use token_core::{Actor, Manage, TokenId, Tokens};

use crate::dates::Dates;
use crate::form::{Form, Unreadable};
use crate::guard::{self, Needs};
use crate::http::{Request, Response};
use crate::percent;
use crate::route::Who;
use crate::screen::Screen;
use crate::visitor::SignedIn;

use frame::Frame;
pub(crate) use list::render;
pub(crate) use refused::Refused;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    List,
    New,
    Receipt,
    Policy,
    RevokeMany,
    Detail,
    Edit,
    Rotate,
    EndOverlap,
    Revoke,
}

/// What a form of a page is for, when it is sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// Nothing is sent.
    Never,
    /// It asks for what is to be in no URL, and changes nothing.
    Asks,
    Changes,
}

/// Its path below the mount, what is sent back, and who may see it.
const PAGES: [(Page, &str, Sent, Who); 10] = {
    use Sent::{Asks, Changes, Never};
    use Who::{Admin, Visitor};
    [
        (Page::List, "/", Never, Visitor),
        (Page::New, "/new", Changes, Visitor),
        (Page::Receipt, "/receipt", Asks, Visitor),
        (Page::Policy, "/policy", Changes, Admin),
        (Page::RevokeMany, "/revoke", Changes, Visitor),
        (Page::Detail, "/{id}", Never, Visitor),
        (Page::Edit, "/{id}/edit", Changes, Visitor),
        (Page::Rotate, "/{id}/rotate", Changes, Visitor),
        (Page::EndOverlap, "/{id}/end-overlap", Changes, Visitor),
        (Page::Revoke, "/{id}/revoke", Changes, Visitor),
    ]
};

/// What is below it is the same for everyone.
pub(crate) const ASSETS: &str = "/assets/";

/// The longest form that is read, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// Someone who is let in, with what they ask for.
pub(crate) struct Visit<'a> {
    screen: &'a Screen,
    request: &'a Request,
    actor: &'a Actor,
    /// The varying segment of the path, as it was sent.
    segment: &'a str,
    /// Whether they signed in lately enough to be given more power.
    fresh: bool,
    dates: Dates,
}

impl<'a> Visit<'a> {
    fn new(screen: &'a Screen, request: &'a Request, visitor: &'a SignedIn, segment: &'a str) -> Visit<'a> {
        let zone = visitor.zone.as_ref().unwrap_or(&screen.zone).clone();
        Visit {
            screen,
            request,
            actor: &visitor.actor,
            segment,
            fresh: guard::is_fresh(&screen.rules, visitor),
            dates: Dates { now: screen.tokens().now(), zone },
        }
    }

    fn tokens(&self) -> &'a Tokens {
        self.screen.tokens()
    }

    fn manage(&self) -> Manage<'a> {
        self.tokens().manage(self.actor)
    }

    /// The token that the path names; what is no id fares as one that is missing.
    fn token_id(&self) -> TokenId {
        let id = percent::segment(self.segment).and_then(|id| id.parse().ok());
        id.unwrap_or_else(|| TokenId::from_bytes([0; 16]))
    }

    fn frame(&self, title: impl Into<String>) -> Frame<'a> {
        Frame::new(self.screen, title.into(), Some(self.actor))
    }

    fn query(&self) -> Result<Form, Unreadable> {
        Form::of_query(self.request)
    }

    fn is_post(&self) -> bool {
        self.request.method == "POST"
    }

    fn url(&self, below: &str) -> String {
        format!("{}{below}", self.screen.base())
    }
}

/// The page that a request asks for, or the one that says why not.
pub(crate) async fn answer(screen: &Screen, request: &Request, visitor: Option<SignedIn>) -> Response {
    match visit(screen, request, visitor.as_ref()).await {
        Ok(response) => response,
        Err(refused) => refused.page(screen, request, visitor.as_ref().map(|visitor| &visitor.actor)),
    }
}

pub(crate) fn unavailable(screen: &Screen) -> Response {
    Refused::Unavailable.show(screen, None, None)
}

async fn visit(screen: &Screen, request: &Request, visitor: Option<&SignedIn>) -> Result<Response, Refused> {
    let is_get = matches!(request.method.as_str(), "GET" | "HEAD");
    // The same for everyone, signed in or not.
    if let Some(name) = request.path.strip_prefix(ASSETS) {
        let asset = screen.asset(name).ok_or(Refused::NotFound)?;
        return if is_get {
            Ok(Response::asset(asset.kind, asset.body.to_vec()))
        } else {
            Err(Refused::Method("GET, HEAD"))
        };
    }
    let (page, segment, sent, who) = find(&request.path).ok_or(Refused::NotFound)?;
    let posts = sent != Sent::Never;
    if !(is_get || posts && request.method == "POST") {
        return Err(Refused::Method(if posts { "GET, HEAD, POST" } else { "GET, HEAD" }));
    }
    let visitor = visitor.ok_or(Refused::SignIn)?;
    if guard::is_ambiguous(screen.tokens(), request, visitor) {
        return Err(Refused::Unreadable);
    }
    // A form that gives power is shown and read whenever the sign-in was, and says itself that it is too old.
    let needs = Needs { safe: is_get, who, changes: sent == Sent::Changes, fresh: false };
    guard::check_visitor(&screen.rules, needs, request, visitor)?;
    if request.body.len() > BODY_MAX {
        return Err(Refused::TooLarge);
    }
    let visit = Visit::new(screen, request, visitor, segment);
    match page {
        Page::List => list::show(&visit).await,
        Page::New => create::answer(&visit).await,
        Page::Receipt => receipt::show(&visit).await,
        Page::Policy => policy::answer(&visit).await,
        Page::RevokeMany => revoke_many::answer(&visit).await,
        Page::Detail => detail::show(&visit).await,
        Page::Edit => edit::answer(&visit).await,
        Page::Rotate => rotate::answer(&visit).await,
        Page::EndOverlap => rotate::end_overlap(&visit).await,
        Page::Revoke => revoke::answer(&visit).await,
    }
}

/// The page of a path, with the segment that varies.
fn find(path: &str) -> Option<(Page, &str, Sent, Who)> {
    let below = path.strip_prefix('/')?;
    let (first, rest) = match below.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (below, None),
    };
    // A path that is written out comes before one with a segment that varies.
    PAGES.iter().find_map(|(page, template, sent, who)| {
        let segment = match (template.strip_prefix("/{id}"), rest) {
            (None, _) => (path == *template).then_some(""),
            (Some(""), None) if !first.is_empty() => Some(first),
            (Some(action), Some(rest)) if !first.is_empty() => {
                (action.strip_prefix('/') == Some(rest)).then_some(first)
            }
            _ => None,
        }?;
        Some((*page, segment, *sent, *who))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_whole() {
        let page = |path: &str| find(path).map(|(page, segment, ..)| (page, segment.to_owned()));
        assert_eq!(page("/"), Some((Page::List, String::new())));
        assert_eq!(page("/new"), Some((Page::New, String::new())));
        assert_eq!(page("/revoke"), Some((Page::RevokeMany, String::new())));
        assert_eq!(page("/x"), Some((Page::Detail, "x".to_owned())));
        assert_eq!(page("/x/revoke"), Some((Page::Revoke, "x".to_owned())));
        for nothing in ["", "//", "/x/", "/x/none", "/x/revoke/", "/new/", "//revoke", "/x/revoke/y"] {
            assert_eq!(page(nothing), None, "{nothing}");
        }
    }
}

//! Who asks, as the host knows it.

use jiff::tz::TimeZone;
use token_core::{Actor, Time};

/// Someone who is signed in to the host. There is no default: the host makes it from its own session, or there is nobody.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub(crate) actor: Actor,
    pub(crate) authenticated_at: Time,
    /// Whether the browser sends the proof by itself, as it does a cookie, so that another site could make it do so.
    pub(crate) ambient: bool,
    /// Where they live; `None` is where the screen says.
    pub(crate) zone: Option<TimeZone>,
}

impl SignedIn {
    /// Someone known by a cookie, who proved who they are at this time.
    #[must_use]
    pub fn by_cookie(actor: Actor, authenticated_at: Time) -> SignedIn {
        SignedIn { actor, authenticated_at, ambient: true, zone: None }
    }

    /// Someone known by a header that a program puts into each request, such as the host's own bearer token.
    #[must_use]
    pub fn by_header(actor: Actor, authenticated_at: Time) -> SignedIn {
        SignedIn { actor, authenticated_at, ambient: false, zone: None }
    }

    /// Shows them dates where they live, instead of where [`Screen::zone`](crate::Screen::zone) says.
    #[must_use]
    pub fn in_zone(mut self, zone: TimeZone) -> SignedIn {
        self.zone = Some(zone);
        self
    }
}

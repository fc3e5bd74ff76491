//! The screen: what the host says of itself, and the one way in.

use std::time::Duration;

use jiff::tz::TimeZone;
use token_core::{Listed, Overview, Tokens};

use crate::accent::{self, Rgb};
use crate::assets::{Asset, Assets};
use crate::http::{Request, Response};
use crate::management::Management;
use crate::pages;
use crate::visitor::SignedIn;

/// The pages on which people manage their tokens: what an adapter mounts.
///
/// All of it works without JavaScript, and nothing is loaded from elsewhere. The value of a token is shown once, in the answer that
/// makes it.
///
/// ```
/// # fn screen(tokens: &token_core::Tokens) -> token_screen::Screen {
/// token_screen::Screen::new(tokens, "/settings/tokens")
///     .product("Acme")
///     .origin("https://example.org")
///     .sign_in_at("/sign-in?next={next}")
///     .link("Profile", "/settings/profile")
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Screen {
    pub(crate) rules: Management,
    pub(crate) look: Look,
    pub(crate) assets: Assets,
    pub(crate) presets: Vec<Preset>,
    pub(crate) zone: TimeZone,
    pub(crate) try_at: Option<String>,
}

/// How the host presents itself.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) product: String,
    pub(crate) home: String,
    /// Its name, and whether it is the one that matters.
    pub(crate) environment: (String, bool),
    pub(crate) links: Vec<(String, String)>,
    pub(crate) header: &'static str,
}

/// Permissions that are often wanted together.
#[derive(Debug, Clone)]
pub(crate) struct Preset {
    pub(crate) key: String,
    pub(crate) label: String,
    pub(crate) scopes: Vec<String>,
}

/// The accent of a host that has none.
const ACCENT: Rgb = [0x17, 0x5c, 0x54];

impl Screen {
    /// The screen for the tokens of a service, mounted at `base`, such as `/settings/tokens`.
    #[must_use]
    pub fn new(tokens: &Tokens, base: impl Into<String>) -> Screen {
        let rules = Management::new(tokens, base);
        Screen {
            assets: Assets::new(&rules.base, ACCENT),
            rules,
            look: Look {
                product: "API".to_owned(),
                home: "/".to_owned(),
                environment: (crate::words::PRODUCTION.to_owned(), true),
                links: Vec::new(),
                header: "",
            },
            presets: Vec::new(),
            zone: TimeZone::UTC,
            try_at: None,
        }
    }

    /// The name of the product.
    #[must_use]
    pub fn product(mut self, name: impl Into<String>) -> Screen {
        self.look.product = name.into();
        self
    }

    /// Where the product's name leads. Default `/`.
    #[must_use]
    pub fn home(mut self, url: impl Into<String>) -> Screen {
        self.look.home = url.into();
        self
    }

    /// Says that this is not production but, for example, `Staging`: there a token is revoked without typing its name.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Screen {
        self.look.environment = (name.into(), false);
        self
    }

    /// The product's colour as red, green and blue. Where text could not be read on it, it is made darker or lighter.
    #[must_use]
    pub fn accent(mut self, colour: [u8; 3]) -> Screen {
        self.assets = Assets::new(&self.rules.base, colour);
        self
    }

    /// A link of the host's own, shown at the top.
    #[must_use]
    pub fn link(mut self, label: impl Into<String>, url: impl Into<String>) -> Screen {
        self.look.links.push((label.into(), url.into()));
        self
    }

    /// A header of the host's own, as HTML, instead of the one with the product's name and the links. It is written as it is, on every
    /// page. Inline scripts and styles have no effect, and what it loads must be of this site.
    #[must_use]
    pub fn header(mut self, html: &'static str) -> Screen {
        self.look.header = html;
        self
    }

    /// Permissions that are often wanted together, offered where a token is made, such as
    /// `.preset("deploy", "Deploy", ["projects:write"])`.
    #[must_use]
    pub fn preset<S: Into<String>>(
        mut self,
        key: impl Into<String>,
        label: impl Into<String>,
        scopes: impl IntoIterator<Item = S>,
    ) -> Screen {
        let scopes = scopes.into_iter().map(Into::into).collect();
        self.presets.push(Preset { key: key.into(), label: label.into(), scopes });
        self
    }

    /// Where dates are shown of those who don't live elsewhere, by [`SignedIn::in_zone`]. Default UTC.
    #[must_use]
    pub fn zone(mut self, zone: TimeZone) -> Screen {
        self.zone = zone;
        self
    }

    /// An address of the service's own that takes tokens, such as `https://api.example.org/projects`, for the line with which people try
    /// theirs.
    #[must_use]
    pub fn try_at(mut self, url: impl Into<String>) -> Screen {
        self.try_at = Some(url.into());
        self
    }

    /// The origin that pages have in people's address bars, exactly as browsers write it. See [`Management::origin`].
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Screen {
        self.rules = self.rules.origin(origin);
        self
    }

    /// How old a sign-in may be for making, editing and rotating tokens. See [`Management::step_up`].
    #[must_use]
    pub fn step_up(mut self, limit: Duration) -> Screen {
        self.rules = self.rules.step_up(limit);
        self
    }

    /// Where people sign in, for the first time or again. `{next}` in it stands for the page to come back to, percent-encoded.
    #[must_use]
    pub fn sign_in_at(mut self, url: impl Into<String>) -> Screen {
        self.rules = self.rules.reauthenticate_at(url);
        self
    }

    /// Where it is mounted.
    #[must_use]
    pub fn base(&self) -> &str {
        self.rules.base()
    }

    /// The service.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        self.rules.tokens()
    }

    /// Answers a request of someone who is signed in, or of nobody.
    pub async fn handle(&self, request: Request, visitor: Option<SignedIn>) -> Response {
        pages::answer(self, &request, visitor).await
    }

    /// The page when the host can't tell who is signed in: nobody is let in, and nobody is taken for a stranger.
    #[must_use]
    pub fn unavailable(&self) -> Response {
        pages::unavailable(self)
    }

    /// The list of these tokens with what is known of them, in their order, as the page shows it: for whoever measures what that takes. No
    /// store is asked.
    #[must_use]
    pub fn render_list(&self, visitor: &SignedIn, tokens: &[Listed], overviews: &[Overview]) -> String {
        pages::render(self, visitor, tokens, overviews)
    }

    pub(crate) fn asset(&self, name: &str) -> Option<&Asset> {
        self.assets.find(name)
    }
}

/// A look of colours as CSS has it.
pub(crate) fn accent_rule(colour: Rgb) -> String {
    let [light, dark] = accent::readable(colour).map(accent::css);
    format!(":root{{--accent:light-dark({light},{dark})}}")
}

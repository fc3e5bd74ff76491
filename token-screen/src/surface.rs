//! What adapters mount: the same for the API and for the pages, and all that they share of mounting it.

use std::error::Error;

use crate::http::{Request, Response};
use crate::management::Management;
use crate::pages;
use crate::route::Who;
use crate::screen::Screen;
use crate::visitor::SignedIn;

/// What answers requests at and below a base. For adapters.
pub trait Surface: Send + Sync + 'static {
    /// Where it is mounted.
    fn base(&self) -> &str;

    /// The base, for a router to be told.
    ///
    /// # Panics
    /// If it is not a path of fixed text, such as `/api/tokens`: a router would make something else of it, each its own.
    fn mounted_at(&self) -> &str {
        let base = self.base();
        let fixed = base.starts_with('/') && !base.ends_with('/') && !base.contains(['{', '}', '*']);
        assert!(fixed, "token management needs a path of fixed text to be mounted at, such as /api/tokens");
        base
    }

    /// Whether the answer to a request for a path below the base depends on who is signed in. Where it does not, the host is not asked, so
    /// that programs are answered while it can't tell.
    fn wants_visitor(&self, method: &str, path: &str) -> bool;

    /// The answer when the host can't tell who is signed in.
    fn unavailable(&self) -> Response;

    /// The answer to a request of someone who is signed in, or of whoever the request itself says.
    fn answer(&self, request: Request, visitor: Option<SignedIn>) -> impl Future<Output = Response> + Send;

    /// The path below the base, of the raw path of a request: what [`Request::path`] is.
    fn below<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(self.base()).unwrap_or(path) {
            "" => "/",
            below => below,
        }
    }

    /// Logs why the host can't tell who is signed in, and answers.
    fn nobody_known(&self, error: &(dyn Error + Send + Sync)) -> Response {
        tracing::error!(%error, "who is signed in can't be known, so a request to manage tokens is denied");
        self.unavailable()
    }
}

impl Surface for Management {
    fn base(&self) -> &str {
        self.base()
    }

    fn wants_visitor(&self, method: &str, path: &str) -> bool {
        self.who(method, path).is_some_and(Who::wants_visitor)
    }

    fn unavailable(&self) -> Response {
        Response::unavailable()
    }

    async fn answer(&self, request: Request, visitor: Option<SignedIn>) -> Response {
        self.handle(request, visitor).await
    }
}

impl Surface for Screen {
    fn base(&self) -> &str {
        self.base()
    }

    fn wants_visitor(&self, _method: &str, path: &str) -> bool {
        !path.starts_with(pages::ASSETS)
    }

    fn unavailable(&self) -> Response {
        self.unavailable()
    }

    async fn answer(&self, request: Request, visitor: Option<SignedIn>) -> Response {
        self.handle(request, visitor).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(&'static str);

    impl Surface for At {
        fn base(&self) -> &str {
            self.0
        }

        fn wants_visitor(&self, _method: &str, _path: &str) -> bool {
            true
        }

        fn unavailable(&self) -> Response {
            Response::unavailable()
        }

        async fn answer(&self, _request: Request, _visitor: Option<SignedIn>) -> Response {
            self.unavailable()
        }
    }

    #[test]
    fn the_path_is_what_follows_the_base_as_it_was_sent() {
        for (raw, below) in [
            ("/api/tokens", "/"),
            ("/api/tokens/", "/"),
            ("/api/tokens/tokens", "/tokens"),
            ("/api/tokens/tokens/", "/tokens/"),
            ("/api/tokens//tokens", "//tokens"),
            ("/api/tokens/t%2Fk%2e%2e/%FF", "/t%2Fk%2e%2e/%FF"),
            ("/api/tokens/../x/./y", "/../x/./y"),
            ("/api/tokens/api/tokens", "/api/tokens"),
        ] {
            assert_eq!(At("/api/tokens").below(raw), below, "{raw}");
        }
    }

    #[test]
    fn a_base_is_a_path_of_fixed_text() {
        assert_eq!(At("/api/tokens").mounted_at(), "/api/tokens");
        for base in ["", "/", "api", "/api/", "/{id}/tokens", "/api}", "/api/*"] {
            assert!(std::panic::catch_unwind(|| At(base).mounted_at().len()).is_err(), "{base:?}");
        }
    }
}

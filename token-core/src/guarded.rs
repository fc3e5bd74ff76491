//! What a host's test says of routes that answered without a credential. For adapters.

use std::fmt::Debug;

/// The routes that should have refused a request without a credential, and did not.
#[derive(Debug, Default)]
#[must_use = "nothing is said until `assert_none`"]
pub struct Unguarded {
    says: String,
    asked: usize,
}

impl Unguarded {
    /// The method and the path of a route as a host writes it, `"GET /projects"`.
    ///
    /// # Panics
    /// If it is not written so: a test that asks for something else than its host means would say nothing.
    #[must_use]
    pub fn read(route: &str) -> (&str, &str) {
        let parts = route.split_once(' ').filter(|(method, path)| {
            let method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
            method && path.starts_with('/') && path.bytes().all(is_of_a_path)
        });
        assert!(
            parts.is_some(),
            "{route:?} is no route to ask for: write a method and a path without templates, such as \"GET /projects/1\""
        );
        parts.unwrap_or_default()
    }

    /// Notes how a route answered: guarded if it refused, by a refusal of ours, with 401.
    pub fn note(&mut self, route: &str, status: u16, refused: bool) {
        self.asked += 1;
        if !(refused && status == 401) {
            let hint = match status {
                404 => "; no route is there, or it is outside of the layer",
                401 | 403 => ", but not by a TokenLayer",
                _ => "",
            };
            self.say(format_args!("{route} answered {status}{hint}"));
        }
    }

    /// Notes a route whose service failed.
    pub fn note_error(&mut self, route: &str, error: &dyn Debug) {
        self.asked += 1;
        self.say(format_args!("{route} failed: {error:?}"));
    }

    fn say(&mut self, what: std::fmt::Arguments<'_>) {
        self.says.push_str(&format!("  {what}\n"));
    }

    /// Ends the test.
    ///
    /// # Panics
    /// If any route was not guarded, or none was asked.
    pub fn assert_none(self) {
        assert!(self.asked > 0, "no routes were named, so none was asked");
        assert!(self.says.is_empty(), "these routes answer requests without a token:\n{}", self.says);
    }
}

/// Whether a path or a query may hold it (RFC 3986 §3.3, §3.4). What a framework can't read it might ask for as something else.
fn is_of_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(notes: &[(&str, u16, bool)]) -> Option<String> {
        let mut unguarded = Unguarded::default();
        notes.iter().for_each(|(route, status, refused)| unguarded.note(route, *status, *refused));
        let failed = std::panic::catch_unwind(|| unguarded.assert_none()).err()?;
        failed
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| failed.downcast_ref::<&str>().map(|text| (*text).to_owned()))
    }

    #[test]
    fn only_our_own_401_is_a_guard() {
        assert_eq!(failed(&[("GET /a", 401, true), ("POST /b", 401, true)]), None);
        for (status, refused) in
            [(200, false), (404, false), (401, false), (403, false), (403, true), (500, true), (302, false)]
        {
            let says = failed(&[("GET /a", 401, true), ("POST /b", status, refused)]).unwrap();
            assert!(says.contains(&format!("POST /b answered {status}")) && !says.contains("/a"), "{says}");
        }
        assert!(failed(&[]).unwrap().contains("no routes"));
    }

    #[test]
    fn a_route_that_is_none_is_not_asked_for() {
        assert_eq!(Unguarded::read("GET /projects?a=b"), ("GET", "/projects?a=b"));
        assert_eq!(Unguarded::read("PUT /p/%20-._~!$&'()*+,;=:@?/?"), ("PUT", "/p/%20-._~!$&'()*+,;=:@?/?"));
        for bad in ["", "GET", "/projects", "get /projects", "GET projects", "GET  /x", "GET /x y", "GET /p/{id}"] {
            assert!(std::panic::catch_unwind(|| Unguarded::read(bad)).is_err(), "{bad:?}");
        }
        // A template in other brackets, a fragment, and whatever else no path holds.
        for letter in "<>#\"[]\\^`|\u{7f}é".chars() {
            let bad = format!("GET /p/{letter}id");
            assert!(std::panic::catch_unwind(|| Unguarded::read(&bad)).is_err(), "{bad:?}");
        }
    }
}

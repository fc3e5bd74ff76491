//! What every page has around it.

use askama::Template;
use token_core::Actor;

use crate::http::Response;
use crate::screen::{Look, Screen};
use crate::words as w;

use super::Refused;

/// The title of a page, the host's header and links, and where things are.
#[derive(Debug, Clone)]
pub(crate) struct Frame<'a> {
    pub(crate) look: &'a Look,
    pub(crate) base: &'a str,
    pub(crate) css: &'a str,
    pub(crate) js: &'a str,
    pub(crate) icon: &'a str,
    pub(crate) title: String,
    pub(crate) who: Option<&'a str>,
    pub(crate) is_admin: bool,
    pub(crate) may_manage: bool,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(screen: &'a Screen, title: String, actor: Option<&'a Actor>) -> Frame<'a> {
        Frame {
            look: &screen.look,
            base: screen.base(),
            css: &screen.assets.css.url,
            js: &screen.assets.js.url,
            icon: &screen.assets.icon.url,
            title,
            who: actor.map(|actor| actor.id().as_str()),
            is_admin: actor.is_some_and(Actor::is_admin),
            may_manage: actor.is_some_and(Actor::may_manage),
        }
    }
}

/// What a page says when a form can't be taken as it is: each with the field that it is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Vec<(&'static str, String)>);

impl Faults {
    pub(crate) fn add(&mut self, field: &'static str, says: impl Into<String>) {
        self.0.push((field, says.into()));
    }

    pub(crate) fn one(field: &'static str, says: impl Into<String>) -> Faults {
        Faults(vec![(field, says.into())])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(field, says)| (*field, says.as_str()))
    }

    /// What is wrong with a field.
    pub(crate) fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, says)| says.as_str())
    }

    pub(crate) fn heading(&self) -> String {
        w::faults(self.0.len())
    }
}

/// A page as it is sent.
pub(crate) fn page(status: u16, template: &impl Template) -> Result<Response, Refused> {
    // Writing to memory does not fail.
    template.render().map(|html| Response::page(status, html)).map_err(|_| Refused::Unavailable)
}

//! What a form sends: `application/x-www-form-urlencoded`, read strictly, each field at most once.

use std::collections::BTreeMap;

use crate::http::Request;
use crate::percent;

/// The fields of a form or a query that are not taken yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

/// What came is no form, or not this one.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// Never more fields than the largest form has: a permission each, and a few.
const FIELDS_MAX: usize = 600;

/// Whether a request says that it sends a form. Programs name its charset, browsers don't; it is the same either way.
pub(crate) fn is_form(request: &Request) -> bool {
    let mut lines = request.header("content-type");
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let line = line.to_ascii_lowercase();
    let mut parts = line.split(';').map(str::trim);
    parts.next() == Some("application/x-www-form-urlencoded") && parts.all(|part| part == "charset=utf-8")
}

impl Form {
    pub(crate) fn of_sent(request: &Request) -> Result<Form, Unreadable> {
        if !is_form(request) {
            return Err(Unreadable);
        }
        Form::of_text(std::str::from_utf8(&request.body).map_err(|_| Unreadable)?)
    }

    pub(crate) fn of_query(request: &Request) -> Result<Form, Unreadable> {
        Form::of_text(&request.query)
    }

    fn of_text(text: &str) -> Result<Form, Unreadable> {
        let mut fields = BTreeMap::new();
        for pair in text.split('&').filter(|_| !text.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(Unreadable)?;
            let name = percent::query_word(name).ok_or(Unreadable)?;
            let value = percent::query_word(value).ok_or(Unreadable)?;
            if fields.len() == FIELDS_MAX || fields.insert(name, value).is_some() {
                return Err(Unreadable);
            }
        }
        Ok(Form(fields))
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A field that browsers always send.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, Unreadable> {
        self.take(name).ok_or(Unreadable)
    }

    /// Whether a box is ticked.
    pub(crate) fn ticked(&mut self, name: &str) -> Result<bool, Unreadable> {
        match self.take(name).as_deref() {
            None => Ok(false),
            Some("on") => Ok(true),
            Some(_) => Err(Unreadable),
        }
    }

    /// The rest of the names of the fields that begin so, all of which are ticked boxes.
    pub(crate) fn all_ticked(&mut self, start: &str) -> Result<Vec<String>, Unreadable> {
        let names: Vec<String> = self.0.keys().filter(|name| name.starts_with(start)).cloned().collect();
        let names = names.into_iter().map(|name| {
            self.ticked(&name)?;
            Ok(name[start.len()..].to_owned())
        });
        names.collect()
    }

    /// Nothing may be left over.
    pub(crate) fn done(self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_once_each_and_whole() {
        let mut form = Form::of_text("name=a+%26+b&p.projects=read&t.1=on&t.2=on&empty=").unwrap();
        assert_eq!(form.text("name").unwrap(), "a & b");
        assert_eq!(form.take("p.projects").as_deref(), Some("read"));
        assert_eq!(form.all_ticked("t.").unwrap(), ["1", "2"]);
        assert!(form.clone().done().is_err());
        assert_eq!(form.text("empty").unwrap(), "");
        form.done().unwrap();
        let many = ["a=b"; 2].join("&");
        for bad in ["a", "a=b&", "&", "a=%", "a=%ff", "%zz=1", &many, "a=1&%61=2"] {
            assert!(Form::of_text(bad).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..601).map(|number| format!("a{number}=")).collect();
        assert!(Form::of_text(&many.join("&")).is_err());
        assert!(Form::of_text("t.1=off").unwrap().all_ticked("t.").is_err());
    }
}

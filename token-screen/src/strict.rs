//! Bodies, read strictly: one JSON object (or an array of them), whose every field is known, once, and of its type.
//!
//! Derived deserializers take a list for a struct and `{"word": null}` for a word. Here what the schema does not allow is not read.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::problem::Problem;

/// The fields of an object that are not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

/// A body is not what the operation reads.
#[derive(Debug)]
pub(crate) struct Invalid;

impl From<Invalid> for Problem {
    fn from(_: Invalid) -> Problem {
        Problem::new(400, "invalid_body", "The body is not what this operation reads. See its schema in openapi.json.")
    }
}

impl Fields {
    /// The fields of a body; none at all of an empty one.
    pub(crate) fn of_body(body: &[u8]) -> Result<Fields, Invalid> {
        if body.is_empty() {
            return Ok(Fields::default());
        }
        // Reads at most 128 levels, and nothing after the value.
        let Exact(value) = serde_json::from_slice(body).map_err(|_| Invalid)?;
        Fields::of(value)
    }

    pub(crate) fn of(value: Value) -> Result<Fields, Invalid> {
        match value {
            Value::Object(fields) => Ok(Fields(fields)),
            _ => Err(Invalid),
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<Value, Invalid> {
        self.take(name).ok_or(Invalid)
    }

    /// Nothing may be left over.
    pub(crate) fn done(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid) }
    }
}

/// The items of a body that is one JSON array.
pub(crate) fn list_of_body(body: &[u8]) -> Result<Vec<Value>, Invalid> {
    let Exact(value) = serde_json::from_slice(body).map_err(|_| Invalid)?;
    list(value)
}

pub(crate) fn text(value: Value) -> Result<String, Invalid> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Invalid),
    }
}

pub(crate) fn list(value: Value) -> Result<Vec<Value>, Invalid> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(Invalid),
    }
}

pub(crate) fn boolean(value: &Value) -> Result<bool, Invalid> {
    value.as_bool().ok_or(Invalid)
}

/// A whole number in a range. `1.0` is one to JSON Schema, so it is one here.
pub(crate) fn integer(value: &Value, range: std::ops::RangeInclusive<u64>) -> Result<u64, Invalid> {
    let Value::Number(number) = value else { return Err(Invalid) };
    let number = number.as_u64().or_else(|| whole(number)).ok_or(Invalid)?;
    if range.contains(&number) { Ok(number) } else { Err(Invalid) }
}

fn whole(number: &Number) -> Option<u64> {
    let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
    // The text of a whole float is its digits; up to 2^53 they are exact.
    (0.0..9_007_199_254_740_992.0).contains(&number).then(|| format!("{:.0}", number.abs()).parse().ok())?
}

/// A value of which no object names a field twice.
struct Exact(Value);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Exact, D::Error> {
        deserializer.deserialize_any(ExactVisitor).map(Exact)
    }
}

struct ExactVisitor;

impl<'de> Visitor<'de> for ExactVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Exact(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Exact(value))) = entries.next_entry::<String, Exact>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a field is named twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_is_read_and_nothing_else() {
        for good in ["", "{}", " {\"a\": 1} ", r#"{"a":{"b":[]}}"#] {
            assert!(Fields::of_body(good.as_bytes()).is_ok(), "{good}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for bad in
            ["[]", "null", "1", "{} {}", "{}x", "{", r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, "{'a':1}", &deep]
        {
            assert!(Fields::of_body(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Fields::of_body(b"{\"a\":\"\xff\"}").is_err());
        assert!(Fields::of_body(b"\xef\xbb\xbf{}").is_err());
    }

    #[test]
    fn whole_numbers_are_whole_and_in_range() {
        let read = |json: &str| integer(&serde_json::from_str(json).unwrap(), 0..=1000).ok();
        assert_eq!(read("7"), Some(7));
        assert_eq!(read("7.0"), Some(7));
        assert_eq!(read("1e3"), Some(1000));
        assert_eq!(read("-0.0"), Some(0));
        for bad in ["-1", "1001", "1.5", "1e300", "\"7\"", "true", "null", "18446744073709551616"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

//! What is bound to a statement, before a dialect gives it the type of its database.

use std::borrow::Cow;

use token_core::{Cursor, Fault, StoreError, Time, TokenId};

/// One argument of a statement. Each kind knows its null, for databases whose nulls have a type.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<&'a [u8]>),
    Time(Option<Time>),
    Id(Option<TokenId>),
}

/// A list of arguments, each made by `Value::from`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::value::Value::from($value)),*] };
}
pub(crate) use values;

/// A number that the domain counts from zero, as databases keep it: with a sign.
pub(crate) fn number(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|error| StoreError::new(Fault::Other, error))
}

/// Marks for a list of arguments, `?, ?, ?`, and the arguments, at least one.
///
/// The last is repeated until their number is a power of two, so that a statement is prepared in a few lengths only.
pub(crate) fn list<'a>(items: impl IntoIterator<Item = Value<'a>>) -> (String, Vec<Value<'a>>) {
    let mut values: Vec<Value<'a>> = items.into_iter().collect();
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    let mut marks = "?, ".repeat(values.len());
    marks.truncate(marks.len().saturating_sub(2));
    (marks, values)
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(Some(number))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Value::Int(Some(number.into()))
    }
}

impl From<Option<u32>> for Value<'_> {
    fn from(number: Option<u32>) -> Self {
        Value::Int(number.map(i64::from))
    }
}

impl From<Cursor> for Value<'_> {
    fn from(cursor: Cursor) -> Self {
        Value::Int(Some(cursor.0))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Some(text.into()))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Value::Text(text.map(Cow::from))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Some(text.into()))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(text: Option<String>) -> Self {
        Value::Text(text.map(Cow::from))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Bytes(Some(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Value::Bytes(Some(bytes))
    }
}

impl<'a, const N: usize> From<Option<&'a [u8; N]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8; N]>) -> Self {
        Value::Bytes(bytes.map(<[u8; N]>::as_slice))
    }
}

impl From<Time> for Value<'_> {
    fn from(time: Time) -> Self {
        Value::Time(Some(time))
    }
}

impl From<Option<Time>> for Value<'_> {
    fn from(time: Option<Time>) -> Self {
        Value::Time(time)
    }
}

impl From<TokenId> for Value<'_> {
    fn from(id: TokenId) -> Self {
        Value::Id(Some(id))
    }
}

impl From<Option<TokenId>> for Value<'_> {
    fn from(id: Option<TokenId>) -> Self {
        Value::Id(id)
    }
}

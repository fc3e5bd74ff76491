//! The forms of values, for the OpenAPI document and, where one is read, for the reader.

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Ref, Schema, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, RefOr};

use crate::moment;

/// The longest span that a policy or an expiry may name: a thousand years.
pub(crate) const SECONDS_MAX: u64 = 365_000 * 86_400;

/// The most reports of leaks in one request.
pub(crate) const LEAK_REPORTS_MAX: usize = 5_000;

/// No control and no text-direction characters.
const VISIBLE: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff]+$";
const NETWORK: &str = "^[0-9a-fA-F:./]{2,49}$";
const ID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

/// 1 to 255 characters that [`VISIBLE`] allows. The core counts bytes.
pub(crate) fn is_opaque(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && text.chars().all(|c| token_core::TokenName::new(c.to_string()).is_ok())
}

/// What [`NETWORK`] allows.
pub(crate) fn is_network(text: &str) -> bool {
    (2..=49).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.' | b'/'))
}

pub(crate) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

pub(crate) fn matching(pattern: &str) -> Schema {
    string().pattern(Some(pattern)).build().into()
}

pub(crate) fn one_of_words(words: impl IntoIterator<Item = &'static str>) -> Schema {
    string().enum_values(Some(words)).build().into()
}

pub(crate) fn integer(min: u64, max: u64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max))
}

fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

fn visible(max: usize) -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(max)).pattern(Some(VISIBLE))
}

pub(crate) fn id() -> Schema {
    string().format(Some(SchemaFormat::Custom("uuid".to_owned()))).pattern(Some(ID)).build().into()
}

pub(crate) fn id_or_null() -> Schema {
    let format = SchemaFormat::Custom("uuid".to_owned());
    ObjectBuilder::new().schema_type(or_null(Type::String)).format(Some(format)).pattern(Some(ID)).build().into()
}

pub(crate) fn owner() -> Schema {
    visible(255).build().into()
}

pub(crate) fn name() -> Schema {
    visible(100).build().into()
}

/// Any revision, or the one that an ETag of ours named.
pub(crate) fn revision() -> Schema {
    AnyOfBuilder::new().item(one_of_words(["*"])).item(matching("^\"(0|[1-9][0-9]{0,18})\"$")).build().into()
}

/// A part of a name; empty is any.
pub(crate) fn name_part() -> Schema {
    string().max_length(Some(100)).pattern(Some(VISIBLE.replace("+$", "*$"))).build().into()
}

fn moment(kind: impl Into<SchemaType>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(kind)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(moment::PATTERN))
}

pub(crate) fn time() -> Schema {
    moment(Type::String).build().into()
}

pub(crate) fn time_or_null() -> Schema {
    moment(or_null(Type::String)).build().into()
}

pub(crate) fn state() -> Schema {
    one_of_words(["live", "expired", "revoked"])
}

pub(crate) fn risk() -> Schema {
    one_of_words(["low", "medium", "high"])
}

pub(crate) fn count() -> Schema {
    integer(0, u64::from(u32::MAX)).build().into()
}

pub(crate) fn seconds() -> Schema {
    integer(0, SECONDS_MAX).build().into()
}

pub(crate) fn seconds_or_null() -> Schema {
    integer(0, SECONDS_MAX).schema_type(or_null(Type::Integer)).build().into()
}

/// An object with these fields and no others.
fn object(fields: impl IntoIterator<Item = (&'static str, RefOr<Schema>)>, required: &[&str]) -> Object {
    let object = ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(closed()));
    let object = fields.into_iter().fold(object, |object, (name, schema)| object.property(name, schema));
    required.iter().fold(object, |object, name| object.required(*name)).build()
}

fn closed() -> AdditionalProperties<Schema> {
    AdditionalProperties::FreeForm(false)
}

fn resources() -> Schema {
    let ids = ArrayBuilder::new().items(RefOr::T(owner())).min_items(Some(1)).max_items(Some(1000)).build();
    OneOfBuilder::new().item(one_of_words(["all"])).item(Schema::Array(ids)).build().into()
}

fn grants(scope: Schema) -> ArrayBuilder {
    let grant = object([("scope", RefOr::T(scope)), ("resources", RefOr::T(resources()))], &["scope", "resources"]);
    ArrayBuilder::new().items(RefOr::T(Schema::Object(grant))).max_items(Some(256))
}

/// The grants of a token that exists: its scopes may be ones that the service had once.
pub(crate) fn held_grants() -> Schema {
    grants(string().max_length(Some(64)).build().into()).build().into()
}

fn networks() -> ArrayBuilder {
    ArrayBuilder::new()
        .schema_type(or_null(Type::Array))
        .items(RefOr::T(matching(NETWORK)))
        .min_items(Some(1))
        .max_items(Some(64))
}

pub(crate) fn held_networks() -> Schema {
    networks().build().into()
}

/// What is asked for, by the name of its component.
pub(crate) fn requests(scopes: impl IntoIterator<Item = &'static str>) -> Vec<(&'static str, Schema)> {
    let wanted = || {
        let scope = Ref::from_schema_name("Scope");
        let grant = object([("scope", scope.into()), ("resources", RefOr::T(resources()))], &["scope", "resources"]);
        let grants = ArrayBuilder::new().schema_type(or_null(Type::Array)).items(RefOr::T(Schema::Object(grant)));
        RefOr::T(Schema::Array(grants.max_items(Some(256)).build()))
    };
    let component = |name: &str| RefOr::from(Ref::from_schema_name(name));
    let overlap = || RefOr::T(seconds());
    let replace = || RefOr::T(one_of_words(["current", "ending_superseded", "ending_current"]));
    let body = |fields: Vec<(&'static str, RefOr<Schema>)>, required: &[&str]| Schema::Object(object(fields, required));
    let ids = ArrayBuilder::new().items(RefOr::T(id())).min_items(Some(1)).max_items(Some(100)).build();
    vec![
        ("Scope", one_of_words(scopes)),
        ("Expires", expires()),
        (
            "NewToken",
            body(
                vec![
                    ("owner", RefOr::T(owner())),
                    ("name", RefOr::T(name())),
                    ("grants", wanted()),
                    ("networks", RefOr::T(held_networks())),
                    ("expires", component("Expires")),
                ],
                &["name"],
            ),
        ),
        (
            "Edit",
            body(
                vec![
                    ("name", RefOr::T(name())),
                    ("grants", wanted()),
                    ("networks", RefOr::T(held_networks())),
                    ("expires", component("Expires")),
                ],
                &[],
            ),
        ),
        (
            "Rotation",
            body(vec![("replace", replace()), ("overlap_seconds", overlap()), ("expires", component("Expires"))], &[]),
        ),
        ("SelfRotation", body(vec![("replace", replace()), ("overlap_seconds", overlap())], &[])),
        ("Revoke", body(vec![("ids", RefOr::T(Schema::Array(ids)))], &["ids"])),
    ]
}

/// What is read and answered where leaks are reported. A report may have fields that are not named here.
pub(crate) fn leak_reports() -> [(&'static str, Schema); 2] {
    let report = ObjectBuilder::new()
        .property("token", string())
        .property("type", string())
        .property("url", string())
        .property("source", string())
        .required("token");
    let reports = ArrayBuilder::new().items(RefOr::T(report.build().into())).max_items(Some(LEAK_REPORTS_MAX));
    let leaks = ArrayBuilder::new().items(Ref::from_schema_name("Leak")).max_items(Some(LEAK_REPORTS_MAX));
    [("LeakReports", Schema::Array(reports.build())), ("Leaks", Schema::Array(leaks.build()))]
}

/// A token as it was presented. Other fields of OAuth are ignored.
pub(crate) fn presented_token() -> Schema {
    let form =
        ObjectBuilder::new().property("token", string().min_length(Some(1))).property("token_type_hint", string());
    form.required("token").build().into()
}

pub(crate) fn sha256() -> Schema {
    matching("^[A-Za-z0-9+/]{43}=$")
}

pub(crate) fn leak_kind() -> Schema {
    matching("^[a-z0-9_]{1,64}$")
}

pub(crate) fn leak_label() -> Schema {
    one_of_words(["true_positive", "false_positive"])
}

fn expires() -> Schema {
    let at = object([("at", RefOr::T(time()))], &["at"]);
    let after = integer(1, SECONDS_MAX).build();
    let after = object([("after_seconds", RefOr::T(Schema::Object(after)))], &["after_seconds"]);
    AnyOfBuilder::new()
        .item(one_of_words(["never"]))
        .item(Schema::Object(at))
        .item(Schema::Object(after))
        .description(Some("When the token is to end, within what the policy allows."))
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use token_core::{OwnerId, TokenName};

    use super::*;

    /// What the schema lets through is read, and what it doesn't is not.
    #[test]
    fn patterns_say_what_is_read() {
        let visible = Regex::new(VISIBLE).unwrap();
        for c in '\0'..='\u{ffff}' {
            let text = format!("a{c}");
            let allowed = visible.is_match(&text);
            assert_eq!(is_opaque(&text), allowed, "{c:?}");
            assert_eq!((TokenName::new(&*text).is_ok(), OwnerId::new(&*text).is_ok()), (allowed, allowed), "{c:?}");
        }
        assert!(is_opaque(&"é".repeat(255)) && !is_opaque(&"é".repeat(256)) && !is_opaque(""));
        let network = Regex::new(NETWORK).unwrap();
        for text in ["::", "198.51.100.0/24", "f", "", "g::", &"1".repeat(49), &"1".repeat(50)] {
            assert_eq!(is_network(text), network.is_match(text), "{text}");
        }
    }

    #[test]
    fn times_that_are_read_match_their_pattern() {
        let pattern = Regex::new(moment::PATTERN).unwrap();
        for year in ["0000", "1969", "2027", "9999", "027"] {
            for rest in ["-01-31T23:59:59Z", "-13-01T00:00:00Z", "-12-01T00:00:60Z", "-01-01T24:00:00Z"] {
                for end in ["", "x"] {
                    let text = format!("{year}{rest}{end}");
                    assert_eq!(moment::read(&text).is_some(), pattern.is_match(&text), "{text}");
                }
            }
            for zone in ["Z", ".5Z", ".123456+23:59", ".1234567Z", "z", "+24:00", "-0100", ""] {
                let text = format!("{year}-02-03T04:05:06{zone}");
                assert_eq!(moment::read(&text).is_some(), pattern.is_match(&text), "{text}");
            }
        }
    }
}

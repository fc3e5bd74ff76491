//! What is asked for, in JSON. The schemas of the same are in `schema.rs`: what they allow is read, and may be refused for what it
//! means; what they don't is a bad request.

use std::time::Duration;

use serde_json::Value;
use token_core::{
    Edit, Expiry, Grant, Grants, Networks, NewToken, Overlap, OwnerId, Policy, Replace, ResourceId, ResourceSet,
    Resources, ScopeName, TokenName, UsageRules,
};

use crate::moment;
use crate::problem::Problem;
use crate::schema::{SECONDS_MAX, is_network, is_opaque};
use crate::strict::{Fields, Invalid, boolean, integer, list, text};

/// A request for a token.
pub(in crate::api) fn new_token(mut fields: Fields) -> Result<NewToken, Problem> {
    let owner = fields.take("owner").map(|value| owner(&text(value)?).ok_or(Invalid)).transpose()?;
    let name = name(fields.required("name")?)?;
    let grants = fields.take("grants").map(GrantForms::read).transpose()?;
    let networks = fields.take("networks").map(networks_form).transpose()?;
    let expiry = optional_expiry(&mut fields)?;
    fields.done()?;
    let no_owner = |_| Problem::new(409, "owner_unknown", "There is no such owner, or it is deactivated.");
    Ok(NewToken {
        owner: owner.map(OwnerId::new).transpose().map_err(no_owner)?,
        name,
        grants: grants.map(GrantForms::checked).transpose()?.unwrap_or_default(),
        networks: networks.map(networks_checked).transpose()?.flatten(),
        expiry,
    })
}

/// A request to change a token.
pub(in crate::api) fn edit(mut fields: Fields) -> Result<Edit, Problem> {
    let name = fields.take("name").map(name).transpose()?;
    let grants = fields.take("grants").map(GrantForms::read).transpose()?;
    let networks = fields.take("networks").map(networks_form).transpose()?;
    let expiry = optional_expiry(&mut fields)?;
    fields.done()?;
    Ok(Edit {
        name,
        grants: grants.map(GrantForms::checked).transpose()?,
        networks: networks.map(networks_checked).transpose()?,
        expiry,
    })
}

/// What a rotation does to the values that are there. Takes the last of the fields.
pub(in crate::api) fn replace(mut fields: Fields) -> Result<Replace, Problem> {
    let word = fields.take("replace").map(text).transpose()?;
    let overlap = fields.take("overlap_seconds").map(|value| integer(&value, 0..=SECONDS_MAX)).transpose()?;
    fields.done()?;
    let span = overlap.map_or(Overlap::Default, |seconds| Overlap::For(Duration::from_secs(seconds)));
    match word.as_deref() {
        None | Some("current") => Ok(Replace::Current(span)),
        Some("ending_superseded") => Ok(Replace::EndingSuperseded(span)),
        Some("ending_current") if overlap.is_none() => Ok(Replace::EndingCurrent),
        Some("ending_current") => {
            let detail = "The current value is to end at once, so there is no overlap to give.";
            Err(Problem::new(409, "overlap_not_allowed", detail))
        }
        Some(_) => Err(Invalid.into()),
    }
}

/// The policy, whole: what is left out is not a wish for the default. The rules of usage are not part of it, and stay as they are.
pub(in crate::api) fn policy(mut fields: Fields, usage: UsageRules) -> Result<Policy, Problem> {
    let span = |value: &Value| integer(value, 0..=SECONDS_MAX).map(Duration::from_secs);
    let live = integer(&fields.required("live_tokens_per_owner")?, 0..=u64::from(u32::MAX))?;
    let policy = Policy {
        live_tokens_per_owner: u32::try_from(live).map_err(|_| Invalid)?,
        max_lifetime: match fields.required("max_lifetime")? {
            Value::Null => None,
            value => Some(span(&value)?),
        },
        never_expires: boolean(&fields.required("never_expires")?)?,
        default_lifetime: span(&fields.required("default_lifetime")?)?,
        max_overlap: span(&fields.required("max_overlap")?)?,
        default_overlap: span(&fields.required("default_overlap")?)?,
        usage,
    };
    fields.done()?;
    Ok(policy)
}

/// `"never"`, `{"at": time}` or `{"after_seconds": number}`.
pub(in crate::api) fn optional_expiry(fields: &mut Fields) -> Result<Option<Expiry>, Invalid> {
    let Some(value) = fields.take("expires") else { return Ok(None) };
    if value == "never" {
        return Ok(Some(Expiry::Never));
    }
    let mut fields = Fields::of(value)?;
    let expiry = match (fields.take("at"), fields.take("after_seconds")) {
        (Some(at), None) => Expiry::At(moment::read(&text(at)?).ok_or(Invalid)?),
        (None, Some(after)) => Expiry::After(Duration::from_secs(integer(&after, 1..=SECONDS_MAX)?)),
        _ => return Err(Invalid),
    };
    fields.done()?;
    Ok(Some(expiry))
}

/// The text of what may be an owner's id: the schema counts characters, and an owner bytes.
pub(in crate::api) fn owner(text: &str) -> Option<String> {
    is_opaque(text).then(|| text.to_owned())
}

fn name(value: Value) -> Result<TokenName, Invalid> {
    TokenName::new(text(value)?).map_err(|_| Invalid)
}

/// Grants of the right form, not checked against each other yet.
struct GrantForms(Vec<(ScopeName, Option<Vec<String>>)>);

impl GrantForms {
    /// `null` and `[]` are no rights. Never are they all.
    fn read(value: Value) -> Result<GrantForms, Invalid> {
        if value.is_null() {
            return Ok(GrantForms(Vec::new()));
        }
        let items = list(value)?;
        if items.len() > 256 {
            return Err(Invalid);
        }
        items.into_iter().map(grant).collect::<Result<_, _>>().map(GrantForms)
    }

    fn checked(self) -> Result<Grants, Problem> {
        let refused = |error: &dyn std::error::Error| Problem::new(409, "grants_refused", format!("{error}."));
        let grants = self.0.into_iter().map(|(scope, resources)| {
            let resources = match resources {
                None => Resources::All,
                Some(ids) => {
                    let ids = ids.into_iter().map(ResourceId::new).collect::<Result<Vec<_>, _>>();
                    let ids = ids.map_err(|error| refused(&error))?;
                    Resources::Only(ResourceSet::new(ids).map_err(|error| refused(&error))?)
                }
            };
            Ok(Grant { scope, resources })
        });
        let grants = grants.collect::<Result<Vec<_>, Problem>>()?;
        Grants::new(grants).map_err(|_| {
            let detail = "Grant each scope once, with all its resources: at most 1000 of them in 32 KiB.";
            Problem::new(409, "grants_refused", detail)
        })
    }
}

fn grant(value: Value) -> Result<(ScopeName, Option<Vec<String>>), Invalid> {
    let mut fields = Fields::of(value)?;
    let scope = ScopeName::new(text(fields.required("scope")?)?).map_err(|_| Invalid)?;
    let resources = match fields.required("resources")? {
        Value::String(word) if word == "all" => None,
        value => {
            let ids = list(value)?.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
            if !(1..=1000).contains(&ids.len()) || !ids.iter().all(|id| is_opaque(id)) {
                return Err(Invalid);
            }
            Some(ids)
        }
    };
    fields.done()?;
    Ok((scope, resources))
}

/// `null` is anywhere.
fn networks_form(value: Value) -> Result<Option<Vec<String>>, Invalid> {
    if value.is_null() {
        return Ok(None);
    }
    let texts = list(value)?.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let fits = (1..=64).contains(&texts.len()) && texts.iter().all(|text| is_network(text));
    if fits { Ok(Some(texts)) } else { Err(Invalid) }
}

fn networks_checked(texts: Option<Vec<String>>) -> Result<Option<Networks>, Problem> {
    let Some(texts) = texts else { return Ok(None) };
    let networks = Networks::parse(texts.iter().map(String::as_str));
    networks.map(Some).map_err(|_| {
        let detail = "Write each network as an address or a CIDR block without host bits, such as 198.51.100.0/24.";
        Problem::new(409, "networks_refused", detail)
    })
}

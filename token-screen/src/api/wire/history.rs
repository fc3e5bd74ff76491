//! What was done to a token, and what was done with it: usage, events, changes and receipts.

use std::net::IpAddr;

use serde::Serialize;
use token_core::{
    ActorId, Event, EventDetail, Generation, Grants, History, LastUse, Networks, OwnerId, ReceiptContent, SecretRef,
    Subject, Superseded, Time, TokenFormat, TokenId, TokenName, Usage,
};
use utoipa::ToSchema;

use crate::schema;

use super::{PolicyBody, SealBody, SupersededBody};

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Usage)]
pub(crate) struct UsageBody {
    /// Where the hours begin.
    #[schema(schema_with = schema::time)]
    since: Time,
    /// The last use of each value, of the latest hundred that were used at least.
    last: Vec<LastUseBody>,
    hours: Vec<HourBody>,
    refusals: Vec<RefusalsBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LastUse)]
pub(super) struct LastUseBody {
    /// Which value, counted from 1.
    generation: u32,
    #[schema(schema_with = schema::time)]
    at: Time,
    #[schema(value_type = Option<String>, required = true)]
    address: Option<IpAddr>,
    /// What the client called itself.
    #[schema(value_type = Option<String>, required = true)]
    client: Option<String>,
}

impl LastUseBody {
    pub(super) fn of(generation: Generation, last: &LastUse) -> LastUseBody {
        LastUseBody {
            generation: generation.number(),
            at: last.at,
            address: last.address,
            client: last.client.as_ref().map(ToString::to_string),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HourOfUse)]
struct HourBody {
    #[schema(schema_with = schema::time)]
    hour: Time,
    /// Which value, counted from 1.
    generation: u32,
    count: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Refusals)]
struct RefusalsBody {
    #[schema(schema_with = schema::time)]
    hour: Time,
    reason: &'static str,
    count: u64,
}

impl UsageBody {
    pub(in crate::api) fn of(usage: &Usage, since: Time) -> UsageBody {
        let last = usage.last.iter().map(|(generation, last)| LastUseBody::of(*generation, last));
        let hours = usage.hours.iter().map(|use_| HourBody {
            hour: use_.hour,
            generation: use_.generation.number(),
            count: use_.count,
        });
        let refusals = usage.refusals.iter().map(|refusals| RefusalsBody {
            hour: refusals.hour,
            reason: refusals.reason.as_str(),
            count: refusals.count,
        });
        UsageBody { since, last: last.collect(), hours: hours.collect(), refusals: refusals.collect() }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventPage {
    pub(in crate::api) events: Vec<EventBody>,
    /// What to pass as `after` for the next page; null on the last.
    #[schema(required = true)]
    pub(in crate::api) next: Option<u64>,
}

/// One record of a history.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    /// Its number in the history, from 1.
    seq: u64,
    #[schema(schema_with = schema::time)]
    at: Time,
    /// Who did it.
    #[schema(value_type = String)]
    actor: ActorId,
    /// What happened; `unknown` if this version can't tell.
    kind: &'static str,
    /// What it was changed to. Only what changed is there.
    detail: DetailBody,
}

#[derive(Serialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
#[schema(as = EventDetail)]
struct DetailBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::name, required = false)]
    name: Option<TokenName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::held_grants, required = false)]
    grants: Option<Grants>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::held_networks, required = false)]
    networks: Option<Option<Networks>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::time_or_null, required = false)]
    expires_at: Option<Option<Time>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::time_or_null, required = false)]
    revoked_at: Option<Option<Time>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::time_or_null, required = false)]
    suspended_at: Option<Option<Time>>,
    /// How the value concerned begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    masked: Option<String>,
    /// The value that works on for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SupersededBody>, required = false)]
    superseded: Option<Option<SupersededBody>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PolicyBody, required = false)]
    policy: Option<PolicyBody>,
}

impl EventBody {
    pub(in crate::api) fn of(event: &Event, format: &TokenFormat) -> EventBody {
        let detail = event.detail().ok();
        EventBody {
            seq: event.seq,
            at: event.at,
            actor: event.actor.clone(),
            kind: detail.as_ref().map_or("unknown", EventDetail::kind),
            detail: detail.map(|detail| DetailBody::of(detail, format)).unwrap_or_default(),
        }
    }
}

impl DetailBody {
    fn of(detail: EventDetail, format: &TokenFormat) -> DetailBody {
        let masked = |secret: SecretRef| Some(format.masked(&secret.selector));
        let old = |old: Option<Superseded>| Some(old.map(|old| SupersededBody::of(old, format)));
        let none = DetailBody::default();
        match detail {
            EventDetail::Created { name, grants, networks, expires_at, secret } => DetailBody {
                name: Some(name),
                grants: Some(grants),
                networks: Some(networks),
                expires_at: Some(expires_at),
                masked: masked(secret),
                ..none
            },
            EventDetail::Edited { name, grants, networks, expires_at } => {
                DetailBody { name, grants, networks, expires_at, ..none }
            }
            EventDetail::Rotated { secret, superseded, expires_at } => {
                DetailBody { masked: masked(secret), superseded: old(superseded), expires_at: Some(expires_at), ..none }
            }
            EventDetail::OverlapEnded { secret } => DetailBody { masked: masked(secret), ..none },
            EventDetail::Resealed { name, grants, networks, expires_at, revoked_at, secret, superseded } => {
                DetailBody {
                    name: Some(name),
                    grants: Some(grants),
                    networks: Some(networks),
                    expires_at: Some(expires_at),
                    revoked_at: Some(revoked_at),
                    masked: masked(secret),
                    superseded: old(superseded),
                    ..none
                }
            }
            EventDetail::OwnerResealed { suspended_at } => DetailBody { suspended_at: Some(suspended_at), ..none },
            EventDetail::PolicyChanged { policy } => DetailBody { policy: Some(PolicyBody::of(&policy)), ..none },
            _ => none,
        }
    }
}

/// What became of a change.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Change)]
pub(crate) struct ChangeBody {
    /// The token that was changed, if it was one.
    #[schema(schema_with = schema::id_or_null, required = true)]
    token: Option<TokenId>,
    /// The owner concerned, if any.
    #[schema(value_type = Option<String>, required = true)]
    owner: Option<OwnerId>,
    event: EventBody,
}

impl ChangeBody {
    pub(in crate::api) fn of(event: &Event, format: &TokenFormat) -> ChangeBody {
        let token = match event.subject {
            Subject::Token(id) => Some(id),
            _ => None,
        };
        ChangeBody { token, owner: event.owner.clone(), event: EventBody::of(event, format) }
    }
}

/// What checking a history showed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = History)]
pub(crate) struct HistoryBody {
    /// Broken if it was changed behind the application's back.
    history: SealBody,
    /// How many events an intact history has.
    #[schema(required = true)]
    events: Option<u64>,
    /// The first event that does not fit, or is missing.
    #[schema(required = true)]
    broken_at: Option<u64>,
}

impl HistoryBody {
    pub(in crate::api) fn of(history: &History) -> HistoryBody {
        match history {
            History::Intact { events } => {
                HistoryBody { history: SealBody::Intact, events: Some(*events), broken_at: None }
            }
            History::Broken { seq } => HistoryBody { history: SealBody::Broken, events: None, broken_at: Some(*seq) },
        }
    }
}

/// What a receipt says.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptBody {
    /// When the request was refused.
    #[schema(schema_with = schema::time)]
    at: Time,
    /// The token that was presented, if it is one of this service's.
    #[schema(schema_with = schema::id_or_null, required = true)]
    token: Option<TokenId>,
    /// Exactly why.
    reason: &'static str,
}

impl ReceiptBody {
    pub(in crate::api) fn of(content: &ReceiptContent) -> ReceiptBody {
        ReceiptBody { at: content.at, token: content.token, reason: content.reason.as_str() }
    }
}

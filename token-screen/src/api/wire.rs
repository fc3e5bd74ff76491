//! What is answered, in JSON. Never a digest, a seal or the id of a key.

mod input;

use std::net::IpAddr;

use serde::Serialize;
use token_core::{
    ActorId, Event, EventDetail, Grants, History, Listed, Networks, Owner, OwnerId, Policy, ReceiptContent, Risk,
    ScopeDef, SecretRef, Superseded, Time, Token, TokenFormat, TokenId, TokenName, TokenState, Tokens, Usage,
};
use utoipa::ToSchema;

use crate::schema;

pub(crate) use super::asked::MAX_SEQ;
pub(super) use input::{edit, new_token, optional_expiry, owner, policy, replace};

/// Whether a row is as the service wrote it.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Seal)]
pub(crate) enum SealBody {
    Intact,
    /// It was changed behind the application's back: what is shown may be wrong, and the token is refused.
    Broken,
}

/// A token, without its secrets.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Token)]
pub(crate) struct TokenBody {
    #[schema(schema_with = schema::id)]
    id: TokenId,
    /// Whom it acts for.
    #[schema(schema_with = schema::owner)]
    owner: OwnerId,
    #[schema(schema_with = schema::name)]
    name: TokenName,
    /// How its current value begins.
    masked: String,
    #[schema(schema_with = schema::held_grants)]
    grants: Grants,
    /// Where it may be used from; null is anywhere.
    #[schema(schema_with = schema::held_networks, required = true)]
    networks: Option<Networks>,
    #[schema(schema_with = schema::time)]
    created_at: Time,
    created_by: String,
    /// Null is never.
    #[schema(schema_with = schema::time_or_null, required = true)]
    expires_at: Option<Time>,
    #[schema(schema_with = schema::time_or_null, required = true)]
    revoked_at: Option<Time>,
    #[schema(schema_with = schema::state)]
    state: TokenState,
    /// The value before the current one, while it still works.
    #[schema(required = true)]
    superseded: Option<SupersededBody>,
    /// Counts the changes; the ETag.
    #[schema(minimum = 1)]
    revision: u64,
    seal: SealBody,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Superseded)]
pub(crate) struct SupersededBody {
    /// How it begins.
    masked: String,
    /// From this moment on it is refused.
    #[schema(schema_with = schema::time)]
    until: Time,
}

impl SupersededBody {
    fn of(old: Superseded, format: &TokenFormat) -> SupersededBody {
        SupersededBody { masked: format.masked(&old.secret.selector), until: old.until }
    }
}

impl TokenBody {
    pub(super) fn of(token: &Token, tokens: &Tokens) -> TokenBody {
        let (now, format) = (tokens.now(), tokens.format());
        TokenBody {
            id: token.id,
            owner: token.owner.clone(),
            name: token.name.clone(),
            masked: format.masked(&token.current.selector),
            grants: token.grants.clone(),
            networks: token.networks.clone(),
            created_at: token.created_at,
            created_by: token.created_by.to_string(),
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
            state: token.state(now),
            superseded: token.overlap(now).map(|old| SupersededBody::of(old, format)),
            revision: token.revision,
            seal: SealBody::Intact,
        }
    }

    pub(super) fn of_listed(listed: &Listed, tokens: &Tokens) -> TokenBody {
        TokenBody { seal: SealBody::of(listed.seal.is_ok()), ..TokenBody::of(&listed.token, tokens) }
    }
}

impl SealBody {
    fn of(intact: bool) -> SealBody {
        if intact { SealBody::Intact } else { SealBody::Broken }
    }
}

/// A token and, in the first answer only, its text.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Minted)]
pub(crate) struct MintedBody<'a> {
    pub(super) token: TokenBody,
    /// What the client is to present. It is kept nowhere: null when the request is a repeat.
    #[schema(value_type = Option<String>, required = true)]
    pub(super) text: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenPage {
    pub(super) tokens: Vec<TokenBody>,
    /// The cursor of the next page; null on the last.
    #[schema(required = true)]
    pub(super) next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revocations {
    /// One for each id, in the order of the request.
    pub(super) results: Vec<RevocationBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Revocation)]
pub(crate) struct RevocationBody {
    #[schema(schema_with = schema::id)]
    pub(super) id: TokenId,
    /// `revoked`, or the code of the problem: `not_found` for a token that is missing or not yours to see.
    pub(super) outcome: &'static str,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Usage)]
pub(crate) struct UsageBody {
    /// Where the hours begin.
    #[schema(schema_with = schema::time)]
    since: Time,
    /// The last use of each value that was ever used.
    last: Vec<LastUseBody>,
    hours: Vec<HourBody>,
    refusals: Vec<RefusalsBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LastUse)]
struct LastUseBody {
    /// Which value, counted from 1.
    generation: u32,
    #[schema(schema_with = schema::time)]
    at: Time,
    #[schema(value_type = Option<String>, required = true)]
    address: Option<IpAddr>,
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
    pub(super) fn of(usage: &Usage, since: Time) -> UsageBody {
        let last = usage.last.iter().map(|(generation, last)| LastUseBody {
            generation: generation.number(),
            at: last.at,
            address: last.address,
        });
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
    pub(super) events: Vec<EventBody>,
    /// What to pass as `after` for the next page; null on the last.
    #[schema(required = true)]
    pub(super) next: Option<u64>,
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
    pub(super) fn of(event: &Event, format: &TokenFormat) -> EventBody {
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
    pub(super) fn of(event: &Event, format: &TokenFormat) -> ChangeBody {
        let token = match event.subject {
            token_core::Subject::Token(id) => Some(id),
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
    pub(super) fn of(history: &History) -> HistoryBody {
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
    pub(super) fn of(content: &ReceiptContent) -> ReceiptBody {
        ReceiptBody { at: content.at, token: content.token, reason: content.reason.as_str() }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Owner)]
pub(crate) struct OwnerBody {
    #[schema(schema_with = schema::owner)]
    id: OwnerId,
    /// When all its tokens were suspended; null is not suspended.
    #[schema(schema_with = schema::time_or_null, required = true)]
    suspended_at: Option<Time>,
    revision: u64,
    seal: SealBody,
}

impl OwnerBody {
    pub(super) fn of(owner: &Owner, intact: bool) -> OwnerBody {
        OwnerBody {
            id: owner.id.clone(),
            suspended_at: owner.suspended_at,
            revision: owner.revision,
            seal: SealBody::of(intact),
        }
    }
}

/// What every token must keep to. Spans are in seconds.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Policy)]
pub(crate) struct PolicyBody {
    /// How many live tokens an owner may have.
    #[schema(schema_with = schema::count)]
    live_tokens_per_owner: u32,
    /// The longest life that a token may be given; null sets no limit.
    #[schema(schema_with = schema::seconds_or_null, required = true)]
    max_lifetime: Option<u64>,
    /// Whether a token may be made that never expires.
    never_expires: bool,
    /// The life of a token whose maker did not say.
    #[schema(schema_with = schema::seconds)]
    default_lifetime: u64,
    /// The longest overlap of a rotation.
    #[schema(schema_with = schema::seconds)]
    max_overlap: u64,
    /// The overlap of a rotation whose maker did not say.
    #[schema(schema_with = schema::seconds)]
    default_overlap: u64,
}

impl PolicyBody {
    pub(super) fn of(policy: &Policy) -> PolicyBody {
        PolicyBody {
            live_tokens_per_owner: policy.live_tokens_per_owner,
            max_lifetime: policy.max_lifetime.map(|span| span.as_secs()),
            never_expires: policy.never_expires,
            default_lifetime: policy.default_lifetime.as_secs(),
            max_overlap: policy.max_overlap.as_secs(),
            default_overlap: policy.default_overlap.as_secs(),
        }
    }
}

/// What a policy would have said of the tokens that live today.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rehearsal)]
pub(crate) struct RehearsalBody {
    /// How many tokens live.
    pub(super) live: u64,
    /// How many of them could not be made so. They live on all the same.
    pub(super) refused: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeList {
    pub(super) scopes: Vec<ScopeBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScopeDescription)]
pub(crate) struct ScopeBody {
    name: &'static str,
    /// What it allows, for people.
    says: &'static str,
    /// The heading it is listed under.
    group: &'static str,
    /// How much harm it could do.
    #[schema(schema_with = schema::risk)]
    risk: Risk,
    /// What it allows as well.
    implies: Vec<&'static str>,
}

impl ScopeBody {
    pub(super) fn of(scope: &ScopeDef) -> ScopeBody {
        ScopeBody {
            name: scope.name,
            says: scope.says,
            group: scope.group,
            risk: scope.risk,
            implies: scope.implies.to_vec(),
        }
    }
}

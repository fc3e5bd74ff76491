//! What is answered, in JSON. Never a digest, a seal or the id of a key.

mod history;
mod input;
mod usage;

use serde::Serialize;
use token_core::{
    Grants, Listed, Networks, Owner, OwnerId, Policy, Risk, ScopeDef, Superseded, Time, Token, TokenFormat, TokenId,
    TokenName, TokenState, Tokens, Verified,
};
use utoipa::ToSchema;

use crate::schema;

pub(crate) use super::asked::MAX_SEQ;
pub(crate) use history::{ChangeBody, EventBody, EventPage, HistoryBody, ReceiptBody, UsageBody};
pub(super) use input::{edit, new_token, optional_expiry, owner, policy, replace};
pub(crate) use usage::{ActivityBody, AttentionBody, CallList, UsagePage, UsageSummaryBody};

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

/// What a reporter learns of a text that it reported. Never the text.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Leak)]
pub(crate) struct LeakBody<'a> {
    /// Base64 of the SHA-256 of the text.
    #[schema(schema_with = schema::sha256)]
    pub(super) token_hash: String,
    /// As it was reported, if it is a plain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::leak_kind)]
    pub(super) token_type: Option<&'a str>,
    /// `true_positive` for a token of this service, which is revoked; `false_positive` for anything else.
    #[schema(schema_with = schema::leak_label)]
    pub(super) label: &'static str,
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

/// What RFC 7662 says of a token. Of one that does not work, or is not the caller's to see, that it is not active, and nothing else.
#[derive(Serialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
#[schema(as = Introspection)]
pub(crate) struct IntrospectionBody {
    active: bool,
    /// What it allows on every resource, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    token_type: Option<&'static str>,
    /// When it ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exp: Option<i64>,
    /// Whom it acts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::owner, required = false)]
    sub: Option<OwnerId>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::id, required = false)]
    jti: Option<TokenId>,
}

impl IntrospectionBody {
    pub(super) fn of(token: &Verified) -> IntrospectionBody {
        let scopes: Vec<&str> = token.scopes().collect();
        IntrospectionBody {
            active: true,
            scope: Some(scopes.join(" ")),
            token_type: Some("Bearer"),
            exp: token.expires_at().map(|end| end.as_micros().div_euclid(1_000_000)),
            sub: Some(token.owner().clone()),
            jti: Some(token.token_id()),
        }
    }
}

//! How tokens are used, what is suspicious about it, and what is advised.

use std::net::IpAddr;

use serde::Serialize;
use token_core::{
    Advice, Attention, Concern, ConcernKind, DayOfUse, LastHour, RecentCall, Signal, SourceSeen, Time, TokenId,
    TokenName, TokenUsage, UsageDetail,
};
use utoipa::ToSchema;

use crate::schema;

use super::history::LastUseBody;

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsagePage {
    pub(in crate::api) usage: Vec<UsageSummaryBody>,
    /// The cursor of the next page; null on the last.
    #[schema(required = true)]
    pub(in crate::api) next: Option<String>,
}

/// How one token was used.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UsageSummary)]
pub(crate) struct UsageSummaryBody {
    #[schema(schema_with = schema::id)]
    token: TokenId,
    /// Those on which something happened, in order.
    days: Vec<DayBody>,
    /// Of those days, by reason.
    refusals: Vec<RefusalCountBody>,
    /// The last use of each value, of the latest two that were used at least.
    last: Vec<LastUseBody>,
    /// The scopes that were ever exercised.
    scopes: Vec<ScopeUseBody>,
    /// What was suspicious lately, the latest first.
    signals: Vec<SignalBody>,
    /// What is advised.
    advice: Vec<AdviceBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DayOfUse)]
struct DayBody {
    /// When it began, in UTC.
    #[schema(schema_with = schema::time)]
    day: Time,
    uses: u64,
    refusals: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefusalCount)]
struct RefusalCountBody {
    reason: &'static str,
    count: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScopeUse)]
struct ScopeUseBody {
    scope: String,
    /// When it was last exercised, to within an hour.
    #[schema(schema_with = schema::time)]
    last: Time,
}

/// Something suspicious.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Signal)]
struct SignalBody {
    kind: &'static str,
    /// What tells signals of one kind apart: a network, an hour, a moment; empty where there is one of a token.
    subject: String,
    #[schema(schema_with = schema::time)]
    first: Time,
    #[schema(schema_with = schema::time)]
    last: Time,
    count: u64,
}

/// Something to do about a token. Which fields there are depends on the kind.
#[derive(Serialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
#[schema(as = Advice)]
struct AdviceBody {
    kind: &'static str,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::time, required = false)]
    at: Option<Time>,
    /// Since when it has not been used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::time, required = false)]
    since: Option<Time>,
    /// The scope that it was granted and does not exercise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    scope: Option<String>,
    /// The scopes that would do instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false)]
    instead: Option<Vec<String>>,
    /// When the scope, or the old value, was last used; not there if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::time, required = false)]
    last: Option<Time>,
    /// When the old value ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::time, required = false)]
    until: Option<Time>,
}

/// Everything about the usage of one token.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Activity)]
pub(crate) struct ActivityBody {
    /// Of a year.
    usage: UsageSummaryBody,
    /// Where it was used or refused from, the last seen first, at most 100.
    sources: Vec<SourceBody>,
    /// A sample of its calls, the latest first.
    calls: Vec<CallBody>,
    last_hour: LastHourBody,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Source)]
struct SourceBody {
    /// A /24, or a /48.
    network: String,
    #[schema(schema_with = schema::time)]
    first_seen: Time,
    #[schema(schema_with = schema::time)]
    last_seen: Time,
    uses: u64,
    refusals: u64,
    /// Whether it is not one of the usual ones, and was first seen lately.
    is_new: bool,
}

/// One call, of a sample: the first few of each interval.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Call)]
struct CallBody {
    #[schema(schema_with = schema::time)]
    at: Time,
    #[schema(schema_with = schema::id)]
    token: TokenId,
    #[schema(schema_with = schema::name)]
    name: TokenName,
    method: String,
    /// The template of the route, never the path; null where the service did not tell.
    #[schema(required = true)]
    route: Option<String>,
    /// Why it was refused; null if it was not.
    #[schema(value_type = Option<String>, required = true)]
    refused: Option<&'static str>,
    #[schema(value_type = Option<String>, required = true)]
    address: Option<IpAddr>,
}

/// What a revocation would interrupt.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LastHour)]
struct LastHourBody {
    /// Uses within the last hour, estimated.
    uses: u64,
    /// From so many networks, at most 100.
    sources: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallList {
    /// The latest first.
    calls: Vec<CallBody>,
}

/// What should be looked into.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Attention)]
pub(crate) struct AttentionBody {
    /// At most 50: first what is suspicious, then what is advised.
    items: Vec<ConcernBody>,
    /// Whether there is more, or more tokens than were looked at.
    more: bool,
}

/// One thing about a token: a signal, or advice.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Concern)]
struct ConcernBody {
    #[schema(schema_with = schema::id)]
    token: TokenId,
    #[schema(schema_with = schema::name)]
    name: TokenName,
    #[schema(required = true)]
    signal: Option<SignalBody>,
    #[schema(required = true)]
    advice: Option<AdviceBody>,
}

impl UsageSummaryBody {
    pub(in crate::api) fn of(usage: &TokenUsage, advice: &[Advice]) -> UsageSummaryBody {
        let day = |DayOfUse { day, uses, refusals }: &DayOfUse| DayBody { day: *day, uses: *uses, refusals: *refusals };
        let refusals = usage.refusals.iter();
        let scopes = usage.scopes.iter();
        UsageSummaryBody {
            token: usage.token,
            days: usage.days.iter().map(day).collect(),
            refusals: refusals
                .map(|(reason, count)| RefusalCountBody { reason: reason.as_str(), count: *count })
                .collect(),
            last: usage.last.iter().map(|(generation, last)| LastUseBody::of(*generation, last)).collect(),
            scopes: scopes.map(|used| ScopeUseBody { scope: used.scope.to_string(), last: used.last }).collect(),
            signals: usage.signals.iter().map(SignalBody::of).collect(),
            advice: advice.iter().map(AdviceBody::of).collect(),
        }
    }
}

impl SignalBody {
    fn of(signal: &Signal) -> SignalBody {
        let Signal { kind, subject, first, last, count, .. } = signal;
        SignalBody { kind: kind.as_str(), subject: subject.clone(), first: *first, last: *last, count: *count }
    }
}

impl AdviceBody {
    fn of(advice: &Advice) -> AdviceBody {
        let body = AdviceBody { kind: advice.as_str(), ..AdviceBody::default() };
        match advice {
            Advice::Expiring { at } => AdviceBody { at: Some(*at), ..body },
            Advice::NeverUsed { since } | Advice::Idle { since } => AdviceBody { since: Some(*since), ..body },
            Advice::ScopeUnused { scope, last, instead } => AdviceBody {
                scope: Some(scope.to_string()),
                last: *last,
                instead: Some(instead.iter().map(ToString::to_string).collect()),
                ..body
            },
            Advice::OldValueInUse { last, until } => AdviceBody { last: Some(*last), until: Some(*until), ..body },
            Advice::OldValueSilent { last, until } => AdviceBody { last: *last, until: Some(*until), ..body },
            // One that says it all, or of a later version of the core.
            _ => body,
        }
    }
}

impl ActivityBody {
    pub(in crate::api) fn of(detail: &UsageDetail) -> ActivityBody {
        let LastHour { uses, sources } = detail.last_hour;
        ActivityBody {
            usage: UsageSummaryBody::of(&detail.usage, &detail.advice),
            sources: detail.sources.iter().map(SourceBody::of).collect(),
            calls: detail.calls.iter().map(CallBody::of).collect(),
            last_hour: LastHourBody { uses, sources },
        }
    }
}

impl SourceBody {
    fn of(SourceSeen { source, is_new }: &SourceSeen) -> SourceBody {
        SourceBody {
            network: source.network.to_string(),
            first_seen: source.first_seen,
            last_seen: source.last_seen,
            uses: source.uses,
            refusals: source.refusals,
            is_new: *is_new,
        }
    }
}

impl CallBody {
    fn of(call: &RecentCall) -> CallBody {
        CallBody {
            at: call.at,
            token: call.token,
            name: call.name.clone(),
            method: call.method.clone(),
            route: call.route.clone(),
            refused: call.refused.map(|reason| reason.as_str()),
            address: call.address,
        }
    }
}

impl CallList {
    pub(in crate::api) fn of(calls: &[RecentCall]) -> CallList {
        CallList { calls: calls.iter().map(CallBody::of).collect() }
    }
}

impl AttentionBody {
    pub(in crate::api) fn of(attention: &Attention) -> AttentionBody {
        let item = |Concern { token, name, kind }: &Concern| {
            let (signal, advice) = match kind {
                ConcernKind::Signal(signal) => (Some(SignalBody::of(signal)), None),
                ConcernKind::Advice(advice) => (None, Some(AdviceBody::of(advice))),
            };
            ConcernBody { token: *token, name: name.clone(), signal, advice }
        };
        AttentionBody { items: attention.items.iter().map(item).collect(), more: attention.more }
    }
}

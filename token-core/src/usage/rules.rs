//! What is suspicious, what is advised, and how long usage is kept: the operator's rules.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::encoding::Encoder;
use crate::policy::{optional_seconds, seconds};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The rules of usage, a part of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageRules {
    /// What is suspicious.
    pub signals: SignalRules,
    /// What is advised.
    pub advice: AdviceRules,
    /// How long usage is kept.
    pub retention: Retention,
}

/// From where on usage is suspicious. Durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignalRules {
    /// Networks that are first seen within this time of a token's first request are its usual ones, and its uses within this time
    /// of its making no burst. Default 24 hours.
    #[serde(with = "seconds")]
    pub learning: Duration,
    /// For so long a network is new. Default 24 hours.
    #[serde(with = "seconds")]
    pub new_network_for: Duration,
    /// A burst has at least so many uses within a clock hour. Default 1,000.
    pub burst_uses: u64,
    /// And so many times those of the token's busiest hour of the 7 days before. Default 4.
    pub burst_factor: u32,
    /// A token that was not used for so long is dormant. Default 60 days.
    #[serde(with = "seconds")]
    pub dormant_after: Duration,
    /// A spike has at least so many refusals within a clock hour. Default 100.
    pub spike_refusals: u64,
    /// And so many times those of the token's busiest hour of the 7 days before. Default 4.
    pub spike_factor: u32,
    /// A signal is shown until it was not seen for so long. Default 7 days.
    #[serde(with = "seconds")]
    pub open_for: Duration,
}

impl Default for SignalRules {
    fn default() -> SignalRules {
        SignalRules {
            learning: DAY,
            new_network_for: DAY,
            burst_uses: 1000,
            burst_factor: 4,
            dormant_after: 60 * DAY,
            spike_refusals: 100,
            spike_factor: 4,
            open_for: 7 * DAY,
        }
    }
}

/// From where on something is advised. Durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdviceRules {
    /// A token that expires within this time is expiring. Default 14 days.
    #[serde(with = "seconds")]
    pub expiring_within: Duration,
    /// A token that was not used for so long since it was made is never used. Default 7 days.
    #[serde(with = "seconds")]
    pub never_used_after: Duration,
    /// A token that was not used for so long is idle. Default 90 days.
    #[serde(with = "seconds")]
    pub idle_after: Duration,
    /// A scope that was granted and not exercised for so long is unused. Default 30 days.
    #[serde(with = "seconds")]
    pub scope_unused_after: Duration,
    /// An old value that was not used for so long is silent. Default 1 hour.
    #[serde(with = "seconds")]
    pub old_value_silent_after: Duration,
}

impl Default for AdviceRules {
    fn default() -> AdviceRules {
        AdviceRules {
            expiring_within: 14 * DAY,
            never_used_after: 7 * DAY,
            idle_after: 90 * DAY,
            scope_unused_after: 30 * DAY,
            old_value_silent_after: HOUR,
        }
    }
}

/// How long usage is kept, and the tokens that it is of. Durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Counts are kept by the hour for so long, and then by the day. At least 8 days, which bursts are judged by. Default 8 days.
    #[serde(with = "seconds")]
    pub hours: Duration,
    /// Counts are kept by the day for so long. Default 400 days.
    #[serde(with = "seconds")]
    pub days: Duration,
    /// A network is kept until no request came from it for so long. Default 400 days.
    #[serde(with = "seconds")]
    pub sources: Duration,
    /// A call of the sample is kept for so long. Default 30 days.
    #[serde(with = "seconds")]
    pub calls: Duration,
    /// A signal is kept until it was not seen for so long. Default 400 days.
    #[serde(with = "seconds")]
    pub signals: Duration,
    /// A token is kept until it was revoked or expired for so long, and then purged: with its secrets, events, change ids and usage. At least a day. By default tokens
    /// are kept for ever.
    ///
    /// Where the background has an [`AuditSink`](crate::AuditSink), a token stays until its events are delivered. One without takes it that
    /// nobody wants them: give all nodes of a service the same sink.
    #[serde(with = "optional_seconds", skip_serializing_if = "Option::is_none")]
    pub dead_tokens: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            hours: 8 * DAY,
            days: 400 * DAY,
            sources: 400 * DAY,
            calls: 30 * DAY,
            signals: 400 * DAY,
            dead_tokens: None,
        }
    }
}

impl UsageRules {
    /// Every duration there is.
    pub(crate) fn durations(&self) -> impl Iterator<Item = Duration> {
        let UsageRules { signals, advice, retention } = self;
        [
            signals.learning,
            signals.new_network_for,
            signals.dormant_after,
            signals.open_for,
            advice.expiring_within,
            advice.never_used_after,
            advice.idle_after,
            advice.scope_unused_after,
            advice.old_value_silent_after,
            retention.hours,
            retention.days,
            retention.sources,
            retention.calls,
            retention.signals,
        ]
        .into_iter()
        // Last, where there is one: the seals of rules from before it go on fitting.
        .chain(retention.dead_tokens)
    }

    /// Whether they fit together: nothing is thrown away that is still to be judged or shown, and nothing happens by itself.
    pub(crate) fn agree(&self) -> bool {
        let UsageRules { signals, advice, retention } = self;
        let counts = [signals.burst_uses, signals.spike_refusals];
        let factors = [signals.burst_factor, signals.spike_factor];
        retention.hours >= 8 * DAY
            && retention.days >= retention.hours
            && retention.sources > signals.learning.max(signals.new_network_for)
            && retention.signals >= signals.open_for
            && retention.dead_tokens.is_none_or(|kept| kept >= DAY)
            && !signals.dormant_after.is_zero()
            && !advice.idle_after.is_zero()
            && counts.iter().all(|count| (1..=u64::from(u32::MAX)).contains(count))
            && factors.iter().all(|factor| *factor >= 1)
    }
}

/// Writes the rules behind everything else that the policy's seal covers, unless they are those of a policy from before there were
/// any: its seal must go on fitting.
pub(crate) fn seal_rules(rules: &UsageRules, encoder: &mut Encoder) {
    if *rules == UsageRules::default() {
        return;
    }
    for duration in rules.durations() {
        encoder.u64(duration.as_secs());
    }
    let SignalRules { burst_uses, burst_factor, spike_refusals, spike_factor, .. } = rules.signals;
    for number in [burst_uses, burst_factor.into(), spike_refusals, spike_factor.into()] {
        encoder.u64(number);
    }
}

//! Usage: what is counted of verifications, and what is drawn from it. Kept apart from tokens, written in batches, never on
//! the request path.

mod advice;
mod call;
mod client;
mod inline;
mod merge;
mod rules;
mod signal;
mod source;
mod summary;
mod tallies;

pub use advice::{Advice, advise};
pub use call::{Call, CallTally, RecentCall};
pub use client::Client;
pub use rules::{AdviceRules, Retention, SignalRules, UsageRules};
pub use signal::{Signal, SignalKind, SignalTally};
pub use source::{NovelSource, Source, SourceTally, source_network};
pub use summary::{Busy, BusyQuery, DayOfUse, Forget, ScopeUse, TokenUsage, Whose};
pub use tallies::{HourOfUse, LastUse, Redigest, RefusalTally, ScopeTally, Tallies, Usage, UseTally};

pub(crate) use client::CLIENT_MAX;
pub(crate) use inline::Inline;
pub(crate) use rules::seal_rules;

//! Tallies on PostgreSQL: all kinds of a flush in one statement, a row of arrays each.
//!
//! What all kinds fall on, the tokens, is come to and locked once, in the order of their ids. A token that a purge is about to delete
//! is waited for, and then is not there.

use token_core::{SignalKind, TokenId};

use super::Tally;
use crate::value::Value;

/// Replaced where the stored one is under the key before.
const DIGESTS: &str = "WITH locked AS ( \
        SELECT s.selector, v.after, v.digest \
        FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[]) AS v (selector, before, after, digest) \
        JOIN api_token_secrets s ON s.selector = v.selector AND s.key_id = v.before \
        ORDER BY s.selector FOR NO KEY UPDATE OF s) \
     UPDATE api_token_secrets s SET key_id = locked.after, digest = locked.digest \
     FROM locked WHERE s.selector = locked.selector";

/// How rows of one kind are written.
struct Rows {
    table: &'static str,
    /// Of the table and of the arrays, with their types.
    columns: &'static [(&'static str, &'static str)],
    /// How many of the columns are the key.
    key: usize,
    /// Whether the owner of the token is a column too.
    owned: bool,
    /// What becomes of a row that is there.
    update: String,
}

const UUID: &str = "uuid";
const INT: &str = "bigint";
const TEXT: &str = "text";
const TIME: &str = "timestamptz";

/// An array by way of a query, so that its length is not seen when the statement is planned. By that of a flush it is planned to read all
/// tokens, as long as there are not many times as many; one by one they are as soon found among any number.
fn array(number: u32, kind: &str) -> String {
    format!("(SELECT ${number}::{kind}[])")
}

/// The sum of a stored count and a new one. At the largest number it stays.
fn added(count: &str) -> String {
    format!(
        "CASE WHEN stored.{count} > {max} - excluded.{count} THEN {max} ELSE stored.{count} + excluded.{count} END",
        max = i64::MAX
    )
}

/// Sets columns by what is later.
fn if_later(at: &str, columns: &[&str]) -> String {
    let set = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect::<Vec<_>>().join(", ");
    format!("{set} WHERE excluded.{at} > stored.{at}")
}

fn adds(table: &'static str, columns: &'static [(&'static str, &'static str); 4]) -> Rows {
    let [.., (count, _)] = columns;
    Rows { table, columns, key: 3, owned: false, update: format!("{count} = {}", added(count)) }
}

fn rows(kind: Tally) -> Option<Rows> {
    Some(match kind {
        Tally::LastUses => Rows {
            table: "api_token_usage_last",
            columns: &[("token", UUID), ("generation", INT), ("at", TIME), ("address", TEXT), ("client", TEXT)],
            key: 2,
            owned: false,
            update: if_later("at", &["at", "address", "client"]),
        },
        Tally::Hours => {
            adds("api_token_usage_hours", &[("token", UUID), ("hour", TIME), ("generation", INT), ("uses", INT)])
        }
        Tally::Refusals => {
            adds("api_token_refusals", &[("token", UUID), ("hour", TIME), ("reason", INT), ("refusals", INT)])
        }
        Tally::Days => {
            adds("api_token_usage_days", &[("token", UUID), ("day", TIME), ("reason", INT), ("requests", INT)])
        }
        Tally::Sources => Rows {
            table: "api_token_usage_sources",
            columns: &[
                ("token", UUID),
                ("network", TEXT),
                ("first_seen", TIME),
                ("last_seen", TIME),
                ("last_day", TIME),
                ("uses", INT),
                ("refusals", INT),
            ],
            key: 2,
            owned: false,
            update: format!(
                "first_seen = least(stored.first_seen, excluded.first_seen), \
                 last_seen = greatest(stored.last_seen, excluded.last_seen), \
                 last_day = greatest(stored.last_day, excluded.last_day), uses = {}, refusals = {}",
                added("uses"),
                added("refusals")
            ),
        },
        Tally::Scopes => Rows {
            table: "api_token_usage_scopes",
            columns: &[("token", UUID), ("scope", TEXT), ("last_at", TIME)],
            key: 2,
            owned: false,
            update: if_later("last_at", &["last_at"]),
        },
        Tally::Calls => Rows {
            table: "api_token_usage_calls",
            columns: &[
                ("token", UUID),
                ("slot", INT),
                ("at", TIME),
                ("method", TEXT),
                ("route", TEXT),
                ("reason", INT),
                ("address", TEXT),
            ],
            key: 2,
            owned: true,
            update: if_later("at", &["at", "method", "route", "reason", "address"]),
        },
        Tally::Signals => Rows {
            table: "api_token_signals",
            columns: &[
                ("token", UUID),
                ("kind", INT),
                ("subject", TEXT),
                ("first_at", TIME),
                ("last_at", TIME),
                ("times", INT),
            ],
            key: 3,
            owned: true,
            update: format!(
                "first_at = least(stored.first_at, excluded.first_at), last_at = greatest(stored.last_at, excluded.last_at), \
                 times = CASE WHEN stored.kind >= {} THEN greatest(stored.times, excluded.times) ELSE {} END",
                SignalKind::FIRST_OF_LARGEST,
                added("times")
            ),
        },
        Tally::Digests => return None,
    })
}

/// The statement that writes these kinds, each once: its arguments are the tokens, and then an array for each column of each kind.
/// Digests are written by themselves, and fall on no token.
pub(super) fn statement(kinds: impl IntoIterator<Item = Tally>) -> String {
    let mut parts = vec![format!(
        "WITH kept AS MATERIALIZED (SELECT t.id FROM unnest({}) AS v (id) \
             JOIN api_tokens t ON t.id = v.id ORDER BY t.id FOR KEY SHARE OF t)",
        array(1, UUID)
    )];
    let mut written = Vec::new();
    let mut arguments = 1..;
    arguments.next();
    for kind in kinds {
        let Some(rows) = rows(kind) else { return DIGESTS.to_owned() };
        let name = format!("{}_written", rows.table);
        parts.push(format!("{name} AS ({})", rows.insert(&mut arguments)));
        written.push(format!("(SELECT count(*) FROM {name})"));
    }
    // Asked for one after the other, they are written in this order.
    format!("{} SELECT {}", parts.join(", "), written.join(", "))
}

impl Rows {
    fn insert(&self, arguments: &mut impl Iterator<Item = u32>) -> String {
        let Rows { table, columns, key, owned, update } = self;
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let arrays: Vec<String> =
            columns.iter().zip(arguments).map(|((_, kind), number)| array(number, kind)).collect();
        let key = names.get(..*key).unwrap_or_default();
        let sorted = key.iter().map(|name| format!("v.{name}")).collect::<Vec<_>>().join(", ");
        let (owner, of_owner, tokens) =
            if *owned { (", owner", ", t.owner", "JOIN api_tokens t ON t.id = v.token ") } else { ("", "", "") };
        let (names, arrays, key) = (names.join(", "), arrays.join(", "), key.join(", "));
        // Hardly ever has a token been purged since it was used, and where none has, none is looked for. Else they are looked up by hash, as
        // it is written here: there is a plan for any number of rows, and it must not be one that compares each with each.
        format!(
            "INSERT INTO {table} AS stored ({names}{owner}) SELECT v.*{of_owner} FROM unnest({arrays}) AS v ({names}) {tokens}\
             WHERE (SELECT count(*) = cardinality($1) FROM kept) OR (v.token IN (SELECT id FROM kept)) IS NOT FALSE ORDER BY {sorted} \
             ON CONFLICT ({key}) DO UPDATE SET {update} RETURNING 1"
        )
    }
}

/// The tokens that tallies of these kinds fall on, sorted: the first argument.
pub(super) fn tokens(kinds: &[(Tally, &[Value<'_>])]) -> Option<Vec<TokenId>> {
    if kinds.iter().any(|(kind, _)| matches!(kind, Tally::Digests)) {
        return None;
    }
    let ids = kinds.iter().flat_map(|(kind, rows)| rows.iter().step_by(kind.width()));
    let mut tokens: Vec<TokenId> = ids.filter_map(|id| if let Value::Id(id) = id { *id } else { None }).collect();
    tokens.sort_unstable();
    tokens.dedup();
    Some(tokens)
}

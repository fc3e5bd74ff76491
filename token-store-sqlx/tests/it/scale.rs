//! What the screen and the watch ask of usage, on an owner with 10,000 tokens of which some were used in every hour of a year: a
//! statement or two each, and none reads a table from end to end.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use token_core::{BusyQuery, ListFilter, ListQuery, Position, Time, TokenId, TokenStore, Whose};
use token_store_sqlx::SqlStore;

use crate::database::{Database, Kind, Pool, on_every_database};
use crate::sample::*;
use crate::statements::Told;

on_every_database! {
    looking_at_usage_reads_no_table_from_end_to_end,
}

const DAY: i64 = 24 * 3600;
const TOKENS: u32 = 10_000;
/// So many of them live, the others have expired.
const LIVE: u32 = 2_000;
/// So many of them are used in every hour, and rotated as often, the others now and then.
const STEADY: u32 = 20;
/// Noon of some day.
const NOW: i64 = 20_000 * DAY + DAY / 2;

/// Tables that a statement must not read in full: all that grow with the tokens.
const LARGE: [&str; 9] = [
    "api_tokens",
    "api_token_usage_last",
    "api_token_usage_hours",
    "api_token_refusals",
    "api_token_usage_days",
    "api_token_usage_sources",
    "api_token_usage_scopes",
    "api_token_usage_calls",
    "api_token_signals",
];

async fn looking_at_usage_reads_no_table_from_end_to_end(db: &Database) {
    let told = Told::on(db).await;
    let store = told.pool.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    store.commit(&create_first(token(TOKENS, "bob"))).await.unwrap();
    db.raw(&a_year(db.kind())).await;
    let rows = rows(db).await;
    assert_eq!(rows["api_tokens"], i64::from(TOKENS) + 1);

    // SQLite knows nothing of its tables unless it is told to look, which few do. Servers look by themselves, and guess until then.
    if db.kind() == Kind::Sqlite {
        look_at_all(db, &told, &store, &rows).await;
    }
    // PostgreSQL reads a table in full where that costs less than a hundred places in it, which these are small enough for.
    if db.kind() == Kind::Postgres {
        told.pool.run("SET enable_seqscan = off").await;
    }
    db.raw(&analyze(db.kind())).await;
    look_at_all(db, &told, &store, &rows).await;
    told.pool.close().await;
}

async fn look_at_all(db: &Database, told: &Told, store: &SqlStore, rows: &BTreeMap<&'static str, i64>) {
    let page: Vec<TokenId> = (0..100).map(id).collect();
    let flushed: Vec<TokenId> = (0..500).map(|number| id(number * 20)).collect();
    let (day, steady) = (at(NOW).day(), id(3));
    let days_ago = |days| Time::from_micros(day.as_micros() - days * DAY * 1_000_000).unwrap();
    let owner = |name| Whose::Owner(owner_id(name));
    let open = at(NOW - 7 * DAY);
    let one_page = Looking { db, told, rows, statements: 2 };
    let one = Looking { statements: 1, ..one_page };

    let list = one_page.at("summaries of a page", store.summaries(&page, days_ago(29), open)).await;
    assert_eq!(list.len(), 100);
    let usage = list.iter().find(|usage| usage.token == steady).unwrap();
    assert_eq!((usage.days.len(), usage.last.len(), usage.scopes.len()), (30, 2, 2));
    assert_eq!(usage.last_used(), Some(at(NOW - 3)));
    assert!(!usage.signals.is_empty());
    let year = one_page.at("summary of a year", store.summaries(&[steady], days_ago(365), open)).await;
    assert_eq!(year[0].days.len(), 366);

    let by_hour = Looking { statements: 3, ..one_page };
    assert_eq!(by_hour.at("usage by hour", store.usage(steady, days_ago(7))).await.last.len(), 100);
    assert_eq!(one.at("sources", store.sources(steady, 100)).await.len(), 100);
    assert_eq!(one.at("calls of a token", store.calls(&Whose::Token(steady), 200)).await.len(), 32);
    assert_eq!(one.at("calls of an owner", store.calls(&owner("ann"), 200)).await.len(), 200);
    assert_eq!(one.at("calls of another", store.calls(&owner("bob"), 200)).await.len(), 4);
    assert_eq!(one.at("calls of everyone", store.calls(&Whose::Everyone, 200)).await.len(), 200);
    assert!(!one.at("signals of a token", store.signals(&Whose::Token(steady), open, 51)).await.is_empty());
    assert_eq!(one.at("signals of an owner", store.signals(&owner("ann"), open, 51)).await.len(), 51);
    assert_eq!(one.at("signals of another", store.signals(&owner("bob"), at(0), 51)).await.len(), 2);
    assert_eq!(one.at("signals of everyone", store.signals(&Whose::Everyone, open, 51)).await.len(), 51);

    // What advice is made of: those of the live ones that expire first, among thousands that have expired.
    let from = Position::Expiry(None);
    let live = ListQuery {
        owner: Some(owner_id("ann")),
        filter: ListFilter::Live,
        text: None,
        from,
        now: at(NOW),
        limit: 200,
    };
    assert_eq!(one_page.at("live tokens", store.list(&live)).await.tokens.len(), 200);
    let everyones = ListQuery { owner: None, ..live };
    assert_eq!(one_page.at("everyone's live tokens", store.list(&everyones)).await.tokens.len(), 200);

    assert_eq!(one.at("last uses", store.last_used(&flushed)).await.len(), 500);
    assert_eq!(one.at("last uses of a page", store.last_used(&page)).await.len(), 100);
    assert!(!one.at("novel sources", store.novel_sources(&flushed, days_ago(2), 1000)).await.is_empty());
    let hour = at(NOW).hour();
    let busy = BusyQuery { tokens: &flushed, hour, since: days_ago(7), uses: 1, refusals: 1 };
    assert_eq!(one.at("busy ones", store.busy(&busy)).await.len(), 500);
}

/// One thing that is looked at, in so many statements.
#[derive(Clone, Copy)]
struct Looking<'a> {
    db: &'a Database,
    told: &'a Told,
    /// How many rows each table has.
    rows: &'a BTreeMap<&'static str, i64>,
    statements: usize,
}

impl Looking<'_> {
    async fn at<T, E: std::fmt::Debug>(self, what: &str, asked: impl Future<Output = Result<T, E>>) -> T {
        let before = rows_read(self.db, &self.told.pool).await;
        self.told.take();
        let answer = asked.await.unwrap();
        let statements = self.told.take();
        assert_eq!(statements.len(), self.statements, "{what}: {statements:#?}");
        for statement in statements {
            self.check_plan(what, &statement).await;
        }
        let after = rows_read(self.db, &self.told.pool).await;
        for (table, read) in after {
            let read = read - before.get(&table).copied().unwrap_or_default();
            let rows = self.rows[&*table];
            assert!(read * 2 < rows, "{what}: read {read} of {table}, which has {rows} rows");
        }
        answer
    }

    /// `SQLite` tells how it will go about it. What was read by then is not counted there.
    async fn check_plan(self, what: &str, statement: &str) {
        if self.db.kind() != Kind::Sqlite {
            return;
        }
        let mut connection = self.db.connect_or_make().await;
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{what}: {plan:#?}");
        // The latest of all are read in the order of an index, until there are enough.
        let latest = |step: &str| {
            step == "SCAN api_token_usage_calls USING COVERING INDEX api_token_usage_calls_at"
                && !statement.contains("WHERE")
                && plan.iter().filter(|step| step.starts_with("USE TEMP B-TREE")).count() <= 1
        };
        // What is no more than the rows of another step may be read in full.
        let inner =
            |of: &str| plan.contains(&format!("CO-ROUTINE {of}")) || plan.contains(&format!("MATERIALIZE {of}"));
        let in_full = |step: &&String| {
            let of = step.strip_prefix("SCAN ").and_then(|of| of.split(' ').next());
            of.is_some_and(|of| of != "CONSTANT" && !of.starts_with('(') && !inner(of)) && !latest(step)
        };
        assert_eq!(plan.iter().find(in_full), None, "{what}: {plan:#?}");
        connection.close().await.unwrap();
    }
}

/// How many rows each table has. Counting them reads them all, which is told before this returns: told later, it would be taken for what
/// something else has read.
async fn rows(db: &Database) -> BTreeMap<&'static str, i64> {
    let mut connection = db.connect_or_make().await;
    let mut rows = BTreeMap::new();
    for table in LARGE {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        rows.insert(table, sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap());
    }
    if db.kind() == Kind::Postgres {
        sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    rows
}

/// How many rows of each table were read so far, through whatever index or none. Nothing is known of a table that never was, or
/// on `SQLite`.
async fn rows_read(db: &Database, pool: &Pool) -> BTreeMap<String, i64> {
    let sql = match db.kind() {
        Kind::Sqlite => return BTreeMap::new(),
        Kind::Postgres => {
            // Backends tell their counts now and then, unless they are asked to.
            pool.run("SELECT pg_stat_force_next_flush()").await;
            "SELECT t.relname::text AS name, CAST(t.seq_tup_read + sum(i.idx_tup_read) AS bigint) AS tuples
             FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i ON i.relid = t.relid
             GROUP BY t.relname, t.seq_tup_read"
        }
        Kind::MySql => {
            "SELECT CAST(table_name AS CHAR) AS name, CAST(rows_read AS SIGNED) AS tuples
             FROM information_schema.table_statistics WHERE table_schema = database()"
        }
    };
    let mut connection = db.connect_or_make().await;
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let read: BTreeMap<String, i64> = rows.iter().map(|row| (row.get("name"), row.get("tuples"))).collect();
    assert!(!read.is_empty(), "the database counts no reads");
    read.into_iter().filter(|(table, _)| LARGE.contains(&table.as_str())).collect()
}

/// Fills the tables as time would have: rows of one hour or day after those of the one before.
fn a_year(kind: Kind) -> String {
    let id = |number: &str| match kind {
        Kind::Sqlite => format!("unhex(printf('%08x', {number}) || '{}')", "07".repeat(12)),
        Kind::Postgres => format!("CAST(lpad(to_hex({number}), 8, '0') || '{}' AS uuid)", "07".repeat(12)),
        Kind::MySql => format!("unhex(concat(lpad(hex({number}), 8, '0'), '{}'))", "07".repeat(12)),
    };
    let time = |second: &str| match kind {
        Kind::Sqlite => format!("({second}) * 1000000"),
        Kind::Postgres => format!("timestamptz 'epoch' + ({second}) * INTERVAL '1 second'"),
        Kind::MySql => format!("timestamp('1970-01-01') + INTERVAL ({second}) SECOND"),
    };
    // MariaDB counts reads only where it is asked to.
    let mut sql = if kind == Kind::MySql { "SET GLOBAL userstat = 1;" } else { "" }.to_owned();
    sql.push_str("CREATE TABLE numbers (i BIGINT PRIMARY KEY); INSERT INTO numbers VALUES (0);");
    for power in 0..14 {
        sql.push_str(&format!("INSERT INTO numbers SELECT i + {} FROM numbers;", 1 << power));
    }
    let selector = match kind {
        Kind::Sqlite => "CAST(printf('%016d', i) AS BLOB)",
        Kind::Postgres => "CAST(lpad(i::text, 16, '0') AS bytea)",
        Kind::MySql => "lpad(i, 16, '0')",
    };
    let expires = format!("CASE WHEN i >= {LIVE} THEN {} END", time(&format!("{NOW} - i")));
    sql.push_str(&format!(
        "INSERT INTO api_tokens (id, owner, name, grants, networks, created_at, created_by, expires_at, current_generation, \
         current_selector, revision, head_seq, head_hash, head_at, seal, seal_key) \
         SELECT {}, owner, name, grants, networks, created_at, created_by, {expires}, current_generation, {selector}, \
         revision, head_seq, head_hash, head_at, seal, seal_key \
         FROM numbers, api_tokens WHERE i > 0 AND i < {TOKENS} AND id = {} ORDER BY i;",
        id("i"),
        id("0")
    ));

    // For the steady ones, and for all others and bob's: so many rows of each.
    let mut fill = |table: &str, columns: &str, row: String, steady: u32, others: u32| {
        for (tokens, rows) in
            [(format!("t.i < {STEADY}"), steady), (format!("t.i BETWEEN {STEADY} AND {TOKENS}"), others)]
        {
            // From the oldest on.
            sql.push_str(&format!(
                "INSERT INTO {table} (token, {columns}) SELECT {}, {row} FROM numbers n, numbers t \
                 WHERE n.i < {rows} AND {tokens} ORDER BY n.i DESC, t.i;",
                id("t.i")
            ));
        }
    };
    let owner = format!("CASE WHEN t.i = {TOKENS} THEN 'bob' ELSE 'ann' END");
    let hour = time(&format!("{NOW} - n.i * 3600"));
    let day = time(&format!("{} - n.i * {DAY}", NOW - DAY / 2));
    let seen = time(&format!("{NOW} - n.i * {DAY} - t.i"));
    let used = format!("1000 - n.i, {}", time(&format!("{NOW} - n.i * 3600 - t.i")));
    fill("api_token_usage_last", "generation, at", used, 1000, 1);
    fill("api_token_usage_hours", "hour, generation, uses", format!("{hour}, 1, 9"), 8 * 24, 8);
    fill("api_token_refusals", "hour, reason, refusals", format!("{hour}, 9, 2"), 8 * 24, 4);
    for reason in [0, 9] {
        fill("api_token_usage_days", "day, reason, requests", format!("{day}, {reason}, 9"), 400, 8);
    }
    let network = match kind {
        Kind::Postgres => "concat('10.0.', n.i::text, '.0/24')",
        _ => "concat('10.0.', n.i, '.0/24')",
    };
    fill(
        "api_token_usage_sources",
        "network, first_seen, last_seen, last_day, uses, refusals",
        format!("{network}, {seen}, {seen}, {day}, 9, 0"),
        200,
        3,
    );
    let scope = "CASE n.i WHEN 0 THEN 'projects:read' ELSE 'projects:write' END";
    fill("api_token_usage_scopes", "scope, last_at", format!("{scope}, {seen}"), 2, 2);
    let call = time(&format!("{NOW} - n.i * 60 - t.i"));
    fill("api_token_usage_calls", "slot, owner, at, method", format!("n.i, {owner}, {call}, 'GET'"), 32, 4);
    // Some of each week.
    let told = time(&format!("{NOW} - n.i * {DAY} - t.i * 600"));
    let signal = format!("17, {network}, {owner}, {told}, {told}, 1");
    fill("api_token_signals", "kind, subject, owner, first_at, last_at, times", signal, 30, 2);
    sql
}

fn analyze(kind: Kind) -> String {
    match kind {
        Kind::Sqlite | Kind::Postgres => "ANALYZE".to_owned(),
        Kind::MySql => format!("ANALYZE TABLE {}", LARGE.join(", ")),
    }
}

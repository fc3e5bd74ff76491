//! Millions of tokens, made by the database itself: copies of one that the service made, under ids, selectors and owners of their own.
//! Their seals and digests fit nothing, so they are found and not verified.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use token_core::Selector;
use token_store_sqlx::SqlStore;

use super::servers::memory;
use super::{Databases, Kind, Pool, wait};
use crate::Trouble;
use crate::subject::{Keeping, build, mint};
use crate::table::say;
use crate::walk::Walk;

/// Tokens of the owner `crowd`, beside the others.
const CROWD: u64 = 10_000;

/// A database that is filled.
#[derive(Debug, Clone)]
pub struct Filled {
    /// Where it is.
    pub url: String,
    tokens: u64,
    kind: Kind,
}

/// A database with so many tokens, 10 of each owner, and some of a crowd: that of an earlier run, if there is one.
///
/// # Errors
/// If it can't be made.
pub fn filled(databases: &Databases, kind: Kind, tokens: u64) -> Result<Filled, Trouble> {
    let (url, there) = databases.keep(kind, &format!("scale_{tokens}"))?;
    let filled = Filled { url, tokens, kind };
    if !there || !wait(filled.is_whole())? {
        say(&format!("    making {tokens} tokens on {}; they stay for the next run", kind.name()));
        wait(filled.fill())?;
    }
    Ok(filled)
}

/// The selector in a header value.
#[must_use]
pub fn selector(header: &[u8]) -> &[u8] {
    let start = "Bearer acme_live_".len();
    header.get(start..start + 16).unwrap_or_default()
}

/// Scatters numbers over 48 bits without ever meeting another: an odd factor, modulo a power of two.
const FACTOR: u64 = 25_214_903_917;
const ADDEND: u64 = 11;
const MASK: u64 = (1 << 48) - 1;

impl Filled {
    /// A selector of a token, at random.
    pub fn selector(&self, walk: &mut Walk) -> Option<Selector> {
        let number = walk.below(usize::try_from(self.tokens).ok()?) as u64 + 1;
        let digits = format!("{:012x}Bnch", (number * FACTOR + ADDEND) & MASK);
        Selector::from_bytes(digits.as_bytes())
    }

    /// Has what a lookup reads brought into memory: the server's, or the operating system's where there is no server.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn warm(&self) -> Result<(), Trouble> {
        if let Some(file) = self.file() {
            std::io::copy(&mut std::fs::File::open(file)?, &mut std::io::sink())?;
            return Ok(());
        }
        // Of what is larger than the server's memory, the operating system keeps what has been read.
        let sql = "SELECT sum(pg_prewarm(part)) FROM (SELECT unnest(ARRAY[indrelid, indexrelid]) FROM pg_index \
                   WHERE indisprimary AND indrelid::regclass::text IN \
                   ('api_tokens', 'api_token_secrets', 'api_token_owners')) AS parts (part)";
        wait(async {
            let pool = Pool::open(&self.url, 1).await?;
            pool.run("CREATE EXTENSION IF NOT EXISTS pg_prewarm").await?;
            pool.run(sql).await
        })
    }

    /// How a server keeps it.
    ///
    /// # Errors
    /// If it does not say.
    pub fn kept(&self) -> Result<String, Trouble> {
        if self.file().is_some() {
            return Ok("by the operating system".to_owned());
        }
        let sql = "SELECT setting::bigint * current_setting('block_size')::bigint / 1000000 FROM pg_settings \
                   WHERE name = 'shared_buffers'";
        let buffers = wait(async { Pool::open(&self.url, 1).await?.number(sql).await })?;
        let huge = memory("HugePages_Total")?.saturating_sub(memory("HugePages_Free")?);
        Ok(format!("in {buffers} MB of the server's own; {huge} huge pages of the machine's are in use"))
    }

    /// The file, if it is in one.
    fn file(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite://").map(PathBuf::from)
    }

    /// Whether an earlier run came to its end.
    async fn is_whole(&self) -> Result<bool, Trouble> {
        let pool = Pool::open(&self.url, 1).await?;
        // Without the table it is not even begun.
        let sql = "SELECT count(*) FROM api_token_meta WHERE name = 'bench:whole'";
        Ok(pool.number(sql).await.is_ok_and(|whole| whole == 1))
    }

    async fn fill(&self) -> Result<(), Trouble> {
        if let Some(file) = self.file() {
            for suffix in ["", "-wal", "-shm"] {
                drop(std::fs::remove_file(format!("{}{suffix}", file.display())));
            }
        }
        // The tables, and the one that is copied.
        let (tokens, background) = build(Arc::new(SqlStore::open(&self.url).await?), Keeping::nothing()).await?;
        mint(&tokens, "template").await?;
        background.turn().await?;
        drop((tokens, background));
        match self.kind {
            Kind::Sqlite => self.fill_sqlite().await,
            Kind::Postgres => self.fill_postgres().await,
            Kind::MariaDb => Err("there is no large MariaDB".into()),
        }
    }

    async fn fill_sqlite(&self) -> Result<(), Trouble> {
        // Nothing here needs to outlive a crash: what is not whole is made again.
        let options = self.url.parse::<SqliteConnectOptions>()?.foreign_keys(false);
        let options = options.journal_mode(SqliteJournalMode::Off).synchronous(SqliteSynchronous::Off);
        let options = options.pragma("cache_size", "-2000000").pragma("temp_store", "FILE").disable_statement_logging();
        let mut conn = options.connect().await?;
        let dropped = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN \
                       ('api_tokens', 'api_token_secrets', 'api_token_owners')";
        let indexes: Vec<String> = sqlx::query_scalar(dropped).fetch_all(&mut conn).await?;
        let names = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN \
                     ('api_tokens', 'api_token_secrets', 'api_token_owners')";
        let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut conn).await?;
        let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < LIMIT_OF_ROWS)";
        let rows = self.rows(
            numbers,
            "printf('%016x', i)",
            "CAST(printf('%016x', i) AS BLOB)",
            &format!("CAST(printf('%012xBnch', (i * {FACTOR} + {ADDEND}) & {MASK}) AS BLOB)"),
        );
        let drops = names.iter().map(|name| format!("DROP INDEX {name}"));
        let whole = "INSERT INTO api_token_meta (name, value) VALUES ('bench:whole', x'')".to_owned();
        let last = ["ANALYZE".to_owned(), whole];
        for sql in drops.chain(rows).chain(indexes).chain(last) {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await?;
        }
        conn.close().await?;
        Ok(())
    }

    async fn fill_postgres(&self) -> Result<(), Trouble> {
        let pool = Pool::open(&self.url, 1).await?;
        let Pool::Postgres(inner) = &pool else { return Err("not PostgreSQL".into()) };
        let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT IN \
                       (SELECT conname FROM pg_constraint) AND tablename IN ('api_tokens', 'api_token_secrets', 'api_token_owners')";
        let indexes: Vec<String> = sqlx::query_scalar(indexes).fetch_all(inner).await?;
        let rows = self.rows(
            "WITH n AS (SELECT i FROM generate_series(1::bigint, LIMIT_OF_ROWS) AS i)",
            "lpad(to_hex(i), 16, '0')",
            "lpad(to_hex(i), 32, '0')::uuid",
            &format!("convert_to(lpad(to_hex((i * {FACTOR} + {ADDEND}) & {MASK}), 12, '0') || 'Bnch', 'UTF8')"),
        );
        // `CREATE INDEX name ON …`
        let drops =
            indexes.iter().filter_map(|index| index.split_whitespace().nth(2)).map(|name| format!("DROP INDEX {name}"));
        // Without the checks of foreign keys, and what is notified at each row.
        let first = [
            "SET session_replication_role = replica",
            "SET synchronous_commit = off",
            "SET maintenance_work_mem = '1GB'",
        ];
        let whole = "INSERT INTO api_token_meta (name, value) VALUES ('bench:whole', '')".to_owned();
        let last = ["VACUUM ANALYZE".to_owned(), "CHECKPOINT".to_owned(), whole];
        for sql in first.map(str::to_owned).into_iter().chain(drops).chain(rows).chain(indexes.clone()).chain(last) {
            pool.run(&sql).await?;
        }
        Ok(())
    }

    /// The statements that copy: owners, tokens, secrets, and the same for the crowd.
    fn rows(&self, numbers: &str, text: &str, id: &str, selector: &str) -> Vec<String> {
        let (all, with_crowd) = (self.tokens, self.tokens + CROWD);
        let up_to = |rows: u64| numbers.replace("LIMIT_OF_ROWS", &rows.to_string());
        let owner = format!("CASE WHEN i > {all} THEN 'crowd' ELSE 'owner-' || (i / 10) END");
        let owner_columns = "suspended_at, revision, head_seq, head_hash, head_at, seal, seal_key, touched";
        let token_columns = "grants, networks, created_at, created_by, expires_at, revoked_at, current_generation, \
                             old_generation, old_selector, old_until, revision, head_seq, head_hash, head_at, seal, seal_key";
        let secret_columns = "generation, scheme, digest, key_id";
        vec![
            format!(
                "{} INSERT INTO api_token_owners (owner, {owner_columns}) SELECT 'owner-' || (i - 1), {owner_columns} \
                 FROM n, (SELECT * FROM api_token_owners WHERE owner = 'template') AS o ORDER BY 1",
                up_to(all / 10 + 1)
            ),
            format!(
                "INSERT INTO api_token_owners (owner, {owner_columns}) SELECT 'crowd', {owner_columns} \
                 FROM api_token_owners WHERE owner = 'template'"
            ),
            format!(
                "{} INSERT INTO api_tokens (id, owner, name, current_selector, {token_columns}) \
                 SELECT {id}, {owner}, {text}, {selector}, {token_columns} \
                 FROM n, (SELECT * FROM api_tokens WHERE owner = 'template') AS t ORDER BY i",
                up_to(with_crowd)
            ),
            format!(
                "{} INSERT INTO api_token_secrets (selector, token, {secret_columns}) \
                 SELECT {selector}, {id}, {secret_columns} FROM n, (SELECT * FROM api_token_secrets LIMIT 1) AS s ORDER BY 1",
                up_to(with_crowd)
            ),
        ]
    }
}

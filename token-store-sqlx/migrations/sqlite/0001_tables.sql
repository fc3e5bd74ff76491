-- Times are microseconds since 1970, ids and selectors and hashes are bytes, texts compare byte for byte.
-- Rows that are looked up by their key alone are kept in the key's own tree.

CREATE TABLE api_token_owners (
    owner        TEXT    NOT NULL PRIMARY KEY CHECK (length(CAST(owner AS BLOB)) BETWEEN 1 AND 255),
    suspended_at INTEGER,
    revision     INTEGER NOT NULL CHECK (revision >= 1),
    head_seq     INTEGER NOT NULL CHECK (head_seq >= 0),
    head_hash    BLOB    NOT NULL CHECK (length(head_hash) = 32),
    head_at      INTEGER NOT NULL,
    seal         BLOB    NOT NULL CHECK (length(seal) = 32),
    seal_key     TEXT    NOT NULL,
    -- Outside the seal: counts the creations that took this row, so that they meet each other and a suspension.
    touched      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX api_token_owners_seal_key ON api_token_owners (seal_key);

CREATE TABLE api_tokens (
    id                 BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner              TEXT    NOT NULL REFERENCES api_token_owners (owner),
    name               TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    grants             TEXT    NOT NULL,
    networks           TEXT,
    created_at         INTEGER NOT NULL,
    created_by         TEXT    NOT NULL,
    expires_at         INTEGER,
    revoked_at         INTEGER,
    current_generation INTEGER NOT NULL CHECK (current_generation >= 1),
    current_selector   BLOB    NOT NULL CHECK (length(current_selector) = 16),
    old_generation     INTEGER,
    old_selector       BLOB    CHECK (length(old_selector) = 16),
    old_until          INTEGER,
    revision           INTEGER NOT NULL CHECK (revision >= 1),
    head_seq           INTEGER NOT NULL CHECK (head_seq >= 0),
    head_hash          BLOB    NOT NULL CHECK (length(head_hash) = 32),
    head_at            INTEGER NOT NULL,
    seal               BLOB    NOT NULL CHECK (length(seal) = 32),
    seal_key           TEXT    NOT NULL,
    CHECK ((old_generation IS NULL) = (old_selector IS NULL) AND (old_generation IS NULL) = (old_until IS NULL))
) STRICT;

-- Pages of one owner, in each order; the one by expiry also answers how many of an owner's tokens are live.
CREATE INDEX api_tokens_owner_id ON api_tokens (owner, id);
CREATE INDEX api_tokens_owner_name ON api_tokens (owner, name, id);
CREATE INDEX api_tokens_owner_expires ON api_tokens (owner, expires_at, id, revoked_at);
-- Pages of everyone's tokens, and what is to be purged.
CREATE INDEX api_tokens_name ON api_tokens (name, id);
CREATE INDEX api_tokens_expires ON api_tokens (expires_at, id);
CREATE INDEX api_tokens_revoked ON api_tokens (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_tokens_seal_key ON api_tokens (seal_key);

CREATE TABLE api_token_secrets (
    selector   BLOB    NOT NULL PRIMARY KEY CHECK (length(selector) = 16),
    token      BLOB    NOT NULL REFERENCES api_tokens (id),
    generation INTEGER NOT NULL CHECK (generation >= 1),
    scheme     INTEGER NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    key_id     TEXT    NOT NULL,
    UNIQUE (token, generation)
) STRICT, WITHOUT ROWID;

CREATE INDEX api_token_secrets_key_id ON api_token_secrets (key_id);

CREATE TABLE api_token_events (
    subject TEXT    NOT NULL,
    seq     INTEGER NOT NULL CHECK (seq >= 1),
    owner   TEXT,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    body    TEXT    NOT NULL,
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (subject, seq)
) STRICT;

CREATE TABLE api_token_changes (
    -- AUTOINCREMENT: a number is not given again after a purge, since cursors point at them.
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    change_id     BLOB    NOT NULL UNIQUE CHECK (length(change_id) = 16),
    fingerprint   BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    subject       TEXT    NOT NULL,
    owner         TEXT,
    token         BLOB,
    seq           INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    claimed_until INTEGER,
    delivered_at  INTEGER
) STRICT;

CREATE INDEX api_token_changes_token ON api_token_changes (token, delivered_at) WHERE token IS NOT NULL;
CREATE INDEX api_token_changes_undelivered ON api_token_changes (id) WHERE delivered_at IS NULL;
CREATE INDEX api_token_changes_undelivered_subject ON api_token_changes (subject, id) WHERE delivered_at IS NULL;

CREATE TABLE api_token_usage_last (
    token      BLOB    NOT NULL,
    generation INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    address    TEXT,
    PRIMARY KEY (token, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_token_usage_hours (
    token      BLOB    NOT NULL,
    hour       INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    uses       INTEGER NOT NULL,
    PRIMARY KEY (token, hour, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_token_refusals (
    token    BLOB    NOT NULL,
    hour     INTEGER NOT NULL,
    reason   INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    PRIMARY KEY (token, hour, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_token_meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

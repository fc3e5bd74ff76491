-- What the client of the last use called itself.
ALTER TABLE api_token_usage_last ADD COLUMN client TEXT;

-- Hours are added to their days when they are older than the policy keeps them. Reason 0 counts uses.
CREATE TABLE api_token_usage_days (
    token    BLOB    NOT NULL,
    day      INTEGER NOT NULL,
    reason   INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (token, day, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_token_usage_days_day ON api_token_usage_days (day);
CREATE INDEX api_token_usage_hours_hour ON api_token_usage_hours (hour, token);
CREATE INDEX api_token_refusals_hour ON api_token_refusals (hour, token);

CREATE TABLE api_token_usage_sources (
    token      BLOB    NOT NULL,
    network    TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    -- The day of the last request: it has an index, and changes once a day and not with every flush.
    last_day   INTEGER NOT NULL,
    uses       INTEGER NOT NULL,
    refusals   INTEGER NOT NULL,
    PRIMARY KEY (token, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_token_usage_sources_last_day ON api_token_usage_sources (last_day);

CREATE TABLE api_token_usage_scopes (
    token   BLOB    NOT NULL,
    scope   TEXT    NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (token, scope)
) STRICT, WITHOUT ROWID;

-- A ring of slots for each token.
CREATE TABLE api_token_usage_calls (
    token   BLOB    NOT NULL,
    slot    INTEGER NOT NULL,
    owner   TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    method  TEXT    NOT NULL,
    route   TEXT,
    reason  INTEGER,
    address TEXT,
    PRIMARY KEY (token, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_token_usage_calls_owner ON api_token_usage_calls (owner, at, token, slot);
CREATE INDEX api_token_usage_calls_at ON api_token_usage_calls (at, token, slot);

CREATE TABLE api_token_signals (
    token    BLOB    NOT NULL,
    kind     INTEGER NOT NULL,
    subject  TEXT    NOT NULL,
    owner    TEXT    NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    times    INTEGER NOT NULL,
    PRIMARY KEY (token, kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_token_signals_owner ON api_token_signals (owner, last_at, token, kind, subject);
CREATE INDEX api_token_signals_last_at ON api_token_signals (last_at, token, kind, subject);
